"""Deleting: files go to a trash and come back; what is referred to stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, models, transaction

from lamindb.core import context, ids, messages
from lamindb.db import database
from lamindb.errors import ConflictError, InvalidInputError, LaminError, ReadOnlyError, ReferencedError, StorageError
from lamindb.files import plan, versions, view_sync
from lamindb.files.view_sync import Left
from lamindb.models import File, Record, RunInput
from lamindb.models.base import now
from lamindb.records import events
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName


def delete(record: Record, *, permanent: bool = False, storage: bool | None = None) -> None:
    """Delete a record: a file to the trash or for good, another one if nothing refers to it.

    Raises:
        ReferencedError: Something refers to it. Nothing was deleted.
    """
    delete_many([record], permanent=permanent, storage=storage)


def delete_many(records: Sequence[Record], *, permanent: bool = False, storage: bool | None = None) -> None:
    """Delete records: the files of an instance all or none, then its other records all or none.

    Raises:
        ReferencedError: Something refers to one of them. Nothing of that group was deleted, nor what comes after.
    """
    by_alias: dict[str, tuple[Instance, list[File], list[Record]]] = {}
    for record in records:
        instance = _instance_to_delete_in(record)
        _, files, others = by_alias.setdefault(instance.alias, (instance, [], []))
        if isinstance(record, File):
            files.append(record)
        else:
            others.append(record)
    for instance, files, others in by_alias.values():
        if files and (permanent or storage is True):
            purge(files, instance)
        elif files:
            trash(files, instance)
        if storage is True:
            for file in files:
                _remove_bytes(file, instance)
        _delete_rows(others, instance)


def _instance_to_delete_in(record: Record) -> Instance:
    if not record.is_saved:
        raise InvalidInputError(f"this {type(record).__name__} is not saved, so there is nothing to delete")
    instance = context.connected(record.alias)
    if instance is None:
        raise InvalidInputError("this record belongs to an instance that was closed")
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read")
    return instance


def _delete_rows(records: Sequence[Record], instance: Instance) -> None:
    ids = [(record, record.pk, record.is_saved) for record in records]
    try:
        with transaction.atomic(using=instance.alias):
            for record in records:
                _delete_row(record)
    except BaseException:
        # What was taken back was never deleted.
        for record, pk, is_saved in ids:
            record.pk, record.is_saved = pk, is_saved
        raise


def _delete_row(record: Record) -> None:
    try:
        record.delete_row()
    except models.ProtectedError as error:
        kinds = sorted({type(found).__name__ for found in error.protected_objects})
        raise ReferencedError(
            f"cannot delete {record!r}: {len(error.protected_objects):,} {' and '.join(kinds)} record(s) refer to it"
        ) from None


def trash(files: Sequence[File], instance: Instance) -> None:
    """Move files to the trash; of each key, the newest file left becomes the current one.

    Raises:
        ConflictError: One was deleted for good meanwhile. Nothing was moved.
    """
    view_sync.announce(instance)
    alias = instance.alias
    by = events.author(instance)
    with database.writing(alias) as connection:
        plan.lock_saved(connection, files)
        timestamp = now()
        events.removed(connection, [file.id for file in files], by, timestamp)
        for chunk in database.chunks([file.id for file in files]):
            query = File.objects.using(alias).filter(id__in=chunk, trashed_at__isnull=True).order_by()
            query.update_rows(
                {"trashed_at": timestamp, "trashed_by_id": by.user_id, "is_latest": False, "updated_at": timestamp}
            )
        plan.check_promoted(instance, versions.promote(alias, files))
        found = _found(files, alias)
        for file in files:
            if file.id not in found:
                raise ConflictError(f"{file.key or file.name!r} ({file.id}) was deleted for good meanwhile")
    for file in files:
        file.adopt(found[file.id])
    _show_current(files, instance)


def _show_current(files: Sequence[File], instance: Instance, left: Sequence[Left] = ()) -> None:
    """Show in the view what is current under these files' keys now, or nothing. The rows are right already."""
    keys = [file.key for file in files if file.key is not None and file.storage_id == instance.storage_id]
    try:
        conflicts = view_sync.follow(instance, keys, left=left)
    except LaminError as error:
        conflicts = [error]
    view_sync.leave_unfinished(instance, conflicts)
    for conflict in conflicts:
        messages.warning(f"the folder does not show what is current now: {conflict}")


def _left(files: Sequence[File], instance: Instance) -> list[Left]:
    return [
        Left(file.key, ObjectName(file.digest, file.suffix), file.is_folder)
        for file in files
        if file.key is not None and file.storage_id == instance.storage_id
    ]


def restore(files: Sequence[File]) -> None:
    """Take files of an instance out of the trash, all of them or none.

    The newest version of a key becomes its current one; if the key belongs to another file by now, a file comes back
    as an older version that can be read by its id.

    Raises:
        InvalidInputError: One is not in the trash. Nothing was moved.
        ConflictError: One was deleted for good. Nothing was moved.
        KeyExistsError: Its key lies in a folder that was stored as one meanwhile, or it is a folder over current keys.
            Nothing was moved.
    """
    if not files:
        return
    instance = context.connected(files[0].alias)
    if instance is None:
        raise InvalidInputError("this file belongs to an instance that was closed")
    view_sync.announce(instance)
    alias = instance.alias
    by = events.author(instance)
    with database.writing(alias) as connection:
        plan.lock_saved(connection, files)
        stored = _found(files, alias)
        for file in files:
            if file.id not in stored:
                raise ConflictError(f"{file!r} was deleted for good and cannot be restored")
            if stored[file.id].trashed_at is None:
                raise InvalidInputError(f"{file.key or file.name!r} is not in the trash")
        timestamp = now()
        events.restored(connection, stored, by, timestamp)
        for chunk in database.chunks(stored):
            query = File.objects.using(alias).filter(id__in=chunk).order_by()
            query.update_rows({"trashed_at": None, "trashed_by_id": None, "updated_at": timestamp})
        plan.check_promoted(instance, versions.promote(alias, files))
        found = _found(files, alias)
        owners = _owners([file for file in found.values() if not file.is_latest], alias)
    for file in files:
        file.adopt(found[file.id])
        owner = owners.get((file.storage_id, file.key))
        if owner is not None and owner[: ids.STEM_LENGTH] != file.stem_id:
            messages.warning(f"the key {file.key!r} belongs to {owner} now: {file.id} is back, but not current")
    _show_current(files, instance)


def _owners(files: Sequence[File], alias: str) -> dict[tuple[str, str | None], str]:
    """Return the ids of the files that are current under the keys of these."""
    owners: dict[tuple[str, str | None], str] = {}
    current = File.objects.using(alias).filter(is_latest=True, trashed_at__isnull=True).order_by()
    for chunk in database.chunks(dict.fromkeys(file.key for file in files if file.key is not None)):
        for file_id, storage_id, key in current.filter(key__in=chunk).values_list("id", "storage_id", "key"):
            owners[storage_id, key] = file_id
    return owners


def _found(files: Sequence[File], alias: str) -> dict[str, File]:
    """Read the rows of files anew, by their ids; what is gone is not among them."""
    found: dict[str, File] = {}
    for chunk in database.chunks([file.id for file in files]):
        found.update(File.objects.using(alias).in_bulk(chunk))
    return found


def purge(files: Sequence[File], instance: Instance) -> None:
    """Remove files for good; their bytes go at the next `lamin gc`, once nothing else needs them.

    They go to the trash first, which takes them out of the view: whatever dies in between, the view never shows what
    no row tells.

    Raises:
        ReferencedError: A run read one of them. Nothing was removed.
        ConflictError: One was deleted for good meanwhile. Nothing was removed.
    """
    alias = instance.alias
    _check_unread(files, alias)
    view_sync.announce(instance, leaving=_left(files, instance))
    present = [file for file in files if file.trashed_at is None]
    if present:
        trash(present, instance)
    left = _left(files, instance)
    try:
        with database.writing(alias) as connection:
            plan.lock_saved(connection, files)
            _check_unread(files, alias)
            for chunk in database.chunks([file.id for file in files]):
                File.objects.using(alias).filter(id__in=chunk).order_by().delete_rows()
            versions.keep_last_versions(connection, alias, files)
            plan.check_promoted(instance, versions.promote(alias, files))
    except IntegrityError as error:
        raise ReferencedError("a run began to read one of these files just now: they stay in the trash") from error
    for file in files:
        file.is_saved = False
    _show_current(files, instance, left)


def _check_unread(files: Sequence[File], alias: str) -> None:
    for chunk in database.chunks([file.id for file in files]):
        query = RunInput.objects.using(alias).filter(file_id__in=chunk)
        read = query.values_list("file_id", flat=True).order_by().first()
        if read is not None:
            shown = next(file for file in files if file.id == read)
            raise ReferencedError(
                f"cannot remove {shown.key or shown.name!r} for good: a run read it, and its lineage would be lost; "
                "move it to the trash by delete()"
            )


def _remove_bytes(file: File, instance: Instance) -> None:
    """Remove the bytes of a purged file at once, if nothing else needs them."""
    from lamindb.maintenance import gc

    if not instance.is_own(file.storage_id):
        return
    try:
        gc.sweep_objects(instance, gc.objects_of(instance, file))
    except (StorageError, ConflictError, InvalidInputError) as error:
        messages.warning(f"{file.key or file.name!r} is removed; its bytes stay until the next `lamin gc`: {error}")


def trashed(instance: Instance) -> Any:
    """Return a query for what is in the trash, the latest first."""
    return File.objects.using(instance.alias).filter(trashed_at__isnull=False).order_by("-trashed_at", "-id")
