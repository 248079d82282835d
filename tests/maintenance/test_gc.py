"""Garbage collection removes what nothing needs, and never what a row, the trash, a folder, a run or a writer needs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import ConflictError, IntegrityError, InvalidInputError, StorageError
from lamindb.files import plan
from lamindb.files import save as files_save
from lamindb.maintenance import gc, verify
from lamindb.models import File, FolderMember, SweepMark
from lamindb.storage.base import ObjectName
from lamindb.storage.local import LocalStore


def save(key: str, data: bytes = b"ACGT") -> File:
    return ln.File(data, key=key).save()


def sweep(**options: Any) -> gc.SweepReport:
    return gc.sweep(**{"dry_run": False, "grace_seconds": 0, **options})


def objects() -> set[str]:
    return {name.digest + name.suffix for name, _ in context.instance().store.list()}


def test_only_what_nothing_needs_is_removed(instance: Path) -> None:
    Path("src").mkdir()
    Path("src/member.txt").write_bytes(b"member")
    ln.track(ln.Transform(name="t"))
    save("a.txt", b"first")
    save("a.txt", b"second")
    save("trash.txt", b"trash").delete()
    ln.File("src", key="kept").save()
    ln.finish()
    orphan = save("orphan.txt", b"orphan")
    orphan.delete(permanent=True)
    before = objects()
    dry = gc.sweep(grace_seconds=0)
    assert dry.is_dry_run and dry.objects == (f"{orphan.digest}.txt",) and dry.n_bytes == 6
    assert objects() == before
    report = sweep()
    assert report.objects == dry.objects and not report.is_dry_run
    assert before - objects() == {f"{orphan.digest}.txt"}
    assert verify.verify().is_clean
    assert sweep().objects == ()
    assert "1 objects with 6 bytes removed" in str(report)


def test_shared_bytes_stay_while_anything_needs_them(instance: Path) -> None:
    one, other = save("one.txt"), save("other.txt")
    one.delete(permanent=True)
    assert sweep().objects == ()
    assert other.stage().read_bytes() == b"ACGT"
    other.delete(permanent=True)
    assert len(sweep().objects) == 1


def test_the_same_bytes_with_another_suffix_are_another_object(instance: Path) -> None:
    save("a.txt")
    save("a.csv").delete(permanent=True)
    assert [name[64:] for name in sweep().objects] == [".csv"]
    assert verify.verify().is_clean


def test_members_stay_while_one_folder_needs_them(instance: Path) -> None:
    for name in ("one", "two"):
        Path(name).mkdir()
        Path(name, "shared").write_bytes(b"shared")
        Path(name, name).write_bytes(name.encode())
    one, _ = ln.File("one", key="one").save(), ln.File("two", key="two").save()
    one.delete(permanent=True)
    assert len(sweep().objects) == 2
    assert verify.verify().is_clean
    assert FolderMember.objects.count() == 2


def test_a_folder_deleted_with_its_bytes_is_gone_at_once(instance: Path) -> None:
    Path("src").mkdir()
    Path("src/member").write_bytes(b"member")
    Path("src/shared").write_bytes(b"shared")
    save("shared", b"shared")
    ln.File("src", key="folder").save().delete(storage=True)
    assert len(objects()) == 1
    assert verify.verify().is_clean


def test_bytes_of_a_deleted_file_that_others_need_stay(instance: Path) -> None:
    one, other = save("one.txt"), save("other.txt")
    one.delete(storage=True)
    assert other.stage().read_bytes() == b"ACGT"


def test_young_objects_are_left_alone(local_instance: Path) -> None:
    young = save("a.txt")
    young.delete(permanent=True)
    report = sweep(grace_seconds=3600)
    assert report.objects == () and report.n_young == 1
    assert "1 too young" in str(report)
    with pytest.raises(InvalidInputError):
        sweep(grace_seconds=-1)


def test_what_dead_writers_left_goes(local_instance: Path) -> None:
    from lamindb.storage.object_folder import this_writer

    writer = this_writer()
    folder = local_instance / ".lamindb/incoming"
    dead = folder / f"{writer.machine}.{writer.pid}.{writer.start - 1}.0"
    alive = folder / f"{writer.prefix}.900"
    elsewhere = folder / "elsewhere.0123456789ab.1.1.0"
    for path in (dead, alive, elsewhere):
        path.write_bytes(b"half")
    assert gc.sweep().incoming == (dead.name,)
    assert dead.exists()
    assert sweep().incoming == (dead.name,)
    assert not dead.exists() and alive.exists() and elsewhere.exists()


def test_two_do_not_run_at_once(instance: Path) -> None:
    with gc._alone(context.instance()):
        from concurrent.futures import ThreadPoolExecutor

        from django.db import connections

        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(sweep)
            with pytest.raises(ConflictError, match="another garbage collection"):
                other.result()
            pool.submit(connections.close_all).result()
    assert sweep().objects == ()


# --- beside writers: each step of one between the steps of the other ---


def orphan(data: bytes = b"ACGT") -> ObjectName:
    file = save("orphan.txt", data)
    file.delete(permanent=True)
    return ObjectName(file.digest, file.suffix)


def test_a_writer_that_reuses_a_marked_object_takes_the_mark_away(instance: Path) -> None:
    name = orphan()
    gc._mark(context.instance(), [name])
    assert SweepMark.objects.get().digest == name.digest
    save("new.txt")
    assert not SweepMark.objects.exists()
    assert gc._remove_marked(context.instance(), [name]) == []
    assert verify.verify().is_clean


def test_a_writer_stores_again_what_was_removed_before_its_row(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = orphan()
    real, calls = files_save._write_rows, []

    def late(*args: Any) -> Any:
        if not calls:
            calls.append(sweep().objects)
        return real(*args)

    monkeypatch.setattr(files_save, "_write_rows", late)
    file = save("new.txt")
    assert calls == [(name.digest + name.suffix,)]
    assert file.stage().read_bytes() == b"ACGT"
    assert not SweepMark.objects.exists()
    assert verify.verify().is_clean


def test_a_row_that_comes_after_the_mark_is_seen(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan()
    real, calls = gc._remove_marked, []

    def late(instance: Any, names: Any) -> Any:
        if not calls:
            calls.append(save("new.txt"))
        return real(instance, names)

    monkeypatch.setattr(gc, "_remove_marked", late)
    assert sweep().objects == ()
    assert calls[0].stage().read_bytes() == b"ACGT"


def test_a_mark_that_a_dead_collection_left_is_harmless(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = orphan()
    real = gc._remove_marked

    class Died(Exception):
        pass

    def die(instance: Any, names: Any) -> Any:
        instance.store.delete(name)
        raise Died

    monkeypatch.setattr(gc, "_remove_marked", die)
    with pytest.raises(Died):
        sweep()
    monkeypatch.setattr(gc, "_remove_marked", real)
    assert SweepMark.objects.count() == 1
    assert save("new.txt").stage().read_bytes() == b"ACGT"
    assert not SweepMark.objects.exists()


def test_a_writer_gives_up_after_some_times_and_says_so(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def always(*args: Any) -> None:
        raise plan.Swept("x")

    monkeypatch.setattr(plan, "claim", always)
    with pytest.raises(StorageError, match="garbage collection"):
        save("a.txt")
    assert File.objects.count() == 0


def test_an_object_of_a_run_that_is_swept_before_its_row_is_stored_again(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lamindb.db import database

    real, removed = database.writing, []

    def late(alias: str) -> Any:
        if not removed:
            removed.append("")
            removed[:] = sweep().objects
        return real(alias)

    with monkeypatch.context() as patch:
        patch.setattr(database, "writing", late)
        run = ln.track(ln.Transform(name="t"))
    assert removed
    assert run.environment_digest is not None
    ln.finish()
    assert verify.verify().is_clean


def test_a_failure_while_removing_leaves_nothing_wrong(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {orphan(data).digest: data for data in (b"1", b"2")}
    real, calls = LocalStore.delete, []

    def fail(self: LocalStore, name: ObjectName) -> bool:
        calls.append(name)
        if len(calls) == 2:
            raise StorageError("the disk failed")
        return real(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "delete", fail)
        with pytest.raises(StorageError):
            sweep()
    assert verify.verify().is_clean
    assert save("again.txt", contents[calls[0].digest]).stage().read_bytes() == contents[calls[0].digest]
    assert sweep().objects == (calls[1].digest + calls[1].suffix,)


def test_what_was_taken_over_is_young_by_its_links(local_instance: Path) -> None:
    path = local_instance / "old.txt"
    path.write_bytes(b"old")
    os.utime(path, (time.time() - 1e6,) * 2)
    ln.File(path).save().delete(permanent=True)
    assert sweep(grace_seconds=3600).n_young == 1


def _ten_files() -> None:
    for number in range(12):
        save(f"n/{number}.txt", str(number).encode())


def _forget_all_rows(instance: Path) -> None:
    """Let the database be as it was before anything was saved."""
    FolderMember.objects.all().delete_rows()
    File.objects.all().delete_rows()


@pytest.mark.parametrize("mode", ["auto", "copy"])
def test_objects_that_the_folder_shows_and_the_database_lost_are_said_and_kept(
    tmp_path: Path, database: str | None, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=database, view=mode)
    _ten_files()
    save("gone.txt", b"gone").delete(permanent=True)
    before = objects()
    _forget_all_rows(tmp_path / "mydata")
    report = sweep()
    assert report.objects == () and len(report.lost) == 12
    assert objects() == before
    found = verify.verify()
    assert not found.is_clean and set(found.lost) == set(report.lost)
    assert "not recorded" in str(found) and "no object was removed" in str(report)
    assert len(gc.sweep(grace_seconds=0).lost) == 12
    _ten_files()
    assert verify.verify().is_clean
    assert len(sweep().objects) == 1


def test_a_shown_object_without_a_row_stays_though_it_is_only_one(local_instance: Path) -> None:
    file = save("a.txt")
    _forget_all_rows(local_instance)
    assert sweep().objects == ()
    assert verify.verify().is_clean
    (local_instance / "a.txt").unlink()
    assert sweep().objects == (f"{file.digest}.txt",)


def test_nothing_is_removed_by_a_database_without_the_own_storage(instance: Path) -> None:
    save("a.txt").delete(permanent=True)
    before = objects()
    alias = context.instance().alias
    ln.Storage.objects.using(alias).all().delete_rows()
    for dry_run in (True, False):
        with pytest.raises(IntegrityError, match="lamin restore"):
            sweep(dry_run=dry_run)
    with pytest.raises(IntegrityError, match="lamin restore"):
        gc.sweep_objects(context.instance(), [name for name, _ in context.instance().store.list()])
    assert objects() == before
