"""PostgreSQL: a dropped connection is opened again, and what cannot be reached is one clear line."""

from __future__ import annotations

import datetime
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db.backends.postgresql import psycopg_any

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import DatabaseError


@pytest.fixture
def connected(migrated_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    ln.Transform(name="kept", type="pipeline").save()
    return migrated_postgres_url


@pytest.mark.parametrize(
    "time", ["2023-01-01 00:00:00", "2024-02-29 23:59:59.999999", "1900-03-01 12:00:00.5", "9999-12-31 23:59:59"]
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("style", ["ISO", "German", "SQL, DMY"])
def test_times_are_read_as_django_reads_them(connected: str, time: str, zone: str, style: str) -> None:
    link = database.connection(context.instance().alias)
    with link.cursor() as cursor:
        cursor.execute(f"SET TIME ZONE '{zone}'")
        cursor.execute(f"SET DateStyle = '{style}'")
        found = []
        for loader in (None, psycopg_any.BaseTzLoader):
            if loader is not None:
                psycopg_any.register_tzloader(datetime.UTC, cursor.cursor)
            try:
                cursor.execute("SELECT %s::timestamp AT TIME ZONE 'UTC'", [time])
                found.append(cursor.fetchone()[0])
            except Exception as error:
                found.append(type(error).__name__)
        assert found[0] == found[1] and getattr(found[0], "tzinfo", None) is getattr(found[1], "tzinfo", None)
    link.close()


def cut(url: str) -> int:
    """End all sessions of a database from the server's side; return how many there were."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as other:
        return len(
            other.execute(
                "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        )


@pytest.mark.parametrize("use", ["read", "write", "transaction"])
def test_the_next_use_after_the_server_dropped_us_works(connected: str, use: str) -> None:
    assert cut(connected) >= 1
    if use == "read":
        assert ln.Transform.select().count() == 1
    elif use == "write":
        ln.Transform(name="x", type="pipeline").save()
    else:
        with database.writing(context.instance().alias) as link, link.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert ln.Transform.select(name="kept").count() == 1


def test_a_transaction_that_was_cut_is_lost_as_a_whole_and_said_to_be(connected: str) -> None:
    def work() -> None:
        with database.writing(context.instance().alias):
            ln.Transform(name="half", type="pipeline").save()
            cut(connected)
            ln.Transform(name="other half", type="pipeline").save()

    with pytest.raises(DatabaseError):
        work()
    assert [t.name for t in ln.Transform.select()] == ["kept"]
    ln.Transform(name="afterwards", type="pipeline").save()


@contextmanager
def server(answer: bytes | None) -> Iterator[int]:
    """Listen as a database server would, and answer with one message, or never."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def serve() -> None:
            listening.settimeout(60)
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(1024)
                if answer is None:
                    ended.wait(60)
                else:
                    connection.sendall(answer)
                    connection.recv(1024)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def refusal(text: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C28P01\0M{text}\0\0".encode()
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


def init_fails(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatabaseError) as caught:
        ln.setup.init(storage="./mydata", db=url)
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in str(error)
        error = error.__cause__ or error.__context__
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "mydata" / ".lamindb" / "instance.toml").exists()
    return str(caught.value)


def test_a_wrong_password_is_said_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(refusal('password authentication failed for user "ada"')) as port:
        url = f"postgresql://ada:s3cret@127.0.0.1:{port}/db?sslmode=disable&gssencmode=disable"
        assert 'password authentication failed for user "ada"' in init_fails(url, tmp_path, monkeypatch)


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(None) as port:
        url = f"postgresql://ada:s3cret@127.0.0.1:{port}/db?connect_timeout=2&sslmode=disable&gssencmode=disable"
        assert "timeout" in init_fails(url, tmp_path, monkeypatch)


def test_nobody_listening_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    said = init_fails(f"postgresql://ada:s3cret@127.0.0.1:{port}/db", tmp_path, monkeypatch)
    assert f"port {port} failed" in said


def test_a_database_that_does_not_exist_is_said(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = init_fails(postgres_url.replace("/t_", "/absent_"), tmp_path, monkeypatch)
    assert "absent_" in said
    assert "does not exist" in said
    assert "`createdb absent_" in said


def test_a_registered_password_connects_and_shows_nowhere(
    migrated_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    url = migrated_postgres_url.replace("postgres@", "postgres:s3cret@")
    ln.settings.verbosity = 4
    ln.setup.init(storage="./mydata", db=url)
    assert context.instance().database_url == url
    ln.setup.disconnect()
    ln.setup.connect("mydata")
    assert ln.Transform.select().count() == 0
    shown = [str(ln.setup.info()), repr(ln.setup.info()), repr(ln.setup.listed()), repr(ln.setup.settings.instance)]
    stored = [path.read_text() for path in (tmp_path / "mydata").rglob("*") if path.is_file()]
    out, err = capfd.readouterr()
    for text in (*shown, *stored, out, err):
        assert "s3cret" not in text
