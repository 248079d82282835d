"""Lineage as a graph value: nodes read by id, and the edges that join them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, pairwise, zip_longest
from typing import Any, TypeVar

from lamindb.core import context
from lamindb.db import database
from lamindb.environment.redaction import redact_text
from lamindb.errors import InvalidInputError, InvalidTypeError
from lamindb.lineage import query, sql
from lamindb.lineage.lineage_graph import Edge, FileNode, LineageGraph, RunNode
from lamindb.lineage.sql import FILE, RUN, Walk
from lamindb.models import File, Record, Run, RunOutput, Storage, Transform, User

Ends = tuple[str, str]
"""Ids of the two ends of an edge, in the direction in which things are made."""


def graph_of(
    link: Any,
    file_ids: Collection[str],
    run_ids: Collection[str],
    *,
    focus: str | None = None,
    asked: Sequence[str] = (),
    all_producers: bool = False,
    edges: Collection[Ends] | None = None,
    hidden_up: Mapping[str, int] | None = None,
    hidden_down: Mapping[str, int] | None = None,
    hidden_total: int | None = None,
    is_truncated: bool = False,
) -> LineageGraph:
    """Read the nodes with these ids, in the order of their ids, and the edges among them.

    Args:
        link: The connection.
        file_ids: Ids of the files.
        run_ids: Ids of the runs.
        focus: What was asked about.
        asked: What was asked about, if several records.
        all_producers: With edges from every run that produced the same bytes.
        edges: Which edges to show; None for all that join these nodes.
        hidden_up: How many more neighbours are before a node.
        hidden_down: How many more neighbours are after a node.
        hidden_total: How many different nodes these are.
        is_truncated: Something was left out.
    """
    files, runs = read_files(link, file_ids, all_producers=all_producers), read_runs(link, run_ids)
    known_files, known_runs = {file.id for file in files}, {run.id for run in runs}
    if edges is None:
        edges = edges_among(link, known_files, known_runs, all_producers=all_producers)
    return LineageGraph(
        files,
        runs,
        tuple(
            Edge(source, target, "input" if source in known_files else "output")
            for source, target in sorted(edges)
            if (source in known_files and target in known_runs) or (source in known_runs and target in known_files)
        ),
        focus,
        _counts(hidden_up, known_files | known_runs),
        _counts(hidden_down, known_files | known_runs),
        is_truncated,
        hidden_total,
        tuple(asked),
    )


def _counts(hidden: Mapping[str, int] | None, known: Collection[str]) -> dict[str, int]:
    return {node_id: count for node_id, count in (hidden or {}).items() if count > 0 and node_id in known}


def edges_among(
    link: Any, file_ids: Collection[str], run_ids: Collection[str], *, all_producers: bool = False
) -> set[Ends]:
    """Return all edges that join these files and runs, as pairs in the direction in which things are made."""
    back = Walk(FILE, all_producers=all_producers)
    found: set[Ends] = set()
    for kind, here, there in ((FILE, file_ids, run_ids), (RUN, run_ids, file_ids)):
        if here and there:
            rows = sql.fetch(link, *sql.step_sql(link.vendor, back, kind, here, only=there))
            found.update((before, after) for after, before in rows)
    return found


def read_files(link: Any, ids: Collection[str], *, all_producers: bool = False) -> tuple[FileNode, ...]:
    """Return the files with these ids, in the order of their ids; what is no more is left out.

    Args:
        link: The connection.
        ids: The ids.
        all_producers: The edges from all producers are shown, so nothing has to be said of those after the first.
    """
    instance = context.connected(link.alias)
    own_id = instance.storage_id if instance is not None else None
    listed, params = sql.listed_sql(link.vendor, ids)
    again = (
        "0"
        if all_producers
        else f"(SELECT COUNT(*) FROM {RunOutput._meta.db_table} o WHERE o.file_id = f.id AND o.run_id <> f.run_id)"
    )
    rows = sql.fetch(
        link,
        "SELECT f.id, f.key, f.name, f.suffix, f.size, f.version, f.is_latest, f.trashed_at, f.created_at, "
        f"s.id, s.location, {again} FROM ({listed}) here CROSS JOIN {File._meta.db_table} f "
        f"JOIN {Storage._meta.db_table} s ON s.id = f.storage_id WHERE f.id = here.id",
        params,
    )
    nodes = [
        FileNode(
            id=file_id,
            key=key,
            name=name,
            suffix=suffix,
            size=size,
            version=version,
            is_latest=bool(is_latest),
            is_trashed=trashed_at is not None,
            created_at=_time(created_at) or datetime.min.replace(tzinfo=UTC),
            storage=None if storage_id == own_id else redact_text(root),
            made_again=again,
        )
        for (
            file_id,
            key,
            name,
            suffix,
            size,
            version,
            is_latest,
            trashed_at,
            created_at,
            storage_id,
            root,
            again,
        ) in rows
    ]
    return tuple(sorted(nodes, key=lambda node: node.id))


def read_runs(link: Any, ids: Collection[str]) -> tuple[RunNode, ...]:
    """Return the runs with these ids, in the order of their ids; one whose process died is noticed."""
    listed, params = sql.listed_sql(link.vendor, ids)
    rows = sql.fetch(
        link,
        "SELECT r.id, r.name, r.status, t.id, t.name, t.type, t.version, u.handle, r.started_at, r.finished_at, "
        "r.created_at "
        f"FROM ({listed}) here CROSS JOIN {Run._meta.db_table} r "
        f"JOIN {Transform._meta.db_table} t ON t.id = r.transform_id "
        f"LEFT JOIN {User._meta.db_table} u ON u.id = r.created_by_id WHERE r.id = here.id",
        params,
    )
    running = [row[0] for row in rows if row[2] == "running"]
    statuses = {run.id: run.status for run in Run.objects.using(link.alias).filter(id__in=running)} if running else {}
    nodes = [
        RunNode(
            id=run_id,
            name=name,
            status=statuses.get(run_id, status),
            transform_id=transform_id,
            transform_name=transform_name,
            transform_type=kind,
            transform_version=version,
            user=handle or "",
            started_at=_time(started_at),
            finished_at=_time(finished_at),
            created_at=_time(created_at),
        )
        for (
            run_id,
            name,
            status,
            transform_id,
            transform_name,
            kind,
            version,
            handle,
            started_at,
            finished_at,
            created_at,
        ) in rows
    ]
    return tuple(sorted(nodes, key=lambda node: node.id))


def _time(value: Any) -> datetime | None:
    """Return a time as it comes from either database as aware UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is None:
        return None
    moment: datetime = value
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


DEPTH = 3
MAX_NODES = 300
Place = tuple[int, str]
"""A node: its kind and its id."""

_Item = TypeVar("_Item")

_ALWAYS_READ = 2_000
"""So many edges of one step are read whatever the room is, so that most pictures can tell exactly what they lack."""

_SHARE = 6
"""Where there is not room for all, one node shows at most this part of all nodes as its neighbours."""


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
        NoResultFound: There is no record with an id or key, or one was deleted.
    """
    found = _records(records)
    _check_numbers(depth, max_nodes)
    link = database.connection(query.same_alias(*found))
    walks = [query.walk_from(record, is_up=True, all_producers=all_producers) for record in found]
    starts = dict.fromkeys((walk.kind, node_id) for walk in walks for node_id in sql.start_ids(link, walk)[::-1])
    room = max(1, max_nodes)
    shown = dict.fromkeys(list(starts)[:room])
    searches = [
        _Search(link, Walk(FILE, is_up=is_up, all_producers=all_producers), list(shown))
        for is_up, is_wanted in ((True, up), (False, down))
        if is_wanted
    ]
    steps = None if depth is None else 2 * depth
    taken = 0
    while any(search.front for search in searches) and (steps is None or taken < steps):
        taken += 1
        looks = [look for search in searches for look in search.looks(room, only_runs=taken == steps)]
        _take(looks, shown, room)
    asked = [record.id for record in found]
    if len(asked) == 1 and not shown:
        asked = []
    return _graph(link, shown, searches, asked, room, all_producers=all_producers, is_cut=len(starts) > len(shown))


def _graph(
    link: Any,
    shown: dict[Place, None],
    searches: list[_Search],
    asked: list[str],
    room: int,
    *,
    all_producers: bool,
    is_cut: bool,
) -> LineageGraph:
    files, runs = ([node_id for found, node_id in shown if found == kind] for kind in (FILE, RUN))
    edges = edges_among(link, files, runs, all_producers=all_producers)
    hidden: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for search in searches:
        if search.is_cut:
            search.follow(edges)
        degrees: dict[str, int] = {}
        for before, after in edges:
            here = after if search.walk.is_up else before
            degrees[here] = degrees.get(here, 0) + 1
        totals = search.all_totals(room)
        lacking = {node_id: total - degrees.get(node_id, 0) for node_id, total in totals.items()}
        hidden[search.walk.is_up] = {node_id: count for node_id, count in lacking.items() if count > 0}
    return graph_of(
        link,
        files,
        runs,
        focus=asked[0] if len(asked) == 1 else None,
        asked=asked[:0] if len(asked) == 1 else asked,
        edges=edges,
        all_producers=all_producers,
        hidden_up=hidden[True],
        hidden_down=hidden[False],
        hidden_total=_hidden_total(searches, hidden, {node_id for _, node_id in shown}),
        is_truncated=is_cut or any(hidden.values()),
    )


def _hidden_total(searches: list[_Search], hidden: dict[bool, dict[str, int]], shown: Collection[str]) -> int | None:
    """Count the different nodes that are left out; None where some were too many to be told apart."""
    counts = [count for found in hidden.values() for count in found.values()]
    if len(counts) <= 1:
        return sum(counts)
    others: set[str] = set()
    for search in searches:
        for node_id in hidden[search.walk.is_up]:
            if node_id not in search.known:
                return None
            others.update(search.known[node_id])
    return len(others.difference(shown))


@dataclass(slots=True)
class _Search:
    """A walk in one direction, nearest first, that remembers the neighbours of each node, or only how many."""

    link: Any
    walk: Walk
    front: list[Place]
    met: dict[Place, None] = field(init=False)
    totals: dict[str, int] = field(default_factory=dict)
    known: dict[str, list[str]] = field(default_factory=dict)
    is_cut: bool = False

    def __post_init__(self) -> None:
        self.met = dict.fromkeys(self.front)

    def looks(self, room: int, *, only_runs: bool) -> Iterator[_Look]:
        """Look one step on from the front, which is given up."""
        front, self.front = self.front, []
        for kind in (FILE, RUN):
            ids = [node_id for found, node_id in front if found == kind]
            if ids and not (only_runs and kind == FILE):
                yield _Look.at(self, kind, ids, room)

    def step_sql(self, kind: int, ids: Sequence[str]) -> tuple[str, list[Any]]:
        """Write the query for one step in this direction."""
        return sql.step_sql(self.link.vendor, self.walk, kind, ids)

    def read(self, kind: int, ids: Sequence[str], room: int) -> bool:
        """Read the neighbours of nodes; only count them where they are more than a picture with this room needs.

        Returns:
            Whether they were read.
        """
        step, params = self.step_sql(kind, ids)
        most = max(_ALWAYS_READ, 2 * room + len(ids))
        rows = sql.fetch(self.link, f"{step} LIMIT {most + 1}", params)
        is_read = len(rows) <= most
        if is_read:
            found = _grouped(ids, rows)
            self.known |= found
            self.totals |= {node_id: len(others) for node_id, others in found.items()}
        else:
            counts = sql.fetch(self.link, f"SELECT here, COUNT(*) FROM ({step}) step GROUP BY here", params)
            self.totals |= dict.fromkeys(ids, 0) | dict(counts)
        return is_read

    def follow(self, edges: Iterable[Ends]) -> None:
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

    def all_totals(self, room: int) -> dict[str, int]:
        """Return how many neighbours each node has that the walk met, also those from which it did not go on."""
        for kind in (FILE, RUN):
            rest = [node_id for found, node_id in self.met if found == kind and node_id not in self.totals]
            if rest:
                self.read(kind, rest, room)
        return self.totals


@dataclass(slots=True)
class _Look:
    """What one step in one direction leads to, from nodes of one kind.

    `pairs` is None where there are too many to be read; `others` is None where also too many different nodes.
    """

    search: _Search
    kind: int
    ids: list[str]
    pairs: dict[str, list[str]] | None
    others: list[str] | None

    @classmethod
    def at(cls, search: _Search, kind: int, ids: list[str], room: int) -> _Look:
        """Look from these nodes; no more is read than a picture with this room could need."""
        if search.read(kind, ids, room):
            pairs = {node_id: search.known[node_id] for node_id in ids}
            return cls(search, kind, ids, pairs, list(dict.fromkeys(chain.from_iterable(pairs.values()))))
        step, params = search.step_sql(kind, ids)
        distinct = f"SELECT DISTINCT there FROM ({step}) step LIMIT {room + 1}"
        others = [row[0] for row in sql.fetch(search.link, distinct, params)]
        return cls(search, kind, ids, None, others if len(others) <= room else None)

    def new(self, shown: Collection[Place]) -> set[Place] | None:
        """Return what this would add to what is shown; None for too much."""
        if self.others is None:
            return None
        return {place for other in self.others if (place := (1 - self.kind, other)) not in shown}

    def all(self) -> Iterator[str]:
        """Yield everything that it leads to."""
        return _in_turn(self.pairs.values()) if self.pairs is not None else iter(self.others or ())

    def some(self, most_each: int) -> Iterator[str]:
        """Yield the newest neighbours of each node, those of all nodes in turn."""
        totals = self.search.totals
        many = [node_id for node_id in self.ids if totals[node_id] > most_each]
        self.search.is_cut |= bool(many)
        if self.pairs is not None:
            pairs = {node_id: found[:most_each] for node_id, found in self.pairs.items()}
        else:
            few = [node_id for node_id in self.ids if 0 < totals[node_id] <= most_each]
            rows = sql.fetch(self.search.link, *self.search.step_sql(self.kind, few)) if few else []
            pairs = _grouped(self.ids, rows)
            link, walk = self.search.link, self.search.walk
            pairs |= {found: sql.newest_from(link, walk, self.kind, found, most_each) for found in many}
        return _in_turn(pairs.values())


def _grouped(ids: Iterable[str], rows: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return what each node leads to, the newest first."""
    found: dict[str, list[str]] = {node_id: [] for node_id in ids}
    for here, there in rows:
        found[here].append(there)
    for others in found.values():
        others.sort(reverse=True)
    return found


def _take(looks: Sequence[_Look], shown: dict[Place, None], room: int) -> None:
    """Show what a step leads to: all of it if there is room, else a fair part of it."""
    added = [look.new(shown) for look in looks]
    fits = None not in added and len(set().union(*(places or () for places in added))) <= room - len(shown)
    for look, other in _in_turn(
        [(look, other) for other in (look.all() if fits else look.some(max(1, room // _SHARE)))] for look in looks
    ):
        search, place = look.search, (1 - look.kind, other)
        if place in search.met:
            continue
        if place not in shown:
            if len(shown) >= room:
                search.is_cut = True
                continue
            shown[place] = None
        search.met[place] = None
        search.front.append(place)


def _in_turn(lists: Iterable[Sequence[_Item]]) -> Iterator[_Item]:
    """Yield the first of each list, then the second of each, and so on: no list keeps another from its turn."""
    return (item for item in chain.from_iterable(zip_longest(*lists)) if item is not None)


def _records(records: Any) -> list[Any]:
    listed = [records] if isinstance(records, (Record, str)) or not isinstance(records, Iterable) else list(records)
    if not listed:
        raise InvalidInputError("a lineage graph needs at least one record to start from")
    return [query.record_of(record) for record in listed]


def _check_numbers(depth: Any, max_nodes: Any) -> None:
    query.check_depth(depth)
    if isinstance(max_nodes, bool) or not isinstance(max_nodes, int):
        raise InvalidTypeError(f"max_nodes must be a whole number, not {max_nodes!r}")
    if max_nodes < 1:
        raise InvalidInputError(f"max_nodes must be at least 1, not {max_nodes}")


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
    return graph_of(link, ids[sql.FILE], ids[sql.RUN], focus=focus, edges=pairs)


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
    return graph_of(link, files, runs, focus=focus, all_producers=all_producers)
