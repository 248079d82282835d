"""Changes of notebooks against their committed files: of cells, and never of outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from lamindb.environment import notebooks

MOST_BYTES: Final = 8 * 1024 * 1024
"""Larger notebooks are not compared: they count as changed, and the patch leaves them out."""

_NO_NEWLINE: Final = "\\ No newline at end of file\n"


def has_other_code(committed: bytes, present: bytes) -> bool:
    """Return True if two notebooks have other code cells, or if one cannot be read."""
    before, after = _document(committed), _document(present)
    if before is None or after is None:
        return committed != present
    return notebooks.hash_cells(notebooks.code_of(before)) != notebooks.hash_cells(notebooks.code_of(after))


def patch(path: str, committed: bytes | None, present: bytes) -> str:
    """Return the changes of a notebook's cells as a patch for git; empty if only outputs and the like changed.

    Args:
        path: The path from the top of the work tree.
        committed: The committed file; None if it is new.
        present: The file as it is.
    """
    before, after = _document(committed) if committed is not None else None, _document(present)
    if after is None or (committed is not None and before is None):
        return ""
    old = committed.decode("utf-8", "surrogateescape") if committed is not None else ""
    write = _Writer(old, before)
    if before is not None:
        old = write(before)
    new = write(_with_cells_of(before, after))
    if old == new:
        return ""
    import difflib

    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        new.splitlines(keepends=True),
        "/dev/null" if committed is None else f"a/{path}",
        f"b/{path}",
    )
    mode = "new file mode 100644\n" if committed is None else ""
    return f"diff --git a/{path} b/{path}\n{mode}" + "".join(_terminated(lines))


def _terminated(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}"


def _document(data: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("cells"), list) else None


class _Writer:
    """Writes JSON as the committed file has it, so that git can apply the patch."""

    def __init__(self, text: str, document: dict[str, Any] | None) -> None:
        self._end = "\n" if text.endswith("\n") or not text else ""
        self._options: dict[str, Any] = {"indent": 1, "ensure_ascii": False}
        for indent in (1, 2, 4, None):
            for is_ascii in (False, True):
                options: dict[str, Any] = {"indent": indent, "ensure_ascii": is_ascii}
                if document is not None and json.dumps(document, **options) + self._end == text:
                    self._options = options
                    return

    def __call__(self, document: dict[str, Any]) -> str:
        return json.dumps(document, **self._options) + self._end


def _with_cells_of(before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    """Return a committed notebook with the cells of the present one; outputs and metadata stay as committed."""
    old_cells = [cell for cell in (before or {}).get("cells", []) if isinstance(cell, dict)]
    by_id = {cell["id"]: cell for cell in old_cells if isinstance(cell.get("id"), str)}
    cells = []
    for position, cell in enumerate(cell for cell in after["cells"] if isinstance(cell, dict)):
        same = by_id.get(cell["id"]) if isinstance(cell.get("id"), str) else None
        if same is None and not by_id and position < len(old_cells):
            same = old_cells[position]
        if same is not None and same.get("cell_type") == cell.get("cell_type"):
            is_same = notebooks.source_text(same) == notebooks.source_text(cell)
            cells.append(same if is_same else {**same, "source": cell.get("source", "")})
        else:
            cells.append(_without_results(cell))
    if before is not None:
        return {**before, "cells": cells}
    metadata = after.get("metadata")
    kept = {
        name: metadata[name]
        for name in ("kernelspec", "language_info")
        if isinstance(metadata, dict) and name in metadata
    }
    return {**after, "cells": cells, "metadata": kept}


def _without_results(cell: dict[str, Any]) -> dict[str, Any]:
    found = {**cell, "metadata": {}}
    if cell.get("cell_type") == "code":
        found |= {"outputs": [], "execution_count": None}
    return found
