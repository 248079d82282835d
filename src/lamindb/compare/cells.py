"""Equality of the values of tables, and the cells that differ."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, Final

from lamindb.compare.result import plain

EXAMPLES: Final = 5
"""The number of examples for each kind of change."""
_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]*|(?=\.))(\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_SAFE_DIGITS: Final = 18
_DOUBLE_DIGITS: Final = 15
_ALL_DIGITS: Final = Context(prec=500)
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


@dataclass(slots=True)
class Cells:
    """The cells that differ, collected by column.

    Attributes:
        names: The columns.
        rows: The number of rows with such a cell.
    """

    names: Sequence[str]
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[CellChange]] = field(default_factory=dict)
    rows: int = 0

    def add_row(self, row: Any, changed: list[tuple[str, Any, Any]]) -> None:
        """Add the cells of one row that differ, as column, earlier and later value."""
        self.rows += bool(changed)
        for name, old, new in changed:
            self.add_count(name, 1)
            if self.missing(name):
                self.add_example(name, row, old, new)

    def add_count(self, name: str, count: int) -> None:
        """Add to the number of cells of a column."""
        self.counts[name] = self.counts.get(name, 0) + count

    def missing(self, name: str) -> int:
        """Return how many more examples of a column are wanted."""
        return EXAMPLES - len(self.examples.get(name, ()))

    def add_example(self, name: str, row: Any, old: Any, new: Any) -> None:
        """Add an example of a column."""
        self.examples.setdefault(name, []).append(CellChange(row, plain(old), plain(new)))

    def changes(self) -> tuple[ColumnChange, ...]:
        """Return the cells by column, in the order of the columns."""
        found = [name for name in self.names if name in self.counts]
        return tuple(ColumnChange(name, self.counts[name], tuple(self.examples[name])) for name in found)


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
        is_certain = rtol > 0 or (_is_exact(old, one) and _is_exact(new, other))
        return is_certain or Decimal(old) == Decimal(new)
    return rtol > 0 and math.isclose(one, other, rel_tol=rtol)


def _is_exact(value: Any, found: float) -> bool:
    """Return True if a number has all digits of its text: a double has 15 of them, and no number above 1e308."""
    return not isinstance(value, str) or (len(value) <= _DOUBLE_DIGITS and math.isfinite(found))


def canonical(value: Any, *, is_text: bool) -> Any:
    """Return a value as JSON in which equal values are equal: 1 for 1.0, and text for what JSON has not."""
    if isinstance(value, Decimal) and value.is_finite():
        return _digits(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return storable(value.astimezone(datetime.UTC))
    found = number(value, is_text=is_text)
    if found is None:
        return storable(value)
    if not _is_exact(value, found) and Decimal(value) != Decimal(found if isinstance(found, int) else repr(found)):
        return _digits(Decimal(value))
    if isinstance(found, float):
        if not math.isfinite(found):
            return repr(found)
        if found.is_integer() and abs(found) < 2**53:
            return int(found)
    return found


def _digits(value: Decimal) -> int | str:
    """Return a whole number as such, another one as its digits without zeros at the end."""
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    return f"{value.normalize(_ALL_DIGITS):f}"


def storable(value: Any) -> Any:
    """Return a value that JSON keeps as it is; other values become text, the same on both sides."""
    return value if value is None or isinstance(value, bool | int | float | str) else plain(value)
