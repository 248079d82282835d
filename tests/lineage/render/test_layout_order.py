"""Order within columns: crossings are counted rightly, and go away where they can."""

from __future__ import annotations

import random

from lamindb.lineage.render.layout import SWAP_LIMIT, count_crossings, order_columns


def _linked(count: int, edges: list[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    return before, after


def _positions(columns: list[list[int]], count: int) -> list[int]:
    position = [0] * count
    for column in columns:
        for place, node in enumerate(column):
            position[node] = place
    return position


def test_crossings_are_counted_as_by_comparing_all_pairs() -> None:
    generator = random.Random(1)
    for _ in range(50):
        edges = [(generator.randrange(6), 6 + generator.randrange(6)) for _ in range(12)]
        _, after = _linked(12, edges)
        columns = [list(range(6)), list(range(6, 12))]
        pairs = [(first, second) for place, first in enumerate(edges) for second in edges[place + 1 :]]
        expected = sum((a - c) * (b - d) < 0 for (a, b), (c, d) in pairs)
        assert count_crossings(columns, after, _positions(columns, 12)) == expected


def test_a_planar_graph_is_drawn_without_crossings() -> None:
    edges = [(0, 5), (1, 4), (2, 3), (3, 8), (4, 7), (5, 6)]
    before, after = _linked(9, edges)
    columns = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    order_columns(columns, before, after)
    assert count_crossings(columns, after, _positions(columns, 9)) == 0
    assert [sorted(column) for column in columns] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_the_order_is_never_worse_than_before() -> None:
    generator = random.Random(2)
    for _ in range(20):
        edges = [(generator.randrange(8), 8 + generator.randrange(8)) for _ in range(14)]
        before, after = _linked(16, edges)
        columns = [list(range(8)), list(range(8, 16))]
        first = count_crossings(columns, after, _positions(columns, 16))
        order_columns(columns, before, after)
        assert count_crossings(columns, after, _positions(columns, 16)) <= first


def test_large_drawings_keep_the_best_order_that_sweeps_find() -> None:
    generator = random.Random(3)
    half = SWAP_LIMIT
    shuffled = generator.sample(range(half, 2 * half), half)
    edges = [(number, shuffled[number]) for number in range(half)]
    edges += [(number, shuffled[number + 1]) for number in range(half - 1)]
    before, after = _linked(2 * half, edges)
    columns = [list(range(half)), list(range(half, 2 * half))]
    order_columns(columns, before, after)
    assert count_crossings(columns, after, _positions(columns, 2 * half)) == 0
