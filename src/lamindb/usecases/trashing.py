"""Deleting: files go to a trash and come back; what is referred to stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models, transaction

from lamindb.core import messages
from lamindb.core.current import Instance
from lamindb.core.errors import ConflictError, InvalidInputError, ReadOnlyError, ReferencedError
from lamindb.instance import database
from lamindb.models import File, Record, RunInput
from lamindb.models.base import now
from lamindb.storage.protocol import ObjectName
from lamindb.usecases import repairing, stores


def delete(record: Record, *, permanent: bool = False, storage: bool | None = None) -> None:
    """Delete a record: a file to the trash or for good, another one if nothing refers to it.

    Raises:
        ReferencedError: Something refers to it. Nothing was deleted.
    """
    if record._state.adding:
        raise InvalidInputError(f"this {type(record).__name__} is not saved, so there is nothing to delete")
    instance = stores.instance_of(record._state.db)
    if instance is None:
        raise InvalidInputError("this record belongs to an instance that was closed")
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read")
    if isinstance(record, File):
        if permanent or storage is True:
            purge([record], instance)
            if storage is True:
                _remove_bytes(record, instance)
        else:
            trash([record], instance)
        return
    try:
        with transaction.atomic(using=instance.alias):
            record.delete_row()
    except models.ProtectedError as error:
        kinds = sorted({type(found).__name__ for found in error.protected_objects})
        raise ReferencedError(
            f"cannot delete {record!r}: {len(error.protected_objects):,} {' and '.join(kinds)} record(s) refer to it"
        ) from None


def trash(files: Sequence[File], instance: Instance) -> None:
    """Move files to the trash; of each key, the newest version left becomes the current one."""
    repairing.announce(instance)
    alias = instance.alias
    ids = [file.id for file in files]
    with database.writing(alias) as link:
        for file in files:
            database.lock_key(link, f"key {file.storage_id} {file.key}")
        moment = now()
        query = File.objects.using(alias).filter(id__in=ids, trashed_at__isnull=True).order_by()
        query._update_rows({"trashed_at": moment, "is_latest": False, "updated_at": moment})
        for stem in sorted({file.stem_id for file in files}):
            _promote(alias, stem)
    for file in files:
        file.refresh_from_db()
        _show_current(file, instance)


def _promote(alias: str, stem: str) -> None:
    """Make the newest version that is not in the trash the current one, unless there is one."""
    family = File.objects.using(alias).filter(id__gte=stem, id__lte=stem + "z" * 4, trashed_at__isnull=True)
    if family.filter(is_latest=True).exists():
        return
    newest = family.order_by("-version").first()
    if newest is None:
        return
    taken = newest.key is not None and (
        File.objects.using(alias)
        .filter(storage_id=newest.storage_id, key=newest.key, is_latest=True, trashed_at__isnull=True)
        .exists()
    )
    if not taken:
        File.objects.using(alias).filter(id=newest.id).order_by()._update_rows({"is_latest": True, "updated_at": now()})


def _show_current(file: File, instance: Instance) -> None:
    """Let the view show what is current under a file's key now, or nothing."""
    if file.key is None or file.storage_id != instance.storage_id:
        return
    view = stores.view(instance)
    if view.mode == "none":
        return
    current_one = (
        File.objects.using(instance.alias)
        .filter(storage_id=file.storage_id, key=file.key, is_latest=True, trashed_at__isnull=True)
        .first()
    )
    old = ObjectName(file.digest, file.suffix)
    if current_one is None:
        view.hide(file.key, old, is_folder=file.is_folder)
    else:
        new = ObjectName(current_one.digest, current_one.suffix)
        view.show(file.key, new, is_folder=current_one.is_folder, replaces=old)


def restore(file: File) -> None:
    """Take a file out of the trash.

    It becomes the current version of its key, unless a newer one is; if the key belongs to another file by now, it
    comes back as an older version that can be read by its id.
    """
    instance = stores.instance_of(file._state.db)
    if instance is None:
        raise InvalidInputError("this file belongs to an instance that was closed")
    repairing.announce(instance)
    alias = instance.alias
    with database.writing(alias) as link:
        database.lock_key(link, f"key {file.storage_id} {file.key}")
        stored = File.objects.using(alias).filter(id=file.id).first()
        if stored is None:
            raise ConflictError(f"{file!r} was deleted for good and cannot be restored")
        if stored.trashed_at is None:
            raise InvalidInputError(f"{file.key or file.name!r} is not in the trash")
        family = File.objects.using(alias).filter(id__gte=file.stem_id, id__lte=file.stem_id + "z" * 4)
        current_one = family.filter(is_latest=True, trashed_at__isnull=True).first()
        other = None
        if file.key is not None:
            query = File.objects.using(alias).filter(storage_id=file.storage_id, key=file.key)
            other = query.filter(is_latest=True, trashed_at__isnull=True).exclude(id__in=[f.id for f in family]).first()
        becomes_latest = other is None and (current_one is None or current_one.version < stored.version)
        if becomes_latest and current_one is not None:
            File.objects.using(alias).filter(id=current_one.id).order_by()._update_rows({"is_latest": False})
        File.objects.using(alias).filter(id=file.id).order_by()._update_rows(
            {"trashed_at": None, "is_latest": becomes_latest, "updated_at": now()}
        )
    file.refresh_from_db()
    if other is not None:
        messages.warning(f"the key {file.key!r} belongs to {other.id} now: {file.id} is back, but not current")
    if becomes_latest and file.key is not None and file.storage_id == instance.storage_id:
        view = stores.view(instance)
        before = ObjectName(current_one.digest, current_one.suffix) if current_one is not None else None
        view.show(file.key, ObjectName(file.digest, file.suffix), is_folder=file.is_folder, replaces=before)


def purge(files: Sequence[File], instance: Instance) -> None:
    """Remove files for good; their bytes go at the next `lamin gc`, once nothing else needs them.

    Raises:
        ReferencedError: A run read one of them. Nothing was removed.
    """
    repairing.announce(instance)
    alias = instance.alias
    ids = [file.id for file in files]
    with database.writing(alias) as link:
        for file in files:
            database.lock_key(link, f"key {file.storage_id} {file.key}")
        read = (
            RunInput.objects.using(alias).filter(file_id__in=ids).values_list("file_id", flat=True).order_by().first()
        )
        if read is not None:
            shown = next(file for file in files if file.id == read)
            raise ReferencedError(
                f"cannot remove {shown.key or shown.name!r} for good: a run read it, and its lineage would be lost; "
                "move it to the trash by delete()"
            )
        File.objects.using(alias).filter(id__in=ids).order_by()._delete_rows()
        for stem in sorted({file.stem_id for file in files}):
            _promote(alias, stem)
    for file in files:
        file._state.adding = True
        _show_current(file, instance)


def _remove_bytes(file: File, instance: Instance) -> None:
    """Remove the bytes of a purged file at once, if nothing else needs them."""
    from lamindb.usecases import sweeping

    sweeping.sweep_objects(instance, [ObjectName(file.digest, file.suffix)])


def trashed(instance: Instance) -> Any:
    """Return a query for what is in the trash, the latest first."""
    return File.objects.using(instance.alias).filter(trashed_at__isnull=False).order_by("-trashed_at", "id")
