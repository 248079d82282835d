"""The note of an instance that moves: once it has moved, nothing may be written to the old folder.

The note is in the old folder before the new one is described, and until the old one is out of use. It has no effect
as long as there is no description in the new folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lamindb.core import database_url, documents, filesystem, ids, messages, storage_url
from lamindb.errors import LaminError, NoInstanceError, StorageError
from lamindb.instance import config as folders
from lamindb.instance.config import Description

if TYPE_CHECKING:
    from lamindb.records.open_instance import Instance

MOVED: Final = "this instance has moved"
"""How the message begins that refuses a write to the old folder."""

FILE_NAME: Final = "moving.json"


class Move(NamedTuple):
    """Where an instance moves from and to.

    Attributes:
        id: The instance's id.
        old_home: The folder that describes it until then; a note in a copy of that folder is ignored.
        home: The folder that will describe it.
        root_url: Its new storage root.
        database: The address of its new database without a password, None for SQLite.
        old_root_url: The storage root that it leaves, or keeps.
        project: The folder for which it was the current one.
    """

    id: str
    old_home: str
    home: str
    root_url: str
    database: str | None
    old_root_url: str
    project: str | None


def noted(home: Path, instance_id: str) -> Move | None:
    """Return the move that was begun from an instance's folder and not finished."""
    move = read(home)
    return move if move is not None and (move.id, move.old_home) == (instance_id, str(home)) else None


def read(home: Path) -> Move | None:
    """Return the note in an instance's folder, of whatever instance; None if there is none."""
    try:
        values: Any = documents.parse_json(documents.read(home / FILE_NAME))
        return _checked(Move(**{name: values[name] for name in Move._fields}))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        messages.debug(f"{home / FILE_NAME} cannot be read: {error}")
        return None


def _checked(move: Move) -> Move:
    """Return a move whose values are valid; another person may have written them.

    Raises:
        ValueError: One cannot.
        TypeError: One is of another type.
    """
    if not ids.is_id(move.id):
        raise ValueError("its id is not one")
    for root_url in (move.root_url, move.old_root_url):
        if "://" in root_url:
            storage_url.split(root_url)
        elif not os.path.isabs(root_url):
            raise ValueError("a storage of it is not absolute")
    if not all(os.path.isabs(folder) for folder in (move.old_home, move.home, move.project or "/")):
        raise ValueError("a folder of it is not absolute")
    if move.database is not None:
        database_url.parse(move.database)
    return move


def write(home: Path, move: Move) -> None:
    """Write the note that an instance is about to move.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        filesystem.write_text(home / FILE_NAME, json.dumps(move._asdict(), indent=1) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {home / FILE_NAME}: {error.strerror}") from error


def forget(home: Path) -> None:
    """Remove the note of a move.

    Raises:
        OSError: It cannot be removed.
    """
    (home / FILE_NAME).unlink(missing_ok=True)


def arrived(move: Move) -> Description | None:
    """Return the description in the new folder of a move; None as long as the instance has not moved there."""
    target, home = Path(move.home), Path(move.old_home)
    try:
        there = folders.read(target)
        if (home / folders.FILE_NAME).exists() and folders.read(home).id != move.id:
            return None
    except LaminError:
        return None
    root_url = str(target.parent) if there.storage == "." else there.storage
    return there if (there.id, root_url, there.database) == (move.id, move.root_url, move.database) else None


def refuse_if_moved(instance: Instance) -> None:
    """Refuse to write to a folder that an instance has left. Called inside a transaction that keeps other writers out.

    Raises:
        NoInstanceError: It has moved since this process opened it.
    """
    move = noted(instance.home_path, instance.id)
    if move is None or arrived(move) is None:
        return
    database = database_url.shown(instance.database_url) if instance.database_url else None
    if (instance.root_url, database) != (move.root_url, move.database):
        raise NoInstanceError(f"{MOVED} to {move.database or move.home}: connect it there")
