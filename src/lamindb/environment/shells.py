"""The shell script that calls us: which process it is, and which file it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from lamindb.core import processes

_SHELLS: Final = frozenset({"ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "zsh"})
_MOST_STEPS = 12


def calling_shell() -> processes.Process:
    """Return the process of the shell that called this program: whose end is the end of the script.

    A shell runs `$(…)` in a copy of itself that ends at once; the copy has the same command line as the shell that
    made it, which is the one that counts. Without a shell above us, the calling process.
    """
    here = processes.this_process()
    pid = found = os.getppid()
    for _ in range(_MOST_STEPS):
        command = _command(pid)
        if command and os.path.basename(command[0]).lstrip("-") in _SHELLS:
            found = pid
            above = _parent(pid)
            while above > 1 and _command(above) == command:
                found, above = above, _parent(above)
            break
        pid = _parent(pid)
        if pid <= 1:
            break
    return processes.Process(here.host, here.boot_id, found, processes.process_start(found), here.namespace)


def script_of(pid: int) -> Path | None:
    """Return the file that a shell runs, or None for an interactive one or a text given by `-c`."""
    for word in _command(pid)[1:]:
        if word in {"-c", "-s"}:
            return None
        if word.startswith(("-", "+")):
            continue
        try:
            path = (Path(f"/proc/{pid}/cwd").readlink() / word).resolve()
        except OSError:
            return None
        return path if path.is_file() else None
    return None


def _command(pid: int) -> list[str]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode("utf-8", "surrogateescape").rstrip("\0").split("\0") if raw else []


def _parent(pid: int) -> int:
    """Return the process that started another one, 0 if that is unknown."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = status.rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0
