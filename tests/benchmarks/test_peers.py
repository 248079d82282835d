"""The table of tools beside this library, from times that are made up; nothing is installed."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from benchmarks.harness import Bench
from benchmarks.peers import comparison, tools
from benchmarks.peers.comparison import WORKS, Comparison, Sizes
from benchmarks.peers.tools import OURS, TOOLS, Installed, Tool

_LAMINDB, _DVC, _MLFLOW = TOOLS[1:]


def _found() -> Comparison:
    found = Comparison(Sizes(), {tool: "" if tool.is_ours else "1.2" for tool in TOOLS}, rounds=3)
    for position, tool in enumerate(TOOLS, start=1):
        for work in WORKS:
            found.seconds[work.name, tool] = [90.0, 0.5 * position, 0.1]
    del found.seconds["ancestors", _MLFLOW]
    return found


def _row(text: str, begin: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {begin}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_has_medians_and_their_ratios_to_ours() -> None:
    text = comparison.table(_found())
    assert _row(text, "work") == ["work", "ours", "LaminDB 1.2", "DVC 1.2", "MLflow 1.2"]
    cells = _row(text, "one of 300 single saves")
    assert cells[1:4] == ["500 ms", "1 s, 2 ×", "1.5 s, 3 ×"]


def test_what_a_tool_leaves_out_stands_below_the_table() -> None:
    text = comparison.table(_found())
    cell = _row(text, "ancestors")[4]
    assert cell.startswith("– [")
    assert f"{cell[3:-1]}. MLflow: not possible: it has no edges between files." in text.splitlines()
    # One note, though two rows have it.
    assert text.count("DVC: one record for the folder.") == 1


def test_a_failure_is_no_time() -> None:
    found = _found()
    found.failures["start", _DVC] = "no space left"
    text = comparison.table(found)
    assert _row(text, "a process that makes a run")[3].startswith("– [")
    assert "DVC: failed: no space left." in text


def test_the_large_file_is_left_out_unless_asked_for() -> None:
    assert "MiB, whole" not in comparison.table(_found())
    found = _found()
    found.sizes = Sizes.of(large=True)
    assert _row(comparison.table(found), "one file of 2,048 MiB, whole process")[1] == "500 ms"


def test_a_quick_run_does_a_hundredth_and_a_given_size_wins() -> None:
    assert Sizes.of(quick=True, saves=7, links=None) == Sizes(files=20, saves=7, links=3, queries=2, large=0)


def test_every_tool_is_first_and_last_at_some_turn() -> None:
    turns = [comparison.in_turn(list(TOOLS), turn) for turn in range(8)]
    assert {turn[0] for turn in turns} == {turn[-1] for turn in turns} == set(TOOLS)
    assert all(set(turn) == set(TOOLS) for turn in turns)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_script_has_every_work(tool: Tool) -> None:
    source = (Path(tools.__file__).parent / "scripts" / tool.script).read_text(encoding="utf-8")
    keys = {
        key.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    assert {"prepare", *(work.name for work in WORKS)} <= keys


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_notes_are_for_works_that_exist(tool: Tool) -> None:
    assert set(tool.notes) <= {work.name for work in WORKS}


def test_our_script_does_the_works_in_processes_of_its_own(tmp_path: Path) -> None:
    installed = {OURS: Installed(Path(sys.executable), "")}
    sizes = Sizes(files=2, saves=1, links=1, queries=1)
    found = comparison.measure(Bench(tmp_path), sizes, installed, rounds=1)
    assert not found.failures
    assert {name for name, _ in found.seconds} == {work.name for work in WORKS if work.name != "large"}
