"""Programs that run a whole notebook, known by the command line of the process that started this kernel."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Final

from lamindb.environment import kernels, notebook_matching

_TOOLS: Final = frozenset({"execute", "nbconvert", "papermill", "pytest"})
_VALUES: Final = {
    "execute": {"--output": 1, "--timeout": 1, "--startup_timeout": 1, "--kernel_name": 1, "--config": 1},
    "nbconvert": {"--to": 1, "--output": 1, "--output-dir": 1, "--template": 1, "--template-file": 1}
    | {"--writer": 1, "--post": 1, "--config": 1, "--log-level": 1, "--theme": 1, "--nbformat": 1},
    "papermill": {"-p": 2, "--parameters": 2, "-r": 2, "--raw-parameters": 2}
    | {"-f": 1, "--parameters_file": 1, "-y": 1, "--parameters_yaml": 1, "-b": 1, "--parameters_base64": 1}
    | {"-k": 1, "--kernel": 1, "-l": 1, "--language": 1, "--cwd": 1, "--engine": 1, "--log-level": 1}
    | {"--execution-timeout": 1, "--start-timeout": 1, "--autosave-cell-every": 1}
    | {"--stdout-file": 1, "--stderr-file": 1},
    "pytest": {"-k": 1, "-m": 1, "-n": 1, "-p": 1, "-c": 1, "-o": 1, "-W": 1, "--rootdir": 1, "--nbmake-kernel": 1},
}
"""Options whose values stand in words of their own, and in how many."""


def launched_notebook() -> Path | None:
    """Return the notebook that the program which started this kernel was told to run, or None.

    Of several notebooks in one command, the one whose first cells are those that ran here.
    """
    parent = kernels.parent_process()
    folder = _folder_of(parent)
    if folder is None:
        return None
    found = list(dict.fromkeys(notebooks_in(_command_of(parent), folder)))
    return found[0] if len(found) == 1 else notebook_matching.only_match(found)


def notebooks_in(command: Sequence[str], folder: Path) -> Iterator[Path]:
    """Yield the existing notebooks that a command runs; relative names start at `folder`.

    Only of programs that execute notebooks, and of papermill only the one that is read.
    """
    for position, word in enumerate(command[:4]):
        tool = _tool(word)
        if tool is None:
            continue
        for named in _positional(command[position + 1 :], _VALUES[tool]):
            for name in (named, f"{named}.ipynb"):
                path = (folder / name.partition("::")[0]).resolve()
                if path.suffix == ".ipynb" and path.is_file():
                    yield path
                    break
            if tool == "papermill":
                return
        if tool == "pytest":
            yield from _tested_notebook(folder)
        return


def _tool(word: str) -> str | None:
    name = PurePath(word).name.removesuffix(".exe").removesuffix("-script.py").removeprefix("jupyter-")
    name = {"py.test": "pytest"}.get(name, name)
    if name == "__main__.py":
        name = PurePath(word).parent.name
    return name if name in _TOOLS else None


def _positional(words: Sequence[str], values: dict[str, int]) -> Iterator[str]:
    skip = 0
    for word in words:
        if skip:
            skip -= 1
        elif word.startswith("-") and word != "-":
            skip = values.get(word, 0)
        else:
            yield word


def _tested_notebook(folder: Path) -> Iterator[Path]:
    """Yield the notebook that pytest was testing when it started this kernel."""
    named = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]
    for start in (folder, *folder.parents):
        path = start / named
        if named.endswith(".ipynb") and path.is_file():
            yield path.resolve()
            return


def _command_of(pid: int) -> list[str]:
    if sys.platform == "linux":
        try:
            data = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return []
        return [os.fsdecode(word) for word in data.rstrip(b"\0").split(b"\0")]
    import shlex

    line = _output_of("ps", "-o", "command=", "-p", str(pid))
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _folder_of(pid: int) -> Path | None:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            return None
    lines = _output_of("lsof", "-a", "-p", str(pid), "-d", "cwd", "-Fn").splitlines()
    return next((Path(line[1:]) for line in lines if line.startswith("n/")), None)


def _output_of(*command: str) -> str:
    import subprocess

    if os.name != "posix":
        return ""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=1, check=False).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
