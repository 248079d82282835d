"""Where a project begins, and how its files are called from there."""

from __future__ import annotations

import unicodedata
from pathlib import Path


def project_root(start: Path) -> Path | None:
    """Return the nearest folder, from `start` upwards, that is the top of a git work tree.

    Worktrees and submodules, whose `.git` is a file, count. None where there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        mark = folder / ".git"
        if (mark / "HEAD").is_file() or mark.is_file():
            return folder
    return None


def relative_reference(path: Path, project: Path | None) -> str:
    """Name a notebook or script so that the name survives moving the project.

    The POSIX path from the project folder; for a file outside it, or without a project, from its git root; else
    the absolute path. Symbolic links are resolved, and the text is in Unicode's composed form (NFC).
    """
    path = path.resolve()
    for root in (project.resolve() if project is not None else None, project_root(path.parent)):
        if root is not None and path.is_relative_to(root):
            return unicodedata.normalize("NFC", path.relative_to(root).as_posix())
    return unicodedata.normalize("NFC", path.as_posix())
