"""MD5, BLAKE3 and size of bytes, from one read."""

from __future__ import annotations

import base64
import hashlib
import os
import queue
import threading
from typing import Final, NamedTuple

from blake3 import blake3

from lamindb.core.progress import Progress

CHUNK_SIZE: Final = 1 << 20
"""Bytes that are read at once: large enough for the disk, small enough to stay in the processor's cache."""

THREADED_FROM: Final = 64 << 20
"""Size in bytes from which MD5, by far the slowest step, gets a thread of its own."""

_DIGEST_CHUNK: Final = 8 << 20
_QUEUE_LENGTH: Final = 8


class Content(NamedTuple):
    """Hashes and size of some bytes.

    Attributes:
        hash: MD5 of the whole, as 22 characters of unpadded URL-safe base64.
        digest: BLAKE3 of the whole, as 64 hexadecimal characters.
        size: Number of bytes.
    """

    hash: str
    digest: str
    size: int


class Hasher:
    """Hashes what it is fed, both ways, in the order in which it comes."""

    __slots__ = ("_blake3", "_md5", "_size")

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._blake3 = blake3()
        self._size = 0

    @property
    def size(self) -> int:
        """Number of bytes fed so far."""
        return self._size

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Hash the next piece; `data` must be contiguous bytes and must not change meanwhile."""
        self._md5.update(data)
        self._blake3.update(data)
        self._size += len(data)

    def content(self) -> Content:
        """Return what was fed so far."""
        return Content(encode_md5(self._md5.digest()), self._blake3.hexdigest(), self._size)

    def close(self) -> None:
        """Free what the hasher holds; it must not be fed afterwards."""


class ThreadedHasher(Hasher):
    """A `Hasher` for much data: MD5 runs in a thread, at most 8 pieces behind.

    The pieces are kept until they are hashed, so each must be an object of its own. `close()` ends the thread.
    """

    __slots__ = ("_failure", "_pieces", "_thread")

    def __init__(self) -> None:
        super().__init__()
        self._pieces: queue.Queue[bytes | bytearray | memoryview | None] = queue.Queue(_QUEUE_LENGTH)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="lamindb-md5", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            if self._failure is None:
                try:
                    self._md5.update(piece)
                except BaseException as error:
                    self._failure = error

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Hash the next piece; waits while the thread is 8 pieces behind."""
        self._pieces.put(data)
        self._blake3.update(data)
        self._size += len(data)

    def content(self) -> Content:
        """Wait for the thread, and return what was fed; nothing can be fed afterwards."""
        self.close()
        if self._failure is not None:
            raise self._failure
        return super().content()

    def close(self) -> None:
        """End the thread; idempotent."""
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()


def hasher_for(size: int) -> Hasher:
    """Make the fastest hasher for about `size` bytes; `close()` it when it is not needed any more."""
    if size < THREADED_FROM:
        return Hasher()
    try:
        return ThreadedHasher()
    except RuntimeError:
        # From Python 3.12 on no thread begins once the program has ended: a run's end may store large outputs then.
        return Hasher()


def encode_md5(digest: bytes) -> str:
    """Write the 16 bytes of an MD5 as 22 characters of unpadded URL-safe base64."""
    return base64.urlsafe_b64encode(digest)[:22].decode("ascii")


def hash_bytes(data: bytes | bytearray | memoryview) -> Content:
    """Hash bytes in memory.

    Examples:
        >>> hash_bytes(b"ACGT").hash
        '8fj0v0E7Fq0TVyKqRZEEPg'
    """
    return Content(encode_md5(hashlib.md5(data, usedforsecurity=False).digest()), blake3(data).hexdigest(), len(data))


def digest_bytes(data: bytes) -> str:
    """Return the BLAKE3 digest of bytes."""
    return blake3(data).hexdigest()


def hash_file(path: str | os.PathLike[str], progress: Progress | None = None) -> Content:
    """Hash a file in one read; memory use does not grow with its size.

    Args:
        path: The file.
        progress: Called with the bytes that are hashed and the size, after each chunk.

    Raises:
        OSError: The file could not be opened or read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        return hash_descriptor(descriptor, size, progress)
    finally:
        os.close(descriptor)


def hash_descriptor(descriptor: int, size: int, progress: Progress | None = None) -> Content:
    """Hash an open file from its position to its end; `size` is what is expected, and only guides the method."""
    if size < CHUNK_SIZE:
        data = os.read(descriptor, size + 1)
        if len(data) == size:
            if progress is not None:
                progress(size, size)
            return hash_bytes(data)
    else:
        data = b""
    hasher = hasher_for(size)
    try:
        done = len(data)
        hasher.update(data)
        while data := os.read(descriptor, CHUNK_SIZE):
            hasher.update(data)
            done += len(data)
            if progress is not None:
                progress(done, size)
        return hasher.content()
    finally:
        hasher.close()


def digest_file(path: str | os.PathLike[str]) -> str:
    """Compute only the BLAKE3 of a file, on all processors: what checking stored bytes needs.

    The file is read, not mapped: a mapped file that shrinks, or a disk that fails, would kill the process.

    Raises:
        OSError: The file could not be opened or read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        if size < CHUNK_SIZE:
            data = os.read(descriptor, size + 1)
            if len(data) == size:
                return blake3(data).hexdigest()
            os.lseek(descriptor, 0, os.SEEK_SET)
        hasher = blake3(max_threads=blake3.AUTO)
        buffer = bytearray(min(max(size, 1), _DIGEST_CHUNK))
        view = memoryview(buffer)
        while count := os.readv(descriptor, [buffer]):
            hasher.update(view[:count])
        return hasher.hexdigest()
    finally:
        os.close(descriptor)
