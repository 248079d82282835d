"""How runs end: written by their own process, or found dead by another one."""

from __future__ import annotations

import datetime
import sys

from django.db import Error

from lamindb.core import messages, processes
from lamindb.core.context import Instance
from lamindb.errors import LaminError, NoInstanceError
from lamindb.models import Run
from lamindb.models.base import now
from lamindb.records import stores
from lamindb.runs import beating, metadata

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
    beating.remove(alias, run.id)
    try:
        _stop_capture(run)
        instance = stores.instance_of(alias)
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
    return last is not None and now() - last > datetime.timedelta(seconds=beating.SILENT_SECONDS)


def notice_dead_runs(instance: Instance) -> None:
    """Mark runs whose process died as aborted; called when an instance is connected. Never raises."""
    if instance.is_read_only:
        return
    try:
        for run in Run.objects.using(instance.alias).filter(status="running").order_by()[:_MOST_AT_ONCE]:
            status_of(run)
    except (LaminError, Error, OSError) as error:
        messages.debug(f"runs that died could not be looked for: {error}")
