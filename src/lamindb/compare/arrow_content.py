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
        self._files[side].write(np.column_stack((found, (positions + start).astype(np.uint64))).tobytes())
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
            signs = np.repeat([-1, 1], [len(side) for side in sides])
            # A stable sort keeps the earlier table first, and each table's own order.
            order = np.argsort(rows[:, 0], kind="stable")
            values = rows[order, 0]
            starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
            sizes = np.diff(np.append(starts, len(values)))
            surplus = np.add.reduceat(signs[order], starts)
            for side, sign in ((0, -1), (1, 1)):
                is_more = surplus * sign > 0
                counts[side] += int(np.abs(surplus[is_more]).sum())
                at = starts[is_more]
                if side:
                    at = at + (sizes - surplus)[is_more] // 2
                found = np.sort(rows[order[at], 1])[:EXAMPLES].tolist()
                first[side] = sorted([*first[side], *found])[:EXAMPLES]
        return Unpaired(counts[0], first[0]), Unpaired(counts[1], first[1])

    def _range(self, side: int, bits: int, number: int) -> Iterator[Any]:
        import numpy as np

        yield np.empty((0, 2), dtype=np.uint64)
        file = self._files[side]
        file.seek(0)
        while block := file.read(_READ_ROWS * 16):
            rows = np.frombuffer(block, dtype=np.uint64).reshape(-1, 2)
            yield rows[rows[:, 0] >> np.uint64(64 - bits) == number] if bits else rows
