"""Migrate a database to this version of the library, after a backup; refuse a newer one."""

from __future__ import annotations

import contextlib
import os
import pkgutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamindb.core import filesystem, locks, messages
from lamindb.core.keys import DATABASE_FILE
from lamindb.db import database
from lamindb.errors import DatabaseError, NewerDatabaseError, ReadOnlyError

if TYPE_CHECKING:
    import zipfile

_PREFIX = "lamindb_"
_MIGRATIONS = "django_migrations"


def dump_tables(alias: str, target: Path) -> None:
    r"""Write all tables of ours, as they were at one time, to a zip file with a CSV file for each.

    PostgreSQL reads each back by `\copy TABLE FROM FILE WITH (FORMAT csv, HEADER)`.

    Args:
        alias: The database.
        target: The file; one that exists is replaced.

    Raises:
        DatabaseError: The database cannot be read, or the file cannot be written. Nothing is left of it.
    """
    import zipfile

    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive, database.writing(alias) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                names = [name for name in connection.introspection.table_names(cursor) if _is_ours(name)]
            for name in sorted(names):
                _dump_table(connection, name, archive)
        filesystem.replace(temporary, target)
    except OSError as error:
        raise DatabaseError(f"cannot back up to {target}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _is_ours(name: str) -> bool:
    return name.startswith(_PREFIX) or name == _MIGRATIONS


def _dump_table(connection: Any, name: str, archive: zipfile.ZipFile) -> None:
    quoted = connection.ops.quote_name(name)
    with (
        connection.wrap_database_errors,
        connection.connection.cursor() as cursor,
        cursor.copy(f"COPY {quoted} TO STDOUT WITH (FORMAT csv, HEADER)") as rows,
        archive.open(f"{name}.csv", "w", force_zip64=True) as stream,
    ):
        for piece in rows:
            stream.write(piece)


_POSTGRES_LOCK = 0x1A_31_DB


def known() -> set[str]:
    """Return the names of the migrations that this version of the library has."""
    import lamindb.migrations

    return {module.name for module in pkgutil.iter_modules(lamindb.migrations.__path__) if module.name[:4].isdigit()}


def applied(alias: str) -> set[str]:
    """Return the names of the migrations that a database has had; none for an empty one."""
    connection = database.connection(alias)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'django_migrations'")
            exists = cursor.fetchone() is not None
        else:
            cursor.execute("SELECT to_regclass('django_migrations')")
            exists = cursor.fetchone()[0] is not None
        if not exists:
            return set()
        cursor.execute("SELECT name FROM django_migrations WHERE app = 'lamindb'")
        return {row[0] for row in cursor.fetchall()}


def bring_up_to_date(alias: str, *, home: Path, is_read_only: bool = False) -> bool:
    """Migrate a database if it is older than this version of the library, after a backup; many processes may try.

    Args:
        alias: The database.
        home: The instance's folder: the lock of a SQLite database lies there.
        is_read_only: The database cannot be written.

    Returns:
        Whether anything was migrated.

    Raises:
        NewerDatabaseError: A newer version of the library made it. Nothing was changed.
        ReadOnlyError: It is older and cannot be written.
    """
    missing = _missing(alias)
    if not missing:
        return False
    if is_read_only:
        raise ReadOnlyError(
            "the instance was made by an older lamindb and cannot be written here: "
            "copy it first, or have a user who can write it connect once"
        )
    with _lock(alias, home):
        missing = _missing(alias)
        if not missing:
            return False
        if applied(alias):
            _back_up(alias, home, min(missing))
            _migrate(alias)
        else:
            _create(alias)
    return True


def _missing(alias: str) -> set[str]:
    have, want = applied(alias), known()
    if have - want:
        raise NewerDatabaseError(
            f"the database was made by a newer lamindb (it has {', '.join(sorted(have - want))}): "
            "install a newer version here"
        )
    return want - have


def _create(alias: str) -> None:
    """Make the tables of an empty database in one transaction, and record all migrations as done.

    Migrations take several times as long: they render the models anew for each change. A test holds that both lead to
    the same tables. A migration that makes more than models say does that in a function `complete`, called here, too.
    """
    from importlib import import_module

    from django.apps import apps
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.recorder import MigrationRecorder

    connection = database.connection(alias)
    recorder = MigrationRecorder(connection)
    with connection.schema_editor() as editor:
        if not recorder.has_table():
            editor.create_model(recorder.Migration)
        for model in apps.get_app_config("lamindb").get_models():
            if model._meta.managed and not model._meta.proxy:
                editor.create_model(model)
        package, _ = MigrationLoader.migrations_module("lamindb")
        for name in sorted(known()):
            complete = getattr(import_module(f"{package}.{name}"), "complete", None)
            if complete is not None:
                complete(editor)
            recorder.migration_qs.create(app="lamindb", name=name)


def _migrate(alias: str) -> None:
    from django.db import transaction
    from django.db.migrations.executor import MigrationExecutor

    class Executor(MigrationExecutor):
        """Record a migration in the transaction that does it, where the database can.

        Django does that afterwards: a crash in between would leave tables that no migration is recorded for.
        """

        def apply_migration(self, *args: Any, **kwargs: Any) -> Any:
            if self.connection.vendor != "postgresql":
                return super().apply_migration(*args, **kwargs)
            with transaction.atomic(using=alias):
                return super().apply_migration(*args, **kwargs)

    connection = database.connection(alias)
    executor = Executor(connection)
    targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == "lamindb"]
    executor.migrate(targets)
    if connection.vendor == "postgresql":
        _vacuum(connection)


def _vacuum(connection: Any) -> None:
    """Note of which pages of tables all rows are visible; until then, indexes of a table written anew do not suffice.

    The server does that by itself only after many further changes.
    """
    from django.apps import apps
    from django.db import Error

    names = [model._meta.db_table for model in apps.get_app_config("lamindb").get_models()]
    try:
        with connection.cursor() as cursor:
            for name in names:
                cursor.execute(f"VACUUM (ANALYZE) {connection.ops.quote_name(name)}")
    except (DatabaseError, Error) as error:
        messages.debug(f"the tables were migrated and not vacuumed: {error}")


def _back_up(alias: str, home: Path, first: str) -> None:
    is_sqlite = database.connection(alias).vendor == "sqlite"
    # Named by the first migration that is missing: if migrating stops in the middle, the next try keeps this backup.
    target = home / "backups" / f"before-{first}.{'sqlite3' if is_sqlite else 'zip'}"
    try:
        target.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise DatabaseError(f"cannot back up to {target}, so nothing was migrated: {error.strerror}") from error
    if is_sqlite:
        back_up_sqlite(home / DATABASE_FILE, target)
    else:
        messages.info(
            f"the records are copied to {target} before they are migrated; other processes wait until that is done"
        )
        dump_tables(alias, target)
    messages.info(f"the database is of an older version and is migrated now; a backup is at {target}")


def back_up_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database that may be in use, in one step, with fsync.

    Raises:
        DatabaseError: It cannot be read, or the target cannot be written. Nothing is left at the target.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            contextlib.closing(_reader(source)) as reader,
            contextlib.closing(sqlite3.connect(temporary)) as writer,
        ):
            reader.backup(writer)
        filesystem.replace(temporary, target)
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise DatabaseError(f"cannot back up {source} to {target}: {error}") from error


def _reader(path: Path) -> sqlite3.Connection:
    """Open a SQLite file for reading, also where nothing can be written: its shared mode needs a file beside it."""
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=database.BUSY_TIMEOUT_SECONDS)
    try:
        reader.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.Error as error:
        reader.close()
        wal = path.with_name(f"{path.name}-wal")
        is_writable = os.access(path.parent, os.W_OK)
        if not isinstance(error, sqlite3.OperationalError) or is_writable or (wal.exists() and wal.stat().st_size):
            raise
        reader = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    return reader


@contextlib.contextmanager
def _lock(alias: str, home: Path) -> Iterator[None]:
    connection: Any = database.connection(alias)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_POSTGRES_LOCK])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_POSTGRES_LOCK])
        return
    with locks.held(home / "migrating.lock"):
        yield
