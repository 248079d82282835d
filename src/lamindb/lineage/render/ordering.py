"""In which order the nodes of a column stand, so that few edges cross."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

WORK = 60_000
"""Edges looked at while looking for a better order: small drawings get many rounds, large ones few."""

SWAP_LIMIT = 1_500
"""Number of edges up to which neighbours are also swapped one by one."""


def order_columns(columns: list[list[int]], before: Sequence[list[int]], after: Sequence[list[int]]) -> None:
    """Reorder each column in place so that edges between neighbouring columns cross little.

    Sweeps over the columns and sorts each by the mean position of its neighbours in the last one (Sugiyama's
    barycentre rule), keeps the best order seen, and ends with swaps of neighbours. The same input gives the same
    order; the time is bounded by `WORK`.

    Args:
        columns: The nodes of each column, from left to right.
        before: For each node its neighbours one column to the left.
        after: The same to the right.
    """
    size = sum(map(len, after))
    position = [0] * len(before)
    _number(columns, position)
    best, fewest = [list(column) for column in columns], count_crossings(columns, after, position)
    stale = 0
    for turn in range(max(4, min(24, WORK // (size + 1)))):
        if not fewest or stale >= 4:
            break
        to_right = turn % 2 == 0
        _sweep(columns, before if to_right else after, position, to_right=to_right)
        crossings = count_crossings(columns, after, position)
        stale += 1
        if crossings < fewest:
            best, fewest, stale = [list(column) for column in columns], crossings, 0
    columns[:] = best
    _number(columns, position)
    if fewest and size <= SWAP_LIMIT:
        _swap_neighbours(columns, before, after, position)


def _number(columns: list[list[int]], position: list[int]) -> None:
    for column in columns:
        for place, node in enumerate(column):
            position[node] = place


def _sweep(columns: list[list[int]], linked: Sequence[list[int]], position: list[int], *, to_right: bool) -> None:
    places = range(1, len(columns)) if to_right else range(len(columns) - 2, -1, -1)
    for place in places:
        column = columns[place]
        if len(column) < 2:
            continue
        keys = {}
        for node in column:
            others = linked[node]
            if not others:
                keys[node] = float(position[node])
            elif len(others) == 1:
                keys[node] = float(position[others[0]])
            else:
                keys[node] = sum([position[other] for other in others]) / len(others)
        column.sort(key=keys.__getitem__)
        for index, node in enumerate(column):
            position[node] = index


def count_crossings(columns: list[list[int]], after: Sequence[list[int]], position: list[int]) -> int:
    """Count the pairs of edges between neighbouring columns that cross."""
    crossings = 0
    for column in columns:
        passed: list[int] = []
        for node in column:
            targets = after[node]
            if len(targets) == 1:
                place = position[targets[0]]
                if passed and place < passed[-1]:
                    crossings += len(passed) - bisect_right(passed, place)
                    insort(passed, place)
                else:
                    passed.append(place)
            elif targets:
                places = [position[target] for target in targets]
                for place in places:
                    crossings += len(passed) - bisect_right(passed, place)
                for place in places:
                    insort(passed, place)
    return crossings


def _swap_neighbours(
    columns: list[list[int]], before: Sequence[list[int]], after: Sequence[list[int]], position: list[int]
) -> None:
    for _ in range(8):
        improved = False
        for column in columns:
            for place in range(len(column) - 1):
                upper, lower = column[place], column[place + 1]
                gain = _gain(before[upper], before[lower], position) + _gain(after[upper], after[lower], position)
                if gain > 0:
                    column[place], column[place + 1] = lower, upper
                    position[upper], position[lower] = place + 1, place
                    improved = True
        if not improved:
            return


def _gain(upper: list[int], lower: list[int], position: list[int]) -> int:
    """Say how many crossings less a swap of two neighbours gives on one side."""
    gain = 0
    for first in upper:
        place = position[first]
        for second in lower:
            other = position[second]
            if place > other:
                gain += 1
            elif place < other:
                gain -= 1
    return gain
