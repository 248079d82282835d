"""Stored bytes in a browser: they are shown or saved, and have no rights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.setup.read_only import open_read_only
from lamindb.web.responses import RAW_POLICY
from tests.support import showcase
from tests.support.web import Client
from tests.web.conftest import Made

SCRIPT = b"<script>alert(1)</script>"


@pytest.fixture
def raw_client(local_instance: Path) -> Client:
    return Client(open_read_only(local_instance))


@pytest.mark.parametrize(
    ("suffix", "content_type", "how"),
    [
        (".html", "text/html; charset=utf-8", "inline"),
        (".svg", "image/svg+xml", "inline"),
        (".png", "image/png", "inline"),
        (".txt", "text/plain; charset=utf-8", "inline"),
        (".csv", "text/plain; charset=utf-8", "inline"),
        (".xhtml", "application/octet-stream", "attachment"),
        (".xml", "application/octet-stream", "attachment"),
        (".pdf", "application/octet-stream", "attachment"),
        (".js", "application/octet-stream", "attachment"),
        (".swf", "application/octet-stream", "attachment"),
        (".html.gz", "application/octet-stream", "attachment"),
        ("", "application/octet-stream", "attachment"),
    ],
)
def test_types_come_from_a_list(raw_client: Client, suffix: str, content_type: str, how: str) -> None:
    file = ln.File(SCRIPT, key=f"x/page{suffix}").save()
    answer = raw_client.get(f"/raw/{file.id}/anything.html")
    assert (answer.status, answer.body) == (200, SCRIPT)
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"].startswith(f"{how};")
    assert answer.headers["Content-Security-Policy"] == RAW_POLICY
    assert answer.headers["Content-Length"] == str(len(SCRIPT))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    saved = raw_client.get(f"/raw/{file.id}/x?save=1")
    assert saved.headers["Content-Type"] == "application/octet-stream"
    assert saved.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize("name", [one for one in showcase.HOSTILE if len(one) < 200])
def test_a_name_stays_within_its_header(raw_client: Client, name: str) -> None:
    file = ln.File(SCRIPT, key=f"x/{name.replace('/', '_').strip()}.bin").save()
    header = raw_client.get(f"/raw/{file.id}/x").headers["Content-Disposition"]
    assert header.isascii() and header.isprintable()
    assert header.startswith("attachment; filename*=UTF-8''")
    assert not set("\"';, /\\<>") & set(header.partition("''")[2])


def test_unchanged_bytes_are_not_sent_again_and_only_to_who_may_see_them(client: Any, usual: Made) -> None:
    path = f"/raw/{usual.files['figure']}/x.png"
    answer = client.get(path)
    again = client.get(path, if_none_match=answer.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert client.get(path, signed_in=False, if_none_match=answer.headers["ETag"]).status == 401
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_damaged_and_missing_bytes_are_an_error_page(local_instance: Path, raw_client: Client) -> None:
    file = ln.File(b"right bytes", key="a.txt").save()
    (stored,) = (local_instance / ".lamindb/objects").rglob("*.txt")
    stored.chmod(0o644)
    stored.write_bytes(b"wrong bytes")
    answer = raw_client.get(f"/raw/{file.id}/a.txt")
    assert answer.status == 409 and b"wrong" not in answer.body and "lamin verify" in answer.text
    assert str(local_instance) not in answer.text
    stored.unlink()
    assert raw_client.get(f"/raw/{file.id}/a.txt").status == 409
    assert "stored bytes are missing" in raw_client.get(f"/files/{file.id}").text


def test_a_folder_has_no_bytes_of_its_own(local_instance: Path, raw_client: Client, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.txt").write_text("1")
    folder = ln.File(tmp_path / "d", key="d").save()
    assert raw_client.get(f"/raw/{folder.id}/d").status == 404
    assert "a.txt" in raw_client.get(f"/files/{folder.id}/preview").text.replace("<wbr>", "")


def test_what_is_stored_with_a_run(client: Any, usual: Made) -> None:
    run = usual.runs["train"]
    report = client.get(f"/raw/runs/{run}/report")
    assert report.headers["Content-Type"] == "text/html; charset=utf-8"
    assert report.headers["Content-Security-Policy"] == RAW_POLICY
    assert client.get(f"/raw/runs/{run}/log").headers["Content-Type"] == "text/plain; charset=utf-8"
    assert client.get(f"/raw/runs/{run}/source_digest").status == 404
    assert client.get(f"/raw/runs/{usual.runs['failed']}/report").status == 404
    page = client.get(f"/runs/{run}/report").text
    assert "<iframe" in page and " sandbox " in page and "allow-" not in page
