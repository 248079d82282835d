"""What commands print: plain text that pipes well, tables that fit the terminal, JSON with stable keys."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lamindb.core.safe_text import cell_width, elide_middle, isolated, printable

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
