"""The run of a shell script: begun by a program that it starts, and ended by another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lamindb.core import ids, messages, paths
from lamindb.core.settings import settings
from lamindb.db import database
from lamindb.environment import scripts
from lamindb.environment.scripts import calling_shell, script_of
from lamindb.errors import DatabaseError, InvalidInputError, NoResultFound, ReadOnlyError
from lamindb.models import Run
from lamindb.models.base import now
from lamindb.records.open_instance import Instance, Outage
from lamindb.runs import identify, journal, liveness, metadata
from lamindb.runs import parent as runs_parent
from lamindb.runs.commands import command


def begin_shell(transform: str, params: Mapping[str, Any] | None = None) -> str:
    """Begin the run of a shell script; it lasts until `end_shell`, and is found aborted where the shell dies before.

    Called by a program that the script starts. The script exports the id as `LAMIN_RUN_ID`.

    Args:
        transform: What the script is called.
        params: Parameters to record.

    Returns:
        The id of the run.

    Raises:
        DatabaseError, ReadOnlyError: The database failed or can only be read, and `ln.settings.tracking_failure` is
            "error". By default that is a warning: the run is recorded with the next use of the instance.
    """
    instance, problem, seconds = liveness.instance_to_track()
    given = identify.checked(params) if params is not None else None
    values, data = _facts(instance, given)
    new = command.new_transform(instance, transform, (), paths.working_folder())
    run = command.new_run(instance, new, values)
    if problem is None:
        try:
            with database.waiting_at_most(instance.alias, seconds):
                run.transform = identify.named_transform(instance, transform)
                run.loaded.update(metadata.kept(instance, data))
                command.insert_run(instance, run, data)
            instance.part(liveness.Heartbeat).remove(run.id)
        except (DatabaseError, ReadOnlyError) as error:
            problem = error
            instance.part(Outage).note(error)
    if problem is not None:
        if settings.tracking_failure == "error":
            raise problem
        run.transform = new
        _keep(instance, run, data, problem)
    return run.id


def _facts(instance: Instance, params: dict[str, Any] | None) -> tuple[dict[str, Any], metadata.Data]:
    """Return the fields of the run of the shell that called this program, and what is to be stored of it."""
    shell = calling_shell()
    script = script_of(shell.pid)
    values = {
        **command.facts_of_place(script or paths.working_folder()),
        **command.facts_of_process(shell),
        "params": params,
    }
    if script is None or not command.is_text(script):
        return values, {}
    code = command.Code(script, scripts.script_source(script))
    return values | {"code_path": code.reference(instance)}, {"source_digest": (code.data, code.suffix or ".sh")}


def _keep(instance: Instance, run: Run, data: metadata.Data, problem: Exception) -> None:
    """Keep the beginning of a run until it can be written, and warn."""
    run.loaded["parent_id"] = runs_parent.assumed_id(instance)
    entry = journal.entry_of(instance, run, data)
    entry["transform"]["is_named"] = True
    later = "so far" if journal.add(instance, entry) else "and will not be"
    messages.warning(f"this run could not be recorded {later}: {problem}")


def end_shell(run_id: str, status: str = "completed", *, exit_code: int | None = None) -> None:
    """End a run by its id, as the shell script says; what cannot be written is recorded with the next use.

    Raises:
        NoResultFound: There is no such run.
        InvalidInputError: The status is neither `completed` nor `failed`.
    """
    if status not in {"completed", "failed"}:
        raise InvalidInputError(f"a run ends completed or failed, not {status!r}")
    if not ids.is_id(run_id):
        raise NoResultFound(f"there is no run {run_id!r} in this instance")
    ending = {"status": status, "exit_code": exit_code, "finished_at": now()}
    instance, problem, seconds = liveness.instance_to_track()
    if problem is None:
        try:
            with database.waiting_at_most(instance.alias, seconds):
                _end(instance, run_id, ending)
        except (DatabaseError, ReadOnlyError) as error:
            problem = error
            instance.part(Outage).note(error)
    if problem is not None:
        is_kept = journal.add_end(instance, run_id, ending)
        later = f"; {liveness.LATER}" if is_kept else ", nor kept for later"
        messages.warning(f"the end of run {run_id} could not be recorded{later}: {problem}")


def _end(instance: Instance, run_id: str, ending: dict[str, Any]) -> None:
    """Write the end of a run, or keep it with its beginning where that waits.

    Raises:
        NoResultFound: There is no such run.
        DatabaseError, ReadOnlyError: The database failed, or can only be read.
    """
    query = Run.objects.using(instance.alias).filter(id=run_id)
    run = query.first()
    if run is None and journal.add_end(instance, run_id, ending, is_waiting=True):
        journal.take_in(instance)
        if any(path.stem == run_id for path in journal.waiting(instance.id)):
            messages.info(f"run {run_id} is not recorded yet; {liveness.LATER}")
        return
    # Another process may have recorded its beginning in this moment.
    run = run or query.first()
    if run is None:
        raise NoResultFound(f"there is no run {run_id!r} in this instance")
    if run.loaded["status"] not in {"running", "aborted"}:
        messages.info(f"run {run_id} had ended before: {run.status}")
        return
    run.loaded["status"] = "running"
    liveness.finish_run(run, str(ending["status"]), exit_code=ending["exit_code"])
