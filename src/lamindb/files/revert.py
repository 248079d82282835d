"""Bringing back an older version of a file."""

from __future__ import annotations

from lamindb.core.keys import with_suffix
from lamindb.errors import ConflictError, InvalidInputError
from lamindb.files import save, source
from lamindb.files.source import Pending
from lamindb.models import File


def bring_back(file: File) -> File:
    """Make an older version of a file the current one again, as a new version with its bytes and its producer.

    Returns:
        The new current version; the current one itself where it has these bytes.

    Raises:
        InvalidInputError: It is not saved, is in the trash, or stays in place, where old bytes are not kept.
        ConflictError: Its versions have no current one, as another file has their key.
        IntegrityError: Its stored bytes are missing or damaged. Nothing was written.
    """
    instance = source.instance_of(file)
    shown = f"version {file.version} of {file.key or file.name!r}"
    if not file.is_saved:
        raise InvalidInputError("this file is not saved yet: only a stored version can become the current one")
    stored = File.objects.using(instance.alias).filter(id=file.id).first()
    if stored is None or stored.trashed_at is not None:
        where = "was removed for good" if stored is None else "is in the trash: restore it first"
        raise InvalidInputError(f"{shown} {where}")
    if not instance.is_own(stored.storage_id):
        raise InvalidInputError(f"{shown} stays where it is, and old bytes of files that stay in place are not kept")
    query = stored.versions.filter(is_latest=True, trashed_at__isnull=True)
    current: File | None = query.first()
    if current is None:
        raise ConflictError(f"{shown} has no current version, as another file has its key: rename one of them first")
    if current.digest == stored.digest and current.is_folder == stored.is_folder:
        return current
    new: File = File.objects.using(instance.alias).get(id=current.id)
    source.replace_data(new, stored.stage(is_run_input=False), None, None)
    pending: Pending = new.pending
    pending.source = pending.source._replace(suffix=stored.suffix)
    pending.key = with_suffix(current.key, stored.suffix) if current.key is not None else None
    pending.is_brought_back = True
    new.run, new.transform_id = stored.run, stored.transform_id
    new.loaded["description"] = stored.description or new.description
    new.created_by_id = None
    save.save_files([new])
    return new
