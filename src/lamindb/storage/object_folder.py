"""The folder of objects of a local storage: 256 folders of read-only files, each named by its content."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Final

from lamindb.core import filesystem
from lamindb.core.filesystem import can_sync_file_system, fsync_folder
from lamindb.core.hashing import Content, digest_file
from lamindb.errors import InvalidInputError
from lamindb.storage import reflink
from lamindb.storage.base import FileStat, ObjectName
from lamindb.storage.hash_cache import HashCache, Known
from lamindb.storage.temp_files import new_temp_path

SHARDS: Final = tuple(f"{number:02x}" for number in range(256))


def refuse_links(root: str) -> None:
    """Refuse a root whose own folders are symbolic links: they would lead writes and removals to other folders.

    Raises:
        InvalidInputError: One of them is.
    """
    hidden = f"{root}/.lamindb"
    own = [hidden, *(f"{hidden}/{name}" for name in ("objects", "incoming", "staged"))]
    for folder in (*own, *(f"{hidden}/{name}/{shard}" for name in ("objects", "staged") for shard in SHARDS)):
        if os.path.islink(folder):
            raise InvalidInputError(f"'{folder}' is a symbolic link: replace it by a folder")


class ObjectFolder:
    """The objects of a local root, and which of them are known to be intact.

    Attributes:
        root: The storage root, absolute.
        folder: The folder of objects.
        temp_folder: The folder of temporary files, on the same file system.
    """

    def __init__(self, root: str, hash_cache: HashCache) -> None:
        self.root = root
        self.folder = f"{root}/.lamindb/objects"
        self.temp_folder = f"{root}/.lamindb/incoming"
        self._cache = hash_cache
        self._whole: bool | None = None
        self._can_clone: bool | None = None

    @property
    def can_sync_whole(self) -> bool:
        """Whether one call can sync the whole file system of the objects."""
        if self._whole is None:
            self._whole = can_sync_file_system(self.folder)
        return self._whole

    @property
    def is_shared(self) -> bool:
        """Whether the root is meant for its whole group."""
        return filesystem.is_shared(self.root_stat)

    @property
    def root_stat(self) -> os.stat_result:
        """The stat of the root, whose permissions new folders follow."""
        return os.stat(self.root)

    def restore_temp_folder(self) -> None:
        """Make the folder of temporary files again where it was removed; never that of a root that is gone."""
        if not os.path.isdir(self.temp_folder) and os.path.isdir(self.folder):
            filesystem.make_folder(self.temp_folder, self.root_stat)

    def path(self, name: ObjectName) -> str:
        """Return the path of an object."""
        return f"{self.folder}/{name.digest[:2]}/{name.digest}{name.suffix}"

    @property
    def can_clone(self) -> bool:
        """Whether two files here can share blocks, so that a write to one leaves the other as it is; tried once.

        Raises:
            OSError: Nothing can be written here.
        """
        if self._can_clone is None:
            entries = [new_temp_path(self.temp_folder), new_temp_path(self.temp_folder)]
            opened: list[int] = []
            try:
                opened.extend(os.open(entry, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600) for entry in entries)
                os.write(opened[0], b"x")
                self._can_clone = reflink.clone(opened[0], opened[1])
            finally:
                for descriptor in opened:
                    os.close(descriptor)
                for entry in entries[: len(opened)]:
                    os.unlink(entry)
        return self._can_clone

    def is_good(self, name: ObjectName, size: int | None) -> bool:
        """Return True if an object exists and has the right bytes; one that is not known is read."""
        path = self.path(name)
        try:
            found = os.stat(path, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or (size is not None and found.st_size != size):
                return False
            known = FileStat.of(found)
            if self._cache.digest(path, known) == name.digest:
                return True
            if digest_file(path) != name.digest:
                return False
        except OSError:
            return False
        self.remember([(name, known)])
        return True

    def known_good(self, names: Iterable[ObjectName]) -> set[str]:
        """Return the paths of those objects that are as when their bytes were last compared; reads no bytes."""
        found: list[tuple[str, FileStat]] = []
        digests: list[str] = []
        for name in names:
            path = self.path(name)
            with contextlib.suppress(OSError):
                found.append((path, FileStat.of(os.stat(path, follow_symlinks=False))))
                digests.append(name.digest)
        answers = self._cache.digests(found)
        return {path for (path, _), digest, answer in zip(found, digests, answers, strict=True) if digest == answer}

    def remember(self, objects: Iterable[tuple[ObjectName, FileStat]]) -> None:
        """Remember that these objects have the right bytes as long as they have these stats."""
        self._cache.put_many(
            Known(self.path(name), known, Content("", name.digest, known.size)) for name, known in objects
        )

    def move_in(self, entry: str, target: str) -> None:
        """Rename a complete temporary file to its name among the objects.

        Raises:
            OSError: It could not be renamed, and is still the temporary file.
        """
        try:
            os.replace(entry, target)
        except FileNotFoundError:
            # Tools that copy projects may omit empty folders.
            shard = os.path.dirname(target)
            filesystem.make_folder(self.folder, self.root_stat)
            filesystem.make_folder(shard, self.root_stat)
            fsync_folder(self.folder)
            os.replace(entry, target)

    def with_digest(self, digest: str) -> list[ObjectName]:
        """Return the names of all objects with these bytes, whatever their suffixes."""
        shard = f"{self.folder}/{digest[:2]}"
        try:
            listed = os.listdir(shard)
        except FileNotFoundError:
            return []
        names = (ObjectName.parse(filename) for filename in listed if filename.startswith(digest))
        return [name for name in names if name is not None]

    def entries(self) -> Iterator[tuple[ObjectName, int]]:
        """Yield the objects with their sizes."""
        for shard in SHARDS:
            with contextlib.suppress(FileNotFoundError), os.scandir(f"{self.folder}/{shard}") as found:
                for entry in found:
                    name = ObjectName.parse(entry.name)
                    if name is not None and name.digest[:2] == shard and entry.is_file(follow_symlinks=False):
                        yield name, entry.stat(follow_symlinks=False).st_size
