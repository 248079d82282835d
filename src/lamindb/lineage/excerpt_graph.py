"""Read what an `Excerpt` describes: a bounded number of rows in a number of queries that does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import zip_longest
from typing import Any

from lamindb.lineage import sql, stale_marks, subgraph, summary
from lamindb.lineage.excerpt import PAGE, Excerpt
from lamindb.lineage.lineage_graph import Edge, FileNode, LineageGraph, Node, RunNode
from lamindb.lineage.sql import FILE, RUN, Arm
from lamindb.lineage.subgraph import Ends, NodeKey
from lamindb.models import File, Run, RunInput

_WIDE = 500
"""With groups, so many neighbours of each node are read: most of them share a card."""
_MOST_READ = 2_000
_MOST_STARTS = 500
_AHEAD = 3
"""So many edges are read ahead for each node that may be shown: an edge is read anew in each step that takes it."""
MOST_COUNTED = 1_000
"""More are not counted: a page says "over 1,000"."""

_FILES, _RUNS, _INPUTS = (model._meta.db_table for model in (File, Run, RunInput))
_ARMS = {
    ("up", FILE): Arm(_FILES, "id", "run_id"),
    ("up", RUN): Arm(_INPUTS, "run_id", "file_id"),
    ("down", FILE): Arm(_INPUTS, "file_id", "run_id"),
    ("down", RUN): Arm(_FILES, "run_id", "id"),
}
"""The edges before and after a file or run: of the runs that produced a file, the first."""

_Place = tuple[str, NodeKey]
"""A node on one side of the record."""


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that one card stands for; `key` is what `Excerpt.ungrouping` takes."""

    key: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ExcerptGraph:
    """What was read.

    Attributes:
        graph: What is drawn. Its `hidden_up` and `hidden_down` are the stubs.
        whole: The nodes before they were folded and hidden.
        groups: The groups by the id of their card in `graph`.
        n_plumbing: How many files between two runs are hidden.
        n_more_starts: How many more runs the transform has; at most `MOST_COUNTED` are counted.
        is_whole: Everything within the generations asked for is in `whole`.
    """

    graph: LineageGraph
    whole: LineageGraph
    groups: Mapping[str, Group]
    n_plumbing: int = 0
    n_more_starts: int = 0
    is_whole: bool = True

    def marked(self, excerpt: Excerpt) -> set[str]:
        """Return the ids of the nodes to highlight."""
        if excerpt.mark is None or excerpt.selected is None:
            return set()
        around = self.graph.neighbours()
        if excerpt.selected not in around.nodes:
            return set()
        before = _reached([excerpt.selected], around.before)
        after = _reached([excerpt.selected], around.after)
        if excerpt.mark != "way":
            return before if excerpt.mark == "before" else after
        focus = self.graph.focus_ids()
        return (before & _reached(focus, around.after)) | (after & _reached(focus, around.before))


def read(connection: Any, excerpt: Excerpt, *, has_marks: bool = True) -> ExcerptGraph:
    """Return what an excerpt describes; without its record, the graph is empty.

    Stale files are marked as far as a bounded number of runs decides it; a note of the graph says where more would have
    to be looked at. In an excerpt of an earlier day there are no marks, which are of today.

    Args:
        connection: The connection.
        excerpt: What to read.
        has_marks: Mark files that are flagged or affected, for which all that they came from is looked at, and those
            that are stale by more than what the runs that made them read.
    """
    starts, above, more = _starts(connection, excerpt)
    most = excerpt.most() if excerpt.group == "none" else _MOST_READ
    walk = _Walk(connection, excerpt, most)
    walk.run(starts)
    whole = subgraph.graph_of(
        connection,
        [node_id for kind, node_id in walk.shown if kind == FILE],
        [node_id for kind, node_id in walk.shown if kind == RUN],
        edges=walk.edges,
        hidden_up=walk.hidden("up"),
        hidden_down=walk.hidden("down"),
        looks=stale_marks.PAGE_LOOKS if has_marks and excerpt.at is None else 0,
        has_marks=has_marks and excerpt.at is None,
    )
    if any(excerpt.id in (node.id, getattr(node, "transform_id", None)) for node in whole.nodes()):
        whole = replace(whole, focus=excerpt.id)
    if excerpt.at is not None:
        whole = replace(whole, files=tuple(map(_unmarked, whole.files)), notes=())
    graph, groups = whole, {}
    inside = {} if excerpt.id in excerpt.ungrouped else {one: top for one, top in above.items() if one != top}
    if inside:
        folded = tuple(run for run in graph.runs if run.id in inside)
        graph = summary.summarised(graph, group=False, inside=inside)
        groups[excerpt.id] = Group(excerpt.id, folded)
    before = len(graph.files)
    if not excerpt.has_plumbing:
        graph = summary.summarised(graph, group=False, plumbing=False)
    n_plumbing = before - len(graph.files)
    if excerpt.group != "none":
        graph, found = _grouped(connection, graph, walk, excerpt)
        groups |= found
    is_whole = not walk.is_cut and not more
    return ExcerptGraph(_cut(graph, walk, excerpt.most()), whole, groups, n_plumbing, more, is_whole)


def _reached(starts: Iterable[str], neighbours: Mapping[str, tuple[str, ...]]) -> set[str]:
    """Return the nodes that are reached from others, with them."""
    found = set(starts)
    waiting = list(found)
    while waiting:
        for other in neighbours[waiting.pop()]:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def _unmarked(file: FileNode) -> FileNode:
    return replace(file, is_stale=False, is_latest=True, is_trashed=False, flags=(), affected_by=None, made_again=0)


def _starts(connection: Any, excerpt: Excerpt) -> tuple[list[NodeKey], dict[str, str], int]:
    """Return the nodes to start from, for the runs inside a run the outermost one, and how many runs are left out."""
    if excerpt.kind == "file":
        return [(FILE, excerpt.id)], {}, 0
    if excerpt.kind == "transform":
        limit = min(_MOST_STARTS, excerpt.most(), PAGE * (1 + excerpt.pages(excerpt.id, "up")))
        rows = sql.fetch(
            connection,
            f"SELECT id FROM {_RUNS} WHERE transform_id = %s ORDER BY created_at DESC, id DESC LIMIT %s",
            [excerpt.id, limit + MOST_COUNTED],
        )
        return [(RUN, row[0]) for row in rows[:limit]], {}, max(0, len(rows) - limit)
    cast = "::text" if connection.vendor == "postgresql" else ""
    rows = sql.fetch(
        connection,
        f"WITH RECURSIVE part(id) AS (SELECT id{cast} FROM {_RUNS} WHERE id = %s UNION SELECT r.id{cast} FROM part "
        f"CROSS JOIN {_RUNS} r WHERE r.parent_id = part.id) SELECT id FROM part LIMIT {_MOST_STARTS}",
        [excerpt.id],
    )
    return [(RUN, row[0]) for row in rows], {row[0]: excerpt.id for row in rows}, 0


@dataclass(slots=True)
class _Walk:
    """A walk in both directions at once, nearer nodes first, which reads several steps by one query."""

    connection: Any
    excerpt: Excerpt
    most: int
    shown: dict[NodeKey, None] = field(default_factory=dict)
    distances: dict[str, dict[NodeKey, int]] = field(default_factory=lambda: {"up": {}, "down": {}})
    totals: dict[tuple[str, str], int] = field(default_factory=dict)
    edges: set[Ends] = field(default_factory=set)
    is_cut: bool = False
    _known: dict[_Place, list[str]] = field(default_factory=dict)

    def run(self, starts: list[NodeKey]) -> None:
        """Walk from these nodes to the end of the excerpt; read the edges of all nodes, and count their neighbours."""
        sides = ["up", "down"] if self.excerpt.direction == "both" else [self.excerpt.direction]
        self.shown = dict.fromkeys(starts[: self.most])
        frontier = [(side, key) for side in sides for key in self.shown]
        for side, key in frontier:
            self.distances[side][key] = 0
        self._read_opened()
        distance = 0
        while frontier:
            distance += 1
            found = self._neighbours(frontier)
            frontier = []
            # One of each node, then the second of each: no node takes the place of another one's neighbours.
            for side, key in _round_robin(found):
                if key in self.distances[side]:
                    continue
                if key not in self.shown and len(self.shown) >= self.most:
                    self.is_cut = True
                    continue
                self.shown[key] = None
                self.distances[side][key] = distance
                frontier.append((side, key))
        self._read_edges()

    def _is_within(self, side: str, key: NodeKey) -> bool:
        """Whether a node is within the generations that are shown with their neighbours."""
        distance = self.distances[side][key]
        # A generation of files is two steps; the run that made the last file shown is beyond it.
        return distance < 2 * self.excerpt.depth and not (key[0] == FILE and distance == 2 * self.excerpt.depth - 1)

    def _limit(self, side: str, key: NodeKey) -> int:
        """Return how many neighbours of a node are shown."""
        return self._page() * self._is_within(side, key) + PAGE * self.excerpt.pages(key[1], side)

    def _page(self) -> int:
        return PAGE if self.excerpt.group == "none" else _WIDE

    def _neighbours(self, frontier: list[_Place]) -> dict[_Place, list[str]]:
        """Return the newest neighbours of nodes, as many as are shown of each."""
        unread = [at for at in frontier if self._is_within(*at) and at not in self._known]
        if unread:
            side, (kind, node_id) = unread[0]
            distance = self.distances[side][kind, node_id]
            starts_at_run = (kind == RUN) == (distance % 2 == 0)
            self._read_ahead(unread, kind, 2 * self.excerpt.depth - starts_at_run - distance)
        return {at: self._known.get(at, [])[: self._limit(*at)] for at in frontier}

    def _read_opened(self) -> None:
        """Read the neighbours of the nodes that were opened: wherever they are, by one query."""
        page = self._page()
        parts, params = [], []
        for (side, kind), arm in _ARMS.items():
            opened = [one for one in self.excerpt.opened if one.side == side]
            if opened:
                listed, values = sql.listed_sql(self.connection.vendor, [one.id for one in opened])
                most = page + PAGE * max(one.pages for one in opened)
                newest, more = self._newest_sql(arm, f"({listed}) listed", "listed", most)
                parts.append(f"SELECT '{side}', {kind}, listed.id, {newest}")
                params += [*values, *more]
        if parts:
            self._keep(sql.fetch(self.connection, " UNION ALL ".join(parts), params))

    def _read_ahead(self, places: list[_Place], kind: int, steps: int) -> None:
        """Read the newest neighbours of nodes of one kind, theirs, and so on, as far as these are not too many."""
        seeds: dict[str, list[str]] = {}
        for side, key in places:
            seeds.setdefault(side, []).append(key[1])
        tables, parts, params, limits = [], [], [], {}
        for side, ids in seeds.items():
            listed, values = sql.listed_sql(self.connection.vendor, ids)
            text, more = self._recursion_sql(side, kind, listed, steps)
            tables.append(text)
            params += [*values, *more]
            # The first step is never cut.
            limits[side] = self._page() * len(ids) + _AHEAD * self.most
            found = f"SELECT '{side}', 1 - kind, node, id, step FROM {side} WHERE step > 0 LIMIT {limits[side] + 1}"
            parts.append(f"SELECT * FROM ({found}) found_{side}")
        rows = sql.fetch(self.connection, f"WITH RECURSIVE {', '.join(tables)} {' UNION ALL '.join(parts)}", params)
        self._known.update((at, []) for at in places)
        for side in seeds:
            of_side = [row for row in rows if row[0] == side]
            # The databases find the nearest first: of all steps before the one that was cut, everything is known.
            whole = steps if len(of_side) <= limits[side] else of_side[-1][-1] - 1
            for _, node_kind, _, neighbour, step in of_side:
                if step < whole:
                    self._known.setdefault((side, (1 - node_kind, neighbour)), [])
            self._keep(dict.fromkeys(row[:4] for row in of_side if row[-1] <= whole))

    def _keep(self, rows: Iterable[Any]) -> None:
        """Remember neighbours, the newest first."""
        found: dict[_Place, list[str]] = {}
        for side, kind, node_id, neighbour in rows:
            found.setdefault((side, (kind, node_id)), []).append(neighbour)
        for at, ids in found.items():
            # What was opened has more of them than what was read on the way.
            if len(ids) > len(self._known.get(at, ())):
                self._known[at] = sorted(ids, reverse=True)

    def _until(self, column: str) -> tuple[str, list[Any]]:
        """Return the condition that an edge was recorded by the day that is shown."""
        until = self.excerpt.until()
        if until is None:
            return "", []
        on_postgres = self.connection.vendor == "postgresql"
        return f" AND {column} <= %s", [until if on_postgres else until.replace(tzinfo=None).isoformat(sep=" ")]

    def _newest_sql(self, arm: Arm, source: str, name: str, most: int, where: str = "") -> tuple[str, list[Any]]:
        """Return SQL for the newest neighbours of each node of a table: the last column of a SELECT, and what follows.

        Of a node with many neighbours, only the newest are read, from the end of an index.

        Args:
            arm: The edges.
            source: The table, as it stands after FROM.
            name: Its name there; its column `id` has the nodes.
            most: The number of neighbours of a node.
            where: A further condition, of the table.
        """
        known, more = self._until("c.created_at")
        found = f"FROM {arm.table} c WHERE c.{arm.match} = {name}.id AND c.{arm.found} IS NOT NULL{known}"
        newest = f"{found} ORDER BY c.{arm.found} DESC LIMIT {most}"
        if self.connection.vendor == "postgresql":
            each = f"(SELECT c.{arm.found}::text AS id {newest}) t"
            return f"t.id FROM {source} CROSS JOIN LATERAL {each}{where and f' WHERE {where}'}", more
        # CROSS JOIN fixes the join order in SQLite: it would scan a whole index otherwise.
        return (
            f"t.{arm.found} FROM {source} CROSS JOIN {arm.table} t WHERE t.{arm.match} = {name}.id "
            f"AND t.{arm.found} IN (SELECT c.{arm.found} {newest}){where and f' AND {where}'}"
        ), more

    def _recursion_sql(self, side: str, kind: int, listed: str, steps: int) -> tuple[str, list[Any]]:
        """Return a common table expression, named as the side, of all that some steps find, with the step."""
        cast = "::text" if self.connection.vendor == "postgresql" else ""
        first = f"SELECT 0, {kind}, ''{cast}, listed.id{cast} FROM ({listed}) listed"
        params: list[Any] = []
        arms = []
        for one in (FILE, RUN):
            source = side
            if cast:
                # PostgreSQL allows one reference to the recursive table, so both kinds of steps share it.
                source = f"(SELECT {side}.id WHERE {side}.kind = {one}) at"
            condition = "" if cast else f"{side}.kind = {one} AND {side}.step < {steps}"
            newest, more = self._newest_sql(_ARMS[side, one], source, "at" if cast else side, self._page(), condition)
            arms.append(f"SELECT {newest}" if cast else f"SELECT {side}.step + 1, {1 - one}, {side}.id, {newest}")
            params += more
        # Ordered by the step, the nearest come first; PostgreSQL finds them so.
        more_steps = f"{' UNION '.join(arms)} ORDER BY 1"
        if cast:
            more_steps = (
                f"SELECT {side}.step + 1, 1 - {side}.kind, {side}.id, next.id FROM {side} CROSS JOIN LATERAL "
                f"({' UNION ALL '.join(arms)}) next(id) WHERE {side}.step < {steps}"
            )
        return f"{side}(step, kind, node, id) AS ({first} UNION {more_steps})", params

    def _read_edges(self) -> None:
        """Read the edges between the nodes shown, and how many neighbours each node has, by one query."""
        cast = "::text" if self.connection.vendor == "postgresql" else ""
        parts, params = self._edges_sql()
        for (side, kind), arm in _ARMS.items():
            ids = [node_id for one, node_id in self.distances[side] if one == kind]
            if ids:
                known, more = self._until("c.created_at")
                listed, values = sql.listed_sql(self.connection.vendor, ids)
                number = f"SELECT COUNT(*) FROM {arm.table} c WHERE c.{arm.match} = listed.id"
                parts.append(
                    f"SELECT '{side}', {kind}, listed.id{cast}, ({number} AND c.{arm.found} IS NOT NULL{known}), NULL "
                    f"FROM ({listed}) listed"
                )
                params += [*more, *values]
        if not parts:
            return
        for side, kind, node_id, total, after in sql.fetch(self.connection, " UNION ALL ".join(parts), params):
            if after is not None:
                self.edges.add((node_id, after))
            elif total:
                self.totals[side, node_id] = total
                self.is_cut |= total > self._limit(side, (kind, node_id)) > 0

    def _edges_sql(self) -> tuple[list[str], list[Any]]:
        """Return the queries for the edges between the nodes shown; the third and the last column are their ends."""
        files, runs = ([node_id for kind, node_id in self.shown if kind == wanted] for wanted in (FILE, RUN))
        if not files or not runs:
            return [], []
        listed_files, file_params = sql.listed_sql(self.connection.vendor, files)
        listed_runs, run_params = sql.listed_sql(self.connection.vendor, runs)
        cast, plus = ("::text", "") if self.connection.vendor == "postgresql" else ("", "+")
        known, more = self._until("t.created_at")
        inputs = (
            f"SELECT 'edge', {FILE}, t.file_id{cast}, 0, t.run_id{cast} FROM ({listed_runs}) listed "
            f"CROSS JOIN {_INPUTS} t WHERE t.run_id = listed.id AND {plus}t.file_id IN ({listed_files}){known}"
        )
        outputs = (
            f"SELECT 'edge', {RUN}, t.run_id{cast}, 0, t.id{cast} FROM ({listed_files}) listed "
            f"CROSS JOIN {_FILES} t WHERE t.id = listed.id AND {plus}t.run_id IN ({listed_runs}){known}"
        )
        return [inputs, outputs], [*run_params, *file_params, *more, *file_params, *run_params, *more]

    def hidden(self, side: str) -> dict[str, int]:
        """Return for each node how many of its neighbours on one side are not shown."""
        counts = {node_id: total for (one, node_id), total in self.totals.items() if one == side}
        for before, after in self.edges:
            node_id = after if side == "up" else before
            if node_id in counts:
                counts[node_id] -= 1
        return counts


def _round_robin(found: Mapping[tuple[str, NodeKey], list[str]]) -> Iterator[tuple[str, NodeKey]]:
    listed = [[(side, (1 - key[0], one)) for one in ids] for (side, key), ids in found.items()]
    return (one for row in zip_longest(*listed) for one in row if one is not None)


def _grouped(
    connection: Any, graph: LineageGraph, walk: _Walk, excerpt: Excerpt
) -> tuple[LineageGraph, dict[str, Group]]:
    """Return the graph with one card for each group of at least two nodes, and the groups."""
    focus = graph.focus_ids()
    parents = _parents(connection, graph) if excerpt.group == "parent" else {}
    looks = _Looks(graph, excerpt.group, {run_id: parent.id for run_id, parent in parents.items()})
    members: dict[tuple[Any, ...], list[Node]] = {}
    for node in graph.nodes():
        look = None if node.id in focus else looks.of(node)
        if look is not None:
            members.setdefault((*_place_of(walk, node), *look), []).append(node)
    found = {}
    for look, nodes in members.items():
        key = blake2b(repr(look).encode(), digest_size=5).hexdigest()
        if len(nodes) > 1 and key not in excerpt.ungrouped:
            found[nodes[0].id] = Group(key, tuple(nodes))
    stands_for = {node.id: first for first, group in found.items() for node in group.nodes if node.id != first}
    cards = {first: _card(graph, group, parents.get(first)) for first, group in found.items()}
    return _folded(graph, stands_for, cards), found


def _place_of(walk: _Walk, node: Node) -> tuple[str, int]:
    """Return the side and distance of a node: groups never join what lies before and after each other."""
    key = (FILE if isinstance(node, FileNode) else RUN, node.id)
    side = "up" if key in walk.distances["up"] else "down"
    return side, walk.distances[side].get(key, 0)


class _Looks:
    """What the members of a group have in common."""

    def __init__(self, graph: LineageGraph, grouping: str, parents: Mapping[str, str]) -> None:
        self._grouping = grouping
        self._around = graph.neighbours()
        self._transforms = {run.id: run.transform_id for run in graph.runs}
        self._parents = parents

    def of(self, node: Node) -> tuple[Any, ...] | None:
        """Return it, or None for a node that is in no group."""
        if self._grouping == "folder":
            return ("folder", node.storage, folder_of(node)) if isinstance(node, FileNode) and node.key else None
        by = self._parents if self._grouping == "parent" else self._transforms
        if isinstance(node, RunNode):
            return ("runs", by[node.id]) if node.id in by else None
        made = [by[one] for one in self._around.before[node.id] if one in by]
        read = sorted({by[one] for one in self._around.after[node.id] if one in by})
        if made:
            return ("made", made[0])
        return ("read", *read) if read else None


def _parents(connection: Any, graph: LineageGraph) -> dict[str, RunNode]:
    """Return the run above each run that has one."""
    found = {run.id: run for run in graph.runs}
    missing = sorted({run.parent_id for run in graph.runs if run.parent_id is not None} - found.keys())
    found.update((run.id, run) for run in subgraph.read_runs(connection, missing))
    return {run.id: found[run.parent_id] for run in graph.runs if run.parent_id in found}


def folder_of(file: FileNode) -> str:
    """Return the folder of a file's key with a slash at its end, or ""."""
    return file.key[: file.key.rstrip("/").rfind("/") + 1] if file.key else ""


def _card(graph: LineageGraph, group: Group, parent: RunNode | None) -> Node:
    """Return the node that stands for a group; it has the id of the first member."""
    first = group.nodes[0]
    if isinstance(first, RunNode):
        runs = [node for node in group.nodes if isinstance(node, RunNode)]
        statuses = [status for status in ("failed", "aborted", "running") if any(run.status == status for run in runs)]
        revisions, users = {run.revision for run in runs}, {run.user for run in runs}
        base = replace(parent, id=first.id) if parent is not None else first
        return replace(
            base,
            name=None,
            status=statuses[0] if statuses else first.status,
            user=first.user if len(users) == 1 else "",
            started_at=min((run.started_at for run in runs if run.started_at), default=None),
            finished_at=None,
            revision=first.revision if len(revisions) == 1 and parent is None else None,
            params=(),
            parent_id=None,
            members=len(runs),
            partly=(statuses[0],) if statuses and any(run.status != statuses[0] for run in runs) else (),
        )
    files = [node for node in group.nodes if isinstance(node, FileNode)]
    folders, suffixes = {folder_of(file) for file in files}, {file.suffix for file in files}
    # Under a key that ends in a slash the card has the folder below its name, as a file has.
    folder = folders.pop() if len(folders) == 1 else ""
    flags = tuple(dict.fromkeys(flag for file in files for flag in file.flags))
    states = {
        "stale": [file.is_stale for file in files],
        "flagged": [bool(file.flags) for file in files],
        "affected": [file.affected_by is not None for file in files],
    }
    return replace(
        first,
        key=None,
        name=f"{len(files):,} files in {folder}" if folder else f"{len(files):,} files",
        suffix=first.suffix if len(suffixes) == 1 else "",
        size=sum(file.size for file in files),
        created_at=max(file.created_at for file in files),
        is_latest=any(file.is_latest for file in files),
        is_trashed=all(file.is_trashed for file in files),
        is_stale=any(file.is_stale for file in files),
        flags=flags,
        affected_by=next((file.affected_by for file in files if file.affected_by is not None), None),
        made_again=0,
        same_as_version=None,
        user=None,
        is_plumbing=all(file.is_plumbing for file in files),
        members=len(files),
        partly=tuple(state for state, have in states.items() if any(have) and not all(have)),
    )


def _folded(graph: LineageGraph, stands_for: Mapping[str, str], cards: Mapping[str, Node]) -> LineageGraph:
    """Return the graph with cards in place of their members; edges inside a group are gone."""
    nodes = [cards.get(node.id, node) for node in graph.nodes() if node.id not in stands_for]
    edges: dict[Edge, None] = {}
    for edge in graph.edges:
        source, target = stands_for.get(edge.source, edge.source), stands_for.get(edge.target, edge.target)
        edges[Edge(source, target, edge.kind)] = None

    def moved(counts: Mapping[str, int]) -> dict[str, int]:
        found: dict[str, int] = {}
        for node_id, count in counts.items():
            target = stands_for.get(node_id, node_id)
            found[target] = found.get(target, 0) + count
        return found

    return replace(
        graph,
        files=tuple(node for node in nodes if isinstance(node, FileNode)),
        runs=tuple(node for node in nodes if isinstance(node, RunNode)),
        edges=tuple(edges),
        hidden_up=moved(graph.hidden_up),
        hidden_down=moved(graph.hidden_down),
    )


def _cut(graph: LineageGraph, walk: _Walk, most: int) -> LineageGraph:
    """Return the graph with no more than so many nodes, the nearest; what is left out is counted in the stubs."""
    if len(graph) <= most:
        return replace(graph, is_truncated=bool(graph.hidden_up or graph.hidden_down))
    kept: set[str] = set()
    present = {node.id for node in graph.nodes()}
    for _, node_id in walk.shown:
        if node_id in present and len(kept) < most:
            kept.add(node_id)
    up, down = dict(graph.hidden_up), dict(graph.hidden_down)
    members = {node.id: node.members for node in graph.nodes()}
    for edge in graph.edges:
        if edge.source in kept and edge.target not in kept:
            down[edge.source] = down.get(edge.source, 0) + members[edge.target]
        elif edge.target in kept and edge.source not in kept:
            up[edge.target] = up.get(edge.target, 0) + members[edge.source]
    return replace(
        graph,
        files=tuple(file for file in graph.files if file.id in kept),
        runs=tuple(run for run in graph.runs if run.id in kept),
        edges=tuple(edge for edge in graph.edges if edge.source in kept and edge.target in kept),
        hidden_up={node_id: count for node_id, count in up.items() if node_id in kept},
        hidden_down={node_id: count for node_id, count in down.items() if node_id in kept},
        is_truncated=True,
    )
