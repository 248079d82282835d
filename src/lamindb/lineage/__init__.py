"""Lineage queries, as `ln.lineage`: ancestors, descendants, paths, impact, staleness, flags.

Each function takes a record or its id; for a file also its key. Names are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "affected": "lamindb.lineage.recall",
    "ancestor_ids": "lamindb.lineage.query",
    "between": "lamindb.lineage.draw",
    "common_ancestors": "lamindb.lineage.query",
    "descendant_ids": "lamindb.lineage.query",
    "graph": "lamindb.lineage.draw",
    "impact": "lamindb.lineage.impacts",
    "leaves": "lamindb.lineage.query",
    "part": "lamindb.lineage.draw",
    "path": "lamindb.lineage.draw",
    "plan": "lamindb.lineage.plans",
    "roots": "lamindb.lineage.query",
    "stale": "lamindb.lineage.staleness",
    "status": "lamindb.describe.overview",
}

__all__ = [
    "affected",
    "ancestor_ids",
    "between",
    "common_ancestors",
    "descendant_ids",
    "graph",
    "impact",
    "leaves",
    "part",
    "path",
    "plan",
    "roots",
    "stale",
    "status",
]

if TYPE_CHECKING:
    from lamindb.describe.overview import status as status
    from lamindb.lineage.draw import between as between
    from lamindb.lineage.draw import graph as graph
    from lamindb.lineage.draw import part as part
    from lamindb.lineage.draw import path as path
    from lamindb.lineage.impacts import impact as impact
    from lamindb.lineage.plans import plan as plan
    from lamindb.lineage.query import ancestor_ids as ancestor_ids
    from lamindb.lineage.query import common_ancestors as common_ancestors
    from lamindb.lineage.query import descendant_ids as descendant_ids
    from lamindb.lineage.query import leaves as leaves
    from lamindb.lineage.query import roots as roots
    from lamindb.lineage.recall import affected as affected
    from lamindb.lineage.staleness import stale as stale


def __getattr__(name: str) -> Any:
    """Import a function on first use.

    Raises:
        AttributeError: There is no such function.
    """
    if name not in _HOMES:
        raise AttributeError(f"lamindb.lineage has no {name!r}: it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
