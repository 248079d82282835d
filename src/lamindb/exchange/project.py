"""What a page in one file is made of: records, their edges, and what is stored with runs, read once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lamindb.core import context
from lamindb.db import database
from lamindb.errors import InvalidInputError, NoResultFound
from lamindb.lineage import query, sql, subgraph
from lamindb.lineage.lineage_graph import LineageGraph
from lamindb.lineage.sql import FILE, RUN
from lamindb.models import File, Run, Transform
from lamindb.records.open_instance import Instance

MOST_RECORDS = 50_000
"""More files and runs are not put into one file."""


@dataclass(frozen=True)
class Project:
    """A project, or a part of it.

    Attributes:
        instance: Where it is read.
        graph: Its files, runs and edges, those of all producers.
        files: The files by id.
        runs: The runs by id, with their transform and user.
        asked: What was asked for; empty for the whole project.
    """

    instance: Instance
    graph: LineageGraph
    files: dict[str, File]
    runs: dict[str, Run]
    asked: tuple[Any, ...] = ()

    @cached_property
    def transforms(self) -> dict[str, Transform]:
        """The transforms of the runs, by id."""
        return {run.transform_id: run.transform for run in self.runs.values()}


def read_project(records: Iterable[Any] = ()) -> Project:
    """Return the whole project, or what is before and after some records, with all versions of their files.

    Args:
        records: Files, runs and transforms of the current instance; none means all.

    Raises:
        InvalidInputError: There are more records than one file can hold.
        NoResultFound: There is nothing to show.
    """
    instance = context.instance()
    asked = tuple(records)
    connection = database.connection(instance.alias)
    file_ids, run_ids = _part(connection, asked) if asked else _all(instance.alias)
    if len(file_ids) + len(run_ids) > MOST_RECORDS:
        raise InvalidInputError(
            f"one file can hold {MOST_RECORDS:,} files and runs, and these are more: name the keys or runs to show"
        )
    if not file_ids and not run_ids:
        raise NoResultFound(f"the instance {instance.name!r} has no file and no run yet")
    graph = subgraph.graph_of(connection, sorted(file_ids), sorted(run_ids), all_producers=True)
    files = _in_bulk(File.objects.using(instance.alias).select_related("created_by"), file_ids)
    runs = _in_bulk(Run.objects.using(instance.alias).select_related("created_by", "transform"), run_ids)
    return Project(instance, graph, files, runs, asked)


def _all(alias: str) -> tuple[set[str], set[str]]:
    found = []
    for model in (File, Run):
        rows: Any = model.objects.using(alias).order_by().values_list("id", flat=True)
        found.append(set(rows[: MOST_RECORDS + 1]))
    return found[0], found[1]


def _part(connection: Any, records: Iterable[Any]) -> tuple[set[str], set[str]]:
    """Return the ids of what is before and after records, with them, and of all versions of the files named."""
    found: dict[int, set[str]] = {FILE: set(), RUN: set()}
    for record in records:
        starts = list(record.versions) if isinstance(record, File) else [record]
        for start in starts:
            for is_up in (True, False):
                walk = query.walk_from(start, is_up=is_up, all_producers=True)
                reached = sql.reached_both(connection, walk)
                found[FILE] |= reached[FILE]
                found[RUN] |= reached[RUN]
    return found[FILE], found[RUN]


def _in_bulk(rows: Any, ids: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for chunk in database.chunks(sorted(ids)):
        found.update(rows.in_bulk(chunk))
    return found
