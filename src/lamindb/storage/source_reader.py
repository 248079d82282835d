"""Read a source once, and check that it is what its record says."""

from __future__ import annotations

import errno
import os
import stat

from blake3 import blake3

from lamindb.core.hashing import Content, Hasher, hash_bytes, hasher_for
from lamindb.errors import InvalidInputError, SourceChangedError
from lamindb.storage import reflink
from lamindb.storage.base import FileStat, Source
from lamindb.storage.os_errors import read_failed

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class _DigestHasher(Hasher):
    """Computes only the digest, for bytes whose MD5 is known if the digest is the expected one."""

    __slots__ = ("_expected",)

    def __init__(self, expected: Content) -> None:
        self._expected = expected
        self._blake3 = blake3()
        self._size = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self._blake3.update(data)
        self._size += len(data)

    def content(self) -> Content:
        digest = self._blake3.hexdigest()
        return self._expected if digest == self._expected.digest else Content("", digest, self._size)


def open_source(path: str) -> int:
    """Open a file or folder for reading; never blocks, not even for a pipe.

    Raises:
        SourceNotFoundError, StorageError: It is not there, or cannot be read.
        InvalidInputError: It cannot be opened as a file, as is true of sockets.
    """
    try:
        return os.open(path, _OPEN_FLAGS)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise not_a_file(path) from error
        raise read_failed(path, error) from error


def is_unchanged_file(source: Source) -> bool:
    """Return True if a source is a file that has not changed since its record was made, as far as its stat is known.

    Raises:
        SourceNotFoundError, StorageError: It is not there, or cannot be read.
    """
    if source.path is None:
        return True
    try:
        now = os.stat(source.path)
        return stat.S_ISREG(now.st_mode) and (source.stat is None or FileStat.of(now) == source.stat)
    except OSError as error:
        raise read_failed(source.path, error) from error


def read_small(source: Source, descriptor: int, before: os.stat_result) -> tuple[bytes, Content, os.stat_result]:
    """Read a small file whole; return its bytes, what they are, and the stat afterwards.

    Raises:
        SourceChangedError: It is not what its record says, or changed while it was read.
        StorageError: It cannot be read.
    """
    path = source.path or ""
    try:
        data = os.read(descriptor, before.st_size + 1)
        after = os.fstat(descriptor)
    except OSError as error:
        raise read_failed(path, error) from error
    check_same(path, before, after)
    if len(data) != before.st_size:
        raise other_size(path)
    return data, content_of(data, source), after


def read_large(
    source: Source, descriptor: int, before: os.stat_result, *, writing: int | None = None, cloned: bool = False
) -> tuple[Content, os.stat_result]:
    """Hash an open file, and write what is hashed, from the same buffers; return its content and stat afterwards.

    Holes of the file become holes of what is written; hashes are those of the zeros that are read there.

    Args:
        source: What the file should be.
        descriptor: The open file.
        before: Its stat before anything was read.
        writing: Where to write to; None to hash only.
        cloned: `writing` shares the file's blocks already: hash these.

    Raises:
        SourceChangedError: As for `read_small`.
        StorageError: The file cannot be read.
        OSError: Writing failed.
    """
    path = source.path or ""
    hasher = _DigestHasher(source.content) if source.content is not None else hasher_for(before.st_size)
    pieces = reflink.read_pieces(writing if cloned and writing is not None else descriptor)
    try:
        while True:
            try:
                piece, is_hole = next(pieces, (b"", False))
            except OSError as error:
                raise read_failed(path, error) from error
            if not piece:
                break
            hasher.update(piece)
            if hasher.size > before.st_size:
                # A file that grows as fast as it is read would never end.
                check_same(path, before, os.fstat(descriptor))
                raise other_size(path)
            if writing is not None and not cloned:
                reflink.write_piece(writing, piece, is_hole=is_hole)
        after = os.fstat(descriptor)
        content = hasher.content()
    finally:
        hasher.close()
    check_same(path, before, after)
    if content.size != before.st_size:
        raise other_size(path)
    check_expected(source, content)
    return content, after


def content_of(data: bytes, source: Source) -> Content:
    """Hash bytes; where their hashes are expected, only the digest is compared, which is faster."""
    expected = source.content
    if expected is None:
        return hash_bytes(data)
    content = expected if blake3(data).hexdigest() == expected.digest else Content("", "", len(data))
    check_expected(source, content)
    return content


def check_expected(source: Source, content: Content) -> None:
    """Refuse bytes other than those that the record was made for."""
    if source.content is not None and (content.digest, content.size) != (source.content.digest, source.content.size):
        raise changed(source.path or source.shown)


def check_recorded(source: Source, now: os.stat_result) -> None:
    """Refuse a file that changed since its record was made.

    Where its content is known, that is compared instead. A changed ctime alone means nothing: a link or a change of
    permissions changes it, too.
    """
    if source.content is not None:
        if source.content.size != now.st_size:
            raise changed(source.path or "")
        return
    seen = source.stat
    if seen is None:
        return
    if (seen.size, seen.mtime_ns, seen.inode, seen.device) != (now.st_size, now.st_mtime_ns, now.st_ino, now.st_dev):
        raise changed(source.path or "")


def check_same(path: str, before: os.stat_result, after: os.stat_result) -> None:
    """Refuse a file that was written to, or replaced, between two stats."""
    if (before.st_size, before.st_mtime_ns, before.st_ino, before.st_dev) != (
        after.st_size,
        after.st_mtime_ns,
        after.st_ino,
        after.st_dev,
    ):
        raise changed(path)


def changed(path: str) -> SourceChangedError:
    """Return the error for a file that changed."""
    return SourceChangedError(
        f"'{path}' changed while it was being saved, and was not saved: wait until it is complete, make its File again"
    )


def other_size(path: str) -> SourceChangedError:
    """Return the error for a file that has more or fewer bytes than its stat says."""
    return SourceChangedError(
        f"'{path}' has another size than the system gives for it, and was not saved: it is being written, or made as "
        "it is read, as files in /proc are; save a copy of it"
    )


def not_a_file(path: str) -> InvalidInputError:
    """Return the error for a device, a pipe or a socket."""
    return InvalidInputError(f"'{path}' is neither a file nor a folder, and cannot be stored: pass one of these")
