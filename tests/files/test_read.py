"""Where files live, as `path()` tells it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.maintenance import verify


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


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_in_place_whose_name_is_decomposed(instance: Path, is_folder: bool) -> None:
    shelf = Path("shelf", unicodedata.normalize("NFD", "é/Å"))
    shelf.mkdir(parents=True)
    data = shelf / unicodedata.normalize("NFD", "ü.txt")
    data.write_text("decomposed")
    ln.Storage(root="shelf").save()
    file = ln.File(shelf if is_folder else data).save()
    assert file.key == ("é/Å" if is_folder else "é/Å/ü.txt")
    fresh = ln.File.select(id=file.id).one()
    staged = fresh.stage()
    assert (staged / data.name if is_folder else staged).read_text() == "decomposed"
    assert fresh.path().exists() and verify.verify().is_clean
    assert "missing" not in fresh.describe().to_text()


def test_a_key_is_found_in_any_form_of_its_text(instance: Path) -> None:
    file = ln.File(b"x", key="d/é.txt", run=ln.Run(transform=ln.Transform(name="t"))).save()
    text = unicodedata.normalize("NFD", "d/é.txt")
    assert text != file.key
    for found in (
        ln.File.select(key=text),
        ln.File.select(key__in=["other", text]),
        ln.File.select(key__startswith=text[:4]),
        ln.File.select(ln.Q(key__endswith=text[2:]) & ln.Q(size=1)),
    ):
        assert found.one() == file
    assert ln.Run.select(outputs=text).one() == ln.Run.select(outputs__key=text).one() == file.run
    assert ln.File.select().exclude(key=text).count() == 0
