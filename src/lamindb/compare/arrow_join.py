"""Pair the rows of two Arrow tables by the values of some columns, in bounded memory.

Rows are divided by a hash of their key into parts, which wait in files of a temporary folder, and are joined part by
part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lamindb.compare import arrow_rows

_POSITION: Final = "__lamindb_position__"
_HASH: Final = "__lamindb_hash__"
_PART_BYTES: Final = 48 << 20
_MOST_PARTS: Final = 256
_STEP: Final = 1 << 20


class UncertainError(Exception):
    """Rows with other keys have the same hash, or a key stands twice: only an exact comparison tells which."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one part.

    Attributes:
        old: The rows of the earlier table whose key the later one has, too.
        new: The rows of the later table with these keys, in the same order.
        old_positions: Their positions in the earlier table, from 0.
        new_positions: Their positions in the later table.
        removed: The other rows of the earlier table.
        added: The other rows of the later table.
    """

    old: Any
    new: Any
    old_positions: Any
    new_positions: Any
    removed: Any
    added: Any


def check_types(types: Iterable[tuple[Any, Any]]) -> None:
    """Refuse keys of types of which equal values may have other hashes.

    Args:
        types: The type of each column of the key, in the earlier and in the later table.

    Raises:
        UncertainError: There is such a column.
    """
    import pyarrow.types as kinds

    certain = (
        kinds.is_integer, kinds.is_boolean, kinds.is_string, kinds.is_large_string, kinds.is_date, kinds.is_timestamp,
    )  # fmt: skip
    if not all(old.equals(new) and any(is_kind(old) for is_kind in certain) for old, new in types):
        raise UncertainError


def has_same_keys(before: Iterable[Any], after: Iterable[Any], on: Sequence[str]) -> bool:
    """Return True if two tables have the same keys, row by row.

    Raises:
        UncertainError: They have, and two rows of a table may have the same key.
    """
    import numpy as np

    hashes = []
    for old, new in arrow_rows.aligned(before, after):
        if old is None or new is None or len(arrow_rows.differing_positions(old, new, on)):
            return False
        hashes.append(_hashes(old, on))
    found = np.concatenate(hashes) if hashes else np.array([])
    hashes.clear()
    found.sort()
    # Step by step: comparing all at once would need as much memory again.
    steps = (found[start : start + _STEP + 1] for start in range(0, len(found), _STEP))
    if any((step[1:] == step[:-1]).any() for step in steps):
        raise UncertainError
    return True


def _hashes(batch: Any, on: Sequence[str]) -> Any:
    """Return a hash of the key of each row.

    Raises:
        UncertainError: A value is missing; the other ones would then get the hashes of another type.
    """
    import pandas as pd

    keys = batch.select(list(on))
    if any(column.null_count for column in keys.columns):
        raise UncertainError
    return pd.util.hash_pandas_object(keys.to_pandas(), index=False).to_numpy()


def part_count(size: int) -> int:
    """Return into how many parts tables are divided, whose files have so many bytes together."""
    return max(1, min(_MOST_PARTS, 2 * size // _PART_BYTES))


def divide(batches: Iterable[Any], on: Sequence[str], folder: Path, count: int) -> int:
    """Write the rows of a table to a file for each part; return how many rows it has.

    Raises:
        UncertainError: The key of a row has a missing value.
    """
    import numpy as np
    import pyarrow as pa

    total = 0
    folder.mkdir()
    with ExitStack() as stack:
        writers: list[Any] = []
        for batch in batches:
            hashes = _hashes(batch, on)
            positions = np.arange(total, total + batch.num_rows)
            total += batch.num_rows
            columns = {name: batch.column(index) for index, name in enumerate(batch.schema.names)}
            wide = pa.RecordBatch.from_pydict({**columns, _POSITION: positions, _HASH: hashes})
            if not writers:
                for number in range(count):
                    sink = stack.enter_context(pa.OSFile(str(folder / str(number)), "wb"))
                    writers.append(stack.enter_context(pa.ipc.new_stream(sink, wide.schema)))
            numbers = (hashes % np.uint64(count)).astype(np.int64)
            order = np.argsort(numbers, kind="stable")
            wide, ends = wide.take(pa.array(order)), np.cumsum(np.bincount(numbers, minlength=count))
            for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
                if end > start:
                    writers[number].write_batch(wide.slice(start, end - start))
    return total


def parts(before: Path, after: Path, count: int, on: Sequence[str]) -> Iterator[Part]:
    """Yield the parts of two tables that were divided.

    Raises:
        UncertainError: Two rows of one table, or rows with other keys, have the same hash.
    """
    import numpy as np

    for number in range(count):
        old, new = _read(before / str(number)), _read(after / str(number))
        if old is None or new is None:
            yield Part(None, None, np.array([], dtype=np.int64), np.array([], dtype=np.int64), old, new)
            continue
        hashes = [table.column(_HASH).to_numpy() for table in (old, new)]
        if any(len(np.unique(one)) < len(one) for one in hashes):
            raise UncertainError
        _, i, j = np.intersect1d(hashes[0], hashes[1], assume_unique=True, return_indices=True)
        positions = [table.column(_POSITION).to_numpy() for table in (old, new)]
        order = np.argsort(positions[0][i])
        i, j = i[order], j[order]
        paired = [_rows(table, index) for table, index in ((old, i), (new, j))]
        if len(i) and any(not paired[0].column(name).equals(paired[1].column(name)) for name in on):
            raise UncertainError
        alone = [_rows(table, _others(index, table)) for table, index in ((old, i), (new, j))]
        yield Part(paired[0], paired[1], positions[0][i], positions[1][j], alone[0], alone[1])


def positions_of(rows: Any) -> list[int]:
    """Return the positions that rows of a part have in their table, from 0."""
    found: list[int] = rows.column(_POSITION).to_pylist()
    return found


def _read(path: Path) -> Any:
    import pyarrow as pa

    if not path.exists():
        return None
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as reader:
        batches = list(reader)
    path.unlink()
    return pa.Table.from_batches(batches).combine_chunks() if batches else None


def _rows(table: Any, index: Any) -> Any:
    import pyarrow as pa

    found = table.take(pa.array(index)).combine_chunks().to_batches()
    return found[0] if found else None


def _others(index: Any, table: Any) -> Any:
    import numpy as np

    left = np.ones(table.num_rows, dtype=bool)
    left[index] = False
    return np.flatnonzero(left)
