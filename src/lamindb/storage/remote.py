"""The store of a bucket: objects under `.lamindb/objects/`, each put whole or not at all by the server.

Names are digests, so that a second writer of a name writes the same bytes: conditional writes only save traffic.
"""

from __future__ import annotations

import builtins
import contextlib
import datetime
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from blake3 import blake3

from lamindb.core import filesystem, messages
from lamindb.core.hashing import CHUNK_SIZE, Content
from lamindb.core.progress import Progress
from lamindb.core.text import counted
from lamindb.errors import IntegrityError, SourceChangedError, UnsupportedError
from lamindb.storage import bucket_client, manifest, source_reader
from lamindb.storage.base import Damage, FileStat, Member, ObjectName, Source, Stored
from lamindb.storage.bucket import FOLDER, Bucket
from lamindb.storage.cache import Cache, NoCache
from lamindb.storage.hash_cache import HashCache, Known, NoHashCache
from lamindb.storage.multipart import Uploads
from lamindb.storage.os_errors import read_failed, read_only
from lamindb.storage.staged import check_filename

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutResult

_README: Final = """\
This prefix holds the files of a lamindb instance. It can be read without lamindb: .lamindb/objects/ab/abcd….csv holds
the bytes of a file, never changed; the name is their BLAKE3 digest and a suffix. A folder that was saved as one is an
object that lists its files, one a line, after a first line that says "lamindb-folder". Keys, runs and all else are in
the instance's database.
"""


class RemoteStore(Bucket):
    """Objects in a bucket, or in memory. See `ObjectStore` for the promises of its methods.

    Args:
        root_url: The address, such as `s3://bucket/prefix`.
        cache: Keeps local copies.
        hash_cache: Remembers which objects and sources are as when they were last read.
        read_only: Refuse to write.
    """

    is_local: Final = False

    def __init__(
        self,
        root_url: str,
        *,
        cache: Cache | None = None,
        hash_cache: HashCache | None = None,
        read_only: bool = False,
    ) -> None:
        super().__init__(root_url)
        self.read_only = read_only
        self.hash_cache = hash_cache if hash_cache is not None else NoHashCache()
        self.cache = cache if cache is not None else NoCache()
        self._creates = True
        self._boto: Any = None

    @property
    def boto(self) -> Any:
        """A client of boto3 for what the client of buckets cannot do, made at first use; see `boto_client`."""
        if self._boto is None:
            self._boto = bucket_client.boto_client(self.root_url)
        return self._boto

    def prepare(self) -> None:
        """Write the README, which fails if the bucket does not exist or cannot be written."""
        self.check_writable()
        import obstore
        from obstore.exceptions import AlreadyExistsError

        path, data = ".lamindb/README", _README.encode()
        with (
            self.translate_errors(f"write to '{self.root_url}'", writing=True),
            contextlib.suppress(AlreadyExistsError),
        ):
            if self.create(path, data) is None:
                obstore.put(self.backend, path, data)

    def create(self, path: str, data: bytes) -> PutResult | None:
        """Put an object where there is none, atomically; return None, and put nothing, where the server cannot do that.

        Raises:
            AlreadyExistsError: There is one.
            BaseError: The server failed.
        """
        import obstore
        from obstore.exceptions import BaseError

        if not self._creates:
            return None
        try:
            return obstore.put(self.backend, path, data, mode="create")
        except BaseError as error:
            if not bucket_client.is_unsupported_request(error):
                raise
        self._creates = False
        return None

    def put(self, source: Source) -> Stored:
        """Store a source, all of it or none of it; durable when it returns."""
        return self.put_many([source])[0]

    def put_many(self, sources: Sequence[Source], *, progress: Progress | None = None) -> builtins.list[Stored]:
        """Store many sources, 8 at a time."""
        self.check_writable()
        return upload_many(self, sources, progress)

    def delete(self, name: ObjectName) -> bool:
        """Remove an object for good, and its local copy; False if there was none."""
        import obstore

        self.check_writable()
        if self.head(name) is None:
            return False
        with (
            self.translate_errors(f"remove '{self.object_path(name)}'", writing=True),
            contextlib.suppress(FileNotFoundError),
        ):
            obstore.delete(self.backend, self.path(name))
        self.cache.drop(name)
        return True

    def list(self) -> Iterator[tuple[ObjectName, int]]:
        """Yield all objects with their sizes."""
        import obstore

        with self.translate_errors(f"list '{self.root_url}'"):
            for chunk in obstore.list(self.backend, prefix=FOLDER):
                for found in chunk:
                    shard, _, filename = found["path"].removeprefix(f"{FOLDER}/").partition("/")
                    name = ObjectName.parse(filename)
                    if name is not None and name.digest[:2] == shard:
                        yield name, found["size"]

    def local_path(self, name: ObjectName, filename: str, *, is_folder: bool = False) -> Path:
        """Return a copy in the cache, under this file name."""
        check_filename(filename)
        if is_folder:
            return self.cache.members(name, filename, manifest.read_manifest(self, name), self.download)
        return self.cache.file(name, filename, self.download)

    def check(self, name: ObjectName, size: int | None, *, quick: bool = False) -> Damage | None:
        """Compare an object with its name; None if all is right. Unless it is quick, every byte is downloaded."""
        path = self.object_path(name)
        found = self.head(name)
        if found is None:
            return Damage(name, "missing", f"object '{path}' is missing")
        if size is not None and found["size"] != size:
            return Damage(name, "size", f"object '{path}' has {counted(found['size'], 'byte')} instead of {size:,}")
        if quick:
            return None
        hasher = blake3()
        try:
            for piece in self.pieces(name):
                hasher.update(piece)
        except IntegrityError:
            return Damage(name, "missing", f"object '{path}' is missing")
        if hasher.hexdigest() != name.digest:
            return Damage(name, "bytes", f"object '{path}' has other bytes than were saved")
        self.remember(name, found["size"], found["e_tag"])
        return None

    def list_abandoned(self, *, older_than_seconds: float, foreign_seconds: float | None = None) -> builtins.list[str]:
        """Return the keys of multipart uploads that were started so long ago and not completed."""
        del foreign_seconds
        uploads = self._uploads()
        return (
            [upload.key for upload in uploads.started_before(_ago(older_than_seconds))] if uploads is not None else []
        )

    def remove_abandoned(
        self, *, older_than_seconds: float, foreign_seconds: float | None = None
    ) -> builtins.list[str]:
        """Abort multipart uploads that were started so long ago and not completed, by any writer; return their keys."""
        del foreign_seconds
        self.check_writable()
        uploads = self._uploads()
        if uploads is None:
            return []
        abandoned = uploads.started_before(_ago(older_than_seconds))
        for upload in abandoned:
            uploads.abort(upload)
        return [upload.key for upload in abandoned]

    def _uploads(self) -> Uploads | None:
        """Return what lists uploads; None, with a message, where that is not possible."""
        if not self.root_url.startswith("s3://"):
            return None
        try:
            return Uploads(self.root_url)
        except UnsupportedError as error:
            messages.info(f"incomplete uploads were not looked for: {error}")
            return None

    def upath(self, name: ObjectName, filename: str, *, is_folder: bool = False) -> Any:
        """Return the `UPath` of an object; for a manifest, that of a folder with its members."""
        from lamindb.storage.fsspec_paths import universal_path

        del filename
        return universal_path(self.object_path(name), is_folder=is_folder)

    def upath_of_key(self, key: str) -> Any:
        """Return the `UPath` of a key of this root, of the root itself for an empty one."""
        from lamindb.storage.fsspec_paths import universal_path

        return universal_path(f"{self.root_url}/{key}".rstrip("/"))

    def download(self, name: ObjectName, descriptor: int) -> None:
        """Write the bytes of an object to an open file.

        Raises:
            IntegrityError: It is missing, or these are not its bytes.
            OSError: The file could not be written.
        """
        hasher = blake3()
        for piece in self.pieces(name):
            hasher.update(piece)
            filesystem.write_all(descriptor, piece)
        if hasher.hexdigest() != name.digest:
            raise self.damaged(name)

    def is_good(self, name: ObjectName, content: Content | None, found: ObjectMeta) -> bool:
        """Return True if an object has the right bytes: by its ETag, by the hash cache, else by reading it."""
        if content is not None and found["size"] != content.size:
            return False
        if content is not None and content.hash and _md5_of(found) == content.hash:
            return True
        stat = stat_of(found["size"], found["e_tag"])
        if stat is not None and self.hash_cache.digest(self.object_path(name), stat) == name.digest:
            return True
        hasher = blake3()
        for piece in self.pieces(name, found["size"]):
            hasher.update(piece)
        if hasher.hexdigest() != name.digest:
            return False
        self.remember(name, found["size"], found["e_tag"])
        return True

    def remember(self, name: ObjectName, size: int, tag: str | None) -> None:
        """Remember that an object has the right bytes as long as its size and ETag stay."""
        stat = stat_of(size, tag)
        if stat is not None:
            self.hash_cache.put(Known(self.object_path(name), stat, Content("", name.digest, size)))

    def check_writable(self) -> None:
        """Refuse to write to a store that was opened for reading."""
        if self.read_only:
            raise read_only(self.root_url)


def _md5_of(found: ObjectMeta) -> str | None:
    """Return the MD5 in the ETag of an object that was put in one request, encoded as ours."""
    from lamindb.core.hashing import encode_md5

    tag = (found["e_tag"] or "").strip('"')
    if len(tag) != 32:
        return None
    try:
        return encode_md5(bytes.fromhex(tag))
    except ValueError:
        return None


def _ago(seconds: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)


def stat_of(size: int, tag: str | None) -> FileStat | None:
    """Return size and ETag of an object in the form of a stat; None without an ETag."""
    if not tag:
        return None
    return FileStat(size, 0, 0, int.from_bytes(blake3(tag.encode()).digest(7), "big"), 0)


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
    for each in in_parallel(lambda source: _upload(store, source, budget), sources):
        stored.append(each)
        if progress is not None:
            progress(len(stored), len(sources))
    return stored


def in_parallel(function: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """Yield results in order; few more than `AT_ONCE` calls wait, so that a million items need no more memory."""
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lamindb-upload")
    waiting: deque[Future[_Out]] = deque()
    try:
        for item in items:
            waiting.append(_submit(pool, function, item))
            if len(waiting) >= 4 * AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ThreadPoolExecutor, function: Callable[[_In], _Out], item: _In) -> Future[_Out]:
    """Call a function in a thread of a pool; at the end of the interpreter, which starts no more threads, here."""
    try:
        return pool.submit(function, item)
    except RuntimeError:
        done: Future[_Out] = Future()
        done.set_result(function(item))
        return done


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
    """Hash a file, then send it in parts while hashing it again: a file that changed never becomes an object."""
    import obstore

    content, after = source_reader.read_large(source, descriptor, before)
    store.hash_cache.put(Known(source.path or "", FileStat.of(after), content, hashed_at_ns))
    name = ObjectName(content.digest, source.suffix)
    if _is_there(store, name, content):
        return Stored(name, content, reused=True)
    os.lseek(descriptor, 0, os.SEEK_SET)
    part = max(_PART, -(-content.size // (_MOST_PARTS << 20)) << 20)
    with store.translate_errors(f"store {source.shown} in '{store.root_url}'", writing=True):
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
    left_out: list[str] = []
    listed = manifest.walk(source.path or "", source.links, left_out=left_out)
    sources = [Source(manifest.suffix_of_member(relative), path) for relative, path in listed]
    members = []
    all_reused = True
    for (relative, _), stored in zip(
        listed, in_parallel(lambda member: _upload(store, member, budget), sources), strict=True
    ):
        all_reused = all_reused and stored.reused
        members.append(Member(relative, stored.name.digest, stored.name.suffix, stored.content.size))
    found = tuple(members)
    content = manifest.folder_content(found)
    if source.content is not None and source.content != content:
        raise source_reader.changed(source.path or "")
    written = manifest.write_manifest(found)
    name = ObjectName(content.digest, source.suffix)
    whole = Content(content.hash, content.digest, len(written))
    reused = _send(store, source, name, whole, written) and all_reused
    return Stored(name, content, reused, found, is_folder=True, n_files=len(found), left_out=tuple(left_out))


def _send(store: RemoteStore, source: Source, name: ObjectName, content: Content, data: bytes) -> bool:
    """Put bytes under their name unless they are there; return True if they were."""
    import obstore
    from obstore.exceptions import AlreadyExistsError

    path = store.path(name)
    with store.translate_errors(f"store {source.shown} in '{store.root_url}'", writing=True):
        if len(data) <= CHUNK_SIZE:
            # Small ones are sent at once: a request to look first would cost as much.
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
