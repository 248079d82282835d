"""Compare spreadsheets: their sheets by name, and each sheet as a table."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lamindb.compare.result import Line
from lamindb.compare.table_diff import TableDifference, compare_tables
from lamindb.compare.table_reader import NotATableError, Row
from lamindb.core.requirements import pip_install
from lamindb.core.text import isolated, printable

SUFFIX: Final = ".xlsx"
_MOST_BYTES: Final = 512 << 20
"""Larger when unpacked, a file is not read."""


@dataclass(frozen=True, slots=True)
class SheetChange:
    """A sheet that differs: its name, and what differs in its cells."""

    name: str
    table: TableDifference


@dataclass(frozen=True, slots=True)
class WorkbookDifference:
    """What differs between two spreadsheets.

    Attributes:
        sheets_added: Sheets that only the later one has.
        sheets_removed: Sheets that only the earlier one has.
        sheets_reordered: The common sheets have another order.
        sheets: The common sheets that differ.
    """

    sheets_added: tuple[str, ...]
    sheets_removed: tuple[str, ...]
    sheets_reordered: bool
    sheets: tuple[SheetChange, ...]
    kind: Literal["workbook"] = "workbook"

    @property
    def is_equal(self) -> bool:
        """Return True if no cell, sheet or order differs; formats are not compared."""
        return not (self.sheets_added or self.sheets_removed or self.sheets_reordered or self.sheets)

    def lines(self) -> Iterator[Line]:
        """Yield the lines of a report."""
        yield from (Line("-", f" sheet {_name(name)}") for name in self.sheets_removed)
        yield from (Line("+", f" sheet {_name(name)}") for name in self.sheets_added)
        if self.sheets_reordered:
            yield Line("~", " the sheets have another order")
        for sheet in self.sheets:
            yield Line("@", f" sheet {_name(sheet.name)}")
            yield from sheet.table.lines()


def _name(text: str) -> str:
    return isolated(printable(text))


def compare_workbooks(before: Path, after: Path, *, on: Sequence[str] = (), rtol: float = 0.0) -> WorkbookDifference:
    """Compare two spreadsheets; arguments and errors are those of `compare_tables`, for each common sheet.

    Raises:
        NotATableError: One is not a spreadsheet, is larger than 512 MB when unpacked, or openpyxl is not installed.
    """
    with _failures(), _opened(before) as old, _opened(after) as new:
        names = [name for name in old.names if name in new.names]
        tables = ((name, compare_tables(old.sheet(name), new.sheet(name), on=on, rtol=rtol)) for name in names)
        return WorkbookDifference(
            tuple(name for name in new.names if name not in old.names),
            tuple(name for name in old.names if name not in new.names),
            names != [name for name in new.names if name in old.names],
            tuple(SheetChange(name, table) for name, table in tables if not table.is_equal),
        )


@dataclass(frozen=True, slots=True)
class _Workbook:
    """A spreadsheet, once with the results of its formulas and once with the formulas."""

    results: Any
    formulas: Any

    @property
    def names(self) -> list[str]:
        return [sheet.title for sheet in self.results.worksheets]

    def sheet(self, name: str) -> _Sheet:
        return _Sheet(self.results[name], self.formulas[name])


class _Sheet:
    """A sheet as a table: its first row has the names of the columns, if they are distinct texts."""

    is_text = False

    def __init__(self, results: Any, formulas: Any) -> None:
        self._sheets = (results, formulas)
        first, width = None, 0
        for row in self._all_rows():
            first = row if first is None else first
            width = max(width, len(row))
        header = list(first or ())
        is_header = all(isinstance(one, str) and one for one in header) and len(set(header)) == len(header) == width
        self._skips = int(is_header and bool(header))
        names = header if self._skips else [_letters(position) for position in range(width)]
        self.columns: dict[str, str | None] = dict.fromkeys(names)

    def _all_rows(self) -> Iterator[Row]:
        """Yield the rows without empty cells at their ends: a formula is text with its last result."""
        for sheet in self._sheets:
            # What the file says of its size may be wrong, or huge.
            sheet.reset_dimensions()
        both = (sheet.iter_rows(values_only=True) for sheet in self._sheets)
        for results, formulas in zip(*both, strict=True):
            row = [
                f"{formula} → {result}" if isinstance(formula, str) and formula != result else result
                for result, formula in zip(results, formulas, strict=True)
            ]
            while row and row[-1] is None:
                row.pop()
            yield tuple(row)

    def rows(self, names: Sequence[str]) -> Iterator[Row]:
        """Yield the values of some columns, row by row; empty cells are None."""
        positions = [list(self.columns).index(name) for name in names]
        for number, row in enumerate(self._all_rows()):
            if number >= self._skips:
                yield tuple(row[position] if position < len(row) else None for position in positions)


def _letters(position: int) -> str:
    """Return the name of a column from its position: A, B, … Z, AA."""
    name, left = "", position + 1
    while left:
        left, rest = divmod(left - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


@contextmanager
def _opened(path: Path) -> Iterator[_Workbook]:
    try:
        import openpyxl
    except ImportError as error:
        raise NotATableError(f"spreadsheets need openpyxl: {pip_install('openpyxl')}") from error
    with zipfile.ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > _MOST_BYTES:
            raise NotATableError("it is larger than 512 MB when unpacked")
    books = [openpyxl.load_workbook(path, read_only=True, data_only=is_result) for is_result in (True, False)]
    try:
        yield _Workbook(*books)
    finally:
        for book in books:
            book.close()


@contextmanager
def _failures() -> Iterator[None]:
    """Turn whatever a reader raises on bytes that are not a spreadsheet into one error."""
    from lamindb.errors import LaminError

    try:
        yield
    except (LaminError, NotATableError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise NotATableError(f"it cannot be read as a spreadsheet ({reason})") from error
