"""Read tables row by row in bounded memory: csv and tsv by the standard library, parquet and feather by pyarrow."""

from __future__ import annotations

import csv
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from lamindb.core.requirements import pip_install

SUFFIXES: Final = frozenset({".csv", ".tsv", ".parquet", ".feather"})
_BATCH_BYTES: Final = 8 << 20
_MOST_ROWS: Final = 1 << 17
_ROWS_AT_ONCE: Final = 10_000
"""How many rows of a batch are made Python objects at once."""
_MAX_LINE: Final = 1 << 20

Row = tuple[Any, ...]


class NotATableError(Exception):
    """The bytes cannot be read as a table; the message says why."""


class Table(Protocol):
    """A table that can be read several times."""

    columns: dict[str, str | None]
    """The type of each column by name; None in formats that have no types."""
    is_text: bool
    """Whether all values are text, as in csv."""

    def rows(self, names: Sequence[str]) -> Iterator[Row]:
        """Yield the values of some columns, row by row.

        Raises:
            NotATableError: A row cannot be read.
        """


def open_table(path: Path, suffix: str) -> Table:
    """Return the table in a file with one of `SUFFIXES`.

    Raises:
        NotATableError: It is not a table, has two columns of one name, or pyarrow is not installed.
    """
    if suffix in {".csv", ".tsv"}:
        return CsvTable(path, "," if suffix == ".csv" else "\t")
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise NotATableError(f"tables in {suffix} need pyarrow: {pip_install('pyarrow')}") from error
    return ParquetTable(path) if suffix == ".parquet" else FeatherTable(path)


def _check_names(names: Sequence[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise NotATableError(f"two columns have the name {name!r}")


class CsvTable:
    """A file of separated values, whose first line has the names of the columns."""

    is_text = True

    def __init__(self, path: Path, separator: str) -> None:
        self._path = path
        self._separator = separator
        with _failures():
            names = next(self._records(), [])
        if not names:
            raise NotATableError("it has no header")
        _check_names(names)
        self.columns: dict[str, str | None] = dict.fromkeys(names)

    def _records(self) -> Iterator[list[str]]:
        with self._path.open(encoding="utf-8-sig", newline="") as stream:
            lines = iter(lambda: stream.readline(_MAX_LINE), "")
            yield from csv.reader(lines, delimiter=self._separator, strict=True)

    def rows(self, names: Sequence[str]) -> Iterator[Row]:
        """Yield the values of some columns as text, row by row; what is missing at the end of a row is ""."""
        width = len(self.columns)
        order = {name: position for position, name in enumerate(self.columns)}
        positions = [order[name] for name in names]
        pick: Any = operator.itemgetter(*positions) if len(positions) > 1 else lambda row: (row[positions[0]],)
        with _failures():
            records = self._records()
            next(records, None)
            for record in records:
                if len(record) > width:
                    raise NotATableError("a row has more values than the header")
                if record:
                    yield pick(record if len(record) == width else [*record, *[""] * (width - len(record))])


class ArrowTable:
    """A table that is read in batches of Arrow."""

    is_text = False
    columns: dict[str, str | None]
    types: dict[str, Any]
    """The Arrow type of each column."""
    size: int
    """The bytes of its values in memory, about."""
    row_count: int

    def __init__(self, schema: Any, size: int, row_count: int) -> None:
        _check_names(schema.names)
        self.types = {field.name: field.type for field in schema}
        self.columns = {name: str(one) for name, one in self.types.items()}
        self.size, self.row_count = size, row_count
        # So that a row is never wider than a batch may be.
        self._batch_rows = max(1, min(_MOST_ROWS, _BATCH_BYTES * row_count // (size or 1)))

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Yield record batches that have some columns, in any order.

        Raises:
            NotATableError: A batch cannot be read.
        """
        raise NotImplementedError

    def rows(self, names: Sequence[str]) -> Iterator[Row]:
        """Yield the values of some columns, row by row."""
        for batch in self.batches(names):
            yield from rows_of(batch, names)


class ParquetTable(ArrowTable):
    """A parquet file, read in batches of its row groups."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._path = path
        with _failures(), pq.ParquetFile(path) as file:
            schema, found = file.schema_arrow, file.metadata
            size = sum(found.row_group(group).total_byte_size for group in range(found.num_row_groups))
        # Repeated values take little space in the file, and much in memory.
        super().__init__(schema, max(size, 8 * found.num_columns * found.num_rows), found.num_rows)

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Yield record batches that have some columns."""
        import pyarrow.parquet as pq

        with _failures(), pq.ParquetFile(self._path) as file:
            # One row group after the other: a reader of several keeps what it has read until its end.
            for group in range(file.num_row_groups):
                yield from file.iter_batches(self._batch_rows, row_groups=[group], columns=list(names))


class FeatherTable(ArrowTable):
    """A feather file: record batches of Arrow, mapped into memory."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._path = path
        with _failures(), pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            rows = sum(reader.get_batch(index).num_rows for index in range(reader.num_record_batches))
        super().__init__(reader.schema, path.stat().st_size, rows)

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Yield record batches that have some columns."""
        import pyarrow as pa

        with _failures(), pa.memory_map(str(self._path)) as source:
            reader = pa.ipc.open_file(source)
            for index in range(reader.num_record_batches):
                batch = reader.get_batch(index).select(list(names))
                for start in range(0, batch.num_rows, self._batch_rows):
                    yield batch.slice(start, self._batch_rows)


def rows_of(batch: Any, names: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a record batch, with the values of some columns in this order."""
    for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
        part = batch.slice(start, _ROWS_AT_ONCE)
        # A parquet reader returns columns in the order of the file.
        columns = [values_of(part.column(part.schema.get_field_index(name))) for name in names]
        yield from zip(*columns, strict=True)


def values_of(column: Any) -> list[Any]:
    """Return the values of an Arrow array; what Python has no object for, such as a time of the year 20000, as text."""
    import pyarrow as pa

    if (whole := _without_nanoseconds(column.type)) != column.type:
        # An object of Python has microseconds.
        with suppress(pa.ArrowException):
            column = column.cast(whole)
    try:
        return list(column.to_pylist())
    except (ArithmeticError, LookupError, ValueError):
        return [_value(scalar) for scalar in column]


def _value(scalar: Any) -> Any:
    import pyarrow as pa

    try:
        return scalar.as_py()
    except (ArithmeticError, LookupError, ValueError):
        # A time in a zone that this machine does not know is shown in UTC.
        plain = pa.timestamp(scalar.type.unit) if pa.types.is_timestamp(scalar.type) else scalar.type
        return scalar.cast(plain).cast(pa.string()).as_py()


def _without_nanoseconds(kind: Any) -> Any:
    """Return an Arrow type in which times of day with nanoseconds are text."""
    import pyarrow as pa

    if pa.types.is_time64(kind) and kind.unit == "ns":
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_nanoseconds(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(one.name, _without_nanoseconds(one.type)) for one in kind])
    return kind


@contextmanager
def _failures() -> Iterator[None]:
    """Turn whatever a reader raises on bytes that are not a table into one error."""
    try:
        yield
    except (NotATableError, MemoryError):
        raise
    except csv.Error as error:
        raise NotATableError(f"it is not a table ({error})") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise NotATableError(f"it cannot be read as a table ({reason})") from error
