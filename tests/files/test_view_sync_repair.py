"""What a dead process left between a row and its view is put right by whoever comes next; edits are left alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.files import view_sync
from lamindb.files.view_sync import Left
from lamindb.models import File
from lamindb.setup import lifecycle
from lamindb.storage.base import ObjectName
from lamindb.storage.object_folder import this_writer


def save(key: str, data: bytes = b"ACGT") -> File:
    return ln.File(data, key=key).save()


def die(function: Callable[[], object]) -> None:
    """Run a function in a child that is killed right after it."""
    from django.db import connections

    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            function()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def again(root: Path) -> None:
    lifecycle.close()
    lifecycle.connect(root)


def markers(root: Path) -> list[str]:
    return sorted(path.name for path in (root / ".lamindb/incoming").iterdir() if path.suffix == ".writer")


def test_a_writer_leaves_its_name_while_it_lives(local_instance: Path) -> None:
    save("a.txt")
    assert len(markers(local_instance)) == 1
    assert markers(local_instance)[0].startswith(this_writer().prefix)
    assert view_sync.left_behind(context.instance()) == []
    die(lambda: save("b.txt"))
    assert len(markers(local_instance)) == 2
    assert len(view_sync.left_behind(context.instance())) == 1
    again(local_instance)
    assert len(markers(local_instance)) == 1


def test_a_program_that_ends_leaves_no_name(local_instance: Path) -> None:
    from tests.support.processes import run_python

    run_python("import lamindb as ln; ln.File(b'x', key='x.txt').save()", cwd=local_instance.parent)
    assert markers(local_instance) == []


def test_what_the_view_lacks_is_shown(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamindb.files import view_sync

    save("a.txt", b"old")

    def act() -> None:
        view_sync.show = lambda *args: None  # type: ignore[assignment]
        save("a.txt", b"new")
        save("deep/b.txt", b"b")

    die(act)
    assert (instance / "a.txt").read_bytes() == b"old"
    again(instance)
    assert (instance / "a.txt").read_bytes() == b"new"
    assert (instance / "deep/b.txt").read_bytes() == b"b"


def test_what_left_the_rows_leaves_the_view(instance: Path) -> None:
    renamed, purged, trashed = save("old.txt", b"1"), save("purged.txt", b"2"), save("trashed.txt", b"3")

    def act() -> None:
        view_sync.follow = lambda *args, **options: []  # type: ignore[assignment]
        renamed.key = "new.txt"
        renamed.save()
        purged.delete(permanent=True)
        trashed.delete()

    die(act)
    again(instance)
    assert [path.name for path in instance.iterdir() if path.is_file()] == ["new.txt"]


def test_an_edit_survives_a_repair(instance: Path) -> None:
    save("a.txt", b"saved")

    def act() -> None:
        view_sync.follow = lambda *args, **options: []  # type: ignore[assignment]
        File.objects.get().delete()
        os.unlink(instance / "a.txt")
        (instance / "a.txt").write_bytes(b"edited")

    die(act)
    again(instance)
    assert (instance / "a.txt").read_bytes() == b"edited"


def test_half_a_note_is_passed_over(local_instance: Path) -> None:
    file = save("a.txt")
    writer = this_writer()
    stem = local_instance / f".lamindb/incoming/{writer.machine}.{writer.pid}.{writer.start - 1}.0"
    stem.with_name(stem.name + ".writer").write_bytes(b"")
    stem.with_name(stem.name + ".leaving").write_bytes(b'["a.txt", "xyz", ".txt", false]\n["b.txt", "01')
    again(local_instance)
    assert (local_instance / "a.txt").exists()
    assert view_sync.left_behind(context.instance()) == []
    assert file.stage().read_bytes() == b"ACGT"


def test_a_name_from_elsewhere_counts_as_dead_after_a_week(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = local_instance / ".lamindb/incoming/elsewhere.0123456789ab.1.1.0.writer"
    path.write_bytes(b"")
    assert view_sync.left_behind(context.instance()) == []
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + view_sync.FOREIGN_SECONDS + 60)
    assert view_sync.left_behind(context.instance()) == [path.name]


def test_the_last_to_show_is_not_the_last_to_save(instance: Path) -> None:
    """Another process saves a newer version between our row and our view: the view shows the newer one."""
    old, new = save("a.txt", b"old"), save("a.txt", b"new")
    view = context.instance().view
    view.show("a.txt", ObjectName(old.digest, ".txt"), replaces=ObjectName(new.digest, ".txt"))
    assert view_sync.moved_on(context.instance(), {"a.txt": old.id}) == ["a.txt"]
    assert view_sync.moved_on(context.instance(), {"a.txt": new.id}) == []
    assert view_sync.follow(context.instance(), ["a.txt"]) == []
    assert (instance / "a.txt").read_bytes() == b"new"


def test_a_folder_that_is_half_shown_is_made_whole(local_instance: Path) -> None:
    Path("src").mkdir()
    for name in ("a", "b", "c"):
        Path("src", name).write_bytes(name.encode())
    ln.File("src", key="folder").save()
    (local_instance / "folder/b").unlink()
    assert view_sync.is_ours(context.instance(), "folder")
    assert view_sync.follow(context.instance(), ["folder"]) == []
    assert sorted(path.name for path in (local_instance / "folder").iterdir()) == ["a", "b", "c"]
    (local_instance / "folder/mine").write_bytes(b"mine")
    (local_instance / "folder/c").unlink()
    assert not view_sync.is_ours(context.instance(), "folder")
    assert len(view_sync.follow(context.instance(), ["folder"])) == 1
    assert (local_instance / "folder/mine").read_bytes() == b"mine"


def test_a_key_that_was_left_keeps_what_is_not_ours(local_instance: Path) -> None:
    file = save("a.txt")
    left = [Left("a.txt", ObjectName(file.digest, ".txt"), False)]
    file.delete(permanent=True)
    (local_instance / "a.txt").write_bytes(b"a stranger's")
    assert len(view_sync.follow(context.instance(), ["a.txt"], left=left)) == 1
    assert (local_instance / "a.txt").read_bytes() == b"a stranger's"


def test_a_file_takes_the_place_of_a_folder_and_back(instance: Path) -> None:
    Path("src").mkdir()
    Path("src/x").write_bytes(b"x")
    ln.File("src", key="thing").save()
    save("thing", b"file")
    assert (instance / "thing").read_bytes() == b"file"
    ln.File("src", key="thing").save()
    assert (instance / "thing/x").read_bytes() == b"x"


def test_reading_shows_what_the_view_lacks_or_shows_too_late(instance: Path) -> None:
    old, new = save("a.txt", b"old"), save("a.txt", b"new")
    (instance / "a.txt").unlink()
    assert ln.File.select(key="a.txt").one().stage() == instance / "a.txt"
    context.instance().view.show("a.txt", ObjectName(old.digest, ".txt"), replaces=ObjectName(new.digest, ".txt"))
    assert ln.File.select(key="a.txt").one().stage().read_bytes() == b"new"
    assert (instance / "a.txt").read_bytes() == b"new"
