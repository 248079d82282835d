"""Repair of what a process left that died between a row and its view.

A process that writes leaves its name in `incoming/` while it lives, and beside it what it is about to take out of the
view. The next process that opens the instance and finds the name of a dead process checks both: what was written since
that one announced itself, and what it noted.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import json
import os
from collections.abc import Iterable
from typing import Final

from lamindb.core import documents, messages
from lamindb.core.progress import Progress
from lamindb.db import bulk
from lamindb.errors import InvalidInputError, LaminError, ViewConflictError
from lamindb.files import view_sync
from lamindb.files.view_sync import Left
from lamindb.models import File
from lamindb.records.open_instance import Instance
from lamindb.storage import temp_files
from lamindb.storage.base import ObjectName

FOREIGN_SECONDS: Final = 7 * 86_400
"""How old something must be that a process of another machine left before that process counts as dead."""

_ENDING = ".writer"
_NOTES_ENDING = ".leaving"
_MARGIN = datetime.timedelta(minutes=2)
_announced: dict[tuple[str, int], str] = {}
_unfinished: set[tuple[str, int]] = set()


def announce(instance: Instance, *, leaving: Iterable[Left] = ()) -> None:
    """Leave the name of this process in the instance's folder, once, until the process ends.

    Args:
        instance: The instance that is about to be written to.
        leaving: What the view shows under keys that no row will tell after the transaction that follows.
    """
    if not instance.is_local:
        return
    key = (instance.alias, os.getpid())
    path = _announced.get(key)
    try:
        if path is None:
            path = temp_files.new_temp_path(f"{instance.home_path}/incoming") + _ENDING
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
            _announced[key] = path
            atexit.register(_withdraw, key)
        _note(_notes_of(path), leaving)
    except OSError as error:
        messages.debug(f"cannot write {path}: {error}")


def _notes_of(path: str) -> str:
    return path.removesuffix(_ENDING) + _NOTES_ENDING


def _note(path: str, leaving: Iterable[Left]) -> None:
    """Write down what is about to leave the view, before the transaction after which nothing else tells it."""
    lines = [json.dumps([one.key, one.name.digest, one.name.suffix, one.is_folder]) + "\n" for one in leaving]
    if not lines:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, "".join(lines).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _noted(path: str) -> list[Left]:
    """Read what a process noted; a line that it did not finish is passed over."""
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, InvalidInputError):
            key, digest, suffix, is_folder = documents.parse_json(line)
            found.append(Left(str(key), ObjectName(digest, suffix), bool(is_folder)))
    return found


def leave_unfinished(instance: Instance, conflicts: Iterable[LaminError]) -> None:
    """Leave the repair of the view to the next process that opens the instance, if the disk failed here."""
    if any(not isinstance(conflict, ViewConflictError) for conflict in conflicts):
        _unfinished.add((instance.alias, os.getpid()))


def _withdraw(key: tuple[str, int]) -> None:
    path = _announced.pop(key, None)
    if path is not None and key[1] == os.getpid() and key not in _unfinished:
        for each in (_notes_of(path), path):
            with contextlib.suppress(OSError):
                os.unlink(each)


def left_behind(instance: Instance) -> list[str]:
    """Return the entries in `incoming/` whose writers are dead, sorted."""
    if not instance.is_local:
        return []
    try:
        return temp_files.list_abandoned(f"{instance.home_path}/incoming", older_than_seconds=FOREIGN_SECONDS)
    except OSError:
        return []


def repair_after_crash(instance: Instance) -> int:
    """Look for dead writers and let the view show what the rows say; returns how many keys were looked at."""
    if not instance.is_local or instance.is_read_only:
        return 0
    folder = f"{instance.home_path}/incoming"
    dead = [name for name in left_behind(instance) if name.endswith(_ENDING)]
    since = None
    left: list[Left] = []
    for name in dead:
        left += _noted(_notes_of(f"{folder}/{name}"))
        with contextlib.suppress(OSError):
            announced = os.stat(f"{folder}/{name}").st_mtime
            began = datetime.datetime.fromtimestamp(announced, datetime.UTC) - _MARGIN
            since = began if since is None else min(since, began)
    count = rebuild_view(instance, since=since, left=left) if since is not None else 0
    for name in dead:
        for path in (_notes_of(f"{folder}/{name}"), f"{folder}/{name}"):
            with contextlib.suppress(OSError):
                os.unlink(path)
    return count


def rebuild_view(
    instance: Instance,
    *,
    since: datetime.datetime | None = None,
    left: Iterable[Left] = (),
    progress: Progress | None = None,
) -> int:
    """Show in the view every current file, and nothing that is not current; edits of users are left alone.

    Args:
        instance: The instance.
        since: Only look at keys whose files changed since then; None for all.
        left: What the view may still show under keys that their files left.
        progress: Called with the numbers of keys that are done and of all keys.

    Returns:
        How many keys were looked at.
    """
    if instance.view.mode == "none":
        return 0
    query = File.objects.using(instance.alias).filter(storage_id=instance.storage_id, key__isnull=False)
    if since is not None:
        query = query.filter(updated_at__gte=since)
    gone = list(left)
    keys = dict.fromkeys(one.key for one in gone)
    keys |= dict.fromkeys(query.values_list("key", flat=True).order_by("key").distinct())
    done = 0
    for part in bulk.chunks(keys):
        for conflict in view_sync.follow(instance, part, left=gone):
            messages.warning(str(conflict))
        done += len(part)
        if progress is not None:
            progress(done, len(keys))
    return len(keys)
