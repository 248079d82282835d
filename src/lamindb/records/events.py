"""Events of saved files: renamed, removed to the trash, restored, each written in the transaction of its change."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from lamindb.core import context, ids, messages
from lamindb.db import database
from lamindb.errors import LaminError
from lamindb.models import FileEvent, Run, rows
from lamindb.records import save
from lamindb.records.open_instance import Instance

_TABLE = FileEvent._meta.db_table


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes files: a user, and the run in which it happens, by their ids."""

    user_id: str | None
    run_id: str | None


def author(instance: Instance) -> Author:
    """Return who works in an instance, with the current run; their rows are written if there are none so far.

    Call it before the transaction, whose failure would take these rows with it.
    """
    run: Any = context.run()
    is_own = isinstance(run, Run) and run.alias == instance.alias
    return Author(instance.user_id(), run.id if is_own and _is_recorded(run) else None)


def _is_recorded(run: Run) -> bool:
    """Return True if a run has a row; one that could not be recorded when it began is saved, unless that fails."""
    if not run.is_saved:
        try:
            save.save(run)
        except LaminError as error:
            messages.debug(f"the current run is not recorded: {error}")
            return False
    return True


def renamed(connection: Any, stem_id: str, key: str | None, by: Author, at: datetime.datetime) -> None:
    """Note that all versions of a file are about to get another key."""
    _write(connection, "renamed", "id BETWEEN %s AND %s", ids.version_range(stem_id), by, at, key=key)


def removed(connection: Any, file_ids: Collection[str], by: Author, at: datetime.datetime) -> None:
    """Note that files are about to go to the trash; those that are there already are passed over."""
    for chunk in database.chunks(file_ids):
        condition = f"trashed_at IS NULL AND id IN ({rows.marks(chunk)})"
        _write(connection, "removed", condition, chunk, by, at)


def restored(connection: Any, file_ids: Collection[str], by: Author, at: datetime.datetime) -> None:
    """Note that files are about to come back from the trash."""
    for chunk in database.chunks(file_ids):
        condition = f"trashed_at IS NOT NULL AND id IN ({rows.marks(chunk)})"
        _write(connection, "restored", condition, chunk, by, at)


def _write(
    connection: Any,
    kind: str,
    condition: str,
    values: Sequence[str],
    by: Author,
    at: datetime.datetime,
    *,
    key: str | None = None,
) -> None:
    """Inside a transaction, before the rows are changed: write an event for each file for which a condition holds."""
    old_key = "key" if kind == "renamed" else "NULL"
    time = connection.ops.adapt_datetimefield_value(at)
    connection.run(
        f"INSERT INTO {_TABLE} (file_id, kind, old_key, new_key, created_at, created_by_id, run_id) "
        f"SELECT id, %s, {old_key}, %s, %s, %s, %s FROM lamindb_file WHERE {condition} ORDER BY id",
        [kind, key, time, by.user_id, by.run_id, *values],
    )
