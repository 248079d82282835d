"""Query the lineage and return it as a picture."""

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
    """Return a picture of the lineage around records: their ancestors, their descendants, or both.

    Nearer nodes come first. The picture shows how many neighbours of a node are left out.

    Args:
        records: A file, run or transform, its id or key, or several of them; a transform stands for its runs.
        up: Include ancestors.
        down: Include descendants.
        depth: The number of generations of files in each direction; None means all.
        max_nodes: The maximum number of files and runs.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: `records` is empty, both directions are off, a number is negative, or the records are not
            of one open instance.
    """
    if not (up or down):
        raise InvalidInputError("up and down are both False: nothing would be shown")
    asked = [records] if isinstance(records, (Record, str)) or not isinstance(records, Iterable) else list(records)
    direction: Direction = "both" if up and down else "up" if up else "down"
    found = subgraph.neighbourhood(
        asked, up=up, down=down, depth=depth, max_nodes=max_nodes, all_producers=all_producers
    )
    nothing = f"{_names(asked)} {'has' if len(asked) == 1 else 'have'} not been run"
    return LineagePicture(found, direction, nothing)


def _names(records: list[Any]) -> str:
    """Return the names of records for a message."""
    names = (one if isinstance(one, str) else getattr(one, "key", None) or one.name or one.id for one in records)
    return " and ".join(repr(name) for name in names)


def view_lineage(record: Any, options: dict[str, Any]) -> LineagePicture:
    """Return a picture of the lineage of a record; the options are the arguments of `graph`.

    Raises:
        InvalidTypeError: There is no such option.
    """
    known = {"up", "down", "depth", "max_nodes", "all_producers"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise InvalidTypeError(f"view_lineage() has no option {unknown[0]!r}: it has {', '.join(sorted(known))}")
    return graph(record, **options)


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
    return LineagePicture(subgraph.path(source, target, all_producers=all_producers), "up", _no_path(source, target))


def between(source: Any, target: Any, *, all_producers: bool = False) -> LineagePicture:
    """Return a picture of all paths from one record to another, with both; it is empty if there is none.

    Arguments and errors are as for `path`.
    """
    found = subgraph.between(source, target, all_producers=all_producers)
    return LineagePicture(found, "up", _no_path(source, target))


def _no_path(source: Any, target: Any) -> str:
    return f"there is no path from {_names([source])} to {_names([target])}"
