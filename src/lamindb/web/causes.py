"""Stale and affected files by what makes them so: some of each cause, and a page of all files of one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from lamindb.db import database
from lamindb.lineage import query, recall, staleness
from lamindb.lineage.sql import FILE, Walk
from lamindb.lineage.staleness import Cause
from lamindb.models import File, Flag
from lamindb.records.open_instance import Instance
from lamindb.web import queries
from lamindb.web.queries import NewestStale, Rows

MOST_NEWEST: Final = 60
"""Where more of the newest files are stale, only these are looked at: to find all of them takes long."""
PATIENCE_SECONDS: Final = 4.0
_LOOKS: Final = 2
"""So many looks farther back than marks need are taken for the causes, before all is asked for."""
_MOST_IN_GROUP: Final = 10
_MOST_AFFECTED: Final = 500
_LOOKED_AT: Final = 120
"""So many files are looked at for one page of a cause."""


def _current(instance: Instance) -> Any:
    return File.objects.using(instance.alias).filter(is_latest=True, trashed_at__isnull=True)


def stale_groups(instance: Instance) -> tuple[list[dict[str, Any]], bool, bool]:
    """Return stale current files by their nearest causes: `read`, `current` (None if removed), `files` and `more`.

    Returns:
        The groups, whether they are only of the newest stale files, and whether the time was over.
    """
    newest = queries.newest_stale(instance, _current(instance), MOST_NEWEST)
    is_newest = len(newest.ids) == MOST_NEWEST
    groups: list[dict[str, Any]] = []
    with queries.time_limit(instance, PATIENCE_SECONDS) as clock:
        found = _causes_of(instance, newest) if is_newest else staleness.ids_by_cause(instance.alias)
        groups = [
            {"read": read, "current": new, "files": stale[:_MOST_IN_GROUP], "more": max(0, len(stale) - _MOST_IN_GROUP)}
            for read, new, stale in staleness.records_by_cause(instance.alias, found)
        ]
    return groups, is_newest, clock.is_over


def _causes_of(instance: Instance, newest: NewestStale) -> dict[Cause, list[str]]:
    """Return the nearest causes of the newest stale files."""
    found: dict[Cause, list[str]] = {}
    rest: Collection[str] = newest.ids
    if newest.search is not None:
        found, rest = newest.search.causes(newest.ids, _LOOKS)
    far = staleness.ids_by_cause(instance.alias, rest) if rest else {}
    return {cause: [*found.get(cause, ()), *far.get(cause, ())] for cause in {**found, **far}}


def affected_groups(instance: Instance) -> tuple[list[dict[str, Any]], bool, bool]:
    """Return affected current files by the nearest flagged file: `cause`, `files` and `more`.

    Returns:
        The groups, whether there are more files than were looked at, and whether the time was over.
    """
    groups: dict[str, dict[str, Any]] = {}
    is_part = False
    with queries.time_limit(instance, PATIENCE_SECONDS) as clock:
        listed = list(_current(instance).filter(id__in=recall.Affected()).order_by()[: _MOST_AFFECTED + 1])
        files = {file.id: file for file in listed[:_MOST_AFFECTED]}
        is_part = len(listed) > _MOST_AFFECTED
        _, flagged_by = recall.marks(database.connection(instance.alias), list(files))
        for file_id, cause in flagged_by.items():
            group = groups.setdefault(cause.id, {"cause": cause, "files": [], "more": 0})
            if len(group["files"]) < _MOST_IN_GROUP:
                group["files"].append(files[file_id])
            else:
                group["more"] += 1
    return list(groups.values()), is_part, clock.is_over


def stale_by(instance: Instance, read_id: str, after: str = "") -> Rows[File]:
    """Return one page of the stale current files whose nearest cause is a version that was read, the newest first.

    Where most files are stale, those of the cause are found among the next stale files, and a page may be short.
    """
    whole = _current(instance).select_related("transform", "created_by")
    newest = queries.newest_stale(instance, queries.behind(_current(instance), after), _LOOKED_AT)
    if len(newest.ids) < MOST_NEWEST:
        rows: Rows[File] | None = None
        with queries.time_limit(instance, PATIENCE_SECONDS):
            ids = _of_cause(staleness.ids_by_cause(instance.alias), read_id)
            rows = queries.page_among(instance, whole, ids, after)
        if rows is not None:
            return rows
    near: dict[Cause, list[str]] | None = None
    with queries.time_limit(instance, PATIENCE_SECONDS):
        near = _causes_of(instance, newest)
    if near is None:
        # Nothing is known of these files: a link to what follows them would skip them.
        return Rows([], is_cut=True)
    found = queries.page_among(instance, whole, _of_cause(near, read_id), after)
    return Rows(found.rows, found.after or newest.after, len(newest.ids) < MOST_NEWEST)


def _of_cause(found: dict[Cause, list[str]], read_id: str) -> list[str]:
    return [file_id for (read, _), ids in found.items() if read == read_id for file_id in ids]


def affected_by(instance: Instance, flagged_id: str, after: str = "") -> Rows[File]:
    """Return one page of the affected current files whose nearest flagged file is this one, the newest first.

    All that was derived from it is looked at in turn; a page may be short where other flagged files are nearer.
    """
    if not Flag.objects.using(instance.alias).filter(file_id=flagged_id, removed_at__isnull=True).exists():
        return Rows([])
    walk = Walk(FILE, (flagged_id,), is_up=False, all_producers=True)
    derived = queries.behind(_current(instance).filter(id__in=query.Reached(walk, FILE)), after)
    listed: list[File] = []
    with queries.time_limit(instance, PATIENCE_SECONDS) as clock:
        listed = list(derived.order_by("-created_at", "-id")[: _LOOKED_AT + 1])
    # Where it takes too long to find out which flagged file is the nearest, all that was derived is shown.
    ids = [file.id for file in listed[:_LOOKED_AT]]
    with queries.time_limit(instance, PATIENCE_SECONDS):
        _, flagged_by = recall.marks(database.connection(instance.alias), ids)
        ids = [file_id for file_id, cause in flagged_by.items() if cause.id == flagged_id]
    found = queries.page_among(instance, _current(instance).select_related("transform", "created_by"), ids, after)
    more = queries.cursor(listed[_LOOKED_AT - 1]) if len(listed) > _LOOKED_AT else ""
    return Rows(found.rows, found.after or more, clock.is_over)
