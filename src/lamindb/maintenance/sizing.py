"""The sizes of what folders that are stored as one consist of, which their manifests tell and no row does."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType

from lamindb.core.context import Instance
from lamindb.errors import IntegrityError, LaminError, StorageError
from lamindb.models import File
from lamindb.records import stores
from lamindb.storage.base import ObjectName
from lamindb.storage.manifest import parse_manifest

_TABLES = """
    CREATE TABLE folder (digest TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE object (digest TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
"""


class FolderSizes:
    """Sizes by digest, of manifests and of the members that they list.

    A manifest is read when somebody first asks for something that it tells, and only once. What it tells is kept in a
    temporary file that nobody else sees, however many members there are: of the manifests, one at a time is in memory.
    """

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._store = stores.own_store(instance)
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
                self._take(ObjectName(digest, suffix))
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
