"""The modules of the user's own project that this process has imported."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from lamindb.environment.scripts import project_root

_LIBRARY: Final = str(Path(__file__).resolve().parents[1]) + os.sep
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


def imported_files(place: Path, but: Path | None = None) -> list[Path]:
    """Return the files of the modules of a project that are imported now, sorted, without symbolic links.

    Of the project are files under the git work tree that a place lies in, or under the place, without installed
    packages, virtual environments and the standard library. Only Python's source files count.

    Args:
        place: The folder of the script or notebook.
        but: The script itself.
    """
    roots = _with_ends({str(place), os.path.realpath(place), *_as_text(project_root(place))})
    left_out = tuple(root for root in _foreign() if not any(one.startswith(root) for one in roots))
    found = set()
    for name in _module_files(left_out):
        if name.startswith(roots) and not _INSTALLED & set(name.split(os.sep)):
            real = os.path.realpath(name)
            if not real.startswith(left_out) and not name.startswith(left_out):
                found.add(Path(real))
    found.discard(but.resolve() if but is not None else Path())
    return sorted(found)


def _module_files(left_out: tuple[str, ...]) -> Iterator[str]:
    """Yield the source files of imported modules, but for those that lie in folders which are left out."""
    for module in list(sys.modules.values()):
        # Past what a module does when it is asked for an attribute: some import more then.
        try:
            file = object.__getattribute__(module, "__dict__").get("__file__")
        except AttributeError:
            continue
        # Most modules are installed ones: they are passed over before anything is computed.
        if isinstance(file, str) and file.endswith(".py") and (not file.startswith(left_out) or os.pardir in file):
            yield os.path.abspath(file)


def _with_ends(folders: set[str]) -> tuple[str, ...]:
    return tuple(sorted(folder.rstrip(os.sep) + os.sep for folder in folders))


def _as_text(path: Path | None) -> tuple[str, ...]:
    return () if path is None else (str(path),)


@lru_cache(maxsize=1)
def _foreign() -> tuple[str, ...]:
    """Return the folders of this library, of Python, and of its virtual environment."""
    named = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    prefixes = {sys.prefix, os.path.realpath(sys.prefix), *named} - {"/", "/usr"}
    return (_LIBRARY, *_with_ends(prefixes))
