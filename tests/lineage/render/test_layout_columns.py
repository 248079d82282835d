"""Columns: every edge to the right, cycles turned, sources near what uses them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lamindb.lineage.render.layout import assign_columns, reverse_back_edges, split_components

EDGES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40)


@given(EDGES)
def test_turned_edges_make_an_acyclic_graph_with_all_edges_to_the_right(edges: list[tuple[int, int]]) -> None:
    directed, turned = reverse_back_edges(12, edges)
    assert [
        (target, source) if back else (source, target) for (source, target), back in zip(directed, turned, strict=True)
    ] == edges
    forward = [(source, target) for source, target in directed if source != target]
    columns = assign_columns(12, forward, [0] * 12)
    assert all(columns[source] < columns[target] for source, target in forward)


def test_nothing_is_turned_without_a_cycle() -> None:
    assert reverse_back_edges(3, [(2, 1), (1, 0), (2, 0)])[1] == [False] * 3


def test_a_source_that_is_used_late_stands_late() -> None:
    assert assign_columns(5, [(0, 1), (1, 2), (2, 3), (4, 3)], [0, 1, 0, 1, 0]) == [0, 1, 2, 3, 2]


def test_components_are_in_the_order_of_their_first_node() -> None:
    assert split_components(5, [(4, 0), (1, 3)]) == [[0, 4], [1, 3], [2]]


def test_long_chains_need_no_recursion() -> None:
    edges = [(node, node + 1) for node in range(20_000)]
    directed, turned = reverse_back_edges(20_001, edges)
    assert not any(turned)
    assert assign_columns(20_001, directed, [0] * 20_001)[-1] == 20_000
