"""A move that dies in its last steps is ended by the next call, or by whoever opens the old place."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database, migrate
from lamindb.errors import ConflictError
from lamindb.instance import config, move_note, registry
from lamindb.maintenance import verify
from lamindb.models import File, Storage
from lamindb.setup import backup_restore, copy_tables, finish_move, lifecycle, move
from tests.support.processes import lamin

KINDS = ("postgres", "folder", "both")


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, local_instance: Path) -> dict[str, Any]:
    """Name the places to move to."""
    found = {}
    if request.param != "folder":
        found["db"] = request.getfixturevalue("migrated_postgres_url")
    if request.param != "postgres":
        found["storage"] = str(local_instance.parent / "new")
    return found


def home_of(target: dict[str, Any], old: Path) -> Path:
    return (Path(target["storage"]) if "storage" in target else old) / ".lamindb"


def die(where: Any, name: str, act: Callable[[], object]) -> None:
    """Act in another process, which dies when it comes to a function."""
    from django.db import connections

    for known in context.all_connected():
        lifecycle.close_connections(known)
    context.set_instance(None)
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            context.instance()
            setattr(where, name, lambda *args, **options: os._exit(7))
            act()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7, "it did not come there"


def save_some() -> str:
    file = ln.File(b"one", key="one.txt").save()
    ln.File(b"two", key="gone.txt").save()
    return file.id


def is_moved_whole(target: dict[str, Any], old: Path, keys: set[str]) -> None:
    instance = context.instance()
    assert (instance.dialect == "postgresql") == ("db" in target)
    assert instance.root_url == target.get("storage", str(old))
    assert {file.key for file in File.objects.all()} == keys
    assert verify.verify().is_clean
    for key in keys:
        assert ln.File.select(key=key).one().stage().read_bytes()
        assert (Path(instance.root_url) / key).exists()
    location, kind = copy_tables.location_of(instance.root_url, instance.database_url)
    own = Storage.objects.get(id=instance.storage_id)
    assert (own.location, own.type) == (location, kind)
    home = old / ".lamindb"
    assert "db" not in target or not (home / "db.sqlite3").exists()
    assert "storage" not in target or not (home / "instance.toml").exists()
    assert not (home / "moving.json").exists()
    assert (home / "backups/before-moving.sqlite3").exists()
    assert {(entry.home, entry.project) for entry in registry.entries()} == {
        (str(home_of(target, old)), str(old.parent))
    }


def test_work_done_after_a_move_died_moves_with_the_next(local_instance: Path, target: dict[str, Any]) -> None:
    save_some()
    die(finish_move, "switch", lambda: move.migrate_to(**target))
    assert context.instance().root_url == str(local_instance)
    ln.File(b"between", key="between.txt").save()
    ln.File.select(key="gone.txt").one().delete(permanent=True)
    move.migrate_to(**target)
    is_moved_whole(target, local_instance, {"one.txt", "between.txt"})
    kept = local_instance / ".lamindb/backups/before-replacing.sqlite3"
    assert kept.exists() == ("db" in target)


@pytest.mark.parametrize("call", ["again", "connect", "use"])
def test_a_move_that_died_before_the_old_place_was_retired_is_ended(
    local_instance: Path, target: dict[str, Any], call: str
) -> None:
    save_some()
    die(finish_move, "finish", lambda: move.migrate_to(**target))
    assert (local_instance / ".lamindb/db.sqlite3").exists()
    if call == "again":
        report = move.migrate_to(**target)
        assert report.home == str(home_of(target, local_instance)) and report.tables
    elif call == "connect":
        assert lifecycle.connect(local_instance).home_path == home_of(target, local_instance)
    is_moved_whole(target, local_instance, {"one.txt", "gone.txt"})
    if call == "again":
        assert move.migrate_to(**target).tables == report.tables


def test_a_command_that_is_called_again_ends_a_move(local_instance: Path) -> None:
    save_some()
    die(finish_move, "finish", lambda: move.migrate_to(storage="./new"))
    assert "the instance is in" in lamin("migrate-to", "--storage", "./new").stdout
    is_moved_whole({"storage": str(local_instance.parent / "new")}, local_instance, {"one.txt", "gone.txt"})
    (local_instance.parent / "new" / "one.txt").unlink()
    again = lamin("migrate-to", "--storage", "./new")
    assert (again.stdout.count("the instance is in"), again.stderr) == (1, "")
    assert (local_instance.parent / "new" / "one.txt").exists()


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (finish_move, "_register_projects"),
        (registry, "forget"),
        (migrate, "back_up_sqlite"),
        (database, "remove_sqlite"),
        (move_note, "forget"),
    ],
)
def test_retiring_the_old_place_can_die_anywhere(
    local_instance: Path, target: dict[str, Any], where: Any, name: str
) -> None:
    save_some()
    die(where, name, lambda: move.migrate_to(**target))
    is_moved_whole(target, local_instance, {"one.txt", "gone.txt"})


def test_a_move_ends_in_one_process_after_a_failure(
    local_instance: Path, target: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_some()

    def fail(home: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as failing:
        failing.setattr(finish_move, "finish", fail)
        with pytest.raises(KeyboardInterrupt):
            move.migrate_to(**target)
    move.migrate_to(**target)
    is_moved_whole(target, local_instance, {"one.txt", "gone.txt"})


def test_the_password_is_known_after_a_move_died(
    local_instance: Path, migrated_postgres_url: str, tmp_path: Path
) -> None:
    url = migrated_postgres_url + ("&" if "?" in migrated_postgres_url else "?") + "password=s3cret"
    save_some()
    die(finish_move, "finish", lambda: move.migrate_to(url, tmp_path / "new"))
    assert context.instance().database_url == url
    assert "s3cret" not in "".join(path.read_text() for path in tmp_path.rglob("*.toml"))
    assert "s3cret" not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))


def test_rows_of_this_instance_are_kept_if_no_move_from_here_brought_them(
    local_instance: Path, migrated_postgres_url: str, tmp_path: Path
) -> None:
    save_some()
    lifecycle.close()
    shutil.copytree(local_instance, tmp_path / "copy", symlinks=True)
    lifecycle.connect(local_instance)
    move.migrate_to(migrated_postgres_url)
    ln.File(b"new", key="new.txt").save()
    lifecycle.connect(tmp_path / "copy")
    ln.File(b"other", key="other.txt").save()
    with pytest.raises(ConflictError, match="other records of this instance"):
        move.migrate_to(migrated_postgres_url)
    with pytest.raises(ConflictError, match="other records of this instance"):
        move.migrate_to(migrated_postgres_url)
    lifecycle.connect(local_instance)
    assert ln.File.select(key="new.txt").count() == 1


def test_a_copy_of_this_instance_is_not_moved_over(local_instance: Path, tmp_path: Path) -> None:
    save_some()
    lifecycle.close()
    shutil.copytree(local_instance, tmp_path / "copy", symlinks=True)
    lifecycle.connect(local_instance)
    with pytest.raises(ConflictError, match="a copy of this instance"):
        move.migrate_to(storage=tmp_path / "copy")
    assert move_note.noted(local_instance / ".lamindb", context.instance().id) is None


def test_a_note_in_a_copy_leads_nowhere(local_instance: Path, tmp_path: Path) -> None:
    save_some()
    die(finish_move, "finish", lambda: move.migrate_to(storage=tmp_path / "new"))
    shutil.copytree(local_instance, tmp_path / "copy", symlinks=True)
    assert lifecycle.connect(tmp_path / "copy").root_url == str(tmp_path / "copy")
    assert (tmp_path / "copy/.lamindb/db.sqlite3").exists()


def test_a_storage_that_moved_alone_is_ended(
    tmp_path: Path, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    save_some()
    die(finish_move, "finish", lambda: move.migrate_to(storage="./new"))
    assert context.instance().root_url == str(tmp_path / "new")
    assert Storage.objects.get().location == str(tmp_path / "new")
    assert not (tmp_path / "mydata/.lamindb/instance.toml").exists()
    assert verify.verify().is_clean
    assert {file.stage().read_bytes() for file in ln.File.select()} == {b"one", b"two"}


def test_deleting_the_old_place_means_the_moved_instance(local_instance: Path, tmp_path: Path) -> None:
    save_some()
    die(finish_move, "finish", lambda: move.migrate_to(storage=tmp_path / "new"))
    backup_restore.delete(local_instance)
    for place in (local_instance, tmp_path / "new"):
        assert not (place / ".lamindb/instance.toml").exists() and not (place / ".lamindb/db.sqlite3").exists()
    backup_restore.restore(backup_restore.backups()[0].path)
    assert context.instance().root_url == str(tmp_path / "new")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": "x"}'])
def test_a_damaged_note_says_nothing(local_instance: Path, text: str) -> None:
    home = local_instance / ".lamindb"
    (home / "moving.json").write_text(text)
    assert move_note.noted(home, context.instance().id) is None
    assert finish_move.finish(home) is None
    assert config.read(home).id == lifecycle.connect(local_instance).id


def test_a_move_that_died_is_no_leave_to_clear_another_database(
    local_instance: Path, postgres_server: Any, migrated_template: str, migrated_postgres_url: str, tmp_path: Path
) -> None:
    save_some()
    lifecycle.close()
    shutil.copytree(local_instance, tmp_path / "copy", symlinks=True)
    lifecycle.connect(tmp_path / "copy")
    move.migrate_to(migrated_postgres_url)
    ln.File(b"live", key="live.txt").save()
    lifecycle.connect(local_instance)
    name = postgres_server.create(migrated_template)
    try:
        die(finish_move, "switch", lambda: move.migrate_to(postgres_server.url(name)))
        with pytest.raises(ConflictError, match="other records of this instance"):
            move.migrate_to(migrated_postgres_url)
        lifecycle.connect(tmp_path / "copy")
        assert ln.File.select(key="live.txt").count() == 1
    finally:
        lifecycle.close()
        postgres_server.drop(name)


def test_each_try_keeps_what_it_replaces(local_instance: Path, migrated_postgres_url: str) -> None:
    save_some()
    for number in range(3):
        die(finish_move, "switch", lambda: move.migrate_to(migrated_postgres_url))
        ln.File(b"%d" % number, key=f"{number}.txt").save()
    move.migrate_to(migrated_postgres_url)
    kept = local_instance / ".lamindb/backups"
    names = [f"before-replacing{end}.sqlite3" for end in ("", "-2", "-3")]
    assert sorted(path.name for path in kept.iterdir()) == sorted(["before-moving.sqlite3", *names])
    counts = []
    for name in names:
        with contextlib.closing(sqlite3.connect(kept / name)) as copy:
            counts.append(copy.execute("select count(*) from lamindb_file").fetchone()[0])
    assert counts == [2, 3, 4]


def test_the_records_of_an_earlier_move_stay_when_the_next_one_keeps_its_own(local_instance: Path) -> None:
    backups = local_instance / ".lamindb/backups"
    backups.mkdir()
    (backups / "before-moving.sqlite3").write_bytes(b"earlier")
    move.migrate_to(storage="./new")
    assert (backups / "before-moving.sqlite3").read_bytes() == b"earlier"
    assert (backups / "before-moving-2.sqlite3").exists()
