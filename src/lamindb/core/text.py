"""Text that comes from outside: made storable, printable, short.

Names of files and arguments are bytes, and JSON knows halves of characters.

PostgreSQL stores neither a NUL nor half of a surrogate pair, in text and in JSON; SQLite takes some of it, in some
columns. Whatever a run records of its surroundings goes through here, so that every database stores the same.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from typing import Any, Final


def storable(value: Any) -> Any:
    r"""Return a text or JSON value in which what no database can hold is written visibly.

    Half of a surrogate pair, which stands for a byte that was no UTF-8, becomes its escape (`\udce9`), a NUL `\0`, and
    a number that is none its name (`nan`, `inf`). All else stays as it is; idempotent.

    Examples:
        >>> storable({"caf\udce9": ["a\0b", 1, float("inf")]})
        {'caf\\udce9': ['a\\0b', 1, 'inf']}
    """
    if isinstance(value, str):
        # Fast path: NULs and lone surrogates are never printable.
        return value if value.isprintable() else value.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(float(value))
    if isinstance(value, dict):
        return _with_names(value)
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    if isinstance(value, tuple):
        return tuple(storable(inner) for inner in value)
    return value


def _with_names(values: dict[Any, Any]) -> dict[Any, Any]:
    """Return a dictionary with storable names; names that became equal get different ones."""
    found: dict[Any, Any] = {}
    for name, value in values.items():
        shown = storable(name)
        while shown != name and (shown in values or shown in found):
            shown += "_"
        found[shown] = storable(value)
    return found


ELLIPSIS = "…"

_JOINERS = "\u200c\u200d"
"""Invisible, harmless, and needed to write some languages and emoji."""

_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_UNSEEN = _JOINERS + _ISOLATE + _END_ISOLATE


def printable(text: str) -> str:
    r"""Write characters that would not be seen, or would do something, as escapes.

    These are control and formatting characters (ANSI sequences, line breaks, changes of the writing direction),
    lone surrogates, private and unassigned ones. The result is always valid in XML and UTF-8. What `isolated` adds
    stays, since pairs of these marks do nothing outside.

    Examples:
        >>> printable("a\x1b[31mb\n")
        'a\\x1b[31mb\\n'
    """
    if text.isprintable():
        return text
    kept = _ISOLATE + _END_ISOLATE if _is_paired(text) else ""
    return "".join(one if one in kept or _is_seen(one) else _escape(one) for one in text)


_USER_OF_ADDRESS: Final = re.compile(r"(://)[^/?#]*@")
_SECRET_QUERY: Final = re.compile(
    r"\?(?:.*&)?(?:x-(?:amz|goog)-[\w-]+|sig|signature|[\w-]*(?:access_?id|key|token|secret|password|auth)[\w-]*)=.*",
    re.IGNORECASE | re.DOTALL,
)


def public_address(address: str) -> str:
    """Return an address without what gives access: user and password, and the query of a presigned one.

    Examples:
        >>> public_address("https://ada:secret@host/x.csv?X-Amz-Signature=1f2e")
        'https://…@host/x.csv?…'
        >>> public_address("s3://bucket/what?.csv")
        's3://bucket/what?.csv'
    """
    return _SECRET_QUERY.sub("?…", _USER_OF_ADDRESS.sub(r"\1…@", address, count=1), count=1)


def _is_paired(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == _ISOLATE) - (character == _END_ISOLATE)
        if depth < 0:
            return False
    return depth == 0


def _is_seen(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def isolated(text: str) -> str:
    """Keep a printable text that is read from right to left from pulling what stands next to it into its order.

    Where nothing in it is read so, it is returned as it is. Callers measure and shorten before.

    Examples:
        >>> isolated("a.csv")
        'a.csv'
    """
    if text.isascii() or not any(unicodedata.bidirectional(one) in ("R", "AL", "AN") for one in text):
        return text
    return f"{_ISOLATE}{text}{_END_ISOLATE}"


def cell_width(text: str) -> int:
    """Count the terminal cells that a text takes: 2 for wide East Asian characters, 0 for combining ones."""
    if text.isascii():
        return len(text)
    width = 0
    for character in text:
        if unicodedata.combining(character) or character in _UNSEEN or unicodedata.category(character) == "Mn":
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def elide_middle(text: str, limit: float, measure: Callable[[str], float] = cell_width) -> str:
    """Shorten a text to a width, leaving out its middle: the start is the most telling, and the end has the suffix.

    Args:
        text: A printable text.
        limit: The width that it may take, in the unit of `measure`.
        measure: The width of a text; longer texts must not be narrower.

    Examples:
        >>> elide_middle("counts_sample_01.csv", 11)
        'coun…01.csv'
    """
    if measure(text) <= limit:
        return text
    shortest, longest = 0, len(text)
    while shortest < longest:
        middle = (shortest + longest + 1) // 2
        if measure(_keep(text, middle)) <= limit:
            shortest = middle
        else:
            longest = middle - 1
    return _keep(text, shortest) if measure(ELLIPSIS) <= limit else ""


def _keep(text: str, count: int) -> str:
    start = count * 2 // 5
    return text[:start] + ELLIPSIS + text[len(text) - (count - start) :]


def size_text(size: int) -> str:
    """Write a number of bytes for people, in powers of 1,000 as disks and Finder windows do.

    Examples:
        >>> size_text(29358)
        '29.4 kB'
    """
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:,.1f} PB"


def counted(count: int, noun: str) -> str:
    """Write a number and its noun.

    Examples:
        >>> counted(1, "byte"), counted(2000, "byte")
        ('1 byte', '2,000 bytes')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration_text(seconds: float) -> str:
    """Write a time span for people, with at most two units.

    Examples:
        >>> duration_text(3723)
        '1 h 2 min'
    """
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
