"""How runs end: written by their own process, or found dead by another one."""

from __future__ import annotations

import datetime
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from django.db import Error
from django.utils.connection import ConnectionDoesNotExist

from lamindb.core import context, messages, processes
from lamindb.db import database
from lamindb.errors import LaminError, NoInstanceError, ReadOnlyError
from lamindb.models import Run
from lamindb.models.base import now
from lamindb.records import edges, save
from lamindb.records.open_instance import Instance, Outage
from lamindb.runs import log_file, metadata, modules

PATIENCE_SECONDS: Final = 10.0
"""How long the beginning of a run waits for the database, all its waits together."""
BEAT_SECONDS: Final = 60.0
SILENT_SECONDS: Final = 15 * 60
"""A run of another machine counts as aborted after so long without a heartbeat."""

LATER: Final = "it will be with the next use of the instance where it can be written"
"""What is said of a run that waits in the journal."""

_MOST_AT_ONCE: Final = 1000


class Heartbeat:
    """The heartbeat of the runs that this process has in one instance, and the thread that gives it."""

    goes_on = True

    def __init__(self) -> None:
        self._is_closed = False
        self.after_fork()

    def after_fork(self) -> None:
        """Begin anew, without the runs of the parent process."""
        self._runs: set[str] = set()
        self._alias = ""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, alias: str, run_id: str) -> None:
        """Begin the heartbeat of a run."""
        with self._lock:
            self._alias = alias
            self._runs.add(run_id)
        self.after_fork_in_parent()

    def remove(self, run_id: str) -> None:
        """End the heartbeat of a run."""
        with self._lock:
            self._runs.discard(run_id)
            is_idle = not self._runs
        if is_idle:
            self.before_fork()

    def has(self, run_id: str) -> bool:
        """Return True if a run has a heartbeat."""
        return run_id in self._runs

    def close(self) -> None:
        """End all heartbeats; none begins again."""
        self._is_closed = True
        self._runs.clear()
        self.before_fork()

    def before_fork(self) -> None:
        """Stop the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._wake.set()
            if thread is not threading.current_thread():
                thread.join(1.0)

    def after_fork_in_parent(self) -> None:
        """Start the thread where a run needs it and it does not run."""
        with self._lock:
            if self._thread is not None or not self._runs or self._is_closed:
                return
            # An event of its own: the thread before may still look at the one that stops it.
            self._wake = threading.Event()
            self._thread = threading.Thread(
                target=self._beat_on, args=(self._wake,), name="lamindb heartbeat", daemon=True
            )
            thread = self._thread
        try:
            thread.start()
        except RuntimeError as error:
            self._thread = None
            messages.debug(f"this run has no heartbeat: {error}")

    def _beat_on(self, wake: threading.Event) -> None:
        while not wake.wait(BEAT_SECONDS):
            self.beat()

    def beat(self) -> None:
        """Write the heartbeat of all runs; what cannot be written is tried again at the next beat."""
        with self._lock:
            living, alias = sorted(self._runs), self._alias
        if not living:
            return
        try:
            query = Run.objects.using(alias).filter(id__in=living).order_by()
            query.filter(status="running").update_rows({"heartbeat_at": now()})
            # Another process may have taken a machine that slept for a dead one.
            query.filter(status="aborted").update_rows(
                {"status": "running", "finished_at": None, "heartbeat_at": now()}
            )
        except (NoInstanceError, ConnectionDoesNotExist):
            with self._lock:
                self._runs.clear()
        except (LaminError, Error, OSError) as error:
            messages.debug(f"a heartbeat could not be written: {error}")
        finally:
            if threading.current_thread() is not threading.main_thread():
                _drop_connection(alias)


def _drop_connection(alias: str) -> None:
    try:
        database.connection(alias).close()
    except Exception as error:
        messages.debug(f"the connection of the heartbeat did not close: {error}")


def instance_to_track() -> tuple[Instance, LaminError | None, float]:
    """Return the current instance, why nothing can be recorded in it, if so, and how many seconds may still be waited.

    Raises:
        NoInstanceError: There is none.
    """
    began_at = time.monotonic()
    instance, problem = context.instance_to_track(PATIENCE_SECONDS)
    if instance.is_read_only:
        problem = ReadOnlyError(f"the instance in {instance.root_url} can only be read: nothing can be tracked in it")
    return instance, problem, max(0.0, PATIENCE_SECONDS - (time.monotonic() - began_at))


def patience_to_end(instance: Instance) -> AbstractContextManager[None]:
    """Return a context that waits for locks of the database as long as the end of a run may.

    That is not at all if the database failed a moment ago. Else it is as long as SQLite waits anyway, while PostgreSQL
    would wait for ever, and the program with it.
    """
    if instance.part(Outage).now() is not None:
        return database.waiting_at_most(instance.alias, 0)
    if instance.database_path is not None:
        return nullcontext()
    return database.waiting_at_most(instance.alias, database.BUSY_TIMEOUT_SECONDS)


def note_success(instance: Instance) -> None:
    """Record what could not be recorded while the database failed, if it did in this process."""
    if instance.part(Outage).end():
        from lamindb.runs import journal

        journal.take_in(instance)


def finish_run(
    run: Run, status: str, *, error: str | None = None, exit_code: int | None = None, report: bool = False
) -> None:
    """Write how a run ended. Never raises: a run's end must not break what the user runs.

    What cannot be written waits in the journal. Where the instance has been deleted meanwhile, nothing is written and
    nothing is made anew.
    """
    if run.loaded.get("status") != "running":
        return
    instance = context.connected(str(run.alias))
    if instance is None:
        messages.debug(f"run {run.id} ended, and its instance was closed before")
        return
    instance.part(Heartbeat).remove(run.id)
    is_known = not instance.is_away
    data: metadata.Data = {}
    try:
        _stop_capture(instance, run)
        if is_known and not _is_there(instance):
            messages.debug(f"run {run.id} ended, and its instance is gone")
            return
        finished_at = now()
        ending = metadata.end(instance, run, report=report)
        data = ending.data
        values = ending.values | {"status": status, "finished_at": finished_at, "error": error, "exit_code": exit_code}
        was_new = not run.is_saved
        # A run that is not saved is the caller's own object: its fields are what the journal keeps.
        run.loaded.update(values)
        write_end(instance, run, values, data, ending.modules)
        if was_new and is_known:
            messages.debug(f"run {run.id} is recorded, which it could not be when it began")
    except (LaminError, Error, OSError) as problem:
        if isinstance(problem, NoInstanceError) and is_known:
            messages.debug(f"run {run.id} ended, and its instance is gone")
            return
        _keep(instance, run, data, problem)


def write_end(
    instance: Instance,
    run: Run,
    values: dict[str, Any],
    data: metadata.Data,
    imported: modules.ModuleSet | None = None,
) -> None:
    """Write the fields of a run that ended, with what is to be stored, and its row if it has none.

    Raises:
        LaminError: The instance cannot be written. Nothing was written.
    """
    instance = to_end(instance)
    with patience_to_end(instance):
        if not run.is_saved:
            # First the row: where the database fails, there is no need to store what belongs to it.
            save.save(run)
        values |= metadata.kept(instance, data)
        if not metadata.write(instance, run.id, values, data, imported=imported):
            messages.debug(f"run {run.id} was deleted before it ended")
        edges.link_unlinked(instance, run)
    metadata.remove_log(instance, run.id)
    run.loaded.update(values)
    note_success(instance)


def to_end(instance: Instance) -> Instance:
    """Return an instance for the end of a run, opened if it could not be opened before.

    Raises:
        LaminError: It cannot be written.
    """
    if instance.is_away:
        outage = instance.part(Outage).now()
        if outage is not None and instance.database_path is None:
            raise outage
        instance = context.reopen(instance, 0 if outage is not None else PATIENCE_SECONDS)
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read")
    return instance


def _keep(instance: Instance, run: Run, data: metadata.Data, problem: Exception) -> None:
    """Keep the end of a run, and its beginning where that was not recorded either, until it can be written."""
    from lamindb.runs import journal

    entry = journal.entry_of(instance, run, data)
    is_kept = journal.add(instance, entry)
    if is_kept:
        metadata.remove_log(instance, run.id)
    tell_kept(run, problem, is_kept=is_kept)


def tell_kept(run: Run, problem: object, *, is_kept: bool) -> None:
    """Warn that a run could not be recorded, unless that was said when it began."""
    if not is_kept:
        messages.warning(f"the end of run {run.id} could not be recorded, nor kept for later: {problem}")
    elif not run.is_saved:
        messages.info(f"run {run.id} is not recorded yet; {LATER}")
    else:
        messages.warning(f"the end of run {run.id} could not be recorded; {LATER}: {problem}")


def _is_there(instance: Instance) -> bool:
    """Return True if an instance on this disk still exists: an open database file outlives its folder."""
    return instance.database_path is None or instance.database_path.is_file()


def _stop_capture(instance: Instance, run: Run) -> None:
    capturing = sys.modules.get("lamindb.runs.capture")
    if capturing is not None:
        capturing.stop(instance, run)


def status_of(run: Run) -> str | None:
    """Return the status of a run that says it runs; one whose process died becomes `aborted`.

    That is written where the instance can be: in one that can only be read, the record alone says it.
    """
    if not has_died(run):
        return "running"
    query = Run.objects.using(run.alias).filter(id=run.id).order_by()
    status: str | None = "aborted"
    # The first heartbeat may predate started_at slightly.
    finished_at = max(filter(None, (run.heartbeat_at, run.started_at, _printed_at(run))), default=None)
    instance = context.connected(run.alias)
    if instance is not None and instance.is_read_only:
        # It may have ended well after this record was read.
        written, ended_at = query.values_list("status", "finished_at").first() or (None, None)
        status, finished_at = (status, finished_at) if written == "running" else (written, ended_at)
        run.loaded.update(status=status, finished_at=finished_at)
        return status
    try:
        changed = query.filter(status="running").update_rows(
            {"status": status, "finished_at": finished_at, "updated_at": now()}
        )
        # It may have ended well after this record was read.
        if not changed:
            status, finished_at = query.values_list("status", "finished_at").first() or (None, None)
    except LaminError as error:
        messages.debug(f"run {run.id} is dead, which cannot be written: {error}")
    run.loaded["finished_at"] = finished_at
    run.loaded["status"] = status
    if status == "aborted":
        _take_in_log(run)
    return status


def _log_of(run: Run) -> Path | None:
    """Return the file with the output of a run of this machine."""
    instance = context.connected(run.alias)
    return log_file.path_of(instance.id, run.id) if instance is not None and run.host == processes.host() else None


def _printed_at(run: Run) -> datetime.datetime | None:
    """Return when a run of this machine last printed something, as far as its output was kept."""
    path = _log_of(run)
    try:
        return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC) if path is not None else None
    except OSError:
        return None


def _take_in_log(run: Run) -> None:
    """Store what a dead run of this machine printed, and remove the file; what fails is tried again later."""
    path, instance = _log_of(run), context.connected(run.alias)
    text = log_file.read(path) if path is not None else None
    if path is None or instance is None or text is None or instance.is_read_only:
        return
    try:
        if text and not run.log_digest:
            data = {"log_digest": (text.encode("utf-8", "backslashreplace"), ".log")}
            values = metadata.kept(instance, data)
            if not values:
                return
            metadata.write(instance, run.id, dict(values), data)
            run.loaded.update(values)
        path.unlink()
    except (LaminError, Error, OSError) as error:
        messages.debug(f"the output of run {run.id} could not be stored: {error}")


def _take_in_logs(instance: Instance) -> None:
    """Store the output of runs of this machine that another one found dead, and remove files without need."""
    folder = log_file.folder_of(instance.id)
    if folder is None or not folder.is_dir():
        return
    ids = [path.stem for path in folder.glob("*.log")][:_MOST_AT_ONCE]
    for run in Run.objects.using(instance.alias).filter(id__in=ids).exclude(status="running").order_by():
        if has_died(run):
            _take_in_log(run)


def has_died(run: Run) -> bool:
    """Return True if the process of a run is known to be gone, or has given no heartbeat for long."""
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
        _take_in_logs(instance)
    except (LaminError, Error, OSError) as error:
        messages.debug(f"runs that died could not be looked for: {error}")
