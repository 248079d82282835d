"""Many files saved again: unchanged ones are recognised, and whatever is not as it was is done in full."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.files import unchanged
from lamindb.storage.base import ObjectName


@pytest.fixture
def folder(instance: Path) -> Path:
    """Make a folder of 30 files that are older than the time in which a stat cannot be trusted, and save it once."""
    ln.track(ln.Transform(name="first", type="pipeline"))
    place = Path("data").resolve()
    place.mkdir()
    old = time.time() - 60
    for number in range(30):
        path = place / f"{number:02}.txt"
        path.write_text(f"content {number}")
        os.utime(path, (old, old))
    ln.save(ln.File.from_dir(place, key="d"))
    return place


def again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[ln.File], int]:
    seen: list[int] = []
    original = unchanged.find

    def counting(*args: object) -> object:
        known, rest = original(*args)  # type: ignore[arg-type]
        seen.append(len(known))
        return known, rest

    monkeypatch.setattr(unchanged, "find", counting)
    files = ln.File.from_dir(folder, key="d")
    ln.save(files)
    return files, seen[0]


def test_unchanged_files_become_their_records_and_belong_to_the_new_run_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(ln.File.select().order_by("key"))
    first = ln.context.run
    second = ln.track(ln.Transform(name="second", type="pipeline"))
    files, known = again(folder, monkeypatch)
    assert known == 30
    assert files == before
    assert [f.name for f in files] == [f.name for f in before]
    assert {f.run for f in files} == {first}
    assert [repr(f) for f in files] == [repr(f) for f in before]
    assert list(second.outputs) == before
    assert ln.File.select().count() == 30


def test_what_is_not_as_it_was_is_saved_in_full(folder: Path, instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "00.txt").write_text("changed")
    (instance / "d" / "01.txt").unlink()
    damaged = Path(os.path.realpath(instance / "d" / "02.txt"))
    os.chmod(damaged, 0o644)
    damaged.write_text("damaged!!")
    ln.File.select(key="d/03.txt").one().delete()
    (folder / "new.txt").write_text("new")
    files, known = again(folder, monkeypatch)
    assert known == 26
    assert {f.version for f in files} == {1, 2}
    for file in files:
        assert file.stage().read_bytes() == (folder / file.name).read_bytes()
        assert (instance / str(file.key)).read_bytes() == (folder / file.name).read_bytes()


def test_a_key_that_stands_twice_in_the_list_is_decided_in_order(folder: Path) -> None:
    old = ln.File(folder / "00.txt", key="d/00.txt")
    new = ln.File(b"other", key="d/00.txt")
    rest = ln.File.from_dir(folder, key="d")[1:]
    ln.save([new, old, *rest])
    assert (new.version, old.version) == (2, 3)


def test_a_file_that_was_superseded_meanwhile_is_decided_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = unchanged.find
    done: list[bool] = []

    def superseded(*args: object) -> object:
        result = original(*args)  # type: ignore[arg-type]
        if not done:
            done.append(True)
            ln.File(b"newer", key="d/05.txt").save()
        return result

    monkeypatch.setattr(unchanged, "find", superseded)
    files = ln.File.from_dir(folder, key="d")
    ln.save(files)
    assert files[5].version == 3
    assert ln.File.select(key="d/05.txt").one() == files[5]


def test_an_object_that_is_gone_is_stored_again_while_the_view_and_another_link_have_its_bytes(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = Path("data").resolve()
    place.mkdir()
    for number in range(30):
        (place / f"{number:02}.txt").write_text(f"content {number}")
        os.utime(place / f"{number:02}.txt", (time.time() - 60,) * 2)
    files = ln.File.from_dir(place, key="d")
    ln.save(files)
    first, instance = files[0], ln.context.instance
    path = instance.store.object_path(ObjectName(first.digest, first.suffix))
    os.link(path, Path(path).parent / "another link")
    os.unlink(path)
    _, known = again(place, monkeypatch)
    assert known == 29
    assert Path(path).read_text() == "content 0"
