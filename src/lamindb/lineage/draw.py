"""Query the lineage and return it as a picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from lamindb.core import running_page
from lamindb.db import database
from lamindb.errors import InvalidInputError, InvalidTypeError
from lamindb.lineage import excerpt_graph, query, sql, subgraph, summary
from lamindb.lineage.excerpt import Excerpt
from lamindb.lineage.lineage_graph import LineageGraph
from lamindb.lineage.render.picture import LineagePicture
from lamindb.lineage.render.tree import Direction
from lamindb.lineage.subgraph import DEPTH, MAX_NODES
from lamindb.models import File, Record

_WIDER = 20
"""So many times more nodes are read where siblings may make them fit."""


def graph(
    records: Any,
    *,
    up: bool = True,
    down: bool = True,
    depth: int | None = DEPTH,
    max_nodes: int = MAX_NODES,
    all_producers: bool = False,
    group: bool = True,
    steps: bool = False,
    plumbing: bool = True,
) -> LineagePicture:
    """Return a picture of the lineage around records: their ancestors, their descendants, or both.

    Nearer nodes come first. The picture shows how many neighbours of a node are left out.

    Args:
        records: A file, run or transform, its id or key, or several of them; a transform stands for its runs.
        up: Include ancestors.
        down: Include descendants.
        depth: The number of generations of files in each direction; None means all.
        max_nodes: The maximum number of files and runs.
        all_producers: Follow every run that produced the same bytes, not only the first.
        group: Draw siblings as one node: files of one folder, or runs of one transform, with the same neighbours.
        steps: Draw the runs inside a run of `records` one by one; else they are folded into it.
        plumbing: Draw what is only on the way from one run to another, too; else it is counted. It is files that one
            run made and one run read, without a description, and without a key or in a folder such as tmp or interim.

    Raises:
        InvalidInputError: `records` is empty, both directions are off, a number is negative, or the records are not
            of one open instance.
    """
    if not (up or down):
        raise InvalidInputError("up and down are both False: nothing would be shown")
    asked = [records] if isinstance(records, (Record, str)) or not isinstance(records, Iterable) else list(records)
    direction: Direction = "both" if up and down else "up" if up else "down"
    limits: dict[str, Any] = {"up": up, "down": down, "depth": depth, "all_producers": all_producers}
    found = subgraph.neighbourhood(asked, max_nodes=max_nodes, **limits)
    known = [query.record_of(one) for one in asked]
    query.same_alias(*known)
    above = query.runs_inside(*(one for one in known if not isinstance(one, File)))
    inside = {run_id: top for run_id, top in above.items() if run_id != top}

    def drawn(graph: LineageGraph) -> LineageGraph:
        if steps and inside:
            # Drawn from the last files of the steps: from each step, all that it came from would be repeated.
            graph = replace(graph, focus=None, asked=())
        return summary.summarised(graph, group=group, plumbing=plumbing, inside={} if steps else inside)

    shown = drawn(found)
    if group and found.is_truncated and max(_hidden_counts(found), default=0) >= summary.MIN_GROUP:
        # Most of what does not fit may be siblings, which take one node together.
        wider = drawn(subgraph.neighbourhood(asked, max_nodes=_WIDER * max_nodes, **limits))
        shown = wider if len(wider) <= max_nodes else shown
    nothing = f"{_names(asked)} {'has' if len(asked) == 1 else 'have'} not been run"
    return LineagePicture(found, direction, nothing, shown)


def _hidden_counts(graph: LineageGraph) -> list[int]:
    return [count for counts in (graph.hidden_up, graph.hidden_down) for count in counts.values()]


def _names(records: list[Any]) -> str:
    """Return the names of records for a message."""
    names = (one if isinstance(one, str) else getattr(one, "key", None) or one.name or one.id for one in records)
    return " and ".join(repr(name) for name in names)


def view_lineage(record: Any, options: dict[str, Any]) -> LineagePicture:
    """Return a picture of the lineage of a record; the options are the arguments of `graph`.

    Raises:
        InvalidTypeError: There is no such option.
    """
    known = {"up", "down", "depth", "max_nodes", "all_producers", "group", "steps", "plumbing"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise InvalidTypeError(f"view_lineage() has no option {unknown[0]!r}: it has {', '.join(sorted(known))}")
    picture = graph(record, **options)
    running_page.tell(record, "/lineage")
    return picture


def part(record: Any, parameters: str = "") -> LineagePicture:
    """Return the part of a lineage that a page of `lamin ui` shows.

    Args:
        record: A file, run or transform, its id or key.
        parameters: What stands after the question mark in the address of the page, as in `depth=2&group=folder`.

    Raises:
        InvalidInputError: The parameters have a value that no page has.
        NoResultFound: There is no record with this id or key, or it was deleted.
    """
    known = query.record_of(record)
    kind = known._meta.concrete_model._meta.model_name
    asked = Excerpt.from_query(kind, known.id, dict(parse_qsl(parameters)))
    found = excerpt_graph.read(database.connection(query.same_alias(known)), asked)
    # Its parameters are those of the page.
    return LineagePicture(found.whole, asked.direction, f"{_names([known])} has not been run", found.graph, hint="")


def path(source: Any, target: Any, *, all_producers: bool = False) -> LineagePicture:
    """Return a picture of a shortest path from one record to another; it is empty and says so if there is none.

    Args:
        source: The earlier record, or its id or key.
        target: The later one.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: A record is not saved, or they belong to different instances.
        NoResultFound: There is no record with this id or key, or it was deleted.
    """
    found = subgraph.path(source, target, all_producers=all_producers)
    return LineagePicture(found, "up", _no_path(found, source, target, all_producers=all_producers))


def between(source: Any, target: Any, *, all_producers: bool = False) -> LineagePicture:
    """Return a picture of all paths from one record to another, with both; it is empty if there is none.

    Arguments and errors are as for `path`.
    """
    found = subgraph.between(source, target, all_producers=all_producers)
    return LineagePicture(found, "up", _no_path(found, source, target, all_producers=all_producers))


def _no_path(found: LineageGraph, source: Any, target: Any, *, all_producers: bool) -> str:
    """Return the text of an empty picture; where other versions of a file led there, it names the newest of them."""
    text = f"there is no path from {_names([source])} to {_names([target])}"
    start = None if found.files else query.record_of(source)
    if not isinstance(start, File):
        return text
    end = query.record_of(target)
    connection = database.connection(query.same_alias(start, end))
    before = sql.reached_both(connection, query.walk_from(end, is_up=True, all_producers=all_producers))[sql.FILE]
    # Looked for here: a statement takes no list of all that a file came from.
    others = [(number, one) for one, number in start.versions.values_list("id", "version") if one in before]
    newest = max((number for number, one in others if one != start.id), default=None)
    return f"{text}; there is one from version {newest}" if newest is not None else text
