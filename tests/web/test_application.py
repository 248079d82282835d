"""What holds for every page: who may see it, what its headers say, and that nothing in it is inline."""

from __future__ import annotations

import builtins
import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lamindb.web import responses
from lamindb.web.routes import ROUTES
from tests.web.conftest import Made, Parsed, crawl, examples, open_client

PUBLIC = {"/static/<hash>/<name>"}
"""The routes that are answered without the cookie."""


def test_only_files_of_the_program_are_public() -> None:
    assert {route.path for route in ROUTES if route.is_public} == PUBLIC


def test_without_the_cookie_nothing_is_shown(client: Any, usual: Made) -> None:
    for path, route in zip(examples(usual), ROUTES, strict=True):
        if route.path in PUBLIC:
            continue
        for headers in ({}, {"cookie": f"{client.gate.cookie}=wrong"}, {"cookie": f"lamin-1={client.gate.session}"}):
            answer = client.get(path, signed_in=False, **headers)
            assert answer.status == 401, path
            assert "mydata" not in answer.text and usual.files["model"] not in answer.text
        assert client.get(f"{path}?token=wrong", signed_in=False).status == 403
        assert client.get(f"{path}?token=wrong").status == 403


def test_a_page_that_is_not_there_is_not_told_to_a_stranger(client: Any) -> None:
    assert client.get("/no/such/page", signed_in=False).status == 401
    page = client.get("/no/such/page")
    # Who may see the instance can go on from there.
    assert page.status == 404 and 'role="search"' in page.text and 'href="/runs"' in page.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"])
def test_every_page_can_only_be_read(client: Any, usual: Made, method: str) -> None:
    for path in examples(usual):
        answer = client.ask(method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD"), path


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "", None, "127.0.0.1:8791, 127.0.0.1:8791"])
def test_a_request_for_another_host_gets_no_data(client: Any, usual: Made, host: str | None) -> None:
    for path in examples(usual):
        answer = client.ask("GET", path, headers={"host": host})
        assert answer.status == 421
        assert "mydata" not in answer.text


def test_the_link_gives_a_cookie_and_goes_on_without_the_token(client: Any) -> None:
    answer = client.get(f"/files?type=csv&token={client.gate.token}", signed_in=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/files?type=csv")
    (cookie,) = answer.cookies
    assert cookie.startswith(f"{client.gate.cookie}={client.gate.session};")
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie and "expires" not in cookie.lower()
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_head_has_the_headers_of_get_and_no_body(client: Any, usual: Made) -> None:
    for path in examples(usual):
        shown, head = client.get(path), client.ask("HEAD", path)
        assert head.body == b""
        assert (head.status, head.headers.get("Content-Type")) == (shown.status, shown.headers.get("Content-Type"))


def test_every_route_has_an_answer(client: Any, usual: Made) -> None:
    expected = {"/storages/nothing0": 404, f"/static/{'0' * 16}/app.css": 404, "/theme": 303}
    for path in examples(usual):
        assert client.get(path).status == expected.get(path, 200), path


def test_a_file_shows_its_renames_and_removals(client: Any, usual: Made) -> None:
    page = client.get(f"/files/{usual.files['html']}").text
    assert "Renamed, removed, restored" in page
    assert re.search(
        r"renamed <bdi>from drafts/training\.html to reports/training\.html</bdi>.*by <bdi>ada</bdi>", page
    )
    assert "removed <bdi>version 1</bdi>" in client.get(f"/files/{usual.files['trashed']}").text
    assert "Renamed, removed, restored" not in client.get(f"/files/{usual.files['model']}").text


def test_policies_and_headers(client: Any) -> None:
    for address, answer in crawl(client):
        policy = answer.headers["Content-Security-Policy"]
        assert policy == (responses.RAW_POLICY if address.startswith("/raw") else responses.PAGE_POLICY), address
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        if "text/html" in answer.headers.get("Content-Type", "") and not address.startswith("/raw"):
            assert answer.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in responses.PAGE_POLICY
    assert not re.search(r"script-src|unsafe-eval|allow-", responses.RAW_POLICY)


def test_nothing_in_a_page_is_inline(client: Any) -> None:
    for address, answer in crawl(client):
        if "text/html" not in answer.headers.get("Content-Type", "") or address.startswith("/raw"):
            continue
        for tag, attributes in Parsed(answer.text).tags:
            assert tag != "style", address
            assert tag != "script" or attributes.get("src", "").startswith("/static/"), address
            assert not [name for name in attributes if name == "style" or name.startswith("on")], (address, attributes)
            assert not attributes.get("href", "").lower().startswith(("javascript:", "data:", "//")), address


def test_no_page_names_another_host(client: Any) -> None:
    for address, answer in crawl(client):
        if "text/html" in answer.headers.get("Content-Type", "") and not address.startswith("/raw"):
            for found in Parsed(answer.text).addresses():
                assert found.startswith(("/", "?", "#")) and not found.startswith("//"), (address, found)


PAYLOADS = [
    "..", "../..", "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e%2fetc", "%252e%252e%252fetc",
    "..%5c..%5c",
    "\\..\\..", "/etc/passwd", "//etc/passwd", "%00", "a%00.csv", "C:%5cwindows", "file:%2f%2f%2fetc%2fpasswd",
    "%2fproc%2fself%2froot", "....//....//", "..;/", "%c0%ae%c0%ae%2f", "%u002e%u002e", "~root", "$HOME", "`id`",
    "a/../../b", ".%2e/", "%ff%fe", "%0d%0aSet-Cookie:x", "\u202e", "con", "nul.txt", "*", "?", "%", "a" * 5_000,
    "..%252f..%252fetc", "%2e%2e%5cetc", "..%c1%9cetc", "..%ef%bc%8fetc", "%ef%bc%8e%ef%bc%8e/", "..%00/etc/passwd",
    "/proc/self/root/etc/passwd", "/proc/self/environ", "/dev/zero", "C:/windows/win.ini", "%5c%5chost%5cshare",
    "file:/etc/passwd", "jar:file:/x!/y", "http:%2f%2f169.254.169.254", "s3:%2f%2fbucket/key", "data:,x", "-rf", "--",
    ".lamindb/db.sqlite3", "db.sqlite3", ".lamindb%2fconfig.toml", "..%2f.lamindb", "mydata", "a%0ab", "a%09b", "a%7f",
    "a%1b[31m", "%F0%9F%A7%AC", "e%CC%81", "%E2%80%AE.png", "a;b", "a&b", "{{7*7}}", "{% debug %}", "<script>", "'",
]  # fmt: skip


def test_no_part_of_an_address_becomes_a_path(
    client: Any, usual: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    allowed = (str(usual.folder), str(Path(responses.__file__).parent), str(Path.home()), str(tmp_path))
    opened: list[str] = []
    real = builtins.open

    def watched(file: Any, *args: Any, **kwargs: Any) -> Any:
        opened.append(str(file))
        return real(file, *args, **kwargs)

    client.get("/files")
    monkeypatch.setattr(builtins, "open", watched)
    monkeypatch.setattr("io.open", watched)
    for payload in PAYLOADS:
        for route in ROUTES:
            path = re.sub(r"<\w+>", lambda _, given=payload: quote(given, safe="/%\\;:$`~*?"), route.path)
            if path == route.path:
                continue
            answer = client.get(path)
            assert answer.status in (400, 404), (path, answer.status)
            assert "root:" not in answer.text
    assert [one for one in opened if not one.startswith(allowed)] == []


@pytest.mark.parametrize(
    "address",
    ["/files?after=x", "/files?after=1-a'--", "/files?since=yesterday", "/files?since=9999-12-31",
     "/runs?after=" + "9" * 30, "/folders?after=%00", "/files?folder=%00", "/search?q=%00",
     "/compare?a=x&b=y", "/files?type=%ed%a0%80"],
)  # fmt: skip
def test_what_cannot_be_asked_is_an_error_page_without_details(client: Any, address: str) -> None:
    answer = client.get(address)
    assert answer.status in (200, 400, 404), answer.text
    for word in ("Traceback", "SELECT", "lamindb_file", "/mydata/.lamindb"):
        assert word not in answer.text


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/files?since=yesterday", "since"), ("/files?until=9999-12-31", "until"), ("/files?state=lost", "state"),
        ("/files?after=x", "after"), ("/runs?status=odd", "status"), ("/runs?after=1-", "after"),
        ("/transforms?type=x", "type"), ("/transforms?after=x", "after"),
        ("/files/{file}/why?against=first", "against"),
        ("/files/{file}/lineage?depth=99", "depth"), ("/files/{file}/lineage?at=soon", "at"),
        ("/files/{file}/lineage?open=x", "open"), ("/files/{file}/lineage?save=film", "save"),
        ("/runs/{run}/log?end=x", "end"), ("/runs/{run}/code?module=99999999", "module"),
        ("/runs/{run}/code?module=" + "9" * 5_000, "module"), ("/runs/{run}/inputs?after=x", "after"),
    ],
)  # fmt: skip
def test_the_parameter_that_is_wrong_is_named(client: Any, usual: Made, address: str, name: str) -> None:
    answer = client.get(address.format(file=usual.files["model"], run=usual.runs["train"]))
    assert answer.status in (400, 404)
    assert re.search(rf"(<code>|address, ){name}\b", answer.text), answer.text


def test_an_unexpected_failure_says_a_number_and_nothing_else(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("/secret/path SELECT password FROM t")

    monkeypatch.setattr("lamindb.web.queries.files", fails)
    answer = client.get("/files")
    assert answer.status == 500
    assert re.search(r"as error [0-9a-f]{8}\.", answer.text)
    assert "secret" not in answer.text and "SELECT" not in answer.text and "RuntimeError" not in answer.text


def test_below_a_prefix_every_address_has_it(usual: Made) -> None:
    client = open_client(usual.folder, prefix="/proxy/8791", hosts=("hub.example",))
    assert client.get("/files").status == 404
    count = 0
    for path in ("/", "/files", f"/files/{usual.files['model']}", f"/runs/{usual.runs['train']}"):
        answer = client.get(f"/proxy/8791{path}", host="hub.example")
        assert answer.status == 200
        for found in Parsed(answer.text).addresses():
            assert found.startswith(("/proxy/8791/", "?", "#")), found
            count += 1
    assert count > 50
    answer = client.get(f"/proxy/8791/?token={client.gate.token}", signed_in=False)
    assert answer.headers["Location"] == "/proxy/8791/" and "Path=/proxy/8791/" in answer.cookies[0]


def test_own_files_are_kept_for_a_year_and_change_their_address_with_their_content(client: Any) -> None:
    page = Parsed(client.get("/").text)
    own = {found for found in page.addresses() if found.startswith("/static/")}
    assert {one.rpartition("/")[2] for one in own} >= {"app.css", "app.js", "htmx.min.js", "icon.svg"}
    for path in own:
        answer = client.get(path, signed_in=False)
        assert answer.status == 200 and "immutable" in answer.headers["Cache-Control"]
        packed = client.get(path, signed_in=False, accept_encoding="gzip, br")
        assert packed.headers["Content-Encoding"] == "gzip" and len(packed.body) < len(answer.body)
    assert client.get("/static/0000000000000000/app.css", signed_in=False).status == 404


def test_our_script_is_small_and_uses_no_code_from_text() -> None:
    text = (Path(responses.__file__).parent / "static/app.js").read_text(encoding="utf-8")
    assert len(text.encode()) <= 6 * 1024
    assert not re.search(
        r"\beval\b|innerHTML|outerHTML|insertAdjacentHTML|document\.write|new Function|https?://", text
    )


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "", "x", "/a\r\nb"])
def test_the_theme_switch_goes_back_to_this_site_only(client: Any, back: str) -> None:
    answer = client.get(f"/theme?back={quote(back)}&to=dark")
    assert answer.status == 303 and answer.headers["Location"] == "/"


def test_the_theme_is_kept_in_a_cookie(client: Any) -> None:
    answer = client.get("/theme?back=%2Ffiles%3Ftype%3D.csv&to=dark")
    assert answer.headers["Location"] == "/files?type=.csv"
    (cookie,) = answer.cookies
    assert cookie.startswith("lamin-theme-8791=dark;")
    both = f"{client.gate.cookie}={client.gate.session}; lamin-theme-8791=dark"
    assert '<html lang="en" data-theme="dark">' in client.get("/files", cookie=both).text
    odd = f'{client.gate.cookie}={client.gate.session}; lamin-theme-8791="><b>'
    assert '<html lang="en">' in client.get("/files", cookie=odd).text


def test_htmx_is_the_file_of_its_package() -> None:
    folder = Path(responses.__file__).parent / "static"
    digest = hashlib.sha256((folder / "htmx.min.js").read_bytes()).hexdigest()
    assert digest == "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
    assert "Zero-Clause BSD" in (folder / "htmx.LICENSE.txt").read_text(encoding="utf-8")


NOTED = "of this page and"


@pytest.mark.parametrize("page", ["/files", "/runs", "/transforms"])
def test_a_parameter_that_is_no_filter_is_pointed_out(client: Any, page: str) -> None:
    said = client.get(f"{page}?typ=.csv&after=&x%3Cb%3E=1").text
    assert "<code><bdi>typ</bdi></code>, <code><bdi>x&lt;b&gt;</bdi></code> are not filters of this page" in said
    assert "<code><bdi>typ</bdi></code> is not a filter of this page" in client.get(f"{page}?typ=.csv").text
    assert NOTED not in client.get(page).text


def test_no_link_has_a_parameter_that_is_no_filter(usual: Made) -> None:
    linked = [(path, answer) for path, answer in crawl(open_client(usual.folder), each=3) if "?" in path]
    assert any(path.startswith(("/files?", "/runs?")) for path, _ in linked)
    assert [path for path, answer in linked if NOTED in answer.text] == []
    client = open_client(usual.folder)
    every = "/files?folder=a&type=.csv&transform=a&who=a&storage=a&since=2026-01-01&until=2026-01-01&state=trash&old=1"
    for path in (
        every,
        "/runs?status=failed&transform=a&who=a&reads=a&since=2026-01-01&params=lr",
        "/transforms?type=script",
    ):
        answer = client.get(path)
        assert answer.status == 200 and NOTED not in answer.text


@pytest.mark.parametrize("page", ["/runs", "/files", "/folders", "/transforms"])
def test_every_column_has_a_header_that_is_seen(client: Any, page: str) -> None:
    headers = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', client.get(page).text)
    assert len(headers) > 2
    assert [one for one in headers if "hidden" in one or not re.sub("<[^>]*>", "", one).strip()] == []
