"""The text tree: every node once, in the given width, safe to print."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lamindb.core.text import cell_width
from lamindb.errors import InvalidInputError
from lamindb.lineage.lineage_graph import Edge, LineageGraph
from lamindb.lineage.render.tree import text_tree
from tests.support.graphs import START, cycle_graph, file_node, hostile_graph, project_graph, run_node, small_graph


def ladder(layers: int) -> LineageGraph:
    """Diamonds: each run reads both files of the one before."""
    files = tuple(file_node(f"f{layer:03}{side}", f"{layer}/{side}") for layer in range(layers) for side in "ab")
    runs = tuple(run_node(f"r{layer:03}") for layer in range(layers))
    edges = [Edge(f"r{layer:03}", f"f{layer:03}{side}", "output") for layer in range(layers) for side in "ab"]
    edges += [Edge(f"f{layer - 1:03}{side}", f"r{layer:03}", "input") for layer in range(1, layers) for side in "ab"]
    return LineageGraph(files, runs, tuple(edges), focus=f"f{layers - 1:03}a")


def test_up() -> None:
    assert text_tree(small_graph(), direction="up") == (
        "▪ images/nuclei.jpg ◀ · 29.4 kB\n"
        "└─ ✗ Quality control & plots v1 · notebook · failed · testuser1 · 2026-11-20 09:00 UTC\n"
        "   └─ ▪ counts/matrix.h5ad · v2 · 29.4 kB\n"
        "      └─ ✓ Cell Ranger v7.2.0 · pipeline · testuser1 · 2026-11-20 09:00 UTC\n"
        "         └─ ▪ raw/sample_01_R1.fastq.gz · 2.3 GB\n"
        "            └─ +1 more\n"
        "(partial: 13 more not shown; use depth=None, max_nodes=… to see all)"
    )


def test_both_ways_from_the_middle() -> None:
    lines = text_tree(replace(small_graph(), focus="f2")).splitlines()
    assert lines[0].startswith("▪ counts/matrix.h5ad ◀")
    assert lines[1] == "↑ came from"
    assert lines[5] == "↓ became"
    assert lines[6].startswith("├─ ✗ Quality") and lines[8] == "└─ +12 more"


def test_down_without_focus_starts_at_the_sources() -> None:
    lines = text_tree(replace(small_graph(), focus=None), direction="down").splitlines()
    assert lines[0].startswith("▪ raw/sample_01")
    assert lines[1].startswith("└─ ✓ Cell Ranger")


def test_diamonds_are_written_once() -> None:
    lines = text_tree(ladder(60), direction="up").splitlines()
    assert len(lines) == 1 + 60 + 2 * 59 + 59
    assert sum("shown above" in line for line in lines) == 59


def test_cycles_end() -> None:
    tree = text_tree(replace(cycle_graph(), focus="f0"), direction="up")
    assert "▪ loop/0.csv ◀  ↑ shown above" in tree


def test_a_cycle_without_ends_has_a_root() -> None:
    assert text_tree(cycle_graph()).startswith("▪ loop/0.csv")


def test_every_node_is_reached_without_focus() -> None:
    graph = replace(project_graph(150), focus=None)
    for direction in ("up", "down", "both"):
        tree = text_tree(graph, direction=direction, width=400)
        assert all(f" {file.key}" in tree for file in graph.files)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_lines_fit(width: int) -> None:
    for graph in (small_graph(), project_graph(150), hostile_graph(), ladder(100)):
        for line in text_tree(graph, width=width).splitlines():
            assert cell_width(line) <= width, line


def test_names_cannot_act_on_the_terminal() -> None:
    tree = text_tree(replace(hostile_graph(), focus=None))
    assert all(line.isprintable() for line in tree.splitlines())
    assert "\\x1b[31mred" in tree


def test_a_long_chain_is_no_recursion() -> None:
    count = 5_000
    files = tuple(file_node(f"f{number:05}") for number in range(count))
    runs = tuple(run_node(f"r{number:05}") for number in range(1, count))
    edges = [Edge(f"f{number - 1:05}", f"r{number:05}", "input") for number in range(1, count)]
    edges += [Edge(f"r{number:05}", f"f{number:05}", "output") for number in range(1, count)]
    graph = LineageGraph(files, runs, tuple(edges), focus=f"f{count - 1:05}")
    assert len(text_tree(graph, direction="up").splitlines()) == 2 * count - 1


def test_nothing() -> None:
    assert text_tree(LineageGraph()) == "nothing to show: no files and no runs"


@pytest.mark.parametrize("arguments", [{"direction": "sideways"}, {"width": 39}])
def test_bad_arguments_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        text_tree(small_graph(), **arguments)  # type: ignore[arg-type]


def test_what_was_shown_above_keeps_its_time() -> None:
    files = tuple(file_node(f"f{number}", f"{number}.csv") for number in range(3))
    runs = (run_node("r1"), run_node("r2", started_at=START + timedelta(minutes=9)))
    edges = [Edge("r1", "f0", "output"), Edge("r2", "f0", "output")]
    edges += [Edge("r1", "f1", "output"), Edge("f1", "r2", "input"), Edge("f2", "r2", "input")]
    edges += [Edge("r2", "f2", "output")]
    tree = text_tree(LineageGraph(files, runs, tuple(edges), focus="f0"), direction="up")
    assert "✓ Cell Ranger v7.2.0 · 2026-11-20 09:00 UTC  ↑ shown above" in tree
    assert "✓ Cell Ranger v7.2.0 · 2026-11-20 09:09 UTC  ↑ shown above" in tree


def test_times_and_advice_are_the_readers() -> None:
    tree = text_tree(small_graph(), hint="ask for more", clock=lambda moment: f"{moment:at %H}")
    assert "testuser1 · at 09" in tree and "UTC" not in tree
    assert tree.endswith("; ask for more)")


def test_names_from_right_to_left_keep_to_themselves() -> None:
    graph = LineageGraph((file_node("f", "عينة/بيانات العينة.csv"),), focus="f")
    assert text_tree(graph) == "▪ \u2068عينة/بيانات العينة.csv\u2069 ◀ · 29.4 kB"


def test_several_records_share_what_both_came_from() -> None:
    graph = replace(ladder(4), focus=None, asked=("f003a", "f003b"))
    lines = text_tree(graph).splitlines()
    assert sum("◀" in line for line in lines) == 2
    assert sum(" 0/a " in f"{line} " for line in lines) == 1
