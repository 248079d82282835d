"""A folder in memory for what tests write: they make and remove hundreds of thousands of small files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")
_NEEDED_BYTES = 4 << 30


def folder() -> Path | None:
    """Return a folder in memory with room for a session of tests, or None; containers often have a tiny one.

    Programs can be executed there: some tests write scripts.
    """
    if not (_MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)):
        return None
    if os.statvfs(_MEMORY).f_flag & (os.ST_NOEXEC | os.ST_RDONLY):
        return None
    return _MEMORY if min(shutil.disk_usage(_MEMORY).free, _available_bytes()) >= _NEEDED_BYTES else None


def _available_bytes() -> int:
    """Return the memory that programs can still get; nothing where the system does not tell it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    found = [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else 0
