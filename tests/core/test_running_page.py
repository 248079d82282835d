"""The note of a running page: an address without a token, from a file that may be anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context, paths, running_page


@pytest.fixture
def note() -> Path:
    found = running_page.write("abcdefgh", 8791, "/proxy/x")
    assert found is not None
    return found


def test_the_address_of_a_page_that_runs(note: Path) -> None:
    assert running_page.address("abcdefgh", "/files/1") == "http://127.0.0.1:8791/proxy/x/files/1"
    assert running_page.address("other123", "/files/1") is None
    assert "token" not in note.read_text()
    assert note.stat().st_mode & 0o077 == 0


def test_the_note_goes_with_its_process_only(note: Path) -> None:
    values = json.loads(note.read_text())
    running_page.remove(note)
    assert not note.exists()
    values["process"]["started"] = "1"
    note.write_text(json.dumps(values))
    running_page.remove(note)
    assert note.exists()
    assert running_page.address("abcdefgh", "/") is None, "that process is gone"


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 0}, {"port": 70_000}, {"port": "8791"}, {"port": True}, {"port": None}, {"prefix": "//evil.example"},
        {"prefix": "@evil.example"}, {"prefix": 1}, {"prefix": "/a\n"}, {"process": None}, {"process": {}},
        {"process": []},
    ],
)  # fmt: skip
def test_a_note_that_says_something_else_is_none(note: Path, changes: dict[str, Any]) -> None:
    note.write_text(json.dumps({**json.loads(note.read_text()), **changes}))
    assert running_page.address("abcdefgh", "/") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\0" * 5_000])
def test_a_note_that_is_damaged_is_none(note: Path, text: str) -> None:
    note.write_text(text)
    assert running_page.address("abcdefgh", "/") is None


def test_a_link_or_a_pipe_in_its_place_is_none(note: Path, tmp_path: Path) -> None:
    text = note.read_text()
    (tmp_path / "elsewhere").write_text(text)
    note.unlink()
    note.symlink_to(tmp_path / "elsewhere")
    assert running_page.address("abcdefgh", "/") is None
    note.unlink()
    os.mkfifo(note)
    assert running_page.address("abcdefgh", "/") is None


@pytest.mark.parametrize("instance_id", ["", "../x", "a/b", "a" * 65])
def test_an_id_that_could_lead_elsewhere_has_no_note(instance_id: str) -> None:
    assert running_page.write(instance_id, 1, "") is None
    assert running_page.address(instance_id, "/") is None


@pytest.mark.usefixtures("local_instance")
def test_describe_and_view_lineage_tell_the_address(capfd: pytest.CaptureFixture[str]) -> None:
    file = ln.File(b"1", key="a.txt").save()
    file.describe()
    assert "127.0.0.1" not in capfd.readouterr().err
    note = running_page.write(context.instance().id, 8791, "")
    assert note is not None and paths.data_folder() in note.parents
    file.describe()
    assert f"this is also at http://127.0.0.1:8791/files/{file.id}\n" in capfd.readouterr().err
    file.view_lineage()
    assert f"this is also at http://127.0.0.1:8791/files/{file.id}/lineage\n" in capfd.readouterr().err
