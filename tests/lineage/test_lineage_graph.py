"""The lineage graph: what it refuses, and what it says of itself."""

from __future__ import annotations

import pickle
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from lamindb.errors import InvalidInputError, UnsupportedError
from lamindb.lineage.lineage_graph import Edge, LineageGraph
from tests.support.graphs import file_node, run_node, small_graph


def test_a_graph_knows_its_parts() -> None:
    graph = small_graph()
    around = graph.neighbours()
    assert len(graph) == 5
    assert around.before["f2"] == ("r1",)
    assert around.after["f2"] == ("r2",)
    assert around.before["f1"] == ()
    assert graph.focus_ids() == {"f3"}
    assert [node.kind for node in graph.nodes()] == ["file"] * 3 + ["run"] * 2


def test_a_transform_as_focus_means_all_its_runs() -> None:
    graph = LineageGraph(runs=(run_node("r1"), run_node("r2"), run_node("r3", transform_id="other")), focus="t")
    assert graph.focus_ids() == {"r1", "r2"}


def test_equal_edges_are_kept_once() -> None:
    graph = small_graph()
    assert replace(graph, edges=graph.edges * 2).edges == graph.edges


@pytest.mark.parametrize(
    "change",
    [
        {"edges": (Edge("f1", "nowhere", "input"),)},
        {"edges": (Edge("r1", "f1", "input"),)},
        {"edges": (Edge("f1", "f2", "output"),)},
        {"focus": "nowhere"},
        {"hidden_up": {"nowhere": 1}},
        {"hidden_down": {"f1": -1}},
        {"files": (file_node("f1"), file_node("f1"))},
        {"files": (file_node("r1"),), "edges": ()},
    ],
)
def test_a_graph_whose_parts_do_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        replace(small_graph(), **change)


def test_a_graph_cannot_be_changed_from_outside() -> None:
    hidden = {"f1": 1}
    graph = replace(small_graph(), hidden_up=hidden)
    hidden["f1"] = 99
    assert graph.hidden_up == {"f1": 1}
    with pytest.raises(FrozenInstanceError):
        graph.focus = None  # type: ignore[misc]


def test_an_empty_graph_is_a_value() -> None:
    assert LineageGraph()
    assert LineageGraph().nodes() == ()


def test_a_graph_survives_pickling() -> None:
    graph = small_graph()
    assert pickle.loads(pickle.dumps(graph)) == graph


def test_df_has_a_row_for_each_edge() -> None:
    frame = small_graph().df()
    assert list(frame["kind"]) == ["input", "output", "input", "output"]
    assert list(frame["file"])[-1] == "images/nuclei.jpg"
    assert len(LineageGraph().df()) == 0
    assert list(LineageGraph().df().columns) == list(frame.columns)


def test_df_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'pandas>="):
        small_graph().df()
