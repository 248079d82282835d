"""Databases of other versions: older ones are migrated once, after a backup; newer ones are refused."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
import lamindb.migrations
from lamindb.core import context, filesystem
from lamindb.db import database, migrate
from lamindb.errors import DatabaseError, NewerDatabaseError, ReadOnlyError
from tests.support.processes import run_python_together

LATER = "0998_test", "0999_test"
"""Migrations of a version that is still to come; each makes a table, and may die in the middle."""

SOURCE = """
import os, signal
from django.db import migrations

def perhaps_die(apps, schema_editor):
    if os.environ.get("TEST_DIE_IN") == {name!r}:
        os.kill(os.getpid(), signal.SIGKILL)

def complete(editor):
    editor.execute("CREATE TABLE {table}_a (x integer)")
    editor.execute("CREATE TABLE {table}_b (x integer)")

class Migration(migrations.Migration):
    dependencies = [("lamindb", {before!r})]
    operations = [
        migrations.RunSQL("CREATE TABLE {table}_a (x integer)"),
        migrations.RunPython(perhaps_die),
        migrations.RunSQL("CREATE TABLE {table}_b (x integer)"),
    ]
"""


PACKAGE = "later_migrations"

AS_LATER = """
import sys
sys.path.insert(0, {folder!r})
import lamindb.models
from lamindb.db import database, migrate
from django.conf import settings
settings.MIGRATION_MODULES = {{"lamindb": {package!r}}}
migrate.known = lambda: {known!r}
"""


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """Write the migrations of a later version of the library; return the folder from which they are imported."""
    folder = tmp_path / "later" / PACKAGE
    shutil.copytree(Path(lamindb.migrations.__path__[0]), folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = max(migrate.known())
    for name in LATER:
        (folder / f"{name}.py").write_text(SOURCE.format(name=name, before=before, table=f"test_{name[:4]}"))
        before = name
    yield folder.parent
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


@pytest.fixture
def later(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one of a later version."""
    become_later(package, monkeypatch)


def become_later(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    import lamindb.models  # noqa: F401

    names = migrate.known() | set(LATER)
    monkeypatch.syspath_prepend(package)
    monkeypatch.setattr(settings, "MIGRATION_MODULES", {"lamindb": PACKAGE})
    monkeypatch.setattr(migrate, "known", lambda: names)


def tables(alias: str) -> list[str]:
    with database.connection(alias).cursor() as cursor:
        names = database.connection(alias).introspection.table_names(cursor)
    return sorted(name for name in names if name.startswith("test_"))


ALL = ["test_0998_a", "test_0998_b", "test_0999_a", "test_0999_b"]


def test_the_migrations_say_what_the_models_say() -> None:
    from django.core.management import call_command

    import lamindb.models  # noqa: F401

    call_command("makemigrations", "lamindb", check=True, dry_run=True, verbosity=0)


def described(alias: str) -> dict[str, Any]:
    """Return columns, constraints, indexes and triggers of our tables, as the database describes them."""
    connection = database.connection(alias)
    found: dict[str, Any] = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if not table.startswith("lamindb_"):
                continue
            for column in connection.introspection.get_table_description(cursor, table):
                found[f"{table}.{column.name}"] = (column.type_code, column.null_ok, column.default, column.collation)
            for name, one in connection.introspection.get_constraints(cursor, table).items():
                # Django numbers the constraints of SQLite that have no name.
                found[f"{table} {one if name.startswith(('__', 'fk_')) else name}"] = one
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger')")
        else:
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'lamindb\\_%%' UNION ALL "
                "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
            )
        found.update(cursor.fetchall())
    return found


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_tables_made_at_once_are_those_that_the_migrations_make(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for way in (migrate._create, migrate._migrate):
        folder = tmp_path / way.__name__
        folder.mkdir()
        monkeypatch.chdir(folder)
        url = (
            None
            if kind == "sqlite"
            else request.getfixturevalue("postgres_server").url(request.getfixturevalue("postgres_server").create())
        )
        with monkeypatch.context() as patched:
            patched.setattr(migrate, "_create", way)
            alias = ln.setup.init(storage="./mydata", db=url).alias
        assert migrate.applied(alias) == migrate.known()
        found.append(described(alias))
        ln.disconnect()
    made, migrated = found
    assert len(made) > 100
    assert made == migrated


def test_names_are_searched_by_a_column_after_a_migration(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db.migrations.executor import MigrationExecutor

    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./other", db=postgres_url)
    alias = context.instance().alias
    made = described(alias)
    MigrationExecutor(database.connection(alias)).migrate([("lamindb", "0008_file_events")])
    older = described(alias)
    assert "lamindb_file.search_text" in made.keys() - older.keys()
    assert "lamindb_folded" in older["lamindb_file_search"]
    Path("b.txt").write_text("b")
    file = ln.File("b.txt", key="raw/Größe_b.txt").save()
    ln.setup.disconnect()
    ln.setup.connect(tmp_path / "other")
    assert described(alias) == made
    with database.connection(alias).cursor() as cursor:
        cursor.execute("SELECT search_text FROM lamindb_file")
        assert cursor.fetchall() == [(" raw grosse b txt ",)]
        cursor.execute("SELECT last_vacuum FROM pg_stat_user_tables WHERE relname = 'lamindb_file'")
        [(vacuumed_at,)] = cursor.fetchall()
        assert vacuumed_at is not None
    assert list(ln.File.search("grosse")) == [file]
    assert list((tmp_path / "other" / ".lamindb" / "backups").iterdir())


def test_what_is_known_and_applied_agree(instance: Path) -> None:
    assert migrate.applied(context.instance().alias) == migrate.known()
    assert migrate.bring_up_to_date(context.instance().alias, home=context.instance().home_path) is False
    assert not (instance / ".lamindb" / "backups").exists()


def test_an_older_database_is_migrated_once_after_a_backup(
    instance: Path, database: str | None, later: None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ln.File(b"x", key="x.txt").save()
    ln.disconnect()
    connected = ln.connect(instance)
    assert tables(connected.alias) == ALL
    assert "older version" in capsys.readouterr().err
    assert ln.File.select().one() == file
    assert migrate.applied(connected.alias) == migrate.known() >= set(LATER)
    ln.connect(instance)
    assert "older version" not in capsys.readouterr().err
    if database is None:
        (backup,) = (instance / ".lamindb" / "backups").iterdir()
        with contextlib.closing(sqlite3.connect(backup)) as copy:
            assert copy.execute("select key from lamindb_file").fetchall() == [("x.txt",)]
            assert not copy.execute("select 1 from sqlite_master where name like 'test_%'").fetchall()
            assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
    else:
        assert [path.suffix for path in (instance / ".lamindb" / "backups").iterdir()] == [".zip"]


def test_a_later_version_makes_new_instances_of_its_own(
    tmp_path: Path, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = ln.setup.init(storage="./new")
    assert tables(made.alias) == ALL
    assert not (made.home_path / "backups").exists()


def test_a_newer_database_is_refused_and_left_as_it_is(
    instance: Path, database: str | None, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ln.File(b"x", key="x.txt").save()
    ln.connect(instance)
    ln.disconnect()
    with monkeypatch.context() as older:
        older.setattr(migrate, "known", lambda: {"0001_initial"})
        for _ in range(2):
            with pytest.raises(NewerDatabaseError, match=r"0998_test.*install a newer version"):
                ln.connect(instance)
    assert ln.connect(instance)
    assert ln.File.select().count() == 1


def die_migrating(instance: Path, name: str) -> None:
    """Migrate in a child that is killed in the middle of one migration."""
    pid = os.fork()
    if pid == 0:
        try:
            os.environ["TEST_DIE_IN"] = name
            ln.connect(instance)
        finally:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("name", LATER)
def test_killed_in_the_middle_it_is_whole_and_completed_by_the_next(
    instance: Path, database: str | None, later: None, name: str
) -> None:
    ln.File(b"x", key="x.txt").save()
    url = context.instance().database_url
    ln.disconnect()
    die_migrating(instance, name)
    if database is None:
        whole = 0 if name == LATER[0] else 2
        with contextlib.closing(sqlite3.connect(instance / ".lamindb" / "db.sqlite3")) as raw:
            found = raw.execute("select name from sqlite_master where name like 'test_%'").fetchall()
        assert len(found) == whole
    connected = ln.connect(instance, database_url=url)
    assert tables(connected.alias) == ALL
    assert ln.File.select().one().key == "x.txt"
    if database is None:
        backups = instance / ".lamindb" / "backups"
        oldest = backups / f"before-{LATER[0]}.sqlite3"
        with contextlib.closing(sqlite3.connect(oldest)) as copy:
            assert not copy.execute("select 1 from sqlite_master where name like 'test_%'").fetchall()
        assert [path for path in backups.iterdir() if path.name.startswith(".")] == []


def test_a_backup_that_fails_stops_the_migration(
    local_instance: Path, later: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ln.disconnect()
    (local_instance / ".lamindb" / "backups").touch()
    with pytest.raises(DatabaseError, match="cannot back up"):
        ln.connect(local_instance)
    (local_instance / ".lamindb" / "backups").unlink()
    assert tables(ln.connect(local_instance).alias) == ALL


def test_an_older_database_that_cannot_be_written_is_refused(local_instance: Path, later: None) -> None:
    alias = context.instance().alias
    with pytest.raises(ReadOnlyError, match="copy it first, or have a user who can write it"):
        migrate.bring_up_to_date(alias, home=local_instance / ".lamindb", is_read_only=True)
    assert tables(alias) == []


USE = """
    import sys
    import lamindb as ln
    ln.setup.init(storage="./mydata", db={url!r})
    ln.File(sys.argv[1].encode(), key=f"{{sys.argv[1]}}.txt").save()
    """


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_eight_processes_may_make_it_at_the_same_time(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = None if kind == "sqlite" else request.getfixturevalue("postgres_url")
    done = run_python_together(USE.format(url=url), 8, cwd=tmp_path)
    assert [one.stderr for one in done if one.returncode] == []
    monkeypatch.chdir(tmp_path)
    assert sorted(ln.File.select().list("key")) == [f"{number}.txt" for number in range(8)]
    assert ln.Storage.select().count() == 1


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_four_processes_may_migrate_it_at_the_same_time(
    kind: str, tmp_path: Path, package: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = None if kind == "sqlite" else request.getfixturevalue("migrated_postgres_url")
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=url)
    ln.disconnect()
    known = migrate.known() | set(LATER)
    code = AS_LATER.format(folder=str(package), package=PACKAGE, known=known) + textwrap.dedent(USE.format(url=url))
    done = run_python_together(code, 4, cwd=tmp_path)
    assert [one.stderr for one in done if one.returncode] == []
    assert sum("older version" in one.stderr for one in done) == 1
    become_later(package, monkeypatch)
    assert tables(ln.connect("./mydata").alias) == ALL
    assert ln.File.select().count() == 4


def test_a_backup_is_whole_while_others_write(local_instance: Path, tmp_path: Path) -> None:
    source = local_instance / ".lamindb" / "db.sqlite3"
    pid = os.fork()
    if pid == 0:
        try:
            for number in range(40):
                ln.Transform(name=f"t{number}", type="pipeline").save()
        finally:
            os._exit(0)
    target = tmp_path / "copy.sqlite3"
    for _ in range(5):
        migrate.back_up_sqlite(source, target)
        with contextlib.closing(sqlite3.connect(target)) as copy:
            assert copy.execute("pragma integrity_check").fetchone() == ("ok",)
    os.waitpid(pid, 0)
    with pytest.raises(DatabaseError, match="cannot back up"):
        migrate.back_up_sqlite(tmp_path / "absent", tmp_path / "other")
    with pytest.raises(DatabaseError, match="cannot back up"):
        migrate.back_up_sqlite(source, tmp_path / "no" / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.sqlite3", "mydata"]


def test_the_name_of_a_backup_is_flushed(local_instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = local_instance / ".lamindb" / "db.sqlite3", tmp_path / "copy.sqlite3"
    flushed: list[tuple[str, bool]] = []
    monkeypatch.setattr(filesystem, "fsync_folder", lambda path: flushed.append((path, target.exists())))
    migrate.back_up_sqlite(source, target)
    assert flushed == [(str(tmp_path), True)]
    target.unlink()

    def fail(path: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(filesystem, "fsync_folder", fail)
    with pytest.raises(DatabaseError, match="cannot back up"):
        migrate.back_up_sqlite(source, target)
    assert [path.name for path in tmp_path.iterdir()] == ["mydata"]


def test_a_dump_under_way_is_told_of(
    tmp_path: Path, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    told: list[str] = []
    monkeypatch.setattr(migrate, "dump_tables", lambda alias, target: told.append(capsys.readouterr().err))
    migrate._back_up(made.alias, made.home_path, "0999_test")
    assert "other processes wait until that is done" in told[0]
