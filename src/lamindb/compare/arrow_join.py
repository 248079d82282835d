"""Pair the rows of two Arrow tables by the values of some columns, in bounded memory.

Only the keys of both tables are read at first, and become a map from the rows of the later table to those of the
earlier one, of 24 bytes a row. By this map the later table is divided into files of a temporary folder, each with the
partners of successive rows of the earlier table, which is then read once, in its order.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lamindb.compare import arrow_rows
from lamindb.compare.arrow_rows import UncertainError
from lamindb.compare.table_reader import ArrowTable

_PARTNER: Final = "__lamindb_partner__"
_PART_BYTES: Final = 32 << 20
_MOST_PARTS: Final = 128
_RANGE_ROWS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of two tables, as a hash of each row.

    Attributes:
        before: The hashes of the earlier table.
        after: Those of the later one.
    """

    before: Any
    after: Any

    def are_in_one_order(self) -> bool:
        """Return True if both tables seem to have the same keys, row by row; equal hashes do not prove it.

        Raises:
            UncertainError: They do, and two rows of a table may have the same key.
        """
        import numpy as np

        if not np.array_equal(self.before, self.after):
            return False
        # An empty one in its place, as only what stands twice matters.
        _partners(self.before, self.before[:0])
        return True

    def partners(self) -> Any:
        """Return for each row of the later table the position of the earlier one's row with its key, -1 if none has it.

        Raises:
            UncertainError: Two rows of a table may have the same key.
        """
        return _partners(self.before, self.after)


def read_keys(before: ArrowTable, after: ArrowTable, types: dict[str, Any]) -> Keys:
    """Read the keys of two tables.

    Args:
        before: The earlier table.
        after: The later table.
        types: The columns of the key, and the type in which the values of both tables are compared.

    Raises:
        UncertainError: They have no hash that is the same for equal values.
    """
    with ThreadPoolExecutor(2) as readers:
        return Keys(*readers.map(lambda table: _hashes(table, types), (before, after)))


def _hashes(table: ArrowTable, types: dict[str, Any]) -> Any:
    import numpy as np

    found = np.empty(table.row_count, dtype=np.uint64)
    start = 0
    for batch in table.batches(list(types)):
        found[start : start + batch.num_rows] = arrow_rows.hashes(batch, types)
        start += batch.num_rows
    return found[:start]


def _partners(before: Any, after: Any) -> Any:
    import numpy as np
    import pandas as pd

    found = np.full(len(after), -1, dtype=np.int64)
    # Ranges of hashes bound the memory, and fit better into the processor's cache.
    bits = min(16, (max(len(before), len(after)) // _RANGE_ROWS).bit_length())
    # A shift by all 64 bits is undefined.
    ranges = [
        (one >> np.uint64(64 - bits) if bits else one * np.uint64(0)).astype(np.uint16) for one in (before, after)
    ]

    def pair(number: int) -> None:
        at = [np.flatnonzero(one == number) for one in ranges]
        old, new = pd.Index(before[at[0]]), pd.Index(after[at[1]])
        if not old.is_unique or not new.is_unique:
            raise UncertainError
        place = old.get_indexer(new)
        is_paired = place >= 0
        found[at[1][is_paired]] = at[0][place[is_paired]]

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(pair, range(1 << bits)))
    return found


@dataclass(slots=True)
class Alone:
    """The rows that only one table has: their number, and the first of them as batches of Arrow.

    Attributes:
        wanted: How many rows are kept as examples.
    """

    wanted: int
    count: int = 0
    examples: list[Any] = field(default_factory=list)

    def add(self, batch: Any, positions: Any) -> None:
        """Add rows of a batch."""
        if len(positions) and self.count < self.wanted:
            self.examples.append(batch.take(positions[: self.wanted - self.count]))
        self.count += len(positions)


def joined(
    before: ArrowTable, after: ArrowTable, names: list[str], partners: Any, folder: Path, removed: Alone, added: Alone
) -> Iterator[tuple[Any, Any]]:
    """Yield batches of rows of the earlier table with those of the later table that have their keys.

    Args:
        before: The earlier table.
        after: The later table.
        names: The columns.
        partners: What `Keys.partners` returned.
        folder: An empty folder, where the later table waits.
        removed: Where rows go that only the earlier table has.
        added: Where rows go that only the later table has.
    """
    import numpy as np

    parts = max(1, min(_MOST_PARTS, after.size // _PART_BYTES))
    step = -(-before.row_count // parts) or 1
    _divide(after, names, partners, step, folder, added)
    count = -(-before.row_count // step)
    ready = arrow_rows.ahead(_read(folder / str(number)) for number in range(count))
    part: Any = None
    start, places = 0, np.empty(0, dtype=np.int64)
    for batch in arrow_rows.ahead(before.batches(names)):
        done = 0
        while done < batch.num_rows:
            if start % step == 0:
                part = next(ready)
                places = np.full(step, -1, dtype=np.int64)
                if part is not None:
                    places[part.column(_PARTNER).to_numpy() - start] = np.arange(part.num_rows)
            count = min(batch.num_rows - done, step - start % step)
            old, found = batch.slice(done, count), places[start % step : start % step + count]
            is_paired = found >= 0
            if not is_paired.all():
                removed.add(old, np.flatnonzero(~is_paired))
                old, found = old.take(np.flatnonzero(is_paired)), found[is_paired]
            if len(found):
                yield old, part.take(found)
            start, done = start + count, done + count


def _divide(after: ArrowTable, names: list[str], partners: Any, step: int, folder: Path, added: Alone) -> None:
    """Write the rows of a table that have a partner to a file for each `step` rows of the other table."""
    import numpy as np
    import pyarrow as pa

    with ExitStack() as stack:
        writers: dict[int, Any] = {}
        start = 0
        for batch in arrow_rows.ahead(after.batches(names)):
            found = partners[start : start + batch.num_rows]
            start += batch.num_rows
            added.add(batch, np.flatnonzero(found < 0))
            # A stable sort of 16 bits takes linear time.
            numbers = np.where(found < 0, -1, found // step).astype(np.int16)
            order = np.argsort(numbers, kind="stable")
            columns = {name: batch.column(index) for index, name in enumerate(batch.schema.names)}
            wide = pa.RecordBatch.from_pydict({**columns, _PARTNER: found}).take(order)
            ends = np.cumsum(np.bincount(numbers + 1))
            for number in np.flatnonzero(np.diff(ends)).tolist():
                if number not in writers:
                    sink = stack.enter_context(pa.OSFile(str(folder / str(number)), "wb"))
                    writers[number] = stack.enter_context(pa.ipc.new_stream(sink, wide.schema))
                writers[number].write_batch(wide.slice(ends[number], ends[number + 1] - ends[number]))


def _read(path: Path) -> Any:
    import pyarrow as pa

    if not path.exists():
        return None
    with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as reader:
        found = reader.read_all().combine_chunks().to_batches()
    path.unlink()
    if len(found) > 1:
        # A column of text has 2 GiB at most.
        raise UncertainError
    return found[0]
