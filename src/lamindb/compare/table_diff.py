"""Compare tables: columns, types, rows and cells, by position or by key columns, in bounded memory.

Rows that must be found again wait in a temporary SQLite database on disk.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from lamindb.compare import arrow_join, arrow_rows
from lamindb.compare.arrow_content import Contents
from lamindb.compare.arrow_rows import Unequal
from lamindb.compare.cells import EXAMPLES, Cells, ColumnChange, canonical, is_same, storable
from lamindb.compare.result import Change, Line, more, plain, shown
from lamindb.compare.table_reader import ArrowTable, Row, Table, rows_of
from lamindb.core.text import isolated, printable
from lamindb.errors import InvalidInputError, StorageError

_LISTED_COLUMNS: Final = 20
_DECIMAL: Final = "\0decimal"


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
        yield from (Line("-", f" column {_name(name)}") for name in self.columns_removed[:_LISTED_COLUMNS])
        yield from more(len(self.columns_removed) - _LISTED_COLUMNS)
        yield from (Line("+", f" column {_name(name)}") for name in self.columns_added[:_LISTED_COLUMNS])
        yield from more(len(self.columns_added) - _LISTED_COLUMNS)
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
            yield from more(self.rows_removed - len(self.removed), 3)
        if self.rows_added:
            yield Line("+", f" {_counted(self.rows_added, 'row')} added")
            yield from (Line("+", f"   {_row_text(row)}") for row in self.added)
            yield from more(self.rows_added - len(self.added), 3)
        if self.rows_changed:
            pairing = ", ".join(map(_name, self.on)) or "position"
            yield Line("~", f" {_counted(self.rows_changed, 'row')} changed, paired by {pairing}")
        for column in self.cells[:_LISTED_COLUMNS]:
            yield Line("~", f"   {_name(column.name)}: {_counted(column.count, 'cell')}")
            for cell in column.examples:
                yield Line(" ", f"     row {_key_text(cell.row)}: {shown(cell.before)} → {shown(cell.after)}")
            yield from more(column.count - len(column.examples), 5)
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
    if isinstance(before, ArrowTable) and isinstance(after, ArrowTable) and _has_arrays(before, after):
        comparison: _Comparison = _ArrowComparison(before, after, names, rtol)
    else:
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


def _has_arrays(*tables: ArrowTable) -> bool:
    """Return True if Arrow can select among the values of all columns, which it cannot for views and run lengths."""
    return not any(
        word in str(kind) for table in tables for kind in table.types.values() for word in ("_view", "run_end")
    )


@dataclass(slots=True)
class _Comparison:
    """A comparison of two tables row by row."""

    before: Table
    after: Table
    names: list[str]
    rtol: float

    @property
    def _is_text(self) -> bool:
        return self.before.is_text

    def without_key(self) -> TableDifference:
        if not self.names:
            return self._without_columns()
        by_position = self.by_position()
        return self._better(by_position, self.by_content(by_position)) if by_position.rows_changed else by_position

    def _without_columns(self) -> TableDifference:
        """Count the rows of tables that have no column in common."""
        before, after = (sum(1 for _ in one.rows(list(one.columns)[:1])) for one in (self.before, self.after))
        return TableDifference("position", rows_before=before, rows_after=after)

    def _better(self, by_position: TableDifference, by_content: TableDifference) -> TableDifference:
        """Return the difference with fewer rows."""
        unpaired = by_position.rows_added + by_position.rows_removed
        differing = by_content.rows_added + by_content.rows_removed
        return by_content if differing < by_position.rows_changed + unpaired else by_position

    def by_position(self) -> TableDifference:
        cells = Cells(self.names)
        removed: list[dict[str, Any]] = []
        added: list[dict[str, Any]] = []
        totals = [0, 0]
        pairs = itertools.zip_longest(self.before.rows(self.names), self.after.rows(self.names))
        for position, (old, new) in enumerate(pairs, 1):
            if old is None:
                self._keep(added, new)
            elif new is None:
                self._keep(removed, old)
            elif old != new:
                cells.add_row(position, self._changed(old, new))
            totals = [totals[0] + (old is not None), totals[1] + (new is not None)]
        return self._at_positions(totals, cells, removed, added)

    def _at_positions(
        self, totals: list[int], cells: Cells, removed: list[dict[str, Any]], added: list[dict[str, Any]]
    ) -> TableDifference:
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
            rows.execute("create table differing (row text, position integer, side integer)")
            rows.executemany("insert into differing values (?, ?, ?)", self._differing())
            rows.execute(
                "create table counts as select row, sum(side) as surplus, min(iif(side = 1, position, null)) as added, "
                "min(iif(side = -1, position, null)) as removed from differing group by row"
            )
            totals = rows.execute(
                "select coalesce(sum(max(-surplus, 0)), 0), coalesce(sum(max(surplus, 0)), 0) from counts"
            ).fetchone()
            first = [
                [
                    position - 1
                    for (position,) in rows.execute(
                        f"select {name} from counts where surplus * {sign} > 0 order by {name} limit {EXAMPLES}"
                    )
                ]
                for name, sign in (("removed", -1), ("added", 1))
            ]
        return self._of_content(by_position, totals, first)

    def _of_content(
        self, by_position: TableDifference, totals: Sequence[int], first: Sequence[list[int]]
    ) -> TableDifference:
        examples: list[list[dict[str, Any]]] = [[], []]
        for kept, table, positions in zip(examples, (self.before, self.after), first, strict=True):
            for row in self._rows_at(table, positions):
                self._keep(kept, row)
        return TableDifference(
            "content",
            rows_before=by_position.rows_before,
            rows_after=by_position.rows_after,
            rows_reordered=not any(totals),
            rows_removed=totals[0],
            rows_added=totals[1],
            removed=tuple(examples[0]),
            added=tuple(examples[1]),
        )

    def _rows_at(self, table: Table, positions: list[int]) -> Iterator[Row]:
        """Yield the rows of a table at some positions, from 0 and in their order."""
        rows, start = table.rows(self.names), 0
        for position in positions:
            yield next(itertools.islice(rows, position - start, None))
            start = position + 1

    def _differing(self) -> Iterator[tuple[str, int, int]]:
        """Yield the rows that differ by position, with their position: with -1 those of the earlier table, else 1."""
        for position, old, new in self._pairs():
            if old is not None:
                yield self._canonical(old), position, -1
            if new is not None:
                yield self._canonical(new), position, 1

    def _pairs(self) -> Iterator[tuple[int, Row | None, Row | None]]:
        """Yield the rows that may differ by position, and their number from 1."""
        rows = itertools.zip_longest(self.before.rows(self.names), self.after.rows(self.names))
        return ((position, old, new) for position, (old, new) in enumerate(rows, 1) if old != new)

    def _canonical(self, row: Iterable[Any]) -> str:
        return json.dumps([canonical(value, is_text=self._is_text) for value in row])

    def by_key(self, on: list[str]) -> TableDifference:
        """Pair rows by the values of some columns."""
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

    def _keyed(self, table: Table, on: list[str]) -> Iterator[tuple[str, str]]:
        positions = [self.names.index(name) for name in on]
        for row in table.rows(self.names):
            yield self._canonical(row[i] for i in positions), json.dumps([_stored(value) for value in row])

    def _joined(self, rows: sqlite3.Connection, on: list[str]) -> TableDifference:
        counts: dict[str, int] = {}
        examples: dict[str, list[dict[str, Any]]] = {"before": [], "after": []}
        for side, other in (("before", "after"), ("after", "before")):
            alone = f"from {side} where key not in (select key from {other})"
            counts[side] = rows.execute(f"select count(*) {alone}").fetchone()[0]
            for (text,) in rows.execute(f"select row {alone} order by position limit {EXAMPLES}"):
                self._keep(examples[side], _restored(text))
        cells = Cells(self.names)
        last, is_reordered = 0, False
        query = "select b.key, b.row, a.row, a.position from before b join after a on a.key = b.key order by b.position"
        for key, old, new, position in rows.execute(query):
            is_reordered = is_reordered or position < last
            last = position
            if old != new:
                cells.add_row(json.loads(key), self._changed(_restored(old), _restored(new)))
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


class _ArrowComparison(_Comparison):
    """A comparison of two tables of Arrow by columns; what that cannot decide is compared row by row."""

    before: ArrowTable
    after: ArrowTable

    def without_key(self) -> TableDifference:
        if not self.names:
            return self._without_columns()
        with _temporary(), ExitStack() as stack:
            contents = self._contents(stack)
            by_position, contents = self._by_position(contents)
            if not by_position.rows_changed:
                return by_position
            if contents is None:
                return self._better(by_position, self.by_content(by_position))
            removed, added = contents.unpaired()
        if removed.count + added.count < by_position.rows_changed + by_position.rows_added + by_position.rows_removed:
            return self._of_content(by_position, (removed.count, added.count), (removed.first, added.first))
        return by_position

    def _contents(self, stack: ExitStack) -> Contents | None:
        with contextlib.suppress(arrow_rows.UncertainError):
            return Contents(self._types(self.names), stack)
        return None

    def _types(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: arrow_rows.common_type(self.before.types[name], self.after.types[name]) for name in names}

    def _by_position(self, contents: Contents | None) -> tuple[TableDifference, Contents | None]:
        """Compare by position, and collect the rows that differ; None in their place if they cannot be compared."""
        import numpy as np

        cells = Cells(self.names)
        removed: list[dict[str, Any]] = []
        added: list[dict[str, Any]] = []
        totals = [0, 0]
        for old, new in arrow_rows.aligned(self.before.batches(self.names), self.after.batches(self.names)):
            start = max(totals)
            if old is None or new is None:
                alone, examples = (new, added) if old is None else (old, removed)
                for row in rows_of(alone.slice(0, EXAMPLES - len(examples)), self.names):
                    self._keep(examples, row)
                # The rest of one table matters only if rows may have another place.
                sides = [(int(old is None), alone)] if cells.rows else []
                positions = np.arange(alone.num_rows)
            else:
                found = Unequal(old, new, self.names, self.rtol)
                found.add_to(cells, lambda position, start=start: start + position + 1)  # type: ignore[misc]
                sides, positions = [(0, old), (1, new)], found.positions()
            totals = [total + (one.num_rows if one else 0) for total, one in zip(totals, (old, new), strict=True)]
            try:
                for side, batch in sides:
                    if contents is not None and len(positions):
                        contents.add(side, batch, positions, start)
            except arrow_rows.UncertainError:
                contents = None
        return self._at_positions(totals, cells, removed, added), contents

    def _pairs(self) -> Iterator[tuple[int, Row | None, Row | None]]:
        return arrow_rows.differing(self.before.batches(self.names), self.after.batches(self.names), self.names)

    def _rows_at(self, table: Table, positions: list[int]) -> Iterator[Row]:
        assert isinstance(table, ArrowTable)
        start, left = 0, list(positions)
        batches = table.batches(self.names)
        while left:
            batch = next(batches)
            found = [position - start for position in left if position < start + batch.num_rows]
            yield from rows_of(batch.take(found), self.names) if found else ()
            start, left = start + batch.num_rows, left[len(found) :]

    def by_key(self, on: list[str]) -> TableDifference:
        with _temporary(), contextlib.suppress(arrow_rows.UncertainError):
            keys = arrow_join.read_keys(self.before, self.after, self._types(on))
            if keys.are_in_one_order():
                pairs = arrow_rows.aligned(self.before.batches(self.names), self.after.batches(self.names))
                found = self._keyed_cells(pairs, on)
                totals = len(keys.before), len(keys.after)
                return TableDifference("key", tuple(on), *totals, rows_changed=found.rows, cells=found.changes())
            partners = keys.partners()
            # A key takes as much memory as a partner, and is not needed any more.
            del keys
            return self._by_partners(partners, on)
        return super().by_key(on)

    def _by_partners(self, partners: Any, on: list[str]) -> TableDifference:
        """Compare the rows of the later table with their partners of the earlier one."""
        removed, added = arrow_join.Alone(EXAMPLES), arrow_join.Alone(EXAMPLES)
        with tempfile.TemporaryDirectory(prefix="lamindb-diff-") as folder:
            pairs = arrow_join.joined(self.before, self.after, self.names, partners, Path(folder), removed, added)
            cells = self._keyed_cells(pairs, on)
        examples: list[list[dict[str, Any]]] = [[], []]
        for kept, alone in zip(examples, (removed, added), strict=True):
            for row in itertools.chain.from_iterable(rows_of(batch, self.names) for batch in alone.examples):
                self._keep(kept, row)
        partners = partners[partners >= 0]
        return TableDifference(
            "key",
            on=tuple(on),
            rows_before=self.before.row_count,
            rows_after=self.after.row_count,
            rows_reordered=bool((partners[1:] < partners[:-1]).any()),
            rows_changed=cells.rows,
            rows_added=added.count,
            rows_removed=removed.count,
            cells=cells.changes(),
            added=tuple(examples[1]),
            removed=tuple(examples[0]),
        )

    def _keyed_cells(self, pairs: Iterable[tuple[Any, Any]], on: list[str]) -> Cells:
        """Return the cells that differ between rows that seem to have the same key.

        Raises:
            arrow_rows.UncertainError: Rows have another key: equal hashes misled.
        """
        cells = Cells(self.names)
        for old, new in pairs:
            found = Unequal(old, new, self.names, self.rtol)
            if not found.exact.keys().isdisjoint(on):
                raise arrow_rows.UncertainError

            def key(position: int, batch: Any = old) -> Any:
                (row,) = rows_of(batch.slice(position, 1), on)
                return json.loads(self._canonical(row))

            found.add_to(cells, key)
        return cells


def _stored(value: Any) -> Any:
    """Return a value for JSON, of which `_restored` makes the same value as far as its equality needs it."""
    return {_DECIMAL: str(value)} if isinstance(value, Decimal) else storable(value)


def _restored(text: str) -> list[Any]:
    found: list[Any] = json.loads(text, object_hook=lambda one: Decimal(one[_DECIMAL]) if _DECIMAL in one else one)
    return found


@contextmanager
def _temporary() -> Iterator[None]:
    """Name the temporary folder in the error of a full disk.

    Raises:
        StorageError: The temporary folder is full or cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(f"the tables could not be compared in the temporary folder: {error}") from error


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
