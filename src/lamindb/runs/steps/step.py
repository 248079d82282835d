"""One call of a tracked function: a child run, with its row written at its end in one short transaction.

A step that takes longer than a moment, that saves a file, or in which another step ends gets its row before it ends,
and is found aborted if its process is killed. A shorter one that is killed leaves no row: its caller never got its
result, and the run above it is found aborted.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import Error
from django.db.models.base import ModelState

from lamindb.core import context, messages, processes
from lamindb.core.text import storable
from lamindb.db import database
from lamindb.environment import detect, notebook_matching, process_exit
from lamindb.errors import LaminError
from lamindb.models import File, Run, RunInput, RunOutput
from lamindb.models.base import now
from lamindb.records import edges
from lamindb.records.open_instance import Instance, Outage
from lamindb.runs import liveness, metadata, parent, revisions
from lamindb.runs.steps import function as steps_function
from lamindb.runs.steps import group_commit
from lamindb.runs.steps.function import Function

START_SECONDS: Final = 0.1
"""A step that lasts longer has its row while it runs."""


_ALL: Final = tuple(field.attname for field in Run._meta.concrete_fields if not field.primary_key)


class OpenSteps:
    """The steps of one instance that are under way, and the thread that writes rows of those that last."""

    goes_on = True

    def __init__(self) -> None:
        self.open: dict[str, Step] = {}
        self._start_anew()

    def _start_anew(self) -> None:
        self._waiting: dict[str, tuple[float, Step]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._watch: process_exit.Watch | None = None

    def find(self, run_id: str) -> Step | None:
        """Return the step of a run, if it is under way."""
        return self.open.get(run_id)

    def add(self, step: Step) -> None:
        """Note a step that begins; its row is written by another thread if it takes longer than a moment."""
        self.open[step.run.id] = step
        if self._watch is None:
            self._watch = process_exit.watch(self.end)
        with self._lock:
            self._waiting[step.run.id] = (time.monotonic() + START_SECONDS, step)
            if self._thread is None:
                self._start_thread()

    def remove(self, run_id: str) -> bool:
        """Forget a step that ends; return False if it had ended before."""
        found = self.open.pop(run_id, None)
        self._waiting.pop(run_id, None)
        return found is not None

    def end(self, how: process_exit.Ending) -> None:
        """End what is still under way, the innermost first, as the process ended."""
        for step in reversed(list(self.open.values())):
            if how.status == "failed":
                step.end("failed", reason=how.error or "the process ended")
            else:
                step.end("aborted", reason="the process ended before it did")

    def close(self) -> None:
        """Stop the thread and end no step; one that ends later warns that it cannot be recorded."""
        self._waiting.clear()
        self._stop_thread()
        if self._watch is not None:
            self._watch.cancel()

    def before_fork(self) -> None:
        """Write the rows of steps under way, which the child may refer to, and stop the thread."""
        for step in list(self.open.values()):
            try:
                step.ensure_row()
            except Exception as error:
                messages.debug(f"a step's beginning could not be written: {error}")
        self._stop_thread()

    def after_fork_in_parent(self) -> None:
        """Start the thread again if steps wait for it."""
        with self._lock:
            if self._waiting and self._thread is None:
                self._start_thread()

    def after_fork(self) -> None:
        """Forget the steps of the parent process; the child inherits their runs as saved ones."""
        for step in self.open.values():
            step.leave_to_parent()
        self.open.clear()
        self._start_anew()

    def _start_thread(self) -> None:
        self._wake = threading.Event()
        self._thread = threading.Thread(
            target=self._write_late_rows, args=(self._wake,), name="lamindb steps", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:
            self._thread = None
            messages.debug(f"steps are written when they end: {error}")

    def _stop_thread(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            self._wake.set()
            thread.join(1.0)

    def _write_late_rows(self, wake: threading.Event) -> None:
        seen: list[Step] = []
        while not wake.wait(START_SECONDS / 2):
            due = [step for when, step in list(self._waiting.values()) if when <= time.monotonic()]
            for step in due:
                self._waiting.pop(step.run.id, None)
                try:
                    if step.run.id in self.open:
                        step.ensure_row()
                except Exception as error:
                    messages.debug(f"a step's beginning could not be written: {error}")
            seen = seen or due
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    break
        _close_connections(seen)


class _State(ModelState):
    """The state of a step's record: asking whether it is saved saves it."""

    step: Step | None = None

    @property
    def adding(self) -> bool:
        """Whether the row is still to be written: never, because asking writes it."""
        if self.step is not None:
            self.step.ensure_row()
        return False

    @adding.setter
    def adding(self, value: bool) -> None:
        del value

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a copy has: the state of a saved run, because the step goes on in its own process."""
        if self.step is not None:
            try:
                self.step.ensure_row()
            except Exception as error:
                messages.debug(f"a step's beginning could not be written: {error}")
        return _saved_state, (self.db,)


def _saved_state(alias: str | None) -> ModelState:
    state = ModelState()
    state.db, state.adding = alias, False
    return state


class Step:
    """A call under way."""

    def __init__(self, instance: Instance, function: Function, given: dict[str, Any]) -> None:
        self.instance = instance
        self._heartbeat = instance.part(liveness.Heartbeat)
        # Made after the heartbeat: a fork stops the newest part first, and rows of steps start heartbeats.
        self._steps = instance.part(OpenSteps)
        self._function = function
        self._lock = threading.RLock()
        self._has_row = False
        self._environment: dict[str, str | None] = {}
        self._ran: metadata.Ran | None = None
        self._parent = parent.above(instance)
        process = processes.this_process()
        moment = now()
        self.run: Run = Run.from_fields(
            transform_id=function.transform_id(instance),
            params=steps_function.described(given),
            status="running",
            started_at=moment,
            heartbeat_at=moment,
            parent_id=self._parent.id if self._parent is not None else None,
            created_by_id=instance.user_id(),
            source_digest=function.source_name(instance),
            code_path=function.code_path(instance),
            host=process.host,
            process=process._asdict(),
        )
        self._state = self.run._state = _State()
        self._state.db = instance.alias
        self._state.step = self
        self._inputs = steps_function.files_in(instance, given)
        self._results: dict[str, File] = {}
        self._steps.add(self)

    def begin_flow(self) -> None:
        """Write the row at once, and hand the run down to processes that are started from now on.

        Where nothing is tracked around it, it gets what a tracked run has: arguments, git, packages.
        """
        # Under the lock: the thread that writes rows of steps that last must not write this one half known.
        with self._lock:
            self._write_flow()
        self._environment = {name: os.environ.get(name) for name in parent.variables(self.instance, self.run)}
        parent.hand_down(self.instance, self.run)

    def _write_flow(self) -> None:
        data: metadata.Data = {}
        source = None
        if self._parent is None:
            self._ran = detect.detect() or notebook_matching.fallback_notebook()
            beginning = metadata.begin(self.instance, self._ran)
            self.run.loaded.update(beginning.settle())
            data, source = beginning.data, beginning.source
        unnumbered = [run for run in self.rows() if run.revision is None]

        def insert(connection: Any) -> None:
            functions = [run for run in unnumbered if source is None or run is not self.run]
            group_commit.number(connection, self.instance, functions, {})
            if source is not None and self.run in unnumbered:
                # The program is its script or notebook, not the function alone.
                self.run.loaded["revision"] = revisions.number(connection, self.run.transform_id, source)
            database.insert_many(connection, self.rows(), overwritten=_ALL)

        try:
            metadata.writing(self.instance, self.run.loaded, data, insert)
        except BaseException:
            # What was rolled back was never given.
            for run in unnumbered:
                run.loaded["revision"] = None
            raise
        self._note_rows()

    def _end_flow(self) -> None:
        for name, value in self._environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Make its run the current one of this task or thread; a flow around all else is that of other threads, too."""
        is_program = bool(self._environment) and self._parent is None
        with context.using_flow(self.run) if is_program else context.using_run(self.run):
            yield

    def ensure_row(self) -> None:
        """Write the row of a step that has just begun, and of those above it.

        Raises:
            DatabaseError: The database failed.
        """
        with self._lock:
            if self._has_row:
                return
            group_commit.write(group_commit.Entry(self.instance, self.rows(), restore=self._restore))
            self._note_rows()

    def rows(self) -> list[Run]:
        """Return its own row, and before it those of steps above it that have none yet."""
        above = self._steps.find(self._parent.id) if self._parent is not None else None
        return [*(above.rows() if above is not None and not above._has_row else []), self.run]

    def _note_rows(self) -> None:
        self._has_row = True
        if self._steps.find(self.run.id) is not None:
            self._heartbeat.add(self.instance.alias, self.run.id)
        above = self._steps.find(self._parent.id) if self._parent is not None else None
        if above is not None and not above._has_row:
            above._note_rows()

    def leave_to_parent(self) -> None:
        """Make it a saved run that this forked process does not own."""
        self._lock = threading.RLock()
        self._has_row = True
        self._state.step = None

    def _restore(self) -> None:
        self._function.forget_source(self.instance)
        self._function.source_name(self.instance)

    def note_result(self, value: Any) -> None:
        """Remember the files among what the function returned or yielded."""
        for file in steps_function.files_in(self.instance, value):
            self._results.setdefault(file.id, file)

    def end(self, status: str, error: BaseException | None = None, reason: str | None = None) -> None:
        """Write how it ended, with what it read and made. Never raises: the caller gets the function's own result."""
        if not self._steps.remove(self.run.id):
            return
        is_program = bool(self._environment) and self._parent is None
        self._end_flow()
        moment = now()
        values = {
            "status": status,
            "finished_at": moment,
            "heartbeat_at": moment,
            "updated_at": moment,
            "error": process_exit.last_lines(error) if error is not None else reason,
        }
        self.run.loaded.update(storable(values))
        try:
            with self._lock, liveness.patience_to_end(self.instance):
                group_commit.write(group_commit.Entry(self.instance, self.rows(), self._links(), self._restore))
                self._note_rows()
            liveness.note_success(self.instance)
            if self._has_unlinked():
                edges.link_unlinked(self.instance, self.run)
            if is_program:
                imported = metadata.modules_of(self.instance, self._ran)
                metadata.write(self.instance, self.run.id, {}, imported=imported)
        except (LaminError, Error, OSError, RuntimeError) as problem:
            self._keep(problem)
        finally:
            self._heartbeat.remove(self.run.id)
            self._state.step = None

    def _has_unlinked(self) -> bool:
        return self.run.id in self.instance.part(edges.Unlinked).by_run

    def _keep(self, problem: Exception) -> None:
        """Keep it until it can be written; that is told once for each function."""
        from lamindb.runs import journal

        entry = journal.entry_of(self.instance, self.run, {}, is_new=not self._has_row)
        entry["read"] += [file.id for file in self._inputs if file.run_id != self.run.id]
        if isinstance(problem, LaminError):
            self.instance.part(Outage).note(problem)
        self._function.note_failure(is_kept=journal.add(self.instance, entry), problem=problem)

    def _links(self) -> list[RunInput | RunOutput]:
        moment = now()
        read = [file for file in self._inputs if file.run_id != self.run.id]
        known = {file.id for file in self._inputs}
        started_at = self.run.started_at
        made = [
            file
            for file in self._results.values()
            if file.id not in known and started_at is not None and file.created_at >= started_at
        ]
        options = {"run_id": self.run.id, "seen_by": "argument", "created_at": moment}
        return [
            *(RunInput.from_fields(file_id=file.id, **options) for file in read),
            *(RunOutput.from_fields(file_id=file.id, **{**options, "seen_by": "result"}) for file in made),
        ]


class UnrecordedStep:
    """A call whose beginning cannot be recorded: its function runs all the same, and it is recorded later."""

    def __init__(self, instance: Instance, function: Function, given: dict[str, Any], problem: LaminError) -> None:
        self._instance = instance
        self._function = function
        self._problem = problem
        process = processes.this_process()
        above = context.own_run()
        self._run: Run = Run.from_fields(
            params=steps_function.described(given),
            status="running",
            started_at=now(),
            host=process.host,
            process=process._asdict(),
            code_path=function.code_path(instance),
        )
        self._run.alias = instance.alias
        self._run.transform = function.new_transform(instance)
        self._above = above if isinstance(above, Run) and above.alias == instance.alias else None
        self._inputs = [file.id for file in steps_function.records_in(given)]

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """Make its run the current one of this task or thread: it is saved with the first file that names it."""
        return context.using_run(self._run)

    def begin_flow(self) -> None:
        """Do nothing: there is no row."""

    def note_result(self, value: Any) -> None:
        """Do nothing: what a step saves itself is recorded with its files."""

    def end(self, status: str, error: BaseException | None = None, reason: str | None = None) -> None:
        """Keep how it ended until it can be written. Never raises."""
        from lamindb.runs import journal

        told = process_exit.last_lines(error) if error is not None else reason
        if self._run.is_saved:
            # By a file, whose row names no run but its own.
            self._link_parent()
            liveness.finish_run(self._run, status, error=told)
            return
        self._run.loaded.update(storable({"status": status, "finished_at": now(), "error": told}))
        self._run.loaded["parent_id"] = self._above.id if self._above is not None else None
        entry = journal.entry_of(self._instance, self._run, self._function.source_data())
        entry["read"] += self._inputs
        self._function.note_failure(is_kept=journal.add(self._instance, entry), problem=self._problem)

    def _link_parent(self) -> None:
        try:
            if self._above is not None and parent.is_recorded(self._above):
                metadata.write(self._instance, self._run.id, {"parent_id": self._above.id})
        except LaminError as problem:
            messages.debug(f"the run above run {self._run.id} is not recorded: {problem}")


def ended_by(error: BaseException) -> tuple[str, str | None]:
    """Return the status of a call that an exception left, and a word on it where there is no traceback to show."""
    if isinstance(error, GeneratorExit):
        return "completed", None
    cancelled = getattr(sys.modules.get("asyncio"), "CancelledError", None)
    if cancelled is not None and isinstance(error, cancelled):
        return "failed", "cancelled"
    if isinstance(error, SystemExit) and error.code in (None, 0):
        return "completed", None
    return "failed", None


def _close_connections(steps: list[Step]) -> None:
    from lamindb.db import database

    for alias in {step.instance.alias for step in steps}:
        try:
            database.connection(alias).close()
        except Exception as error:
            messages.debug(f"a connection did not close: {error}")
