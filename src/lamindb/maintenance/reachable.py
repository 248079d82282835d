"""What rows need: the objects of files, folders and runs, and files that stay where they are.

Rows are read in small pages, in the order of the objects' names, so that reading can stop anywhere and go on later,
and no long transaction holds the database up.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q

from lamindb.db import database
from lamindb.errors import IntegrityError, LaminError, StorageError
from lamindb.models import File, ImportedModule, Run
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName
from lamindb.storage.manifest import parse_manifest

_TABLES = """
    CREATE TABLE folder (digest TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE object (digest TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
"""


class FolderSizes:
    """Sizes by digest, of manifests and of the members that they list.

    A manifest is read when something in it is first asked for, and only once. Its content is kept in a temporary file
    that no other process sees, however many members there are: one manifest at a time is in memory.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._store = instance.store
        # What has no name is a temporary file, and gone with the connection.
        self._kept = sqlite3.connect("")
        self._kept.executescript(_TABLES)

    def __enter__(self) -> FolderSizes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.close()

    def of(self, wanted: Mapping[str, str]) -> dict[str, int]:
        """Return the sizes of objects by their digests; nothing for those that no sound manifest tells.

        Args:
            wanted: Their digests, a page of them, each with that of a folder that holds it; of a manifest, its own.

        Raises:
            StorageError: The storage, or the folder of temporary files, failed.
        """
        try:
            known = self._kept_of("SELECT digest, size FROM object", wanted)
            folders = {folder for digest, folder in wanted.items() if digest not in known}
            folders -= self._kept_of("SELECT digest, NULL FROM folder", folders).keys()
            if not folders:
                return known
            query = File.objects.using(self._instance.alias).filter(storage_id=self._instance.storage_id)
            query = query.filter(is_folder=True, digest__in=folders).order_by("digest", "suffix")
            for digest, suffix in query.values_list("digest", "suffix").distinct():
                name = ObjectName.parse(f"{digest}{suffix}")
                if name is not None:
                    self._take(name)
            return self._kept_of("SELECT digest, size FROM object", wanted)
        except sqlite3.Error as error:
            raise StorageError(
                f"the sizes of what folders hold cannot be kept in {tempfile.gettempdir()} ({error}): "
                "make room there, or let TMPDIR name another folder"
            ) from error

    def _kept_of(self, select: str, digests: Collection[str]) -> dict[str, int]:
        marks = ", ".join("?" * len(digests))
        return dict(self._kept.execute(f"{select} WHERE digest IN ({marks})", tuple(digests)))

    def _take(self, name: ObjectName) -> None:
        """Keep what a manifest tells; of a damaged one, only that it was read."""
        found: Iterable[tuple[str, int]] = ()
        try:
            data = self._store.read(name)
            members = parse_manifest(name, data)
            found = ((name.digest, len(data)), *((member.digest, member.size) for member in members))
        except LaminError as error:
            # Looking at the object itself will tell. A bucket that fails now would fail at each.
            if not isinstance(error, IntegrityError) and not self._store.is_local:
                raise
        with self._kept:
            self._kept.execute("INSERT OR IGNORE INTO folder VALUES (?)", (name.digest,))
            self._kept.executemany("INSERT OR IGNORE INTO object VALUES (?, ?)", found)


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
        query = query.filter(Q(key=prefix) | Q(key__startswith=f"{prefix}/"))
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
    WHERE digest >= %s AND (digest, suffix{collation}) > (%s, %s) AND EXISTS (
        SELECT 1 FROM lamindb_file
        WHERE lamindb_file.digest = folder_digest AND storage_id = %s AND is_folder {condition}
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
        with database.connection(instance.alias).cursor() as rows:
            of_members = [cursor[0], *cursor, instance.storage_id, *values, _PAGE]
            rows.execute(_MEMBERS_PAGE.format(condition=condition, collation=collation), of_members)
            found.update({(digest, suffix): told for digest, suffix, *told in rows.fetchall()})
            of_files = [instance.storage_id, cursor[0], *cursor, *values, _PAGE]
            rows.execute(_FILES_PAGE.format(condition=condition, collation=collation), of_files)
            found.update({(digest, suffix): told for digest, suffix, *told in rows.fetchall()})
        page = sorted(found)[:_PAGE]
        if not page:
            return
        unknown = {digest: found[digest, suffix][1] for digest, suffix in page if found[digest, suffix][0] is None}
        known = sizes.of(unknown) if sizes is not None else {}
        for digest, suffix in page:
            if ObjectName.parse(f"{digest}{suffix}") is None:
                # An impossible row: `findings.of_database` names it.
                continue
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
    """Return all objects that runs name: code, modules, packages, logs, reports."""
    found: set[ObjectName] = set()
    for field in Run.OBJECT_FIELDS:
        query = Run.objects.using(alias).filter(**{f"{field}__isnull": False}).order_by()
        names = (ObjectName.parse(value) for value in query.values_list(field, flat=True).distinct())
        found.update(name for name in names if name is not None)
    rows = imported_modules(alias).values_list("digest", "suffix").distinct()
    modules = (ObjectName.parse(digest + suffix) for digest, suffix in rows)
    return found | {name for name in modules if name is not None}


def imported_modules(alias: str) -> Any:
    """Return a query for the modules of sets that a run names."""
    runs = Run.objects.using(alias).filter(modules_digest=OuterRef("set_digest")).order_by()
    return ImportedModule.objects.using(alias).filter(Exists(runs)).order_by()
