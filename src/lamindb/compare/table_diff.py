"""Compare tables: columns, types, rows and cells, by position or by key columns, in bounded memory.

Rows that must be found again wait in a temporary SQLite database on disk.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import json
import math
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from lamindb.compare import arrow_join, arrow_rows, table_reader
from lamindb.compare.result import Change, Line, more, plain, shown
from lamindb.compare.table_reader import ArrowTable, Row, Table
from lamindb.core.text import isolated, printable
from lamindb.errors import InvalidInputError, StorageError

_T = TypeVar("_T")

EXAMPLES: Final = 5
"""The number of examples for each kind of change."""
_LISTED_COLUMNS: Final = 20
_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]*|(?=\.))(\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_SAFE_DIGITS: Final = 18
_FLOAT_RANGE: Final = 1 << 1000


@dataclass(frozen=True, slots=True)
class CellChange:
    """One cell that differs.

    Attributes:
        row: The number of the row from 1, or the values of the key columns.
        before: The earlier value.
        after: The later value.
    """

    row: Any
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """The cells of a column that differ: their number, and examples."""

    name: str
    count: int
    examples: tuple[CellChange, ...]


@dataclass(frozen=True, slots=True)
class TableDifference:
    """What differs between two tables. Rows are compared in the columns that both have.

    Attributes:
        matched_by: How rows were paired: `position`, `content` (equal rows, wherever they are), or `key`.
        on: The key columns.
        rows_before: The number of rows before.
        rows_after: The number of rows after.
        columns_added: Columns that only the later table has.
        columns_removed: Columns that only the earlier table has.
        types: Columns whose type differs.
        columns_reordered: The common columns have another order.
        rows_reordered: The same rows have another order.
        rows_changed: The number of pairs of rows that differ in a cell.
        rows_added: The number of rows that only the later table has.
        rows_removed: The number of rows that only the earlier table has.
        cells: The cells that differ, by column.
        added: Examples of added rows.
        removed: Examples of removed rows.
    """

    matched_by: Literal["position", "content", "key"]
    on: tuple[str, ...] = ()
    rows_before: int = 0
    rows_after: int = 0
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    types: tuple[Change, ...] = ()
    columns_reordered: bool = False
    rows_reordered: bool = False
    rows_changed: int = 0
    rows_added: int = 0
    rows_removed: int = 0
    cells: tuple[ColumnChange, ...] = ()
    added: tuple[dict[str, Any], ...] = ()
    removed: tuple[dict[str, Any], ...] = ()
    kind: Literal["table"] = "table"

    @property
    def is_equal(self) -> bool:
        """Return True if no value, column, type or order differs."""
        columns = self.columns_added or self.columns_removed or self.types or self.columns_reordered
        rows = self.rows_changed or self.rows_added or self.rows_removed or self.rows_reordered
        return not columns and not rows

    def lines(self) -> Iterator[Line]:
        """Yield the lines of a report."""
        if self.rows_before != self.rows_after:
            yield Line("~", f" rows: {self.rows_before:,} → {self.rows_after:,}")
        yield from (Line("-", f" column {_name(name)}") for name in self.columns_removed)
        yield from (Line("+", f" column {_name(name)}") for name in self.columns_added)
        yield from (
            Line("~", f" type of {_name(one.name)}: {_name(one.before)} → {_name(one.after)}") for one in self.types
        )
        if self.columns_reordered:
            yield Line("~", " the columns have another order")
        if self.rows_reordered:
            is_all = not (self.rows_changed or self.rows_added or self.rows_removed)
            yield Line("~", " the same rows in another order" if is_all else " the common rows have another order")
        if self.rows_removed:
            yield Line("-", f" {_counted(self.rows_removed, 'row')} removed")
            yield from (Line("-", f"   {_row_text(row)}") for row in self.removed)
        if self.rows_added:
            yield Line("+", f" {_counted(self.rows_added, 'row')} added")
            yield from (Line("+", f"   {_row_text(row)}") for row in self.added)
        if self.rows_changed:
            pairing = ", ".join(map(_name, self.on)) or "position"
            yield Line("~", f" {_counted(self.rows_changed, 'row')} changed, paired by {pairing}")
        for column in self.cells[:_LISTED_COLUMNS]:
            yield Line("~", f"   {_name(column.name)}: {_counted(column.count, 'cell')}")
            for cell in column.examples:
                yield Line(" ", f"     row {_key_text(cell.row)}: {shown(cell.before)} → {shown(cell.after)}")
        yield from more(len(self.cells) - _LISTED_COLUMNS)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _name(text: str) -> str:
    return isolated(printable(text))


def _row_text(row: dict[str, Any]) -> str:
    return ", ".join(f"{_name(name)}={shown(value)}" for name, value in row.items())


def _key_text(row: Any) -> str:
    return f"{row:,}" if isinstance(row, int) else ", ".join(map(shown, row))


def compare_tables(before: Table, after: Table, *, on: Sequence[str] = (), rtol: float = 0.0) -> TableDifference:
    """Compare two tables.

    Without `on`, rows are paired by position. If fewer rows differ when equal rows are paired wherever they are, as
    after an insertion, that result is returned.

    Args:
        before: The earlier table.
        after: The later table.
        on: Columns whose values identify a row.
        rtol: Numbers are equal if they differ by at most this part of the larger one.

    Raises:
        InvalidInputError: A column of `on` is missing, or its values are not unique.
        NotATableError: A row cannot be read.
    """
    for name in on:
        for table in (before, after):
            if name not in table.columns:
                listed = ", ".join(list(table.columns)[:_LISTED_COLUMNS])
                raise InvalidInputError(f"there is no column {name!r} in both versions: name one of {listed}")
    names = [name for name in before.columns if name in after.columns]
    comparison = _Comparison(before, after, names, rtol)
    found = comparison.by_key(list(on)) if on else comparison.without_key()
    types = {name: (before.columns[name], after.columns[name]) for name in names}
    return replace(
        found,
        columns_added=tuple(name for name in after.columns if name not in before.columns),
        columns_removed=tuple(name for name in before.columns if name not in after.columns),
        types=tuple(Change(name, "changed", old, new) for name, (old, new) in types.items() if old != new),
        columns_reordered=names != [name for name in after.columns if name in before.columns],
    )


@dataclass(slots=True)
class _Cells:
    """The cells that differ, collected by column."""

    names: list[str]
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[CellChange]] = field(default_factory=dict)
    rows: int = 0

    def add(self, row: Any, changed: list[tuple[str, Any, Any]]) -> None:
        self.rows += bool(changed)
        for name, old, new in changed:
            self.counts[name] = self.counts.get(name, 0) + 1
            kept = self.examples.setdefault(name, [])
            if len(kept) < EXAMPLES:
                kept.append(CellChange(row, plain(old), plain(new)))

    def changes(self) -> tuple[ColumnChange, ...]:
        found = [name for name in self.names if name in self.counts]
        return tuple(ColumnChange(name, self.counts[name], tuple(self.examples[name])) for name in found)


@dataclass(slots=True)
class _Comparison:
    before: Table
    after: Table
    names: list[str]
    rtol: float

    @property
    def _is_text(self) -> bool:
        return self.before.is_text

    def without_key(self) -> TableDifference:
        if not self.names:
            return TableDifference("position")
        by_position = self.by_position()
        unpaired = by_position.rows_added + by_position.rows_removed
        if not by_position.rows_changed:
            return by_position
        by_content = self.by_content(by_position)
        differing = by_content.rows_added + by_content.rows_removed
        return by_content if differing < by_position.rows_changed + unpaired else by_position

    def by_position(self) -> TableDifference:
        cells = _Cells(self.names)
        removed: list[dict[str, Any]] = []
        added: list[dict[str, Any]] = []
        totals = [0, 0]
        for position, old, new in self._pairs():
            if not position:
                totals = [old, new]
            elif old is None:
                self._keep(added, new)
            elif new is None:
                self._keep(removed, old)
            else:
                cells.add(position, self._changed(old, new))
        return TableDifference(
            "position",
            rows_before=totals[0],
            rows_after=totals[1],
            rows_changed=cells.rows,
            rows_added=max(0, totals[1] - totals[0]),
            rows_removed=max(0, totals[0] - totals[1]),
            cells=cells.changes(),
            added=tuple(added),
            removed=tuple(removed),
        )

    def _keep(self, examples: list[dict[str, Any]], row: Iterable[Any]) -> None:
        if len(examples) < EXAMPLES:
            examples.append({name: plain(value) for name, value in zip(self.names, row, strict=True)})

    def _changed(self, old: Iterable[Any], new: Iterable[Any]) -> list[tuple[str, Any, Any]]:
        cells = zip(self.names, old, new, strict=True)
        return [(name, a, b) for name, a, b in cells if not is_same(a, b, self.rtol, is_text=self._is_text)]

    def by_content(self, by_position: TableDifference) -> TableDifference:
        """Count equal rows on both sides, wherever they are. Pairs that are equal by position cancel out."""
        with _database() as rows:
            rows.execute("create table differing (row text, side integer)")
            rows.executemany("insert into differing values (?, ?)", self._differing())
            rows.execute("create table counts as select row, sum(side) as count from differing group by row")
            totals = rows.execute(
                "select coalesce(sum(max(count, 0)), 0), coalesce(sum(max(-count, 0)), 0) from counts"
            ).fetchone()
            examples: list[list[dict[str, Any]]] = [[], []]
            for kept, condition in zip(examples, ("count > 0", "count < 0"), strict=True):
                for (text,) in rows.execute(f"select row from counts where {condition} limit {EXAMPLES}"):
                    self._keep(kept, json.loads(text))
        return TableDifference(
            "content",
            rows_before=by_position.rows_before,
            rows_after=by_position.rows_after,
            rows_reordered=not any(totals),
            rows_added=totals[0],
            rows_removed=totals[1],
            added=tuple(examples[0]),
            removed=tuple(examples[1]),
        )

    def _differing(self) -> Iterator[tuple[str, int]]:
        """Yield the rows that differ by position: with -1 those of the earlier table, with 1 those of the later one."""
        for position, old, new in self._pairs():
            if position and old is not None:
                yield self._canonical(old), -1
            if position and new is not None:
                yield self._canonical(new), 1

    def _pairs(self) -> Iterator[tuple[int, Any, Any]]:
        """Yield the rows that may differ by position, and the numbers of rows: see `arrow_rows.differing`."""
        if isinstance(self.before, ArrowTable) and isinstance(self.after, ArrowTable):
            names = self.names
            yield from arrow_rows.differing(self.before.batches(names), self.after.batches(names), names)
            return
        counts = [0, 0]
        rows = itertools.zip_longest(self.before.rows(self.names), self.after.rows(self.names))
        for position, (old, new) in enumerate(rows, 1):
            counts[0] += old is not None
            counts[1] += new is not None
            if old != new:
                yield position, old, new
        yield 0, counts[0], counts[1]

    def _canonical(self, row: Iterable[Any]) -> str:
        return json.dumps([canonical(value, is_text=self._is_text) for value in row])

    def by_key(self, on: list[str]) -> TableDifference:
        """Pair rows by the values of some columns."""
        before, after = self.before, self.after
        if isinstance(before, ArrowTable) and isinstance(after, ArrowTable):
            with contextlib.suppress(arrow_join.UncertainError):
                arrow_join.check_types((before.types[name], after.types[name]) for name in on)
                if arrow_join.has_same_keys(before.batches(on), after.batches(on), on):
                    return self._by_same_keys(on)
                return self._by_joined_keys(before, after, on)
        with _database() as rows:
            for side, table in (("before", self.before), ("after", self.after)):
                rows.execute(f"create table {side} (position integer primary key, key text, row text)")
                rows.executemany(f"insert into {side} (key, row) values (?, ?)", self._keyed(table, on))
                try:
                    # Sorting all keys at once is several times faster than an index that grows with each row.
                    rows.execute(f"create unique index {side}_key on {side} (key)")
                except sqlite3.IntegrityError as error:
                    which = "earlier" if side == "before" else "later"
                    raise InvalidInputError(
                        f"the values of {', '.join(on)} are not unique in the {which} version: name columns that "
                        "identify a row"
                    ) from error
            return self._joined(rows, on)

    def _by_same_keys(self, on: list[str]) -> TableDifference:
        """Compare rows by position, where both tables have the same keys in the same order."""
        cells, positions = _Cells(self.names), [self.names.index(name) for name in on]
        totals = [0, 0]
        for position, old, new in self._pairs():
            if not position:
                totals = [old, new]
            else:
                key = json.loads(self._canonical(old[i] for i in positions))
                cells.add(key, self._changed(old, new))
        return TableDifference(
            "key",
            on=tuple(on),
            rows_before=totals[0],
            rows_after=totals[1],
            rows_changed=cells.rows,
            cells=cells.changes(),
        )

    def _by_joined_keys(self, before: ArrowTable, after: ArrowTable, on: list[str]) -> TableDifference:
        """Join rows by the hashes of their keys.

        Raises:
            arrow_join.UncertainError: Hashes do not tell which rows belong together.
            StorageError: The temporary folder is full or cannot be written.
        """
        import numpy as np

        found = _Joined(self, [self.names.index(name) for name in on])
        count = arrow_join.part_count(before.size + after.size)
        try:
            with tempfile.TemporaryDirectory(prefix="lamindb-diff-") as folder:
                sides = Path(folder, "before"), Path(folder, "after")
                totals = [
                    arrow_join.divide(table.batches(self.names), on, side, count)
                    for table, side in zip((before, after), sides, strict=True)
                ]
                order = np.full(totals[0], -1, dtype=np.int64)
                for part in arrow_join.parts(*sides, count, on):
                    order[part.old_positions] = part.new_positions
                    found.add(part)
        except OSError as error:
            raise StorageError(f"the tables could not be compared in the temporary folder: {error}") from error
        order = order[order >= 0]
        return TableDifference(
            "key",
            on=tuple(on),
            rows_before=totals[0],
            rows_after=totals[1],
            rows_reordered=bool((order[1:] < order[:-1]).any()),
            rows_changed=found.cells.rows,
            rows_added=found.counts["added"],
            rows_removed=found.counts["removed"],
            cells=found.changes(),
            added=found.rows("added"),
            removed=found.rows("removed"),
        )

    def _keyed(self, table: Table, on: list[str]) -> Iterator[tuple[str, str]]:
        positions = [self.names.index(name) for name in on]
        for row in table.rows(self.names):
            yield self._canonical(row[i] for i in positions), json.dumps([_storable(value) for value in row])

    def _joined(self, rows: sqlite3.Connection, on: list[str]) -> TableDifference:
        counts: dict[str, int] = {}
        examples: dict[str, list[dict[str, Any]]] = {"before": [], "after": []}
        for side, other in (("before", "after"), ("after", "before")):
            alone = f"from {side} where key not in (select key from {other})"
            counts[side] = rows.execute(f"select count(*) {alone}").fetchone()[0]
            for (text,) in rows.execute(f"select row {alone} order by position limit {EXAMPLES}"):
                self._keep(examples[side], json.loads(text))
        cells = _Cells(self.names)
        last, is_reordered = 0, False
        query = "select b.key, b.row, a.row, a.position from before b join after a on a.key = b.key order by b.position"
        for key, old, new, position in rows.execute(query):
            is_reordered = is_reordered or position < last
            last = position
            if old != new:
                cells.add(json.loads(key), self._changed(json.loads(old), json.loads(new)))
        totals = [rows.execute(f"select count(*) from {side}").fetchone()[0] for side in ("before", "after")]
        return TableDifference(
            "key",
            on=tuple(on),
            rows_before=totals[0],
            rows_after=totals[1],
            rows_reordered=is_reordered,
            rows_changed=cells.rows,
            rows_added=counts["after"],
            rows_removed=counts["before"],
            cells=cells.changes(),
            added=tuple(examples["after"]),
            removed=tuple(examples["before"]),
        )


class _Joined:
    """What differs between rows that were joined by their keys, part by part; examples are those of the first rows."""

    def __init__(self, comparison: _Comparison, key: list[int]) -> None:
        self._comparison = comparison
        self._key = key
        self.cells = _Cells(comparison.names)
        self.counts = {"added": 0, "removed": 0}
        self._alone: dict[str, list[tuple[int, Row]]] = {"added": [], "removed": []}
        self._changed: dict[str, list[tuple[int, CellChange]]] = {}

    def add(self, part: arrow_join.Part) -> None:
        names = self._comparison.names
        for side, rows in (("added", part.added), ("removed", part.removed)):
            if rows is not None and rows.num_rows:
                self.counts[side] += rows.num_rows
                self._add_alone(side, rows)
        if part.old is None:
            return
        for index, old, new in arrow_rows.differing([part.old], [part.new], names):
            if not index:
                continue
            changed = self._comparison._changed(old, new)
            key = json.loads(self._comparison._canonical(old[i] for i in self._key))
            self.cells.rows += bool(changed)
            for name, one, other in changed:
                self.cells.counts[name] = self.cells.counts.get(name, 0) + 1
                kept = self._changed.setdefault(name, [])
                kept.append((int(part.old_positions[index - 1]), CellChange(key, plain(one), plain(other))))
                if len(kept) > 2 * EXAMPLES:
                    self._changed[name] = _first(kept)

    def _add_alone(self, side: str, rows: Any) -> None:
        # The rows of a part are in the order of their table.
        positions, names = arrow_join.positions_of(rows.slice(0, EXAMPLES)), self._comparison.names
        found = zip(positions, table_reader.rows_of(rows.slice(0, EXAMPLES), names), strict=True)
        self._alone[side] = _first([*self._alone[side], *found])

    def changes(self) -> tuple[ColumnChange, ...]:
        """Return the cells that differ by column."""
        self.cells.examples = {name: [one for _, one in _first(kept)] for name, kept in self._changed.items()}
        return self.cells.changes()

    def rows(self, side: str) -> tuple[dict[str, Any], ...]:
        """Return examples of rows that only one table has."""
        kept: list[dict[str, Any]] = []
        for _, row in self._alone[side]:
            self._comparison._keep(kept, row)
        return tuple(kept)


def _first(found: list[tuple[int, _T]]) -> list[tuple[int, _T]]:
    return sorted(found, key=lambda one: one[0])[:EXAMPLES]


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """Open a temporary database on disk, which is gone when it is closed.

    Raises:
        StorageError: The disk is full or cannot be written.
    """
    try:
        # An empty name makes SQLite use an unlinked file in the system's temporary folder.
        with closing(sqlite3.connect("", isolation_level=None)) as rows:
            rows.execute("pragma synchronous = off")
            rows.execute("begin")
            yield rows
    except sqlite3.OperationalError as error:
        raise StorageError(f"the tables could not be compared in the temporary folder: {error}") from error


def _storable(value: Any) -> Any:
    """Return a value that JSON keeps as it is; other values become text, the same on both sides."""
    return value if value is None or isinstance(value, bool | int | float | str) else plain(value)


def number(value: Any, *, is_text: bool) -> float | None:
    """Return a value as a number; None if it is none.

    Text is a number only in formats that have no types, and not if it is an identifier by its look, such as `007` or
    a long row of digits.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return value if abs(value) < _FLOAT_RANGE else None
    if is_text and isinstance(value, str) and len(value) < 400:
        found = _NUMBER.fullmatch(value)
        if found is None or value in {".", "+", "-", ""}:
            return None
        digits = value.lstrip("+-")
        if digits.isdigit():
            return int(value) if len(digits) <= _SAFE_DIGITS else None
        try:
            return float(value)
        except ValueError:
            return None
    return None


def is_same(old: Any, new: Any, rtol: float, *, is_text: bool) -> bool:
    """Return True if two values are equal; numbers may differ by the tolerance, and NaN equals NaN."""
    if isinstance(old, bool) is isinstance(new, bool) and old == new:
        return True
    one, other = number(old, is_text=is_text), number(new, is_text=is_text)
    if one is None or other is None:
        return plain(old) == plain(new) if isinstance(old, list | dict | datetime.date) else False
    if one == other or (math.isnan(one) and math.isnan(other)):
        return True
    return rtol > 0 and math.isclose(one, other, rel_tol=rtol)


def canonical(value: Any, *, is_text: bool) -> Any:
    """Return a value as JSON in which equal values are equal: 1 for 1.0, and text for what JSON has not."""
    found = number(value, is_text=is_text)
    if found is None:
        return _storable(value)
    if isinstance(found, float):
        if not math.isfinite(found):
            return repr(found)
        if found.is_integer() and abs(found) < 2**53:
            return int(found)
    return found
