"""The identity of a process, which another process can check, now or after a reboot."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from lamindb.core.text import storable

_NAMES_OF_ANY_HOST = frozenset({"", "localhost", "localhost.localdomain"})


class Process(NamedTuple):
    """One process of one machine between two of its boots.

    Attributes:
        host: Name of the machine.
        boot_id: Which boot of the machine; empty where the system does not provide it.
        pid: Process id as the process itself sees it.
        started: When it started, in the system's own format; compare only for equality. None if unknown.
        namespace: The namespace in which `pid` holds; containers have their own. Empty if unknown.
    """

    host: str
    boot_id: str
    pid: int
    started: str | None
    namespace: str = ""


def host() -> str:
    """Return the name of this machine."""
    if hasattr(os, "uname"):
        return str(storable(os.uname().nodename))
    import platform

    return platform.node()


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return the id of this boot of the machine; empty where the system does not provide it."""
    if sys.platform == "linux":
        return _text_of("/proc/sys/kernel/random/boot_id")
    if sys.platform == "darwin":
        return _output_of("sysctl", "-n", "kern.bootsessionuuid") or _output_of("sysctl", "-n", "kern.boottime")
    return ""


@lru_cache(maxsize=1)
def _namespace() -> str:
    """Return the process-id namespace: a fork keeps it, so that it is read once."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def process_start(pid: int) -> str | None:
    """Return when a process of this machine started, in the system's own format; None if it is not found."""
    status = _status(pid)
    return status[1] if status else None


def this_process() -> Process:
    """Return this process; a forked child gets its own."""
    return _process(os.getpid())


@lru_cache(maxsize=1)
def _process(pid: int) -> Process:
    return Process(host(), boot_id(), pid, process_start(pid), _namespace())


def is_alive(process: Process) -> bool | None:
    """Return True if a process still runs.

    The start must be the same, as the process id may have been given to another process since then. A zombie does not
    run.

    Returns:
        None where it cannot be known from here: another machine, another container, a hidden process.
    """
    here = this_process()
    same_boot = bool(here.boot_id) and here.boot_id == process.boot_id
    if not same_boot:
        if process.host != here.host or here.host in _NAMES_OF_ANY_HOST:
            return None
        if here.boot_id and process.boot_id:
            return False
    if here.namespace and process.namespace and here.namespace != process.namespace:
        return None
    if os.name != "posix":
        return True if process == here else None
    status = _status(process.pid)
    if status is None:
        return None if _exists(process.pid) else False
    state, started = status
    return not state.startswith(("Z", "X")) and (process.started is None or started == process.started)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _status(pid: int) -> tuple[str, str] | None:
    """Return the state letter and the start of a process, or None."""
    if pid <= 0:
        return None
    if sys.platform == "linux":
        # The command stands in parentheses and may itself hold spaces and parentheses: read from the last one.
        fields = _text_of(f"/proc/{pid}/stat").rpartition(")")[2].split()
        return (fields[0], fields[19]) if len(fields) > 19 else None
    if os.name != "posix":
        return None
    state, _, started = _output_of("ps", "-o", "stat=,lstart=", "-p", str(pid)).partition(" ")
    return (state, started.strip()) if started else None


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _output_of(*command: str) -> str:
    import subprocess

    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False, env=environment)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
