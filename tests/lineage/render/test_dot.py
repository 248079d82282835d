"""DOT: one statement a line, and Graphviz agrees where it is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from lamindb.lineage.lineage_graph import LineageGraph
from lamindb.lineage.render.dot import dot, quote
from tests.support.graphs import HOSTILE, cycle_graph, hostile_graph, project_graph, small_graph

_STRING = r'"(?:[^"\\]|\\["\\n])*"'
_VALUE = rf"(?:{_STRING}|[\w.]+)"
_STATEMENT = rf"  (?:\w+ -> \w+|\w+)(?: \[\w+={_VALUE}(?:, \w+={_VALUE})*\])?;"
_LABEL = rf"  label={_STRING}; fontsize=10; fontname=Helvetica;"

GRAPHS = [small_graph(), cycle_graph(), hostile_graph(), project_graph(60), LineageGraph()]


@pytest.mark.parametrize("graph", GRAPHS, ids=len)
def test_every_line_is_a_statement(graph: LineageGraph) -> None:
    lines = dot(graph).splitlines()
    assert lines[0] == "digraph lineage {" and lines[-1] == "}"
    for line in lines[4:-1]:
        assert re.fullmatch(_STATEMENT, line) or re.fullmatch(_LABEL, line), line


@pytest.mark.parametrize("text", HOSTILE)
def test_quoted_text_is_one_string(text: str) -> None:
    assert re.fullmatch(_STRING, quote(text))


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("graph", GRAPHS, ids=len)
def test_graphviz_reads_it(graph: LineageGraph) -> None:
    done = subprocess.run(
        ["dot", "-Tsvg"], input=dot(graph), capture_output=True, text=True, timeout=60, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    root = ElementTree.fromstring(done.stdout)
    classes = [element.get("class") for element in root.iter("{http://www.w3.org/2000/svg}g")]
    stubs = sum(1 for hidden in (graph.hidden_up, graph.hidden_down) for count in hidden.values() if count)
    assert classes.count("node") == len(graph) + stubs
    assert classes.count("edge") == len(graph.edges) + stubs
