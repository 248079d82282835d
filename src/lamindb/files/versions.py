"""The versions of a file, which share the first part of their ids: which of them is current, which numbers they had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connections

from lamindb.core import ids
from lamindb.db import database
from lamindb.models import File, LastVersion, rows
from lamindb.models.base import now


class _Version(NamedTuple):
    created_at: Any
    id: str
    storage_id: str
    key: str | None
    is_current: bool


def promote(alias: str, files: Iterable[File], *, keys: Iterable[str | None] = ()) -> set[str]:
    """Inside a transaction: let the newest version that is not in the trash be the current one, for each file and key.

    Several files may have had one key: the one that is current keeps it; where none is, the newest version left of all
    of them takes it.

    Args:
        alias: The database.
        files: The files whose versions have changed.
        keys: Keys that files have left, beside the keys that these have.

    Returns:
        The ids of the versions that became current.
    """
    files = list(files)
    stems = {file.stem_id for file in files} | _stems_under(alias, {file.key for file in files} | set(keys))
    promoted: set[str] = set()
    query = File.objects.using(alias)
    families = _families(alias, stems)
    overtaken = [one.id for versions in families for one in versions[:-1] if one.is_current]
    for chunk in database.chunks(overtaken):
        query.filter(id__in=chunk).order_by().update_rows({"is_latest": False})
    newest = sorted((versions[-1] for versions in families if not versions[-1].is_current), reverse=True)
    taken = _taken(alias, [one.key for one in newest])
    for one in newest:
        if one.key is None or (one.storage_id, one.key) not in taken:
            promoted.add(one.id)
            taken.add((one.storage_id, one.key))
    for chunk in database.chunks(sorted(promoted)):
        query.filter(id__in=chunk).order_by().update_rows({"is_latest": True, "updated_at": now()})
    return promoted


def _stems_under(alias: str, keys: set[str | None]) -> set[str]:
    query = File.objects.using(alias).filter(trashed_at__isnull=True).order_by()
    found: set[str] = set()
    for chunk in database.chunks(sorted(key for key in keys if key is not None)):
        found.update(file_id[: ids.STEM_LENGTH] for file_id in query.filter(key__in=chunk).values_list("id", flat=True))
    return found


def _taken(alias: str, keys: Iterable[str | None]) -> set[tuple[str, str | None]]:
    query = File.objects.using(alias).filter(is_latest=True, trashed_at__isnull=True).order_by()
    found: set[tuple[str, str | None]] = set()
    for chunk in database.chunks(dict.fromkeys(key for key in keys if key is not None)):
        found.update(query.filter(key__in=chunk).values_list("storage_id", "key"))
    return found


def _families(alias: str, stems: set[str], *, with_trash: bool = False) -> list[list[_Version]]:
    """Return the versions of each file, the oldest first; nothing for a file without any."""
    condition = "" if with_trash else " AND file.trashed_at IS NULL"
    families: dict[str, list[_Version]] = {}
    for chunk in database.chunks(sorted(stems)):
        marks = ", ".join(["(%s, %s)"] * len(chunk))
        bounds = [bound for stem in chunk for bound in ids.version_range(stem)]
        with connections[alias].cursor() as cursor:
            # The families come first in the join, so that each is one search of the primary key.
            cursor.execute(
                f"WITH family (lowest, highest) AS (VALUES {marks}) "
                "SELECT file.created_at, file.id, file.storage_id, file.key, file.is_latest FROM family "
                "CROSS JOIN lamindb_file AS file WHERE file.id BETWEEN family.lowest AND family.highest"
                f"{condition}",
                bounds,
            )
            for version in sorted(map(_Version._make, cursor.fetchall()), key=lambda one: one.id):
                families.setdefault(version.id[: ids.STEM_LENGTH], []).append(version)
    return list(families.values())


def last_versions(alias: str, stems: Iterable[str]) -> dict[str, int]:
    """Return the highest version number that each file has had, of those of which anything is known."""
    found: dict[str, int] = {}
    for chunk in database.chunks(sorted(set(stems))):
        statement = f"SELECT id, version FROM lamindb_lastversion WHERE id IN ({rows.marks(chunk)})"
        found.update(rows.values(alias, statement, chunk))
    return found


def keep_last_versions(connection: Any, alias: str, files: Sequence[File]) -> None:
    """Inside a transaction, after the rows of these files were deleted: keep the numbers that they had.

    Of a file of which no version is left nothing is kept: nothing can continue it.
    """
    highest: dict[str, int] = {}
    for file in files:
        highest[file.stem_id] = max(file.version, highest.get(file.stem_id, 0))
    known = last_versions(alias, highest)
    newest = [versions[-1].id for versions in _families(alias, set(highest), with_trash=True)]
    left = {file_id[: ids.STEM_LENGTH]: file_id for file_id in newest}
    kept = [
        LastVersion.from_fields(id=stem, version=version)
        for stem, version in highest.items()
        if version > known.get(stem, 0) and left.get(stem, "z") < ids.file_id(stem, version)
    ]
    database.insert_many(connection, kept, overwritten=("version",))
    for chunk in database.chunks([stem for stem in known if stem not in left]):
        LastVersion.objects.using(alias).filter(id__in=chunk).order_by().delete_rows()
