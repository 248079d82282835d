"""The entries of a cache, and the eviction of the least recently used ones.

```
<folder>/ab/<digest>/                    an entry: the copies of one object
<folder>/incoming/                       temporary files of downloads and removals
<folder>/locks/size                      held while the size is counted
<folder>/size                            bytes at the last count, and those added since
```

An entry in use is pinned: locked by the process that uses it, until it ends or releases it. A process that is forked
from it pins none of its entries.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import threading
import time
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from typing import ClassVar, Final, NamedTuple

from lamindb.core import locks
from lamindb.storage import object_folder

RECOUNT_SECONDS: Final = 1.0
"""How long a cache that is too large, but all in use, is not scanned again."""

_LEFT_FREE: Final = 0.1
_FOLDERS_PINNED: Final = 200
_STALE_SECONDS: Final = 7 * 86_400


class _Entry(NamedTuple):
    used_at: float
    path: str
    sizes: dict[tuple[int, int], int]


class _Pin:
    """A lock that keeps an entry from eviction until this object is released or deleted."""

    __slots__ = ("__weakref__", "_descriptor")

    _all: ClassVar[weakref.WeakSet[_Pin]] = weakref.WeakSet()
    """All of this process: a forked child has the same locks, and releases its own descriptors of them."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._all.add(self)
        self._release_in_children()

    def release(self, close: Callable[[int], None] = os.close) -> None:
        """Release the entry; idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            close(descriptor)

    def __del__(self) -> None:
        """Release the entry, also while the interpreter shuts down."""
        self.release()

    @classmethod
    @functools.cache
    def _release_in_children(cls) -> None:
        """Have a forked process release what its parent uses; registered once, when the first entry is pinned."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=cls._release_all)

    @classmethod
    def _release_all(cls) -> None:
        for pin in list(cls._all):
            pin.release()


class CacheEntries:
    """The entries of a cache, the least recently used of which are removed above a limit.

    Args:
        folder: Where they are.
        limit_bytes: Their largest size in all, apart from pinned ones.
    """

    def __init__(self, folder: str, limit_bytes: int) -> None:
        self.folder = folder
        self._limit = limit_bytes
        self._last = threading.local()
        self._folders: OrderedDict[str, _Pin] = OrderedDict()
        self._tried_at = float("-inf")

    def pin(self, path: str, *, is_folder: bool = False) -> None:
        """Make an entry if it is not there, and keep it from eviction.

        A file is pinned until this thread pins the next one; by then it is open where it is needed. A folder, whose
        files are opened one after another, is pinned as long as the process runs, or until 200 others were.

        Raises:
            OSError: It could not be made.
        """
        pin = _pin(path)
        if not is_folder:
            self._last.pin = pin
        elif pin is not None:
            self._folders[path] = pin
            self._folders.move_to_end(path)
            while len(self._folders) > _FOLDERS_PINNED:
                self._folders.popitem(last=False)
        with contextlib.suppress(OSError):
            os.utime(path)

    def add(self, size: int) -> None:
        """Count bytes that were added, and evict entries above the limit."""
        with self._counting():
            total = self._read_total()
            if total is not None:
                total += size
                self._write_total(total)
        if total is None or total > self._limit:
            self.evict()

    def evict_if_too_large(self) -> None:
        """Evict entries if the limit was exceeded because too many were pinned before."""
        total = self._read_total()
        if (total is None or total > self._limit) and time.monotonic() - self._tried_at >= RECOUNT_SECONDS:
            self.evict()

    def evict(self) -> None:
        """Remove the least recently used entries until the limit is kept, and what dead downloads left."""
        self._remove_until(lambda total: total if total <= self._limit else int(self._limit * (1 - _LEFT_FREE)))
        self._tried_at = time.monotonic()

    def evict_share(self, share: float) -> bool:
        """Remove a share of all bytes, the least recently used entries first, and what dead downloads left.

        Returns:
            False if nothing could be removed.
        """
        return bool(self.folder) and self._remove_until(lambda total: int(total * (1 - share)))

    def _remove_until(self, wanted: Callable[[int], int]) -> bool:
        """Remove unpinned entries until at most `wanted(total)` bytes are left; return True if any was removed."""
        with self._counting():
            entries = sorted(self.entries(), key=lambda entry: entry.used_at)
            links = Counter(inode for entry in entries for inode in entry.sizes)
            there = total = sum({inode: size for entry in entries for inode, size in entry.sizes.items()}.values())
            aim = wanted(there)
            for entry in entries:
                if total <= aim:
                    break
                if self._remove_unused(entry.path):
                    links.subtract(entry.sizes.keys())
                    total -= sum(size for inode, size in entry.sizes.items() if not links[inode])
            self._write_total(total)
        abandoned: list[str] = []
        with contextlib.suppress(OSError):
            abandoned = object_folder.remove_abandoned(f"{self.folder}/incoming", older_than_seconds=_STALE_SECONDS)
        return total < there or bool(abandoned)

    def entries(self) -> Iterator[_Entry]:
        """Yield all entries; bytes that several share have the same inode in each."""
        for shard in _names(self.folder):
            if len(shard) == 2:
                for digest in _names(f"{self.folder}/{shard}"):
                    path = f"{self.folder}/{shard}/{digest}"
                    with contextlib.suppress(OSError):
                        used_at = os.stat(path).st_mtime
                        yield _Entry(used_at, path, dict(_sizes(path)))

    def new_temp_path(self) -> str:
        """Return a path for a temporary file that no other process uses."""
        folder = f"{self.folder}/incoming"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return object_folder.new_temp_path(folder)

    def discard(self, path: str) -> None:
        """Remove a file or folder: renamed first, so that it disappears at once."""
        if os.path.lexists(path):
            new = self.new_temp_path()
            with contextlib.suppress(OSError):
                os.rename(path, new)
                if os.path.isdir(new) and not os.path.islink(new):
                    shutil.rmtree(new, ignore_errors=True)
                else:
                    os.unlink(new)

    def _remove_unused(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if _lock(descriptor, exclusive=True) is not False:
                    self.discard(path)
                    return True
            finally:
                os.close(descriptor)
        return False

    def _read_total(self) -> int | None:
        try:
            with open(f"{self.folder}/size", encoding="ascii") as stream:
                return int(stream.read())
        except (OSError, ValueError):
            return None

    def _write_total(self, total: int) -> None:
        with contextlib.suppress(OSError), open(f"{self.folder}/size", "w", encoding="ascii") as stream:
            stream.write(str(total))

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                os.makedirs(f"{self.folder}/locks", mode=0o700, exist_ok=True)
                stack.enter_context(locks.held(f"{self.folder}/locks/size"))
            yield


def _pin(path: str) -> _Pin | None:
    """Pin an entry, made again if another process evicted it meanwhile; None where there are no locks."""
    while True:
        os.makedirs(path, mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        pin = _Pin(descriptor)
        if not _lock(descriptor, exclusive=False):
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return pin


def _lock(descriptor: int, *, exclusive: bool) -> bool | None:
    """Lock an entry exclusively, unless it is pinned, or shared; None where there are no locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _sizes(entry: str) -> Iterator[tuple[tuple[int, int], int]]:
    for folder, _, files in os.walk(entry):
        for name in files:
            found = os.lstat(f"{folder}/{name}")
            yield (found.st_dev, found.st_ino), found.st_size


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
