"""Questions about where things came from and what became of them: `ln.lineage`.

Each function takes records or their ids; a file also goes by its key. Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "ancestor_ids": "lamindb.usecases.lineage.tracing",
    "between": "lamindb.exchange.viewing",
    "common_ancestors": "lamindb.usecases.lineage.tracing",
    "descendant_ids": "lamindb.usecases.lineage.tracing",
    "graph": "lamindb.exchange.viewing",
    "impact": "lamindb.usecases.lineage.impacting",
    "leaves": "lamindb.usecases.lineage.tracing",
    "path": "lamindb.exchange.viewing",
    "roots": "lamindb.usecases.lineage.tracing",
}

__all__ = [
    "ancestor_ids",
    "between",
    "common_ancestors",
    "descendant_ids",
    "graph",
    "impact",
    "leaves",
    "path",
    "roots",
]

if TYPE_CHECKING:
    from lamindb.exchange.viewing import between as between
    from lamindb.exchange.viewing import graph as graph
    from lamindb.exchange.viewing import path as path
    from lamindb.usecases.lineage.impacting import impact as impact
    from lamindb.usecases.lineage.tracing import ancestor_ids as ancestor_ids
    from lamindb.usecases.lineage.tracing import common_ancestors as common_ancestors
    from lamindb.usecases.lineage.tracing import descendant_ids as descendant_ids
    from lamindb.usecases.lineage.tracing import leaves as leaves
    from lamindb.usecases.lineage.tracing import roots as roots


def __getattr__(name: str) -> Any:
    """Load a function when it is first used.

    Raises:
        AttributeError: There is no such function.
    """
    if name not in _HOMES:
        raise AttributeError(f"lamindb.lineage has no {name!r}: it has {', '.join(__all__)}")
    from lamindb.instance.database import setup as set_up

    set_up()
    importlib.import_module("lamindb.usecases.setup.instances")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
