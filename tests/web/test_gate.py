"""Who may see a page: hosts, origins, methods, tokens and cookies."""

from __future__ import annotations

import pytest

from lamindb.errors import InvalidInputError
from lamindb.web.gate import Gate, Redirect, Refusal, checked_hosts, checked_prefix


@pytest.fixture
def gate() -> Gate:
    return Gate(8791)


@pytest.mark.parametrize("host", ["127.0.0.1:8791", "localhost:8791", "LOCALHOST:8791", "[::1]:8791"])
def test_names_of_this_machine_with_the_port_are_answered(gate: Gate, host: str) -> None:
    assert gate.check_host(host) is None


@pytest.mark.parametrize(
    "host",
    [
        None, "", "evil.example", "evil.example:8791", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:8791, evil.example",
        "127.0.0.1:8791.evil.example", "127.0.0.1:8791@evil.example", " 127.0.0.1:8791", "0.0.0.0:8791", "127.1:8791",
        "hub.example",
    ],
)  # fmt: skip
def test_other_names_are_refused(gate: Gate, host: str | None) -> None:
    refusal = gate.check_host(host)
    assert refusal is not None and refusal.status == 421


def test_further_names_are_answered_only_if_allowed() -> None:
    gate = Gate(8791, "", ("hub.example", "lab.example:443"))
    assert all(gate.check_host(name) is None for name in ("hub.example", "hub.example:8791", "lab.example:443"))
    assert gate.check_host("lab.example") is not None


@pytest.mark.parametrize("name", ["", "*", "a b", "http://hub.example", "hub.example/", "-a", "a,b", "a\nb", "x:y"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        checked_hosts([name])


@pytest.mark.parametrize(
    "prefix", ["proxy", "//evil.example", "/a b", "/a?b", "/a#b", "/../x", "/a/./b", "/a\\b", "/%2e"]
)
def test_what_is_no_plain_path_is_no_prefix(prefix: str) -> None:
    with pytest.raises(InvalidInputError):
        checked_prefix(prefix)


def test_a_prefix_is_a_path_without_a_slash_at_its_end() -> None:
    assert [checked_prefix(one) for one in ("", "/", "/proxy/8791/", "/user/ada/proxy/8791")] == [
        "", "", "/proxy/8791", "/user/ada/proxy/8791",
    ]  # fmt: skip


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
@pytest.mark.parametrize(
    ("mode", "destination"),
    [
        ("no-cors", "image"),
        ("no-cors", "script"),
        ("navigate", "iframe"),
        ("cors", "empty"),
        ("navigate", None),
        (None, None),
    ],
)
def test_what_another_page_embeds_or_fetches_is_refused(
    gate: Gate, site: str, mode: str | None, destination: str | None
) -> None:
    refusal = gate.check_origin(site, mode, destination)
    assert refusal is not None and refusal.status == 403


@pytest.mark.parametrize("site", [None, "none", "same-origin"])
def test_what_this_page_asks_for_is_let_through(gate: Gate, site: str | None) -> None:
    assert gate.check_origin(site, "no-cors", "image") is None


def test_a_link_from_elsewhere_that_a_person_follows_is_let_through(gate: Gate) -> None:
    assert gate.check_origin("cross-site", "navigate", "document") is None


def test_the_token_is_taken_out_of_the_address(gate: Gate) -> None:
    assert gate.check_token("/files", f"a=1&token={gate.token}&b=%2F") == Redirect("/files?a=1&b=%2F")
    assert gate.check_token("//evil.example/x", f"token={gate.token}") == Redirect("/evil.example/x")
    assert gate.check_token("/files", "a=1") is None


@pytest.mark.parametrize("given", ["", "wrong", "é", "a&token=b"])
def test_a_wrong_token_is_refused(gate: Gate, given: str) -> None:
    found = gate.check_token("/", f"token={given}")
    assert isinstance(found, Refusal) and found.status == 403


def test_the_token_given_twice_is_refused(gate: Gate) -> None:
    assert isinstance(gate.check_token("/", f"token={gate.token}&token={gate.token}"), Refusal)


def test_the_ticket_of_the_opened_browser_works_once(gate: Gate) -> None:
    query = gate.link_once.partition("?")[2]
    assert isinstance(gate.check_token("/", query), Redirect)
    assert isinstance(gate.check_token("/", query), Refusal)
    assert isinstance(gate.check_token("/", f"token={gate.token}"), Redirect)


def test_the_cookie_is_neither_the_token_nor_that_of_another_server(gate: Gate) -> None:
    other = Gate(8792)
    assert gate.cookie == "lamin-8791" and other.cookie == "lamin-8792"
    assert gate.check_cookie(gate.session) is None
    for value in (None, "", gate.token, other.session, gate.session + "x", "\udcff"):
        refusal = gate.check_cookie(value)
        assert refusal is not None and refusal.status == 401


def test_secrets_are_not_in_the_representation(gate: Gate) -> None:
    assert gate.token not in repr(gate) and gate.session not in repr(gate) and str(gate.ticket) not in repr(gate)
    assert len({gate.token, gate.session, gate.ticket, Gate(1).token}) == 4


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "CONNECT", "get", ""])
def test_only_reading_is_allowed(gate: Gate, method: str) -> None:
    refusal = gate.check_method(method)
    assert refusal is not None and refusal.status == 405
