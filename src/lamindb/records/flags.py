"""Flags of files: open one, remove it, and ask whether there are any."""

from __future__ import annotations

from typing import Any

from lamindb.core import context, messages
from lamindb.core.text import printable
from lamindb.core.verbs import verb
from lamindb.db import database
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound, ReadOnlyError
from lamindb.models import File, Flag, RecordQuery, rows
from lamindb.models.base import check_texts, now
from lamindb.records.save import user_id

_NAMED = 5
"""A message names at most this many other files."""


def flag(file: File, reason: str) -> None:
    """Flag a version of a file. Idempotent: an open flag with the same reason stays as it is.

    Other files with the same bytes are named by a message, and not flagged.

    Raises:
        InvalidTypeError: The reason is not text.
        InvalidInputError: The reason is empty, or the file is not saved. Nothing was written.
        NoResultFound: The file was deleted for good. Nothing was written.
        ReadOnlyError: The instance can only be read.
    """
    reason = _checked(reason)
    alias = _writable(file)
    author = user_id(alias)
    with database.writing(alias):
        _lock(file, alias)
        if not _open(file).filter(reason=reason).exists():
            row = Flag.from_fields(file_id=file.id, reason=reason, created_at=now(), created_by_id=author)
            check_texts(row)
            row.save_row(using=alias, force_insert=True)
    others = same_bytes(file)[: _NAMED + 1].list()
    if others:
        shown = ", ".join(_title(other, file) for other in others[:_NAMED]) + (" …" if len(others) > _NAMED else "")
        messages.info(f"not flagged, though it has the same bytes: {shown}")


def unflag(file: File, reason: str | None = None) -> None:
    """Remove all open flags of a version of a file; they are kept as history.

    Raises:
        InvalidTypeError: The reason is not text.
        InvalidInputError: The file is not flagged, or not saved. Nothing was written.
        NoResultFound: The file was deleted for good. Nothing was written.
        ReadOnlyError: The instance can only be read.
    """
    reason = None if reason is None else _checked(reason)
    alias = _writable(file)
    author = user_id(alias)
    with database.writing(alias):
        _lock(file, alias)
        removed = (
            _open(file).order_by().update_rows({"removed_at": now(), "removed_by_id": author, "removal_reason": reason})
        )
        if not removed:
            raise InvalidInputError(f"version {file.version} of {file.key or file.name!r} is not flagged")


def any_open(alias: str) -> bool:
    """Return True if any file of an instance is flagged; one look at an index."""
    return bool(rows.values(alias, f"SELECT 1 FROM {Flag._meta.db_table} WHERE removed_at IS NULL LIMIT 1"))


def heed(file: File) -> None:
    """Warn that a file which is read is flagged or affected, or fail, as the settings say.

    Raises:
        FlaggedFileError: It is, and the settings ask for an error.
    """
    if file.is_saved and context.connected(file.alias) is not None and any_open(str(file.alias)):
        verb("lamindb.lineage.recall.heed")(file)


def same_bytes(file: File) -> RecordQuery[File]:
    """Return a query for the other files and versions with the bytes of a file, without those in the trash."""
    query = File.objects.using(file.alias).filter(digest=file.digest, is_folder=file.is_folder, trashed_at__isnull=True)
    return query.exclude(id=file.id).order_by("key", "version", "id")


def _open(file: File) -> Any:
    return Flag.objects.using(file.alias).filter(file_id=file.id, removed_at__isnull=True)


def _lock(file: File, alias: str) -> None:
    """Inside a transaction, let one process at a time change the flags of a file.

    Raises:
        NoResultFound: The file was deleted for good.
    """
    rows: Any = File.objects.using(alias).filter(id=file.id).order_by()
    if not rows.select_for_update().values_list("id", flat=True):
        raise NoResultFound(f"this file was deleted for good: {file.key or file.name!r} ({file.id})")


def _checked(reason: Any) -> str:
    if not isinstance(reason, str):
        raise InvalidTypeError(f"the reason of a flag must be text, not {type(reason).__name__}")
    if not reason.strip():
        raise InvalidInputError("a flag needs a reason, such as 'contaminated'")
    return reason.strip()


def _writable(file: File) -> str:
    if not file.is_saved:
        raise InvalidInputError("this file is not saved yet and cannot be flagged: save it first")
    alias = str(file.alias)
    instance = context.connected(alias)
    if instance is None:
        raise InvalidInputError("this file belongs to an instance that was disconnected: connect and query it again")
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read")
    return alias


def _title(other: File, file: File) -> str:
    title = printable(other.key or other.name)
    return f"version {other.version} of {title}" if other.stem_id == file.stem_id else title
