"""Results of a comparison: records of what differs that display themselves as text, HTML and JSON."""

from __future__ import annotations

import datetime
import html
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, Literal

from lamindb.core.text import ELLIPSIS, elide_middle, isolated, printable, storable

Sign = Literal[" ", "-", "+", "~", "@"]

LISTED: Final = 20
"""The maximum number of entries of a list that text and HTML show; JSON has all of them."""
_VALUE_WIDTH: Final = 60
_LINE_WIDTH: Final = 300
_MAX_DEPTH: Final = 100
_COLOURS: Final = {"-": "#b31d28", "+": "#22863a", "~": "#8a6d00", "@": "#6f42c1"}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two records that are compared.

    Attributes:
        kind: `file`, `run` or `transform`.
        id: Its id.
        title: Its key or name.
        version: The version of a file or transform; None for a run.
    """

    kind: str
    id: str
    title: str
    version: int | str | None = None

    def __str__(self) -> str:
        version = f" v{self.version}" if self.version is not None else ""
        return f"{isolated(printable(self.title))}{version} ({self.id})"


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs.

    Attributes:
        name: What it is: a label, or the path to it.
        kind: `changed`, or `added` or `removed` where only one side has it.
        before: The earlier value; None if it was added.
        after: The later value; None if it was removed.
    """

    name: str
    kind: Literal["changed", "added", "removed"]
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report. `sign` is `-` or `+` for what only one side has, `~` for a change, `@` for a position."""

    sign: Sign
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report."""

    title: str
    lines: tuple[Line, ...]


class Difference:
    """What differs between two records."""

    __slots__ = ()

    before: Side
    after: Side

    @property
    def is_equal(self) -> bool:
        """Return True if nothing differs."""
        raise NotImplementedError

    def sections(self) -> Iterator[Section]:
        """Yield the parts of the report; each line is safe to print."""
        raise NotImplementedError

    def lines(self) -> Iterator[Line]:
        """Yield the report as lines that are safe to print."""
        yield Line("-", f"-- {self.before}")
        yield Line("+", f"++ {self.after}")
        if self.is_equal:
            yield Line(" ", "no differences")
        for section in self.sections():
            yield Line(" ", "")
            yield Line(" ", section.title)
            for line in section.lines:
                yield Line(line.sign, short(line.text, _LINE_WIDTH))

    def to_text(self) -> str:
        """Return the report as text that is safe to print."""
        return "\n".join((line.sign + line.text).rstrip() for line in self.lines())

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain dictionaries, lists, strings and numbers: all fields of the result, by name."""
        found = {field.name: plain(getattr(self, field.name)) for field in fields(self)}  # type: ignore[arg-type]
        return {"format": "lamindb-diff", "format_version": 1, "is_equal": self.is_equal, **found}

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """Return it as HTML for a notebook."""
        text = "\n".join(_html_line(line) for line in self.lines())
        return f"<pre style='line-height:1.3'>{text}</pre>"


def _html_line(line: Line) -> str:
    text = html.escape((line.sign + line.text).rstrip())
    colour = _COLOURS.get(line.sign)
    return f"<span style='color:{colour}'>{text}</span>" if colour else text


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as JSON types; times are ISO 8601, other objects text, and what is nested too deeply "…"."""
    if depth > _MAX_DEPTH:
        return ELLIPSIS
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), depth + 1) for field in fields(value)}
    if isinstance(value, dict):
        return {str(name): plain(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, depth + 1) for inner in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if value is None or isinstance(value, bool | int):
        return value
    return storable(value if isinstance(value, str | float) else str(value))


def shown(value: Any) -> str:
    """Return a value as short text that is safe to print; text is quoted."""
    return isolated(short(json.dumps(plain(value), ensure_ascii=False), _VALUE_WIDTH))


def short(text: str, width: int) -> str:
    """Return text that is safe to print, shortened in its middle to a width in cells."""
    # Measuring takes time for each character, and a line can have millions.
    cut = text if len(text) <= 4 * width else text[: 2 * width] + ELLIPSIS + text[-2 * width :]
    return printable(elide_middle(printable(cut), width))


def change_lines(changes: Iterable[Change]) -> list[Line]:
    """Return the lines for changes, the first of them if they are many."""
    found: list[Line] = []
    left = 0
    for change in changes:
        if len(found) == LISTED:
            left += 1
            continue
        name = isolated(short(change.name, _VALUE_WIDTH))
        if change.kind == "added":
            found.append(Line("+", f" {name}: {shown(change.after)}"))
        elif change.kind == "removed":
            found.append(Line("-", f" {name}: {shown(change.before)}"))
        else:
            found.append(Line("~", f" {name}: {shown(change.before)} → {shown(change.after)}"))
    return [*found, *more(left)]


def more(left: int, indent: int = 1) -> list[Line]:
    """Return the line that counts what is not listed; none if everything is."""
    return [Line(" ", f"{' ' * indent}… and {left:,} more")] if left > 0 else []


def value_change(name: str, before: Any, after: Any) -> Iterator[Change]:
    """Yield the change of a value; nothing if it is the same on both sides. None means unknown."""
    if before == after:
        return
    kind: Literal["changed", "added", "removed"] = "changed"
    if before is None or after is None:
        kind = "added" if before is None else "removed"
    yield Change(name, kind, before, after)
