"""A save of very many goes part by part, and ends as if it had been one part; it needs no memory beside its list."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database as database_rows
from lamindb.errors import DatabaseError, HashExistsError, ViewConflictError
from lamindb.files import save, view_sync
from lamindb.models import File
from lamindb.models import rows as raw_rows
from tests.support import depth


def in_parts_of(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(save, "BATCH", number)
    monkeypatch.setattr(database_rows, "AT_ONCE", number)


def prepare() -> list[ln.File]:
    """Save some files, and make a list of all that a save can be asked for."""
    for key, data in (("old.csv", b"old"), ("same.csv", b"same"), ("moved.txt", b"moved")):
        ln.File(data, key=key).save()
    ln.File(b"keyless", name="keyless").save()
    moved = ln.File.select(key="moved.txt").one()
    moved.replace(b"moved on", format="md")
    folder = Path("source/folder")
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / name).write_text(name)
    Path("source/moved.md").write_text("moved on")
    return [
        ln.File(b"1", key="new.csv"),
        ln.File(b"2", key="new.csv"),
        ln.File(b"same", key="same.csv"),
        moved.replace("source/moved.md"),
        ln.File(b"new", key="old.csv"),
        ln.File(b"3", key="new.csv"),
        ln.File(b"keyless", name="other"),
        ln.File(b"once", name="once"),
        ln.File("source/folder", key="folder"),
        ln.File(b"once", name="twice"),
        ln.File(b"3", key="new.csv"),
        ln.File(b"newer", key="old.csv"),
        ln.File(b"last", key="last.csv", description="the last"),
    ]


def seen(file: ln.File) -> tuple[Any, ...]:
    return (
        file.key, file.name, file.suffix, file.version, file.is_latest, file.size, file.hash, file.digest,
        file.is_folder, file.n_files, file.description, file.run_id, file.created_by_id,
    )  # fmt: skip


def rows() -> list[tuple[Any, ...]]:
    return [seen(file) for file in File.objects.order_by("key", "version", "name")]


@pytest.mark.parametrize("number", [1, 2, 3, 5, 100])
def test_parts_end_as_a_whole(instance: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    run = ln.track(ln.Transform(name="maker", type="pipeline"))
    files = prepare()
    in_parts_of(number, monkeypatch)
    ln.save(files)
    assert [seen(file) for file in files] == [seen(File.objects.get(id=file.id)) for file in files]
    assert [(file.key, file.name, file.version, file.is_latest) for file in files] == [
        ("new.csv", "new.csv", 1, False),
        ("new.csv", "new.csv", 2, False),
        ("same.csv", "same.csv", 1, True),
        ("moved.md", "moved.md", 2, True),
        ("old.csv", "old.csv", 2, False),
        ("new.csv", "new.csv", 3, True),
        (None, "keyless", 1, True),
        (None, "once", 1, True),
        ("folder", "folder", 1, True),
        (None, "once", 1, True),
        ("new.csv", "new.csv", 3, True),
        ("old.csv", "old.csv", 3, True),
        ("last.csv", "last.csv", 1, True),
    ]
    assert files[8].n_files == 2
    made = list(File.objects.filter(id__in={file.id for file in files}).order_by("created_at", "id"))
    order = [made.index(files[position]) for position in (0, 1, 5, 7, 8, 11, 12)]
    assert order == sorted(order)
    assert set(run.outputs.values_list("id", flat=True)) == set(File.objects.values_list("id", flat=True))
    shown = {path.name: path.read_bytes() for path in instance.iterdir() if path.is_file()}
    assert shown == {
        "new.csv": b"3", "same.csv": b"same", "moved.md": b"moved on", "old.csv": b"newer", "last.csv": b"last",
    }  # fmt: skip
    assert ln.File(b"9", key="new.csv").save().version == 4


def replaced(key: str, name: str, text: str) -> ln.File:
    """Return the current file of a key with other bytes, and with another suffix, which changes its key."""
    path = Path(name).resolve()
    path.write_text(text)
    return ln.File.select(key=key).one().replace(path)


def moved_after_a_version() -> list[ln.File]:
    return [ln.File(b"2", key="r.txt"), replaced("r.txt", "x.md", "3")]


def version_after_a_move() -> list[ln.File]:
    return [replaced("r.txt", "x.md", "3"), ln.File(b"2", key="r.txt")]


def moved_twice() -> list[ln.File]:
    return [replaced("r.txt", "x.md", "3"), replaced("r.txt", "x.csv", "4")]


def bytes_of_a_version_before() -> list[ln.File]:
    return [ln.File(b"2", key="r.txt"), ln.File(b"1", name="without")]


def bytes_of_a_version_between() -> list[ln.File]:
    return [
        ln.File(b"2", key="r.txt"), ln.File(b"f", key="f"), ln.File(b"3", key="r.txt"), ln.File(b"2", name="without"),
    ]  # fmt: skip


def described_later() -> list[ln.File]:
    return [ln.File(b"2", key="r.txt"), ln.File(b"2", key="r.txt", description="the second")]


@pytest.mark.parametrize("number", [1, 2, 100])
@pytest.mark.parametrize(
    "make",
    [
        moved_after_a_version, version_after_a_move, moved_twice, bytes_of_a_version_before,
        bytes_of_a_version_between, described_later,
    ],
)  # fmt: skip
def test_a_list_ends_as_if_each_were_saved_by_itself(
    instance: Path, monkeypatch: pytest.MonkeyPatch, number: int, make: Callable[[], list[ln.File]]
) -> None:
    def outcome() -> tuple[Any, ...]:
        found = list(File.objects.order_by("created_at", "id"))
        families = {stem: place for place, stem in enumerate(dict.fromkeys(file.stem_id for file in found))}
        shown = {path.name: path.read_bytes() for path in instance.iterdir() if path.is_file()}
        return [(families[file.stem_id], *seen(file)) for file in found], shown

    ln.File(b"1", key="r.txt").save()
    for file in make():
        file.save()
    wanted = outcome()
    for file in File.objects.all():
        file.delete(permanent=True)
    in_parts_of(number, monkeypatch)
    ln.File(b"1", key="r.txt").save()
    files = make()
    ln.save(files)
    assert outcome() == wanted
    assert [seen(file) for file in files] == [seen(File.objects.get(id=file.id)) for file in files]


def test_records_of_one_row_are_equal_and_not_one(instance: Path) -> None:
    ln.File(b"1", key="a.txt").save()
    first, second = files = [ln.File(b"1", key="a.txt"), ln.File(b"1", key="a.txt")]
    ln.save(files)
    assert first == second
    first.description = "only of this record"
    assert second.description is None


def test_a_database_that_fails_after_the_commit_undoes_nothing(
    instance: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ln.File(b"1", key="same.txt").save()
    real = save._write_rows
    files = [ln.File(b"new", key="new.txt"), ln.File(b"1", key="same.txt")]

    def then_fail(*args: Any) -> Any:
        done = real(*args)
        for owner, name in ((File.objects.__class__, "using"), (raw_rows, "rows"), (raw_rows, "values")):
            patched.setattr(owner, name, failing)
        return done

    def failing(*args: Any) -> Any:
        raise DatabaseError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(save, "_write_rows", then_fail)
        ln.save(files)
    assert [file._state.adding for file in files] == [False, False]
    assert "the folder does not show it" in capsys.readouterr().err
    assert File.objects.count() == 2
    assert files[1].digest == File.objects.get(key="same.txt").digest
    assert view_sync.left_behind(context.instance()) == [] and view_sync._unfinished


def test_a_row_that_is_gone_right_after_the_commit_stops_nothing(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ln.File(b"1", key="same.txt").save()
    real = save._write_rows

    def then_delete(*args: Any) -> Any:
        done = real(*args)
        monkeypatch.setattr(save, "_write_rows", real)
        File.objects.get(key="same.txt").delete(permanent=True)
        return done

    monkeypatch.setattr(save, "_write_rows", then_delete)
    ln.save([ln.File(b"1", key="same.txt"), ln.File(b"2", key="other.txt")])
    assert {path.name for path in instance.iterdir() if path.is_file()} == {"other.txt"}


@pytest.mark.parametrize("number", [1, 4, 100])
def test_a_late_refusal_leaves_nothing(instance: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    prepare()
    before = rows()
    in_parts_of(number, monkeypatch)
    files = [ln.File(b"%d" % number, key=f"many/{number}.txt") for number in range(9)]
    files.append(ln.File(b"3", key="many/again.txt"))
    ids = [file.id for file in files]
    monkeypatch.setattr(ln.settings, "upon_file_create_if_hash_exists", "error")
    with pytest.raises(HashExistsError):
        ln.save(files)
    assert rows() == before
    assert [file.id for file in files] == ids
    assert not (instance / "many").exists()
    monkeypatch.setattr(ln.settings, "upon_file_create_if_hash_exists", "warn_return_existing")
    ln.save(files)
    assert [file.version for file in files] == [1] * 10
    assert ids == [file.id for file in files]


@pytest.mark.parametrize("number", [1, 100])
def test_a_key_that_is_the_folder_of_another_is_refused_wherever_it_stands(
    instance: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    in_parts_of(number, monkeypatch)
    files = [ln.File(b"1", key="a/b/c.txt"), ln.File(b"2", key="d.txt"), ln.File(b"3", key="a")]
    for order in (files, files[::-1]):
        with pytest.raises(ViewConflictError, match=r"cannot save both 'a' and 'a/b/c\.txt'"):
            ln.save(order)
    assert not File.objects.exists()


@pytest.mark.parametrize("number", [3, 100])
def test_what_the_view_cannot_show_is_refused_in_any_part(
    instance: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    in_parts_of(number, monkeypatch)
    (instance / "many").mkdir()
    (instance / "many/7.txt").write_text("my own")
    files = [ln.File(b"%d" % number, key=f"many/{number}.txt") for number in range(9)]
    with pytest.raises(ViewConflictError, match=r"many/7\.txt"):
        ln.save(files)
    assert not File.objects.exists()
    assert [path.name for path in (instance / "many").iterdir()] == ["7.txt"]


def test_progress_counts_all_parts(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_parts_of(4, monkeypatch)
    told: list[tuple[int, int]] = []
    files = [ln.File(b"%d" % number, key=f"many/{number}.txt") for number in range(10)]
    save.save_files(files, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 10) for done in range(1, 11)]


@depth.on_one_database(shift=1)
def test_memory_does_not_grow_with_what_is_saved(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside its list, which learns the hashes, a save needs what one part needs, and a word or two for each file."""
    in_parts_of(100, monkeypatch)
    monkeypatch.setattr(ln.settings, "verbosity", 0)

    def beside(folder: str, count: int, text: str) -> int:
        """Save a folder; return how many bytes were in use at most beside those of the list."""
        place = Path(folder)
        place.mkdir(exist_ok=True)
        for number in range(count):
            path = place / f"{number}.txt"
            if text != "unchanged":
                path.write_text(f"{text.removesuffix(' again')} {number}")
                os.utime(path, (1e9, 1e9 + text.endswith("again")))
        tracemalloc.start()
        try:
            files = ln.File.from_dir(place, key=folder)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            ln.save(files)
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()

    texts = ("first", "first again", "unchanged", "other bytes", "yet others")
    beside("warm", 200, "first")
    few = [beside("few", 300, text) for text in texts]
    many = [beside("many", 3_300, text) for text in texts]
    growth = {text: (more - less) / 3_000 for text, more, less in zip(texts, many, few, strict=True)}
    # The interpreter's table of interned names may grow by megabytes in one of the two, but not in both.
    growth["other bytes"] = min(growth["other bytes"], growth.pop("yet others"))
    assert max(growth.values()) < 650, growth
