"""Files appear under their keys: whether they can is asked before anything is written, and they do once it is."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lamindb.core import messages
from lamindb.core.keys import GITIGNORE, GITIGNORE_TEXT
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


def check(instance: Instance, files: Sequence[File]) -> dict[str, list[str]]:
    """Refuse keys that the view could not show, before anything is written.

    Returns:
        Keys under which damaged bytes stand, each with the paths below the root where they do: see `put_aside`.

    Raises:
        ViewConflictError: Something of the user's stands there, or one key is the folder of another.
    """
    damaged: dict[str, list[str]] = {}
    if instance.view.mode == "none":
        return damaged
    folders = _folders_of(files)
    asked: set[str] = set()
    for part in bulk.chunks(filter(_appears, files), bulk.AT_ONCE):
        waiting: dict[str, Pending] = {file.pending.key: file.pending for file in part}
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
            found = _check_one(instance, key, known.get(key, set()), waiting[key])
            if found:
                damaged[key] = found
    return damaged


def put_aside(instance: Instance, damaged: dict[str, list[str]]) -> None:
    """Move damaged bytes out of the view, beside their key, before the right bytes replace the damaged object.

    Afterwards nothing would tell them from a user's edit: what stands in the view is known to be damaged only as long
    as it is the object, or as the object is missing. A save that dies in between finds the key free.

    Raises:
        StorageError: The disk failed. What was moved stays beside its key.
    """
    for key, paths in damaged.items():
        if key == GITIGNORE and is_own_gitignore(instance.root_url):
            os.unlink(f"{instance.root_url}/{key}")
            continue
        for path in paths:
            instance.view.move_aside(path, beside=key)


def _appears(file: File) -> bool:
    pending: Pending = file.pending
    return pending.key is not None and not pending.is_in_place and not pending.lies_at_key


def _folders_of(files: Iterable[File]) -> dict[str, str]:
    """Return the folders in which files will appear, and those above them, each with a key in it."""
    folders: dict[str, str] = {}
    for file in files:
        if _appears(file):
            key: str = file.pending.key
            above = key.rpartition("/")[0]
            while above and above not in folders:
                folders[above] = key
                above = above.rpartition("/")[0]
    return folders


def is_own_gitignore(root: str) -> bool:
    """Return True if the `.gitignore` of a storage folder is the one that was written when it was made."""
    try:
        with open(f"{root}/{GITIGNORE}", encoding="utf-8") as stream:
            return stream.read(len(GITIGNORE_TEXT) + 1) == GITIGNORE_TEXT
    except (OSError, ValueError):
        return False


def _check_one(instance: Instance, key: str, known: set[ObjectName], pending: Pending) -> list[str]:
    """Refuse a key that the view could not show; return the paths under it where damaged bytes stand.

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
        return []
    if key == GITIGNORE and is_own_gitignore(instance.root_url):
        # Ours gives way to a file of the user's.
        return [key]
    damaged = {path: None for name in known for path in _damaged(instance, key, name)}
    if not damaged and not view_sync.is_ours(instance, key) and not _shows_already(instance, key, pending):
        raise ViewConflictError(f"cannot save {pending.shown} as {key!r}: {reason}")
    return list(damaged)


def _damaged(instance: Instance, key: str, name: ObjectName) -> list[str]:
    """Return the paths of the view where other bytes stand than a version's, which it could be repaired from no more.

    That is so where the file is the object itself, or where the object is missing.
    """
    store = instance.store
    if not os.path.isdir(f"{instance.root_url}/{key}"):
        is_file = os.path.isfile(f"{instance.root_url}/{key}")
        return [key] if is_file and (is_object_itself(instance, key, name) or not store.exists(name)) else []
    try:
        members = read_manifest(store, name)
    except LaminError:
        return []
    found = []
    for member in members:
        path = f"{key}/{member.path}"
        damage = store.check(member.name, member.size, quick=True)
        if damage is not None and os.path.isfile(f"{instance.root_url}/{path}"):
            is_missing = damage.kind == "missing" and instance.view.state(path, member.name) == "edited"
            if is_missing or is_object_itself(instance, path, member.name):
                found.append(path)
    return found


def _shows_already(instance: Instance, key: str, pending: Pending) -> bool:
    """Return True if what stands there is what is to be saved, or a folder with nothing but files that it has, too.

    The manifest of a folder may be what is damaged, or the row of a file lost: then nothing else shows that it is ours.
    """
    cache = instance.hash_cache
    try:
        if not pending.is_folder:
            path = f"{instance.root_url}/{key}"
            if os.path.islink(path) or not os.path.isfile(path):
                return False
            content = pending.content or source.read_content(pending, cache)[0]
            return source.hash_local(path, None, cache).digest == content.digest
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
    """Return True if the view's file is the object itself, so that what was written into it damaged the object."""
    try:
        return os.path.samefile(f"{instance.root_url}/{key}", instance.store.object_path(name))
    except OSError:
        return False


def show(
    instance: Instance, changes: Iterable[Sequence[Change]], damaged: Collection[str], leaving: Sequence[Left] = ()
) -> None:
    """Show in the view what is current now. The rows are right already, so nothing here can undo the save.

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
    instance: Instance, changes: Sequence[Change], damaged: Collection[str], left: list[Left], again: list[str]
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
