"""Putting right what a process left that died between a row and its view.

A process that writes leaves its name in `incoming/` while it lives. Whoever opens the instance next and finds the
name of a dead process looks at what was written since that one began.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import os
import re

from lamindb.core import messages
from lamindb.core.current import Instance
from lamindb.core.errors import LaminError
from lamindb.models import File
from lamindb.storage import incoming
from lamindb.storage.protocol import ObjectName
from lamindb.usecases import stores

_ENDING = ".writer"
_MARGIN = datetime.timedelta(minutes=2)
_announced: dict[tuple[str, int], str] = {}


def announce(instance: Instance) -> None:
    """Leave the name of this process in the instance's folder, once, until the process ends."""
    key = (instance.alias, os.getpid())
    if not instance.is_local or key in _announced:
        return
    path = incoming.new_entry(f"{instance.home_path}/incoming") + _ENDING
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
    except OSError as error:
        messages.debug(f"cannot write {path}: {error}")
        return
    _announced[key] = path
    atexit.register(_withdraw, key)


def _withdraw(key: tuple[str, int]) -> None:
    path = _announced.pop(key, None)
    if path is not None and key[1] == os.getpid():
        with contextlib.suppress(OSError):
            os.unlink(path)


def repair_after_crash(instance: Instance) -> int:
    """Look for dead writers and let the view show what their rows say; returns how many files were looked at."""
    if not instance.is_local or instance.is_read_only:
        return 0
    folder = f"{instance.home_path}/incoming"
    try:
        names = [name for name in os.listdir(folder) if name.endswith(_ENDING)]
    except OSError:
        return 0
    dead = [name for name in names if _is_dead(name)]
    since = None
    for name in dead:
        with contextlib.suppress(OSError):
            began = datetime.datetime.fromtimestamp(os.stat(f"{folder}/{name}").st_mtime, datetime.UTC) - _MARGIN
            since = began if since is None else min(since, began)
    count = rebuild_view(instance, since=since) if since is not None else 0
    for name in dead:
        with contextlib.suppress(OSError):
            os.unlink(f"{folder}/{name}")
    return count


def _is_dead(name: str) -> bool:
    match = re.match(r"(?P<machine>[0-9a-z-]+\.[0-9a-f]{12})\.(?P<pid>\d+)\.(?P<start>\d+)\.", name)
    if match is None:
        return False
    writer = incoming.Writer(match["machine"], int(match["pid"]), int(match["start"]))
    return incoming.is_alive(writer) is False


def rebuild_view(instance: Instance, *, since: datetime.datetime | None = None) -> int:
    """Let the view show every current file, and nothing that is not current; edits of users are left alone.

    Args:
        instance: The instance.
        since: Only look at files that changed since then; None for all.

    Returns:
        How many files were looked at.
    """
    view = stores.view(instance)
    if view.mode == "none":
        return 0
    query = File.objects.using(instance.alias).filter(storage_id=instance.storage_id, key__isnull=False)
    if since is not None:
        query = query.filter(updated_at__gte=since)
    count = 0
    current_keys: set[str] = set()
    for file in query.filter(is_latest=True, trashed_at__isnull=True).order_by().iterator():
        count += 1
        current_keys.add(str(file.key))
        name = ObjectName(file.digest, file.suffix)
        if view.state(str(file.key), name, is_folder=file.is_folder) == "ours":
            continue
        before = _names_of_older(instance, file)
        try:
            _show_over(view, file, name, before)
        except LaminError as error:
            messages.warning(f"the folder cannot show {file.key!r}: {error}")
    for file in query.exclude(is_latest=True, trashed_at__isnull=True).order_by().iterator():
        if file.key in current_keys or _has_current(instance, str(file.key)):
            continue
        name = ObjectName(file.digest, file.suffix)
        if view.state(str(file.key), name, is_folder=file.is_folder) == "ours":
            view.hide(str(file.key), name, is_folder=file.is_folder)
    return count


def _names_of_older(instance: Instance, file: File) -> list[ObjectName]:
    query = File.objects.using(instance.alias).filter(key=file.key, storage_id=file.storage_id).exclude(id=file.id)
    return [ObjectName(row.digest, row.suffix) for row in query.order_by("-created_at", "-id")]


def _show_over(view: object, file: File, name: ObjectName, before: list[ObjectName]) -> None:
    """Show a file where nothing or one of its own older versions stands."""
    key = str(file.key)
    for older in [None, *before]:
        if older is None or view.state(key, older, is_folder=file.is_folder) == "ours":  # type: ignore[attr-defined]
            state = view.state(key, name, is_folder=file.is_folder)  # type: ignore[attr-defined]
            if older is None and state != "missing":
                continue
            view.show(key, name, is_folder=file.is_folder, replaces=older)  # type: ignore[attr-defined]
            return
    messages.warning(f"{key!r} in the folder is not what was saved, and is left as it is")


def _has_current(instance: Instance, key: str) -> bool:
    query = File.objects.using(instance.alias).filter(
        storage_id=instance.storage_id, key=key, is_latest=True, trashed_at__isnull=True
    )
    return bool(query.exists())
