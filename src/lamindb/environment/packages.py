"""Versions of Python and of the installed packages."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_SEPARATORS = re.compile(r"[-_.]+")
_EGG_PYTHON = re.compile(r"-py\d[\d.]*$")


def python_version() -> str:
    """Return the version of the running interpreter, such as `3.11.7`."""
    return sys.version.split(maxsplit=1)[0]


def packages_snapshot() -> bytes:
    """Return `name==version` of each installed distribution, a line each, sorted.

    Names are normalised. Of a package that is installed in several folders, the version that Python imports counts.
    What is installed while the process runs is not noticed.
    """
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    return _snapshot(tuple(sys.path), os.path.dirname(os.path.realpath(program)) if program else "")


@lru_cache(maxsize=1)
def _snapshot(folders: tuple[str, ...], own: str) -> bytes:
    found: dict[str, str] = {}
    try:
        here = os.getcwd()
    except FileNotFoundError:
        here = ""
    for folder in dict.fromkeys(folders):
        # The program's own folder may hold a million data files, and no installed packages.
        if folder and folder != here and (folder != own or _holds_packages(folder)):
            for name, version in _distributions(folder):
                found.setdefault(_SEPARATORS.sub("-", name).lower(), version)
    return "".join(f"{name}=={version}\n" for name, version in sorted(found.items())).encode()


def _holds_packages(folder: str) -> bool:
    return folder.rstrip("/\\").endswith(("site-packages", "dist-packages"))


def _distributions(folder: str) -> Iterator[tuple[str, str]]:
    """Yield name and version of what is installed in one folder, from the names of its entries."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for entry in names:
        stem, dot, kind = entry.rpartition(".")
        if kind == "dist-info" and dot:
            name, _, version = stem.partition("-")
        elif kind == "egg-info" and dot:
            name, _, version = _EGG_PYTHON.sub("", stem).partition("-")
            version = version or _version_in(Path(folder, entry))
        else:
            continue
        if name and version:
            yield name, version


def _version_in(path: Path) -> str:
    """Return the version in the metadata of a package under development."""
    try:
        text = (path / "PKG-INFO" if path.is_dir() else path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return next((line[8:].strip() for line in text.splitlines() if line.startswith("Version:")), "")
