"""Lineage asked for and drawn in one step; each answer is a picture that holds its graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lamindb.errors import InvalidInputError, InvalidTypeError
from lamindb.lineage import subgraph
from lamindb.lineage.render.picture import LineagePicture
from lamindb.lineage.render.tree import Direction
from lamindb.lineage.subgraph import DEPTH, MAX_NODES
from lamindb.models import Record


def graph(
    records: Any,
    *,
    up: bool = True,
    down: bool = True,
    depth: int | None = DEPTH,
    max_nodes: int = MAX_NODES,
    all_producers: bool = False,
) -> LineagePicture:
    """Draw the lineage around records: upward only what they came from, downward only what they became.

    Nearer nodes come first; what is left out next to a node is counted there, and the picture says so.

    Args:
        records: A file, run or transform, an id or key of one, or several of them; of a transform, its runs.
        up: Show where they came from.
        down: Show what became of them.
        depth: How many generations of files in each direction; None for all.
        max_nodes: How many files and runs to show at most.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: There is no record or no direction, a number is negative, or the records are not of one
            open instance.
    """
    if not (up or down):
        raise InvalidInputError("a lineage is drawn in some direction: leave up or down True")
    asked = [records] if isinstance(records, (Record, str)) or not isinstance(records, Iterable) else list(records)
    direction: Direction = "both" if up and down else "up" if up else "down"
    found = subgraph.neighbourhood(
        asked, up=up, down=down, depth=depth, max_nodes=max_nodes, all_producers=all_producers
    )
    nothing = f"{_names(asked)} {'has' if len(asked) == 1 else 'have'} not been run"
    return LineagePicture(found, direction, nothing)


def _names(records: list[Any]) -> str:
    """Name records, or what stands for them, as a person calls them."""
    names = (one if isinstance(one, str) else getattr(one, "key", None) or one.name or one.id for one in records)
    return " and ".join(repr(name) for name in names)


def view_lineage(record: Any, options: dict[str, Any]) -> LineagePicture:
    """Draw the lineage of a record; the options are the arguments of `graph`.

    Raises:
        InvalidTypeError: There is no such option.
    """
    known = {"up", "down", "depth", "max_nodes", "all_producers"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise InvalidTypeError(f"view_lineage() has no option {unknown[0]!r}: it has {', '.join(sorted(known))}")
    return graph(record, **options)


def path(source: Any, target: Any, *, all_producers: bool = False) -> LineagePicture:
    """Draw the shortest way by which one record led to another; if it did not, nothing, and the picture says so.

    Args:
        source: The earlier record, or its id or key.
        target: The later one.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: A record is not saved, or they belong to different instances.
        NoResultFound: There is no record with this id or key, or it was deleted.
    """
    return LineagePicture(subgraph.path(source, target, all_producers=all_producers), "up", _no_way(source, target))


def between(source: Any, target: Any, *, all_producers: bool = False) -> LineagePicture:
    """Draw everything on any way from one record to another, with both; nothing if there is no way.

    Arguments and errors are as for `path`.
    """
    found = subgraph.between(source, target, all_producers=all_producers)
    return LineagePicture(found, "up", _no_way(source, target))


def _no_way(source: Any, target: Any) -> str:
    return f"no way leads from {_names([source])} to {_names([target])}"
