"""Where files live, as `path()` tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln


def save_folder(text: str) -> ln.File:
    folder = Path("src")
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "sub" / "a.txt").write_text(text)
    return ln.File(folder, key="results").save()


def test_the_path_of_an_older_folder_is_a_folder(local_instance: Path) -> None:
    save_folder("old")
    new = save_folder("new")
    old = new.versions[0]
    assert new.path() == local_instance / "results"
    assert old.path().name == "results"
    assert {version.version: (version.path() / "sub" / "a.txt").read_text() for version in (old, new)} == {
        1: "old",
        2: "new",
    }
    assert (old.stage() / "sub" / "a.txt").read_text() == "old"


def test_without_a_view_the_path_of_a_folder_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./data", view="none")
    file = save_folder("x")
    assert [path.name for path in file.path().iterdir()] == ["sub"]
    assert (file.path() / "sub" / "a.txt").read_text() == "x"
