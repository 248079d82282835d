"""What commands print: plain text that pipes well, tables that fit the terminal, JSON with stable keys."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lamindb.core.text import cell_width, elide_middle, isolated, printable

if TYPE_CHECKING:
    from lamindb.models import File, Run, Transform, User

_BOLD, _DIM, _RED, _GREEN, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[0m"
_STYLES = {"bold": _BOLD, "dim": _DIM, "red": _RED, "green": _GREEN}
_NARROWEST = 8
_WHOLE = frozenset({"id", "size", "version", "when", "took", "status", "exit", "removed", "what", "setting", "value"})
"""Columns that are never shortened: half an id, a number or a word of ours helps nobody."""

_KEY = "key"
_LEFT_OUT = ("id", "when")
"""Columns that a narrow terminal does without, in this order, where a key names the row: they say less than it does."""

_READABLE = 40
"""So much of a key is worth more than those columns."""


def out(text: str = "") -> None:
    """Print a line of data."""
    sys.stdout.write(text + "\n")


def out_json(value: Any) -> None:
    """Print a value as JSON; times become ISO 8601 in UTC, paths text."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    out(text if _can_be_written(text) else json.dumps(value, indent=2, default=_plain))


def _can_be_written(text: str) -> bool:
    """Tell whether UTF-8 can hold a text, which it cannot where a name has a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def out_json_list(values: Iterable[Any]) -> None:
    """Print values as one JSON list, a line each, without holding more than one of them."""
    opening = "[\n"
    for value in values:
        text = json.dumps(value, ensure_ascii=False, default=_plain)
        sys.stdout.write(opening + (text if _can_be_written(text) else json.dumps(value, default=_plain)))
        opening = ",\n"
    out("[]" if opening == "[\n" else "\n]")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat()
    if isinstance(value, Path):
        return str(value)
    return str(value)


def is_coloured() -> bool:
    """Tell whether colours are wanted: at a terminal that shows them, unless NO_COLOR is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str) -> str:
    """Return text in a style: "bold", "dim", "red" or "green"; unchanged where colours are not wanted."""
    return f"{_STYLES[style]}{text}{_PLAIN}" if text and is_coloured() else text


def time_text(moment: datetime.datetime | None) -> str:
    """Write a time in the local zone, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment is not None else ""


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, right: frozenset[str] = frozenset()) -> list[str]:
    """Lay rows out in aligned columns.

    At a terminal, the widest names are shortened in their middle so that each row is one line, if they can be, and keys
    last: before, a narrow terminal leaves out their ids and times. In a pipe nothing is ever shortened or left out.

    Args:
        headers: The names of the columns; those in `right` are aligned to the right.
        rows: Values; None is shown as nothing. Control characters are escaped.
        right: See `headers`.
    """
    cells = [[printable("" if value is None else str(value)) for value in row] for row in rows]
    widths = [max([cell_width(head), *(cell_width(row[place]) for row in cells)]) for place, head in enumerate(headers)]
    if sys.stdout.isatty():
        available = shutil.get_terminal_size().columns
        kept = _kept(headers, widths, available)
        headers, widths = [headers[place] for place in kept], [widths[place] for place in kept]
        cells = [[row[place] for place in kept] for row in cells]
        flexible = [place for place, head in enumerate(headers) if head not in _WHOLE]
        widths = _fitted(widths, [place for place in flexible if headers[place] != _KEY], available)
        widths = _fitted(widths, flexible, available)
    lines = [styled(_line(headers, headers, widths, right), "bold")]
    lines.extend(_line(row, headers, widths, right) for row in cells)
    return lines


def _kept(headers: Sequence[str], widths: Sequence[int], available: int) -> list[int]:
    """Return the places of the columns to show: without some, if a key would have to be shortened for them."""
    kept = list(range(len(headers)))
    if _KEY not in headers:
        return kept
    wanted = min(widths[list(headers).index(_KEY)], _READABLE)
    for name in _LEFT_OUT:
        needed = [
            wanted
            if headers[place] == _KEY
            else widths[place]
            if headers[place] in _WHOLE
            else _narrowest(widths[place])
            for place in kept
        ]
        if sum(needed) + 2 * (len(needed) - 1) <= available:
            break
        kept = [place for place in kept if headers[place] != name]
    return kept


def _narrowest(width: int) -> int:
    return min(width, _NARROWEST)


def _fitted(widths: list[int], flexible: list[int], available: int) -> list[int]:
    """Take from the widest of some columns until the row fits, never below what is still readable."""
    fitted = list(widths)
    excess = sum(fitted) + 2 * (len(fitted) - 1) - available
    while excess > 0 and flexible:
        place = max(flexible, key=lambda one: fitted[one])
        if fitted[place] <= _NARROWEST:
            break
        narrower = [fitted[one] for one in flexible if fitted[one] < fitted[place]]
        taken = min(excess, max(1, fitted[place] - max([_NARROWEST, *narrower])))
        fitted[place] -= taken
        excess -= taken
    return fitted


def _line(values: Sequence[str], headers: Sequence[str], widths: list[int], right: frozenset[str]) -> str:
    parts = []
    for value, head, width in zip(values, headers, widths, strict=True):
        shown = elide_middle(value, width)
        gap = " " * (width - cell_width(shown))
        shown = isolated(shown)
        parts.append(gap + shown if head in right else shown + gap)
    return "  ".join(parts).rstrip()


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, as in "1 file" and "2 files"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class FileRow(NamedTuple):
    """What a list shows of a file; made without its record, since lists are long."""

    id: str
    key: str | None
    name: str
    suffix: str
    size: int
    hash: str
    version: int
    is_latest: bool
    is_folder: bool
    n_files: int
    description: str | None
    storage: str
    run: str | None
    transform: str | None
    created_by: str | None
    created_at: datetime.datetime
    trashed_at: datetime.datetime | None
    trashed_by: str | None


_COLUMNS = {
    "storage": "storage_id",
    "run": "run_id",
    "transform": "transform__name",
    "created_by": "created_by__handle",
    "trashed_by": "trashed_by__handle",
}


def file_rows(query: Any) -> Iterator[FileRow]:
    """Yield what a list shows of the files of a query, in its order."""
    from lamindb.models import Storage

    roots = {storage.id: storage.root for storage in Storage.objects.using(query.db)}
    place = FileRow._fields.index("storage")
    for values in query.values_list(*(_COLUMNS.get(name, name) for name in FileRow._fields)).iterator():
        yield FileRow._make((*values[:place], roots[values[place]], *values[place + 1 :]))


def file_as_dict(file: File) -> dict[str, Any]:
    """Return what `--json` shows of a file: the names of a `FileRow`."""
    return {
        "id": file.id,
        "key": file.key,
        "name": file.name,
        "suffix": file.suffix,
        "size": file.size,
        "hash": file.hash,
        "version": file.version,
        "is_latest": file.is_latest,
        "is_folder": file.is_folder,
        "n_files": file.n_files,
        "description": file.description,
        "storage": file.storage.root,
        "run": file.run_id,
        "transform": file.transform.name if file.transform is not None else None,
        "created_by": file.created_by.handle if file.created_by is not None else None,
        "created_at": file.created_at,
        "trashed_at": file.trashed_at,
        "trashed_by": file.trashed_by.handle if file.trashed_by is not None else None,
    }


def run_as_dict(run: Run) -> dict[str, Any]:
    """Return what `--json` shows of a run."""
    return {
        "id": run.id,
        "name": run.name,
        "transform": run.transform.name,
        "transform_id": run.transform_id,
        "transform_type": run.transform.type,
        "transform_version": run.transform.version,
        "status": run.status,
        "exit_code": run.exit_code,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "created_by": run.created_by.handle if run.created_by is not None else None,
        "created_at": run.created_at,
        "parent": run.parent_id,
        "params": run.params,
    }


def transform_as_dict(transform: Transform) -> dict[str, Any]:
    """Return what `--json` shows of a transform."""
    return {
        "id": transform.id,
        "name": transform.name,
        "type": transform.type,
        "version": transform.version,
        "reference": transform.reference,
        "description": transform.description,
        "created_by": transform.created_by.handle if transform.created_by is not None else None,
        "created_at": transform.created_at,
    }


def user_as_dict(user: User) -> dict[str, Any]:
    """Return what `--json` shows of a user."""
    return {"id": user.id, "handle": user.handle, "name": user.name, "email": user.email}


AS_DICT: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "file": file_as_dict,
    "run": run_as_dict,
    "transform": transform_as_dict,
    "user": user_as_dict,
}
"""How records of each kind are shown."""
