"""Pair equal rows of two Arrow tables wherever they are, in bounded memory: by their hashes, which wait in files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from lamindb.compare import arrow_rows
from lamindb.compare.cells import EXAMPLES

_RANGE_ROWS: Final = 1 << 22
_READ_ROWS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Unpaired:
    """The rows that only one table has: their number, and the positions of the first of them, from 0."""

    count: int
    first: list[int]


class Contents:
    """Rows of two tables that may be equal.

    Args:
        types: The columns, and the type in which the values of both tables are compared.
        stack: Closes the temporary files.
    """

    def __init__(self, types: dict[str, Any], stack: ExitStack) -> None:
        self._types = types
        self._files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2)]  # noqa: SIM115
        self._counts = [0, 0]

    def add(self, side: int, batch: Any, positions: Any, start: int) -> None:
        """Add rows of a batch of one table.

        Args:
            side: 0 for the earlier table, 1 for the later one.
            batch: The batch.
            positions: The positions of the rows in the batch.
            start: The position of the batch in its table.

        Raises:
            arrow_rows.UncertainError: A value has no hash.
        """
        import numpy as np

        found = arrow_rows.hashes(batch.take(positions), self._types)
        # Equal rows of a batch are counted here: they would all fall into one range.
        found, first, counts = np.unique(found, return_index=True, return_counts=True)
        order = np.argsort(first)
        columns = (found, positions[first] + start, counts)
        self._files[side].write(np.column_stack([one[order].astype(np.uint64) for one in columns]).tobytes())
        self._counts[side] += len(found)

    def unpaired(self) -> tuple[Unpaired, Unpaired]:
        """Return the rows of the earlier table and those of the later one that have no equal row in the other one.

        Of equal rows, each has one partner at most. Rows count as equal if a hash of 64 bits is.
        """
        import numpy as np

        counts: list[int] = [0, 0]
        first: list[list[int]] = [[], []]
        bits = (max(self._counts) // _RANGE_ROWS).bit_length()
        for number in range(1 << bits):
            sides = [np.concatenate(list(self._range(side, bits, number))) for side in range(2)]
            rows = np.concatenate(sides)
            if not len(rows):
                continue
            weights = np.concatenate([-sides[0][:, 2].astype(np.int64), sides[1][:, 2].astype(np.int64)])
            # A stable sort keeps the earlier table first, and each table's own order.
            order = np.argsort(rows[:, 0], kind="stable")
            values = rows[order, 0]
            starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
            surplus = np.add.reduceat(weights[order], starts)
            earlier = np.add.reduceat((weights[order] < 0).astype(np.int64), starts)
            for side, sign in ((0, -1), (1, 1)):
                is_more = surplus * sign > 0
                counts[side] += int(np.abs(surplus[is_more]).sum())
                at = starts[is_more]
                if side:
                    at = at + earlier[is_more]
                found = np.sort(rows[order[at], 1])[:EXAMPLES].tolist()
                first[side] = sorted([*first[side], *found])[:EXAMPLES]
        return Unpaired(counts[0], first[0]), Unpaired(counts[1], first[1])

    def _range(self, side: int, bits: int, number: int) -> Iterator[Any]:
        import numpy as np

        yield np.empty((0, 3), dtype=np.uint64)
        file = self._files[side]
        file.seek(0)
        while block := file.read(_READ_ROWS * 24):
            rows = np.frombuffer(block, dtype=np.uint64).reshape(-1, 3)
            yield rows[rows[:, 0] >> np.uint64(64 - bits) == number] if bits else rows
