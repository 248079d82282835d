"""From an instance folder to a connected instance."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from lamindb.core import filesystem, messages
from lamindb.core.context import Instance
from lamindb.core.keys import DATABASE_FILE
from lamindb.db import database, migrate
from lamindb.errors import DatabaseError, NoInstanceError, ReadOnlyError
from lamindb.instance import config as folders


def open_instance(home: Path, *, project: Path | None, database_url: str | None = None) -> Instance:
    """Connect the database of an instance folder, migrating an older one; does not make it the current one.

    Args:
        home: The folder that holds `instance.toml`.
        project: The folder to which references of notebooks and scripts are relative.
        database_url: The database's address with its password, if `instance.toml` has one without.

    Raises:
        NoInstanceError: The folder or its database is gone.
        NewerDatabaseError: A newer version of the library made it.
        DatabaseError: The database cannot be reached.
    """
    description = folders.read(home)
    is_local = description.storage == "."
    root_url = str(home.parent) if is_local else description.storage
    alias = f"{database.ALIAS_PREFIX}{description.id}:{home}"
    url = (database_url or description.database) if description.database else None
    is_read_only = False
    if url:
        database.register(alias, database.postgres_config(url))
        database.check_reachable(alias)
    else:
        is_read_only = _register_sqlite(alias, home)
    instance = Instance(
        id=description.id,
        name=description.name,
        alias=alias,
        root_url=root_url,
        home_path=home,
        database_url=url,
        project_path=project,
        is_read_only=is_read_only,
        view_mode=description.view,
        storage_id=description.storage_id,
    )
    try:
        migrate.bring_up_to_date(alias, home=home, is_read_only=is_read_only)
    except BaseException:
        database.unregister(alias)
        raise
    return instance


def _register_sqlite(alias: str, home: Path) -> bool:
    path = home / DATABASE_FILE
    if not path.is_file():
        raise NoInstanceError(
            f"the database {path} is gone: bring it back by `lamin restore NAME`, or start anew by `lamin init`"
        )
    wal = path.with_name(path.name + "-wal")
    writable = os.access(path, os.W_OK) and os.access(home, os.W_OK)
    database.register(alias, database.sqlite_config(path))
    if writable:
        database.check_reachable(alias)
        return False
    try:
        with database.connection(alias).cursor() as cursor:
            cursor.execute("SELECT count(*) FROM sqlite_master")
    except (DatabaseError, ReadOnlyError, NoInstanceError):
        database.unregister(alias)
        if wal.exists() and wal.stat().st_size:
            raise ReadOnlyError(
                f"{path} cannot be written and has changes that were not merged into it ({wal.name}): "
                "open it once where it can be written"
            ) from None
        database.register(alias, database.sqlite_config(path, is_read_only=True))
        database.check_reachable(alias)
    messages.info(f"the instance in {home.parent} can only be read")
    return True


def create_sqlite(path: Path) -> None:
    """Make an empty database file in the mode that many processes can share; keeps one that exists.

    Raises:
        DatabaseError: It cannot be made.
    """
    on_network = filesystem.is_network(filesystem.kind_of(path.parent))
    if on_network:
        messages.warning(
            f"{path.parent} lies on a network file system, where SQLite cannot use its fast shared mode: "
            "for several people or machines use PostgreSQL (--db postgresql://…)"
        )
    try:
        raw = sqlite3.connect(path, timeout=database.BUSY_TIMEOUT_SECONDS)
        try:
            raw.execute(f"PRAGMA journal_mode={'DELETE' if on_network else 'WAL'}")
        finally:
            raw.close()
    except sqlite3.Error as error:
        raise DatabaseError(f"cannot make the database {path}: {error}") from error


def remove_sqlite(path: Path) -> None:
    """Remove a database file that nobody has open, and what SQLite keeps beside it, as far as they are there.

    Raises:
        OSError: One cannot be removed.
    """
    for ending in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
