"""Getting data to the disk for good: file by file, folder by folder, or a whole file system at once."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

from lamindb.core import file_systems


def flush_descriptor(descriptor: int) -> None:
    """Flush one open file or folder.

    A failure must not be answered by flushing again: the system may have dropped the data and would report success.

    Raises:
        OSError: The data may be lost; what was written must be written anew from its source.
    """
    if sys.platform == "darwin":
        import fcntl

        # fsync stops at the drive's own cache there; file systems that lack the full flush get the plain one.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def flush_folder(path: str) -> None:
    """Flush the names in a folder; where the system or its file system knows no such thing, do nothing."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        flush_descriptor(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}:
            raise
    finally:
        os.close(descriptor)


def replace(temporary: Path, target: Path) -> None:
    """Give a file that was written beside it the name of the target, for good: its bytes are flushed, and the name.

    Raises:
        OSError: The disk failed. Nothing is left of the file at the target.
    """
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        flush_descriptor(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, target)
    try:
        flush_folder(str(target.parent))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(target)
        raise


def can_flush_file_system(path: str) -> bool:
    """Tell whether one call flushes the whole file system of `path` and reports what failed.

    False on network file systems and those that a program provides, whose one call reports failures less surely than
    a flush of each file; and where the system does not tell.
    """
    if not sys.platform.startswith("linux"):
        return False
    kind = file_systems.kind_of(path)
    return bool(kind) and not kind.startswith("fuse") and not file_systems.is_network(kind)


def flush_file_system(descriptor: int) -> None:
    """Flush the whole file system of an open file or folder.

    The descriptor must have been opened before the first write: the system reports on it what failed since then.

    Raises:
        OSError: As for `flush_descriptor`.
    """
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
