"""What the reasons why files are stale or affected have in common: files as text and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lamindb.core.text import printable
from lamindb.models import File

_NAMED: Final = 3
"""A reason in words names at most this many of the files between."""


def as_dict(file: File) -> dict[str, Any]:
    """Return what a reason says of a file as plain values."""
    return {"key": file.key, "id": file.id, "version": file.version}


def title(file: File) -> str:
    """Return the key of a file, or its name, safe to print."""
    return printable(file.key or file.name or file.id)


def listed(texts: Sequence[str]) -> str:
    """Return the first of some texts, and how many more there are."""
    more = f" and {len(texts) - _NAMED:,} more" if len(texts) > _NAMED else ""
    return f"{', '.join(texts[:_NAMED])}{more}"


def by_way_of(files: Sequence[File]) -> str:
    """Return the end of a reason that names the files between its beginning and the file; "" if there are none."""
    return f", by way of {listed([title(file) for file in files])}" if files else ""
