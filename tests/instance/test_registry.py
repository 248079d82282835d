"""The registry: private, shared by processes, and never in the way where it is damaged or cannot be written."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from lamindb.errors import NoInstanceError
from lamindb.instance import config, discovery, registry
from lamindb.instance.registry import Entry
from tests.support.processes import run_python_together


def entry(project: str, **changes: Any) -> Entry:
    values = {"home": f"{project}/x/.lamindb", "id": "id", "name": "x", "root_url": f"{project}/x",
              "database_url": None, "project": project}  # fmt: skip
    return Entry(**(values | changes))


def settings_file() -> Path:
    return Path(os.environ["LAMIN_SETTINGS_DIR"]) / "registry.json"


def make_home(home: Path, instance_id: str = "id") -> Path:
    home.mkdir(parents=True, exist_ok=True)
    config.write(home, config.Description(instance_id, "x", "s", ".", "postgresql://ada@h/n"))
    return home


def test_one_entry_for_each_project() -> None:
    registry.remember(entry("/b"))
    registry.remember(entry("/a"))
    registry.remember(entry("/b", name="y"))
    assert [(e.project, e.name) for e in registry.entries()] == [("/a", "x"), ("/b", "y")]
    registry.forget(project="/a")
    registry.forget(project="/unknown")
    assert [e.project for e in registry.entries()] == ["/b"]
    registry.remember(entry("/c", home="/b/x/.lamindb"))
    registry.forget(home="/b/x/.lamindb")
    assert registry.entries() == []


def test_only_its_owner_can_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        registry.remember(entry("/a", database_url="postgresql://ada:s3cret@h/n"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(settings_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(settings_file().parent.stat().st_mode) == 0o700
    assert "s3cret" not in repr(registry.entries())


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"entries": 3}', '{"entries": [3]}', '{"entries": [{"home": "/x"}]}', "\x00\x01",
        '{"entries": [{"home": 1, "id": 2, "name": 3, "root_url": 4, "database_url": 5, "project": 6}]}',
    ],
)  # fmt: skip
def test_a_damaged_registry_counts_as_empty_with_a_warning(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text(text)
    assert registry.entries() == []
    assert str(settings_file()) in capsys.readouterr().err
    with pytest.raises(NoInstanceError):
        discovery.find(tmp_path)
    assert capsys.readouterr().err.count(str(settings_file())) == 1
    registry.remember(entry("/a"))
    assert [e.project for e in registry.entries()] == ["/a"]


def test_bytes_that_are_no_text_are_damage_too(capsys: pytest.CaptureFixture[str]) -> None:
    settings_file().parent.mkdir(parents=True)
    settings_file().write_bytes(b"\xff\xfe")
    assert registry.entries() == []
    assert "ignored" in capsys.readouterr().err


def test_an_entry_that_cannot_be_read_costs_no_other() -> None:
    registry.remember(entry("/a"))
    raw = json.loads(settings_file().read_text())
    raw["entries"] += [{"home": "/broken"}, {**entry("/b")._asdict(), "added_by_a_newer_version": True}]
    settings_file().write_text(json.dumps(raw))
    assert [e.project for e in registry.entries()] == ["/a", "/b"]


@pytest.mark.parametrize("make", ["file", "parent"])
def test_where_it_cannot_be_written_work_goes_on(make: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / ("file" if make == "file" else "file/settings")))
    registry.remember(entry("/a"))
    registry.forget(project="/a")
    assert registry.entries() == []


def test_without_a_settings_folder_nothing_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.paths, "settings_folder", lambda: None)
    registry.remember(entry("/a"))
    assert registry.entries() == []


def test_an_entry_whose_folder_is_gone_is_not_found(tmp_path: Path) -> None:
    registry.remember(entry(str(tmp_path), home=str(tmp_path / "x" / ".lamindb")))
    assert registry.for_project(tmp_path) is None
    make_home(tmp_path / "x" / ".lamindb")
    assert registry.for_project(tmp_path) == registry.entries()[0]
    assert registry.for_project(tmp_path / "x") is None


def test_an_address_with_its_password_is_given_to_that_instance_only(tmp_path: Path) -> None:
    home = make_home(tmp_path / "x" / ".lamindb", "first")
    registry.remember(entry("/other", home=str(home), id="first"))
    registry.remember(entry("/p", home=str(home), id="first", database_url="postgresql://ada:s3cret@h/n"))
    assert registry.database_url_of(home) == "postgresql://ada:s3cret@h/n"
    make_home(home, "made anew in the same place")
    assert registry.database_url_of(home) is None
    assert registry.database_url_of(tmp_path) is None


def test_processes_that_register_at_the_same_time_lose_nothing() -> None:
    done = run_python_together(
        """
        import sys
        from lamindb.instance import registry
        for i in range(10):
            registry.remember(registry.Entry("/h", "id", "n", "/r", None, f"/p{sys.argv[1]}-{i}"))
        """,
        2,
    )
    assert [one.stderr for one in done] == ["", ""]
    assert len(registry.entries()) == 20
    assert sorted(os.listdir(settings_file().parent)) == ["registry.json", "registry.lock"]
