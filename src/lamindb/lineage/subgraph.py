"""Read parts of the lineage as a `LineageGraph`: around records, between two records, or by ids."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, pairwise, zip_longest
from typing import Any, TypeVar

from lamindb.core import context
from lamindb.core.ids import STEM_LENGTH
from lamindb.db import database
from lamindb.environment.redaction import HIDDEN, is_secret_name, redact_text
from lamindb.errors import InvalidInputError, InvalidTypeError
from lamindb.lineage import query, recall, sql, stale_marks
from lamindb.lineage.lineage_graph import Edge, FileNode, FlaggedBy, LineageGraph, RunNode
from lamindb.lineage.sql import FILE, RUN, Walk
from lamindb.models import File, Flag, Record, Run, RunInput, RunOutput, Storage, Transform, User
from lamindb.models.code import is_callers

_MAX_COMPARED = 2_000
_MOST_PARAMS = 100
"""Parameters are compared among at most this many runs."""
_MAX_NESTED = 10

NOT_LOOKED_FOR = "older staleness was not looked for"
"""The note of a graph in which not all that may make its files stale was looked at."""

Ends = tuple[str, str]
"""The ids of the two ends of an edge, in the direction of data flow."""


def graph_of(
    connection: Any,
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
    looks: int | None = None,
    has_marks: bool = True,
) -> LineageGraph:
    """Return the graph of the nodes with these ids, in the order of their ids, and the edges among them.

    Args:
        connection: The connection.
        file_ids: Ids of the files.
        run_ids: Ids of the runs.
        focus: The id of the record that the graph is about.
        asked: Their ids, if the graph is about several records.
        all_producers: Include edges from every run that produced the same bytes.
        edges: The edges to include; None means all among these nodes.
        hidden_up: For node ids, how many parents are left out.
        hidden_down: For node ids, how many children are left out.
        hidden_total: How many distinct nodes these are.
        is_truncated: Nodes were left out.
        looks: See `stale_marks.stale_among`; a note says so if not all that may make files stale was looked at.
        has_marks: Mark files that are flagged or affected, for which all that they came from is looked at.
    """
    stale = stale_marks.stale_among(connection, file_ids, looks=looks)
    files = _read_files(connection, file_ids, stale.ids, all_producers=all_producers, has_marks=has_marks)
    runs = read_runs(connection, run_ids)
    known_files, known_runs = {file.id for file in files}, {run.id for run in runs}
    if edges is None:
        edges = edges_among(connection, known_files, known_runs, all_producers=all_producers)
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
        () if stale.is_whole else (NOT_LOOKED_FOR,),
    )


def _counts(hidden: Mapping[str, int] | None, known: Collection[str]) -> dict[str, int]:
    return {node_id: count for node_id, count in (hidden or {}).items() if count > 0 and node_id in known}


_PASSING = frozenset(("cache", "interim", "intermediate", "intermediates", "temp", "tmp"))
"""Names of folders for what is made on the way to a result."""


def _is_passing(key: str | None) -> bool:
    """Whether a key does not say that a file is a result: there is none, or its folder is for what is not kept."""
    return not key or not _PASSING.isdisjoint(key.lower().split("/")[:-1])


def _between_two_runs_sql() -> str:
    """Return the condition that one run made the file `f`, one run read it, and nobody described it."""
    # Counted up to two: a file may have any number of readers.
    readers, writers = (
        f"(SELECT COUNT(*) FROM (SELECT 1 FROM {table} e WHERE e.file_id = f.id LIMIT 2) few)"
        for table in (RunInput._meta.db_table, RunOutput._meta.db_table)
    )
    return f"f.run_id IS NOT NULL AND COALESCE(f.description, '') = '' AND {readers} = 1 AND {writers} <= 1"


def edges_among(
    connection: Any, file_ids: Collection[str], run_ids: Collection[str], *, all_producers: bool = False
) -> set[Ends]:
    """Return all edges between these files and runs, as pairs in the direction of data flow."""
    upward = Walk(FILE, all_producers=all_producers)
    found: set[Ends] = set()
    for kind, ids, parent_ids in ((FILE, file_ids, run_ids), (RUN, run_ids, file_ids)):
        if ids and parent_ids:
            rows = sql.fetch(connection, *sql.step_sql(connection.vendor, upward, kind, ids, only=parent_ids))
            found.update((before, after) for after, before in rows)
    return found


def _read_files(
    connection: Any, ids: Collection[str], stale_ids: Collection[str], *, all_producers: bool, has_marks: bool
) -> tuple[FileNode, ...]:
    """Return the files with these ids, in the order of their ids; ids of deleted files are skipped.

    Args:
        connection: The connection.
        ids: The ids.
        stale_ids: The ids of those that are stale.
        all_producers: The graph has the edges of all producers, so `made_again` is 0.
        has_marks: See `graph_of`.
    """
    if not ids:
        return ()
    instance = context.connected(connection.alias)
    own_id = instance.storage_id if instance is not None else None
    rows = _file_rows(connection, ids, counts_again=not all_producers)
    # The last column says whether any file is flagged at all.
    flagged, affected = recall.marks(connection, ids) if has_marks and rows and rows[0][-1] else ({}, {})
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
            is_stale=file_id in stale_ids,
            same_as_version=same,
            user=user,
            flags=tuple(map(redact_text, flagged.get(file_id, ()))),
            affected_by=_redacted(affected.get(file_id)),
            is_plumbing=bool(is_between) and _is_passing(key),
        )
        for (
            file_id, key, name, suffix, size, version, is_latest, trashed_at, created_at, storage_id, root, again, user,
            same, is_between, _,
        ) in rows
    ]  # fmt: skip
    return tuple(sorted(nodes, key=lambda node: node.id))


def _file_rows(connection: Any, ids: Collection[str], *, counts_again: bool) -> list[Any]:
    """Return what `_read_files` needs of each file."""
    listed, params = sql.listed_sql(connection.vendor, ids)
    again = (
        f"(SELECT COUNT(*) FROM {RunOutput._meta.db_table} o WHERE o.file_id = f.id AND o.run_id <> f.run_id)"
        if counts_again
        else "0"
    )
    return sql.fetch(
        connection,
        "SELECT f.id, f.key, f.name, f.suffix, f.size, f.version, f.is_latest, f.trashed_at, f.created_at, "
        f"s.id, s.location, {again}, u.handle, CASE WHEN f.version > 1 THEN (SELECT MIN(b.version) "
        f"FROM {File._meta.db_table} b WHERE b.id >= substr(f.id, 1, {STEM_LENGTH}) AND b.id < f.id "
        "AND b.digest = f.digest AND COALESCE(b.run_id, '') = COALESCE(f.run_id, '')) END, "
        f"CASE WHEN {_between_two_runs_sql()} THEN 1 END, "
        f"(SELECT 1 FROM {Flag._meta.db_table} WHERE removed_at IS NULL LIMIT 1) "
        f"FROM ({listed}) listed CROSS JOIN {File._meta.db_table} f "
        f"JOIN {Storage._meta.db_table} s ON s.id = f.storage_id "
        f"LEFT JOIN {User._meta.db_table} u ON u.id = f.created_by_id WHERE f.id = listed.id",
        params,
    )


def read_runs(connection: Any, ids: Collection[str]) -> tuple[RunNode, ...]:
    """Return the runs with these ids, in the order of their ids, with the status of dead processes updated."""
    if not ids:
        return ()
    listed, params = sql.listed_sql(connection.vendor, ids)
    # Parameters are read of runs only that have others of their transform beside them.
    compared = "CASE WHEN COUNT(*) OVER (PARTITION BY r.transform_id) > 1 THEN r.params END"
    compared = compared if len(ids) <= _MAX_COMPARED else "NULL"
    rows = sql.fetch(
        connection,
        "SELECT r.id, r.name, r.status, t.id, t.name, t.type, t.version, u.handle, r.started_at, r.finished_at, "
        f"r.created_at, r.revision, r.parent_id, r.code_path, t.reference, {compared} "
        f"FROM ({listed}) listed CROSS JOIN {Run._meta.db_table} r "
        f"JOIN {Transform._meta.db_table} t ON t.id = r.transform_id "
        f"LEFT JOIN {User._meta.db_table} u ON u.id = r.created_by_id WHERE r.id = listed.id",
        params,
    )
    running = [row[0] for row in rows if row[2] == "running"]
    updated = Run.objects.using(connection.alias).filter(id__in=running) if running else ()
    statuses = {run.id: run.status for run in updated}
    differing = _differing_params((row[0], row[3], row[-1]) for row in rows if row[-1] is not None)
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
            revision=revision,
            has_callers_code=revision is not None and is_callers(kind, transform_name, reference, code_path),
            params=differing.get(run_id, ()),
            parent_id=parent_id,
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
            revision,
            parent_id,
            code_path,
            reference,
            _,
        ) in rows
    ]
    return tuple(sorted(nodes, key=lambda node: node.id))


def _redacted(cause: FlaggedBy | None) -> FlaggedBy | None:
    return None if cause is None else replace(cause, reasons=tuple(map(redact_text, cause.reasons)))


def _differing_params(rows: Iterable[tuple[str, str, Any]]) -> dict[str, tuple[tuple[str, Any], ...]]:
    """Return the parameters in which runs differ from others of the same transform, sorted by name.

    Nothing is read for more runs than a picture shows, and of each run no more are kept than a reader compares.

    Args:
        rows: The id of each run, that of its transform, and its parameters.
    """
    siblings: dict[str, list[str]] = {}
    given: dict[str, dict[str, Any]] = {}
    for run_id, transform_id, params in rows:
        siblings.setdefault(transform_id, []).append(run_id)
        given[run_id] = dict(_flat(json.loads(params) if isinstance(params, str) else params))
    found: dict[str, tuple[tuple[str, Any], ...]] = {}
    for group in siblings.values():
        known = [given[run_id] for run_id in group if run_id in given]
        names = {name for values in known for name in values}
        differing = {name for name in names if any(_text(one, name) != _text(known[0], name) for one in known)}
        for run_id in group:
            own = {name: value for name, value in given.get(run_id, {}).items() if name in differing}
            kept = sorted(own)[:_MOST_PARAMS]
            found[run_id] = tuple((name, _without_secrets(name, own[name])) for name in kept)
    return found


def _without_secrets(name: str, value: Any) -> Any:
    if is_secret_name(name.rpartition(".")[2]) and value not in (None, "", True, False):
        return HIDDEN
    return redact_text(value) if isinstance(value, str) else value


def _text(values: Mapping[str, Any], name: str) -> str | None:
    return json.dumps(values[name], sort_keys=True) if name in values else None


def _flat(params: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield nested parameters by their paths, as in `model.depth`."""
    for name, value in params.items() if isinstance(params, dict) else ():
        if isinstance(value, dict) and value and depth < _MAX_NESTED:
            yield from _flat(value, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", value


def _time(value: Any) -> datetime | None:
    """Return a time as aware UTC, from the value of either database."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is None:
        return None
    time: datetime = value
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


DEPTH = 3
MAX_NODES = 300
NodeKey = tuple[int, str]
"""The kind and the id of a node."""

_Item = TypeVar("_Item")

_ALWAYS_READ = 2_000
"""This many edges of a step are always read, so that most graphs know exactly which nodes they leave out."""

_MAX_SHARE = 6
"""In a truncated graph, the neighbours of one node are at most one such part of all nodes."""


def neighbourhood(
    records: Any,
    *,
    up: bool = True,
    down: bool = True,
    depth: int | None = DEPTH,
    max_nodes: int = MAX_NODES,
    all_producers: bool = False,
) -> LineageGraph:
    """Return the lineage around records: their ancestors, their descendants, or both.

    Nearer nodes come first. A node whose neighbours are left out has their number.

    Args:
        records: A file, run or transform, its id or key, or several of them; a transform stands for its runs.
        up: Include ancestors.
        down: Include descendants.
        depth: The number of generations of files in each direction; None means all.
        max_nodes: The maximum number of files and runs.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: `records` is empty, a number is negative, or the records are not of one open instance.
        InvalidTypeError: An argument has the wrong type.
        NoResultFound: There is no record with an id or key, or it was deleted.
    """
    found = _records(records)
    _check_numbers(depth, max_nodes)
    connection = database.connection(query.same_alias(*found))
    walks = [query.walk_from(record, is_up=True, all_producers=all_producers) for record in found]
    starts = dict.fromkeys((walk.kind, node_id) for walk in walks for node_id in sql.start_ids(connection, walk)[::-1])
    shown = dict.fromkeys(list(starts)[:max_nodes])
    searches = [
        _Search(connection, Walk(FILE, is_up=is_up, all_producers=all_producers), list(shown))
        for is_up, is_wanted in ((True, up), (False, down))
        if is_wanted
    ]
    max_steps = None if depth is None else 2 * depth
    taken = 0
    while any(search.frontier for search in searches) and (max_steps is None or taken < max_steps):
        taken += 1
        steps = [step for search in searches for step in search.steps(max_nodes, only_runs=taken == max_steps)]
        _take(steps, shown, max_nodes)
    asked = [record.id for record in found]
    if len(asked) == 1 and not shown:
        asked = []
    lacks_starts = len(starts) > len(shown)
    return _graph(connection, shown, searches, asked, max_nodes, all_producers=all_producers, is_truncated=lacks_starts)


def _graph(
    connection: Any,
    shown: dict[NodeKey, None],
    searches: list[_Search],
    asked: list[str],
    max_nodes: int,
    *,
    all_producers: bool,
    is_truncated: bool,
) -> LineageGraph:
    files, runs = ([node_id for found, node_id in shown if found == kind] for kind in (FILE, RUN))
    edges = edges_among(connection, files, runs, all_producers=all_producers)
    hidden: dict[bool, dict[str, int]] = {True: {}, False: {}}
    for search in searches:
        if search.is_truncated:
            search.follow(edges)
        degrees: dict[str, int] = {}
        for before, after in edges:
            node = after if search.walk.is_up else before
            degrees[node] = degrees.get(node, 0) + 1
        totals = search.all_totals(max_nodes)
        lacking = {node_id: total - degrees.get(node_id, 0) for node_id, total in totals.items()}
        hidden[search.walk.is_up] = {node_id: count for node_id, count in lacking.items() if count > 0}
    return graph_of(
        connection,
        files,
        runs,
        focus=asked[0] if len(asked) == 1 else None,
        asked=asked[:0] if len(asked) == 1 else asked,
        edges=edges,
        all_producers=all_producers,
        hidden_up=hidden[True],
        hidden_down=hidden[False],
        hidden_total=_hidden_total(searches, hidden, {node_id for _, node_id in shown}),
        is_truncated=is_truncated or any(hidden.values()),
    )


def _hidden_total(searches: list[_Search], hidden: dict[bool, dict[str, int]], shown: Collection[str]) -> int | None:
    """Return how many distinct nodes are left out, or None if their ids were not read."""
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
    """A breadth-first search in one direction, with the neighbours of each visited node or only their number."""

    connection: Any
    walk: Walk
    frontier: list[NodeKey]
    visited: dict[NodeKey, None] = field(init=False)
    totals: dict[str, int] = field(default_factory=dict)
    known: dict[str, list[str]] = field(default_factory=dict)
    is_truncated: bool = False

    def __post_init__(self) -> None:
        self.visited = dict.fromkeys(self.frontier)

    def steps(self, max_nodes: int, *, only_runs: bool) -> Iterator[_Step]:
        """Yield the steps from the frontier and clear it."""
        frontier, self.frontier = self.frontier, []
        for kind in (FILE, RUN):
            ids = [node_id for found, node_id in frontier if found == kind]
            if ids and not (only_runs and kind == FILE):
                yield _Step.at(self, kind, ids, max_nodes)

    def step_sql(self, kind: int, ids: Sequence[str]) -> tuple[str, list[Any]]:
        """Return the query for one step in this direction."""
        return sql.step_sql(self.connection.vendor, self.walk, kind, ids)

    def read(self, kind: int, ids: Sequence[str], max_nodes: int) -> bool:
        """Read the neighbours of nodes, or only count them if they are more than a graph of this size can use.

        Returns:
            True if they were read, False if they were only counted.
        """
        step, params = self.step_sql(kind, ids)
        limit = max(_ALWAYS_READ, 2 * max_nodes + len(ids))
        rows = sql.fetch(self.connection, f"{step} LIMIT {limit + 1}", params)
        is_read = len(rows) <= limit
        if is_read:
            found = _grouped(ids, rows)
            self.known |= found
            self.totals |= {node_id: len(others) for node_id, others in found.items()}
        else:
            counts = sql.fetch(self.connection, f"SELECT node, COUNT(*) FROM ({step}) step GROUP BY node", params)
            self.totals |= dict.fromkeys(ids, 0) | dict(counts)
        return is_read

    def follow(self, edges: Iterable[Ends]) -> None:
        """Visit nodes along edges of the graph, which the search in the other direction may have added."""
        steps: dict[str, list[str]] = {}
        for before, after in edges:
            node, neighbour = (after, before) if self.walk.is_up else (before, after)
            steps.setdefault(node, []).append(neighbour)
        frontier = list(self.visited)
        while frontier:
            kind, node_id = frontier.pop()
            for other in steps.get(node_id, ()):
                if (1 - kind, other) not in self.visited:
                    self.visited[1 - kind, other] = None
                    frontier.append((1 - kind, other))

    def all_totals(self, max_nodes: int) -> dict[str, int]:
        """Return the number of neighbours of each visited node, also of those at the end of the search."""
        for kind in (FILE, RUN):
            rest = [node_id for found, node_id in self.visited if found == kind and node_id not in self.totals]
            if rest:
                self.read(kind, rest, max_nodes)
        return self.totals


@dataclass(slots=True)
class _Step:
    """A step in one direction from nodes of one kind.

    `pairs` is None if there are too many to read; `others` is None if there are also too many distinct nodes.
    """

    search: _Search
    kind: int
    ids: list[str]
    pairs: dict[str, list[str]] | None
    others: list[str] | None

    @classmethod
    def at(cls, search: _Search, kind: int, ids: list[str], max_nodes: int) -> _Step:
        """Return the step from these nodes. No more is read than a graph of this size can use."""
        if search.read(kind, ids, max_nodes):
            pairs = {node_id: search.known[node_id] for node_id in ids}
            return cls(search, kind, ids, pairs, list(dict.fromkeys(chain.from_iterable(pairs.values()))))
        step, params = search.step_sql(kind, ids)
        distinct = f"SELECT DISTINCT neighbour FROM ({step}) step LIMIT {max_nodes + 1}"
        others = [row[0] for row in sql.fetch(search.connection, distinct, params)]
        return cls(search, kind, ids, None, others if len(others) <= max_nodes else None)

    def new(self, shown: Collection[NodeKey]) -> set[NodeKey] | None:
        """Return the nodes that are not shown yet, or None if there are too many."""
        if self.others is None:
            return None
        return {key for other in self.others if (key := (1 - self.kind, other)) not in shown}

    def all(self) -> Iterator[str]:
        """Yield all neighbours."""
        return _round_robin(self.pairs.values()) if self.pairs is not None else iter(self.others or ())

    def some(self, limit: int) -> Iterator[str]:
        """Yield up to `limit` of the newest neighbours of each node, alternating between the nodes."""
        totals = self.search.totals
        many = [node_id for node_id in self.ids if totals[node_id] > limit]
        self.search.is_truncated |= bool(many)
        if self.pairs is not None:
            pairs = {node_id: found[:limit] for node_id, found in self.pairs.items()}
        else:
            few = [node_id for node_id in self.ids if 0 < totals[node_id] <= limit]
            rows = sql.fetch(self.search.connection, *self.search.step_sql(self.kind, few)) if few else []
            pairs = _grouped(self.ids, rows)
            connection, walk = self.search.connection, self.search.walk
            pairs |= {found: sql.newest_from(connection, walk, self.kind, found, limit) for found in many}
        return _round_robin(pairs.values())


def _grouped(ids: Iterable[str], rows: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the neighbours of each node, the newest first."""
    found: dict[str, list[str]] = {node_id: [] for node_id in ids}
    for node, neighbour in rows:
        found[node].append(neighbour)
    for others in found.values():
        others.sort(reverse=True)
    return found


def _take(steps: Sequence[_Step], shown: dict[NodeKey, None], max_nodes: int) -> None:
    """Add the neighbours of a step to the shown nodes: all of them if they fit, else a fair share of each node's."""
    added = [step.new(shown) for step in steps]
    fits = None not in added and len(set().union(*(keys or () for keys in added))) <= max_nodes - len(shown)
    for step, other in _round_robin(
        [(step, other) for other in (step.all() if fits else step.some(max(1, max_nodes // _MAX_SHARE)))]
        for step in steps
    ):
        search, key = step.search, (1 - step.kind, other)
        if key in search.visited:
            continue
        if key not in shown:
            if len(shown) >= max_nodes:
                search.is_truncated = True
                continue
            shown[key] = None
        search.visited[key] = None
        search.frontier.append(key)


def _round_robin(lists: Iterable[Sequence[_Item]]) -> Iterator[_Item]:
    """Yield the first item of each list, then the second of each, and so on."""
    return (item for item in chain.from_iterable(zip_longest(*lists)) if item is not None)


def _records(records: Any) -> list[Any]:
    listed = [records] if isinstance(records, (Record, str)) or not isinstance(records, Iterable) else list(records)
    if not listed:
        raise InvalidInputError("pass at least one record to start from")
    return [query.record_of(record) for record in listed]


def _check_numbers(depth: Any, max_nodes: Any) -> None:
    query.check_depth(depth)
    if isinstance(max_nodes, bool) or not isinstance(max_nodes, int):
        raise InvalidTypeError(f"max_nodes must be a whole number, not {max_nodes!r}")
    if max_nodes < 1:
        raise InvalidInputError(f"max_nodes must be at least 1, not {max_nodes}")


def path(source: Any, target: Any, *, all_producers: bool = False) -> LineageGraph:
    """Return a shortest path from one record to another; the graph is empty if there is none.

    Among equally short paths the choice is deterministic.

    Args:
        source: The earlier record, or its id or key.
        target: The later one.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: A record is not saved, or they belong to different instances.
        NoResultFound: There is no record with this id or key, or it was deleted.
    """
    return path_of(query.record_of(source), query.record_of(target), all_producers=all_producers)


def path_of(source: Any, target: Any, *, all_producers: bool = False, looks: int | None = None) -> LineageGraph:
    """Return what `path` does, of two records that are known to exist; for `looks` see `graph_of`."""
    connection = database.connection(query.same_alias(source, target))
    to = query.walk_from(target, is_up=True, all_producers=all_producers)
    start = query.walk_from(source, is_up=True)
    nodes = _shortest(connection, to, start.kind, set(sql.start_ids(connection, start)))
    ids = {kind: [node_id for found, node_id in nodes if found == kind] for kind in (sql.FILE, sql.RUN)}
    pairs = [(one[1], other[1]) for one, other in pairwise(nodes)]
    focus = target.id if nodes else None
    return graph_of(connection, ids[sql.FILE], ids[sql.RUN], focus=focus, edges=pairs, looks=looks)


def _shortest(connection: Any, walk: sql.Walk, goal_kind: int, goals: set[str]) -> list[tuple[int, str]]:
    """Walk until a goal is reached; return the nodes from the goal to the start of the walk."""
    kind = walk.kind
    frontier = sql.start_ids(connection, walk)
    led_to: dict[tuple[int, str], tuple[int, str] | None] = {(kind, node_id): None for node_id in frontier}
    # A few steps at first, and more with each statement, as records are mostly near each other.
    steps = 2
    while True:
        ahead = sql.steps_ahead(connection, walk, kind, frontier, steps)
        for found in [*ahead, None]:
            reached = sorted(goals.intersection(frontier)) if kind == goal_kind else []
            if reached:
                node: tuple[int, str] | None = (kind, reached[0])
                nodes = []
                while node is not None:
                    nodes.append(node)
                    node = led_to[node]
                return nodes
            if found is None:
                break
            at, next_frontier = set(frontier), []
            for node_id, neighbour in sorted(found):
                if node_id in at and (1 - kind, neighbour) not in led_to:
                    led_to[1 - kind, neighbour] = (kind, node_id)
                    next_frontier.append(neighbour)
            kind, frontier = 1 - kind, next_frontier
        if not frontier or not ahead:
            return []
        steps = min(4 * steps, 100)


def between(source: Any, target: Any, *, all_producers: bool = False) -> LineageGraph:
    """Return all paths from one record to another, with both; the graph is empty if there is none.

    Arguments and errors are as for `path`.
    """
    return between_of(query.record_of(source), query.record_of(target), all_producers=all_producers)


def between_of(source: Any, target: Any, *, all_producers: bool = False, looks: int | None = None) -> LineageGraph:
    """Return what `between` does, of two records that are known to exist; for `looks` see `graph_of`."""
    connection = database.connection(query.same_alias(source, target))
    descendants = sql.reached_both(connection, query.walk_from(source, is_up=False, all_producers=all_producers))
    ancestors = sql.reached_both(connection, query.walk_from(target, is_up=True, all_producers=all_producers))
    files, runs = descendants[sql.FILE] & ancestors[sql.FILE], descendants[sql.RUN] & ancestors[sql.RUN]
    focus = target.id if files or runs else None
    return graph_of(connection, files, runs, focus=focus, all_producers=all_producers, looks=looks)
