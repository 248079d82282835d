"""How one record led to another: the shortest way, or everything that lies between."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from lamindb.db import database
from lamindb.lineage import query, sql, subgraph
from lamindb.lineage.lineage_graph import LineageGraph


def path(source: Any, target: Any, *, all_producers: bool = False) -> LineageGraph:
    """Return the shortest way by which one record led to another; empty if it did not.

    Of equally short ways it is always the same one.

    Args:
        source: The earlier record, or its id or key.
        target: The later one.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: A record is not saved, or they belong to different instances.
        NoResultFound: There is no record with this id or key, or it was deleted.
    """
    source, target = query.record_of(source), query.record_of(target)
    link = database.connection(query.same_alias(source, target))
    to = query.walk_from(target, is_up=True, all_producers=all_producers)
    start = query.walk_from(source, is_up=True)
    nodes = _shortest(link, to, start.kind, set(sql.start_ids(link, start)))
    ids = {kind: [node_id for found, node_id in nodes if found == kind] for kind in (sql.FILE, sql.RUN)}
    pairs = [(one[1], other[1]) for one, other in pairwise(nodes)]
    focus = target.id if nodes else None
    return subgraph.graph_of(link, ids[sql.FILE], ids[sql.RUN], focus=focus, edges=pairs)


def _shortest(link: Any, walk: sql.Walk, goal_kind: int, goals: set[str]) -> list[tuple[int, str]]:
    """Walk back until a goal is met; return the nodes from the goal to where the walk began."""
    kind = walk.kind
    front = sql.start_ids(link, walk)
    led_to: dict[tuple[int, str], tuple[int, str] | None] = {(kind, node_id): None for node_id in front}
    while front:
        reached = sorted(goals.intersection(front)) if kind == goal_kind else []
        if reached:
            node: tuple[int, str] | None = (kind, reached[0])
            way = []
            while node is not None:
                way.append(node)
                node = led_to[node]
            return way
        following = []
        for here, there in sorted(sql.fetch(link, *sql.step_sql(link.vendor, walk, kind, front))):
            if (1 - kind, there) not in led_to:
                led_to[1 - kind, there] = (kind, here)
                following.append(there)
        kind, front = 1 - kind, following
    return []


def between(source: Any, target: Any, *, all_producers: bool = False) -> LineageGraph:
    """Return everything that lies on any way from one record to another, with both; empty if there is no way.

    Arguments and errors are as for `path`.
    """
    source, target = query.record_of(source), query.record_of(target)
    link = database.connection(query.same_alias(source, target))
    onward = sql.reached_both(link, query.walk_from(source, is_up=False, all_producers=all_producers))
    back = sql.reached_both(link, query.walk_from(target, is_up=True, all_producers=all_producers))
    files, runs = onward[sql.FILE] & back[sql.FILE], onward[sql.RUN] & back[sql.RUN]
    focus = target.id if files or runs else None
    return subgraph.graph_of(link, files, runs, focus=focus, all_producers=all_producers)
