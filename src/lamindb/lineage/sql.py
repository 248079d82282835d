"""SQL for walks along the lineage: everything reachable by one recursive query, or step by step.

```
file --reader--> run --product--> file          downward
file --producer--> run --input--> file          upward
```

The recursive query collects distinct nodes, not paths: `UNION` drops nodes found before, so a diamond costs no more
than its edges, and cycles end. It has no column for the depth, which would make rows distinct by path length; a walk
with a depth takes one query a step.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from lamindb.models import File, Run, RunInput, RunOutput

FILE = 0
RUN = 1

_MOST_AHEAD = 50_000
"""More pairs are not read at once."""


class Arm(NamedTuple):
    """One table with edges from one kind of node to the other, from column `match` to column `found`."""

    table: str
    match: str
    found: str


class Walk(NamedTuple):
    """Where a walk starts and its direction.

    Attributes:
        kind: The kind of its starts: `FILE` or `RUN`.
        starts: The ids that it starts from; unused if `transform_id` is set.
        transform_id: Start from all runs of this transform, and the runs inside them.
        is_up: Towards ancestors.
        all_producers: Include an edge from every run that produced the bytes of a file, not only the first.
        start: A query without parameters for the ids that it starts from, in place of `starts`.
    """

    kind: int
    starts: tuple[str, ...] = ()
    transform_id: str | None = None
    is_up: bool = True
    all_producers: bool = False
    start: str = ""

    def arms(self, kind: int) -> tuple[Arm, ...]:
        """Return the tables of edges from files, or from runs."""
        files, inputs, outputs = (model._meta.db_table for model in (File, RunInput, RunOutput))
        if kind == FILE:
            first = Arm(files, "id", "run_id") if self.is_up else Arm(inputs, "file_id", "run_id")
            others = (Arm(outputs, "file_id", "run_id"),) if self.is_up else ()
        else:
            first = Arm(inputs, "run_id", "file_id") if self.is_up else Arm(files, "run_id", "id")
            others = () if self.is_up else (Arm(outputs, "run_id", "file_id"),)
        return (first, *others) if self.all_producers else (first,)


def reached_sql(vendor: str, walk: Walk, kind: int, *, with_starts: bool = False) -> tuple[str, list[Any]]:
    """Return the query for the ids of all files, or all runs, that a walk reaches.

    Args:
        vendor: `sqlite` or `postgresql`.
        walk: The walk.
        kind: The kind to return: `FILE` or `RUN`.
        with_starts: Include the starts.
    """
    recursion, params = _recursion(vendor, walk)
    where = f"kind = {kind}"
    if kind == walk.kind and not with_starts:
        start, more = _start_sql(vendor, walk)
        where += f" AND id NOT IN ({start})"
        params = [*params, *more]
    return f"{recursion} SELECT id FROM reached WHERE {where}", params


def _recursion(vendor: str, walk: Walk) -> tuple[str, list[Any]]:
    recursion, params = closure_sql(vendor, walk, "reached")
    return f"WITH RECURSIVE {recursion}", params


def closure_sql(vendor: str, walk: Walk, name: str, *, within: str = "") -> tuple[str, list[Any]]:
    """Return a common table expression of all nodes that a walk reaches, with its starts, as ids and kinds.

    Args:
        vendor: `sqlite` or `postgresql`.
        walk: The walk.
        name: The name of the expression.
        within: The name of another one: a step to a run is taken only if it is in there.
    """
    start, params = _start_sql(vendor, walk)
    bounds = ("", "") if not within else (f" AND {{run}} IN (SELECT id FROM {within} WHERE kind = {RUN})", "")
    if vendor == "postgresql":
        # PostgreSQL allows one reference to the recursive table, so both kinds of steps share it.
        steps = " UNION ALL ".join(
            f"SELECT {arm.found}::text AS id FROM {arm.table} WHERE {name}.kind = {kind} AND {arm.match} = {name}.id "
            f"AND {arm.found} IS NOT NULL{bounds[kind].format(run=arm.found)}"
            for kind in (FILE, RUN)
            for arm in walk.arms(kind)
        )
        recursive = f" UNION SELECT step.id, 1 - {name}.kind FROM {name} CROSS JOIN LATERAL ({steps}) step"
    else:
        # CROSS JOIN fixes the join order in SQLite: it would scan a whole index otherwise.
        recursive = "".join(
            f" UNION SELECT t.{arm.found}, {1 - kind} FROM {name} CROSS JOIN {arm.table} t "
            f"ON t.{arm.match} = {name}.id WHERE {name}.kind = {kind} AND t.{arm.found} IS NOT NULL"
            # A unary plus disables the index: it would look up each run of the other expression.
            f"{bounds[kind].format(run=f'+t.{arm.found}')}"
            for kind in (FILE, RUN)
            for arm in walk.arms(kind)
        )
    first = f"SELECT start.id, {walk.kind} FROM ({start}) start"
    return f"{name}(id, kind) AS ({first}{recursive})", params


def _start_sql(vendor: str, walk: Walk) -> tuple[str, list[Any]]:
    """Return the query for the ids that a walk starts from."""
    cast = "::text" if vendor == "postgresql" else ""
    if walk.start:
        return walk.start, []
    if walk.transform_id is not None:
        runs = Run._meta.db_table
        inside = (
            f"WITH RECURSIVE part(id) AS (SELECT id{cast} FROM {runs} WHERE transform_id = %s "
            f"UNION SELECT r.id{cast} FROM part CROSS JOIN {runs} r WHERE r.parent_id = part.id) SELECT id FROM part"
        )
        return f"SELECT id FROM ({inside}) inside", [walk.transform_id]
    if len(walk.starts) == 1:
        return f"SELECT %s{cast} AS id", [walk.starts[0]]
    return listed_sql(vendor, walk.starts)


def listed_sql(vendor: str, ids: Collection[str]) -> tuple[str, list[Any]]:
    """Return a query whose rows are these ids, with one parameter for all of them."""
    if vendor == "postgresql":
        return "SELECT unnest(%s::text[]) AS id", [list(ids)]
    return "SELECT value AS id FROM json_each(%s)", [json.dumps(list(ids))]


def step_sql(
    vendor: str, walk: Walk, kind: int, ids: Collection[str], *, only: Collection[str] | None = None
) -> tuple[str, list[Any]]:
    """Return the query for one step: distinct pairs of `node` and `neighbour`.

    Args:
        vendor: `sqlite` or `postgresql`.
        walk: The walk.
        kind: The kind of the nodes that it starts from.
        ids: Their ids.
        only: The ids of allowed neighbours; None means all.
    """
    listed, params = listed_sql(vendor, ids)
    arms = walk.arms(kind)
    cast, no_index = ("::text", "") if vendor == "postgresql" else ("", "+")
    condition = ""
    if only is not None:
        allowed, more = listed_sql(vendor, only)
        # A unary plus disables the index in SQLite: it hashes the allowed ids once instead of looking up each pair.
        condition = f" AND {no_index}t.{{found}} IN ({allowed})"
        params = [*params, *more]
    parts = [
        f"SELECT listed.id AS node, t.{arm.found}{cast} AS neighbour FROM ({listed}) listed CROSS JOIN {arm.table} t "
        f"WHERE t.{arm.match} = listed.id AND t.{arm.found} IS NOT NULL{condition.format(found=arm.found)}"
        for arm in arms
    ]
    return " UNION ".join(parts), params * len(arms)


def reached_ids(connection: Any, walk: Walk, kind: int) -> list[str]:
    """Return the ids of all files, or all runs, that a walk reaches, unordered and without its starts."""
    return [row[0] for row in fetch(connection, *reached_sql(connection.vendor, walk, kind))]


def reached_both(connection: Any, walk: Walk, at_most: int | None = None) -> tuple[set[str], set[str]]:
    """Return the ids of the files and of the runs that a walk reaches, with its starts; `at_most` so many in all."""
    recursion, params = _recursion(connection.vendor, walk)
    found: tuple[set[str], set[str]] = (set(), set())
    limit = "" if at_most is None else f" LIMIT {at_most}"
    for node_id, kind in fetch(connection, f"{recursion} SELECT id, kind FROM reached{limit}", params):
        found[kind].add(node_id)
    return found


def start_ids(connection: Any, walk: Walk) -> list[str]:
    """Return the sorted ids that a walk starts from."""
    if walk.transform_id is None:
        return sorted(walk.starts)
    return sorted(row[0] for row in fetch(connection, *_start_sql(connection.vendor, walk)))


def near_ids(connection: Any, walk: Walk, kind: int, depth: int) -> list[str]:
    """Return the sorted ids of the files, or runs, in the nearest generations of a walk, without its starts.

    Args:
        connection: The connection.
        walk: The walk.
        kind: The kind to return.
        depth: The number of generations of this kind.
    """
    steps = 2 * depth - (kind != walk.kind)
    found: list[str] = []
    for step_kind, ids in steps_of(connection, walk, steps):
        if step_kind == kind:
            found += ids
    return sorted(found)


def steps_of(connection: Any, walk: Walk, steps: int) -> Iterator[tuple[int, list[str]]]:
    """Walk step by step; yield the kind and the sorted ids of the nodes that each step finds first."""
    kind = walk.kind
    frontier = start_ids(connection, walk)
    seen: tuple[set[str], set[str]] = (set(), set())
    seen[kind].update(frontier)
    for _ in range(steps):
        rows = fetch(connection, *step_sql(connection.vendor, walk, kind, frontier))
        kind = 1 - kind
        frontier = sorted({neighbour for _, neighbour in rows} - seen[kind])
        if not frontier:
            return
        seen[kind].update(frontier)
        yield kind, frontier


def steps_ahead(
    connection: Any, walk: Walk, kind: int, ids: Collection[str], steps: int
) -> list[list[tuple[str, str]]]:
    """Return pairs of a node and a neighbour, for each of the next steps of a walk, by one query.

    A step has all pairs of the nodes that the step before found, also of those that a walk has been at. There are fewer
    steps if no more nodes follow, and at least one if there are too many pairs to read.
    """
    listed, params = listed_sql(connection.vendor, ids)
    cast = "::text" if connection.vendor == "postgresql" else ""
    first = f"SELECT 0, {kind}, ''{cast}, listed.id{cast} FROM ({listed}) listed"
    arms = [(one, arm) for one in (FILE, RUN) for arm in walk.arms(one)]
    if connection.vendor == "postgresql":
        found = " UNION ALL ".join(
            f"SELECT {arm.found}::text AS id FROM {arm.table} WHERE near.kind = {one} AND {arm.match} = near.id "
            f"AND {arm.found} IS NOT NULL"
            for one, arm in arms
        )
        more = (
            f" UNION SELECT near.step + 1, 1 - near.kind, near.id, next.id FROM near CROSS JOIN LATERAL ({found}) next "
            f"WHERE near.step < {steps}"
        )
    else:
        more = "".join(
            f" UNION SELECT near.step + 1, {1 - one}, near.id, t.{arm.found} FROM near CROSS JOIN {arm.table} t "
            f"WHERE near.kind = {one} AND near.step < {steps} AND t.{arm.match} = near.id AND t.{arm.found} IS NOT NULL"
            for one, arm in arms
        )
    text = (
        f"WITH RECURSIVE near(step, kind, node, id) AS ({first}{more}) "
        f"SELECT step, node, id FROM near WHERE step > 0 LIMIT {_MOST_AHEAD + 1}"
    )
    rows = fetch(connection, text, params)
    if len(rows) > _MOST_AHEAD:
        if steps > 1:
            return steps_ahead(connection, walk, kind, ids, steps // 4 or 1)
        return [fetch(connection, *step_sql(connection.vendor, walk, kind, ids))]
    ahead: list[list[tuple[str, str]]] = []
    for step, node, neighbour in sorted(rows):
        if step > len(ahead):
            ahead.append([])
        ahead[-1].append((node, neighbour))
    return ahead


def newest_from(connection: Any, walk: Walk, kind: int, node_id: str, count: int) -> list[str]:
    """Return the newest neighbours of a node, without reading all of them."""
    found: set[str] = set()
    for arm in walk.arms(kind):
        sql = (
            f"SELECT {arm.found} FROM {arm.table} WHERE {arm.match} = %s AND {arm.found} IS NOT NULL "
            f"ORDER BY {arm.found} DESC LIMIT %s"
        )
        found.update(row[0] for row in fetch(connection, sql, [node_id, count]))
    return sorted(found, reverse=True)[:count]


def fetch(connection: Any, sql: str, params: Sequence[Any]) -> list[Any]:
    """Return all rows of a query."""
    rows: list[Any] = connection.fetch(sql, params)
    return rows
