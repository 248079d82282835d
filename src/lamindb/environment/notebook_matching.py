"""Notebooks identified by the cells that ran, for front ends that do not give the file's path."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from lamindb.core import messages
from lamindb.environment import kernels, notebooks
from lamindb.errors import LaminError

_IDENTITY: Final = "_lamindb_notebook"
_MOST_FILES = 500
_MOST_BYTES = 64 * 1024 * 1024


class AnonymousNotebook(NamedTuple):
    """A notebook of which only what ran is known.

    Attributes:
        name: To be shown: the folder in which it runs, and the beginning of the hash.
        code_hash: SHA-256 (hex) of the cells that ran so far, in the manner of `Notebook.code_hash`.
        cells: Those cells, the running one included, without injected parameters.
        folder: Where it runs, absolute.
    """

    name: str
    code_hash: str
    cells: tuple[str, ...]
    folder: Path


def fallback_notebook() -> AnonymousNotebook | None:
    """Return an identity made from what ran, for a kernel whose notebook no file on this disk shows.

    The same first cells in the same folder give the same identity in every process, and the first identity of a
    kernel is its last. None outside kernels.
    """
    if not kernels.in_kernel():
        return None
    # Kept on the shell, which lives as long as the kernel.
    shell = kernels.shell()
    known: AnonymousNotebook | None = getattr(shell, _IDENTITY, None)
    cells = tuple(cell for cell in kernels.executed_cells() if cell.strip() and not notebooks.is_injected(cell))
    if known is None or cells[: len(known.cells)] != known.cells:
        code_hash = notebooks.hash_cells(cells)
        known = AnonymousNotebook(_colab_name() or _name(code_hash), code_hash, cells, Path.cwd())
        setattr(shell, _IDENTITY, known)
    return known


def matching_notebook() -> Path | None:
    """Return the only notebook in or just below the working folder that begins with the cells that ran.

    Only where the front end runs whole notebooks: at a console, the same first lines would mean nothing.
    """
    if kernels.is_headless() is False:
        return None
    folder = Path.cwd()
    for candidates in (_notebooks_in(folder), _notebooks_below(folder)):
        found = list(_matches(candidates))
        if found:
            return found[0] if len(found) == 1 else None
    return None


def only_match(candidates: Iterable[Path]) -> Path | None:
    """Return the candidate that begins with the cells that ran, if there is exactly one."""
    found = list(_matches(candidates))
    return found[0] if len(found) == 1 else None


def begins_with(cells: Sequence[str], executed: Sequence[str]) -> bool:
    """Return True if a notebook's code cells begin with the executed ones, injected parameters aside."""
    position = 0
    injected = False
    for source in map(notebooks.comparable, executed):
        if not source:
            continue
        if position < len(cells) and notebooks.comparable(cells[position]) == source:
            position += 1
        elif notebooks.is_injected(source) and not injected:
            injected = True
        else:
            return False
    return position > 0


def _matches(candidates: Iterable[Path]) -> Iterator[Path]:
    executed = [cell for cell in kernels.executed_cells() if cell.strip()]
    own = [cell for cell in executed if not notebooks.is_injected(cell)] or executed
    if not executed:
        return
    line = next(line for line in own[0].splitlines() if line.strip())
    needles = {
        json.dumps(line, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "replace") for ascii_only in (True, False)
    }
    for path in candidates:
        try:
            if path.stat().st_size > _MOST_BYTES:
                continue
            data = path.read_bytes()
            if not any(needle in data for needle in needles):
                continue
            document = notebooks.load(path)
        except (OSError, LaminError):
            continue
        cells = [
            cell.source
            for cell in notebooks.cells_of(document)
            if cell.kind == "code"
            and cell.source.strip()
            and not {notebooks.INJECTED_TAG, "skip-execution"} & set(cell.tags)
        ]
        if not _is_result(document, path) and begins_with(cells, executed):
            yield path


def _is_result(document: dict[str, object], path: Path) -> bool:
    """Return True if a file is the result of running another notebook."""
    metadata = document.get("metadata")
    papermill = metadata.get("papermill") if isinstance(metadata, dict) else None
    read_from = papermill.get("input_path") if isinstance(papermill, dict) else None
    written_to = papermill.get("output_path") if isinstance(papermill, dict) else None
    if written_to and read_from != written_to and Path(str(written_to)).name == path.name:
        return True
    return path.name.endswith(".nbconvert.ipynb")


def _notebooks_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ipynb"))[:_MOST_FILES]


def _notebooks_below(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            below = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return
    for name in below[:_MOST_FILES]:
        try:
            yield from _notebooks_in(folder / name)
        except OSError:
            continue


def _name(code_hash: str) -> str:
    return f"notebook in {Path.cwd().name or 'the root folder'} ({code_hash[:8]})"


def _colab_name() -> str | None:
    """Return what Colab calls the open notebook; its files are on no disk that this process sees."""
    request = getattr(sys.modules.get("google.colab._message"), "blocking_request", None)
    if request is None:
        return None
    try:
        metadata = request("get_ipynb", timeout_sec=3)["ipynb"]["metadata"]
        return str(metadata["colab"]["name"]).removesuffix(".ipynb") or None
    except Exception as error:
        messages.debug(f"Colab does not give the notebook's name: {error!r}")
        return None
