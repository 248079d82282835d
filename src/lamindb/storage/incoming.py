"""Writes under way: files whose names tell who writes them, so that only what a dead writer left is removed."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import platform
import re
import shutil
import stat
import time
from dataclasses import dataclass
from functools import lru_cache

_ENTRY = re.compile(r"(?P<machine>[0-9a-z-]+\.[0-9a-f]{12})\.(?P<pid>\d+)\.(?P<start>\d+)\.\d+(?:\..*)?", re.DOTALL)
_counter = itertools.count()


@dataclass(frozen=True, slots=True)
class Writer:
    """A process, so named that no other process, now or later, has the same name.

    Attributes:
        machine: Host name, boot and process-number space: where the process number means something.
        pid: Process number.
        start: When the process started, in the machine's clock ticks; 0 where that is not known.
    """

    machine: str
    pid: int
    start: int

    @property
    def prefix(self) -> str:
        """What the names of this writer's entries start with."""
        return f"{self.machine}.{self.pid}.{self.start}"


def this_writer() -> Writer:
    """Return the process that calls, also after a fork."""
    return _writer(os.getpid())


@lru_cache(maxsize=2)
def _writer(pid: int) -> Writer:
    return Writer(_machine(), pid, _start_of(pid))


def _machine() -> str:
    host = re.sub(r"[^0-9a-z-]", "-", platform.node().lower())[:40] or "unknown"
    place = f"{_read('/proc/sys/kernel/random/boot_id')} {_link('/proc/self/ns/pid')} {_read('/etc/machine-id')}"
    return f"{host}.{hashlib.sha256(place.encode()).hexdigest()[:12]}"


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _start_of(pid: int) -> int:
    """Return the start time of a process; 0 if the system does not tell."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 and fields[0] != "Z" else 0


def new_entry(folder: str) -> str:
    """Return a path in the folder that no other write uses."""
    return f"{folder}/{this_writer().prefix}.{next(_counter)}"


def is_alive(writer: Writer) -> bool | None:
    """Tell whether a writer still runs; None if this machine cannot know."""
    if writer.machine != this_writer().machine:
        return None
    if writer.pid == os.getpid():
        return writer.start == this_writer().start
    try:
        os.kill(writer.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    if writer.start == 0 or not os.path.isdir("/proc/self"):
        return True
    return _start_of(writer.pid) == writer.start


def sweep(folder: str, *, older_than_seconds: float) -> list[str]:
    """Remove entries of dead writers, and of unknown ones when they are old; return their names, sorted.

    Raises:
        OSError: The folder cannot be read, or an entry cannot be removed.
    """
    swept = []
    alive: dict[Writer, bool | None] = {}
    limit = time.time() - older_than_seconds
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    for name in names:
        match = _ENTRY.fullmatch(name)
        path = f"{folder}/{name}"
        state = None
        if match is not None:
            writer = Writer(match["machine"], int(match["pid"]), int(match["start"]))
            if writer not in alive:
                alive[writer] = is_alive(writer)
            state = alive[writer]
        if state is True:
            continue
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(path)
            # A spare link to an object has the object's old mtime: the ctime tells when the entry was made.
            if state is None and max(found.st_mtime, found.st_ctime) >= limit:
                continue
            if stat.S_ISDIR(found.st_mode):
                shutil.rmtree(path)
            else:
                os.unlink(path)
            swept.append(name)
    return swept
