"""JSON: everything, unshortened, and always UTF-8."""

from __future__ import annotations

import json

import pytest

from lamindb.lineage.lineage_graph import LineageGraph, json_text
from tests.support.graphs import HOSTILE, cycle_graph, hostile_graph, small_graph


def test_everything_is_there() -> None:
    value = json.loads(json_text(small_graph()))
    assert value["format"] == "lamindb-lineage"
    assert value["focus"] == "f3" and value["is_truncated"] is True
    assert value["files"][0]["key"] == "raw/sample_01_R1.fastq.gz"
    assert value["files"][0]["created_at"] == "2026-11-20T09:00:00+00:00"
    assert value["runs"][1]["status"] == "failed"
    assert value["edges"][0] == {"source": "f1", "target": "r1", "kind": "input"}
    assert value["hidden_up"] == {"f1": 1} and value["hidden_down"] == {"f2": 12}


@pytest.mark.parametrize("graph", [hostile_graph(), cycle_graph(), LineageGraph()], ids=len)
def test_names_come_back_as_they_were(graph: LineageGraph) -> None:
    text = json_text(graph, indent=None)
    text.encode()
    assert json.loads(text) == graph.as_dict()
    assert "\n" not in text


def test_hostile_names_are_whole() -> None:
    keys = [file["key"] for file in json.loads(json_text(hostile_graph()))["files"]]
    assert keys == list(HOSTILE)
