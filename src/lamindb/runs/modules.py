"""The project's own modules that a run had imported: which they are, and their source, each stored once.

Runs with the same modules share one set of rows. Digests of unchanged files are remembered by their stat, and modules
are stored only for a set that is new.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from lamindb.core import messages, paths
from lamindb.core.hashing import Content, hash_bytes
from lamindb.core.text import storable
from lamindb.db import database
from lamindb.environment import own_modules, scripts
from lamindb.errors import LaminError, StorageError
from lamindb.models import ImportedModule
from lamindb.records.open_instance import Instance
from lamindb.storage.base import FileStat, ObjectName, Source
from lamindb.storage.hash_cache import HashCache, Known, NoHashCache

MOST_MODULES: Final = 1_000
MOST_BYTES: Final = 32 * 1024 * 1024
"""Where a project has more, its modules are not recorded."""

_TABLE: Final = ImportedModule._meta.db_table
_SUFFIX: Final = ".py"
_CACHE_FOLDER: Final = "modules-1"
"""Digests of sources without secrets; another number if they become others."""


class ModuleDigests:
    """The digests of modules of one instance by path and stat."""

    goes_on = True

    def __init__(self) -> None:
        folder = paths.cache_folder()
        self.cache = HashCache(folder / _CACHE_FOLDER) if folder is not None else NoHashCache()

    def close(self) -> None:
        """Close the file in which they are kept."""
        self.cache.close()


class ModuleSet(NamedTuple):
    """The modules that a run imported.

    Attributes:
        digest: Names the set: that of all paths and digests.
        members: The digest of each module by its path.
        files: The file of each module by its path.
    """

    digest: str
    members: dict[str, str]
    files: dict[str, Path]

    def objects(self) -> set[ObjectName]:
        """Return the stored objects."""
        return {ObjectName(digest, _SUFFIX) for digest in self.members.values()}

    def stored(self, instance: Instance) -> ModuleSet | None:
        """Return the set with its sources stored, if the database does not have it; None where that fails."""
        try:
            known = ImportedModule.objects.using(instance.alias).filter(set_digest=self.digest).count()
            return self if known == len(self.members) else self._stored(instance)
        except (StorageError, OSError, ValueError) as error:
            messages.debug(f"the modules of the project were not recorded: {error}")
            return None

    def stored_anew(self, instance: Instance) -> ModuleSet | None:
        """Store the sources again, which garbage collection took meanwhile; None where that fails."""
        try:
            found = self._stored(instance)
        except (StorageError, OSError, ValueError) as error:
            messages.debug(f"the modules of the project were not recorded: {error}")
            return None
        return found if found.digest == self.digest else None

    def _stored(self, instance: Instance) -> ModuleSet:
        sources = {path: _source(file) for path, file in self.files.items()}
        instance.store.put_many([Source(suffix=_SUFFIX, data=data) for data in sources.values()])
        return _set({path: hash_bytes(data).digest for path, data in sources.items()}, self.files)

    def insert(self, connection: Any) -> None:
        """Inside the transaction that writes a run: write the rows of the set, unless they are there."""
        statement = f"SELECT COUNT(*) FROM {_TABLE} WHERE set_digest = %s"
        if connection.fetch(statement, [self.digest]) == [(len(self.members),)]:
            return
        rows = [
            ImportedModule.from_fields(set_digest=self.digest, path=path, digest=digest, suffix=_SUFFIX)
            for path, digest in self.members.items()
        ]
        database.insert_many(connection, rows, ignore_conflicts=True)


def collect(instance: Instance, place: Path, script: Path | None) -> ModuleSet | None:
    """Return the modules that this process has imported; None where they cannot be recorded. Asks no database.

    Args:
        instance: Paths are relative to its project.
        place: The folder of the script or notebook.
        script: Its file, which is no module.
    """
    try:
        files = own_modules.imported_files(place, script)
        stats = [(file, os.stat(file)) for file in files]
        if len(files) > MOST_MODULES or sum(stat.st_size for _, stat in stats) > MOST_BYTES:
            messages.debug(f"{len(files):,} modules are too many to be recorded")
            return None
        return _set(dict(_digests(instance, stats)), {_reference(instance, file): file for file in files})
    except (LaminError, OSError, ValueError) as error:
        messages.debug(f"the modules of the project were not recorded: {error}")
        return None


def _set(members: dict[str, str], files: dict[str, Path]) -> ModuleSet:
    members = dict(sorted(members.items()))
    text = "".join(f"{path}\0{digest}\n" for path, digest in members.items())
    return ModuleSet(hash_bytes(text.encode("utf-8", "surrogateescape")).digest, members, files)


def _digests(instance: Instance, stats: list[tuple[Path, os.stat_result]]) -> Iterator[tuple[str, str]]:
    cache = instance.part(ModuleDigests).cache
    known = cache.digests([(str(file), FileStat.of(stat)) for file, stat in stats])
    new = []
    for (file, stat), digest in zip(stats, known, strict=True):
        if digest is not None:
            yield _reference(instance, file), digest
            continue
        begun_at_ns = time.time_ns()
        content = Content("", hash_bytes(_source(file)).digest, stat.st_size)
        new.append(Known(str(file), FileStat.of(stat), content, begun_at_ns))
        yield _reference(instance, file), content.digest
    if new:
        cache.put_many(new)


def _source(file: Path) -> bytes:
    return scripts.script_source(file)


def _reference(instance: Instance, file: Path) -> str:
    return storable(scripts.relative_reference(file, instance.project_path))  # type: ignore[no-any-return]
