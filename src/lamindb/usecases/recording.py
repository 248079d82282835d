"""What a run remembers of its circumstances: code, arguments, git, packages, process."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lamindb.core import messages
from lamindb.core.current import Instance
from lamindb.core.errors import LaminError
from lamindb.environment import exits, git, notebooks, packages, processes, scripts
from lamindb.environment.detect import Running
from lamindb.models import Run
from lamindb.models.base import now
from lamindb.storage.protocol import Source
from lamindb.usecases import stores

_SILENT_SECONDS = 15 * 60
_running: dict[str, Any] = {}


def describe_start(run: Run, running: Any, instance: Instance) -> None:
    """Fill in what is known when a run begins. What cannot be found out stays None; nothing here stops the run."""
    process = processes.this_process()
    run.host = process.host
    run.process = asdict(process)
    run.heartbeat_at = now()
    run.python_version = packages.python_version()
    if running is None:
        return
    _running[run.id] = running
    run.arguments = list(scripts.invocation().arguments)
    folder = running.path.parent if isinstance(running, Running) else None
    if folder is not None:
        state = git.git_state(folder)
        if state is not None:
            run.git_repository, run.git_commit, run.git_is_dirty = state.repository_url, state.commit, state.is_dirty
            if state.is_dirty:
                run.diff_digest = _kept(instance, git.git_diff(state.root), ".diff")
    run.source_digest = _kept(instance, _source(running), _source_suffix(running))
    run.environment_digest = _kept(instance, packages.packages_snapshot(), ".txt")


def describe_end(run: Run) -> dict[str, Any]:
    """Return what is known when a run ends: the code as it really ran."""
    running = _running.get(run.id)
    instance = stores.instance_of(run._state.db)
    if running is None or instance is None or getattr(running, "kind", "notebook") != "notebook":
        return {}
    kept = _kept(instance, _source(running), _source_suffix(running))
    return {"source_digest": kept} if kept is not None else {}


def _source(running: Any) -> bytes | None:
    try:
        if not isinstance(running, Running):
            return notebooks.executed_source()
        if running.kind == "script":
            return scripts.script_source(running.path)
        if notebooks.differs_from_disk(running.path):
            return notebooks.executed_source()
        return notebooks.stripped_source(running.path)
    except LaminError as error:
        messages.warning(f"the code of this run could not be kept: {error}")
        return None


def _source_suffix(running: Any) -> str:
    return running.path.suffix if isinstance(running, Running) else ".ipynb"


def _kept(instance: Instance, data: bytes | None, suffix: str) -> str | None:
    """Store bytes as an object; returns its name, or None where there is nothing to store."""
    if not data:
        return None
    try:
        name = stores.own_store(instance).put(Source(suffix=suffix, data=data)).name
    except LaminError as error:
        messages.warning(f"what belongs to this run could not be kept: {error}")
        return None
    return name.digest + name.suffix


def traceback_of(error: BaseException) -> str:
    """Return the last lines of a traceback, secrets replaced."""
    return exits.last_lines(error)


def watch_end(callback: Callable[[Any], None]) -> None:
    """Have a function called once when this process ends."""
    exits.watch(callback)


def has_died(run: Run) -> bool:
    """Tell whether the process of a run is known to be gone."""
    if not run.process:
        return False
    try:
        alive = processes.is_alive(processes.Process(**run.process))
    except TypeError:
        return False
    if alive is not None:
        return not alive
    last = run.heartbeat_at or run.started_at
    return last is not None and now() - last > datetime.timedelta(seconds=_SILENT_SECONDS)
