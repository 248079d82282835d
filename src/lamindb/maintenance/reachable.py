"""What rows need: the objects of files, folders and runs, and files that stay where they are.

Rows are read in small pages, in the order of the objects' names, so that reading can stop anywhere and go on later,
and no long transaction holds the database up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lamindb.core.context import Instance
from lamindb.db import database
from lamindb.maintenance.sizing import FolderSizes
from lamindb.models import File, Run
from lamindb.storage.base import ObjectName

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Needed:
    """Something that a row needs.

    Attributes:
        cursor: Where to go on after it.
        name: The object.
        size: Its size in bytes, None where nothing tells.
        file: The file registered in place; None for an object of the own storage.
        is_manifest: It is the list of a folder.
    """

    cursor: tuple[str, str]
    name: ObjectName
    size: int | None
    file: File | None = None
    is_manifest: bool = False


def files(instance: Instance, prefix: str | None) -> Any:
    """Return a query for files, of all versions and storages; of those under a folder of keys, or of a key."""
    query = File.objects.using(instance.alias).order_by()
    if prefix is not None:
        # SQLite's LIKE, and so `startswith`, takes upper and lower case for the same.
        from django.db.models import Q
        from django.db.models.functions import Left
        from django.db.models.lookups import Exact

        inside = f"{prefix}/"
        query = query.filter(Q(key=prefix) | Q(Exact(Left("key", len(inside)), inside)))
    return query


# The third column is the size; where it is NULL, the manifest of the folder in the fourth tells it.
_FILES_PAGE = """
    SELECT digest, suffix, MAX(CASE WHEN is_folder THEN NULL ELSE size END), digest
    FROM lamindb_file
    WHERE storage_id = %s AND digest >= %s AND (digest, suffix{collation}) > (%s, %s) {condition}
    GROUP BY digest, suffix ORDER BY digest, suffix{collation} LIMIT %s
"""
_MEMBERS_PAGE = """
    SELECT digest, suffix, CAST(NULL AS bigint), MIN(folder_digest)
    FROM lamindb_foldermember
    WHERE digest >= %s AND (digest, suffix{collation}) > (%s, %s) AND folder_digest IN (
        SELECT digest FROM lamindb_file WHERE storage_id = %s AND is_folder {condition}
    )
    GROUP BY digest, suffix ORDER BY digest, suffix{collation} LIMIT %s
"""


def objects(
    instance: Instance, prefix: str | None, cursor: tuple[str, str], sizes: FolderSizes | None = None
) -> Iterator[Needed]:
    """Yield the objects of files and folders after the cursor, each once, in the order of their names.

    Args:
        instance: The instance.
        prefix: See `files`.
        cursor: Where to go on.
        sizes: Tells the sizes of manifests and members, of which rows know none.
    """
    condition: str = ""
    values: list[object] = []
    collation = ' COLLATE "C"' if instance.dialect == "postgresql" else ""
    if prefix is not None:
        inside = f"{prefix}/"
        condition, values = "AND (key = %s OR substr(key, 1, %s) = %s)", [prefix, len(inside), inside]
    while True:
        found: dict[tuple[str, str], list[Any]] = {}
        with database.connection(instance.alias).cursor() as link:
            of_members = [cursor[0], *cursor, instance.storage_id, *values, _PAGE]
            link.execute(_MEMBERS_PAGE.format(condition=condition, collation=collation), of_members)
            found.update({(digest, suffix): told for digest, suffix, *told in link.fetchall()})
            of_files = [instance.storage_id, cursor[0], *cursor, *values, _PAGE]
            link.execute(_FILES_PAGE.format(condition=condition, collation=collation), of_files)
            found.update({(digest, suffix): told for digest, suffix, *told in link.fetchall()})
        page = sorted(found)[:_PAGE]
        if not page:
            return
        unknown = {digest: found[digest, suffix][1] for digest, suffix in page if found[digest, suffix][0] is None}
        known = sizes.of(unknown) if sizes is not None else {}
        for digest, suffix in page:
            size = found[digest, suffix][0]
            if size is None:
                size = known.get(digest)
            is_manifest = unknown.get(digest) == digest
            yield Needed((digest, suffix), ObjectName(digest, suffix), size, is_manifest=is_manifest)
        cursor = page[-1]


def objects_of_runs(instance: Instance, prefix: str | None, cursor: str) -> Iterator[Needed]:
    """Yield the objects of runs after the cursor, in the order of their names; none where only some keys are meant."""
    if prefix is not None:
        return
    for name in sorted(run_objects(instance.alias), key=lambda one: one.path):
        place = name.digest + name.suffix
        if place > cursor:
            yield Needed((place, ""), name, None)


def in_place(instance: Instance, prefix: str | None, cursor: str) -> Iterator[Needed]:
    """Yield the current files that stay where they are; of older versions no bytes are kept."""
    query = files(instance, prefix).exclude(storage_id=instance.storage_id)
    query = query.filter(is_latest=True, trashed_at__isnull=True).order_by("id")
    while page := list(query.filter(id__gt=cursor)[:_PAGE]):
        for file in page:
            yield Needed((file.id, ""), ObjectName(file.digest, file.suffix), file.size, file)
        cursor = page[-1].id


def run_objects(alias: str) -> set[ObjectName]:
    """Return all objects that runs name: code, packages, logs, reports."""
    found: set[ObjectName] = set()
    for field in Run.OBJECT_FIELDS:
        query = Run.objects.using(alias).filter(**{f"{field}__isnull": False}).order_by()
        names = (ObjectName.parse(value) for value in query.values_list(field, flat=True).distinct())
        found.update(name for name in names if name is not None)
    return found
