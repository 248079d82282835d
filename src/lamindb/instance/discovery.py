"""Finding the instance of a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from lamindb.core.keys import HIDDEN_FOLDER
from lamindb.errors import NoInstanceError, NotUniqueError
from lamindb.instance import config as folders
from lamindb.instance import registry

_ADVICE = "make one by `lamin init --storage ./mydata`, or connect one by `lamin connect PATH`"


class Found(NamedTuple):
    """An instance folder, and the project folder that it was found for."""

    home: Path
    project: Path
    database_url: str | None = None
    """With its password, if it has one."""

    def __repr__(self) -> str:
        """Leave out what may have a password."""
        return f"Found(home={self.home!r}, project={self.project!r})"


def find(start: Path | None = None) -> Found:
    """Find the instance of a folder (the working folder by default).

    The environment variable `LAMIN_INSTANCE` comes first. Then, for this folder and each one above: what was
    registered there, else the one instance folder that it is or directly contains.

    Raises:
        NoInstanceError: There is none.
        NotUniqueError: The nearest folder contains several, and none is registered.
    """
    override = os.environ.get("LAMIN_INSTANCE")
    if override and start is None:
        return locate(override)
    try:
        here = (start or Path.cwd()).resolve()
    except FileNotFoundError:
        raise NoInstanceError("the working folder does not exist any more: change to another one") from None
    registered = registry.by_project()
    for folder in (here, *here.parents):
        entry = registered.get(str(folder))
        if entry is not None and entry.exists:
            return Found(Path(entry.home), folder, registry.database_url_of(Path(entry.home)))
        found = _at(folder)
        if found is not None:
            return found
    raise NoInstanceError(f"no instance belongs to {here} or a folder above it: {_ADVICE}")


def _at(folder: Path) -> Found | None:
    own = folders.home_of(folder)
    if own is not None:
        project = folder.parent if folder.name == HIDDEN_FOLDER else folder
        return Found(own, project.parent, registry.database_url_of(own))
    inside = folders.homes_in(folder)
    if len(inside) > 1:
        listed = ", ".join(str(home.parent) for home in inside)
        raise NotUniqueError(f"{folder} contains several instances ({listed}): choose one by `lamin connect PATH`")
    if inside:
        return Found(inside[0], folder, registry.database_url_of(inside[0]))
    return None


def locate(identifier: str | Path) -> Found:
    """Find an instance by a path (its storage folder, or a project folder that contains it) or a registered name.

    Raises:
        NoInstanceError: There is none of that path or name.
        NotUniqueError: Several fit; their paths are listed.
    """
    path = Path(identifier)
    try:
        path = path.expanduser()
        is_folder = path.is_dir()
    except (OSError, ValueError, RuntimeError):
        is_folder = False
    if is_folder:
        resolved = path.resolve()
        entry = registry.for_project(resolved)
        try:
            found = _at(resolved)
        except NotUniqueError:
            if entry is None:
                raise
            found = None
        if found is not None:
            return found
        if entry is not None:
            return Found(Path(entry.home), resolved, registry.database_url_of(Path(entry.home)))
    named = {entry.home: entry for entry in registry.entries() if entry.name == str(identifier) and entry.exists}
    if len(named) > 1:
        listed = ", ".join(str(Path(home).parent) for home in named)
        raise NotUniqueError(f"several instances are called {str(identifier)!r} ({listed}): pass the path instead")
    for entry in named.values():
        return Found(Path(entry.home), Path(entry.project), registry.database_url_of(Path(entry.home)))
    where = (
        f"{path.resolve()} is not an instance folder and contains none"
        if is_folder
        else "there is no such folder or name"
    )
    raise NoInstanceError(f"cannot find the instance {str(identifier)!r}: {where}; {_ADVICE}")
