"""Current instance and run: process defaults, overridden per context.

Threads and notebook cells see the process's defaults. A `with` block of `using` or `using_run` overrides them for one
task or thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from lamindb.core.verbs import verb

if TYPE_CHECKING:
    from lamindb.records.open_instance import Instance

RUN_VARIABLE: Final = "LAMIN_RUN_ID"
"""The environment variable that hands a run down to the processes that it starts."""


class _Process:
    """What is open and current in this process."""

    def __init__(self) -> None:
        self.instance: Instance | None = None
        self.connected: dict[str, Instance] = {}
        self.is_disconnected = False
        self.run: Any = None


# One process has one of these; what one context overrides stands in the two context variables.
_process: Final = _Process()
_instance_override: ContextVar[Instance | None] = ContextVar("lamindb_instance", default=None)
_run_override: ContextVar[Any] = ContextVar("lamindb_run", default=None)


def instance() -> Instance:
    """Return the current instance, opening the one of the working folder if none is.

    Raises:
        NoInstanceError: There is none here; the message says how to make or connect one.
    """
    found = instance_or_none()
    if found is not None:
        return found
    opened: Instance = verb("lamindb.setup.lifecycle.open_current")()
    return opened


def instance_or_none() -> Instance | None:
    """Return the current instance if one is open already; never opens one."""
    return _instance_override.get() or _process.instance


def connected(alias: str | None) -> Instance | None:
    """Return the open instance with an alias, None if it was closed; the current one for None."""
    return _process.connected.get(alias) if alias is not None else instance()


def all_connected() -> list[Instance]:
    """Return all instances that this process has open."""
    return list(_process.connected.values())


def add_connected(new: Instance) -> None:
    """Note that an instance is open."""
    _process.connected[new.alias] = new


def drop_connected(alias: str) -> None:
    """Note that an instance was closed."""
    _process.connected.pop(alias, None)


def set_instance(new: Instance | None) -> None:
    """Make an instance the default of this process, or none."""
    _process.instance = new


def is_disconnected() -> bool:
    """Return True if this process closed its instance, so that none is opened unasked."""
    return _process.is_disconnected


def set_disconnected(value: bool) -> None:
    """Note whether this process closed its instance."""
    _process.is_disconnected = value


@contextlib.contextmanager
def using(other: Instance) -> Iterator[Instance]:
    """Make an instance current inside a `with` block, for this task or thread only."""
    token = _instance_override.set(other)
    try:
        yield other
    finally:
        _instance_override.reset(token)


def run() -> Any:
    """Return the current `Run`, or None.

    A context's own run comes before the process's, and that before the one that the parent process handed down.
    """
    found = own_run()
    if found is None and os.environ.get(RUN_VARIABLE):
        return verb("lamindb.runs.parent.run")()
    return found


def own_run() -> Any:
    """Return the run that was made current in this process or context, or None."""
    override = _run_override.get()
    return _process.run if override is None else override


def set_run(new: Any) -> None:
    """Make a run the current one of this process, or none."""
    _process.run = new


@contextlib.contextmanager
def using_run(other: Any) -> Iterator[Any]:
    """Make a run current inside a `with` block, for this task or thread only."""
    token = _run_override.set(other)
    try:
        yield other
    finally:
        _run_override.reset(token)


def _after_fork_in_child() -> None:
    """Give the child locks of its own: the thread that held one of the parent's does not exist here."""
    for open_instance in _process.connected.values():
        open_instance.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
