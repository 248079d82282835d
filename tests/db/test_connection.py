"""Connections: closed from any thread, dropped by forked children, gone without a trace at exit."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import connection, database
from lamindb.errors import DatabaseError, InvalidInputError

WORK = """
    import sys, threading
    import lamindb as ln
    ln.setup.init(storage="./mydata", db=sys.argv[1] or None)
    run = ln.track(ln.Transform(name="p", type="pipeline"))
    ln.File(b"1", key="1.txt").save()
    threads = [threading.Thread(target=lambda: ln.File.select().count()) for _ in range(3)]
    [t.start() for t in threads]; [t.join() for t in threads]
    unfinished = ln.File.select().iterator()
    next(unfinished)
    """


def test_a_process_ends_without_a_warning(tmp_path: Path, database: str | None) -> None:
    import sys
    import textwrap

    from tests.support.processes import clean_environment, run_command

    (tmp_path / "work.py").write_text(textwrap.dedent(WORK))
    environment = clean_environment(LAMIN_VERBOSITY="0")
    done = run_command(
        sys.executable, "-W", "error", "-X", "dev", tmp_path / "work.py", database or "", cwd=tmp_path, env=environment
    )
    assert (done.stdout, done.stderr) == ("", "")
    if database is None:
        left = sorted(path.name for path in (tmp_path / "mydata" / ".lamindb").glob("db.sqlite3*"))
        assert left == ["db.sqlite3"]


def test_children_leave_the_parents_connection_alone(instance: Path) -> None:
    ln.Transform(name="before", type="pipeline").save()
    raw = database.connection().connection
    for leave in ("sys.exit", "os._exit"):
        pid = os.fork()
        if pid == 0:
            code = 3
            try:
                assert database.connection().connection is None
                ln.Transform(name=f"child {leave}", type="pipeline").save()
                connection.close_alias(context.instance().alias)
                code = 7
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert database.connection().connection is raw
    assert ln.Transform.select().count() == 3
    with database.writing(context.instance().alias):
        assert ln.Transform.select().count() == 3


def test_a_child_forked_inside_a_transaction_sees_only_what_was_committed(instance: Path) -> None:
    alias = context.instance().alias
    reading, writing = os.pipe()
    with database.writing(alias):
        ln.Transform(name="uncommitted", type="pipeline").save()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writing, str(ln.Transform.select().count()).encode())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(reading, 10) == b"0"
    assert ln.Transform.select().count() == 1
    os.close(reading)
    os.close(writing)


def test_closing_reaches_the_connections_of_all_threads(instance: Path) -> None:
    opened, closed = threading.Barrier(4), threading.Event()
    found: list[object] = []

    def work() -> None:
        ln.Transform.select().count()
        wrapper = database.connection()
        opened.wait()
        closed.wait(60)
        found.append(wrapper.connection)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    opened.wait()
    connection.close_alias(context.instance().alias)
    closed.set()
    for thread in threads:
        thread.join()
    assert found == [None] * 3
    assert ln.Transform.select().count() == 0


def test_a_transaction_is_all_or_nothing(instance: Path) -> None:
    alias = context.instance().alias

    def work() -> None:
        with database.writing(alias):
            ln.Transform(name="x", type="pipeline").save()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert ln.Transform.select().count() == 0


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("attempt to write a readonly database", ln.errors.ReadOnlyError, "can only be read"),
        ("unable to open database file", ln.errors.NoInstanceError, "gone"),
        ("database is locked", DatabaseError, "another process"),
        ("database or disk is full", DatabaseError, "free some space"),
        ('connection failed: FATAL: database "x" does not exist\nHINT: more', DatabaseError, "does not exist"),
        ("", DatabaseError, "OperationalError"),
    ],
)
def test_what_drivers_say_becomes_one_line_of_ours(text: str, kind: type[Exception], said: str) -> None:
    from django.db import OperationalError

    translated = connection._translate(OperationalError(text))
    assert isinstance(translated, kind)
    assert isinstance(translated, OperationalError)
    assert said in str(translated)
    assert "\n" not in str(translated)


@pytest.mark.parametrize(
    ("state", "kind", "said"),
    [
        ("25006", ln.errors.ReadOnlyError, "can only be read"),
        ("42501", ln.errors.ReadOnlyError, "does not allow"),
        ("53100", DatabaseError, "free some space"),
        ("55P03", DatabaseError, "another process"),
        ("57P01", DatabaseError, "the database failed"),
        ("XX001", DatabaseError, "damaged"),
    ],
)
def test_what_a_server_refuses_is_known_by_its_code(
    migrated_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, kind: type, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    with pytest.raises(kind, match=said), database.connection().cursor() as cursor:
        # In whatever language the server speaks.
        cursor.execute(f"DO $$ BEGIN RAISE 'nein' USING ERRCODE = '{state}'; END $$")


def test_a_value_that_no_database_holds_is_an_invalid_input(instance: Path) -> None:
    assert ln.File.select(size=2**70).count() == 0
    for text in ("a\0b", "a\ud800b"):
        with pytest.raises(InvalidInputError, match="cannot hold"):
            ln.File.select(name=text).count()
