"""The working folder, and folders of the user's settings, data and caches; environment variables override those."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from lamindb.core import locks
from lamindb.errors import InvalidInputError


def working_folder() -> Path:
    """Return the working folder, or where it was, if it has been removed since."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        pass
    try:
        was = os.readlink("/proc/self/cwd").removesuffix(" (deleted)")
    except OSError:
        was = "/"
    return Path(was if os.path.isabs(was) else "/")


def _given(variable: str) -> Path | None:
    given = os.environ.get(variable)
    try:
        return Path(given).expanduser().absolute() if given else None
    except (RuntimeError, OSError) as error:
        raise InvalidInputError(f"{variable} = {given!a} is not a folder: {error}") from None


def _folder(variable: str, kind: str) -> Path | None:
    given = _given(variable)
    if given is not None:
        return given
    import platformdirs

    try:
        function = {
            "config": platformdirs.user_config_path,
            "data": platformdirs.user_data_path,
            "cache": platformdirs.user_cache_path,
        }[kind]
        found = function("lamindb", appauthor=False)
    except (RuntimeError, KeyError, OSError):
        return None
    return found if found.is_absolute() else None


def settings_folder() -> Path | None:
    """Return the folder of registry and settings, or None without a home; `LAMIN_SETTINGS_DIR` overrides."""
    return _folder("LAMIN_SETTINGS_DIR", "config")


def data_folder() -> Path | None:
    """Return the folder of backups and of databases without a folder of their own; `LAMIN_DATA_DIR` overrides."""
    settings = None if os.environ.get("LAMIN_DATA_DIR") else _given("LAMIN_SETTINGS_DIR")
    if settings is not None:
        return settings / "data"
    return _folder("LAMIN_DATA_DIR", "data")


def cache_folder() -> Path | None:
    """Return the folder of caches, all of which can be lost; `LAMIN_CACHE_DIR` overrides."""
    return _folder("LAMIN_CACHE_DIR", "cache")


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can read, with its parents.

    Raises:
        OSError: It cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def settings_lock(folder: Path) -> AbstractContextManager[bool]:
    """Return a lock for changes in the settings folder, which one process at a time holds."""
    return locks.held(folder / "registry.lock")
