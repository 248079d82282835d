"""Names, texts and bytes from other people: they are shown as text, and secrets are not shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core.text import printable
from lamindb.models import Run
from lamindb.setup.read_only import open_read_only
from tests.support import showcase
from tests.support.web import Client
from tests.web.conftest import Made, Parsed, crawl

ALLOWED_TAGS = set(
    """
    html head meta title link script body a header svg path circle rect nav form input kbd main ol li span bdi section
    header h1 h2 h3 div p code button table caption thead tbody tr th td small b time wbr dl dt dd dialog details
    summary label ul pre iframe img br aside select option optgroup g rect text use defs marker polygon tspan desc line
    fieldset legend
    """.split()
)


def test_stored_text_is_never_a_tag(hostile_client: Any) -> None:
    count = 0
    for address, answer in crawl(hostile_client, most=300, each=20):
        assert answer.status == 200 or "/lineage" in address, (address, answer.status)
        if address.startswith("/raw") or "text/html" not in answer.headers.get("Content-Type", ""):
            continue
        count += 1
        for tag, attributes in Parsed(answer.text).tags:
            assert tag in ALLOWED_TAGS, (address, tag)
            assert not [name for name in attributes if name.startswith(("on", "style"))], (address, attributes)
            hx = {name: value for name, value in attributes.items() if name.startswith("hx-")}
            assert all(re.fullmatch(r"[\w/ .-]*", value) for value in hx.values()), (address, hx)
            if tag in ("iframe", "img"):
                assert attributes["src"].startswith(("/raw/", "data:image/")), (address, attributes)
            if tag == "iframe":
                assert attributes["sandbox"] == "", address
        for letter in ("\u202e", "\u200b", "\x1b", "\x07", "\x00"):
            # A field to type in keeps what was typed.
            assert letter not in "".join(Parsed(answer.text).words), (address, letter)
        assert "49" not in [word.strip() for word in Parsed(answer.text).words], "no template is rendered twice"
    assert count > 150


def test_all_names_are_shown_in_full_or_shortened(hostile_client: Any, hostile: Made) -> None:
    for number, name in enumerate(showcase.HOSTILE):
        page = Parsed(hostile_client.get(f"/runs/{hostile.runs[str(number)]}").text)
        text = "".join(page.words)
        assert printable(name[:20]) in text, name


SECRETS = {
    "password": "hunter2-is-secret",
    "url": "https://user:pa55-word-x@host.example/repo.git",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "key": "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJ",
}


@pytest.fixture
def secretive(local_instance: Path) -> tuple[Client, list[str]]:
    """An instance where secrets stand in raw columns that were written past the library."""
    transform = ln.Transform("train", type="script", reference="train.py").save()
    text = f"export AWS_ACCESS_KEY_ID={SECRETS['aws']}\npassword={SECRETS['password']}\nclone {SECRETS['url']}\n"
    run = showcase.make_run(transform, log=text, source=text, patch=text, report=text, status="failed")
    Run.objects.using(run.alias).filter(id=run.id).order_by().update_rows(
        {
            "error": text,
            "git_repository": SECRETS["url"],
            "arguments": ["--password", SECRETS["password"], f"--url={SECRETS['url']}"],
            "params": {"password": SECRETS["password"], "nested": {"api_key": SECRETS["key"]}},
            "external_id": f"password={SECRETS['password']}",
        }
    )
    file = ln.File(b"1", key="a.txt", description=f"see {SECRETS['url']}", run=run).save()
    file.flag(f"password={SECRETS['password']}")
    return Client(open_read_only(local_instance)), ["hunter2-is-secret", "pa55-word-x", SECRETS["aws"], SECRETS["key"]]


def test_no_secret_is_on_any_page(secretive: tuple[Client, list[str]]) -> None:
    client, secrets = secretive
    pages = list(crawl(client, each=4))
    assert len(pages) > 25
    for address, answer in pages:
        shown = answer.text + str(answer.headers)
        assert [one for one in secrets if one in shown] == [] or address.startswith("/raw"), address
        assert client.gate.token not in shown and client.gate.session not in shown


def test_the_token_is_in_no_log(client: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamindb.web.queries.files", lambda *args: 1 / 0)
    with caplog.at_level(0):
        client.get(f"/files?token={client.gate.token}", signed_in=False)
        client.get("/files")
    assert "division" in caplog.text
    assert client.gate.token not in caplog.text and client.gate.session not in caplog.text
