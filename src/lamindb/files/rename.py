"""Changes to a saved file: its name, description, run, or its key, which renames all its versions."""

from __future__ import annotations

from lamindb.core import ids, messages
from lamindb.core.keys import basename, check_key, suffix_of
from lamindb.db import database
from lamindb.errors import ConflictError, InvalidInputError, KeyExistsError, ViewConflictError
from lamindb.files import plan, versions, view_sync
from lamindb.files.view_sync import Left
from lamindb.models import File
from lamindb.models.base import check_texts, now
from lamindb.records import events
from lamindb.records.open_instance import Instance
from lamindb.records.save import link_pending, save_origin, undone_on_failure
from lamindb.storage.base import ObjectName

_FIXED_OF_FILES = ("hash", "digest", "size", "suffix", "is_folder", "n_files", "version", "storage_id", "created_by_id")


def save_changes(file: File, instance: Instance) -> None:
    """Write what the user changed in a saved file: name, description, run, or its key, which renames all versions.

    Raises:
        KeyExistsError: Another file has the key. Nothing was changed.
        InvalidInputError: A field was changed that only the library sets. Nothing was changed.
    """
    alias = instance.alias
    is_renamed = "key" in file.loaded.get("_assigned", ())
    leaving = _leaving(file, instance) if is_renamed else []
    by = events.author(instance) if is_renamed else events.Author(None, None)
    if leaving:
        view_sync.announce(instance, leaving=leaving)
    with undone_on_failure([file]), database.writing(alias) as connection:
        if is_renamed:
            plan.lock_saved(connection, [file], keys=[one.key for one in leaving])
        stored = File.objects.using(alias).filter(id=file.id).first()
        if stored is None:
            raise ConflictError(f"{file!r} was deleted for good meanwhile")
        file.rebase(stored)
        fixed = [
            name for name in _FIXED_OF_FILES if name in file.loaded and getattr(file, name) != getattr(stored, name)
        ]
        if fixed:
            raise InvalidInputError(f"{', '.join(fixed)} of a saved file cannot be set: use replace() for other bytes")
        moved = file.key != stored.key
        if moved:
            file.key = check_key(file.key) if file.key is not None else None
            if file.name == stored.name and file.key is not None and stored.name == basename(stored.key or stored.name):
                file.name = basename(file.key)
            _check_rename(file, stored, instance)
        check_texts(file)
        run = file.related("run")
        if run is not None:
            save_origin(file, instance)
            link_pending([run], connection)
        changed = [
            n for n in ("name", "description", "run_id", "transform_id") if getattr(file, n) != getattr(stored, n)
        ]
        if not changed and not moved:
            file.settle()
            return
        file.updated_at = now()
        values = {name: getattr(file, name) for name in changed} | {"updated_at": file.updated_at}
        File.objects.using(alias).filter(id=file.id).order_by().update_rows(values)
        if moved:
            family = File.objects.using(alias).filter(id__range=ids.version_range(file.stem_id))
            # Another process may have saved a version under the old key since we looked.
            leaving = [view_sync.left_by(version) for version in family if version.key is not None]
            events.renamed(connection, file.stem_id, file.key, by, file.updated_at)
            family.order_by().update_rows({"key": file.key, "updated_at": file.updated_at})
            # What was restored while its key belonged to another file has had no current version since.
            promoted = versions.promote(alias, [file], keys=[stored.key])
            plan.check_promoted(instance, promoted)
            if file.id in promoted:
                file.is_latest = True
    file.settle()
    if moved:
        both = {key for key in (stored.key, file.key) if key is not None}
        conflicts = view_sync.follow(instance, both, left=leaving)
        view_sync.leave_unfinished(instance, conflicts)
        for conflict in conflicts:
            messages.warning(f"renamed, but the folder does not show it: {conflict}")


def _leaving(file: File, instance: Instance) -> list[Left]:
    """Find what the view shows under the key that a file is about to leave; nothing where it keeps its key."""
    query = File.objects.using(instance.alias)
    key = query.filter(id=file.id, storage_id=instance.storage_id).values_list("key", flat=True).first()
    if key is None or key == file.key:
        return []
    family = query.filter(id__range=ids.version_range(file.stem_id))
    current_one = family.filter(is_latest=True, trashed_at__isnull=True).first() or file
    return [Left(key, ObjectName(current_one.digest, current_one.suffix), current_one.is_folder)]


def _check_rename(file: File, stored: File, instance: Instance) -> None:
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
    reason = instance.view.conflict(file.key, None, [stored.digest])
    if reason is not None:
        raise ViewConflictError(f"cannot rename to {file.key!r}: {reason}")
    if suffix_of(basename(file.key)) not in ("", stored.suffix):
        messages.warning(f"the key {file.key!r} has another suffix than the data ({stored.suffix})")
