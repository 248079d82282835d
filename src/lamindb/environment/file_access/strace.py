"""Files that a program of any language, and all that it starts, open: traced by `strace`, where that is allowed.

The tracer runs beside the program and not above it, so that the program's parent, its signals and its exit code are
as they would be. Programs that gain rights when they start (`sudo`) do not gain them while they are traced.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from lamindb.core import messages
from lamindb.environment.file_access.audit import Watch

_CALLS: Final = "open,openat,openat2,creat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,chdir"
_LAST_SECONDS: Final = 2.0
_LAST_BYTES: Final = 256 * 1024

_TEXT = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(r"^(?P<pid>\d+) +(?P<rest>.*)$")
_UNFINISHED = re.compile(r"^(?P<head>.*?) ?<unfinished \.\.\.>$")
_RESUMED = re.compile(r"^<\.\.\. (?P<call>\w+) resumed>(?P<tail>.*)$")
_RESULT = re.compile(r"\)\s+= (?P<value>-?\d+)(?:<(?P<path>.*)>)?(?:\s.*)?$")
_FOLDER = re.compile(r"(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>")
_QUOTED = re.compile(_TEXT)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{2}|.)")
_ESCAPES: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}


@lru_cache(maxsize=1)
def works() -> bool:
    """Return True if this machine has `strace` and allows it to trace programs; tried once."""
    import subprocess

    if shutil.which("strace") is None:
        return False
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-e", "trace=openat", "-o", os.devnull, "true"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError) as error:
        messages.debug(f"strace does not work here: {error}")
        return False


def command(argv: Sequence[str], log: Path) -> list[str]:
    """Return the command that runs another one and writes what it opens to a file."""
    options = ["-DD", "-f", "--seccomp-bpf", "-q", "-y", "-s", "4096", "-e", f"trace={_CALLS}", "-e", "signal=none"]
    return ["strace", *options, "-o", str(log), "--", *argv]


def wait_for(log: Path) -> bool:
    """Wait until the tracer has written how the program ended; False if it does not within 2 seconds.

    What the program left running in the background is not waited for.
    """
    until = time.monotonic() + _LAST_SECONDS
    while True:
        try:
            with log.open("rb") as stream:
                first = stream.read(24).split(b" ", 1)[0]
                stream.seek(max(0, os.path.getsize(log) - _LAST_BYTES))
                text = stream.read()
        except OSError:
            first = text = b""
        if first and re.search(rb"^" + re.escape(first) + rb" +\+\+\+ (?:exited|killed)", text, re.MULTILINE):
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.005)


def read(log: Path, folder: str) -> Watch:
    """Return what a program opened, from what the tracer wrote; calls that failed do not count.

    Raises:
        OSError: The file cannot be read.
    """
    watch = Watch()
    folders: dict[str, str] = {}
    waiting: dict[str, str] = {}
    with log.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            found = _LINE.match(line.rstrip("\n"))
            if found is None:
                continue
            pid, rest = found["pid"], found["rest"]
            unfinished, resumed = _UNFINISHED.match(rest), _RESUMED.match(rest)
            if unfinished:
                waiting[pid] = unfinished["head"]
                continue
            if resumed:
                rest = waiting.pop(pid, f"{resumed['call']}(") + resumed["tail"]
            _note_call(watch, rest, pid, folders, folder)
    return watch


def _note_call(watch: Watch, text: str, pid: str, folders: dict[str, str], first_folder: str) -> None:
    """Note one system call."""
    name = text.partition("(")[0]
    result = _RESULT.search(text)
    if result is None or int(result["value"]) < 0:
        return
    bases = [_unescaped(base) for base in _FOLDER.findall(text[: result.start()])]
    if "AT_FDCWD<" in text:
        folders[pid] = _unescaped(text.split("AT_FDCWD<", 1)[1].split(">", 1)[0])
    here = folders.get(pid, first_folder)
    paths = [_unescaped(path) for path in _QUOTED.findall(text[: result.start()])]
    if not paths:
        return
    if name == "chdir":
        folders[pid] = os.path.normpath(os.path.join(here, paths[0]))
    elif name in {"open", "openat", "openat2", "creat"}:
        flags = text[: result.start()]
        if "O_DIRECTORY" in flags or "O_PATH" in flags:
            return
        opened = _unescaped(result["path"] or os.path.join((bases or [here])[0], paths[0]))
        writes = name == "creat" or any(flag in flags for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"))
        reads = name != "creat" and "O_WRONLY" not in flags and "O_TRUNC" not in flags
        if opened.startswith("/"):
            watch.opened(opened.removesuffix(" (deleted)"), reads=reads, writes=writes, layer="strace")
    elif name.startswith(("rename", "link")) and len(paths) > 1:
        bases = bases if len(bases) > 1 else [here, here]
        source, target = (os.path.join(base, path) for base, path in zip(bases, paths, strict=False))
        if name.startswith("rename"):
            watch.renamed(source, target, layer="strace")
        else:
            watch.opened(target, reads=False, writes=True, layer="strace")


def _unescaped(text: str) -> str:
    """Return a path without the tracer's escapes."""
    if "\\" not in text:
        return text

    def one(found: re.Match[bytes]) -> bytes:
        code = found.group(1)
        if code[:1] == b"x" and len(code) == 3:
            return bytes([int(code[1:], 16)])
        if code[:1].isdigit():
            return bytes([int(code, 8) & 0xFF])
        return _ESCAPES.get(code, code)

    return _ESCAPE.sub(one, text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
