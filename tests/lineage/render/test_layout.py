"""The layout: boxes apart, lines from box to box, the same every time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamindb.lineage.render.layout import MAX_BENDS, Placement, lay_out

SIZES = [(100.0 + 10 * (number % 4), 24.0 if number % 5 == 0 else 44.0) for number in range(14)]
EDGES = st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=40)


def _check(placement: Placement, edges: list[tuple[int, int]]) -> None:
    boxes = placement.boxes
    for number, box in enumerate(boxes):
        assert box.x >= -0.01 and box.y >= -0.01
        assert box.x + box.width <= placement.width + 0.01 and box.y + box.height <= placement.height + 0.01
        for other in boxes[number + 1 :]:
            apart = box.x + box.width <= other.x or other.x + other.width <= box.x
            assert apart or box.y + box.height <= other.y + 0.01 or other.y + other.height <= box.y + 0.01
    for (source, target), route in zip(edges, placement.routes, strict=True):
        if source == target:
            assert route.points == ()
            continue
        start, end = boxes[source], boxes[target]
        if route.is_back:
            assert route.points[0] == (start.x, start.middle)
            assert route.points[-1] == (end.x + end.width, end.middle)
        else:
            assert route.points[0] == (start.x + start.width, start.middle)
            assert route.points[-1] == (end.x, end.middle)
            assert all(left[0] < right[0] for left, right in pairwise(route.points))


@given(EDGES)
@settings(max_examples=200, deadline=None)
def test_boxes_never_overlap_and_routes_join_their_boxes(edges: list[tuple[int, int]]) -> None:
    first_columns = [number % 2 for number in range(14)]
    placement = lay_out(SIZES, edges, first_columns)
    _check(placement, edges)
    assert placement == lay_out(SIZES, edges, first_columns)


def test_files_and_runs_stand_in_columns_of_their_own() -> None:
    edges = [(0, 5), (5, 2), (2, 7), (7, 4), (0, 7), (6, 9), (9, 4)]
    placement = lay_out([(80.0, 40.0)] * 10, edges, [0, 0, 0, 0, 0, 1, 0, 1, 1, 1])
    file_columns = {placement.boxes[node].x for node in (0, 1, 2, 3, 4, 6)}
    run_columns = {placement.boxes[node].x for node in (5, 7, 8, 9)}
    assert not file_columns & run_columns


def test_a_chain_is_a_straight_line() -> None:
    placement = lay_out([(80.0, 40.0)] * 6, [(node, node + 1) for node in range(5)], [0, 1, 0, 1, 0, 1])
    assert len({box.middle for box in placement.boxes}) == 1
    assert placement.height == pytest.approx(40)


def test_a_cycle_is_drawn_with_one_line_back() -> None:
    placement = lay_out([(80.0, 40.0)] * 3, [(0, 1), (1, 2), (2, 0)], [0, 0, 0])
    assert [route.is_back for route in placement.routes] == [False, False, True]


def test_lines_do_not_run_through_boxes() -> None:
    edges = [(0, 1), (1, 2), (2, 3), (0, 3)]
    placement = lay_out([(80.0, 40.0)] * 4, edges, [0, 1, 0, 1])
    for (left, height), (right, _) in list(pairwise(placement.routes[3].points))[1::2]:
        for box in placement.boxes[1:3]:
            if box.x < right and left < box.x + box.width:
                assert not box.y < height < box.y + box.height


def test_nothing_and_one() -> None:
    assert lay_out([], [], []) == Placement((), (), 0.0, 0.0)
    assert lay_out([(10.0, 5.0)], [(0, 0)], [1]).boxes[0].x == 0.0


def test_many_long_edges_do_not_grow_without_bound() -> None:
    count = 600
    edges = [(node, node + 1) for node in range(count - 1)] + [(0, node) for node in range(2, count)]
    placement = lay_out([(80.0, 40.0)] * count, edges, [0] * count)
    assert sum(max(0, len(route.points) // 2 - 1) for route in placement.routes) <= MAX_BENDS
    _check(placement, edges)
