"""Which files a run read and produced."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from lamindb.core import context, messages
from lamindb.core.settings import settings
from lamindb.core.verbs import verb
from lamindb.db import database
from lamindb.errors import DatabaseError, InvalidInputError, InvalidTypeError, ReadOnlyError
from lamindb.models import File, Run, RunInput, RunOutput, rows
from lamindb.models.base import now
from lamindb.records.open_instance import Instance


def link(run: Run, files: Sequence[File], *, kind: str, seen_by: str = "call") -> list[File]:
    """Record files as input or output of a run; idempotent. A file that a run produced is never its input.

    Args:
        run: A saved run.
        files: Saved files of the same instance.
        kind: "input" or "output".
        seen_by: Which layer noticed it: "call" for an explicit one.

    Returns:
        The files that are linked now.

    Raises:
        InvalidInputError: A file or the run is not saved, or they belong to different instances. Nothing was linked.
    """
    if not files:
        return []
    check(run, files)
    with database.writing(str(run.alias)) as connection:
        linked = link_inside(connection, run, files, kind=kind, seen_by=seen_by)
    tell_left_out(files, linked)
    return linked


def check(run: Run, files: Iterable[File]) -> None:
    """Refuse to link files to a run.

    Raises:
        InvalidInputError: As for `link`.
    """
    if not run.is_saved:
        raise InvalidInputError("the run is not saved yet: save it first")
    for file in files:
        if not file.is_saved:
            raise InvalidInputError(f"the file {file.key or file.name!r} is not saved yet: save it first")
        check_same_instance(file, run)


def check_same_instance(file: File, run: Run) -> None:
    """Refuse a saved file of another instance than a run; a run that is not saved yet is of the current one.

    Raises:
        InvalidInputError: It is one; the message names the file and both instances.
    """
    alias = run.alias or context.instance().alias
    if file.alias != alias:
        raise InvalidInputError(
            f"the file {file.key or file.name!r} ({file.id}) and the run belong to different instances, "
            f"{context.shown(file.alias)} and {context.shown(alias)}: save the file in that of the run first"
        )


def link_inside(
    connection: Any,
    run: Run,
    files: Sequence[File],
    *,
    kind: str,
    seen_by: str = "call",
    new_ids: Mapping[int, str] | None = None,
) -> list[File]:
    """Do what `link` does inside a transaction, for files that were checked; call `tell_left_out` after it.

    `new_ids` has the ids of rows which the same transaction wrote, by the `id()` of their files.
    """
    row_ids = {id(file): file.id for file in files} | dict(new_ids or {})
    wanted = list(files)
    if kind == "input":
        made: set[str] = set()
        for chunk in database.chunks([row_ids[id(file)] for file in wanted]):
            statement = f"SELECT file_id FROM lamindb_runoutput WHERE run_id = %s AND file_id IN ({rows.marks(chunk)})"
            made.update(file_id for (file_id,) in connection.fetch(statement, [run.id, *chunk]))
        wanted = [file for file in wanted if row_ids[id(file)] not in made and file.run_id != run.id]
    model: type[RunInput | RunOutput] = RunInput if kind == "input" else RunOutput
    fields = {"run_id": run.id, "seen_by": seen_by}
    links = [
        model.from_columns({**fields, "file_id": row_ids[id(file)], "created_at": now()}, run.alias, is_new=True)
        for file in wanted
    ]
    database.insert_many(connection, links, ignore_conflicts=True)
    if kind == "output":
        become_producer(connection, run.id, run.transform_id, [row_ids[id(file)] for file in wanted])
    return wanted


def tell_left_out(files: Iterable[File], linked: Collection[File]) -> None:
    """Report which files were made by the run of which they were to be inputs."""
    for file in files:
        if file not in linked:
            messages.hint(f"{file.key or file.name!r} was made by this run and is not its input")


def become_producer(connection: Any, run_id: str, transform_id: str | None, file_ids: Iterable[str]) -> None:
    """Inside a transaction: make a run the producer of those of these files whose producer is not known.

    A file never comes from itself: one that the run read, or from which something that it read came, is left alone.
    """
    for chunk in database.chunks(list(dict.fromkeys(file_ids))):
        statement = f"SELECT DISTINCT file_id FROM lamindb_runinput WHERE file_id IN ({rows.marks(chunk)})"
        read = {file_id for (file_id,) in connection.fetch(statement, chunk)}
        wanted = [one for one in chunk if one not in read or not _comes_from(connection, run_id, one)]
        if wanted:
            connection.run(
                "UPDATE lamindb_file SET run_id = %s, transform_id = %s, updated_at = %s "
                f"WHERE run_id IS NULL AND id IN ({rows.marks(wanted)})",
                [run_id, transform_id, connection.ops.adapt_datetimefield_value(now()), *wanted],
            )


def _comes_from(connection: Any, run_id: str, file_id: str) -> bool:
    """Return True if a run read a file, or what other runs made of it."""
    found = connection.fetch(
        "WITH RECURSIVE became (run_id) AS (SELECT run_id FROM lamindb_runinput WHERE file_id = %s UNION "
        "SELECT i.run_id FROM became b JOIN lamindb_runoutput o ON o.run_id = b.run_id "
        "JOIN lamindb_runinput i ON i.file_id = o.file_id) SELECT 1 FROM became WHERE run_id = %s LIMIT 1",
        [file_id, run_id],
    )
    return bool(found)


class Unlinked:
    """The inputs of runs that could not be recorded when they were read; they are with the end of their run."""

    goes_on = True

    def __init__(self) -> None:
        self.by_run: dict[str, list[File]] = {}

    def close(self) -> None:
        """Forget them."""
        self.by_run.clear()

    def after_fork(self) -> None:
        """Forget the runs of the parent process."""
        self.by_run.clear()


def link_read(run: Run, file: File) -> None:
    """Record a file that was read as an input of a run: of this process's own at its end, if the database fails now.

    Raises:
        DatabaseError, ReadOnlyError: The database failed, and `ln.settings.tracking_failure` is "error", or the run
            is not one of this process.
    """
    was_recorded = False
    try:
        if run is context.own_run() and not run.is_saved:
            # It could not be recorded when it began.
            verb("lamindb.records.save.save")(run)
        was_recorded = True
        link(run, [file], kind="input")
    except (DatabaseError, ReadOnlyError) as error:
        instance = context.connected(run.alias)
        if settings.tracking_failure == "error" or run is not context.own_run() or instance is None:
            raise
        unlinked = instance.part(Unlinked).by_run
        if was_recorded and run.id not in unlinked:
            messages.warning(f"what this run reads could not be recorded so far: {error}")
        if file not in unlinked.setdefault(run.id, []):
            unlinked[run.id].append(file)


def link_unlinked(instance: Instance, run: Run) -> None:
    """Record the inputs of a run that could not be recorded when they were read.

    Raises:
        DatabaseError: The database failed; they still wait.
    """
    unlinked = instance.part(Unlinked).by_run
    link(run, unlinked.get(run.id, []), kind="input")
    unlinked.pop(run.id, None)


def unlink(run: Run, files: Sequence[File], *, kind: str) -> None:
    """Forget that files were inputs or outputs of a run; the files stay, and so does `file.run`."""
    alias = str(run.alias)
    model: Any = RunInput if kind == "input" else RunOutput
    with database.writing(alias):
        query = model.objects.using(alias).filter(run_id=run.id, file_id__in=[file.id for file in files])
        query.order_by().delete_rows()


def reader_of(file: File, is_run_input: bool | Run | None) -> Run | None:
    """Return the run of which a file that is read becomes an input, or None.

    Raises:
        InvalidInputError: An input was asked for, but there is no run, or the file is not saved.
        InvalidTypeError: `is_run_input` is something else.
    """
    if is_run_input is None:
        wanted: Any = context.run() if settings.track_run_inputs else None
        if wanted is None and context.run() is not None:
            messages.hint("not recorded as an input: pass is_run_input=True, or set ln.settings.track_run_inputs")
        if wanted is None or wanted.alias != file.alias or not file.is_saved:
            return None
        return wanted  # type: ignore[no-any-return]
    if is_run_input is False:
        return None
    if is_run_input is not True and not isinstance(is_run_input, Run):
        raise InvalidTypeError(f"is_run_input must be True, False, None or a Run, not {type(is_run_input).__name__}")
    run: Any = context.run() if is_run_input is True else is_run_input
    if run is None:
        raise InvalidInputError("there is no current run whose input this could be: call ln.track() first")
    if not file.is_saved:
        raise InvalidInputError("this file is not saved yet and cannot be an input: save it first")
    check_same_instance(file, run)
    return run  # type: ignore[no-any-return]
