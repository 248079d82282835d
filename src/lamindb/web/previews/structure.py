"""What is in an HDF5 or AnnData file: groups, shapes and types; no array is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lamindb.web.previews import child
from lamindb.web.previews.tables import cell


def content(path: Path, kind: str) -> dict[str, Any]:
    """Return the structure of a file as rows of a depth, a name and what it is.

    Raises:
        RefusedError: It cannot be read.
    """
    found = child.ask(kind, path)
    return {
        "facts": [(cell(name), cell(value)) for name, value in found["facts"]],
        "nodes": [
            {"depth": min(int(depth), 8), "name": cell(name), "note": cell(note)}
            for depth, name, note in found["nodes"]
        ],
        "is_cut": bool(found["is_cut"]),
    }
