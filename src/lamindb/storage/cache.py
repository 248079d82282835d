"""Local copies of remote objects: of limited size, checked whenever they are returned, shared by all processes.

```
<folder>/ab/<digest>/data                the bytes, read-only
<folder>/ab/<digest>/files/<name>        a hard link with the requested file name
<folder>/locks/ab                        keeps processes from downloading the same object at once; only saves traffic
```
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from lamindb.core import locks
from lamindb.core.hashing import Content, digest_file
from lamindb.errors import InvalidInputError, LaminError
from lamindb.storage import reflink
from lamindb.storage.base import FileStat, Member, ObjectName
from lamindb.storage.cache_eviction import CacheEntries
from lamindb.storage.hash_cache import HashCache, Known, NoHashCache
from lamindb.storage.os_errors import storage_failed

DEFAULT_LIMIT_BYTES: Final = 50_000_000_000
LIMIT_VARIABLE: Final = "LAMIN_CACHE_LIMIT_GB"
T = TypeVar("T")
Download = Callable[[ObjectName, int], None]
"""Writes the bytes of an object, checked, to an open file."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_SHARES: Final = (0.1, 0.2, 0.4, 1.0)
"""Shares of the cache that are removed, one after another, while its disk is full: how much is needed is not known."""


class Cache:
    """Local copies of objects, the least recently used of which are removed above a limit.

    A file that was returned stays until the same thread asks for the next one, a folder as long as the process runs.
    After that it may be evicted; a process that has it open keeps its bytes.

    Args:
        folder: Where they are; made when it is first needed.
        limit_bytes: Their largest size in all, apart from what is in use.
        hash_cache: Remembers which copies are as when they were last checked.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
        hash_cache: HashCache | None = None,
    ) -> None:
        self._entries = CacheEntries(os.fspath(folder), limit_bytes)
        self._hash_cache = hash_cache if hash_cache is not None else NoHashCache()

    def file(self, name: ObjectName, filename: str, download: Download) -> Path:
        """Return a local file with this name and the object's bytes, downloaded if it is not there or damaged.

        Where the cache's disk is full, copies that are not in use are removed, the least recently used first.

        Raises:
            StorageError: The cache's disk failed, or is full of other files.
            LaminError: Whatever `download` raises; no partial file is left.
        """

        def make() -> Path:
            data = self._data(name, download)
            path = f"{os.path.dirname(data)}/files/{filename}"
            if not _same_file(path, data):
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                self._link(data, path)
            return Path(path)

        with self._translate_errors():
            return self._with_eviction(make)

    def members(self, name: ObjectName, filename: str, members: tuple[Member, ...], download: Download) -> Path:
        """Return a local folder with this name and these members, as `file` does for one file."""
        with self._translate_errors():
            entry = self._entry(name)
            self._with_eviction(lambda: self._entries.pin(entry, is_folder=True))
            path = f"{entry}/files/{filename}"
            if self._holds_exactly(path, members):
                self._entries.evict_if_too_large()
                return Path(path)
            new = self._with_eviction(self._entries.new_temp_path)
            try:
                self._with_eviction(lambda: os.makedirs(f"{entry}/files", mode=0o700, exist_ok=True))
                self._with_eviction(lambda: os.mkdir(new, 0o700))
                for member in members:
                    self._with_eviction(functools.partial(self._add_member, new, member, download))
                self._entries.discard(path)
                try:
                    os.rename(new, path)
                except OSError:
                    # Another process may have been faster, with the same files.
                    if not self._holds_exactly(path, members):
                        raise
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return Path(path)

    def drop(self, name: ObjectName) -> None:
        """Remove the copies of an object."""
        self._entries.discard(self._entry(name))

    def shrink(self) -> None:
        """Remove the least recently used copies until the limit is kept, and what dead downloads left."""
        self._entries.evict()

    def _entry(self, name: ObjectName) -> str:
        return f"{self._entries.folder}/{name.digest[:2]}/{name.digest}"

    def _data(self, name: ObjectName, download: Download) -> str:
        """Return the path of the checked bytes, which are pinned until this thread asks for the next."""
        path = f"{self._entry(name)}/data"
        self._entries.pin(self._entry(name))
        if self._is_good(name, path):
            self._entries.evict_if_too_large()
            return path
        with self._locked(name.digest[:2]):
            if not self._is_good(name, path):
                self._fetch(name, path, download)
        return path

    def _add_member(self, folder: str, member: Member, download: Download) -> None:
        target = f"{folder}/{member.path}"
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        # Linked at once: a copy may be evicted while the next one is fetched.
        reflink.duplicate(self._data(member.name, download), target, allow_clone=False)

    def _with_eviction(self, act: Callable[[], T]) -> T:
        """Call `act`; while the disk is full, evict a share of the unused entries, at last all, and call it again."""
        for share in _SHARES:
            try:
                return act()
            except OSError as error:
                if isinstance(error, LaminError) or error.errno not in _FULL or not self._entries.evict_share(share):
                    raise
        return act()

    def _fetch(self, name: ObjectName, path: str, download: Download) -> None:
        new = self._entries.new_temp_path()
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            try:
                download(name, descriptor)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            os.replace(new, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            raise
        self._remember(name, path)
        self._entries.add(size)

    def _is_good(self, name: ObjectName, path: str) -> bool:
        try:
            found = FileStat.of(os.stat(path))
            if self._hash_cache.digest(path, found) == name.digest:
                return True
            if digest_file(path) == name.digest:
                self._remember(name, path)
                return True
        except OSError:
            pass
        return False

    def _remember(self, name: ObjectName, path: str) -> None:
        with contextlib.suppress(OSError):
            found = FileStat.of(os.stat(path))
            self._hash_cache.put(Known(path, found, Content("", name.digest, found.size)))

    def _link(self, data: str, path: str) -> None:
        new = self._entries.new_temp_path()
        try:
            reflink.duplicate(data, new, allow_clone=False)
            os.replace(new, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)

    def _holds_exactly(self, path: str, members: tuple[Member, ...]) -> bool:
        there = {os.path.relpath(f"{folder}/{name}", path) for folder, _, files in os.walk(path) for name in files}
        return (
            os.path.isdir(path)
            and there == {member.path for member in members}
            and all(self._is_good(member.name, f"{path}/{member.path}") for member in members)
        )

    @contextlib.contextmanager
    def _locked(self, shard: str) -> Iterator[None]:
        """Keep other processes from downloading the same object, where the file system supports locks."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                os.makedirs(f"{self._entries.folder}/locks", mode=0o700, exist_ok=True)
                stack.enter_context(locks.held(f"{self._entries.folder}/locks/{shard}"))
            yield

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, LaminError):
                raise
            raise storage_failed("write to the cache", str(error.filename or self._entries.folder), error) from error


class NoCache(Cache):
    """A cache in a temporary folder, which is removed with this object."""

    def __init__(self) -> None:
        super().__init__("", limit_bytes=1 << 62)
        self._opening = threading.Lock()

    def _data(self, name: ObjectName, download: Download) -> str:
        self._open()
        return super()._data(name, download)

    def members(self, name: ObjectName, filename: str, members: tuple[Member, ...], download: Download) -> Path:
        """Return a local folder with this name and these members."""
        self._open()
        return super().members(name, filename, members, download)

    def drop(self, name: ObjectName) -> None:
        """Remove the copies of an object."""
        if self._entries.folder:
            super().drop(name)

    def _open(self) -> None:
        with self._opening:
            if not self._entries.folder:
                self._entries.folder = tempfile.mkdtemp(prefix="lamindb-")
                weakref.finalize(self, shutil.rmtree, self._entries.folder, ignore_errors=True)


def open_cache(folder: str | os.PathLike[str] | None, hash_cache: HashCache | None = None) -> Cache:
    """Open the cache in a user's cache folder, with the limit that the environment sets.

    Args:
        folder: The folder; None for copies that end with the process.
        hash_cache: Remembers which copies are as when they were last checked.

    Raises:
        InvalidInputError: The variable is not a positive number.
    """
    text = os.environ.get(LIMIT_VARIABLE)
    try:
        limit_bytes = DEFAULT_LIMIT_BYTES if text is None else int(float(text) * 1e9)
    except (ValueError, OverflowError):
        limit_bytes = 0
    if limit_bytes <= 0:
        raise InvalidInputError(f"{LIMIT_VARIABLE} is {text!a}: set it to a number of gigabytes such as 50")
    if folder is None:
        return NoCache()
    return Cache(os.path.join(folder, "objects"), limit_bytes=limit_bytes, hash_cache=hash_cache)


def _same_file(path: str, data: str) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.lstat(data))
    except OSError:
        return False
