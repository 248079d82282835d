"""Files appear under their keys: whether they can is asked before anything is written, and they do once it is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lamindb.core import messages
from lamindb.db import bulk
from lamindb.errors import LaminError, ViewConflictError
from lamindb.files import source, view_repair, view_sync
from lamindb.files.source import Pending
from lamindb.files.view_sync import Left
from lamindb.models import File
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName
from lamindb.storage.manifest import read_manifest, walk
from lamindb.storage.view import Shown


@dataclass(frozen=True, slots=True)
class Change:
    """A file that was saved, and the version that was current before, as it is now."""

    file: File
    before: File | None


def check(instance: Instance, files: Sequence[File]) -> set[str]:
    """Refuse keys that the view could not show, before anything is written.

    Returns:
        Keys whose file in the view is a damaged object; it is moved aside when the right bytes are back.

    Raises:
        ViewConflictError: Something of the user's stands there, or one key is the folder of another.
    """
    damaged: set[str] = set()
    if instance.view.mode == "none":
        return damaged
    folders = _folders_of(files)
    asked: set[str] = set()
    for part in bulk.chunks(filter(_appears, files), bulk.AT_ONCE):
        waiting: dict[str, Pending] = {file._source.key: file._source for file in part}
        occupied: list[str] = []
        for key, pending in waiting.items():
            below = folders.get(key)
            if below is not None:
                raise ViewConflictError(f"cannot save both {key!r} and {below!r}: a file cannot be a folder too")
            folder = key.rpartition("/")[0]
            # Of each folder one key tells whether it can be made; one that is taken is asked about itself, which tells
            # of its folder, too.
            if os.path.lexists(f"{instance.root_url}/{key}"):
                occupied.append(key)
            elif folder not in asked:
                _check_one(instance, key, set(), pending)
            asked.add(folder)
        known = _names_under(instance, occupied)
        for key in occupied:
            if _check_one(instance, key, known.get(key, set()), waiting[key]):
                damaged.add(key)
    return damaged


def _appears(file: File) -> bool:
    pending: Pending = file._source
    return pending.key is not None and not pending.is_in_place and not pending.lies_at_key


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


def _check_one(instance: Instance, key: str, known: set[ObjectName], pending: Pending) -> bool:
    """Refuse a key that the view could not show; tell whether what stands there is a damaged object.

    Args:
        instance: The instance.
        key: The key.
        known: The objects of its versions.
        pending: What is to be shown there.
    """
    view = instance.view
    reason = view.conflict(key, None, [name.digest for name in known])
    # Another process may show a version that it saved after we asked for the versions.
    while reason is not None and known != (known_now := _names_under(instance, [key]).get(key, set())):
        known = known_now
        reason = view.conflict(key, None, [name.digest for name in known])
    if reason is None:
        return False
    if any(_is_damaged(instance, key, name) for name in known):
        return True
    if not view_sync.is_ours(instance, key) and not _shows_already(instance, key, pending):
        raise ViewConflictError(f"cannot save {pending.shown} as {key!r}: {reason}")
    return False


def _is_damaged(instance: Instance, key: str, name: ObjectName) -> bool:
    """Tell whether what stands under a key is an object, or the objects of a folder, into which somebody wrote."""
    if is_object_itself(instance, key, name):
        return True
    store = instance.store
    if not os.path.isdir(f"{instance.root_url}/{key}"):
        return False
    try:
        members = read_manifest(store, name)
    except LaminError:
        return False
    return any(
        is_object_itself(instance, f"{key}/{member.path}", member.name)
        and store.check(member.name, member.size, quick=True) is not None
        for member in members
    )


def _shows_already(instance: Instance, key: str, pending: Pending) -> bool:
    """Tell whether a folder stands there with nothing but files that the one to be saved has, too, byte for byte.

    The stored list of what is in a folder may be what is damaged: then nothing else tells that the folder is ours.
    """
    if not pending.is_folder:
        return False
    cache = instance.hash_cache
    try:
        wanted = dict(walk(str(pending.source.path)))
        return all(
            relative in wanted
            and source.hash_local(path, None, cache).digest == source.hash_local(wanted[relative], None, cache).digest
            for relative, path in walk(f"{instance.root_url}/{key}")
        )
    except (LaminError, OSError):
        return False


def _names_under(instance: Instance, keys: Sequence[str]) -> dict[str, set[ObjectName]]:
    """Return the objects of all versions under each of some keys."""
    found: dict[str, set[ObjectName]] = {}
    query = File.objects.using(instance.alias).filter(storage_id=instance.storage_id)
    for part in bulk.chunks(keys):
        for key, digest, suffix in query.filter(key__in=part).values_list("key", "digest", "suffix").order_by():
            found.setdefault(str(key), set()).add(ObjectName(digest, suffix))
    return found


def is_object_itself(instance: Instance, key: str, name: ObjectName) -> bool:
    """Tell whether the view's file is the object itself, so that what was written into it damaged the object."""
    try:
        return os.path.samefile(f"{instance.root_url}/{key}", instance.store.object_path(name))
    except OSError:
        return False


def show(
    instance: Instance, changes: Iterable[Sequence[Change]], damaged: set[str], leaving: Sequence[Left] = ()
) -> None:
    """Let the view show what is current now. The rows are right already, so nothing here can undo the save.

    Args:
        instance: The instance.
        changes: The files that were saved, in parts.
        damaged: Keys whose file is to be moved aside.
        leaving: What the view may still show under keys that files have left.
    """
    if instance.view.mode == "none":
        return
    left = list(leaving)
    again: list[str] = []
    try:
        for part in changes:
            _show_some(instance, part, damaged, left, again)
        again += [one.key for one in left]
        conflicts = view_sync.follow(instance, again, left=left) if again else []
    except LaminError as error:
        conflicts = [error]
    view_repair.leave_unfinished(instance, conflicts)
    for conflict in conflicts:
        messages.warning(f"saved, but the folder does not show it: {conflict}")


def _show_some(
    instance: Instance, changes: Sequence[Change], damaged: set[str], left: list[Left], again: list[str]
) -> None:
    """Show some of the files; notes what was left behind, and keys that have to be looked at once more."""
    view = instance.view
    wanted: dict[str, Shown] = {}
    shown: dict[str, str] = {}
    for change in changes:
        file, before = change.file, change.before
        old = ObjectName(before.digest, before.suffix) if before is not None else None
        if file.key is not None and file.storage_id == instance.storage_id and file.is_latest:
            wanted[file.key] = Shown(file.key, ObjectName(file.digest, file.suffix), file.is_folder, old)
            shown[file.key] = file.id
    if view.show_many([one for key, one in wanted.items() if key not in damaged]):
        again += wanted
    view.show_many([one for key, one in wanted.items() if key in damaged], move_aside=True)
    moved = view_sync.moved_on(instance, shown)
    left += [Left(key, wanted[key].name, wanted[key].is_folder) for key in moved]
