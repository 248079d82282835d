"""How one record led to another: the shortest way and all ways, as a plain walk finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lamindb as ln
from tests.lineage.test_query import acyclic_graphs, chain, graphs, numbers_below
from tests.support.lineages import Plain, write


@pytest.mark.parametrize("shapes", [acyclic_graphs, graphs], ids=["acyclic", "any"])
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ways_and_what_is_between_equal_the_oracle(instance: Path, shapes: Any) -> None:
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(shapes(), st.data())
    def ask(plain: Plain, data: st.DataObject) -> None:
        written = write(plain)
        ends = []
        for _ in range(2):
            kind = data.draw(st.sampled_from(["file", "run", "transform"]))
            ends.append((kind, data.draw(numbers_below(len(written.ids(kind))))))
        all_producers = data.draw(st.booleans())
        source, target = (plain.starts(*end) for end in ends)
        onward = plain.distances(source, is_up=False, all_producers=all_producers)
        back = plain.distances(target, is_up=True, all_producers=all_producers)
        records = [written.record(*end) for end in ends]
        between = ln.lineage.between(*records, all_producers=all_producers).graph
        assert written.nodes(between) == set(onward) & set(back)
        path = ln.lineage.path(*records, all_producers=all_producers).graph
        shortest = min((onward[node] for node in target if node in onward), default=None)
        assert len(path) == (0 if shortest is None else shortest + 1)
        assert written.edges(path) <= plain.edges(all_producers=all_producers)
        assert len(path.edges) == max(0, len(path) - 1)
        if shortest is not None:
            assert written.nodes(path) & set(source) and written.nodes(path) & set(target)

    ask()


def test_the_way_through_a_long_chain(instance: Path) -> None:
    written = write(chain(300))
    path = ln.lineage.path(written.record("file", 0), written.record("file", 300))
    assert len(path.graph) == 601
    assert path.graph.focus == written.files[300]
    assert len(ln.lineage.path(written.record("file", 300), written.record("file", 0)).graph) == 0
