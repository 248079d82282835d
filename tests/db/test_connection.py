"""Connections: closed from any thread, dropped by forked children, gone without a trace at exit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

import lamindb as ln
from lamindb.core import context
from lamindb.db import connection, database
from lamindb.errors import DatabaseError, InvalidInputError, NoInstanceError

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


def test_a_statement_of_another_thread_outlives_the_end_of_its_instance(local_instance: Path) -> None:
    path = str(context.instance().database_path)
    alias = context.instance().alias
    opened: list[Any] = []
    found: list[str] = []

    def write() -> None:
        database.connection(alias).ensure_connection()
        opened.append(database.connection(alias).connection)
        try:
            with database.writing(alias):
                found.append("began")
        except Exception as error:
            found.append(type(error).__name__)

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        thread = threading.Thread(target=write)
        thread.start()
        deadline = time.monotonic() + 60
        while not (opened and opened[0].n_executed) and time.monotonic() < deadline:
            time.sleep(0.01)
        ln.setup.disconnect()
        assert thread.is_alive()
        other.execute("ROLLBACK")
        thread.join(60)
    assert not thread.is_alive()
    assert found
    assert path not in [os.path.realpath(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")]


def test_a_thread_goes_on_in_an_instance_that_another_connects_again(instance: Path) -> None:
    alias = context.instance().alias
    go, done, found = threading.Semaphore(0), threading.Semaphore(0), []

    def work() -> None:
        ln.Transform.select().count()
        with contextlib.ExitStack() as stack:
            for within in (False, True, False):
                done.release()
                go.acquire(timeout=60)
                if within:
                    stack.enter_context(pytest.raises(NoInstanceError))
                    stack.enter_context(database.writing(alias))
                    done.release()
                    go.acquire(timeout=60)
                try:
                    found.append(ln.Transform.select().count())
                except NoInstanceError:
                    found.append("refused")
        done.release()

    def connect_again() -> None:
        done.acquire(timeout=60)
        ln.setup.disconnect()
        ln.connect(instance)
        go.release()

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(4):
        connect_again()
    thread.join(60)
    # The one whose transaction was lost stays refused, so that no half of it is written.
    assert found == [0, "refused", "refused"]


def test_a_handler_of_a_signal_may_ask_within_a_statement(local_instance: Path) -> None:
    found: list[int] = []
    wrapper = database.connection()
    wrapper.ensure_connection()

    def ask() -> int:
        found.append(ln.Transform.select().count())
        return 1

    wrapper.connection.create_function("ask", 0, ask)
    assert wrapper.fetch("SELECT ask()") == [(1,)]
    assert found == [0]
    # What is closed within a statement is closed after it.
    wrapper.connection.create_function("end", 0, wrapper.connection.close)
    wrapper.connection.execute("SELECT end()")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        wrapper.connection.execute("SELECT 1")


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


def _outcome(function: Any) -> Any:
    try:
        return function()
    except Exception as error:
        return type(error), str(error), type(error.__cause__)


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("SELECT name, created_at, cell_ids FROM lamindb_transform WHERE name = %s", ["100%s"]),
        ("SELECT 'it''s 5 %%', %s", ["%s"]),
        ("SELECT 1 FROM lamindb_transform WHERE name = 'nothing'", []),
        ("SELECT 1 FROM no_such_table", []),
        ("SELECT this is no SQL", []),
        ("INSERT INTO lamindb_lastversion (id, version) VALUES (%s, NULL)", ["a"]),
        ("INSERT INTO lamindb_user SELECT * FROM lamindb_user", []),
    ],
)
def test_statements_by_the_driver_do_what_they_do_by_djangos_cursors(
    instance: Path, monkeypatch: pytest.MonkeyPatch, sql: str, values: list[str]
) -> None:
    ln.Transform(name="100%s", type="pipeline").save()
    link = database.connection()
    execute = link.fetch if sql.startswith("SELECT") else link.run
    outcomes = []
    for by_driver in (True, False):
        monkeypatch.setattr(connection.Guarded, "by_driver", by_driver)
        outcomes.append(_outcome(lambda: execute(sql, values)))
    assert outcomes[0] == outcomes[1]


def test_a_run_tells_how_many_rows_it_changed(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        ln.Transform(name=f"n{number}", type="pipeline").save()
    link = database.connection()
    for by_driver in (True, False):
        monkeypatch.setattr(connection.Guarded, "by_driver", by_driver)
        assert link.run("UPDATE lamindb_transform SET description = %s WHERE name <> %s", ["x", "n0"]) == 2


def test_what_looks_at_statements_sees_all_of_them(instance: Path) -> None:
    link = database.connection()
    seen: list[str] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with link.execute_wrapper(look):
        link.fetch("SELECT 1")
        link.run("UPDATE lamindb_transform SET description = NULL")
    with CaptureQueriesContext(link) as queries:
        link.fetch("SELECT 2")
    assert seen == ["SELECT 1", "UPDATE lamindb_transform SET description = NULL"]
    assert [query["sql"] for query in queries] == ["SELECT 2"]


def test_a_transaction_that_has_to_be_rolled_back_takes_no_statement(instance: Path) -> None:
    alias = context.instance().alias
    with transaction.atomic(using=alias):
        transaction.set_rollback(True, using=alias)
        with pytest.raises(transaction.TransactionManagementError):
            database.connection().run("UPDATE lamindb_transform SET description = NULL")


def test_a_file_that_is_replaced_within_a_transaction_takes_no_commit(local_instance: Path) -> None:
    path = context.instance().database_path
    assert path is not None

    def replace() -> None:
        with database.writing(context.instance().alias) as link:
            link.run("UPDATE lamindb_user SET name = 'x'")
            path.rename(path.with_name("elsewhere"))

    with pytest.raises(NoInstanceError, match="the database of this instance is gone"):
        replace()
    assert not path.exists()


def test_the_connection_of_a_thread_is_djangos(instance: Path) -> None:
    def both() -> tuple[Any, Any]:
        alias = context.instance().alias
        return connection.of_thread(alias), connections[alias]

    mine, wanted = both()
    assert mine is wanted and both() == (mine, mine)
    others: list[tuple[Any, Any]] = []
    thread = threading.Thread(target=lambda: others.append(both()))
    thread.start()
    thread.join()
    ((other, wanted),) = others
    assert other is wanted and other is not mine

    async def in_a_task() -> tuple[Any, Any]:
        return both()

    found, wanted = asyncio.run(in_a_task())
    assert found is wanted
    root = context.instance().root_url
    ln.disconnect()
    with pytest.raises(ln.errors.NoInstanceError, match="disconnected"):
        connection.of_thread(mine.alias)
    ln.connect(root)
    found, wanted = both()
    assert found is wanted and found is not mine
