"""Backing up, deleting and restoring an instance; stored files are never touched."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamindb.core import atomic, current, messages
from lamindb.core.errors import (
    ConflictError,
    LaminError,
    NoInstanceError,
    NotUniqueError,
    StorageError,
)
from lamindb.core.keys import HIDDEN_FOLDER
from lamindb.instance import finding, migrating, opening, places, registry
from lamindb.instance import folder as folders
from lamindb.storage import modes
from lamindb.usecases import instances

_ORIGIN = "origin.json"
_DATABASE = "db.sqlite3"


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of an instance's records.

    Attributes:
        path: The folder that holds it.
        name: The instance's name.
        id: The instance's id.
        home: Where the instance's own folder was.
        made_at: When it was made, UTC.
    """

    path: Path
    name: str
    id: str
    home: Path
    made_at: str


def backup(path: str | os.PathLike[str] | None = None) -> Path:
    """Copy the records of the current instance, in one consistent step, while others may write.

    Args:
        path: A new file for a SQLite copy of the records; None: a new folder among the user's data.

    Returns:
        The file or folder.

    Raises:
        ConflictError: The file exists already.
        DatabaseError: The copy failed; nothing is left of it.
    """
    instance = current.instance()
    if path is None:
        return _back_up(instance.home_path, instance.database_url, _projects_of(instance.home_path))
    target = Path(path).expanduser().absolute()
    if target.exists():
        raise ConflictError(f"{target} exists already: name a new file")
    target.parent.mkdir(parents=True, exist_ok=True)
    _copy_database(instance.home_path, instance.database_url, target)
    messages.success(f"the records are backed up to {target}")
    return target


def _copy_database(home: Path, database_url: str | None, target: Path) -> None:
    if database_url is None:
        migrating.back_up_sqlite(home / _DATABASE, target)
        return
    from lamindb.usecases import copying

    copying.dump_to_sqlite(home, database_url, target)


def _projects_of(home: Path) -> list[str]:
    return [entry.project for entry in registry.entries() if entry.home == str(home)]


def _back_up(home: Path, database_url: str | None, projects: list[str]) -> Path:
    base = places.data_folder()
    if base is None:
        raise StorageError("there is no folder for backups: set LAMIN_DATA_DIR")
    description = folders.read(home)
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
    safe_name = "".join(c if c.isalnum() or c in "._-" else "-" for c in description.name)
    folder = base / "backups" / f"{safe_name}-{description.id}-{moment}"
    try:
        places.make_private(folder)
        _copy_database(home, database_url, folder / _DATABASE)
        shutil.copyfile(home / folders.FILE_NAME, folder / folders.FILE_NAME)
        origin = {"home": str(home), "database_url": database_url, "made_at": moment, "projects": projects}
        atomic.write_text(folder / _ORIGIN, json.dumps(origin, indent=1) + "\n", mode=0o600)
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
    description = folders.read(found.home)
    url = (found.database_url or description.database) if description.database else None
    # Before closing, which unregisters the working folder.
    projects = _projects_of(found.home)
    for instance in list(instances.connections_open()):
        if instance.home_path == found.home:
            if current.instance_or_none() is instance:
                instances.close()
            else:
                instances.close_connections(instance)
    keep = _back_up if url is None or drop_tables else _keep_description
    kept = keep(found.home, url, projects)
    if url is None:
        for name in (_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm"):
            (found.home / name).unlink(missing_ok=True)
    elif drop_tables:
        from lamindb.usecases import copying

        copying.drop_tables(found.home, url)
    (found.home / folders.FILE_NAME).unlink(missing_ok=True)
    registry.forget(home=str(found.home))
    if description.storage == ".":
        _make_removable(found.home.parent)
    root = found.home.parent if description.storage == "." else description.storage
    messages.success(
        f"deleted the instance {description.name!r}; its files stay in {root}; its records are backed up in {kept}, "
        f"and `lamin restore {description.name}` brings it back"
    )
    return kept


def _keep_description(home: Path, url: str | None, projects: list[str]) -> Path:
    """Keep what is needed to connect the database again."""
    base = places.data_folder()
    if base is None:
        raise StorageError("there is no folder for backups: set LAMIN_DATA_DIR")
    description = folders.read(home)
    moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
    folder = base / "backups" / f"{description.id}-{moment}"
    places.make_private(folder)
    shutil.copyfile(home / folders.FILE_NAME, folder / folders.FILE_NAME)
    origin = {"home": str(home), "database_url": url, "made_at": moment, "projects": projects}
    atomic.write_text(folder / _ORIGIN, json.dumps(origin, indent=1) + "\n", mode=0o600)
    return folder


def _find(identifier: str) -> finding.Found | None:
    """Find what a name or path means: the instance of the working folder first, then a path, then a unique name.

    Raises:
        NotUniqueError: Several fit.
    """
    with contextlib.suppress(NoInstanceError, NotUniqueError):
        here = finding.find()
        if folders.read(here.home).name == identifier:
            return here
    try:
        return finding.locate(identifier)
    except NoInstanceError:
        return None


def _make_removable(root: Path) -> None:
    """Give the owner the right to write to what is left, so that `rm -r` works without questions."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                mode = os.lstat(path).st_mode
                if stat.S_ISREG(mode) and not mode & stat.S_IWUSR:
                    os.chmod(path, stat.S_IMODE(mode) | stat.S_IWUSR)


def backups(name: str | None = None) -> list[Backup]:
    """Return the backups that this user has, the newest first; with a name, id or folder, those of one instance."""
    base = places.data_folder()
    found = []
    for folder in sorted((base / "backups").glob("*")) if base is not None else []:
        try:
            description = folders.read(folder)
            origin: dict[str, Any] = json.loads((folder / _ORIGIN).read_text(encoding="utf-8"))
        except (LaminError, OSError, ValueError):
            continue
        places_of_it = (str(folder), str(Path(origin["home"]).parent))
        if name is None or name in (description.name, description.id, *places_of_it):
            found.append(Backup(folder, description.name, description.id, Path(origin["home"]), str(origin["made_at"])))
    return sorted(found, key=lambda one: one.made_at, reverse=True)


def _is_from_here(backup: Backup, name: str) -> bool:
    """Tell whether an instance belonged to the working folder, or lay in it under this name."""
    try:
        here = Path.cwd()
        origin: dict[str, Any] = json.loads((backup.path / _ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return str(here) in origin.get("projects", ()) or backup.home.parent in (here / name, here)


def restore(name: str | os.PathLike[str]) -> Any:
    """Bring back a deleted instance from its newest backup, where it was, and connect it.

    Args:
        name: Its name or id, the folder where its storage is, or the folder of a backup. Of several instances of
            one name, that of the working folder comes first.

    Raises:
        NoInstanceError: There is no backup of that name.
        NotUniqueError: Backups of several instances have that name; their paths are listed.
        ConflictError: There is an instance at its place already. Nothing was changed.
    """
    from lamindb.storage.opening import open_store

    wanted = os.fspath(name)
    if os.path.isfile(os.path.join(wanted, _ORIGIN)):
        wanted = str(Path(wanted).resolve())
    found = backups(wanted)
    if not found:
        raise NoInstanceError(f"there is no backup of an instance {wanted!r}")
    if len({one.home for one in found}) > 1:
        found = [one for one in found if _is_from_here(one, wanted)] or found
    if len({one.home for one in found}) > 1:
        listed = ", ".join(str(one.path) for one in found)
        raise NotUniqueError(f"several instances were called {wanted!r}: name one of these backups: {listed}")
    newest = found[0]
    if (newest.home / folders.FILE_NAME).exists():
        raise ConflictError(f"there is an instance in {newest.home} already: delete or move it first")
    origin = json.loads((newest.path / _ORIGIN).read_text(encoding="utf-8"))
    try:
        if newest.home.name == HIDDEN_FOLDER:
            open_store(str(newest.home.parent)).prepare()
        newest.home.mkdir(parents=True, exist_ok=True)
        if (newest.path / _DATABASE).exists() and folders.read(newest.path).database is None:
            migrating.back_up_sqlite(newest.path / _DATABASE, newest.home / _DATABASE)
            opening.create_sqlite(newest.home / _DATABASE)
        shutil.copyfile(newest.path / folders.FILE_NAME, newest.home / folders.FILE_NAME)
        modes.share_files(str(newest.home), os.stat(newest.home.parent))
    except OSError as error:
        if isinstance(error, LaminError):
            raise
        raise StorageError(f"cannot restore to {newest.home}: {error.strerror}") from error
    instance = instances.connect(newest.home, database_url=origin.get("database_url"))
    for project in origin.get("projects", []):
        registry.remember(
            registry.Entry(
                str(newest.home), instance.id, instance.name, instance.root_url, instance.database_url, project
            )
        )
    if instance.is_local:
        from lamindb.usecases import repairing

        repairing.rebuild_view(instance)
    messages.success(f"restored the instance {instance.name!r} in {instance.root_url}")
    return instance
