"""Compare the rows of Arrow tables by position, column by column, without a Python object for each value."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, cast

from lamindb.compare.cells import Cells, is_same
from lamindb.compare.table_reader import Row, rows_of, values_of

_T = TypeVar("_T")

_MIX: Final = 0x9E3779B97F4A7C15
_MISSING: Final = 0xD1B54A32D192ED03


class UncertainError(Exception):
    """Only a comparison of the values themselves tells which rows are equal."""


def aligned(before: Iterable[Any], after: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of batches with as many rows; at the end those of one table alone, with None."""
    sides = ahead(before), ahead(after)
    with contextlib.closing(sides[0]), contextlib.closing(sides[1]):
        old = new = None
        while True:
            old = next(sides[0], None) if old is None else old
            new = next(sides[1], None) if new is None else new
            if old is None or new is None:
                break
            count = min(old.num_rows, new.num_rows)
            yield old.slice(0, count), new.slice(0, count)
            old = old.slice(count) if old.num_rows > count else None
            new = new.slice(count) if new.num_rows > count else None
        if old is not None:
            yield from ((batch, None) for batch in itertools.chain([old], sides[0]))
        if new is not None:
            yield from ((None, batch) for batch in itertools.chain([new], sides[1]))


def ahead(items: Iterable[_T]) -> Generator[_T, None, None]:
    """Yield items; the next one is made by another thread meanwhile."""
    source, end = iter(items), object()
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, source, end)
        while (item := waiting.result()) is not end:
            waiting = reader.submit(next, source, end)
            yield cast("_T", item)


class Unequal:
    """Where the values of two batches differ.

    Attributes:
        exact: For each column with differences, an array of numpy that is True where values differ.
        beyond: The same for values that differ by more than the tolerance.
    """

    def __init__(self, old: Any, new: Any, names: Sequence[str], rtol: float) -> None:
        self.exact: dict[str, Any] = {}
        self.beyond: dict[str, Any] = {}
        self._old, self._new = old, new
        for name in names:
            found = _unequal(_column(old, name), _column(new, name), rtol)
            for kept, mask in zip((self.exact, self.beyond), found, strict=True):
                if mask is not None and mask.any():
                    kept[name] = mask

    def positions(self) -> Any:
        """Return the positions of the rows in which values differ, whatever the tolerance."""
        import numpy as np

        masks = list(self.exact.values())
        return np.flatnonzero(np.logical_or.reduce(masks)) if masks else np.array([], dtype=np.int64)

    def add_to(self, cells: Cells, name_of: Callable[[int], Any]) -> None:
        """Add the cells that differ by more than the tolerance.

        Args:
            cells: What they are added to.
            name_of: Returns what names a row, by its position in these batches.
        """
        import numpy as np

        for name, mask in self.beyond.items():
            cells.add_count(name, int(np.count_nonzero(mask)))
            if missing := cells.missing(name):
                columns = _column(self._old, name), _column(self._new, name)
                found = np.flatnonzero(mask)[:missing]
                for i, *values in zip(found.tolist(), *(values_of(one.take(found)) for one in columns), strict=True):
                    cells.add_example(name, name_of(i), *values)
        if self.beyond:
            cells.rows += int(np.count_nonzero(np.logical_or.reduce(list(self.beyond.values()))))


def _column(batch: Any, name: str) -> Any:
    return batch.column(batch.schema.get_field_index(name))


def _unequal(old: Any, new: Any, rtol: float) -> tuple[Any, Any]:
    """Return where two arrays differ, and where by more than the tolerance; None if nowhere."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if old.type.equals(new.type) and old.equals(new):
        return None, None
    try:
        wanted = common_type(old.type, new.type)
        old, new = _as(old, wanted), _as(new, wanted)
        found = pc.not_equal(old, new)
    except (UncertainError, pa.ArrowNotImplementedError, pa.ArrowInvalid):
        pairs = list(zip(values_of(old), values_of(new), strict=True))
        masks = [
            np.fromiter((not is_same(a, b, limit, is_text=False) for a, b in pairs), dtype=bool, count=len(pairs))
            for limit in ((0.0, rtol) if rtol else (0.0,))
        ]
        return masks[0], masks[-1]
    exact = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    beyond = None
    if pa.types.is_floating(old.type) or (rtol and pa.types.is_integer(old.type)):
        at = np.flatnonzero(exact)
        one, other = (column.take(pa.array(at)).cast(pa.float64(), safe=False).to_numpy() for column in (old, new))
        exact = _without(exact, at[np.isnan(one) & np.isnan(other)])
        if rtol:
            with np.errstate(invalid="ignore"):
                margin = rtol * np.maximum(np.abs(one), np.abs(other))
                beyond = _without(exact, at[np.isfinite(one) & np.isfinite(other) & (np.abs(one - other) <= margin)])
    if old.null_count or new.null_count:
        missing = _is_missing(old) != _is_missing(new)
        exact, beyond = exact | missing, None if beyond is None else beyond | missing
    return exact, exact if beyond is None else beyond


def _without(mask: Any, at: Any) -> Any:
    found = mask.copy()
    found[at] = False
    return found


def _is_missing(column: Any) -> Any:
    return column.is_null().to_numpy(zero_copy_only=False)


def common_type(old: Any, new: Any) -> Any:
    """Return the Arrow type in which values of two types are compared.

    Raises:
        UncertainError: There is none that Arrow converts both to without loss.
    """
    import pyarrow as pa
    import pyarrow.types as kinds

    old, new = (one.value_type if kinds.is_dictionary(one) else one for one in (old, new))
    if old.equals(new) or kinds.is_null(new):
        return old
    if kinds.is_null(old):
        return new
    if all(kinds.is_integer(one) and not kinds.is_uint64(one) for one in (old, new)):
        return pa.int64()
    if all(kinds.is_integer(one) or kinds.is_float32(one) or kinds.is_float64(one) for one in (old, new)):
        return pa.float64()
    if all(kinds.is_string(one) or kinds.is_large_string(one) for one in (old, new)):
        return pa.large_string()
    if all(kinds.is_timestamp(one) for one in (old, new)) and (old.tz is None) is (new.tz is None):
        # A zone tells how a time is shown, not which one it is.
        unit = max(old.unit, new.unit, key=["s", "ms", "us", "ns"].index)
        return pa.timestamp(unit, None if old.tz is None else "UTC")
    raise UncertainError


def _as(column: Any, wanted: Any) -> Any:
    """Return a column in a type.

    Raises:
        UncertainError: A value does not fit into it, such as a whole number that is no float.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column if column.type.equals(wanted) else column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UncertainError from None


def differing(before: Iterable[Any], after: Iterable[Any], names: Sequence[str]) -> Iterator[tuple[int, Any, Any]]:
    """Yield the rows that differ by position: the number of the row from 1, and both rows, None where there is none.

    Args:
        before: The batches of the earlier table.
        after: The batches of the later table.
        names: The columns.
    """
    start = 1
    for old, new in aligned(before, after):
        if old is None or new is None:
            rows = rows_of(new if old is None else old, names)
            yield from ((start + i, None, row) if old is None else (start + i, row, None) for i, row in enumerate(rows))
        else:
            found = Unequal(old, new, names, 0.0).positions()
            pairs = zip(found.tolist(), _taken(old, found, names), _taken(new, found, names), strict=True)
            yield from ((start + i, one, other) for i, one, other in pairs)
        start += (new if old is None else old).num_rows


def _taken(batch: Any, positions: Any, names: Sequence[str]) -> Iterator[Row]:
    return rows_of(batch.take(positions), names)


def hashes(batch: Any, types: dict[str, Any]) -> Any:
    """Return a 64-bit hash of each row of a batch, in which 0.0 equals -0.0 and NaN equals NaN.

    Args:
        batch: The batch.
        types: The columns, and the type in which each is hashed.

    Raises:
        UncertainError: A column has a type without such a hash, or a value that does not fit into the type.
    """
    import numpy as np

    found = np.zeros(batch.num_rows, dtype=np.uint64)
    for name, wanted in types.items():
        column = _as(_column(batch, name), wanted)
        one = _column_hashes(column)
        if column.null_count:
            one = np.where(_is_missing(column), np.uint64(_MISSING), one)
        found = one if len(types) == 1 else (found ^ one) * np.uint64(_MIX)
    return found


def _column_hashes(column: Any) -> Any:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = column.type
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        parts = column.dictionary_encode()
        words = parts.dictionary.to_numpy(zero_copy_only=False)
        coded = pd.util.hash_array(words, categorize=False) if len(words) else np.zeros(1, dtype=np.uint64)
        return coded[parts.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    if kinds.is_floating(kind) and not kinds.is_float16(kind):
        values = column.fill_null(0.0).cast(pa.float64()).to_numpy() + 0.0
        values[np.isnan(values)] = np.nan
        return pd.util.hash_array(values)
    if kinds.is_boolean(kind):
        column = column.cast(pa.int8())
    elif kinds.is_date32(kind) or kinds.is_timestamp(kind) or kinds.is_date64(kind):
        column = column.view(pa.int32() if kinds.is_date32(kind) else pa.int64())
    elif not kinds.is_integer(kind):
        raise UncertainError
    return pd.util.hash_array(column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64))
