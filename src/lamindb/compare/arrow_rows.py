"""Find the rows in which two Arrow tables may differ, without a Python object for each value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lamindb.compare.table_reader import Row, rows_of


def differing(before: Iterable[Any], after: Iterable[Any], names: Sequence[str]) -> Iterator[tuple[int, Any, Any]]:
    """Yield rows that may differ by position: the number of the row from 1, and both rows.

    A row that only one table has is yielded with None for the other one; at the end, the number of rows of each table
    is yielded as `(0, rows before, rows after)`.

    Args:
        before: The batches of the earlier table.
        after: The batches of the later table.
        names: The columns.
    """
    counts = [0, 0]
    for old, new in aligned(before, after):
        start = max(counts) + 1
        counts[0] += old.num_rows if old is not None else 0
        counts[1] += new.num_rows if new is not None else 0
        if old is None or new is None:
            rows = rows_of(new if old is None else old, names)
            yield from ((start + i, None, row) if old is None else (start + i, row, None) for i, row in enumerate(rows))
            continue
        positions = differing_positions(old, new, names)
        if len(positions):
            pairs = zip(positions.tolist(), _taken(old, positions, names), _taken(new, positions, names), strict=True)
            yield from ((start + i, one, other) for i, one, other in pairs)
    yield 0, counts[0], counts[1]


def aligned(before: Iterable[Any], after: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of batches with as many rows; at the end those of one table alone, with None."""
    sides = iter(before), iter(after)
    old = new = None
    while True:
        old = _next(sides[0]) if old is None else old
        new = _next(sides[1]) if new is None else new
        if old is None or new is None:
            break
        count = min(old.num_rows, new.num_rows)
        yield old.slice(0, count), new.slice(0, count)
        old = old.slice(count) if old.num_rows > count else None
        new = new.slice(count) if new.num_rows > count else None
    while old is not None or new is not None:
        yield old, new
        old = _next(sides[0]) if old is not None else None
        new = _next(sides[1]) if new is not None else None


def _next(batches: Iterator[Any]) -> Any:
    return next((batch for batch in batches if batch.num_rows), None)


def differing_positions(old: Any, new: Any, names: Sequence[str]) -> Any:
    """Return the positions of the rows in which two batches may differ, as an array of numpy."""
    import numpy as np

    found = np.zeros(old.num_rows, dtype=bool)
    for name in names:
        one, other = (batch.column(batch.schema.get_field_index(name)) for batch in (old, new))
        found |= _unequal(one, other)
    return np.flatnonzero(found)


def _unequal(old: Any, new: Any) -> Any:
    """Return where two arrays may differ: True, or an array of numpy."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not old.type.equals(new.type):
        return True
    if old.equals(new):
        return False
    if pa.types.is_dictionary(old.type):
        old, new = old.dictionary_decode(), new.dictionary_decode()
    try:
        found = pc.fill_null(pc.not_equal(old, new), False).to_numpy(zero_copy_only=False)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        # Nested values have no comparison in Arrow; the caller compares those of these rows one by one.
        return True
    if pa.types.is_floating(old.type):
        found = found & ~(np.isnan(old) & np.isnan(new))
    if old.null_count or new.null_count:
        found = found | (np.asarray(pc.is_null(old)) != np.asarray(pc.is_null(new)))
    return found


def _taken(batch: Any, positions: Any, names: Sequence[str]) -> Iterator[Row]:
    return rows_of(batch.take(positions), names)
