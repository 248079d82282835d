"""The script that this process runs, and the shell and project that it belongs to."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import sysconfig
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from lamindb.core import processes
from lamindb.environment import kernels, text_notebooks
from lamindb.environment.redaction import redact_arguments, redact_text
from lamindb.errors import SourceNotFoundError, StorageError

_LAUNCHERS: Final = frozenset({"_pytest", "_pyrepl", "IPython", "idlelib", "ipykernel", "jupyter", "marimo", "pytest"})
"""Packages that run other code: their own files are never what the user runs."""

_STUB_IMPORT = re.compile(r"^from ([\w.]+) import ", re.MULTILINE)


class Script(NamedTuple):
    """The identity of a script's file.

    Attributes:
        path: The file.
        name: Its stem; the package's name for `__main__.py`.
        code_hash: SHA-256 (hex) of its text, whatever its line endings.
    """

    path: Path
    name: str
    code_hash: str


class Invocation(NamedTuple):
    """How this process was called, without secrets.

    Attributes:
        arguments: What was passed to the script; empty in a notebook.
        command: The whole command, interpreter and its options included; empty if unknown.
        module: The dotted name for `python -m name`, else None.
    """

    arguments: tuple[str, ...]
    command: tuple[str, ...]
    module: str | None


def read_script(path: str | Path) -> Script:
    """Read the identity of a script.

    Raises:
        SourceNotFoundError: There is no such file.
        StorageError: The file cannot be read.
    """
    path = Path(path)
    text = text_notebooks.decode(_read(path))
    name = path.parent.name if path.name in {"__main__.py", "__init__.py"} and path.parent.name else path.stem
    return Script(path, name, hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest())


def script_source(path: str | Path) -> bytes:
    """Return a script's text with secrets replaced; else as it is, with line endings of one kind.

    Raises:
        SourceNotFoundError: There is no such file.
        StorageError: The file cannot be read.
    """
    return redact_text(text_notebooks.decode(_read(Path(path)))).encode("utf-8", "surrogateescape")


def invocation() -> Invocation:
    """Return how this process was called; secrets are replaced."""
    arguments = [] if kernels.in_notebook() else sys.argv[1:]
    return Invocation(
        tuple(redact_arguments(arguments)), tuple(redact_arguments(getattr(sys, "orig_argv", []))), main_module()
    )


def main_module() -> str | None:
    """Return the dotted name that was given to `python -m`, or None for a script run by its path."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", None)
    return str(name).removesuffix(".__main__") if name and name != "__main__" else None


def main_file() -> Path | None:
    """Return the file that this process runs, or None where there is none (`-c`, standard input, a bare shell).

    For a command of an installed package, the module that it calls. Tools that run other code, such
    as pytest, are not it. Under the standard library's own runners (profilers, tracers), the file that they run.
    """
    named = getattr(sys.modules.get("__main__"), "__file__", None)
    if not isinstance(named, str) or not named or named.startswith("<"):
        return None
    path = _existing(named)
    if path is not None and path.is_relative_to(_library("stdlib")) and not _is_installed(path):
        path = _existing(sys.argv[0]) if sys.argv and sys.argv[0] else None
        if path is not None and path.is_relative_to(_library("stdlib")) and not _is_installed(path):
            return None
    if path is not None and path.parent == _library("scripts"):
        path = _module_of_command(path)
    if path is None or _LAUNCHERS & set(_inside_packages(path)[:1]):
        return None
    return path


def _existing(named: str) -> Path | None:
    """Return an absolute, existing file for a name; IPython gives the script's name relative to where it started."""
    candidates = [Path(named)]
    if not candidates[0].is_absolute() and sys.argv and Path(sys.argv[0]).name == candidates[0].name:
        candidates.insert(0, Path(sys.argv[0]))
    for candidate in candidates:
        try:
            path = candidate.resolve()
            if path.is_file():
                return path
            # A zipped application: `__main__.py` lies inside a file.
            if path.parent.is_file():
                return path.parent
        except OSError:
            continue
    return None


def _module_of_command(stub: Path) -> Path | None:
    """Return the module that an installed command calls; the file itself if it is a real script."""
    try:
        head = stub.read_bytes()[:2000].decode("utf-8", "replace")
    except OSError:
        return None
    name = _STUB_IMPORT.search(head)
    if name is None or "sys.exit(" not in head:
        return stub
    file = getattr(sys.modules.get(name.group(1)), "__file__", None)
    return _existing(file) if isinstance(file, str) else None


def _inside_packages(path: Path) -> tuple[str, ...]:
    """Return the parts of a path below the folder of installed packages (or the standard library); else none."""
    for library in ("purelib", "platlib", "stdlib"):
        root = _library(library)
        if path.is_relative_to(root):
            return path.relative_to(root).parts
    return ()


def _is_installed(path: Path) -> bool:
    return "site-packages" in path.parts or "dist-packages" in path.parts


@lru_cache(maxsize=8)
def _library(name: str) -> Path:
    return Path(sysconfig.get_path(name)).resolve()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"there is no script at {path}: check the path") from error
    except OSError as error:
        raise StorageError(f"cannot read the script {path}: {error.strerror or error}") from error


_SHELLS: Final = frozenset({"ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "mksh", "sh", "tcsh", "zsh"})
_MOST_STEPS = 12


def calling_shell() -> processes.Process:
    """Return the shell that called this program; the script ends when it does.

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


def project_root(start: Path) -> Path | None:
    """Return the nearest folder, from `start` upwards, that is the top of a git work tree.

    Worktrees and submodules, whose `.git` is a file, count. None where there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        marker = folder / ".git"
        if (marker / "HEAD").is_file() or marker.is_file():
            return folder
    return None


def relative_reference(path: Path, project: Path | None) -> str:
    """Return a name of a notebook or script that stays the same when the project is moved.

    The POSIX path from the project folder; for a file outside it, or without a project, from its git root; else
    the absolute path. Symbolic links are resolved, and the text is in Unicode's composed form (NFC).
    """
    path = path.resolve()
    for root in (project.resolve() if project is not None else None, project_root(path.parent)):
        if root is not None and path.is_relative_to(root):
            return unicodedata.normalize("NFC", path.relative_to(root).as_posix())
    return unicodedata.normalize("NFC", path.as_posix())
