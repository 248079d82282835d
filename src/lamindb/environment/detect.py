"""Detection of the notebook or script that runs.

The first of these steps that finds an existing file wins:

1. the path that the caller passed
2. `LAMIN_NOTEBOOK_PATH` (also `NBPRJ_TEST_NBPATH`)
3. marimo
4. the variable that VS Code leaves in a notebook's namespace
5. the Jupyter server that runs this kernel, which knows of renames
6. `JPY_SESSION_NAME`
7. the command line of the program that started this kernel
8. a notebook near the working folder that begins with the cells that ran
9. Quarto's variables
10. the test file that pytest runs
11. the main file of this process

Steps 4 to 9 hold only inside a kernel: its child processes inherit the variables, and are not the notebook.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from lamindb.core import messages
from lamindb.environment import jupyter, kernels, notebook_matching, notebooks, scripts, text_notebooks
from lamindb.environment.kernels import in_ipython, in_notebook
from lamindb.environment.notebook_matching import AnonymousNotebook, fallback_notebook
from lamindb.errors import InvalidInputError, LaminError

__all__ = ["AnonymousNotebook", "Kind", "Running", "detect", "fallback_notebook", "in_ipython", "in_notebook"]

Kind = Literal["notebook", "script"]

_NOTEBOOK_SUFFIXES = frozenset({".ipynb", ".qmd", ".rmd"})
_SESSION_SUFFIXES = frozenset({".ipynb", ".md", ".py", ".qmd", ".r", ".rmd"})


class Running(NamedTuple):
    """The file that runs.

    Attributes:
        kind: `notebook` for a file that is edited as cells, marimo's files included; else `script`.
        path: The file: absolute, without symbolic links; it exists.
        how: The step that found it.
    """

    kind: Kind
    path: Path
    how: str


def detect(notebook_path: str | Path | None = None) -> Running | None:
    """Find the notebook or script that runs this code.

    Changes nothing, never prompts, and takes about a second at most, for servers that do not answer.

    Args:
        notebook_path: The file, as the caller knows it; None to find it.

    Returns:
        None where nothing on this disk is being run: `-c`, standard input, a bare shell, or a kernel whose notebook
        is elsewhere (then see `fallback_notebook`).

    Raises:
        InvalidInputError: There is no file at `notebook_path`. Nothing else raises.
    """
    if notebook_path is not None:
        path = Path(notebook_path).expanduser()
        if not path.is_file():
            raise InvalidInputError(f"there is no notebook or script at {path}: check notebook_path, or leave it out")
        return _running(path, "argument")
    for how, step in _steps():
        try:
            found = step()
            running = _running(found, how) if found is not None and found.is_file() else None
        except Exception as error:
            # A step reads what other programs left, perhaps damaged; its failure must not stop the user's program.
            messages.debug(f"looking for the running file by {how}: {error!r}")
            continue
        if running is not None:
            return running
    return None


def _steps() -> Iterator[tuple[str, Callable[[], Path | None]]]:
    yield "LAMIN_NOTEBOOK_PATH", _named_in_environment
    if kernels.in_marimo():
        yield "marimo", kernels.marimo_path
    if kernels.in_kernel():
        yield "vscode", _vscode_path
        yield "jupyter-session", jupyter.session_path
        yield "JPY_SESSION_NAME", _session_name
        yield "command-line", jupyter.launched_notebook
        yield "cells", notebook_matching.matching_notebook
        yield "quarto", _quarto_path
    else:
        yield "pytest", _tested_file
        yield "main", scripts.main_file


def _running(path: Path, how: str) -> Running:
    path = path.resolve()
    is_notebook = path.suffix.lower() in _NOTEBOOK_SUFFIXES or how in {"marimo", "jupyter-session", "JPY_SESSION_NAME"}
    if not is_notebook and path.suffix == ".py":
        is_notebook = text_notebooks.is_marimo(path.read_bytes())
    return Running("notebook" if is_notebook else "script", path, how)


def _named_in_environment() -> Path | None:
    for name in ("LAMIN_NOTEBOOK_PATH", "NBPRJ_TEST_NBPATH"):
        named = os.environ.get(name)
        if named:
            path = Path(named).expanduser()
            if path.is_file():
                return path
            messages.warning(f"{name} names {path}, where there is no file: it is not used")
    return None


def _vscode_path() -> Path | None:
    named = kernels.user_variable("__vsc_ipynb_file__")
    return Path(named) if isinstance(named, str) and named else None


def _session_name() -> Path | None:
    """Return the path that a server gave this kernel at its start; a console's name is no file."""
    named = os.environ.get("JPY_SESSION_NAME")
    path = Path(named) if named else None
    return path if path is not None and path.suffix.lower() in _SESSION_SUFFIXES else None


def _quarto_path() -> Path | None:
    """Return the document that Quarto renders, if it has the running cell: in a reused kernel they are stale."""
    folder, name = os.environ.get("QUARTO_DOCUMENT_PATH"), os.environ.get("QUARTO_DOCUMENT_FILE")
    if not name:
        return None
    path = Path(folder or ".") / name
    if not path.is_file():
        return None
    try:
        document = "\n".join(notebooks.code_cells(path))
    except LaminError:
        return None
    known = {line.strip() for line in document.splitlines()}
    cells = [cell for cell in kernels.executed_cells() if cell.strip()]
    lines = {line.strip() for line in cells[-1].splitlines()} if cells else set()
    return path if not lines - known - {""} else None


def _tested_file() -> Path | None:
    """Return the file of the test that runs, if this is the process that runs it and not one that a test started."""
    named = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]
    if not named.endswith(".py") or "_pytest" not in sys.modules:
        return None
    ending = f"/{named}"
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and Path(file).as_posix().endswith(ending):
            return Path(file)
    return None
