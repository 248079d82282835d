"""What a local storage keeps on disk: 256 folders of read-only objects, each named by its content; temporary files.

The name of a temporary file identifies its writer, so that only what a dead writer left is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from lamindb.core import filesystem, processes
from lamindb.core.filesystem import can_sync_file_system, fsync_folder
from lamindb.core.hashing import Content, digest_file
from lamindb.errors import InvalidInputError
from lamindb.storage import reflink
from lamindb.storage.base import FileStat, ObjectName
from lamindb.storage.hash_cache import HashCache, Known

_ENTRY = re.compile(r"(?P<machine>[0-9a-z-]+\.[0-9a-f]{12})\.(?P<pid>\d+)\.(?P<start>\d+)\.\d+(?:\..*)?", re.DOTALL)
_counter = itertools.count()


class Writer(NamedTuple):
    """A process, identified so that no other process, now or later, is the same.

    Attributes:
        machine: Host name, boot and process namespace, within which the process number is unique.
        pid: Process number.
        start: When the process started, in the machine's clock ticks; 0 where that is not known.
    """

    machine: str
    pid: int
    start: int

    @property
    def prefix(self) -> str:
        """The beginning of the names of this writer's temporary files."""
        return f"{self.machine}.{self.pid}.{self.start}"


def this_writer() -> Writer:
    """Return the process that calls, also after a fork."""
    return _writer(os.getpid())


@lru_cache(maxsize=2)
def _writer(pid: int) -> Writer:
    started = processes.process_start(pid) or ""
    return Writer(_machine(), pid, int(started) if started.isdecimal() else 0)


def _machine() -> str:
    here = processes.this_process()
    host = re.sub(r"[^0-9a-z-]", "-", here.host.lower())[:40] or "unknown"
    identity = f"{here.boot_id} {here.namespace} {_machine_id()}"
    return f"{host}.{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _machine_id() -> str:
    try:
        with open("/etc/machine-id", encoding="ascii", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def writer_of(name: str) -> Writer | None:
    """Return the writer of a temporary file by its name; None if it is not one of ours."""
    match = _ENTRY.fullmatch(name)
    return Writer(match["machine"], int(match["pid"]), int(match["start"])) if match is not None else None


def new_temp_path(folder: str) -> str:
    """Return a path in the folder that no other writer uses."""
    return f"{folder}/{this_writer().prefix}.{next(_counter)}"


def is_alive(writer: Writer) -> bool | None:
    """Return True if a writer still runs; None if this machine cannot know."""
    if writer.machine != this_writer().machine:
        return None
    started = str(writer.start) if writer.start else None
    return processes.is_alive(processes.this_process()._replace(pid=writer.pid, started=started))


def list_abandoned(folder: str, *, older_than_seconds: float, foreign_seconds: float | None = None) -> list[str]:
    """Return the temporary files of dead writers, and of unknown ones when they are old, sorted.

    Args:
        folder: Where they are.
        older_than_seconds: Age of a file whose writer is on another machine, and may still run.
        foreign_seconds: Age of what has no name of a temporary file, and so no writer; None for the same.

    Raises:
        OSError: The folder cannot be read.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    alive: dict[Writer, bool | None] = {}
    now = time.time()
    ages = (older_than_seconds, older_than_seconds if foreign_seconds is None else foreign_seconds)
    found = []
    for name in names:
        writer = writer_of(name)
        state = None
        if writer is not None:
            if writer not in alive:
                alive[writer] = is_alive(writer)
            state = alive[writer]
        limit = now - ages[writer is None]
        if state is False or (state is None and _changed_at(f"{folder}/{name}") <= limit):
            found.append(name)
    return found


def _changed_at(path: str) -> float:
    try:
        found = os.lstat(path)
    except OSError:
        return float("inf")
    # Not the mtime: that of a hard link is the object's, and one that was set or copied may be in the future.
    return found.st_ctime


def remove_abandoned(folder: str, *, older_than_seconds: float, foreign_seconds: float | None = None) -> list[str]:
    """Remove what `list_abandoned` returns; return the names.

    Raises:
        OSError: The folder cannot be read, or an entry cannot be removed.
    """
    removed = []
    for name in list_abandoned(folder, older_than_seconds=older_than_seconds, foreign_seconds=foreign_seconds):
        path = f"{folder}/{name}"
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path)
            else:
                os.unlink(path)
            removed.append(name)
    return removed


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
        self._cache.put_soon(
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
