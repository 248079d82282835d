"""Records that are kept and used again after something else happened to their file. On both databases."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.errors import ConflictError, InvalidInputError, KeyExistsError, ReferencedError


def test_a_refused_rename_leaves_the_name(instance: Path) -> None:
    ln.File(b"1", key="taken.csv").save()
    file = ln.File(b"2", key="b.csv").save()
    file.key = "taken.csv"
    with pytest.raises(KeyExistsError):
        file.save()
    assert file.name == "b.csv"
    file.key = "b.csv"
    file.save()
    assert ln.File.select(key="b.csv").one().name == "b.csv"


def test_a_key_that_is_set_before_the_first_save_counts(instance: Path) -> None:
    file = ln.File(b"1", key="a.csv")
    file.key = "folder/b.csv"
    file.save()
    assert (file.key, file.name) == ("folder/b.csv", "b.csv")
    assert [found.key for found in ln.File.select()] == ["folder/b.csv"]
    assert (instance / "folder/b.csv").read_bytes() == b"1"
    assert not (instance / "a.csv").exists()


def test_a_keyless_file_takes_the_key_that_is_set_before_its_save(instance: Path) -> None:
    file = ln.File(b"1", name="mine")
    file.key = "../outside"
    with pytest.raises(InvalidInputError):
        file.save()
    file.key = "inside.bin"
    file.save()
    assert ln.File.select(key="inside.bin").one().name == "mine"


def test_a_key_that_is_set_after_replace_counts(instance: Path, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"22")
    file = ln.File(b"1", key="a.csv").save()
    file.replace(tmp_path / "x.txt")
    file.key = "b.txt"
    file.save()
    assert (file.key, file.name, file.version) == ("b.txt", "b.txt", 2)
    assert {version.key for version in file.versions} == {"b.txt"}
    assert sorted(path.name for path in instance.iterdir()) == [".lamindb", "b.txt"]


def test_a_file_in_the_root_that_gets_another_key_before_its_save_is_copied(instance: Path) -> None:
    source = instance / "raw.csv"
    source.write_bytes(b"1")
    file = ln.File(source)
    file.key = "named.csv"
    file.save()
    assert [found.key for found in ln.File.select()] == ["named.csv"]
    assert source.stat().st_nlink == 1


def test_a_file_that_stays_in_place_keeps_its_key(instance: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/a.csv").write_bytes(b"1")
    ln.Storage(root=tmp_path / "more").save()
    file = ln.File(tmp_path / "more/a.csv")
    file.key = "b.csv"
    with pytest.raises(InvalidInputError, match="stays where it is"):
        file.save()
    assert not ln.File.select().count()


def test_a_restored_file_whose_key_was_taken_is_current_under_a_new_one(instance: Path) -> None:
    file = ln.File(b"1", key="a.csv").save()
    file.delete()
    ln.File(b"2", key="a.csv").save()
    file.restore()
    with pytest.raises(ConflictError, match="no current version"):
        file.replace(b"3").save()
    file = ln.File.objects.get(id=file.id)
    file.key = "b.csv"
    file.save()
    assert ln.File.select(key="b.csv").one() == file
    assert file.is_latest
    assert (instance / "b.csv").read_bytes() == b"1"
    assert file.replace(b"3").save().version == 2


def test_what_was_removed_for_good_elsewhere_says_so(instance: Path) -> None:
    file = ln.File(b"1", key="a.csv").save()
    ln.File.objects.get(id=file.id).delete(permanent=True)
    with pytest.raises(ConflictError, match="deleted for good"):
        file.delete()
    with pytest.raises(ConflictError, match="deleted for good"):
        file.delete(permanent=True)


@pytest.mark.parametrize("change", ["purge", "rename", "trash"])
def test_reading_an_old_record_brings_nothing_back_into_the_view(instance: Path, change: str) -> None:
    file = ln.File(b"1", key="a.csv").save()
    other = ln.File.objects.get(id=file.id)
    if change == "rename":
        other.key = "b.csv"
        other.save()
    else:
        other.delete(permanent=change == "purge")
    assert file.stage().read_bytes() == b"1"
    assert file.path().read_bytes() == b"1"
    assert not (instance / "a.csv").exists()
    ln.File(b"2", key="a.csv").save()


def test_a_run_that_was_deleted_meanwhile_is_a_conflict(instance: Path) -> None:
    run = ln.Run(transform=ln.Transform(name="gone")).save()
    file = ln.File(b"1", key="a.csv", run=run)
    ln.Run.objects.get(id=run.id).delete()
    with pytest.raises(ConflictError, match="deleted meanwhile"):
        file.save()
    assert not ln.File.select().count()


def test_threads_that_save_one_record_get_one_file(instance: Path) -> None:
    failures: list[BaseException] = []

    def save(file: ln.File, start: threading.Barrier) -> None:
        start.wait()
        try:
            file.save()
        except BaseException as error:
            failures.append(error)

    for number in range(10):
        file = ln.File(bytes(200_000) + str(number).encode(), key=f"{number}.bin")
        start = threading.Barrier(4)
        threads = [threading.Thread(target=save, args=(file, start)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert ln.File.select().count() == 10


def test_replace_takes_an_edited_file_of_the_view(instance: Path) -> None:
    file = ln.File(b"1", key="a.csv").save()
    (instance / "a.csv").unlink()
    (instance / "a.csv").write_bytes(b"22")
    file.replace(instance / "a.csv").save()
    assert [version.stage().read_bytes() for version in file.versions] == [b"1", b"22"]
    assert (instance / "a.csv").read_bytes() == b"22"


def test_replace_leaves_a_file_that_stays_in_place(instance: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/a.csv").write_bytes(b"1")
    ln.Storage(root=tmp_path / "more").save()
    file = ln.File(tmp_path / "more/a.csv").save()
    with pytest.raises(InvalidInputError, match="stays where it is"):
        file.replace(b"22")
    assert file.save().stage().read_bytes() == b"1"


def test_a_key_can_be_dropped_while_replacing(instance: Path) -> None:
    file = ln.File(b"1", key="a.csv").save()
    file.key = None
    file.replace(b"22").save()
    assert [version.key for version in file.versions] == [None, None]
    assert [path.name for path in instance.iterdir()] == [".lamindb"]


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "é" * 200, "..", ".", "a\\b"])
def test_names_that_no_disk_takes_can_be_read_back(instance: Path, name: str) -> None:
    file = ln.File(b"a\n1\n", name=name).save()
    assert file.stage().read_bytes() == b"a\n1\n"
    assert file.stage().suffix == file.suffix


def test_deleting_several_is_all_or_nothing(instance: Path) -> None:
    reader = ln.Run(transform=ln.Transform(name="reads")).save()
    files = [ln.File(bytes([number]), key=f"{number}.bin").save() for number in range(3)]
    reader.inputs.append(files[1])
    with pytest.raises(ReferencedError):
        ln.delete(files, permanent=True)
    assert ln.File.select().count() == 3
    assert [file.is_trashed for file in files] == [False] * 3
    ln.delete(files)
    assert ln.File.select().count() == 0
    assert [file.is_trashed for file in files] == [True] * 3
    assert not list(instance.glob("*.bin"))
    ln.delete([files[0], files[2]], permanent=True)
    assert ln.File.objects.count() == 1


def test_saving_an_older_record_changes_only_what_was_set(instance: Path) -> None:
    file = ln.File(b"1", key="a.csv").save()
    older = ln.File.objects.get(id=file.id)
    file.description = "said here"
    file.key = "b.csv"
    file.save()
    older.name = "named there"
    older.save()
    stored = ln.File.objects.get(id=file.id)
    assert (stored.key, stored.name, stored.description) == ("b.csv", "named there", "said here")
    assert (older.key, older.description) == ("b.csv", "said here")
    assert (instance / "b.csv").exists()
    assert not (instance / "a.csv").exists()


def test_saving_an_older_run_leaves_its_status(instance: Path) -> None:
    transform = ln.Transform(name="pipeline", type="pipeline")
    with ln.track(transform) as run:
        older = ln.Run.objects.get(id=run.id)
        older_transform = ln.Transform.objects.get(id=transform.id)
    transform.description = "said here"
    transform.save()
    older_transform.name = "renamed"
    older_transform.save()
    older.name = "named there"
    older.save()
    stored = ln.Run.objects.get(id=run.id)
    assert (stored.name, stored.status) == ("named there", "completed")
    assert stored.finished_at is not None
    assert (stored.transform.name, stored.transform.description) == ("renamed", "said here")


def test_a_field_that_was_only_read_is_not_written(instance: Path) -> None:
    file = ln.File(b"1", key="a.csv").save()
    older = ln.File.objects.defer("description").get(id=file.id)
    assert older.description is None
    file.description = "said here"
    file.save()
    older.name = "named there"
    older.save()
    assert ln.File.objects.get(id=file.id).description == "said here"


def test_a_rename_takes_a_version_along_that_another_process_just_saved(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lamindb.files import rename

    file = ln.File(b"1", key="a.csv").save()
    look = rename._leaving

    def look_too_early(*args: object) -> object:
        found = look(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(rename, "_leaving", look)
        ln.File(b"2", key="a.csv").save()
        return found

    monkeypatch.setattr(rename, "_leaving", look_too_early)
    file.key = "b.csv"
    file.save()
    assert not (instance / "a.csv").exists()
    assert (instance / "b.csv").read_bytes() == b"2"
    ln.File(b"3", key="a.csv").save()


def test_a_version_whose_file_moves_before_it_is_shown_leaves_nothing_behind(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lamindb.files import view_sync

    first = ln.File(b"1", key="a.csv").save()
    show = view_sync.show

    def show_too_late(*args: object) -> None:
        monkeypatch.setattr(view_sync, "show", show)
        first.key = "b.csv"
        first.save()
        show(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(view_sync, "show", show_too_late)
    ln.File(b"2", key="a.csv").save()
    assert not (instance / "a.csv").exists()
    assert (instance / "b.csv").read_bytes() == b"2"
    ln.File(b"3", key="a.csv").save()
