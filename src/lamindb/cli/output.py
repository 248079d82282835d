"""Output of commands: plain text for pipes, tables that fit the terminal, JSON with stable keys."""

from __future__ import annotations

import datetime
import itertools
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
"""Columns that are never shortened: part of an id or a number is useless."""

_KEY = "key"
_LEFT_OUT = ("id", "when")
"""Columns that a narrow terminal leaves out, in this order, to show more of the key."""

_READABLE_KEY = 40
"""Columns are left out until this much of the longest key fits."""


def out(text: str = "") -> None:
    """Print a line of data."""
    sys.stdout.write(text + "\n")


def out_pages(lines: Iterable[str]) -> None:
    """Print lines of data; at a terminal, through a pager if they do not fit."""
    rest = iter(lines)
    height = shutil.get_terminal_size().lines if sys.stdout.isatty() else 0
    first = list(itertools.islice(rest, height))
    if height and len(first) == height:
        import click

        click.echo_via_pager(f"{line}\n" for line in itertools.chain(first, rest))
        return
    for line in itertools.chain(first, rest):
        out(line)


def out_json(value: Any) -> None:
    """Print a value as JSON; times become ISO 8601 in UTC, paths text."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    out(text if _is_encodable(text) else json.dumps(value, indent=2, default=_plain))


def _is_encodable(text: str) -> bool:
    """Return True if text can be encoded as UTF-8: a name may have a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def out_json_list(values: Iterable[Any]) -> None:
    """Print values as one JSON list, one a line, holding one value at a time in memory."""
    opening = "[\n"
    for value in values:
        text = json.dumps(value, ensure_ascii=False, default=_plain)
        sys.stdout.write(opening + (text if _is_encodable(text) else json.dumps(value, default=_plain)))
        opening = ",\n"
    out("[]" if opening == "[\n" else "\n]")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat()
    if isinstance(value, Path):
        return str(value)
    return str(value)


def is_coloured() -> bool:
    """Return True if colours are wanted: at a terminal that shows them, unless NO_COLOR is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str) -> str:
    """Return text in a style: "bold", "dim", "red" or "green"; unchanged if colours are not wanted."""
    return f"{_STYLES[style]}{text}{_PLAIN}" if text and is_coloured() else text


def time_text(time: datetime.datetime | None) -> str:
    """Return a time in the local zone, to the minute; "" for None."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M") if time is not None else ""


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, right: frozenset[str] = frozenset()) -> list[str]:
    """Return rows as lines with aligned columns.

    At a terminal, each row is made to fit one line: ids and times are left out if keys would have to be shortened for
    them, then the longest values are shortened in the middle, keys last. In a pipe nothing is shortened or left out.

    Args:
        headers: The names of the columns.
        rows: Values; None is shown as nothing. Control characters are escaped.
        right: The columns that are aligned to the right.
    """
    cells = [[printable("" if value is None else str(value)) for value in row] for row in rows]
    widths = [max([cell_width(head), *(cell_width(row[i]) for row in cells)]) for i, head in enumerate(headers)]
    if sys.stdout.isatty():
        available = shutil.get_terminal_size().columns
        kept = _kept(headers, widths, available)
        headers, widths = [headers[i] for i in kept], [widths[i] for i in kept]
        cells = [[row[i] for i in kept] for row in cells]
        flexible = [i for i, head in enumerate(headers) if head not in _WHOLE]
        widths = _fitted(widths, [i for i in flexible if headers[i] != _KEY], available)
        widths = _fitted(widths, flexible, available)
    lines = [styled(_line(headers, headers, widths, right), "bold")]
    lines.extend(_line(row, headers, widths, right) for row in cells)
    return lines


def _kept(headers: Sequence[str], widths: Sequence[int], available: int) -> list[int]:
    """Return the positions of the columns to show: without some, if keys would have to be shortened for them."""
    kept = list(range(len(headers)))
    if _KEY not in headers:
        return kept
    wanted = min(widths[list(headers).index(_KEY)], _READABLE_KEY)
    for name in _LEFT_OUT:
        needed = [
            wanted if headers[i] == _KEY else widths[i] if headers[i] in _WHOLE else min(widths[i], _NARROWEST)
            for i in kept
        ]
        if sum(needed) + 2 * (len(needed) - 1) <= available:
            break
        kept = [i for i in kept if headers[i] != name]
    return kept


def _fitted(widths: list[int], flexible: list[int], available: int) -> list[int]:
    """Return widths with the widest of some columns reduced until the row fits or all are at the minimum."""
    fitted = list(widths)
    excess = sum(fitted) + 2 * (len(fitted) - 1) - available
    while excess > 0 and flexible:
        widest = max(flexible, key=lambda i: fitted[i])
        if fitted[widest] <= _NARROWEST:
            break
        narrower = [fitted[i] for i in flexible if fitted[i] < fitted[widest]]
        taken = min(excess, max(1, fitted[widest] - max([_NARROWEST, *narrower])))
        fitted[widest] -= taken
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
    """Return a number with its noun, as in "1 file" and "2 files"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class FileRow(NamedTuple):
    """One file in a list, read without building its record: lists are long."""

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
    revision: int | None
    created_by: str | None
    created_at: datetime.datetime
    trashed_at: datetime.datetime | None
    trashed_by: str | None


_COLUMNS = {
    "storage": "storage_id",
    "run": "run_id",
    "transform": "transform__name",
    "revision": "run__revision",
    "created_by": "created_by__handle",
    "trashed_by": "trashed_by__handle",
}


def file_rows(query: Any) -> Iterator[FileRow]:
    """Yield the rows of a query of files, in its order."""
    from lamindb.models import Storage

    roots = {storage.id: storage.root for storage in Storage.objects.using(query.db)}
    column = FileRow._fields.index("storage")
    for values in query.values_list(*(_COLUMNS.get(name, name) for name in FileRow._fields)).iterator():
        yield FileRow._make((*values[:column], roots[values[column]], *values[column + 1 :]))


def file_as_dict(file: File) -> dict[str, Any]:
    """Return the JSON of a file: the fields of `FileRow`."""
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
        "revision": file.run.revision if file.run is not None else None,
        "created_by": file.created_by.handle if file.created_by is not None else None,
        "created_at": file.created_at,
        "trashed_at": file.trashed_at,
        "trashed_by": file.trashed_by.handle if file.trashed_by is not None else None,
    }


def run_as_dict(run: Run) -> dict[str, Any]:
    """Return the JSON of a run."""
    return {
        "id": run.id,
        "name": run.name,
        "transform": run.transform.name,
        "transform_id": run.transform_id,
        "transform_type": run.transform.type,
        "transform_version": run.transform.version,
        "revision": run.revision,
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
    """Return the JSON of a transform."""
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
    """Return the JSON of a user."""
    return {"id": user.id, "handle": user.handle, "name": user.name, "email": user.email}


AS_DICT: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "file": file_as_dict,
    "run": run_as_dict,
    "transform": transform_as_dict,
    "user": user_as_dict,
}
"""The JSON of each kind of record."""
