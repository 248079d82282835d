"""Which instance and which run are current: the one piece of state that the rooms share.

Both have a process-wide default, which threads and notebook cells see, and an override in a context variable, which
one task or one `with` block sees.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamindb.core.keys import DATABASE_FILE
from lamindb.errors import NoInstanceError


@dataclass(frozen=True, slots=True)
class Instance:
    """One database with its storages, connected in this process."""

    id: str
    name: str
    alias: str
    """Name of the database connection; contains id and place, so that a copied folder is another instance."""
    root_url: str
    """Where its own storage lives: an absolute folder, or an address such as `s3://bucket/prefix`."""
    home_path: Path
    """The folder that holds `instance.toml`, and the SQLite file if there is one."""
    database_url: str | None = field(repr=False)
    """None for SQLite. May hold a password: never print it, see `database.shown_url`."""
    project_path: Path | None
    """The folder in which `init` or `connect` was run; references of notebooks are relative to it."""
    is_read_only: bool = False
    view_mode: str = "auto"
    storage_id: str = ""
    """The id of the record of its own storage."""

    @property
    def is_local(self) -> bool:
        """Tell whether the own storage is a folder of this machine."""
        return "://" not in self.root_url

    @property
    def database_path(self) -> Path | None:
        """The SQLite file, or None where the database is a server."""
        return None if self.database_url else self.home_path / DATABASE_FILE

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return "postgresql" if self.database_url else "sqlite"


_default: Instance | None = None
_override: ContextVar[Instance | None] = ContextVar("lamindb_instance", default=None)
_opener: Callable[[], Instance] | None = None
_connected: dict[str, Instance] = {}

_run_default: Any = None
_run_finder: Callable[[], Any] | None = None
_run_override: ContextVar[Any] = ContextVar("lamindb_run", default=None)


def plug_opener(opener: Callable[[], Instance]) -> None:
    """Say how an instance is found and opened when the first use needs one."""
    global _opener
    _opener = opener


def instance() -> Instance:
    """Return the current instance, opening the one of the working folder if none is.

    Raises:
        NoInstanceError: There is none here; the message says how to make or connect one.
    """
    found = _override.get() or _default
    if found is not None:
        return found
    if _opener is None:
        raise NoInstanceError("no instance is connected: run `lamin init --storage ./mydata` or `lamin connect PATH`")
    return _opener()


def instance_or_none() -> Instance | None:
    """Return the current instance if one is open already; never opens one."""
    return _override.get() or _default


def connected(alias: str | None) -> Instance | None:
    """Return the instance that this process has connected under an alias; the current one for None."""
    return _connected.get(alias) if alias is not None else instance()


def all_connected() -> list[Instance]:
    """Return all instances that this process has connected."""
    return list(_connected.values())


def add_connected(new: Instance) -> None:
    """Note that an instance is connected."""
    _connected[new.alias] = new


def drop_connected(alias: str) -> None:
    """Note that an instance is closed."""
    _connected.pop(alias, None)


def set_instance(new: Instance | None) -> None:
    """Make an instance the default of this process, or none."""
    global _default
    _default = new


@contextlib.contextmanager
def using(other: Instance) -> Iterator[Instance]:
    """Make an instance current inside a `with` block, for this task or thread only."""
    token = _override.set(other)
    try:
        yield other
    finally:
        _override.reset(token)


def plug_run_finder(finder: Callable[[], Any]) -> None:
    """Say how the run is found that the process inherited from the one that started it."""
    global _run_finder
    _run_finder = finder


def run() -> Any:
    """Return the current `Run`, or None.

    A context's own run comes before the process's, and that before the one of the process that started this one.
    """
    found = own_run()
    return _run_finder() if found is None and _run_finder is not None else found


def own_run() -> Any:
    """Return the run that was made current in this process or context, or None."""
    override = _run_override.get()
    return _run_default if override is None else override


def set_run(new: Any) -> None:
    """Make a run the current one of this process, or none."""
    global _run_default
    _run_default = new


@contextlib.contextmanager
def using_run(other: Any) -> Iterator[Any]:
    """Make a run current inside a `with` block, for this task or thread only."""
    token = _run_override.set(other)
    try:
        yield other
    finally:
        _run_override.reset(token)
