"""Current instance and run: process defaults, overridden per context.

Threads and notebook cells see the process's defaults. A `with` block of `using` or `using_run` overrides them for one
task or thread. A flow of the main thread is the default of other threads where nothing else is tracked: Python hands
no context down to the threads that it starts.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lamindb.core.verbs import verb

if TYPE_CHECKING:
    from lamindb.errors import LaminError
    from lamindb.records.open_instance import Instance

RUN_VARIABLE: Final = "LAMIN_RUN_ID"
"""The environment variable that hands a run down to the processes that it starts."""
INSTANCE_VARIABLE: Final = "LAMIN_RUN_INSTANCE"
"""The one that hands down the id of its instance."""


def _environment_says() -> tuple[str | None, str | None]:
    return os.environ.get(RUN_VARIABLE), os.environ.get(INSTANCE_VARIABLE)


class _Before(NamedTuple):
    """What was current before a run became current: the run, and what was handed down."""

    by: Any
    run: Any
    handed_down: tuple[str | None, str | None]


class _Process:
    """What is open and current in this process."""

    def __init__(self) -> None:
        self.instance: Instance | None = None
        self.connected: dict[str, Instance] = {}
        self.is_disconnected = False
        self.run: Any = None
        self.replaced: _Before | None = None
        self.blocks: list[Any] = []
        self.flows: list[Any] = []
        self.handed_down = _environment_says()


# One process has one of these; what one context overrides stands in the two context variables.
_process: Final = _Process()
_instance_override: ContextVar[Instance | None] = ContextVar("lamindb_instance", default=None)
_run_override: ContextVar[Any] = ContextVar("lamindb_run", default=None)
_open_within: ContextVar[tuple[_Before, ...]] = ContextVar("lamindb_blocks", default=())
"""The blocks that are open within a step, each with what was current around it."""


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


def instance_to_track(patience: float) -> tuple[Instance, LaminError | None]:
    """Return the current instance for what is tracked; where its database cannot be opened, also the reason.

    Args:
        patience: How many seconds to wait for a locked database or a server.

    Raises:
        NoInstanceError: There is none here; the message says how to make or connect one.
    """
    opened: tuple[Instance, LaminError | None] = verb("lamindb.setup.lifecycle.open_to_track")(patience)
    return opened


def reopen(away: Instance, patience: float) -> Instance:
    """Open an instance whose database could not be opened before, with what runs in it.

    Raises:
        LaminError: It cannot be opened now either.
    """
    opened: Instance = verb("lamindb.setup.lifecycle.reopen")(away, patience)
    return opened


def instance_or_none() -> Instance | None:
    """Return the current instance if one is open already; never opens one."""
    return _instance_override.get() or _process.instance


def connected(alias: str | None) -> Instance | None:
    """Return the open instance with an alias, None if it is disconnected; the current one for None."""
    return _process.connected.get(alias) if alias is not None else instance()


def shown(alias: str | None) -> str:
    """Return the name and the storage of an open instance for messages; None is the current one."""
    found = connected(alias)
    return f"{found.name!r} in {found.root_url}" if found is not None else "one that was disconnected"


def all_connected() -> list[Instance]:
    """Return all instances that this process has open."""
    return list(_process.connected.values())


def add_connected(new: Instance) -> None:
    """Note that an instance is open."""
    _process.connected[new.alias] = new


def drop_connected(alias: str) -> None:
    """Note that an instance is disconnected."""
    _process.connected.pop(alias, None)


def set_instance(new: Instance | None) -> None:
    """Make an instance the default of this process, or none."""
    _process.instance = new


def is_disconnected() -> bool:
    """Return True if this process disconnected from its instance, so that none is opened unasked."""
    return _process.is_disconnected


def set_disconnected(value: bool) -> None:
    """Note whether this process disconnected from its instance."""
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
    if override is not None:
        return override
    flows = _process.flows
    if flows and _process.run is None and threading.current_thread() is not threading.main_thread():
        # Of two flows that are tasks of the main thread, neither is known to be the one that this thread works for.
        return flows[0] if len(flows) == 1 else None
    return _process.run


def set_run(new: Any) -> None:
    """Make a run the current one of this process, or none."""
    _process.replaced = _Before(new, _process.run, _environment_says()) if new is not None else None
    _process.run = new


@contextlib.contextmanager
def using_run(other: Any) -> Iterator[Any]:
    """Make a run current inside a `with` block, for this task or thread only."""
    token = _run_override.set(other)
    try:
        yield other
    finally:
        _run_override.reset(token)


@contextlib.contextmanager
def using_flow(other: Any) -> Iterator[Any]:
    """Make a run current as `using_run`, and in the main thread also for threads where nothing else is tracked."""
    # A flow of another thread is no default: flows that a pool of threads runs would become each other's.
    is_default = threading.current_thread() is threading.main_thread()
    if is_default:
        _process.flows.append(other)
    try:
        with using_run(other):
            yield other
    finally:
        if is_default:
            _process.flows[:] = [one for one in _process.flows if one is not other]


def enter_block(entered: Any) -> None:
    """Note that the `with` block of a run begins. Within a step, the run is current in its task or thread only."""
    _process.blocks.append(entered)
    around, replaced = _run_override.get(), _process.replaced
    if around is None:
        return
    handed_down = _environment_says()
    if replaced is not None and replaced.by is entered:
        _process.run, handed_down = replaced.run, replaced.handed_down
    _open_within.set((*_open_within.get(), _Before(entered, around, handed_down)))
    _run_override.set(entered)


def leave_block(left: Any) -> bool:
    """Make current again what was before the block of a run began within a step; return False if none did."""
    entered = _open_within.get()
    found = next((one for one in reversed(entered) if one.by.id == left.id), None)
    if found is None:
        return False
    _open_within.set(tuple(one for one in entered if one is not found))
    if getattr(_run_override.get(), "id", None) == left.id:
        _run_override.set(found.run)
    set_environment(found.handed_down)
    return True


def set_environment(values: tuple[str | None, str | None]) -> None:
    """Set the two variables that hand a run down, or remove them."""
    for name, value in zip((RUN_VARIABLE, INSTANCE_VARIABLE), values, strict=True):
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def open_blocks() -> list[Any]:
    """Return the runs whose `with` blocks are open in this process, the innermost last; to be changed in place."""
    return _process.blocks


def handed_down() -> tuple[str | None, str | None]:
    """Return the ids of the run and of its instance that the environment named before this process tracked anything."""
    return _process.handed_down


def _before_fork() -> None:
    """Bring the threads of open instances to rest: none of them would exist in the child."""
    for open_instance in list(_process.connected.values()):
        open_instance.before_fork()


def _after_fork_in_parent() -> None:
    for open_instance in list(_process.connected.values()):
        open_instance.after_fork_in_parent()


def _after_fork_in_child() -> None:
    """Give the child locks of its own: the thread that held one of the parent's does not exist here."""
    _process.blocks.clear()
    _process.handed_down = _environment_says()
    for open_instance in _process.connected.values():
        open_instance.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
