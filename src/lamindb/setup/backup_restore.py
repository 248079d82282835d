"""Backing up, deleting and restoring an instance; stored files are never touched."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shlex
import shutil
import sqlite3
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from lamindb.core import context, documents, filesystem, messages, paths
from lamindb.core.keys import DATABASE_FILE, HIDDEN_FOLDER
from lamindb.db import database, migrate
from lamindb.errors import ConflictError, LaminError, NoInstanceError, NotUniqueError, StorageError
from lamindb.instance import config as folders
from lamindb.instance import discovery, move_note, registry
from lamindb.setup import finish_move, lifecycle
from lamindb.storage import ownership
from lamindb.storage.ownership import Owner

_ORIGIN: Final = "origin.json"
_TIME_FORMAT: Final = "%Y-%m-%dT%H-%M-%S.%f"
"""The format of times (UTC): some file systems allow no colon in the name of a folder."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a backup comes from.

    Attributes:
        home: Where the instance's own folder was.
        database_url: The address of its database with the password, or None for SQLite.
        made_at: When the backup was made.
        projects: The folders in which the instance was the current one.
    """

    home: Path
    database_url: str | None = field(repr=False)
    made_at: datetime.datetime
    projects: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write it into the folder of a backup.

        Raises:
            OSError: It cannot be written.
        """
        values = asdict(self) | {"home": str(self.home), "made_at": self.made_at.strftime(_TIME_FORMAT)}
        filesystem.write_text(folder / _ORIGIN, json.dumps(values, indent=1) + "\n", mode=0o600)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it from the folder of a backup.

        Raises:
            StorageError: It cannot be read.
        """
        path = folder / _ORIGIN
        try:
            values: dict[str, Any] = documents.parse_json(documents.read(path))
            made_at = datetime.datetime.strptime(values["made_at"], _TIME_FORMAT).replace(tzinfo=datetime.UTC)
            return cls(Path(values["home"]), values.get("database_url"), made_at, tuple(values.get("projects", ())))
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise StorageError(f"{path} is damaged: {error}") from error


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of an instance's records, or of what is needed to find them.

    Attributes:
        path: The folder that holds it.
        name: The instance's name.
        id: The instance's id.
        origin: Where it comes from.
    """

    path: Path
    name: str
    id: str
    origin: Origin


def backup(path: str | os.PathLike[str] | None = None) -> Path:
    """Copy the records of the current instance, in one consistent step, while others may write.

    Args:
        path: A new file for a SQLite copy of the records; None: a new folder among the user's data.

    Returns:
        The file or folder.

    Raises:
        ConflictError: The file exists already.
        StorageError: The folder of the copy cannot be made.
        DatabaseError: The copy failed; nothing is left of it.
    """
    instance = context.instance()
    if path is None:
        projects = _projects_of(instance.home_path)
        return _write_backup(instance.home_path, instance.database_url, projects, with_records=True)
    target = Path(path).expanduser().absolute()
    if target.exists():
        raise ConflictError(f"{target} exists already: name a new file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the folder {target.parent}: {error.strerror}") from error
    _copy_database(instance.home_path, instance.database_url, target)
    messages.success(f"the records are backed up to {target}")
    return target


def _copy_database(home: Path, database_url: str | None, target: Path) -> None:
    if database_url is None:
        migrate.back_up_sqlite(home / DATABASE_FILE, target)
        return
    from lamindb.setup import move

    move.dump_to_sqlite(home, database_url, target)


def _projects_of(home: Path) -> list[str]:
    return [entry.project for entry in registry.entries() if entry.home == str(home)]


def _write_backup(home: Path, database_url: str | None, projects: Iterable[str], *, with_records: bool) -> Path:
    """Write a backup: the description of an instance, its origin and, if wanted, its records.

    Returns:
        The new folder.

    Raises:
        StorageError: It cannot be written. Nothing is left of it.
        DatabaseError: The records cannot be copied. Nothing is left of it.
    """
    base = paths.data_folder()
    if base is None:
        raise StorageError("there is no folder for backups: set LAMIN_DATA_DIR")
    description = folders.read(home)
    origin = Origin(home, database_url, datetime.datetime.now(datetime.UTC), tuple(projects))
    safe_name = "".join(c if c.isalnum() or c in "._-" else "-" for c in description.name)
    folder = base / "backups" / f"{safe_name}-{description.id}-{origin.made_at.strftime(_TIME_FORMAT)}"
    try:
        paths.make_private_folder(folder)
        if with_records:
            _copy_database(home, database_url, folder / DATABASE_FILE)
        shutil.copyfile(home / folders.FILE_NAME, folder / folders.FILE_NAME)
        origin.write(folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, LaminError):
            raise StorageError(f"cannot write the backup {folder}: {error.strerror}") from error
        raise
    return folder


def delete(identifier: str | os.PathLike[str], *, drop_tables: bool = False) -> Path | None:
    """Delete an instance: its records and its registration, never a stored file. A backup is kept.

    Args:
        identifier: A name (that of the working folder's instance comes first) or a path.
        drop_tables: On PostgreSQL, also drop the tables, after a dump; without it the database stays.

    Returns:
        The folder of the backup, or None where there is no such instance.

    Raises:
        NotUniqueError: Several instances have the name; their paths are listed.
        StorageError: The backup could not be written. Nothing was deleted.
    """
    found = _find(os.fspath(identifier))
    if found is None:
        messages.warning(f"there is no instance {os.fspath(identifier)!r} here: nothing was deleted")
        return None
    moved = finish_move.finish(found.home)
    if moved is not None:
        found = found._replace(home=moved.home, database_url=moved.database_url)
    description = folders.read(found.home)
    is_sqlite = description.database is None
    url = None if is_sqlite else found.database_url
    if url is None and drop_tables and not is_sqlite:
        raise lifecycle.unregistered(description, found.home)
    # Before closing, which unregisters the working folder.
    projects = _projects_of(found.home)
    for instance in context.all_connected():
        if instance.home_path == found.home:
            if context.instance_or_none() is instance:
                lifecycle.close()
            else:
                lifecycle.close_connections(instance)
    kept = _write_backup(found.home, url, projects, with_records=drop_tables or is_sqlite)
    if is_sqlite:
        database.remove_sqlite(found.home / DATABASE_FILE)
    elif drop_tables and url is not None:
        from lamindb.setup import move

        move.drop_tables(found.home, url)
    if is_sqlite or drop_tables:
        ownership.release(description.storage, description.id, found.home)
    (found.home / folders.FILE_NAME).unlink(missing_ok=True)
    registry.forget(home=str(found.home))
    if description.storage == ".":
        _make_removable(found.home.parent)
    root = found.home.parent if description.storage == "." else description.storage
    messages.success(
        f"deleted the instance {description.name!r}; its files stay in {root}; its records are backed up in {kept}, "
        f"and `lamin restore {shlex.quote(description.name)}` brings it back"
    )
    return kept


def _find(identifier: str) -> discovery.Found | None:
    """Find the instance of a name or path: the instance of the working folder first, then a path, then a unique name.

    Raises:
        NotUniqueError: Several fit.
    """
    with contextlib.suppress(NoInstanceError, NotUniqueError):
        here = discovery.find()
        if folders.read(here.home).name == identifier:
            return here
    try:
        return discovery.locate(identifier)
    except NoInstanceError:
        return None


def _make_removable(root: Path) -> None:
    """Make the remaining files writable for their owner, so that `rm -r` does not prompt."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                mode = os.lstat(path).st_mode
                if stat.S_ISREG(mode) and not mode & stat.S_IWUSR:
                    os.chmod(path, stat.S_IMODE(mode) | stat.S_IWUSR)


def backups(name: str | None = None) -> list[Backup]:
    """Return the backups that this user has, the newest first; with a name, id or folder, those of one instance."""
    base = paths.data_folder()
    found = []
    for folder in sorted((base / "backups").glob("*")) if base is not None else []:
        try:
            description, origin = folders.read(folder), Origin.read(folder)
        except LaminError:
            continue
        if name is None or name in (description.name, description.id, str(folder), str(origin.home.parent)):
            found.append(Backup(folder, description.name, description.id, origin))
    return sorted(found, key=lambda one: one.origin.made_at, reverse=True)


def _is_from_here(origin: Origin, name: str) -> bool:
    """Return True if an instance belonged to the working folder, or was in it under this name."""
    try:
        here = Path.cwd()
    except OSError:
        return False
    return str(here) in origin.projects or origin.home.parent in (here / name, here)


def _lacks_records(home: Path, instance_id: str) -> bool:
    """Return True if what is in a folder is the rest of this instance, whose SQLite file is gone or has no table."""
    description = folders.read(home)
    if description.id != instance_id or description.database is not None:
        return False
    path = home / DATABASE_FILE
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    except sqlite3.Error:
        return not path.exists()


def restore(name: str | os.PathLike[str]) -> Any:
    """Restore a deleted instance from its newest backup, where it was, and connect to it.

    Args:
        name: Its name or id, the folder where its storage is, or the folder of a backup. Of several instances of
            one name, that of the working folder comes first.

    Raises:
        NoInstanceError: There is no backup of that name.
        NotUniqueError: Backups of several instances have that name; their paths are listed.
        ConflictError: There is an instance at its place already, or its bucket is another's by now. Nothing was
            changed.
    """
    from lamindb.storage.open_store import open_store

    wanted = os.path.expanduser(name)
    if os.path.isfile(os.path.join(wanted, _ORIGIN)):
        wanted = str(Path(wanted).resolve())
    found = backups(wanted)
    if not found:
        raise NoInstanceError(f"there is no backup of an instance {wanted!r}")
    if len({one.origin.home for one in found}) > 1:
        found = [one for one in found if _is_from_here(one.origin, wanted)] or found
    if len({one.origin.home for one in found}) > 1:
        listed = ", ".join(str(one.path) for one in found)
        raise NotUniqueError(f"several instances were called {wanted!r}: name one of these backups: {listed}")
    newest, origin = found[0].path, found[0].origin
    home = origin.home
    description = folders.read(newest)
    if (home / folders.FILE_NAME).exists() and not _lacks_records(home, description.id):
        raise ConflictError(f"there is an instance in {home} already: delete or move it first")
    ownership.claim_if_reachable(description.storage, Owner(description.id, description.name), home)
    try:
        if home.name == HIDDEN_FOLDER:
            open_store(str(home.parent)).prepare()
        home.mkdir(parents=True, exist_ok=True)
        move_note.forget(home)
        if (newest / DATABASE_FILE).exists() and description.database is None:
            database.remove_sqlite(home / DATABASE_FILE)
            migrate.back_up_sqlite(newest / DATABASE_FILE, home / DATABASE_FILE)
            database.create_sqlite(home / DATABASE_FILE)
        shutil.copyfile(newest / folders.FILE_NAME, home / folders.FILE_NAME)
        filesystem.share_files(str(home), os.stat(home.parent))
    except OSError as error:
        if isinstance(error, LaminError):
            raise
        raise StorageError(f"cannot restore to {home}: {error.strerror}") from error
    instance = lifecycle.connect(home, database_url=origin.database_url)
    for project in origin.projects:
        registry.register(instance, project)
    if instance.is_local:
        from lamindb.files import view_sync

        view_sync.rebuild_view(instance)
    messages.success(f"restored the instance {instance.name!r} in {instance.root_url}")
    return instance
