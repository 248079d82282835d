"""What a forked process cannot do: the threads that talk to buckets stay behind in its parent."""

from __future__ import annotations

import os
from typing import Final

from lamindb.errors import UnsupportedError

REMEDY: Final = (
    'start processes by "spawn" or "forkserver", as multiprocessing.get_context("spawn") does, or fork before the '
    "first use"
)

_used_in: int | None = None


def use() -> None:
    """Note that this process uses a bucket.

    Raises:
        UnsupportedError: It was forked from one that had: a request would never be answered.
    """
    global _used_in
    pid = os.getpid()
    if _used_in is None:
        _used_in = pid
    elif _used_in != pid:
        raise UnsupportedError(
            f"object stores do not work in a process that was forked from one that had used them: {REMEDY}"
        )


def has_used() -> bool:
    """Tell whether this process, or one that it was forked from, has used a bucket."""
    return _used_in is not None
