"""What a page shows of a lineage, as a value that stands in its URL: around which record, how far, how folded.

The picture, the tree and the table of a page, its form, its links and its code to copy are made from this value, so
what one of them shows the others show, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any, Literal, get_args
from urllib.parse import urlencode

from lamindb.core.text import printable
from lamindb.errors import InvalidInputError
from lamindb.lineage.render.tree import Direction

Grouping = Literal["none", "folder", "transform", "parent"]
Mark = Literal["way", "before", "after"]
Form = Literal["picture", "tree", "table"]

PAGE = 20
"""A stub opens this many neighbours at a time, and so many of each node are shown at first."""
NODES = 60
MOST_NODES = 500
MOST_GENERATIONS = 20
MOST_OPENED = 100
_YEARS = (1970, 9998)

_ID = re.compile(r"[0-9A-Za-z]{1,32}")
_SIDES = ("up", "down")
_NAMES = ("dir", "depth", "n", "open", "group", "ungroup", "plumbing", "at", "sel", "mark", "as")


@dataclass(frozen=True, slots=True)
class Opened:
    """A node whose neighbours on one side were asked for: so many pages of them beyond the first ones."""

    id: str
    side: Literal["up", "down"]
    pages: int = 1

    def __str__(self) -> str:
        """Return it as in a URL."""
        return f"{self.id}:{self.side}" + (f":{self.pages}" if self.pages > 1 else "")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of the lineage around one record.

    Attributes:
        kind: `file`, `run` or `transform`.
        id: The id of the record.
        direction: `up` for what it came from, `down` for what it became, or `both`.
        depth: The number of generations of files in each direction.
        max_nodes: The maximum number of nodes at first, counted after grouping; see `most`.
        opened: Nodes whose left out neighbours are shown, in the order in which they were opened.
        group: Which nodes are folded into one: files of one folder, what one transform ran and made, or the runs
            inside one run.
        ungrouped: The keys of groups that are shown one by one.
        has_plumbing: Show what is only on the way from one run to another, too; else it is counted.
        at: Show only edges that were recorded until then.
        selected: The id of the node whose facts are shown beside.
        mark: What is highlighted: the `way` between the record and the selected node, or what came `before` or `after`
            the selected node.
        form: Show it as a picture, a tree or a table; None leaves that to the page.
    """

    kind: Literal["file", "run", "transform"]
    id: str
    direction: Direction = "both"
    depth: int = 1
    max_nodes: int = NODES
    opened: tuple[Opened, ...] = ()
    group: Grouping = "none"
    ungrouped: tuple[str, ...] = ()
    has_plumbing: bool = True
    at: date | datetime | None = None
    selected: str | None = None
    mark: Mark | None = None
    form: Form | None = None

    @classmethod
    def from_query(cls, kind: Any, record_id: str, given: Mapping[str, str]) -> Excerpt:
        """Return the excerpt that the parameters of a URL ask for; those of others are passed over.

        Raises:
            InvalidInputError: A value is none that `query` returns.
        """
        known = {name: text for name in _NAMES if (text := given.get(name, ""))}
        return cls(
            kind,
            record_id,
            direction=_one_of("dir", known.get("dir", "both"), get_args(Direction)),
            depth=_number("depth", known.get("depth", "1"), MOST_GENERATIONS, lowest=0),
            max_nodes=_number("n", known.get("n", str(NODES)), MOST_NODES),
            opened=_opened(known.get("open", "")),
            group=_one_of("group", known.get("group", "none"), get_args(Grouping)),
            ungrouped=tuple(_ids("ungroup", known.get("ungroup", ""))),
            has_plumbing=_one_of("plumbing", known.get("plumbing", "show"), ("show", "hide")) == "show",
            at=_when(known.get("at", "")),
            selected=next(iter(_ids("sel", known.get("sel", ""))), None),
            mark=_one_of("mark", known["mark"], get_args(Mark)) if "mark" in known else None,
            form=_one_of("as", known["as"], get_args(Form)) if "as" in known else None,
        )

    def query(self) -> str:
        """Return the parameters of a URL, without those that have their default; `from_query` reads them."""
        default = Excerpt(self.kind, self.id)
        values = {
            "dir": self.direction if self.direction != default.direction else "",
            "depth": str(self.depth) if self.depth != default.depth else "",
            "n": str(self.max_nodes) if self.max_nodes != default.max_nodes else "",
            "open": ",".join(map(str, self.opened)),
            "group": self.group if self.group != default.group else "",
            "ungroup": ",".join(self.ungrouped),
            "plumbing": "" if self.has_plumbing else "hide",
            "at": self.at.isoformat() if self.at is not None else "",
            "sel": self.selected or "",
            "mark": self.mark or "",
            "as": self.form or "",
        }
        return urlencode({name: text for name, text in values.items() if text}, safe=":,")

    def until(self) -> datetime | None:
        """Return the last moment that is shown, in UTC: of a date, its end; None for now."""
        if self.at is None:
            return None
        # No record is of other years, and at the ends of what Python counts a time zone has no room.
        if not _YEARS[0] <= self.at.year <= _YEARS[1]:
            return datetime(min(max(self.at.year, _YEARS[0]), _YEARS[1]), 1, 1, tzinfo=UTC)
        if isinstance(self.at, datetime):
            return self.at.astimezone(UTC) if self.at.tzinfo else self.at.replace(tzinfo=UTC)
        return datetime.combine(self.at, time.max, UTC)

    def is_in_future(self) -> bool:
        """Return True if the date or time that is asked for has not begun."""
        until = self.until()
        if until is None:
            return False
        begin = until if isinstance(self.at, datetime) else datetime.combine(until, time.min, UTC)
        return begin > datetime.now(UTC)

    def most(self) -> int:
        """Return the maximum number of nodes: each page that was opened has room."""
        return min(MOST_NODES, self.max_nodes + PAGE * sum(one.pages for one in self.opened))

    def pages(self, node_id: str, side: str) -> int:
        """Return how many pages of the neighbours of a node were opened on one side."""
        return next((one.pages for one in self.opened if (one.id, one.side) == (node_id, side)), 0)

    def opening(self, node_id: str, side: Literal["up", "down"]) -> Excerpt:
        """Return the excerpt with one more page of the neighbours of a node."""
        others = tuple(one for one in self.opened if (one.id, one.side) != (node_id, side))
        return replace(self, opened=(*others, Opened(node_id, side, self.pages(node_id, side) + 1))[-MOST_OPENED:])

    def ungrouping(self, key: str) -> Excerpt:
        """Return the excerpt with the members of a group one by one."""
        return replace(self, ungrouped=tuple(dict.fromkeys([*self.ungrouped, key]))[-MOST_OPENED:])


def _one_of(name: str, text: str, allowed: Iterable[str]) -> Any:
    if text not in allowed:
        raise InvalidInputError(f"{name}={printable(text[:40])!r} is unknown; use {', '.join(allowed)}")
    return text


def _number(name: str, text: str, highest: int, *, lowest: int = 1) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and lowest <= int(text) <= highest):
        raise InvalidInputError(f"{name}={printable(text[:40])!r}: use a number from {lowest} to {highest}")
    return int(text)


def _ids(name: str, text: str) -> Iterable[str]:
    found = dict.fromkeys(filter(None, text.split(",")))
    if len(found) > MOST_OPENED or not all(_ID.fullmatch(one) for one in found):
        raise InvalidInputError(f"{name} is no list of at most {MOST_OPENED} ids")
    return found


def _opened(text: str) -> tuple[Opened, ...]:
    found: dict[tuple[str, str], Opened] = {}
    for part in filter(None, text.split(",")):
        node_id, _, rest = part.partition(":")
        side, _, pages = rest.partition(":")
        if not _ID.fullmatch(node_id):
            raise InvalidInputError("open is no list of ids, each with its side")
        number = _number("open", pages or "1", MOST_NODES)
        found[node_id, side] = Opened(node_id, _one_of("open", side, _SIDES), number)
    if len(found) > MOST_OPENED:
        raise InvalidInputError(f"at most {MOST_OPENED} nodes can be opened at once")
    return tuple(found.values())


def _when(text: str) -> date | datetime | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text) if len(text) == len("2026-01-31") else datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(f"at={printable(text[:40])!r} is no date, such as 2026-03-14") from None
