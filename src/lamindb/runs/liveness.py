"""How runs end: written by their own process, or found dead by another one."""

from __future__ import annotations

import datetime
import os
import sys
import threading
from typing import Final

from django.db import Error
from django.utils.connection import ConnectionDoesNotExist

from lamindb.core import context, messages, processes
from lamindb.db import database
from lamindb.errors import LaminError, NoInstanceError
from lamindb.models import Run
from lamindb.models.base import now
from lamindb.records.open_instance import Instance
from lamindb.runs import metadata

BEAT_SECONDS: Final = 60.0
SILENT_SECONDS: Final = 15 * 60
"""After so long a silence, a run of another machine counts as aborted."""

_alive: dict[str, set[str]] = {}
_lock = threading.Lock()
_wake = threading.Event()
_thread: threading.Thread | None = None


def add(alias: str, run_id: str) -> None:
    """Begin to give signs of life for a run."""
    with _lock:
        _alive.setdefault(alias, set()).add(run_id)
    _start()


def remove(alias: str, run_id: str) -> None:
    """Give none any more."""
    with _lock:
        runs = _alive.get(alias)
        if runs is not None:
            runs.discard(run_id)
            if not runs:
                del _alive[alias]
        idle = not _alive
    if idle:
        _stop()


def _start() -> None:
    global _thread
    with _lock:
        if _thread is not None or not _alive:
            return
        _wake.clear()
        _thread = threading.Thread(target=_beat_on, name="lamindb heartbeat", daemon=True)
    try:
        _thread.start()
    except RuntimeError as error:
        _thread = None
        messages.debug(f"this run gives no signs of life: {error}")


def _stop() -> None:
    global _thread
    thread, _thread = _thread, None
    if thread is not None:
        _wake.set()
        if thread is not threading.current_thread():
            thread.join(1.0)


def _beat_on() -> None:
    while not _wake.wait(BEAT_SECONDS):
        beat()


def beat() -> None:
    """Say of all runs of this process that they live; what cannot be written is tried again at the next beat."""
    with _lock:
        living = {alias: sorted(runs) for alias, runs in _alive.items()}
    for alias, runs in living.items():
        try:
            query = Run.objects.using(alias).filter(id__in=runs).order_by()
            query.filter(status="running")._update_rows({"heartbeat_at": now()})
            # Somebody may have taken a machine that slept for a dead one.
            query.filter(status="aborted")._update_rows(
                {"status": "running", "finished_at": None, "heartbeat_at": now()}
            )
        except (NoInstanceError, ConnectionDoesNotExist):
            with _lock:
                _alive.pop(alias, None)
        except (LaminError, Error, OSError) as error:
            messages.debug(f"a sign of life could not be written: {error}")
        finally:
            if threading.current_thread() is not threading.main_thread():
                _drop_connection(alias)


def _drop_connection(alias: str) -> None:
    try:
        database.connection(alias).close()
    except Exception as error:
        messages.debug(f"the connection of the heartbeat did not close: {error}")


def _after_fork_in_child() -> None:
    global _thread, _lock, _wake
    _alive.clear()
    _thread, _lock, _wake = None, threading.Lock(), threading.Event()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_stop, after_in_parent=_start, after_in_child=_after_fork_in_child)


_MOST_AT_ONCE = 1000


def finish_run(
    run: Run, status: str, *, error: str | None = None, exit_code: int | None = None, report: bool = False
) -> None:
    """Write how a run ended. Never raises: a run's end must not break what the user runs.

    Where the instance has been deleted meanwhile, nothing is written and nothing is made anew.
    """
    if run.__dict__.get("status") != "running":
        return
    alias = str(run._state.db)
    remove(alias, run.id)
    try:
        _stop_capture(run)
        instance = context.connected(alias)
        if instance is None:
            messages.debug(f"run {run.id} ended, and its instance was closed before")
            return
        if not _is_there(instance):
            messages.debug(f"run {run.id} ended, and its instance is gone")
            return
        finished_at = now()
        values, data = metadata.end(instance, run, report=report)
        values |= {"status": status, "finished_at": finished_at, "error": error, "exit_code": exit_code}
        if not metadata.write(instance, run.id, values, data):
            messages.debug(f"run {run.id} was deleted before it ended")
        run.__dict__.update(values)
    except NoInstanceError:
        messages.debug(f"run {run.id} ended, and its instance is gone")
    except (LaminError, Error, OSError) as problem:
        messages.warning(f"the end of run {run.id} could not be recorded: {problem}")


def _is_there(instance: Instance) -> bool:
    """Tell whether an instance on this disk still exists: an open database file outlives its folder."""
    return instance.database_path is None or instance.database_path.is_file()


def _stop_capture(run: Run) -> None:
    capturing = sys.modules.get("lamindb.runs.capture")
    if capturing is not None:
        capturing.stop(run)


def status_of(run: Run) -> str | None:
    """Return the status of a run that says it runs; one whose process died becomes `aborted`."""
    if not has_died(run):
        return "running"
    query = Run.objects.using(run._state.db).filter(id=run.id).order_by()
    status: str | None = "aborted"
    # The first sign of life is given a moment before the start.
    finished_at = max(filter(None, (run.heartbeat_at, run.started_at)), default=None)
    try:
        changed = query.filter(status="running")._update_rows(
            {"status": status, "finished_at": finished_at, "updated_at": now()}
        )
        # It may have ended well after this record was read.
        if not changed:
            status, finished_at = query.values_list("status", "finished_at").first() or (None, None)
    except LaminError as error:
        messages.debug(f"run {run.id} is dead, which cannot be written: {error}")
    run.__dict__["finished_at"] = finished_at
    run.__dict__["status"] = status
    return status


def has_died(run: Run) -> bool:
    """Tell whether the process of a run is known to be gone, or has been silent for long."""
    try:
        alive = processes.is_alive(processes.Process(**run.process)) if run.process else None
    except TypeError:
        alive = None
    if alive is not None:
        return not alive
    last = run.heartbeat_at or run.started_at
    return last is not None and now() - last > datetime.timedelta(seconds=SILENT_SECONDS)


def notice_dead_runs(instance: Instance) -> None:
    """Mark runs whose process died as aborted; called when an instance is connected. Never raises."""
    if instance.is_read_only:
        return
    try:
        for run in Run.objects.using(instance.alias).filter(status="running").order_by()[:_MOST_AT_ONCE]:
            status_of(run)
    except (LaminError, Error, OSError) as error:
        messages.debug(f"runs that died could not be looked for: {error}")
