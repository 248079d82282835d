"""Older versions come back with what is known of them, and files get the producer that first becomes known."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from lamindb.describe import history
from lamindb.errors import InvalidInputError
from lamindb.maintenance import gc, verify
from tests.support.processes import lamin


def made(key: str, data: bytes, name: str, *, source: ln.File | None = None) -> ln.File:
    with ln.track(ln.Transform(name=name)):
        if source is not None:
            source.stage(is_run_input=True)
        return ln.File(data, key=key).save()


@pytest.fixture
def versions(instance: Path) -> tuple[ln.File, ln.File, ln.File]:
    raw = ln.File(b"raw", key="raw.txt").save()
    first = made("a.txt", b"first", "one", source=raw)
    return raw, first, made("a.txt", b"second", "two")


def test_an_old_version_comes_back_with_its_producer(versions: tuple[ln.File, ln.File, ln.File]) -> None:
    raw, first, second = versions
    third = first.make_current()
    assert (third.version, third.is_latest, third.digest, third.key) == (3, True, first.digest, "a.txt")
    assert third.run == first.run and third in first.run.outputs
    assert third.ancestors().list() == [raw]
    assert third.stage().read_bytes() == b"first"
    assert third.same_as_version == 1 and second.same_as_version is None
    assert [file.is_latest for file in third.versions] == [False, False, True]
    assert third.make_current() == third
    assert "3, current, of 3; = version 1, brought back by" in str(third.describe())
    (event,) = (event for event in history.history() if event.id == third.id)
    assert (event.detail, event.transform, event.run) == ("version 3 = version 1, brought back", None, None)
    assert event.who == third.created_by.handle  # type: ignore[union-attr]
    assert "v3 · = v1, brought back by" in str(third.view_lineage())
    assert gc.sweep(dry_run=False, grace_seconds=0).objects == ()
    assert verify.verify().is_clean


def test_a_folder_comes_back(instance: Path) -> None:
    Path("src/b").mkdir(parents=True)
    Path("src/b/c.txt").write_text("old")
    first = ln.File("src", key="folder").save()
    Path("src/b/c.txt").write_text("new")
    ln.File("src", key="folder").save()
    third = first.make_current()
    assert (third.version, third.digest, third.n_files) == (3, first.digest, 1)
    assert (instance / "folder/b/c.txt").read_text() == "old"
    assert verify.verify().is_clean


def test_what_cannot_come_back_says_why(local_instance: Path) -> None:
    with pytest.raises(InvalidInputError, match="not saved"):
        ln.File(b"x", key="x").make_current()
    first = ln.File(b"one", key="a.txt").save()
    ln.File(b"two", key="a.txt").save()
    first.delete()
    with pytest.raises(InvalidInputError, match="trash"):
        first.make_current()
    Path("archive").mkdir()
    ln.Storage(root="archive").save()
    Path("archive/p.txt").write_text("one")
    placed = ln.File("archive/p.txt").save()
    Path("archive/p.txt").write_text("two")
    ln.File("archive/p.txt").save()
    with pytest.raises(InvalidInputError, match="stays where it is"):
        placed.make_current()


@pytest.mark.parametrize("by", ["bytes", "path", "record", "replace", "replace record"])
def test_bytes_that_are_saved_again_without_a_run_keep_their_producer(
    versions: tuple[ln.File, ln.File, ln.File], by: str
) -> None:
    _, first, second = versions
    if by.startswith("replace"):
        third = second.replace(first if "record" in by else first.stage()).save()
    else:
        data = {"bytes": b"first", "path": first.stage(), "record": first}[by]
        third = ln.File(data, key="a.txt").save()
    assert (third.version, third.digest, third.run) == (3, first.digest, first.run)
    assert third.run is not None and ln.File.select(id=third.id).one().transform == first.transform


def test_a_producer_is_never_taken_from_another_key(versions: tuple[ln.File, ln.File, ln.File]) -> None:
    _, first, _ = versions
    assert ln.File(first, key="other.txt").save().run is None
    assert ln.File(first.stage(), key="third.txt").save().run is None


def test_lamin_revert(local_instance: Path) -> None:
    for text in (b"one", b"two"):
        ln.File(text, key="a.txt").save()
    done = lamin("revert", "a.txt", "--to", "1")
    assert "version 3 of 'a.txt' is version 1, brought back" in done.stderr
    assert (local_instance / "a.txt").read_text() == "one"
    assert "current already" in lamin("revert", "a.txt", "--to", "1").stderr


@pytest.mark.parametrize("count", [1, 25])
def test_the_first_run_that_makes_a_file_becomes_its_producer(instance: Path, count: int) -> None:
    Path("src").mkdir()
    for number in range(count):
        Path(f"src/{number}.txt").write_text(str(number))
    ln.save(ln.File.from_dir("src", key="n"))
    with ln.track(ln.Transform(name="maker")) as run:
        ln.save(ln.File.from_dir("src", key="n"))
    with ln.track(ln.Transform(name="later")):
        ln.save(ln.File.from_dir("src", key="n"))
    files = ln.File.select(key__startswith="n/").list()
    assert len(files) == count
    assert {(file.run, file.transform) for file in files} == {(run, run.transform)}


def test_a_run_that_read_a_file_is_not_its_producer(instance: Path) -> None:
    file = ln.File(b"data", key="a.txt").save()
    derived = made("b.txt", b"derived", "between", source=file)
    for source in (file, derived):
        assert made("a.txt", b"data", "reader", source=source) == file
        assert ln.File.select(id=file.id).one().run is None
    run = made("a.txt", b"data", "maker").producers.last()
    assert ln.File.select(id=file.id).one().run == run


def test_an_output_that_is_added_by_hand_gets_its_producer(instance: Path) -> None:
    file = ln.File(b"data", key="a.txt").save()
    run = ln.Run(transform=ln.Transform(name="t").save()).save()
    run.outputs.append(file)
    assert ln.File.select(id=file.id).one().run == run
