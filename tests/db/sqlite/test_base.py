"""The SQLite file of an instance: still the one that was opened, or an error that says what happened."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.db.sqlite.base import DatabaseWrapper
from lamindb.errors import DatabaseError, LaminError, NoInstanceError
from tests.support.processes import run_python


@pytest.fixture
def file(local_instance: Path) -> Path:
    ln.Transform(name="kept", type="pipeline").save()
    return local_instance / ".lamindb" / "db.sqlite3"


def remove(path: Path) -> None:
    for one in path.parent.glob("db.sqlite3*"):
        one.unlink()


def test_a_deleted_file_is_noticed_by_the_next_read_and_write(file: Path) -> None:
    remove(file)
    for use in (lambda: ln.Transform.select().count(), lambda: ln.Transform(name="x", type="pipeline").save()) * 2:
        with pytest.raises(NoInstanceError, match=r"deleted or replaced|gone"):
            use()
    assert not file.exists()


def test_a_replaced_file_is_noticed_and_stays_refused_until_it_is_connected(file: Path) -> None:
    other = file.with_name("other")
    source = sqlite3.connect(file)
    target = sqlite3.connect(other)
    source.backup(target)
    source.close()
    target.close()
    remove(file)
    os.replace(other, file)
    for use in (lambda: ln.Transform(name="x", type="pipeline").save(), lambda: ln.Transform.select().count()) * 2:
        with pytest.raises(NoInstanceError, match="deleted or replaced"):
            use()
    caught = []

    def work() -> None:
        with pytest.raises(NoInstanceError) as error:
            ln.Transform.select().count()
        caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(caught) == 1
    ln.connect(file.parent.parent)
    assert [t.name for t in ln.Transform.select()] == ["kept"]


def test_a_folder_that_went_away_is_noticed(file: Path) -> None:
    shutil.move(file.parent.parent, file.parent.parent.with_name("moved"))
    file.parent.parent.touch()
    with pytest.raises(NoInstanceError, match="deleted or replaced"):
        ln.Transform.select().count()


def test_a_write_lock_is_taken_at_once_and_waits_for_its_turn(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.1)
    ln.connect(file.parent.parent)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    assert ln.Transform.select().count() == 1
    with pytest.raises(DatabaseError, match="locked"), database.writing(context.instance().alias):
        pytest.fail("the lock is somebody else's")
    other.execute("rollback")
    other.close()
    ln.Transform(name="x", type="pipeline").save()


def test_it_opens_as_promised(file: Path) -> None:
    with database.connection().cursor() as cursor:
        found = {}
        for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
            cursor.execute(f"PRAGMA {pragma}")
            found[pragma] = cursor.fetchone()[0]
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_file_that_is_no_database_is_one_clear_error(file: Path) -> None:
    ln.disconnect()
    file.write_bytes(b"this is no database, but long enough to look at" * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        ln.connect(file.parent.parent)


@pytest.mark.parametrize("what", ["no database", "gone"])
def test_what_could_not_be_opened_is_closed(file: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ln.disconnect()
    if what == "no database":
        file.write_bytes(b"this is no database, but long enough to look at" * 100)
    opened = []
    connect, begin = sqlite3.dbapi2.connect, DatabaseWrapper._connect

    def connect_and_remember(*args: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*args, **options))
        return opened[-1]

    def begin_and_lose(*args: Any) -> sqlite3.Connection:
        raw: sqlite3.Connection = begin(*args)
        file.unlink()
        return raw

    monkeypatch.setattr(sqlite3.dbapi2, "connect", connect_and_remember)
    monkeypatch.setattr(DatabaseWrapper, "_connect", begin_and_lose if what == "gone" else begin)
    with pytest.raises(LaminError, match=r"not a database|deleted or replaced"):
        ln.connect(file.parent.parent)
    assert opened
    for raw in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            raw.execute("SELECT 1")


ORDINARY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""What makes root ask for permission as everybody has to."""

READ = """
import lamindb as ln
from lamindb.core import context
file = ln.File.select(key="a.txt").one()
print(context.instance().is_read_only, file.stage().read_text(), file.load(), file.versions.count())
for write in (lambda: ln.File(b"2", key="b.txt").save(), lambda: ln.Transform(name="x", type="pipeline").save(),
              file.delete):
    try:
        write()
        print("written")
    except ln.errors.ReadOnlyError as error:
        assert "\\n" not in str(error)
        print("refused")
"""


def as_ordinary_user(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if ORDINARY and shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv to give its rights away")
    return subprocess.run(
        [*ORDINARY, sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=60
    )


def make_read_only(*paths: Path) -> None:
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)


def all_below(folder: Path) -> list[Path]:
    return [*folder.rglob("*"), folder]


@pytest.fixture
def closed(local_instance: Path) -> Path:
    ln.File(b"content", key="a.txt").save()
    ln.disconnect()
    return local_instance


@pytest.mark.parametrize("what", ["everything", "database", "hidden folder"])
def test_what_can_only_be_read_is_read_and_not_written(closed: Path, what: str) -> None:
    hidden = closed / ".lamindb"
    paths = {
        "everything": [path for path in all_below(closed) if not path.is_symlink()],
        "database": [hidden / "db.sqlite3"],
        "hidden folder": [hidden / "db.sqlite3", hidden],
    }[what]
    make_read_only(*paths)
    try:
        before = {path: path.stat().st_mtime_ns for path in all_below(closed) if path.is_file()}
        done = as_ordinary_user(READ, closed.parent)
        after = {path: path.stat().st_mtime_ns for path in all_below(closed) if path.is_file()}
    finally:
        for path in sorted(all_below(closed)):
            if path.is_dir():
                path.chmod(0o755)
    assert done.stdout.splitlines() == ["True content content 1", *["refused"] * 3], done.stderr
    assert "can only be read" in done.stderr
    if what == "everything":
        assert after == before


def test_what_can_only_be_read_can_be_backed_up(closed: Path, tmp_path: Path) -> None:
    (tmp_path / "safe").mkdir()
    make_read_only(*[path for path in all_below(closed) if not path.is_symlink()])
    try:
        done = as_ordinary_user("import lamindb as ln; ln.setup.backup('safe/copy.sqlite3')", closed.parent)
    finally:
        for path in sorted(all_below(closed)):
            if path.is_dir():
                path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / "safe/copy.sqlite3")) as copied:
        assert copied.execute("SELECT key FROM lamindb_file").fetchall() == [("a.txt",)]
        assert copied.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_changes_that_were_not_merged_are_not_read_over(local_instance: Path, tmp_path: Path) -> None:
    ln.File(b"content", key="a.txt").save()
    copy = tmp_path / "copy" / "mydata"
    shutil.copytree(local_instance, copy)
    assert (copy / ".lamindb" / "db.sqlite3-wal").stat().st_size > 0
    (copy / ".lamindb" / "db.sqlite3-shm").unlink()
    make_read_only(copy / ".lamindb" / "db.sqlite3", copy / ".lamindb")
    try:
        done = as_ordinary_user("import lamindb as ln; ln.File.select().count()", copy.parent)
    finally:
        (copy / ".lamindb").chmod(0o755)
    assert "ReadOnlyError" in done.stderr
    assert "not merged" in done.stderr
    (copy / ".lamindb" / "db.sqlite3").chmod(0o644)
    assert run_python("import lamindb as ln; print(ln.File.select().count())", cwd=copy.parent).stdout == "1\n"
