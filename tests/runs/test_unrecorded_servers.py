"""A server that is away, full, locked or read-only when a run begins: one warning, and the run is recorded later."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest

import lamindb as ln
from lamindb.db import database
from lamindb.runs import liveness
from lamindb.runs.commands.command import run_command
from lamindb.runs.commands.shell import begin_shell, end_shell
from lamindb.setup import lifecycle

Failing = Callable[[], AbstractContextManager[None]]


def administer(url: str, *statements: str) -> None:
    """Execute statements with all rights, whatever the database sets for sessions."""
    options = "-c role=none -c default_transaction_read_only=off"
    with psycopg.connect(url, autocommit=True, options=options) as other:
        for statement in statements:
            other.execute(statement.encode())


def name_of(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """Make transactions read-only by default, as an administrator does for maintenance, and a standby always is."""
    setting = f"ALTER DATABASE {name_of(url)} {{}} default_transaction_read_only"
    administer(url, setting.format("SET") + " = on")
    try:
        yield
    finally:
        administer(url, setting.format("RESET"))


@contextmanager
def without_rights(url: str) -> Iterator[None]:
    """Leave the user nothing but the right to read."""
    role = f"reader_{secrets.token_hex(4)}"
    administer(
        url,
        f"CREATE ROLE {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        f"ALTER ROLE postgres IN DATABASE {name_of(url)} SET role = {role}",
    )
    try:
        yield
    finally:
        administer(
            url,
            f"ALTER ROLE postgres IN DATABASE {name_of(url)} RESET role",
            f"DROP OWNED BY {role}",
            f"DROP ROLE {role}",
        )


@contextmanager
def full(url: str) -> Iterator[None]:
    """Refuse rows as a server on a full disk does."""
    tables = ("lamindb_run", "lamindb_transform", "lamindb_file", "lamindb_coderevision")
    administer(
        url,
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
        "'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$",
        *(
            f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION no_space()"
            for table in tables
        ),
    )
    try:
        yield
    finally:
        administer(url, "DROP FUNCTION no_space CASCADE")


@contextmanager
def away(url: str) -> Iterator[None]:
    """Let the server not have the database for a while."""
    name = name_of(url)
    beside = url.replace(f"/{name}?", "/postgres?")
    administer(beside, f"ALTER DATABASE {name} RENAME TO away_{name}")
    try:
        yield
    finally:
        administer(beside, f"ALTER DATABASE away_{name} RENAME TO {name}")


@contextmanager
def locked(url: str, *tables: str) -> Iterator[None]:
    """Hold tables, as a migration or a repair of the server does."""
    with psycopg.connect(url) as other:
        other.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE".encode())
        try:
            yield
        finally:
            other.rollback()


FAILURES: dict[str, Callable[[str], AbstractContextManager[None]]] = {
    "read-only": read_only,
    "no rights": without_rights,
    "full": full,
    "away": away,
    "run locked": lambda url: locked(url, "lamindb_run"),
    "transform locked": lambda url: locked(url, "lamindb_transform"),
}


@pytest.fixture
def url(migrated_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(liveness, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 1.0)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    ln.Transform(name="known", type="pipeline").save()
    return migrated_postgres_url


@pytest.fixture(params=FAILURES)
def failing(request: pytest.FixtureRequest, url: str) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Return what makes the server fail for a while; this process comes to it anew, and again when it works."""

    @contextmanager
    def fails() -> Iterator[None]:
        lifecycle.reset()
        with FAILURES[request.param](url):
            yield
            lifecycle.reset()

    return fails


def test_what_is_tracked_goes_on(failing: Failing, capsys: pytest.CaptureFixture[str]) -> None:
    with failing():
        run = ln.track(ln.Transform(name="known", type="pipeline"), params={"a": 1})
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1 and "could not be recorded so far" in told[0], told
        assert ln.context.run is run
        ln.finish()
        assert ln.context.run is None
    row = ln.Run.select().one()
    assert (row.id, row.status, row.params, row.transform.name) == (run.id, "completed", {"a": 1}, "known")


def test_a_command_goes_on(failing: Failing) -> None:
    with failing():
        done = run_command(["sh", "-c", "echo 1 > out.txt"], outputs=["out.txt"])
    assert (done.exit_code, done.problems, done.waiting) == (0, (), ("out.txt",))
    row = ln.Run.select().one()
    assert (row.status, row.exit_code, [file.key for file in row.outputs]) == ("completed", 0, ["out.txt"])


def test_a_step_goes_on(failing: Failing) -> None:
    @ln.step
    def work(x: int) -> int:
        return x + 1

    with failing():
        assert work(1) == 2
    assert ln.Run.select(params__x=1).one().status == "completed"


def test_a_shell_script_goes_on(failing: Failing, capsys: pytest.CaptureFixture[str]) -> None:
    with failing():
        run_id = begin_shell("nightly", params={"day": 3})
        assert capsys.readouterr().err.count("could not be recorded so far") == 1
        end_shell(run_id, "failed", exit_code=2)
        assert liveness.LATER in capsys.readouterr().err
    row = ln.Run.select().one()
    assert (row.id, row.status, row.exit_code, row.params) == (run_id, "failed", 2, {"day": 3})
    assert (row.transform.name, row.transform.type) == ("nightly", "command")


@pytest.mark.parametrize("how", ["full", "run locked"])
def test_a_run_that_had_begun_ends(url: str, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = ln.track(ln.Transform(name="known", type="pipeline"))
    with FAILURES[how](url):
        ln.finish()
        assert liveness.LATER in capsys.readouterr().err
    ln.connect("mydata")
    assert (ln.Run.select().one().id, ln.Run.select().one().status) == (run.id, "completed")
