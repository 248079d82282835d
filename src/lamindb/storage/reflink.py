"""A second file of the same bytes, as cheaply as the disk allows: reflink, hard link, or copy."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from typing import Final, Literal

from lamindb.core import filesystem

Method = Literal["reflink", "link", "copy"]

NO_LINK: Final = frozenset(
    {
        errno.EXDEV,
        errno.EPERM,
        errno.EMLINK,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.ENOSYS,
        errno.EACCES,
    }
)
"""Errors of systems where a hard link cannot be made, and a copy can."""

_NO_CLONE: Final = NO_LINK | {errno.EINVAL, errno.ENOTTY, errno.EBADF, errno.EISDIR, errno.ETXTBSY}
_FICLONE: Final = 0x40049409
_CHUNK: Final = 1 << 20
_ZEROS: Final = bytes(_CHUNK)


def clone(source: int, target: int) -> bool:
    """Give an empty open file the bytes of another, shared until one of them is written; False if that can't be done.

    Raises:
        OSError: The disk failed or is full.
    """
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def is_being_written(descriptor: int) -> bool:
    """Return True if a file is open for writing, in any process; False where the system cannot know.

    Linux grants a read lease only for a file that is not open for writing.
    """
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        # If another process opens the file while we hold the lease, the kernel signals us. SIGURG is ignored by
        # default; SIGIO would kill us.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def copy_bytes(source: int, target: int) -> None:
    """Copy an open file from its position to its end into an empty one, which gets the same holes."""
    for piece, is_hole in read_pieces(source):
        write_piece(target, piece, is_hole=is_hole)


def read_pieces(descriptor: int) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Yield the bytes of an open file from its position to its end, in chunks of at most 1 MiB.

    A hole is not read: it comes as zeros, with True beside them.

    Raises:
        OSError: It cannot be read.
    """
    for end, is_hole in _extents(descriptor):
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        while position < end:
            length = min(_CHUNK, end - position)
            piece = memoryview(_ZEROS)[:length] if is_hole else os.read(descriptor, length)
            if not piece:
                return
            yield piece, is_hole
            position += len(piece)
        os.lseek(descriptor, position, os.SEEK_SET)
    while data := os.read(descriptor, _CHUNK):
        yield data, False


def _extents(descriptor: int) -> Iterator[tuple[int, bool]]:
    """Yield the end of each hole, with True, and of the data before each, in their order; nothing for a dense file."""
    found = os.fstat(descriptor)
    if not hasattr(os, "SEEK_DATA") or found.st_blocks * 512 >= found.st_size:
        return
    while (position := os.lseek(descriptor, 0, os.SEEK_CUR)) < found.st_size:
        try:
            data = os.lseek(descriptor, position, os.SEEK_DATA)
            hole = os.lseek(descriptor, data, os.SEEK_HOLE) if data == position else None
        except OSError as error:
            if error.errno != errno.ENXIO:
                return
            data, hole = found.st_size, None
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)
        yield (data, True) if hole is None else (hole, False)


def write_piece(descriptor: int, piece: bytes | memoryview, *, is_hole: bool) -> None:
    """Write the next piece of a new file, or leave a hole of its length."""
    if is_hole:
        os.ftruncate(descriptor, os.lseek(descriptor, len(piece), os.SEEK_CUR))
    else:
        filesystem.write_all(descriptor, piece)


def duplicate(source: str, target: str, *, allow_link: bool = True, allow_clone: bool = True) -> Method:
    """Make `target`, which must not exist, a file with the bytes of `source`; return how.

    The new file is read-only unless it is a link. On failure it is not there.

    Raises:
        FileExistsError: There is a file of that name; it was left as it was.
        OSError: The disk failed or is full, or `source` cannot be read.
    """
    if allow_clone and _duplicate_open(source, target, clone_only=True):
        return "reflink"
    if allow_link:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in NO_LINK:
                raise
        else:
            return "link"
    _duplicate_open(source, target, clone_only=False)
    return "copy"


def _duplicate_open(source: str, target: str, *, clone_only: bool) -> bool:
    reading = os.open(source, os.O_RDONLY)
    try:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        done = False
        try:
            done = clone(reading, writing)
            if not done and not clone_only:
                copy_bytes(reading, writing)
                done = True
        finally:
            os.close(writing)
            if not done:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(target)
    finally:
        os.close(reading)
    return done
