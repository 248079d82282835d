"""The first rows and columns of a table."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any, Final

from lamindb.core.text import printable
from lamindb.environment.redaction import redact_text
from lamindb.web.previews import child
from lamindb.web.previews.refused import RefusedError

MOST_ROWS: Final = 100
MOST_COLUMNS: Final = 50
_MOST_CELL: Final = 200
_MOST_BYTES: Final = 256 * 1024


def content(path: Path, kind: str) -> dict[str, Any]:
    """Return the first part of a table: `columns`, each a name and a type, `rows` of texts, and what is left out.

    Raises:
        RefusedError: It cannot be read as a table.
    """
    if kind in ("parquet", "feather"):
        found = child.ask(kind, path)
        columns = [(cell(name), cell(form)) for name, form in found["columns"]]
        return {
            "columns": columns,
            "rows": [[cell(value) for value in row] for row in found["rows"]],
            "n_rows": found["n_rows"],
            "n_columns": found["n_columns"],
            "is_cut": found["n_rows"] > len(found["rows"]) or found["n_columns"] > len(columns),
        }
    return _separated(path, "\t" if kind == "tsv" else ",")


def _separated(path: Path, separator: str) -> dict[str, Any]:
    """Return the beginning of text with separators; a compressed one is unpacked only as far as it is shown."""
    with path.open("rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if is_packed else path.open("rb") as stream:
        try:
            data = stream.read(_MOST_BYTES + 1)
        except (OSError, EOFError) as error:
            raise RefusedError("It is packed in another way than its suffix says.") from error
    is_cut = len(data) > _MOST_BYTES
    text = data[:_MOST_BYTES].decode("utf-8-sig", "replace").replace("\0", "\ufffd")
    if is_cut:
        text = text.rpartition("\n")[0] or text
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=separator):
            rows.append(row)
            if len(rows) > MOST_ROWS + 1:
                break
    except csv.Error as error:
        raise RefusedError("It cannot be read as a table.") from error
    if not rows:
        raise RefusedError("It is empty.")
    head, body = rows[0], rows[1 : MOST_ROWS + 1]
    widest = max(len(row) for row in rows)
    return {
        "columns": [(cell(name), "") for name in head[:MOST_COLUMNS]],
        "rows": [[cell(value) for value in row[:MOST_COLUMNS]] for row in body],
        "n_rows": None if is_cut or len(rows) > MOST_ROWS + 1 else len(rows) - 1,
        "n_columns": widest,
        "is_cut": is_cut or len(rows) > MOST_ROWS + 1 or widest > MOST_COLUMNS,
    }


def cell(value: Any) -> str:
    """Return a value as short text that is safe to show."""
    text = str(value)[: 10 * _MOST_CELL]
    shown = printable(redact_text(text))
    return shown if len(shown) <= _MOST_CELL else f"{shown[: _MOST_CELL - 1]}…"
