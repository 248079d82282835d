"""Changes to a saved file: its name, description, run, or its key, which renames all its versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lamindb.core import ids, messages
from lamindb.core.keys import basename, check_key, suffix_of
from lamindb.errors import ConflictError, InvalidInputError, KeyExistsError, ViewConflictError
from lamindb.files import plan, versions, view_sync
from lamindb.files.view_sync import Left
from lamindb.models import File
from lamindb.models.base import check_texts, now
from lamindb.records import events
from lamindb.records.open_instance import Instance
from lamindb.records.save import save_origin
from lamindb.storage.base import ObjectName

_FIXED_OF_FILES = ("hash", "digest", "size", "suffix", "is_folder", "n_files", "version", "storage_id", "created_by_id")


@dataclass(slots=True)
class Change:
    """What the user changed in a saved file: its name, description, run, or its key, which renames all versions.

    Attributes:
        file: The file.
        is_renamed: Whether its key was set.
        leaving: What the view shows under the key that it leaves.
        by: Who changes it.
        left_key: The key that it had.
        is_moved: Whether it has another key now.
    """

    file: File
    is_renamed: bool
    leaving: list[Left]
    by: events.Author
    left_key: str | None = None
    is_moved: bool = False

    @classmethod
    def of(cls, file: File, instance: Instance) -> Change:
        """Return the change of a file, before the transaction that writes it."""
        is_renamed = "key" in file.loaded.get("_assigned", ())
        leaving = _leaving(file, instance) if is_renamed else []
        return cls(file, is_renamed, leaving, events.author(instance) if is_renamed else events.Author(None, None))

    def show(self, instance: Instance) -> None:
        """Show in the view what was written, after its transaction."""
        self.file.settle()
        if self.is_moved:
            both = {key for key in (self.left_key, self.file.key) if key is not None}
            conflicts = view_sync.follow(instance, both, left=self.leaving)
            view_sync.leave_unfinished(instance, conflicts)
            for conflict in conflicts:
                messages.warning(f"renamed, but the folder does not show it: {conflict}")


def renamed(changes: Iterable[Change]) -> list[tuple[File, list[str]]]:
    """Return the files whose keys were set, each with those that it leaves, for `plan.lock`."""
    return [(change.file, [one.key for one in change.leaving]) for change in changes if change.is_renamed]


def write(changes: Sequence[Change], instance: Instance, connection: Any) -> None:
    """Inside a transaction that has their locks: write changes of files, in this order.

    Raises:
        KeyExistsError: Another file has a key.
        InvalidInputError: A field was changed that only the library sets.
        ConflictError: A file was deleted for good meanwhile.
    """
    for change in changes:
        # Until the transaction ends, the view shows what the others leave.
        left = [one for other in changes for one in other.leaving if one.key == change.file.key]
        _write_one(change, instance, connection, left)


def _write_one(change: Change, instance: Instance, connection: Any, left: Sequence[Left]) -> None:
    file, alias = change.file, instance.alias
    stored = File.objects.using(alias).filter(id=file.id).first()
    if stored is None:
        raise ConflictError(f"{file!r} was deleted for good meanwhile")
    file.rebase(stored)
    fixed = [name for name in _FIXED_OF_FILES if name in file.loaded and getattr(file, name) != getattr(stored, name)]
    if fixed:
        raise InvalidInputError(f"{', '.join(fixed)} of a saved file cannot be set: use replace() for other bytes")
    moved = change.is_moved = file.key != stored.key
    change.left_key = stored.key
    if moved:
        file.key = check_key(file.key) if file.key is not None else None
        if file.name == stored.name and file.key is not None and stored.name == basename(stored.key or stored.name):
            file.name = basename(file.key)
        _check_rename(file, stored, instance, left)
    check_texts(file)
    if file.related("run") is not None:
        save_origin(file, instance)
    changed = [n for n in ("name", "description", "run_id", "transform_id") if getattr(file, n) != getattr(stored, n)]
    if not changed and not moved:
        return
    file.updated_at = now()
    values = {name: getattr(file, name) for name in changed} | {"updated_at": file.updated_at}
    File.objects.using(alias).filter(id=file.id).order_by().update_rows(values)
    if moved:
        family = File.objects.using(alias).filter(id__range=ids.version_range(file.stem_id))
        # Another process may have saved a version under the old key since we looked.
        change.leaving = [view_sync.left_by(version) for version in family if version.key is not None]
        events.renamed(connection, file.stem_id, file.key, change.by, file.updated_at)
        family.order_by().update_rows({"key": file.key, "updated_at": file.updated_at})
        # What was restored while its key belonged to another file has had no current version since.
        promoted = versions.promote(alias, [file], keys=[stored.key])
        plan.check_promoted(instance, promoted)
        if file.id in promoted:
            file.is_latest = True


def _leaving(file: File, instance: Instance) -> list[Left]:
    """Find what the view shows under the key that a file is about to leave; nothing where it keeps its key."""
    query = File.objects.using(instance.alias)
    key = query.filter(id=file.id, storage_id=instance.storage_id).values_list("key", flat=True).first()
    if key is None or key == file.key:
        return []
    family = query.filter(id__range=ids.version_range(file.stem_id))
    current_one = family.filter(is_latest=True, trashed_at__isnull=True).first() or file
    return [Left(key, ObjectName(current_one.digest, current_one.suffix), current_one.is_folder)]


def _check_rename(file: File, stored: File, instance: Instance, left: Sequence[Left]) -> None:
    if stored.storage_id != instance.storage_id:
        raise InvalidInputError("this file stays where it is on disk: rename it there and register it again")
    if file.key is None:
        return
    taken = (
        File.objects.using(instance.alias)
        .filter(storage_id=stored.storage_id, key=file.key, is_latest=True, trashed_at__isnull=True)
        .exclude(id__range=ids.version_range(file.stem_id))
        .first()
    )
    if taken is not None:
        raise KeyExistsError(f"cannot rename to {file.key!r}: another file has this key, {taken.id}")
    plan.check_keys(instance, [(file.key, stored.is_folder)], leaving=[stored.key] if stored.key else [])
    reason = instance.view.conflict(file.key, None, [stored.digest, *(one.name.digest for one in left)])
    if reason is not None:
        raise ViewConflictError(f"cannot rename to {file.key!r}: {reason}")
    if suffix_of(basename(file.key)) not in ("", stored.suffix):
        messages.warning(f"the key {file.key!r} has another suffix than the data ({stored.suffix})")
