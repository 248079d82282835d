"""What is recorded is compared with what is stored: all of it, in parts, and so that damage can be healed."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import IntegrityError, InvalidInputError, StorageError
from lamindb.maintenance import findings, gc, verify
from lamindb.models import File, FolderMember
from lamindb.storage.base import Damage, ObjectName
from lamindb.storage.local import LocalStore


def save(key: str, data: bytes = b"ACGT") -> File:
    return ln.File(data, key=key).save()


def object_of(digest: str, root: Path) -> Path:
    [found] = (root / ".lamindb/objects" / digest[:2]).glob(f"{digest}*")
    return found


def damage(path: Path, data: bytes = b"XXXX") -> None:
    """Write into a file as a failing disk would: its times tell nothing."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_sound_instance_is_clean(instance: Path) -> None:
    save("a/one.txt", b"one")
    save("a/one.txt", b"two")
    Path("src").mkdir()
    Path("src/x").write_bytes(b"x")
    ln.File("src", key="folder").save()
    save("gone.txt", b"gone").delete()
    told: list[tuple[int, int]] = []
    report = verify.verify(progress=lambda done, total: told.append((done, total)))
    assert report.is_clean and report.is_complete
    assert (report.checked, report.edited, report.untracked, report.orphans) == (5, (), (), ())
    assert told[-1][0] == 4 and len(told) == 5
    assert json.loads(report.to_json())["is_clean"] is True
    assert str(report).startswith("checked 5 objects")


@pytest.mark.parametrize("quick", [False, True])
def test_missing_and_corrupt_objects_are_named_with_what_needs_them(instance: Path, quick: bool) -> None:
    lost, wrong, short = save("lost.txt", b"lost"), save("wrong.txt", b"right"), save("short.txt", b"long")
    object_of(lost.digest, instance).unlink()
    damage(object_of(wrong.digest, instance), b"wrong")
    damage(object_of(short.digest, instance), b"")
    report = verify.verify(quick=quick)
    assert not report.is_clean
    assert [finding.needed_by for finding in report.missing] == [(f"lost.txt version 1 ({lost.id})",)]
    assert {(finding.kind, *finding.needed_by) for finding in report.corrupt} == {
        ("bytes", f"wrong.txt version 1 ({wrong.id})"),
        ("size", f"short.txt version 1 ({short.id})"),
    }
    assert "is missing, needed by lost.txt" in str(report)


def test_older_versions_and_the_trash_are_compared(local_instance: Path) -> None:
    first = save("a.txt", b"first")
    save("a.txt", b"second")
    trashed = save("b.txt", b"trashed")
    trashed.delete()
    for file in (first, trashed):
        object_of(file.digest, local_instance).unlink()
    assert len(verify.verify().missing) == 2


def test_members_of_folders_are_compared(local_instance: Path) -> None:
    Path("src/deep").mkdir(parents=True)
    Path("src/deep/member.txt").write_bytes(b"member")
    folder = ln.File("src", key="folder").save()
    damage(object_of(FolderMember.objects.get().digest, local_instance), b"remove")
    [finding] = verify.verify().corrupt
    assert finding.needed_by == (f"folder version 1 ({folder.id})",)
    with pytest.raises(IntegrityError):
        folder.stage()


def test_what_belongs_to_runs_is_compared(local_instance: Path) -> None:
    run = ln.track(ln.Transform(name="t"))
    name = run.source_digest or run.environment_digest
    assert name is not None
    ln.finish()
    object_of(name[:64], local_instance).unlink()
    [finding] = verify.verify().missing
    assert finding.needed_by[0].startswith(f"run {run.id}")
    assert verify.verify("some/prefix").is_clean


def test_files_in_place_are_compared(local_instance: Path) -> None:
    root = Path("archive").resolve()
    root.mkdir()
    ln.Storage(root=str(root)).save()
    for name in ("same.bin", "changed.bin", "shorter.bin", "gone.bin"):
        (root / name).write_bytes(name.encode())
        ln.File(root / name).save()
    (root / "folder").mkdir()
    (root / "folder/member").write_bytes(b"1")
    ln.File(root / "folder").save()
    assert verify.verify().is_clean
    damage(root / "changed.bin", b"CHANGED.bin")
    (root / "shorter.bin").write_bytes(b"")
    (root / "gone.bin").unlink()
    (root / "folder/more").write_bytes(b"2")
    report = verify.verify()
    assert [finding.needed_by[0].split()[0] for finding in report.missing] == ["gone.bin"]
    assert {finding.needed_by[0].split()[0] for finding in report.corrupt} == {"changed.bin", "shorter.bin", "folder"}


def test_an_older_version_in_place_is_not_missed(local_instance: Path) -> None:
    root = Path("archive").resolve()
    root.mkdir()
    ln.Storage(root=str(root)).save()
    (root / "a.bin").write_bytes(b"1")
    ln.File(root / "a.bin").save()
    (root / "a.bin").write_bytes(b"22")
    ln.File(root / "a.bin").save()
    assert verify.verify().is_clean


def test_a_prefix_is_a_folder_of_keys(instance: Path) -> None:
    for key in ("a/one.txt", "a/b/two.txt", "ab/three.txt", "A/four.txt", "a_/five.txt", "a"):
        if key != "a":
            save(key, key.encode())
    assert verify.verify("a").checked == 2
    assert verify.verify("a/").checked == 2
    assert verify.verify("a/b").checked == 1
    assert verify.verify("a/one.txt").checked == 1
    assert verify.verify("nothing").checked == 0
    with pytest.raises(InvalidInputError):
        verify.verify("../x")


def test_edits_and_strangers_are_reported_and_are_no_damage(local_instance: Path) -> None:
    save("edited.txt", b"saved")
    save("kept.txt", b"kept")
    (local_instance / "edited.txt").unlink()
    (local_instance / "edited.txt").write_bytes(b"edited")
    (local_instance / "sub").mkdir()
    (local_instance / "sub/stranger.txt").write_bytes(b"stranger")
    orphan = save("orphan.txt", b"orphan")
    orphan.delete(permanent=True)
    (local_instance / ".lamindb/incoming/host.0123456789ab.1.1.0").write_bytes(b"")
    report = verify.verify()
    assert report.is_clean
    assert report.edited == ("edited.txt",)
    assert report.untracked == ("sub/stranger.txt",)
    assert report.orphans == (f"{orphan.digest}.txt",)
    assert report.incoming == ()
    assert verify.verify("sub").untracked == ("sub/stranger.txt",)
    assert verify.verify("edited.txt").edited == ("edited.txt",)


def test_what_dead_writers_left_is_reported(local_instance: Path) -> None:
    from lamindb.storage.object_folder import this_writer

    writer = this_writer()
    left = local_instance / f".lamindb/incoming/{writer.machine}.{writer.pid}.{writer.start - 1}.0"
    left.write_bytes(b"half")
    assert verify.verify().incoming == (left.name,)


def test_it_stops_in_time_and_goes_on_later(instance: Path) -> None:
    for number in range(12):
        save(f"{number}.txt", str(number).encode())
    object_of(File.objects.get(key="3.txt").digest, instance).unlink()
    report = verify.verify(seconds=1e-9)
    assert not report.is_complete and 0 < report.checked < 12
    rounds = 0
    while not report.is_complete:
        before = report.checked
        report = verify.verify(seconds=1e-9, resume=True)
        assert report.checked > before
        rounds += 1
    assert rounds > 1
    assert (report.checked, len(report.missing)) == (12, 1)
    assert verify.verify(resume=True).checked == 12


def test_other_arguments_begin_anew(local_instance: Path) -> None:
    for number in range(12):
        save(f"a/{number}.txt", str(number).encode())
    assert not verify.verify(seconds=1e-9).is_complete
    assert verify.verify(quick=True, resume=True).checked == 12
    assert not verify.verify(seconds=1e-9).is_complete
    (local_instance / ".lamindb/verify.json").write_text("{damaged")
    assert verify.verify(resume=True).checked == 12
    with pytest.raises(InvalidInputError):
        verify.verify(seconds=0)


def interrupt_at(count: int) -> Callable[[int, int], None]:
    def told(done: int, total: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return told


def save_twelve() -> list[str]:
    """Save twelve files; return the names of their objects in the order in which they are looked at."""
    return sorted(save(f"{number}.txt", str(number).encode()).digest for number in range(12))


def test_what_is_interrupted_goes_on_from_there(instance: Path) -> None:
    first, *_, last = save_twelve()
    for digest in (first, last):
        object_of(digest, instance).unlink()
    with pytest.raises(KeyboardInterrupt):
        verify.verify(progress=interrupt_at(6))
    told: list[int] = []
    report = verify.verify(resume=True, progress=lambda done, total: told.append(done))
    assert told == [7, 8, 9, 10, 11, 12]
    assert (report.checked, [one.name[:64] for one in report.missing]) == (12, [first, last])
    assert report.n_bytes == len("".join(str(number) for number in range(12)))
    told.clear()
    verify.verify(resume=True, progress=lambda done, total: told.append(done))
    assert told[0] == 1


def test_what_failed_goes_on_from_there(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = save_twelve()
    sixth = digests[5]
    real = LocalStore.check
    asked: list[str] = []

    def check(store: LocalStore, name: ObjectName, size: int | None, *, quick: bool = False) -> Damage | None:
        asked.append(name.digest)
        if name.digest == sixth and asked.count(sixth) == 1:
            raise StorageError("the disk is gone")
        return real(store, name, size, quick=quick)

    monkeypatch.setattr(LocalStore, "check", check)
    with pytest.raises(StorageError):
        verify.verify()
    asked.clear()
    asked.append(sixth)
    assert verify.verify(resume=True).checked == 12
    assert sorted(asked[1:]) == digests[5:]


def test_an_interruption_after_the_last_object_repeats_none(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = save_twelve()
    object_of(first, local_instance).unlink()
    (local_instance / "stranger.txt").write_bytes(b"stranger")

    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(findings, "untracked", interrupt)
        with pytest.raises(KeyboardInterrupt):
            verify.verify()
    told: list[int] = []
    report = verify.verify(resume=True, progress=lambda done, total: told.append(done))
    assert told == []
    assert (report.checked, len(report.missing), report.untracked) == (12, 1, ("stranger.txt",))


def test_what_begins_anew_forgets_an_older_pass(local_instance: Path) -> None:
    save_twelve()
    assert not verify.verify(seconds=1e-9).is_complete
    with pytest.raises(KeyboardInterrupt):
        verify.verify(progress=interrupt_at(9))
    told: list[int] = []
    verify.verify(resume=True, progress=lambda done, total: told.append(done))
    assert told[0] == 10
    assert not verify.verify(seconds=1e-9).is_complete
    verify.verify()
    assert not (local_instance / ".lamindb/verify.json").exists()


def test_the_place_is_noted_for_one_that_is_killed(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_twelve()
    monkeypatch.setattr(verify, "_NOTE_SECONDS", 0)
    monkeypatch.setattr(verify, "_NOTE_SHARE", 0)
    noted: list[int | None] = []

    def told(done: int, total: int) -> None:
        work = verify.load(context.instance(), None, False)
        noted.append(work and work["checked"])

    verify.verify(progress=told)
    assert noted == [None, *range(1, 12)]


def test_damage_of_an_object_that_is_looked_at_again_is_told_once(local_instance: Path) -> None:
    object_of(save("a.txt").digest, local_instance).unlink()
    with pytest.raises(KeyboardInterrupt):
        verify.verify(progress=interrupt_at(1))
    note = local_instance / ".lamindb/verify.json"
    values = json.loads(note.read_text())
    assert len(values["work"]["missing"]) == 1
    values["work"].update(cursor=["", ""], checked=0, n_bytes=0)
    note.write_text(json.dumps(values))
    report = verify.verify(resume=True)
    assert (report.checked, len(report.missing)) == (1, 1)


def test_many_pages_of_rows(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamindb.maintenance import reachable

    monkeypatch.setattr(reachable, "_PAGE", 3)
    Path("src").mkdir()
    for number in range(10):
        save(f"{number}.txt", str(number).encode())
        Path(f"src/{number}").write_bytes(f"member {number}".encode())
        # The same bytes with another suffix are another object.
        save(f"{number}.csv", str(number).encode())
    ln.File("src", key="folder").save()
    assert verify.verify().checked == 31


def test_a_quick_look_reads_nothing_that_is_known(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamindb.storage import local

    save("a.txt")
    verify.verify()
    read: list[object] = []
    real = local.digest_file
    monkeypatch.setattr(local, "digest_file", lambda path: read.append(path) or real(path))
    assert verify.verify(quick=True).is_clean
    assert read == []
    assert verify.verify().is_clean
    assert len(read) == 1


def test_saving_the_right_bytes_again_heals(instance: Path) -> None:
    file = save("a.txt", b"right")
    path = object_of(file.digest, instance)
    damage(path, b"wrong")
    assert not verify.verify().is_clean
    with pytest.raises(IntegrityError):
        ln.File.select(key="a.txt").one().stage()
    again = save("a.txt", b"right")
    assert again.id == file.id
    report = verify.verify()
    assert report.is_clean, str(report)
    assert (instance / "a.txt").read_bytes() == b"right"
    # What was written through the link is kept: it may be somebody's work.
    assert (instance / "a.txt.edited-1").read_bytes() == b"wrong"
    path.unlink()
    save("a.txt", b"right")
    assert verify.verify().is_clean


def test_a_damaged_member_is_healed_by_saving_the_folder_again(local_instance: Path) -> None:
    Path("src").mkdir()
    Path("src/member.txt").write_bytes(b"member")
    ln.File("src", key="folder").save()
    path = object_of(FolderMember.objects.get().digest, local_instance)
    path.unlink()
    ln.File("src", key="folder").save()
    assert verify.verify().is_clean
    os.unlink(local_instance / "folder/member.txt")
    damage(path, b"remove")
    ln.File("src", key="folder").save()
    assert verify.verify().is_clean


def test_it_works_where_nothing_can_be_written(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    for number in range(12):
        save(f"{number}.txt", str(number).encode())
    context.set_instance(dataclasses.replace(context.instance(), is_read_only=True))
    report = verify.verify(seconds=1e-9)
    assert not report.is_complete
    assert not (local_instance / ".lamindb/verify.json").exists()
    assert verify.verify(resume=True).checked == 12


def test_a_store_that_fails_is_no_damage(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save("a.txt")

    def fail(*args: object, **options: object) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(LocalStore, "check", fail)
    with pytest.raises(StorageError, match="gone"):
        verify.verify()


def _set_digest(alias: str, file: File, digest: str) -> None:
    File.objects.using(alias).filter(id=file.id).order_by().update_rows({"digest": digest})


def test_an_impossible_row_is_reported_and_does_not_stop_the_rest(instance: Path) -> None:
    impossible, lost, kept = save("bad.txt", b"bad"), save("lost.txt", b"lost"), save("kept.txt", b"kept")
    object_of(lost.digest, instance).unlink()
    _set_digest(context.instance().alias, impossible, "../../etc/passwd")
    report = verify.verify()
    assert not report.is_clean and report.is_complete
    assert [impossible.id in line for line in report.database] == [True]
    assert [finding.needed_by for finding in report.missing] == [(f"lost.txt version 1 ({lost.id})",)]
    with pytest.raises(IntegrityError, match="damaged"):
        gc.sweep(dry_run=False, grace_seconds=0)
    assert object_of(kept.digest, instance).exists() and object_of(impossible.digest, instance).exists()


def test_a_reference_to_nothing_is_reported(instance: Path) -> None:
    file = save("a.txt")
    with database.connection(context.instance().alias).cursor() as cursor:
        off = (
            "PRAGMA foreign_keys=OFF"
            if context.instance().database_url is None
            else "SET session_replication_role = replica"
        )
        cursor.execute(off)
        cursor.execute("UPDATE lamindb_file SET run_id = 'nothing' WHERE id = %s", [file.id])
        cursor.execute(off.replace("OFF", "ON").replace("= replica", "= origin"))
    report = verify.verify()
    assert len(report.database) == 1 and "lamindb_run" in report.database[0]
    assert "the database is damaged" in str(report) and not report.is_clean


def test_a_damaged_page_is_reported(local_instance: Path) -> None:
    for number in range(300):
        save(f"{number}.txt", str(number).encode())
    ln.close()
    path = local_instance / ".lamindb/db.sqlite3"
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    with sqlite3.connect(path) as link:
        [root] = link.execute("SELECT rootpage FROM sqlite_master WHERE name = 'file_digest_suffix'").fetchone()
    link.close()
    data[(root - 1) * size + 20 : root * size - 20] = os.urandom(size - 40)
    path.write_bytes(data)
    ln.connect(local_instance)
    report = verify.verify()
    assert report.database and not report.is_clean
