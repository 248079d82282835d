"""The current run: begun by `track`, ended by the next one, by `finish` or by the end of the process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamindb.core import current, messages
from lamindb.core.current import Instance
from lamindb.core.errors import (
    ConflictError,
    InvalidInputError,
    InvalidTypeError,
    LaminError,
    NoInstanceError,
    NoResultFound,
    ReadOnlyError,
)
from lamindb.models import Pipeline, Run, Transform
from lamindb.models.base import now
from lamindb.usecases import identifying, recording, records, writers

RUN_VARIABLE = "LAMIN_RUN_ID"
INSTANCE_VARIABLE = "LAMIN_RUN_INSTANCE"

_runs: dict[tuple[str, str], Run] = {}
"""The run of each instance and transform in this process."""
_pid = os.getpid()


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

    Args:
        transform: What is run, saved or not. None: the notebook or script that this process runs.
        new_run: Begin another run, even if this process has one of this transform already.
        name: A name for the run.
        params: Parameters to be recorded and queried, as in `Run.select(params__lr__gt=0.01)`; plain JSON values.
        notebook_path: The notebook, where it cannot be found out.
        capture: Watch which files are read and written; None does what `ln.settings.capture` says.

    Returns:
        The run. As a context manager it ends with its block.

    Raises:
        InvalidInputError: Nothing that runs could be found. The current run stays as it was.
        InvalidTypeError: `transform` is something else. The current run stays as it was.
    """
    instance = current.instance()
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read: nothing can be tracked in it")
    if transform is not None and not isinstance(transform, Transform):
        raise InvalidTypeError(f"track() takes a Transform, as in ln.Transform(name=…), not a {type(transform).__name__}")
    checked = _checked_params(params)
    running = None
    if transform is None:
        running = identifying.what_runs(notebook_path)
        transform = identifying.transform_of(running, instance)
    else:
        transform = _saved(transform, instance)
    run = None if new_run else _known_run(instance, transform)
    previous = _current_of(instance)
    if previous is not None and (run is None or previous.id != run.id):
        finish_run(previous, "completed")
    if run is None:
        run = _begin(instance, transform, running, name, checked)
    else:
        _resume(run, name, checked)
    _make_current(instance, run)
    from lamindb.core.settings import settings

    if settings.capture if capture is None else capture:
        from lamindb.usecases import capturing

        capturing.start(run)
    return run


def _checked_params(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if params is None:
        return None
    import json

    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise InvalidTypeError("params must be a dictionary with text as names")
    try:
        return json.loads(json.dumps(dict(params), allow_nan=False))  # type: ignore[no-any-return]
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"params must be plain values (text, numbers, lists, dictionaries): {error}") from None


def _saved(transform: Transform, instance: Instance) -> Transform:
    if transform._state.adding:
        records.save(transform)
    elif transform._state.db != instance.alias:
        raise InvalidInputError("this transform belongs to another instance: query it anew")
    elif not Transform.objects.using(instance.alias).filter(id=transform.id).exists():
        raise ConflictError(f"{transform!r} was deleted meanwhile: save it anew")
    return transform


def _known_run(instance: Instance, transform: Transform) -> Run | None:
    global _pid
    if _pid != os.getpid():
        # A forked child is a process of its own, and so is its run.
        _runs.clear()
        _pid = os.getpid()
    run = _runs.get((instance.alias, transform.id))
    if run is not None and run.created_by_id != writers.user_id(instance.alias):
        return None
    if run is not None and not Run.objects.using(instance.alias).filter(id=run.id).exists():
        return None
    return run


def _begin(
    instance: Instance, transform: Transform, running: Any, name: str | None, params: dict[str, Any] | None
) -> Run:
    run = Run._blank(
        transform=transform,
        name=name,
        params=params,
        status="running",
        started_at=now(),
        parent_id=_parent_id(instance),
        created_by_id=writers.user_id(instance.alias),
    )
    run._state.db = instance.alias
    recording.describe_start(run, running, instance)
    records.save(run)
    _runs[instance.alias, transform.id] = run
    messages.info(f"run {run.id} of {transform.name!r} began")
    return run


def _resume(run: Run, name: str | None, params: dict[str, Any] | None) -> None:
    """Go on with a run that this process had begun and left."""
    values: dict[str, Any] = {"status": "running", "finished_at": None, "exit_code": None, "error": None}
    if name is not None:
        values["name"] = name
    if params is not None:
        values["params"] = params
    _set(run, values)


def _parent_id(instance: Instance) -> str | None:
    """Return the run of the process that started this one, if it is of the same instance."""
    inherited = inherited_run_id(instance)
    if inherited is None or any(run.id == inherited for run in _runs.values()):
        return None
    return inherited if Run.objects.using(instance.alias).filter(id=inherited).exists() else None


def inherited_run_id(instance: Instance) -> str | None:
    """Return the id of the run that the starting process handed down through the environment."""
    found = os.environ.get(RUN_VARIABLE)
    place = os.environ.get(INSTANCE_VARIABLE)
    return found if found and (place is None or place == instance.id) else None


def _make_current(instance: Instance, run: Run) -> None:
    current.set_run(run)
    os.environ[RUN_VARIABLE] = run.id
    os.environ[INSTANCE_VARIABLE] = instance.id
    recording.watch_end(end_of_process)


def _current_of(instance: Instance) -> Run | None:
    run = current.run()
    return run if isinstance(run, Run) and run._state.db == instance.alias and not run._state.adding else None


def finish(run: Run | None = None) -> None:
    """End the current run, or the one given, as `completed`; nothing happens where none is running."""
    instance = current.instance_or_none()
    chosen = run or (_current_of(instance) if instance is not None else None)
    if chosen is None:
        return
    finish_run(chosen, "completed")
    if current.run() is chosen or getattr(current.run(), "id", None) == chosen.id:
        _drop_current()


def _drop_current() -> None:
    current.set_run(None)
    os.environ.pop(RUN_VARIABLE, None)
    os.environ.pop(INSTANCE_VARIABLE, None)


def finish_block(run: Run, error: BaseException | None) -> None:
    """End a run at the end of its `with` block: `failed` if the block raised, else `completed`."""
    failed = error is not None and not (isinstance(error, SystemExit) and error.code in (None, 0))
    text = recording.traceback_of(error) if failed and error is not None else None
    code = _exit_code(error) if isinstance(error, SystemExit) else None
    finish_run(run, "failed" if failed else "completed", error=text, exit_code=code)
    if getattr(current.run(), "id", None) == run.id:
        _drop_current()


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1


def finish_run(run: Run, status: str, *, error: str | None = None, exit_code: int | None = None) -> None:
    """Write how a run ended. Never raises: a run's end must not break what the user runs.

    Where the instance has been deleted meanwhile, nothing is written and nothing is made anew.
    """
    try:
        if run.__dict__.get("status") != "running":
            return
        values: dict[str, Any] = {"status": status, "finished_at": now(), "error": error, "exit_code": exit_code}
        values |= recording.describe_end(run)
        _set(run, values)
    except NoInstanceError:
        messages.debug(f"run {run.id} ended, and its instance is gone")
    except (LaminError, OSError) as problem:
        messages.warning(f"the end of run {run.id} could not be recorded: {problem}")


def _set(run: Run, values: dict[str, Any]) -> None:
    values["updated_at"] = now()
    Run.objects.using(run._state.db).filter(id=run.id).order_by()._update_rows(values)
    run.__dict__.update(values)


def end_of_process(ending: Any) -> None:
    """End what this process still runs; called once when it ends."""
    if _pid != os.getpid():
        return
    for run in list(_runs.values()):
        finish_run(run, ending.status, error=ending.error, exit_code=ending.exit_code)
    _runs.clear()


def leave(instance: Instance) -> None:
    """End what runs in an instance that is left."""
    for (alias, transform_id), run in list(_runs.items()):
        if alias == instance.alias:
            finish_run(run, "completed")
            del _runs[alias, transform_id]
    run = current.run()
    if run is not None and run._state.db == instance.alias:
        _drop_current()


def status_of(run: Run) -> str | None:
    """Return the status of a run that says it runs; one whose process died becomes `aborted`."""
    if not recording.has_died(run):
        return "running"
    query = Run.objects.using(run._state.db).filter(id=run.id, status="running").order_by()
    try:
        query._update_rows({"status": "aborted", "finished_at": run.heartbeat_at, "updated_at": now()})
    except ReadOnlyError:
        return "aborted"
    run.__dict__["status"] = "aborted"
    return "aborted"


class Context:
    """What runs now: `ln.context`."""

    @property
    def instance(self) -> Instance:
        """The connected instance."""
        return current.instance()

    @property
    def run(self) -> Run | None:
        """The current run, or None."""
        instance = current.instance_or_none()
        if instance is None:
            return None
        return _current_of(instance)

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


def notice_dead_runs(instance: Instance) -> None:
    """Mark runs whose process died as aborted; called when an instance is connected."""
    if instance.is_read_only:
        return
    for run in Run.objects.using(instance.alias).filter(status="running").order_by()[:1000]:
        status_of(run)
