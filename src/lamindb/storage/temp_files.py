"""Temporary files, whose names identify their writers, so that only what a dead writer left is removed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import stat
import time
from dataclasses import dataclass, replace
from functools import lru_cache

from lamindb.core import processes

_ENTRY = re.compile(r"(?P<machine>[0-9a-z-]+\.[0-9a-f]{12})\.(?P<pid>\d+)\.(?P<start>\d+)\.\d+(?:\..*)?", re.DOTALL)
_counter = itertools.count()


@dataclass(frozen=True, slots=True)
class Writer:
    """A process, identified so that no other process, now or later, is the same.

    Attributes:
        machine: Host name, boot and process namespace, within which the process number is unique.
        pid: Process number.
        start: When the process started, in the machine's clock ticks; 0 where that is not known.
    """

    machine: str
    pid: int
    start: int

    @property
    def prefix(self) -> str:
        """The beginning of the names of this writer's temporary files."""
        return f"{self.machine}.{self.pid}.{self.start}"


def this_writer() -> Writer:
    """Return the process that calls, also after a fork."""
    return _writer(os.getpid())


@lru_cache(maxsize=2)
def _writer(pid: int) -> Writer:
    started = processes.process_start(pid) or ""
    return Writer(_machine(), pid, int(started) if started.isdecimal() else 0)


def _machine() -> str:
    here = processes.this_process()
    host = re.sub(r"[^0-9a-z-]", "-", here.host.lower())[:40] or "unknown"
    place = f"{here.boot_id} {here.namespace} {_machine_id()}"
    return f"{host}.{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def _machine_id() -> str:
    try:
        with open("/etc/machine-id", encoding="ascii", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def writer_of(name: str) -> Writer | None:
    """Return the writer of a temporary file by its name; None if it is not one of ours."""
    match = _ENTRY.fullmatch(name)
    return Writer(match["machine"], int(match["pid"]), int(match["start"])) if match is not None else None


def new_temp_path(folder: str) -> str:
    """Return a path in the folder that no other writer uses."""
    return f"{folder}/{this_writer().prefix}.{next(_counter)}"


def is_alive(writer: Writer) -> bool | None:
    """Return True if a writer still runs; None if this machine cannot know."""
    if writer.machine != this_writer().machine:
        return None
    started = str(writer.start) if writer.start else None
    return processes.is_alive(replace(processes.this_process(), pid=writer.pid, started=started))


def list_abandoned(folder: str, *, older_than_seconds: float, foreign_seconds: float | None = None) -> list[str]:
    """Return the temporary files of dead writers, and of unknown ones when they are old, sorted.

    Args:
        folder: Where they are.
        older_than_seconds: Age of a file whose writer is on another machine, and may still run.
        foreign_seconds: Age of what has no name of a temporary file, and so no writer; None for the same.

    Raises:
        OSError: The folder cannot be read.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    alive: dict[Writer, bool | None] = {}
    now = time.time()
    ages = (older_than_seconds, older_than_seconds if foreign_seconds is None else foreign_seconds)
    found = []
    for name in names:
        writer = writer_of(name)
        state = None
        if writer is not None:
            if writer not in alive:
                alive[writer] = is_alive(writer)
            state = alive[writer]
        limit = now - ages[writer is None]
        if state is False or (state is None and _changed_at(f"{folder}/{name}") <= limit):
            found.append(name)
    return found


def _changed_at(path: str) -> float:
    try:
        found = os.lstat(path)
    except OSError:
        return float("inf")
    # Not the mtime: that of a hard link is the object's, and one that was set or copied may be in the future.
    return found.st_ctime


def remove_abandoned(folder: str, *, older_than_seconds: float, foreign_seconds: float | None = None) -> list[str]:
    """Remove what `list_abandoned` returns; return the names.

    Raises:
        OSError: The folder cannot be read, or an entry cannot be removed.
    """
    removed = []
    for name in list_abandoned(folder, older_than_seconds=older_than_seconds, foreign_seconds=foreign_seconds):
        path = f"{folder}/{name}"
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path)
            else:
                os.unlink(path)
            removed.append(name)
    return removed
