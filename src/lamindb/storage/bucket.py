"""Read objects of a bucket; the base of its store, and what its paths use."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from blake3 import blake3

from lamindb.core import storage_url
from lamindb.errors import IntegrityError, UnsupportedError
from lamindb.storage import bucket_client
from lamindb.storage.base import ObjectName

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore as Backend

REMEDY: Final = (
    'start processes by "spawn" or "forkserver", as multiprocessing.get_context("spawn") does, or fork before the '
    "first use"
)


class ForkGuard:
    """Refuses buckets in a process that was forked from one that had used them.

    The client's threads do not exist there, so that a request would never be answered.
    """

    def __init__(self) -> None:
        self._pid: int | None = None

    @property
    def is_used(self) -> bool:
        """Whether this process, or one that it was forked from, has used a bucket."""
        return self._pid is not None

    def check(self) -> None:
        """Note that this process uses a bucket.

        Raises:
            UnsupportedError: It was forked from one that had.
        """
        if self._pid is None:
            self._pid = os.getpid()
        elif self._pid != os.getpid():
            raise UnsupportedError(
                f"object stores do not work in a process that was forked from one that had used them: {REMEDY}"
            )


fork_guard: Final = ForkGuard()
# One per process: all buckets share the threads of the client.

READ_SIZE: Final = 16 << 20
"""Bytes of one request when reading, so that each ends within the time limit."""

FOLDER: Final = ".lamindb/objects"


class Bucket:
    """Objects in a bucket, or in memory, for reading.

    Args:
        root_url: The address, such as `s3://bucket/prefix`.
    """

    def __init__(self, root_url: str) -> None:
        scheme, bucket, prefix = storage_url.split(root_url)
        self.root_url = f"{scheme}://{bucket}/{prefix}".rstrip("/")
        self._backend = bucket_client.open_bucket(self.root_url)

    @property
    def backend(self) -> Backend:
        """The client of the bucket.

        Raises:
            UnsupportedError: This process was forked from one that had used a bucket.
        """
        fork_guard.check()
        return self._backend

    def exists(self, name: ObjectName) -> bool:
        """Return True if there is an object of this name."""
        return self.head(name) is not None

    def size(self, name: ObjectName) -> int | None:
        """Return the number of bytes that are stored, None if there is no such object."""
        found = self.head(name)
        return None if found is None else found["size"]

    def open(self, name: ObjectName) -> BinaryIO:
        """Open an object for reading in ranges, unchecked."""
        size = self.size(name)
        if size is None:
            raise self.missing(name)
        return io.BufferedReader(_Ranges(self, name, size), buffer_size=1 << 20)

    def read(self, name: ObjectName) -> bytes:
        """Return the bytes of an object, checked."""
        pieces = list(self.pieces(name))
        data = b"".join(pieces)
        if blake3(data).hexdigest() != name.digest:
            raise self.damaged(name)
        return data

    def object_path(self, name: ObjectName) -> str:
        """Return the address of an object."""
        return f"{self.root_url}/{self.path(name)}"

    def changed_at(self, name: ObjectName) -> float | None:
        """Return when an object was last stored, in seconds of the epoch; None if there is none."""
        found = self.head(name)
        return None if found is None else found["last_modified"].timestamp()

    def path(self, name: ObjectName) -> str:
        """Return the path of an object below the root."""
        return f"{FOLDER}/{name.path}"

    def head(self, name: ObjectName) -> ObjectMeta | None:
        """Return the metadata of an object, None if there is none."""
        import obstore

        with self.translate_errors(f"read '{self.object_path(name)}'"):
            try:
                return obstore.head(self.backend, self.path(name))
            except FileNotFoundError:
                return None

    def pieces(self, name: ObjectName, size: int | None = None) -> Iterator[bytes]:
        """Yield the bytes of an object, unchecked, in requests that each end within the time limit."""
        if size is None:
            size = self.size(name)
        if size is None:
            raise self.missing(name)
        for start in range(0, size, READ_SIZE):
            yield self.range(name, start, min(READ_SIZE, size - start))

    def range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Return a range of an object."""
        import obstore

        with self.translate_errors(f"read '{self.object_path(name)}'"):
            try:
                return bytes(obstore.get_range(self.backend, self.path(name), start=start, length=length))
            except FileNotFoundError as error:
                raise self.missing(name) from error

    @contextlib.contextmanager
    def translate_errors(self, doing: str, *, writing: bool = False) -> Iterator[None]:
        """Translate errors of the server and the connection; AlreadyExistsError and the like are for the caller."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise bucket_client.translate(error, doing, writing=writing) from error

    def missing(self, name: ObjectName) -> IntegrityError:
        """Return the error for an object that is not there."""
        return IntegrityError(f"object '{self.object_path(name)}' is missing: save the file again, or restore a backup")

    def damaged(self, name: ObjectName) -> IntegrityError:
        """Return the error for an object whose bytes do not match its name."""
        return IntegrityError(f"object '{self.object_path(name)}' is damaged: save the right file again")


class _Ranges(io.RawIOBase):
    """An object as a seekable stream."""

    def __init__(self, bucket: Bucket, name: ObjectName, size: int) -> None:
        super().__init__()
        self._bucket = bucket
        self._name = name
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = min(max(0, base + offset), self._size)
        return self._position

    def readall(self) -> bytes:
        """Read the rest in few requests; the inherited method would make one for every 8 KiB."""
        pieces = []
        while length := min(READ_SIZE, self._size - self._position):
            pieces.append(self._bucket.range(self._name, self._position, length))
            self._position += length
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._position, READ_SIZE)
        if length <= 0:
            return 0
        data = self._bucket.range(self._name, self._position, length)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
