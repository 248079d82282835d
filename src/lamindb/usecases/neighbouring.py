"""What is around records, as a graph that is small enough to look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from lamindb.core.errors import InvalidInputError, InvalidTypeError
from lamindb.core.graph import LineageGraph
from lamindb.instance import database
from lamindb.models import Record, Transform
from lamindb.usecases import graphing, tracing, walking
from lamindb.usecases.walking import FILE, RUN, Walk

DEPTH = 3
MAX_NODES = 300
_SHARE = 6
"""One node shows at most this part of all nodes as its neighbours: else one that all use would leave no room."""


def neighbourhood(
    records: Any,
    *,
    up: bool = True,
    down: bool = True,
    depth: int | None = DEPTH,
    max_nodes: int = MAX_NODES,
    all_producers: bool = False,
) -> LineageGraph:
    """Return the nearest lineage of records: upward only what they came from, downward only what they became.

    Nearer nodes come first. What is left out next to a node that is shown is counted there.

    Args:
        records: A file, run or transform, an id or key of one, or several of them; of a transform, its runs.
        up: Show where they came from.
        down: Show what became of them.
        depth: How many generations of files in each direction; None for all.
        max_nodes: How many files and runs to show at most.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: There is no record, a number is negative, or the records are not of one open instance.
        InvalidTypeError: An argument is of another kind.
    """
    found = _records(records)
    _check_numbers(depth, max_nodes)
    link = database.connection(tracing.same_alias(*found))
    for record in found:
        tracing.check_exists(record)
    walks = [tracing.walk_from(record, is_up=True, all_producers=all_producers) for record in found]
    starts = dict.fromkeys((walk.kind, node_id) for walk in walks for node_id in walking.start_ids(link, walk)[::-1])
    room = max(1, max_nodes)
    shown = dict.fromkeys(list(starts)[:room])
    searches = [
        _Search(link, Walk(FILE, is_up=is_up, all_producers=all_producers), list(shown), max(1, max_nodes // _SHARE))
        for is_up, is_wanted in ((True, up), (False, down))
        if is_wanted
    ]
    steps = None if depth is None else 2 * depth
    taken = 0
    while any(search.front for search in searches) and (steps is None or taken < steps):
        taken += 1
        for search in searches:
            search.step(shown, room, only_runs=taken == steps)
    focus = found[0].id if len(found) == 1 and (shown or not isinstance(found[0], Transform)) else None
    return _graph(link, shown, searches, focus, all_producers=all_producers, is_cut=len(starts) > len(shown))


def _graph(
    link: Any,
    shown: dict[tuple[int, str], None],
    searches: list[_Search],
    focus: str | None,
    *,
    all_producers: bool,
    is_cut: bool,
) -> LineageGraph:
    files, runs = ([node_id for found, node_id in shown if found == kind] for kind in (FILE, RUN))
    edges = graphing.edges_among(link, files, runs, all_producers=all_producers)
    hidden: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for search in searches:
        if search.is_cut:
            search.follow(edges)
        degrees: dict[str, int] = {}
        for before, after in edges:
            here = after if search.walk.is_up else before
            degrees[here] = degrees.get(here, 0) + 1
        hidden[search.walk.is_up] = {
            node_id: total - degrees.get(node_id, 0) for node_id, total in search.all_totals().items()
        }
    is_truncated = is_cut or any(count > 0 for counts in hidden.values() for count in counts.values())
    return graphing.graph_of(
        link,
        files,
        runs,
        focus=focus,
        edges=edges,
        hidden_up=hidden[True],
        hidden_down=hidden[False],
        is_truncated=is_truncated,
    )


@dataclass(slots=True)
class _Search:
    """A walk in one direction, nearest first, that remembers how many neighbours each node has."""

    link: Any
    walk: Walk
    front: list[tuple[int, str]]
    most_each: int
    met: dict[tuple[int, str], None] = field(init=False)
    totals: dict[str, int] = field(default_factory=dict)
    is_cut: bool = False

    def __post_init__(self) -> None:
        self.met = dict.fromkeys(self.front)

    def step(self, shown: dict[tuple[int, str], None], room: int, *, only_runs: bool) -> None:
        """Go one step on from the front, adding to what is shown while there is room."""
        following: list[tuple[int, str]] = []
        for kind in (FILE, RUN):
            ids = [node_id for found, node_id in self.front if found == kind]
            if not ids or (only_runs and kind == FILE):
                continue
            neighbours = self._neighbours(kind, ids)
            for other in _in_turn(neighbours[node_id] for node_id in ids):
                node = (1 - kind, other)
                if node in self.met:
                    continue
                if node not in shown:
                    if len(shown) >= room:
                        self.is_cut = True
                        continue
                    shown[node] = None
                self.met[node] = None
                following.append(node)
        self.front = following

    def _neighbours(self, kind: int, ids: list[str]) -> dict[str, list[str]]:
        """Return the neighbours of nodes, the newest first; of those with very many, only the newest."""
        sql, params = walking.step_sql(self.link.vendor, self.walk, kind, ids)
        most = 2 * self.most_each + len(ids)
        pairs = walking.fetch(self.link, f"{sql} LIMIT {most + 1}", params)
        if len(pairs) > most:
            counts = self._count(kind, ids)
            many = [node_id for node_id in ids if counts.get(node_id, 0) > self.most_each]
            few = [node_id for node_id in ids if 0 < counts.get(node_id, 0) <= self.most_each]
            pairs = walking.fetch(self.link, *walking.step_sql(self.link.vendor, self.walk, kind, few)) if few else []
        else:
            many = []
        found: dict[str, list[str]] = {node_id: [] for node_id in ids}
        for here, there in pairs:
            found[here].append(there)
        for node_id in many:
            found[node_id] = walking.newest_from(self.link, self.walk, kind, node_id, self.most_each)
        for node_id in ids:
            if node_id not in many:
                self.totals[node_id] = len(found[node_id])
                found[node_id] = sorted(found[node_id], reverse=True)[: self.most_each]
            self.is_cut |= self.totals[node_id] > self.most_each
        return found

    def _count(self, kind: int, ids: Sequence[str]) -> dict[str, int]:
        sql, params = walking.step_sql(self.link.vendor, self.walk, kind, ids)
        counts = dict(walking.fetch(self.link, f"SELECT here, COUNT(*) FROM ({sql}) step GROUP BY here", params))
        self.totals |= dict.fromkeys(ids, 0) | counts
        return counts

    def follow(self, edges: Iterable[graphing.Ends]) -> None:
        """Also meet what is shown, because the other direction met it, where this walk was cut short of it."""
        steps: dict[str, list[str]] = {}
        for before, after in edges:
            here, there = (after, before) if self.walk.is_up else (before, after)
            steps.setdefault(here, []).append(there)
        front = list(self.met)
        while front:
            kind, node_id = front.pop()
            for other in steps.get(node_id, ()):
                if (1 - kind, other) not in self.met:
                    self.met[1 - kind, other] = None
                    front.append((1 - kind, other))

    def all_totals(self) -> dict[str, int]:
        """Return how many neighbours each node has that the walk met, also those from which it did not go on."""
        for kind in (FILE, RUN):
            rest = [node_id for found, node_id in self.met if found == kind and node_id not in self.totals]
            if rest:
                self._count(kind, rest)
        return self.totals


def _in_turn(lists: Iterable[list[str]]) -> Iterator[str]:
    """Yield the first of each list, then the second of each, and so on: no list keeps another from its turn."""
    return (item for item in chain.from_iterable(zip_longest(*lists)) if item is not None)


def _records(records: Any) -> list[Any]:
    listed = [records] if isinstance(records, (Record, str)) or not isinstance(records, Iterable) else list(records)
    if not listed:
        raise InvalidInputError("a lineage graph needs at least one record to start from")
    return [tracing.record_of(record) for record in listed]


def _check_numbers(depth: Any, max_nodes: Any) -> None:
    tracing.check_depth(depth)
    if isinstance(max_nodes, bool) or not isinstance(max_nodes, int):
        raise InvalidTypeError(f"max_nodes must be a whole number, not {max_nodes!r}")
    if max_nodes < 1:
        raise InvalidInputError(f"max_nodes must be at least 1, not {max_nodes}")
