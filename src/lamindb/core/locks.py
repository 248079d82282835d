"""Advisory locks between the processes of one machine, each on a file; a lock ends with its holder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lamindb.core import messages


@contextlib.contextmanager
def held(path: str | Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock until the block ends. Where there are no locks, the block runs without.

    Args:
        path: The lock's file, made if it is not there; another user's, which can only be read, will do.
        wait: Wait while another process holds it.

    Yields:
        False if another process holds it, which only happens without `wait`; else True.

    Raises:
        OSError: The file can be neither made nor opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        descriptor = os.open(path, os.O_RDONLY)
    try:
        yield _lock(descriptor, path, wait=wait)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: str | Path, *, wait: bool) -> bool:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        messages.debug(f"{path} cannot be locked here: processes do not wait for each other")
    return True
