"""What stands where a file is to appear: ours, the user's own, or the very thing that is being saved."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import ViewConflictError
from lamindb.maintenance import verify
from lamindb.models import File
from lamindb.storage.base import ObjectName


def folder(name: str = "results") -> Path:
    place = Path(name)
    (place / "inner").mkdir(parents=True)
    (place / "a.txt").write_text("a")
    (place / "inner/b.txt").write_text("b")
    return place


def object_path(file: File) -> Path:
    return Path(context.instance().store.object_path(ObjectName(file.digest, file.suffix)))


@pytest.mark.parametrize("damage", ["gone", "flipped", "cut"])
def test_a_folder_whose_list_is_damaged_is_healed_by_saving_it_again(instance: Path, damage: str) -> None:
    place = folder()
    path = object_path(ln.File(place, key="rep").save())
    path.chmod(0o644)
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-3] if damage == "cut" else b"x" + data[1:])
    assert not verify.verify().is_clean
    ln.File(place, key="rep").save()
    assert verify.verify().is_clean
    assert ln.File.select(key="rep").one().version == 1


def test_a_folder_with_work_of_the_users_own_is_never_taken_for_it(instance: Path) -> None:
    place = folder()
    path = object_path(ln.File(place, key="rep").save())
    path.chmod(0o644)
    path.write_bytes(b"")
    (instance / "rep/own.txt").write_text("my own")
    with pytest.raises(ViewConflictError, match="folder with files"):
        ln.File(place, key="rep").save()
    assert (instance / "rep/own.txt").read_text() == "my own"


def test_a_member_that_was_written_over_is_moved_aside_when_it_is_healed(instance: Path) -> None:
    place = folder()
    ln.File(place, key="rep").save()
    shown = instance / "rep/a.txt"
    shown.chmod(0o644)
    shown.write_text("other")
    assert not verify.verify().is_clean
    ln.File(place, key="rep").save()
    assert shown.read_text() == "a"
    assert (instance / "rep.edited-1/a.txt").read_text() == "other"
    assert (instance / "rep/inner/b.txt").read_text() == "b"
    assert verify.verify().is_clean


def test_bytes_that_stand_there_already_are_saved(instance: Path) -> None:
    (instance / "a").mkdir()
    (instance / "a/x.txt").write_text("mine")
    with pytest.raises(ViewConflictError, match="holds something"):
        ln.File(b"other", key="a/x.txt").save()
    file = ln.File(b"mine", key="a/x.txt").save()
    assert (instance / "a/x.txt").read_text() == "mine"
    assert file.stage().read_text() == "mine" and verify.verify().is_clean


def test_a_file_that_was_damaged_while_its_object_is_gone_is_repaired(instance: Path) -> None:
    file = ln.File(b"right", key="x.txt").save()
    (instance / "x.txt").unlink()
    (instance / "x.txt").write_text("wrong")
    with pytest.raises(ViewConflictError, match="holds something"):
        ln.File(b"right", key="x.txt").save()
    object_path(file).unlink()
    assert ln.File(b"right", key="x.txt").save() == file
    assert (instance / "x.txt").read_text() == "right"
    assert (instance / "x.txt.edited-1").read_text() == "wrong"
    assert verify.verify().is_clean


def view(mode: str) -> Path:
    ln.setup.init(storage="./data", view=mode)
    return Path("data").resolve()


@pytest.mark.parametrize("mode", ["auto", "copy", "none"])
def test_a_folder_in_the_storage_is_saved_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.chdir(tmp_path)
    root = view(mode)
    place = folder("data/cells.zarr")
    file = ln.File(place).save()
    assert (file.key, file.n_files) == ("cells.zarr", 2)
    assert verify.verify().is_clean
    assert (root / "cells.zarr/inner/b.txt").read_text() == "b"
    (place / "a.txt").unlink()
    (place / "a.txt").write_text("changed")
    again = ln.File(place).save()
    assert again.version == 2
    assert {path.name: path.read_text() for path in again.stage().rglob("*.txt")} == {"a.txt": "changed", "b.txt": "b"}
    assert verify.verify().is_clean


@pytest.mark.parametrize("mode", ["copy", "none"])
def test_without_links_a_file_in_the_storage_stays_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.chdir(tmp_path)
    root = view(mode)
    path = root / "run.log"
    path.write_text("start\n")
    path.chmod(0o644)
    file = ln.File(path).save()
    assert path.stat().st_ino != object_path(file).stat().st_ino
    assert path.stat().st_mode & 0o200
    with path.open("a") as stream:
        stream.write("more\n")
    assert file.stage(is_run_input=False).read_text() == "start\n"
    assert ln.File(path).save().version == 2
    assert verify.verify().is_clean


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's leases")
def test_a_file_that_is_still_open_for_writing_is_copied(instance: Path) -> None:
    path = context.instance().root_url + "/run.log"
    with open(path, "a") as stream:
        stream.write("start\n")
        stream.flush()
        file = ln.File(path).save()
        stream.write("more\n")
    assert Path(path).read_text() == "start\nmore\n"
    assert file.stage(is_run_input=False).read_bytes() == b"start\n"
    again = ln.File(path).save()
    assert again.version == 2
    assert again.stage(is_run_input=False).read_bytes() == b"start\nmore\n"
    assert verify.verify().is_clean
