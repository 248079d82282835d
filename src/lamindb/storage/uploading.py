"""Putting sources into a bucket, 8 at a time; what is uploaded is what was hashed."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from blake3 import blake3

from lamindb.core.hashing import CHUNK_SIZE, Content
from lamindb.core.progress import Progress
from lamindb.errors import SourceChangedError
from lamindb.storage import manifest as storage_manifest
from lamindb.storage import source_reader
from lamindb.storage.base import FileStat, Member, ObjectName, Source, Stored
from lamindb.storage.hash_cache import Known
from lamindb.storage.os_errors import read_failed

if TYPE_CHECKING:
    from lamindb.storage.remote import RemoteStore

AT_ONCE: Final = 8
IN_MEMORY: Final = 64 << 20
"""Up to this size in bytes, a file is read into memory, hashed and sent; above, it is hashed first, then read again."""

BUDGET: Final = 128 << 20
"""Bytes of files that are held in memory by one call."""

_ONE_REQUEST: Final = 8 << 20
_PART: Final = 8 << 20
_MOST_PARTS: Final = 9_000
_PARTS_AT_ONCE: Final = 4

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def upload_many(store: RemoteStore, sources: Sequence[Source], progress: Progress | None) -> list[Stored]:
    """Store all sources, in their order.

    Raises:
        LaminError: The first failure; what had not begun by then is not stored.
    """
    budget = _Budget(BUDGET)
    if len(sources) == 1:
        stored = [_upload(store, sources[0], budget)]
        if progress is not None:
            progress(1, 1)
        return stored
    stored = []
    for each in _in_parallel(lambda source: _upload(store, source, budget), sources):
        stored.append(each)
        if progress is not None:
            progress(len(stored), len(sources))
    return stored


def _in_parallel(function: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """Yield results in order; few more than `AT_ONCE` calls wait, so that a million items need no more memory."""
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lamindb-upload")
    waiting: deque[Future[_Out]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= 4 * AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Budget:
    """Bytes that may be held in memory by all threads together; one that is larger than all of it waits to be alone."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._changed = threading.Condition()

    def take(self, size: int) -> int:
        size = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        return size

    def give(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._changed.notify_all()


def _upload(store: RemoteStore, source: Source, budget: _Budget) -> Stored:
    if source.data is not None:
        content = source_reader.content_of(source.data, source)
        name = ObjectName(content.digest, source.suffix)
        return Stored(name, content, _send(store, source, name, content, source.data))
    path = source.path or ""
    if source.content is not None and source_reader.is_unchanged_file(source):
        name = ObjectName(source.content.digest, source.suffix)
        if _is_there(store, name, source.content):
            return Stored(name, source.content, reused=True)
    hashed_at_ns = time.time_ns()
    descriptor = source_reader.open_source(path)
    try:
        before = os.fstat(descriptor)
        if stat.S_ISREG(before.st_mode):
            source_reader.check_recorded(source, before)
            if before.st_size <= IN_MEMORY:
                return _upload_small(store, source, descriptor, before, budget, hashed_at_ns=hashed_at_ns)
            return _upload_large(store, source, descriptor, before, hashed_at_ns=hashed_at_ns)
    except SourceChangedError:
        store.hash_cache.forget([path])
        raise
    finally:
        os.close(descriptor)
    if not stat.S_ISDIR(before.st_mode):
        raise source_reader.not_a_file(path)
    return _upload_folder(store, source, budget)


def _upload_small(
    store: RemoteStore, source: Source, descriptor: int, before: os.stat_result, budget: _Budget, *, hashed_at_ns: int
) -> Stored:
    taken = budget.take(before.st_size)
    try:
        data, content, after = source_reader.read_small(source, descriptor, before)
        name = ObjectName(content.digest, source.suffix)
        reused = _send(store, source, name, content, data)
    finally:
        budget.give(taken)
    store.hash_cache.put(Known(source.path or "", FileStat.of(after), content, hashed_at_ns))
    return Stored(name, content, reused)


def _upload_large(
    store: RemoteStore, source: Source, descriptor: int, before: os.stat_result, *, hashed_at_ns: int
) -> Stored:
    """Hash a file, then send it in parts while hashing again: parts of other bytes never become an object."""
    import obstore

    content, after = source_reader.read_large(source, descriptor, before)
    store.hash_cache.put(Known(source.path or "", FileStat.of(after), content, hashed_at_ns))
    name = ObjectName(content.digest, source.suffix)
    if _is_there(store, name, content):
        return Stored(name, content, reused=True)
    os.lseek(descriptor, 0, os.SEEK_SET)
    part = max(_PART, -(-content.size // (_MOST_PARTS << 20)) << 20)
    with store.failing(f"store {source.shown} in '{store.root_url}'", writing=True):
        result = obstore.put(
            store.backend,
            store.path(name),
            _read_again(source, descriptor, after, content),
            use_multipart=True,
            chunk_size=part,
            max_concurrency=_PARTS_AT_ONCE,
        )
    store.remember(name, content.size, result["e_tag"])
    return Stored(name, content, reused=False)


def _read_again(source: Source, descriptor: int, before: os.stat_result, content: Content) -> Iterator[bytes]:
    """Yield the bytes of a file; fail at its end if they are not those that were hashed."""
    path = source.path or ""
    hasher, size = blake3(), 0
    while True:
        try:
            piece = os.read(descriptor, CHUNK_SIZE)
        except OSError as error:
            raise read_failed(path, error) from error
        if not piece:
            break
        size += len(piece)
        if size > content.size:
            raise source_reader.changed(path)
        hasher.update(piece)
        yield piece
    source_reader.check_same(path, before, os.fstat(descriptor))
    if hasher.hexdigest() != content.digest:
        raise source_reader.changed(path)


def _upload_folder(store: RemoteStore, source: Source, budget: _Budget) -> Stored:
    """Store each file of a folder, then the manifest that lists them."""
    listed = storage_manifest.walk(source.path or "")
    sources = [Source(storage_manifest.suffix_of_member(relative), path) for relative, path in listed]
    members = []
    all_reused = True
    for (relative, _), stored in zip(
        listed, _in_parallel(lambda member: _upload(store, member, budget), sources), strict=True
    ):
        all_reused = all_reused and stored.reused
        members.append(Member(relative, stored.name.digest, stored.name.suffix, stored.content.size))
    found = tuple(members)
    content = storage_manifest.folder_content(found)
    if source.content is not None and source.content != content:
        raise source_reader.changed(source.path or "")
    manifest = storage_manifest.write_manifest(found)
    name = ObjectName(content.digest, source.suffix)
    whole = Content(content.hash, content.digest, len(manifest))
    reused = _send(store, source, name, whole, manifest) and all_reused
    return Stored(name, content, reused, members=found, is_folder=True, n_files=len(found))


def _send(store: RemoteStore, source: Source, name: ObjectName, content: Content, data: bytes) -> bool:
    """Put bytes under their name unless they are there; tell whether they were."""
    import obstore
    from obstore.exceptions import AlreadyExistsError

    path = store.path(name)
    with store.failing(f"store {source.shown} in '{store.root_url}'", writing=True):
        if len(data) <= CHUNK_SIZE:
            # Small ones are sent at once: asking first would cost as much.
            with contextlib.suppress(AlreadyExistsError):
                made = store.create(path, data)
                if made is not None:
                    store.remember(name, len(data), made["e_tag"])
                    return False
        if _is_there(store, name, content):
            return True
        single = len(data) <= _ONE_REQUEST
        result = obstore.put(
            store.backend,
            path,
            data,
            use_multipart=not single,
            chunk_size=_PART,
            max_concurrency=_PARTS_AT_ONCE,
        )
    store.remember(name, len(data), result["e_tag"])
    return False


def _is_there(store: RemoteStore, name: ObjectName, content: Content) -> bool:
    found = store.head(name)
    return found is not None and store.is_good(name, content, found)
