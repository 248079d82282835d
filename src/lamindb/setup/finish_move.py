"""The last steps of a move: the new place is described, and the old one retired, also after a crash in between.

A note in the old place says where the instance moves to. Until the description of the new place is there, the note
only means that rows of an interrupted move may be there. From then on the instance has moved, and the next process
that opens the old place or the new one does the remaining steps.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import Final, NamedTuple

from lamindb.core import locks, messages
from lamindb.core.keys import DATABASE_FILE
from lamindb.db import database, migrate
from lamindb.errors import LaminError, StorageError
from lamindb.instance import config as folders
from lamindb.instance import move_note, registry
from lamindb.instance.config import Description
from lamindb.storage import ownership

_LOCK: Final = "moving.lock"


class Moved(NamedTuple):
    """Where an instance has moved to."""

    home: Path
    database_url: str | None
    """With its password as far as it is known here; None for SQLite, or where nothing is known."""

    def __repr__(self) -> str:
        """Leave out what may have a password."""
        return f"Moved(home={self.home!r})"


def new_backup(home: Path, name: str) -> Path:
    """Name a SQLite file in an instance's `backups/` that is not there yet: what an earlier try kept stays."""
    folder = home / "backups"
    paths = (folder / f"{name}{f'-{number}' if number > 1 else ''}.sqlite3" for number in itertools.count(1))
    return next(path for path in paths if not os.path.lexists(path))


def switch(home: Path, move: move_note.Move, description: Description, database_url: str | None) -> None:
    """Describe the new place: when this returns, the instance has moved.

    Args:
        home: The old place.
        move: The move, as it was noted.
        description: What the new place says about itself.
        database_url: The new database's address with its password.

    Raises:
        StorageError: It cannot be written. The old place counts.
    """
    target = Path(move.home)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the folder {target}: {error.strerror}") from error
    if target != home:
        # A process that opens the new place first finishes the move, too.
        move_note.write(target, move)
    if database_url is not None:
        # Registered for the new place itself: the process that finishes the move needs the password.
        _register(description, target, move.root_url, database_url, str(target))
    folders.write(target, description)


def finish(home: Path) -> Moved | None:
    """Retire the old place of a move that was interrupted after the new one was described; concurrent calls are safe.

    Args:
        home: The old place or the new one.

    Returns:
        Where the instance is, None if there was nothing to end.
    """
    move = move_note.read(home)
    if move is None or str(home) not in (move.old_home, move.home):
        return None
    old = Path(move.old_home)
    try:
        with locks.held(old / _LOCK):
            moved = _finish(old)
        if home != old and move_note.read(old) is None:
            move_note.forget(home)
    except OSError as error:
        messages.debug(f"cannot end the move of {old}: {error}")
        return None
    return moved


def _finish(home: Path) -> Moved | None:
    move = move_note.read(home)
    if move is None or move.old_home != str(home):
        return None
    there = move_note.arrived(move)
    if there is None:
        return None
    target = Path(move.home)
    url = _register_projects(home, move, there)
    _retire(home, move)
    return Moved(target, url)


def _register_projects(home: Path, move: move_note.Move, there: Description) -> str | None:
    """Register the new place for the projects of the old one; return its database's address."""
    target = Path(move.home)
    entries = registry.entries()
    url = registry.database_url_of(target)
    projects = {entry.project for entry in entries if entry.home == str(home)} | {move.project or ""}
    for project in sorted(projects - {"", str(target)}):
        _register(there, target, move.root_url, url, project)
    registry.forget(project=str(target))
    return url


def _register(description: Description, home: Path, root_url: str, database_url: str | None, project: str) -> None:
    registry.remember(
        registry.Entry(
            home=str(home),
            id=description.id,
            name=description.name,
            root_url=root_url,
            database_url=database_url,
            project=project,
        ),
        description.database,
    )


def _retire(home: Path, move: move_note.Move) -> None:
    """Retire the old records, then the description, the mark, and last the note: any step can be repeated."""
    try:
        if (home / DATABASE_FILE).exists():
            (home / "backups").mkdir(exist_ok=True)
            migrate.back_up_sqlite(home / DATABASE_FILE, new_backup(home, "before-moving"))
            database.remove_sqlite(home / DATABASE_FILE)
        if move.home != str(home):
            with contextlib.suppress(FileNotFoundError):
                os.replace(home / folders.FILE_NAME, home / f"moved-{folders.FILE_NAME}")
        if move.old_root_url != move.root_url:
            ownership.release(move.old_root_url, move.id, home)
        move_note.forget(home)
        move_note.forget(Path(move.home))
    except (OSError, LaminError) as error:
        messages.warning(f"the instance has moved, but {home} could not be taken out of use: {error}")
