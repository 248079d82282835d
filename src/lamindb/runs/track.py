"""The current run: begun by `track`, ended by the next one, by `finish` or by the end of the process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamindb.core import context as core_context
from lamindb.core import messages
from lamindb.core.settings import settings
from lamindb.core.text import storable
from lamindb.db import database
from lamindb.environment import detect, notebook_matching, process_exit
from lamindb.errors import (
    ConflictError,
    DatabaseError,
    InvalidInputError,
    InvalidTypeError,
    LaminError,
    NoResultFound,
    ReadOnlyError,
)
from lamindb.models import Pipeline, Run, Transform
from lamindb.models.base import now
from lamindb.records import save
from lamindb.records.open_instance import Instance, Outage
from lamindb.runs import identify, liveness, metadata, parent, revisions


class Runs:
    """The runs of one instance that this process began, one of each transform; they end with the process."""

    goes_on = True

    def __init__(self) -> None:
        self._of: dict[str, Run] = {}
        self._watch: process_exit.Watch | None = None

    def of(self, transform_id: str) -> Run | None:
        """Return the run of a transform."""
        return self._of.get(transform_id)

    def add(self, run: Run) -> None:
        """Note a run that this process began."""
        self._of.pop(run.id, None)
        self._of[run.id if not run.is_saved else str(run.transform_id)] = run

    def find(self, run_id: str) -> Run | None:
        """Return the object that this process keeps of a run that it began."""
        return next((own for own in self._of.values() if own.id == run_id), None)

    def watch(self) -> None:
        """End the runs when the process ends."""
        if self._watch is None:
            self._watch = process_exit.watch(self.end)

    def end(self, how: process_exit.Ending) -> None:
        """End all of them as the process ended."""
        for run in list(self._of.values()):
            liveness.finish_run(run, how.status, error=how.error, exit_code=how.exit_code)
        self._of.clear()

    def leave(self) -> None:
        """End all of them as completed."""
        while self._of:
            _, run = self._of.popitem()
            liveness.finish_run(run, "completed")

    def close(self) -> None:
        """Forget them; none is ended."""
        self._of.clear()
        if self._watch is not None:
            self._watch.cancel()

    def after_fork(self) -> None:
        """Forget the runs of the parent process: a child inherits them, and does not end them."""
        self._of.clear()
        self._watch = None


def track(
    transform: Transform | None = None,
    *,
    new_run: bool = False,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    notebook_path: str | Path | None = None,
    capture: bool | None = None,
) -> Run:
    """Register what is running, and make its run the current one; files saved from now on are its outputs.

    Called again in the same process, it goes on with the same run. A run that had ended goes on, too, unless it is
    given other parameters: then another one begins.

    Args:
        transform: What is run, saved or not. None: the notebook or script that this process runs.
        new_run: Begin another run, even if this process has one of this transform already.
        name: A name for the run.
        params: Parameters to be recorded and queried, as in `Run.select(params__lr__gt=0.01)`; plain JSON values.
            Secrets among them are replaced.
        notebook_path: The notebook, where it cannot be found out.
        capture: Watch which files are read and written; None does what `ln.settings.capture` says.

    Returns:
        The run. As a context manager it ends with its block.

    Raises:
        InvalidInputError: Nothing that runs could be found. The current run stays as it was.
        InvalidTypeError: `transform` is something else. The current run stays as it was.
        DatabaseError, ReadOnlyError: The database failed or can only be read, and `ln.settings.tracking_failure` is
            "error". By default that is a warning: the program goes on, and its run is recorded with its first file or
            at its end, if the database is back by then, else with the next use of the instance.
    """
    _check(transform, name)
    instance, problem, seconds = liveness.instance_to_track()
    if problem is None:
        try:
            with database.waiting_at_most(instance.alias, seconds):
                run = _track(instance, transform, new_run, name, params, notebook_path)
        except (DatabaseError, ReadOnlyError) as error:
            problem = error
            instance.part(Outage).note(error)
    if problem is not None:
        if settings.tracking_failure == "error":
            raise problem
        run = _track_unrecorded(instance, transform, new_run, name, params, notebook_path)
        messages.warning(f"this run could not be recorded so far: {problem}")
    if settings.capture if capture is None else capture:
        from lamindb.runs import capture as runs_capture

        try:
            runs_capture.start(run)
        except LaminError as error:
            messages.debug(f"the files of this run are not watched: {error}")
    return run


def _track_unrecorded(
    instance: Instance,
    transform: Transform | None,
    new_run: bool,
    name: str | None,
    params: Mapping[str, Any] | None,
    notebook_path: str | Path | None,
) -> Run:
    """Return a run without a row, made current; it is saved with the first file that names it, or at its end."""
    given = identify.checked(params) if params is not None else None
    running: metadata.Ran | None
    if transform is None:
        running = identify.what_runs(notebook_path)
        transform = identify.new_transform(running, instance)
    else:
        running = detect.detect(notebook_path) or notebook_matching.fallback_notebook()
    previous = _own_current(instance)
    if previous is not None and not new_run and _is_of(previous, transform):
        return previous
    if previous is not None and previous not in core_context.open_blocks():
        liveness.finish_run(previous, "completed")
    beginning = metadata.begin(instance, running, stores=False)
    if beginning.params:
        given = {**identify.checked(beginning.params), **(given or {})}
    run = Run.from_fields(name=storable(name), params=given, status="running", started_at=now())
    run.alias = instance.alias
    run.loaded.update(beginning.settle())
    run.transform = transform
    instance.part(Runs).add(run)
    metadata.watch(instance, run, beginning)
    core_context.set_run(run)
    instance.part(Runs).watch()
    return run


def _is_of(run: Run, transform: Transform) -> bool:
    """Return True if a run is one of a transform, as far as is known without the database."""
    own = run.related("transform")
    natural = ("type", "reference", "version", "name")
    return own is not None and all(getattr(own, name) == getattr(transform, name) for name in natural)


def _track(
    instance: Instance,
    transform: Transform | None,
    new_run: bool,
    name: str | None,
    params: Mapping[str, Any] | None,
    notebook_path: str | Path | None,
) -> Run:
    name = storable(name)
    checked = identify.checked(params) if params is not None else None
    is_detected = transform is None
    _save_unrecorded(instance)
    transform, running = _what_runs(instance, transform, notebook_path)
    run = None if new_run or not transform.is_saved else _known_run(instance, transform, checked)
    previous = _own_current(instance)
    is_other = previous is not None and (run is None or previous.id != run.id)
    if previous is not None and is_other and previous not in core_context.open_blocks():
        liveness.finish_run(previous, "completed")
    if run is None:
        run = _begin(instance, transform, running, name, checked, is_detected=is_detected)
    else:
        if previous is None or is_other:
            messages.debug(f"run {run.id} goes on")
        if is_detected:
            # Its file may have another name or title by now.
            save.save(transform)
            run.transform = transform
        _resume(instance, run, name, checked)
        metadata.follow(instance, run, running)
    _make_current(instance, run)
    return run


def _check(transform: object, name: object) -> None:
    """Refuse what cannot be tracked.

    Raises:
        InvalidTypeError: As `track` says.
    """
    if transform is not None and not isinstance(transform, Transform):
        raise InvalidTypeError(
            f"track() takes a Transform, as in ln.Transform(name=…), not a {type(transform).__name__}"
        )
    if name is not None and not isinstance(name, str):
        raise InvalidTypeError(f"the name of a run must be text, not {type(name).__name__}")


def _what_runs(
    instance: Instance, transform: Transform | None, notebook_path: str | Path | None
) -> tuple[Transform, metadata.Ran | None]:
    """Return the transform that is run, and the notebook or script of this process, which may be unknown."""
    if transform is None:
        found = identify.what_runs(notebook_path)
        return identify.transform_of(found, instance), found
    running = detect.detect(notebook_path) or notebook_matching.fallback_notebook()
    _save_given(transform, instance)
    return transform, running


def _save_unrecorded(instance: Instance) -> None:
    """Save the current run if it could not be recorded when it began: tracking the same again goes on with it."""
    current = _own_current(instance)
    if current is not None and not current.is_saved:
        save.save(current)
        instance.part(Runs).add(current)


def _save_given(transform: Transform, instance: Instance) -> None:
    """Save what the user passed if it is new: it may become one that this process has a run of."""
    if not transform.is_saved:
        save.save(transform)
    elif transform.alias != instance.alias:
        raise InvalidInputError("this transform belongs to another instance: query it anew")
    elif not Transform.objects.using(instance.alias).filter(id=transform.id).exists():
        raise ConflictError(f"{transform!r} was deleted meanwhile: save it anew")


def _known_run(instance: Instance, transform: Transform, params: dict[str, Any] | None) -> Run | None:
    """Return the run that this process has of a transform, if it can go on."""
    run = instance.part(Runs).of(transform.id)
    if run is None or run.created_by_id != instance.user_id():
        return None
    row = Run.objects.using(instance.alias).filter(id=run.id).values_list("status", "params").first()
    if row is None or (row[0] != "running" and params is not None and params != row[1]):
        return None
    return run


def _begin(
    instance: Instance,
    transform: Transform,
    running: metadata.Ran | None,
    name: str | None,
    params: dict[str, Any] | None,
    *,
    is_detected: bool,
) -> Run:
    """Write a new run with its transform in one transaction."""
    beginning = metadata.begin(instance, running)
    if beginning.params:
        params = {**identify.checked(beginning.params), **(params or {})}
    run = Run.from_fields(
        name=name,
        params=params,
        status="running",
        started_at=now(),
        parent_id=_parent_id(instance),
        created_by_id=instance.user_id(),
    )
    run.alias = instance.alias
    values = beginning.settle()

    def write_rows(connection: Any) -> None:
        if is_detected:
            save.save(transform)
        run.loaded.update(values)
        run.transform = transform
        if beginning.source is not None and not beginning.is_notebook:
            run.loaded["revision"] = revisions.number(connection, transform.id, beginning.source)
        save.save(run)

    metadata.writing(instance, values, beginning.data, write_rows)
    instance.part(Runs).add(run)
    messages.info(f"run {run.id} of {transform.name!r} began")
    metadata.watch(instance, run, beginning)
    instance.part(liveness.Heartbeat).add(instance.alias, run.id)
    return run


def _resume(instance: Instance, run: Run, name: str | None, params: dict[str, Any] | None) -> None:
    """Go on with a run that this process had begun."""
    values: dict[str, Any] = {"status": "running", "finished_at": None, "exit_code": None, "error": None}
    if name is not None:
        values["name"] = name
    if params is not None:
        values["params"] = params
    if run.loaded["status"] != "running":
        metadata.resume(instance, run)
        instance.part(liveness.Heartbeat).add(instance.alias, run.id)
    metadata.write(instance, run.id, values)
    run.loaded.update(values)


def _parent_id(instance: Instance) -> str | None:
    """Return the run within which another one begins: that of a step, else the one that this process inherited."""
    above = core_context.own_run()
    is_saved = isinstance(above, Run) and above.alias == instance.alias and above.is_saved
    if is_saved and instance.part(Runs).find(above.id) is None:
        return str(above.id)
    inherited = parent.inherited_id(instance)
    if inherited is None:
        return None
    return inherited if Run.objects.using(instance.alias).filter(id=inherited).exists() else None


def _make_current(instance: Instance, run: Run) -> None:
    core_context.set_run(run)
    parent.hand_down(instance, run)
    instance.part(Runs).watch()


def _own_current(instance: Instance) -> Run | None:
    """Return the current run if this process began it."""
    run = _current_of(instance)
    return run if run is not None and instance.part(Runs).find(run.id) is not None else None


def _current_of(instance: Instance) -> Run | None:
    run = core_context.run()
    if not isinstance(run, Run) or run.alias != instance.alias:
        return None
    return run if instance.part(Runs).find(run.id) is not None or run.is_saved else None


def _instance_or_none() -> Instance | None:
    """Return the current instance, if one is open; else the one of the current run, whose database may be away."""
    found, run = core_context.instance_or_none(), core_context.own_run()
    return core_context.connected(str(run.alias)) if found is None and isinstance(run, Run) else found


def finish(run: Run | None = None, *, report: bool = False) -> None:
    """End the current run, or the one given, as `completed`; nothing happens where none is running.

    A run that this process inherited goes on: the process that began it ends it.

    Args:
        run: The run; the current one by default.
        report: For a notebook: keep its file, as it was last saved, as a page with results. Needs nbconvert.
    """
    if run is not None and not isinstance(run, Run):
        raise InvalidTypeError(f"finish() takes a run, not a {type(run).__name__}")
    instance = _instance_or_none()
    chosen = run or (_own_current(instance) if instance is not None else None)
    if chosen is None:
        return
    liveness.finish_run(_own(chosen), "completed", report=report)
    _drop_if_current(chosen)


def _own(run: Run) -> Run:
    """Return the object that this process keeps of a run, so that both spellings of one run end together."""
    instance = core_context.connected(str(run.alias))
    own = instance.part(Runs).find(run.id) if instance is not None else None
    if own is None or own is run:
        return run
    run.loaded["status"] = "completed"
    return own


def _drop_if_current(run: Run) -> None:
    if getattr(core_context.own_run(), "id", None) == run.id and not core_context.leave_block(run):
        _drop_current()


def _drop_current() -> None:
    core_context.set_run(None)
    parent.restore()


def enter_block(run: Run) -> None:
    """Note that a run goes on until its `with` block ends, whatever is tracked inside."""
    core_context.enter_block(run)


def finish_block(run: Run, error: BaseException | None) -> None:
    """End a run at the end of its `with` block: `failed` if the block raised, else `completed`."""
    failed = error is not None and not (isinstance(error, SystemExit) and error.code in (None, 0))
    text = process_exit.last_lines(error) if failed and error is not None else None
    code = _exit_code(error) if isinstance(error, SystemExit) else None
    blocks = core_context.open_blocks()
    if run in blocks:
        blocks.remove(run)
    liveness.finish_run(run, "failed" if failed else "completed", error=text, exit_code=code)
    if core_context.leave_block(run):
        return
    _drop_if_current(run)
    outer = blocks[-1] if blocks else None
    if outer is not None and core_context.own_run() is None and outer.loaded.get("status") == "running":
        instance = core_context.connected(outer.alias)
        if instance is not None:
            _make_current(instance, outer)


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def leave(instance: Instance) -> None:
    """End what runs in an instance that is left."""
    instance.part(Runs).leave()
    run = core_context.own_run()
    if run is not None and run.alias == instance.alias:
        _drop_current()


class Context:
    """What runs now: `ln.context`."""

    @property
    def instance(self) -> Instance:
        """The connected instance."""
        return core_context.instance()

    @property
    def run(self) -> Run | None:
        """The current run, or None."""
        instance = _instance_or_none()
        return _current_of(instance) if instance is not None else None

    @property
    def transform(self) -> Transform | None:
        """What the current run runs, or None."""
        run = self.run
        return run.transform if run is not None else None

    @property
    def notebook(self) -> Transform | None:
        """The current transform, if it is a notebook."""
        run = self.run
        return run.notebook if run is not None else None

    @property
    def pipeline(self) -> Transform | None:
        """The current transform, if it is a pipeline."""
        run = self.run
        return run.pipeline if run is not None else None

    def track(
        self,
        pipeline_name: str | None = None,
        *,
        version: str | None = None,
        v: str | None = None,
        new_run: bool = False,
        **options: Any,
    ) -> Run:
        """Register what is running; with a name, the pipeline of that name that was registered last.

        Args:
            pipeline_name: Name of a registered pipeline; None does what `ln.track()` does.
            version: Its version, the newest by default.
            v: The older name of `version`.
            new_run: As for `ln.track`.
            **options: As for `ln.track`.

        Raises:
            NoResultFound: No pipeline of that name is registered. The current run stays as it was.
        """
        if pipeline_name is None:
            return track(new_run=new_run, **options)
        if not isinstance(pipeline_name, str):
            raise InvalidTypeError(f"pipeline_name must be text, not {type(pipeline_name).__name__}")
        wanted = version if version is not None else v
        query = Pipeline.select(name=pipeline_name, **({"version": str(wanted)} if wanted is not None else {}))
        found = query.order_by("-created_at", "-id").first()
        if found is None:
            which = f"{pipeline_name!r}" + (f" at version {wanted}" if wanted is not None else "")
            raise NoResultFound(
                f"no pipeline {which} is registered: register it by ln.add(ln.Transform(name={pipeline_name!r}, "
                "type='pipeline'))"
            )
        return track(found, new_run=new_run, **options)

    def __repr__(self) -> str:
        return f"Context(run={self.run!r}, transform={self.transform!r})"


context = Context()
"""What runs now, as `ln.context`."""
