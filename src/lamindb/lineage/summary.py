"""A lineage that is easier to read: siblings are grouped, steps folded into their run, plumbing hidden.

*Siblings* are nodes that look the same and lead to the same: files of one folder, or runs of one transform, whose
neighbours are the same or siblings, too. *Plumbing* are files on the way from one run to another that are no results,
see `FileNode`. The graph stays as it is; a summary is another graph, for drawings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lamindb.lineage.lineage_graph import Edge, FileNode, LineageGraph, Node, RunNode

MIN_GROUP = 5
"""Fewer siblings are shown one by one."""


def summarised(
    graph: LineageGraph,
    *,
    group: bool = True,
    plumbing: bool = True,
    inside: Mapping[str, str] | None = None,
) -> LineageGraph:
    """Return a graph with fewer nodes that tells the same.

    Args:
        graph: The graph.
        group: Make one node of siblings.
        plumbing: Show it, too; else the runs on both sides of it are joined.
        inside: For the ids of runs, the run of which they are steps, and into which they are folded.
    """
    if inside:
        graph = _folded(graph, inside)
    if not plumbing:
        graph = _without_plumbing(graph)
    return _grouped(graph) if group else graph


def _folded(graph: LineageGraph, inside: Mapping[str, str]) -> LineageGraph:
    """Return a graph in which runs are replaced by the run above them, without the files between them."""
    own = {*inside, *inside.values()}
    around = graph.neighbours()
    made = {file.id for file in graph.files if set(around.before[file.id]) & own}
    hidden = graph.focus_ids() | {one for counts in (graph.hidden_up, graph.hidden_down) for one in counts}
    between = {
        file.id
        for file in graph.files
        if file.id in made and file.id not in hidden and around.after[file.id] and set(around.after[file.id]) <= own
    }
    runs = tuple(run for run in graph.runs if run.id not in inside)
    edges = [
        Edge(inside.get(edge.source, edge.source), inside.get(edge.target, edge.target), edge.kind)
        for edge in graph.edges
        if edge.source not in between
        and edge.target not in between
        # A step that reads what another one made is no input of the whole.
        and not (edge.kind == "input" and edge.source in made and edge.target in own)
    ]
    files = tuple(file for file in graph.files if file.id not in between)
    count = len(graph.runs) - len(runs)
    among = f", with {_counted(len(between), 'file')} between them" if between else ""
    notes = [f"{_counted(count, 'run')} inside{among}"]
    return _graph(graph, files, runs, edges, inside, notes if count else [])


def _without_plumbing(graph: LineageGraph) -> LineageGraph:
    """Return a graph without plumbing; the runs that made and read it are joined."""
    around = graph.neighbours()
    focus = graph.focus_ids()
    gone = {
        file.id
        for file in graph.files
        if file.is_plumbing
        and file.id not in focus
        and not file.flags
        and around.before[file.id]
        and around.after[file.id]
    }
    if not gone:
        return graph
    files = tuple(file for file in graph.files if file.id not in gone)
    edges = [edge for edge in graph.edges if edge.source not in gone and edge.target not in gone]
    edges += [
        Edge(before, after, "through")
        for one in sorted(gone)
        for before in around.before[one]
        for after in around.after[one]
    ]
    return _graph(graph, files, graph.runs, edges, {}, [f"{_counted(len(gone), 'file')} between two runs hidden"])


def _grouped(graph: LineageGraph) -> LineageGraph:
    """Return a graph in which each group of siblings is one node."""
    colours = _colours(graph)
    members: dict[int, list[Node]] = {}
    for node in graph.nodes():
        members.setdefault(colours[node.id], []).append(node)
    groups = {nodes[0].id: nodes for nodes in members.values() if len(nodes) >= MIN_GROUP}
    if not groups:
        return graph
    stands_for = {node.id: first for first, nodes in groups.items() for node in nodes if node.id != first}
    nodes = [
        _group(groups[node.id]) if node.id in groups else node for node in graph.nodes() if node.id not in stands_for
    ]
    files = tuple(node for node in nodes if isinstance(node, FileNode))
    runs = tuple(node for node in nodes if isinstance(node, RunNode))
    edges = [
        Edge(stands_for.get(edge.source, edge.source), stands_for.get(edge.target, edge.target), edge.kind)
        for edge in graph.edges
    ]
    return _graph(graph, files, runs, edges, stands_for, [])


def _graph(
    graph: LineageGraph,
    files: tuple[FileNode, ...],
    runs: tuple[RunNode, ...],
    edges: list[Edge],
    stands_for: Mapping[str, str],
    notes: list[str],
) -> LineageGraph:
    """Return a graph with other nodes; what is hidden beside a node is so beside the one that stands for it."""
    known = {file.id for file in files} | {run.id for run in runs}

    def moved(counts: Mapping[str, int]) -> dict[str, int]:
        found: dict[str, int] = {}
        for node_id, count in counts.items():
            target = stands_for.get(node_id, node_id)
            if target in known:
                found[target] = found.get(target, 0) + count
        return found

    return replace(
        graph,
        files=files,
        runs=runs,
        edges=tuple(dict.fromkeys(edges)),
        hidden_up=moved(graph.hidden_up),
        hidden_down=moved(graph.hidden_down),
        notes=(*graph.notes, *notes),
    )


def _colours(graph: LineageGraph) -> dict[str, int]:
    """Return a number for each node: the same for siblings.

    Starts from what nodes look like, and tells apart those whose neighbours are told apart, until nothing changes.
    Nodes with too few siblings for a group are then told apart from all others, and so are their neighbours.
    """
    around = graph.neighbours()
    focus = graph.focus_ids()
    colours = _numbered({node.id: (node.id,) if node.id in focus else _look(node) for node in graph.nodes()})
    while True:
        colours = _refined(colours, around.before, around.after)
        sizes: dict[int, int] = {}
        for colour in colours.values():
            sizes[colour] = sizes.get(colour, 0) + 1
        alone = _numbered(
            {one: (colour,) if sizes[colour] >= MIN_GROUP else (colour, one) for one, colour in colours.items()}
        )
        if len(set(alone.values())) == len(sizes):
            return colours
        colours = alone


def _refined(
    colours: dict[str, int], before: Mapping[str, tuple[str, ...]], after: Mapping[str, tuple[str, ...]]
) -> dict[str, int]:
    count = len(set(colours.values()))
    while True:
        colours = _numbered(
            {
                one: (
                    colour,
                    frozenset(colours[other] for other in before[one]),
                    frozenset(colours[other] for other in after[one]),
                )
                for one, colour in colours.items()
            }
        )
        if len(set(colours.values())) == count:
            return colours
        count = len(set(colours.values()))


def _numbered(looks: Mapping[str, Any]) -> dict[str, int]:
    numbers: dict[Any, int] = {}
    return {one: numbers.setdefault(look, len(numbers)) for one, look in looks.items()}


def _look(node: Node) -> tuple[Any, ...]:
    """Return what siblings have in common, apart from their neighbours."""
    if isinstance(node, RunNode):
        return ("run", node.transform_id, node.status, node.user)
    state = (node.is_latest, node.is_trashed, node.is_stale, node.flags, node.affected_by)
    return ("file", node.storage, node.key is None, _folder(node), node.suffix, *state)


def _folder(file: FileNode) -> str:
    return file.key[: file.key.rstrip("/").rfind("/") + 1] if file.key else ""


def _group(nodes: list[Node]) -> Node:
    """Return the node that stands for siblings; it has the id of the first one."""
    first = nodes[0]
    if isinstance(first, RunNode):
        runs = [node for node in nodes if isinstance(node, RunNode)]
        revisions = {run.revision for run in runs}
        return replace(
            first,
            name=None,
            started_at=min((run.started_at for run in runs if run.started_at), default=None),
            finished_at=None,
            revision=first.revision if len(revisions) == 1 else None,
            params=(),
            parent_id=None,
            members=len(runs),
        )
    files = [node for node in nodes if isinstance(node, FileNode)]
    folder = _folder(first)
    where = f" in {folder}" if folder else "" if first.key else " without a key"
    return replace(
        first,
        key=None,
        name=f"{len(files):,} files{where}",
        size=sum(file.size for file in files),
        created_at=max(file.created_at for file in files),
        made_again=sum(file.made_again for file in files),
        same_as_version=None,
        user=None,
        is_plumbing=all(file.is_plumbing for file in files),
        members=len(files),
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
