"""Files appear under their keys: whether they can is asked before anything is written, and they do once it is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lamindb.core import messages
from lamindb.core.current import Instance
from lamindb.core.errors import LaminError, ViewConflictError
from lamindb.instance import rows
from lamindb.models import File
from lamindb.storage.protocol import ObjectName
from lamindb.storage.view import Shown
from lamindb.usecases import stores
from lamindb.usecases.files.sources import Pending
from lamindb.usecases.view import repairing, showing
from lamindb.usecases.view.showing import Left

_CHECKED_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Change:
    """What the view has to follow.

    Attributes:
        file: A file that was saved.
        before: The version that was current before, as it is now.
        left: The key under which that one was shown, if the file has taken another.
    """

    file: File
    before: File | None
    left: str | None


def check(instance: Instance, files: Sequence[File]) -> set[str]:
    """Refuse keys that the view could not show, before anything is written.

    Returns:
        Keys whose file in the view is a damaged object; it is moved aside when the right bytes are back.

    Raises:
        ViewConflictError: Something of the user's stands there, or one key is the folder of another.
    """
    damaged: set[str] = set()
    if stores.view(instance).mode == "none":
        return damaged
    folders = _folders_of(files)
    asked: set[str] = set()
    for part in rows.chunks(filter(_appears, files), _CHECKED_AT_ONCE):
        waiting: dict[str, Pending] = {file._source.key: file._source for file in part}
        occupied: list[str] = []
        for key, pending in waiting.items():
            below = folders.get(key)
            if below is not None:
                raise ViewConflictError(f"cannot save both {key!r} and {below!r}: a file cannot be a folder too")
            folder = key.rpartition("/")[0]
            # Of each folder one key tells whether it can be made; one that is taken is asked about itself.
            if os.path.lexists(f"{instance.root_url}/{key}"):
                occupied.append(key)
            elif folder not in asked:
                _check_one(instance, key, set(), pending.shown)
            asked.add(folder)
        known = _names_under(instance, occupied)
        for key in occupied:
            if _check_one(instance, key, known.get(key, set()), waiting[key].shown):
                damaged.add(key)
    return damaged


def _appears(file: File) -> bool:
    pending: Pending = file._source
    return pending.key is not None and not pending.is_in_place and not pending.source.take_over


def _folders_of(files: Iterable[File]) -> dict[str, str]:
    """Return the folders in which files will appear, and those above them, each with a key in it."""
    folders: dict[str, str] = {}
    for file in files:
        if _appears(file):
            key: str = file._source.key
            above = key.rpartition("/")[0]
            while above and above not in folders:
                folders[above] = key
                above = above.rpartition("/")[0]
    return folders


def _check_one(instance: Instance, key: str, known: set[ObjectName], shown: str) -> bool:
    """Refuse a key that the view could not show; tell whether what stands there is a damaged object.

    Args:
        instance: The instance.
        key: The key.
        known: The objects of its versions.
        shown: What to call the file in the error.
    """
    view = stores.view(instance)
    reason = view.conflict(key, None, [name.digest for name in known])
    # Another process may show a version that it saved after we asked for the versions.
    while reason is not None and known != (known_now := _names_under(instance, [key]).get(key, set())):
        known = known_now
        reason = view.conflict(key, None, [name.digest for name in known])
    if reason is None:
        return False
    if any(is_object_itself(instance, key, name) for name in known):
        return True
    if not showing.is_ours(instance, key):
        raise ViewConflictError(f"cannot save {shown} as {key!r}: {reason}")
    return False


def _names_under(instance: Instance, keys: Sequence[str]) -> dict[str, set[ObjectName]]:
    """Return the objects of all versions under each of some keys."""
    found: dict[str, set[ObjectName]] = {}
    query = File.objects.using(instance.alias).filter(storage_id=instance.storage_id)
    for part in rows.chunks(keys):
        for key, digest, suffix in query.filter(key__in=part).values_list("key", "digest", "suffix").order_by():
            found.setdefault(str(key), set()).add(ObjectName(digest, suffix))
    return found


def is_object_itself(instance: Instance, key: str, name: ObjectName) -> bool:
    """Tell whether the view's file is the object itself, so that what was written into it damaged the object."""
    try:
        return os.path.samefile(f"{instance.root_url}/{key}", stores.own_store(instance).object_path(name))
    except OSError:
        return False


def show(instance: Instance, changes: Iterable[Sequence[Change]], damaged: set[str]) -> None:
    """Let the view show what is current now. The rows are right already, so nothing here can undo the save.

    Args:
        instance: The instance.
        changes: The files that were saved, in parts.
        damaged: Keys whose file is to be moved aside.
    """
    if stores.view(instance).mode == "none":
        return
    left: list[Left] = []
    again: list[str] = []
    try:
        for part in changes:
            _show_some(instance, part, damaged, left, again)
        again += [one.key for one in left]
        conflicts = showing.follow(instance, again, left=left) if again else []
    except LaminError as error:
        conflicts = [error]
    repairing.leave_unfinished(instance, conflicts)
    for conflict in conflicts:
        messages.warning(f"saved, but the folder does not show it: {conflict}")


def _show_some(
    instance: Instance, changes: Sequence[Change], damaged: set[str], left: list[Left], again: list[str]
) -> None:
    """Show some of the files; notes what was left behind, and keys that have to be looked at once more."""
    view = stores.view(instance)
    wanted: dict[str, Shown] = {}
    shown: dict[str, str] = {}
    for change in changes:
        file, before = change.file, change.before
        old = ObjectName(before.digest, before.suffix) if before is not None else None
        if file.key is not None and file.storage_id == instance.storage_id and file.is_latest:
            wanted[file.key] = Shown(file.key, ObjectName(file.digest, file.suffix), file.is_folder, old)
            shown[file.key] = file.id
        if change.left is not None and before is not None and old is not None:
            left.append(Left(change.left, old, before.is_folder))
    if view.show_many([one for key, one in wanted.items() if key not in damaged]):
        again += wanted
    view.show_many([one for key, one in wanted.items() if key in damaged], move_aside=True)
    moved = showing.moved_on(instance, shown)
    left += [Left(key, wanted[key].name, wanted[key].is_folder) for key in moved]
