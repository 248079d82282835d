"""Mermaid: every line is one of few known forms, whatever the names are."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lamindb.lineage.lineage_graph import LineageGraph
from lamindb.lineage.render.mermaid import mermaid
from tests.support.graphs import HOSTILE, cycle_graph, file_node, hostile_graph, project_graph, run_node, small_graph

_LABEL = r'"(?:[^"<>&\\`|\[\](){}$;#]|#\d+;|<br>)*"'
_FORMS = (
    rf"    n\d+\[{_LABEL}\]:::file",
    rf"    n\d+\(\[{_LABEL}\]\):::(run|failed)",
    r"    class n\d+ focus",
    r"    n\d+ --> n\d+",
    rf"    u\d+\(\[{_LABEL}\]\):::more -\.-> n\d+",
    rf"    n\d+ -\.-> d\d+\(\[{_LABEL}\]\):::more",
    r"    %% [\w ,:]+",
    r"    classDef \w+ [\w:#,-]+(?: \d+)?",
)


@pytest.mark.parametrize(
    "graph", [small_graph(), cycle_graph(), hostile_graph(), project_graph(60), LineageGraph()], ids=len
)
def test_every_line_has_a_known_form(graph: LineageGraph) -> None:
    first, *lines = mermaid(graph).splitlines()
    assert first == "flowchart LR"
    for line in lines:
        assert any(re.fullmatch(form, line) for form in _FORMS), line


def test_nodes_edges_and_stubs_are_all_there() -> None:
    text = mermaid(small_graph())
    assert len(re.findall(r"n\d+ --> n\d+", text)) == 4
    assert text.count(":::file") == 3
    assert text.count(":::failed") == 1
    assert "+12 more" in text.replace("#43;", "+")
    assert "class n2 focus" in text


def test_lists_icons_and_formulas_are_taken_apart() -> None:
    for name, start in (
        ("1. list", '"1#46; list'),
        ("fa:fa-ban", '"fa:#8203;fa-ban'),
        ("$$x", '"#36;#8203;#36;#8203;x'),
    ):
        text = mermaid(LineageGraph(runs=(run_node("r", transform_name=name),)))
        assert start in text


def test_hostile_names_add_no_line() -> None:
    quiet = LineageGraph(
        files=tuple(file_node(f"f{number:02}") for number in range(len(HOSTILE))),
        runs=tuple(run_node(f"r{number:02}") for number in range(len(HOSTILE))),
        edges=hostile_graph().edges,
    )
    loud = replace(hostile_graph(), focus=None, hidden_up={}, hidden_down={})
    assert len(mermaid(loud).splitlines()) == len(mermaid(quiet).splitlines())
