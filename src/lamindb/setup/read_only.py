"""Open an instance for reading only: nothing is migrated, repaired or recorded, and the database refuses writes."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamindb.core import context
from lamindb.core.keys import DATABASE_FILE
from lamindb.db import database, migrate
from lamindb.errors import DatabaseError, LaminError, NoInstanceError, ReadOnlyError
from lamindb.instance import config as folders
from lamindb.instance import discovery
from lamindb.records.open_instance import Instance
from lamindb.setup import lifecycle

_SUFFIX = ":read-only"


def open_read_only(identifier: str | Path | None = None) -> Instance:
    """Open the instance of the working folder, or of a path or name, without writing anything to it.

    It does not become the current one, and stands beside the same instance opened for writing in this process. Other
    processes may write it meanwhile; each query reads what is committed by then. SQLite may make the `-wal` and `-shm`
    files that it keeps beside every database that is open.

    Raises:
        NoInstanceError: There is none, or its database is gone.
        ReadOnlyError: An older version of the library made it, and it has to be migrated first.
        NewerDatabaseError: A newer version made it.
        DatabaseError: The database cannot be reached.
    """
    import lamindb.models  # noqa: F401  configures Django

    found = discovery.find() if identifier is None else discovery.locate(identifier)
    instance = lifecycle.described(found.home, found.project, found.database_url)
    instance = replace(instance, alias=instance.alias + _SUFFIX, is_read_only=True)
    already = context.connected(instance.alias)
    if already is not None:
        lifecycle.close_connections(already)
    shown = _register(instance)
    try:
        lifecycle.check_records(instance.alias, folders.read(found.home), shown)
        _check_version(instance, found.home)
    except BaseException:
        database.unregister(instance.alias)
        raise
    context.add_connected(instance)
    return instance


def _check_version(instance: Instance, home: Path) -> None:
    try:
        migrate.bring_up_to_date(instance.alias, home=home, is_read_only=True)
    except ReadOnlyError:
        raise ReadOnlyError(
            f"the instance {instance.name!r} was made by an older lamindb and has to be migrated first: "
            "run a command that opens it for writing once, such as `lamin info`"
        ) from None


def _register(instance: Instance) -> str:
    """Make the database known and open it; return its name for messages."""
    if instance.database_url is not None:
        config = database.postgres_config(instance.database_url)
        options: dict[str, Any] = config["OPTIONS"]
        given = options.get("options", "")
        options["options"] = f"{given} -c default_transaction_read_only=on".strip()
        # The server ends a statement that takes too long, but not one whose rows a cursor holds.
        _register_kept(instance.alias, {**config, "DISABLE_SERVER_SIDE_CURSORS": True})
        database.check_reachable(instance.alias)
        return database.shown_url(instance.database_url)
    path = instance.home_path / DATABASE_FILE
    if not path.is_file():
        raise NoInstanceError(f"the database {path} is gone: bring it back by `lamin restore NAME`")
    _register_kept(instance.alias, database.sqlite_read_config(path))
    try:
        with database.connection(instance.alias).cursor() as cursor:
            cursor.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except (LaminError, sqlite3.Error) as error:
        database.unregister(instance.alias)
        _refuse_unmerged(path, error)
        # A folder that cannot be written, where no process has the database open: nothing changes it meanwhile.
        _register_kept(instance.alias, database.sqlite_config(path, is_read_only=True))
        database.check_reachable(instance.alias)
    return str(path)


def _register_kept(alias: str, config: dict[str, Any]) -> None:
    """Register a database whose connections are kept between requests, one for each thread."""
    database.register(alias, {**config, "CONN_MAX_AGE": None})


def _refuse_unmerged(path: Path, error: BaseException) -> None:
    wal = path.with_name(path.name + "-wal")
    try:
        is_unmerged = wal.stat().st_size > 0
    except OSError:
        is_unmerged = False
    if is_unmerged:
        raise ReadOnlyError(
            f"{path} cannot be written and has changes that were not merged into it ({wal.name}): "
            "open it once where it can be written"
        ) from error
    if not isinstance(error, DatabaseError | NoInstanceError | ReadOnlyError):
        raise error
