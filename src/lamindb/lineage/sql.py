"""Walks along lineage, in SQL: everything that can be reached by one recursive query, or step by step.

```
file --reader--> run --product--> file          downward
file --producer--> run --input--> file          upward
```

A walk is a set of ids and kinds, never of ways: `UNION` forgets what was met before, so diamonds cost no more than
their edges and cycles end. Depth is not carried along, because that would make one row of each length of a way; it is
counted by walking one step after the other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lamindb.models import File, Run, RunInput, RunOutput

FILE = 0
RUN = 1


@dataclass(frozen=True, slots=True)
class Arm:
    """One table that leads from nodes of one kind to those of the other: by `match` to `found`."""

    table: str
    match: str
    found: str


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk starts and which way it goes.

    Attributes:
        kind: What it starts from: `FILE` or `RUN`.
        starts: The ids that it starts from; not used where a transform is given.
        transform_id: Start from all runs of this transform.
        is_up: Towards where things came from.
        all_producers: A file leads to every run that produced the same bytes, and is led to by each of them.
    """

    kind: int
    starts: tuple[str, ...] = ()
    transform_id: str | None = None
    is_up: bool = True
    all_producers: bool = False

    def arms(self, kind: int) -> tuple[Arm, ...]:
        """Return the tables that lead on from files, or from runs."""
        files, inputs, outputs = (model._meta.db_table for model in (File, RunInput, RunOutput))
        if kind == FILE:
            first = Arm(files, "id", "run_id") if self.is_up else Arm(inputs, "file_id", "run_id")
            others = (Arm(outputs, "file_id", "run_id"),) if self.is_up else ()
        else:
            first = Arm(inputs, "run_id", "file_id") if self.is_up else Arm(files, "run_id", "id")
            others = () if self.is_up else (Arm(outputs, "run_id", "file_id"),)
        return (first, *others) if self.all_producers else (first,)


def reached_sql(vendor: str, walk: Walk, kind: int, *, with_starts: bool = False) -> tuple[str, list[Any]]:
    """Write the query for the ids of all files, or all runs, that a walk reaches.

    Args:
        vendor: `sqlite` or `postgresql`.
        walk: The walk.
        kind: What to return: `FILE` or `RUN`.
        with_starts: Also those that it starts from.
    """
    recursion, params = _recursion(vendor, walk)
    where = f"kind = {kind}"
    if kind == walk.kind and not with_starts:
        start, more = _start_sql(vendor, walk)
        where += f" AND id NOT IN ({start})"
        params = [*params, *more]
    return f"{recursion} SELECT id FROM reached WHERE {where}", params


def _recursion(vendor: str, walk: Walk) -> tuple[str, list[Any]]:
    start, params = _start_sql(vendor, walk)
    if vendor == "postgresql":
        # It takes the recursive table only once, so both kinds of steps share one look at it.
        steps = " UNION ALL ".join(
            f"SELECT {arm.found}::text AS id FROM {arm.table} "
            f"WHERE reached.kind = {kind} AND {arm.match} = reached.id AND {arm.found} IS NOT NULL"
            for kind in (FILE, RUN)
            for arm in walk.arms(kind)
        )
        following = f" UNION SELECT step.id, 1 - reached.kind FROM reached CROSS JOIN LATERAL ({steps}) step"
    else:
        # CROSS JOIN tells SQLite to begin with what was reached: it would scan a whole index otherwise.
        following = "".join(
            f" UNION SELECT t.{arm.found}, {1 - kind} FROM reached CROSS JOIN {arm.table} t "
            f"ON t.{arm.match} = reached.id WHERE reached.kind = {kind} AND t.{arm.found} IS NOT NULL"
            for kind in (FILE, RUN)
            for arm in walk.arms(kind)
        )
    first = f"SELECT start.id, {walk.kind} FROM ({start}) start"
    return f"WITH RECURSIVE reached(id, kind) AS ({first}{following})", params


def _start_sql(vendor: str, walk: Walk) -> tuple[str, list[Any]]:
    """Write the query for the ids that a walk starts from."""
    cast = "::text" if vendor == "postgresql" else ""
    if walk.transform_id is not None:
        return f"SELECT id{cast} AS id FROM {Run._meta.db_table} WHERE transform_id = %s", [walk.transform_id]
    if len(walk.starts) == 1:
        return f"SELECT %s{cast} AS id", [walk.starts[0]]
    return listed_sql(vendor, walk.starts)


def listed_sql(vendor: str, ids: Collection[str]) -> tuple[str, list[Any]]:
    """Write a query whose rows are these ids: one parameter, however many there are."""
    if vendor == "postgresql":
        return "SELECT unnest(%s::text[]) AS id", [list(ids)]
    return "SELECT value AS id FROM json_each(%s)", [json.dumps(list(ids))]


def step_sql(
    vendor: str, walk: Walk, kind: int, ids: Collection[str], *, only: Collection[str] | None = None
) -> tuple[str, list[Any]]:
    """Write the query for one step: distinct pairs of an id and an id that it leads to.

    Args:
        vendor: `sqlite` or `postgresql`.
        walk: The walk.
        kind: What the step starts from.
        ids: The ids that it starts from.
        only: Ids to which it may lead; None for all.
    """
    listed, params = listed_sql(vendor, ids)
    arms = walk.arms(kind)
    cast, plus = ("::text", "") if vendor == "postgresql" else ("", "+")
    condition = ""
    if only is not None:
        allowed, more = listed_sql(vendor, only)
        # The plus keeps SQLite from looking up each allowed id for each id: it hashes them once instead.
        condition = f" AND {plus}t.{{found}} IN ({allowed})"
        params = [*params, *more]
    parts = [
        f"SELECT here.id AS here, t.{arm.found}{cast} AS there FROM ({listed}) here CROSS JOIN {arm.table} t "
        f"WHERE t.{arm.match} = here.id AND t.{arm.found} IS NOT NULL{condition.format(found=arm.found)}"
        for arm in arms
    ]
    return " UNION ".join(parts), params * len(arms)


def reached_ids(link: Any, walk: Walk, kind: int) -> list[str]:
    """Return the ids of all files, or all runs, that a walk reaches, in no order, without its starts."""
    return [row[0] for row in fetch(link, *reached_sql(link.vendor, walk, kind))]


def reached_both(link: Any, walk: Walk) -> tuple[set[str], set[str]]:
    """Return the ids of the files and of the runs that a walk reaches, with its starts."""
    recursion, params = _recursion(link.vendor, walk)
    found: tuple[set[str], set[str]] = (set(), set())
    for node_id, kind in fetch(link, f"{recursion} SELECT id, kind FROM reached", params):
        found[kind].add(node_id)
    return found


def start_ids(link: Any, walk: Walk) -> list[str]:
    """Return the ids that a walk starts from, in order."""
    if walk.transform_id is None:
        return sorted(walk.starts)
    return sorted(row[0] for row in fetch(link, *_start_sql(link.vendor, walk)))


def near_ids(link: Any, walk: Walk, kind: int, depth: int) -> list[str]:
    """Return the ids of the files, or runs, of the nearest generations of a walk, without its starts, in order.

    Args:
        link: The connection.
        walk: The walk.
        kind: What to return.
        depth: How many generations of what is returned.
    """
    steps = 2 * depth - (kind != walk.kind)
    found: list[str] = []
    for step_kind, ids in steps_of(link, walk, steps):
        if step_kind == kind:
            found += ids
    return sorted(found)


def steps_of(link: Any, walk: Walk, steps: int) -> Iterator[tuple[int, list[str]]]:
    """Walk step by step; yield the kind and the ids of what each step met for the first time, in order."""
    kind = walk.kind
    front = start_ids(link, walk)
    seen: tuple[set[str], set[str]] = (set(), set())
    seen[kind].update(front)
    for _ in range(steps):
        rows = fetch(link, *step_sql(link.vendor, walk, kind, front))
        kind = 1 - kind
        front = sorted({there for _, there in rows} - seen[kind])
        if not front:
            return
        seen[kind].update(front)
        yield kind, front


def newest_from(link: Any, walk: Walk, kind: int, node_id: str, count: int) -> list[str]:
    """Return the newest nodes to which one step from a node leads, without looking at all of them."""
    found: set[str] = set()
    for arm in walk.arms(kind):
        sql = (
            f"SELECT {arm.found} FROM {arm.table} WHERE {arm.match} = %s AND {arm.found} IS NOT NULL "
            f"ORDER BY {arm.found} DESC LIMIT %s"
        )
        found.update(row[0] for row in fetch(link, sql, [node_id, count]))
    return sorted(found, reverse=True)[:count]


def fetch(link: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """Return all rows of a query."""
    with link.cursor() as cursor:
        cursor.execute(sql, params)
        rows: list[Any] = cursor.fetchall()
    return rows
