"""Django as a library: addresses of databases, the router, and several instances at once."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

import lamindb as ln
import lamindb.models
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import DatabaseError, InvalidInputError, NoInstanceError

PARTS = ("USER", "PASSWORD", "HOST", "PORT", "NAME")


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("postgresql://ada:s3cret@host:5432/db", ("ada", "s3cret", "host", "5432", "db")),
        ("postgresql://host/db", ("", "", "host", "", "db")),
        ("postgresql:///db", ("", "", "", "", "db")),
        ("postgresql://ada%40x:p%40%2F%3A@Host.Example/d%20b", ("ada@x", "p@/:", "Host.Example", "", "d b")),
        ("postgresql://ada:s3cret@[::1]:5432/db", ("ada", "s3cret", "::1", "5432", "db")),
        ("postgresql://[fe80::1]/db", ("", "", "fe80::1", "", "db")),
        ("postgresql://ada:s3cret@%2FVar%2FRun/db", ("ada", "s3cret", "/Var/Run", "", "db")),
        ("postgresql://ada@/db?host=/Var/run&port=77", ("ada", "", "/Var/run", "77", "db")),
        ("postgresql://ada:p@ss@host/db", ("ada", "p@ss", "host", "", "db")),
        ("postgresql://host/db?user=ada&password=s3cret", ("ada", "s3cret", "host", "", "db")),
    ],
)
def test_an_address_is_taken_apart_and_shown_without_its_password(url: str, parts: tuple[str, ...]) -> None:
    config = database.postgres_config(url)
    assert tuple(config[part] for part in PARTS) == parts
    shown = database.shown_url(url)
    assert "s3cret" not in shown
    again = database.postgres_config(shown)
    assert tuple(again[part] for part in PARTS) == (parts[0], "", *parts[2:])
    assert database.shown_url(shown) == shown


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@given(user=TEXT, password=TEXT.map(lambda text: f"s3cret{text}"), name=TEXT)
def test_whatever_is_percent_encoded_arrives(user: str, password: str, name: str) -> None:
    from urllib.parse import quote

    url = f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@h/{quote(name, safe='')}"
    config = database.postgres_config(url)
    assert (config["USER"], config["PASSWORD"], config["NAME"]) == (user, password, name)
    shown = database.shown_url(url)
    assert "s3cret" not in shown
    assert database.postgres_config(shown)["USER"] == user


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cret/x@host/db", "postgresql://ada:12/s3cret@host/db", "postgresql://ada:s3cret@host:no/db",
        "postgresql://ada:s3cret@host:99999/db", "postgresql://ada:s3cret@[::1/db", "postgres://ada:s3cret@host/db",
        "mysql://ada:s3cret@host/db", "postgresql://ada:s3cret@host", "postgresql://ada:s3cret@host/", "s3cret", "",
        "postgresql://ada:s3cret#x@host/db", "postgresql://ada:s3cret?x@host/db", "postgresql://ada:s3cret@host/a/b",
        "postgresql://ada:s3cret@host/db?nosuchoption=1", "postgresql://ada:s3cret@host/db?connect_timeout=soon",
        "postgresql://ada:s3cret@host/d%00b",
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        database.postgres_config(url)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_connecting_is_given_up_after_a_while_unless_said_otherwise() -> None:
    assert database.postgres_config("postgresql://h/db")["OPTIONS"]["connect_timeout"] == "10"
    assert database.postgres_config("postgresql://h/db?connect_timeout=3")["OPTIONS"]["connect_timeout"] == "3"
    # Otherwise a network that is lost in the middle is noticed after a quarter of an hour.
    assert database.postgres_config("postgresql://h/db")["OPTIONS"]["tcp_user_timeout"] == "30000"
    assert database.postgres_config("postgresql://h/db?keepalives_idle=9")["OPTIONS"]["keepalives_idle"] == "9"


def test_a_path_with_odd_characters_names_the_right_file(tmp_path: Path) -> None:
    import sqlite3

    folder = tmp_path / "a ?mode=memory&x#y%20 ü"
    folder.mkdir()
    sqlite3.connect(folder / "db.sqlite3").close()
    sqlite3.connect(folder / "db.sqlite3").execute("create table t (x)").connection.close()
    database.register("lamindb:odd", database.sqlite_config(folder / "db.sqlite3"))
    try:
        with database.connection("lamindb:odd").cursor() as cursor:
            cursor.execute("select name from sqlite_master")
            assert cursor.fetchall() == [("t",)]
    finally:
        database.unregister("lamindb:odd")
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_database_that_is_not_there_is_never_made(tmp_path: Path) -> None:
    database.register("lamindb:gone", database.sqlite_config(tmp_path / "db.sqlite3"))
    try:
        with pytest.raises(NoInstanceError, match="gone"):
            database.check_reachable("lamindb:gone")
    finally:
        database.unregister("lamindb:gone")
    assert list(tmp_path.iterdir()) == []


def test_the_router_keeps_ours_and_theirs_apart(local_instance: Path) -> None:
    router = database.Router()
    theirs: Any = SimpleNamespace(_meta=SimpleNamespace(app_label="shop"), _state=SimpleNamespace(db="default"))
    assert router.db_for_read(theirs) is None
    assert router.allow_relation(theirs, theirs) is None
    alias = context.instance().alias
    assert router.db_for_write(ln.File) == alias
    assert router.db_for_read(ln.File, instance=SimpleNamespace(_state=SimpleNamespace(db="lamindb:other"))) == (
        "lamindb:other"
    )
    assert [router.allow_migrate(db, app) for db in (alias, "default") for app in ("lamindb", "shop")] == [
        True, False, False, None,
    ]  # fmt: skip
    one, two, new = ln.User(handle="a"), ln.User(handle="b"), ln.User(handle="c")
    one._state.db, two._state.db = alias, "lamindb:other"
    assert (router.allow_relation(one, two), router.allow_relation(one, new)) == (False, True)


def test_instances_stand_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    instances = [ln.setup.init(storage=f"./{name}") for name in ("one", "two", "three")]
    for instance in instances:
        with context.using(instance):
            ln.Transform(name=instance.name, type="pipeline").save()
    queries = []
    for instance in instances:
        with context.using(instance):
            queries.append(ln.Transform.select())
    assert [[t.name for t in query] for query in queries] == [["one"], ["two"], ["three"]]
    seen: dict[str, list[str]] = {}

    def read(instance: context.Instance) -> None:
        with context.using(instance):
            seen[instance.name] = [t.name for t in ln.Transform.select() for _ in range(20)]

    threads = [threading.Thread(target=read, args=(instance,)) for instance in instances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {name: [name] * 20 for name in ("one", "two", "three")}


def test_another_thread_does_not_bring_a_closed_instance_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata")
    ln.Transform(name="t", type="pipeline").save()
    closed, done, errors = threading.Event(), threading.Event(), []

    def work() -> None:
        record = ln.Transform.select().one()
        done.set()
        closed.wait(60)
        for use in (record.refresh_from_db, record.save, lambda: ln.Transform.objects.using(record._state.db).count()):
            try:
                use()
            except ln.LaminError as error:
                errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert done.wait(60)
    ln.disconnect()
    closed.set()
    thread.join()
    assert len(errors) == 3
    assert all("disconnected" in str(error) for error in errors), errors


def test_sixteen_threads_may_be_the_first() -> None:
    from tests.support.processes import run_python

    done = run_python(
        """
        import threading
        start, errors = threading.Barrier(16), []
        def first():
            start.wait()
            try:
                import lamindb as ln
                ln.File, ln.setup, ln.Q
            except BaseException as error:
                errors.append(repr(error))
        threads = [threading.Thread(target=first) for _ in range(16)]
        [t.start() for t in threads]; [t.join() for t in threads]
        print(errors)
        """
    )
    assert done.stdout == "[]\n"


def _wait_seconds() -> float:
    connection = database.connection(context.instance().alias)
    # The raw connection: a statement through Django would set the wait before it reads it.
    asked = (
        "PRAGMA busy_timeout"
        if connection.vendor == "sqlite"
        else "SELECT extract(epoch FROM current_setting('lock_timeout')::interval) * 1000"
    )
    return float(connection.connection.cursor().execute(asked).fetchone()[0]) / 1000


def test_a_block_inside_another_gives_its_wait_back(instance: Path) -> None:
    alias = context.instance().alias
    ln.User.select().count()
    usual = _wait_seconds()
    with database.waiting_at_most(alias, 9):
        assert 8 < _wait_seconds() <= 9
        with database.waiting_at_most(alias, 0):
            assert _wait_seconds() <= 0.001
        assert 1 < _wait_seconds() <= 9
        with database.waiting_at_most(alias, 100):
            assert _wait_seconds() <= 9
        database.connection(alias).close()
        ln.User.select().count()
        assert _wait_seconds() <= 9
    assert _wait_seconds() == usual


def test_statements_that_read_for_long_are_stopped(instance: Path) -> None:
    alias = context.instance().alias
    connection = database.connection(alias)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    for _ in range(2):
        with (
            pytest.raises(DatabaseError, match=r"stopped after 0\.05 s, as no index serves this filter"),
            database.stopping_after(alias, 0.05),
            connection.cursor() as cursor,
        ):
            cursor.execute(endless)
    with database.stopping_after(alias, 60), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_statement_inserts_many_rows_and_feeds_the_index_of_names_with_each(instance: Path) -> None:
    alias = context.instance().alias
    many = [
        ln.Transform(name=f"quality control {number}", type="pipeline", reference=str(number)) for number in range(450)
    ]
    statements: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with database.writing(alias) as connection, connection.execute_wrapper(count):
        database.insert_many(connection, many)
    assert len([sql for sql in statements if sql.startswith("INSERT")]) < 45
    rows = {row.id: (row.name, row.created_at, row.cell_ids) for row in ln.Transform.select(name__startswith="quality")}
    assert rows == {one.id: (one.name, one.created_at, one.cell_ids) for one in many}
    assert [one.name for one in ln.Transform.search("quality control 449", limit=1)] == ["quality control 449"]


def test_a_refused_row_takes_all_rows_of_its_statement_with_it(instance: Path) -> None:
    alias = context.instance().alias
    many = [ln.Transform(name=f"n{number}", type="pipeline", reference=str(number)) for number in range(5)]
    many[4].id = many[0].id
    with pytest.raises(IntegrityError), database.writing(alias) as connection:
        database.insert_many(connection, many)
    assert not ln.Transform.select(name__startswith="n").exists()
    with database.writing(alias) as connection:
        database.insert_many(connection, many, ignore_conflicts=True)
    assert ln.Transform.select(name__startswith="n").count() == 4
