"""Summaries of a lineage: siblings grouped, steps folded into their run, plumbing hidden."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.errors import InvalidInputError
from lamindb.lineage.lineage_graph import Edge, FileNode, LineageGraph, RunNode
from lamindb.lineage.summary import MIN_GROUP, summarised
from tests.support.lineages import START, Plain, write

MANY = MIN_GROUP + 3


def file(name: str, **facts: object) -> FileNode:
    key = None if name.startswith("-") else name
    node = {"suffix": ".csv", "size": 1, "version": 1, "is_latest": True, "is_trashed": False, "created_at": START}
    return FileNode(id=f"f {name}", key=key, name=name, **{**node, **facts})  # type: ignore[arg-type]


def run(name: str, transform: str = "t", **facts: object) -> RunNode:
    return RunNode(f"r {name}", None, "completed", transform, transform, "script", "1", "ada", **facts)  # type: ignore[arg-type]


def graph(files: list[FileNode], runs: list[RunNode], *edges: tuple[str, str], **facts: object) -> LineageGraph:
    made = [Edge(f"{a[0]} {a[1:]}", f"{b[0]} {b[1:]}", "input" if a[0] == "f" else "output") for a, b in edges]
    return LineageGraph(tuple(files), tuple(runs), tuple(made), **facts)  # type: ignore[arg-type]


def shown(found: LineageGraph) -> set[str]:
    return {node.title for node in found.nodes()}


def lanes(count: int, **facts: object) -> LineageGraph:
    """Return lanes of a raw file, a run and a clean file, which one run combines."""
    numbers = range(count)
    files = [file(f"{folder}/{n}.csv") for folder in ("raw", "clean") for n in numbers] + [file("table.csv")]
    edges = [pair for n in numbers for pair in ((f"fraw/{n}.csv", f"r{n}"), (f"r{n}", f"fclean/{n}.csv"))]
    edges += [(f"fclean/{n}.csv", "rall") for n in numbers] + [("rall", "ftable.csv")]
    runs = [run(str(n), "clean") for n in numbers] + [run("all", "combine")]
    return graph(files, runs, *edges, focus="f table.csv", **facts)


def test_lanes_become_one() -> None:
    found = summarised(lanes(MANY))
    assert shown(found) == {f"{MANY} files in raw/", "clean", f"{MANY} files in clean/", "combine", "table.csv"}
    assert [(node.title, node.members) for node in found.runs] == [("clean", MANY), ("combine", 1)]
    assert len(found.edges) == 4
    group = found.files[0]
    assert (group.size, group.key, group.suffix) == (MANY, None, ".csv")


def test_few_siblings_are_shown_one_by_one() -> None:
    assert summarised(lanes(MIN_GROUP - 1)) == lanes(MIN_GROUP - 1)
    assert summarised(lanes(MANY), group=False) == lanes(MANY)


def test_what_looks_different_stays_apart() -> None:
    before = lanes(MANY)
    files = tuple(file(str(one.key), is_stale=True) if one.key == "clean/3.csv" else one for one in before.files)
    found = summarised(LineageGraph(files, before.runs, before.edges, before.focus))
    assert {"clean/3.csv", "raw/3.csv", f"{MANY - 1} files in raw/"} <= shown(found)


def test_the_focus_and_its_way_stay_apart() -> None:
    before = lanes(MANY)
    found = summarised(LineageGraph(before.files, before.runs, before.edges, "f clean/3.csv"))
    assert {"clean/3.csv", "raw/3.csv", f"{MANY - 1} files in clean/"} <= shown(found)


def test_siblings_of_different_runs_are_different_groups() -> None:
    files = [file(f"raw/{n}.csv") for n in range(2 * MANY)]
    edges = [(f"fraw/{n}.csv", "ra" if n < MANY else "rb") for n in range(2 * MANY)]
    found = summarised(graph(files, [run("a"), run("b")], *edges))
    assert sorted((edge.source, edge.target) for edge in found.edges) == [
        ("f raw/0.csv", "r a"),
        (f"f raw/{MANY}.csv", "r b"),
    ]


def test_neighbours_that_are_left_out_are_counted_for_the_group() -> None:
    hidden = {f"f raw/{n}.csv": 2 for n in range(MANY)}
    assert summarised(lanes(MANY, hidden_up=hidden, is_truncated=True)).hidden_up == {"f raw/0.csv": 2 * MANY}


def test_files_without_a_key_are_called_so() -> None:
    files = [file(f"-{n}", suffix="") for n in range(MANY)]
    found = summarised(graph(files, [run("a")], *[(f"f-{n}", "ra") for n in range(MANY)]))
    assert f"{MANY} files without a key" in shown(found)


def test_plumbing_is_hidden_and_counted() -> None:
    before = lanes(2)
    passing = {"f clean/0.csv", "f clean/1.csv", "f raw/0.csv", "f table.csv"}
    files = tuple(replace(one, is_plumbing=one.id in passing) for one in before.files)
    found = summarised(replace(before, files=files), plumbing=False)
    assert shown(found) == {"raw/0.csv", "raw/1.csv", "clean", "combine", "table.csv"}
    assert Edge("r 0", "r all", "through") in found.edges
    assert found.notes == ("2 files between two runs hidden",)


def test_steps_are_folded_into_their_run() -> None:
    before = lanes(3)
    inside = {"r 0": "r flow", "r 1": "r flow", "r 2": "r flow", "r all": "r flow"}
    flow = LineageGraph(before.files, (*before.runs, run("flow", "main")), before.edges, "r flow")
    found = summarised(flow, inside=inside)
    assert shown(found) == {"raw/0.csv", "raw/1.csv", "raw/2.csv", "main", "table.csv"}
    assert found.notes == ("4 runs inside, with 3 files between them",)
    assert {(edge.source, edge.target) for edge in found.edges} == {
        *((f"f raw/{n}.csv", "r flow") for n in range(3)),
        ("r flow", "f table.csv"),
    }


def test_summaries_of_random_graphs_keep_every_way() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        files = [file(f"{chance.choice('ab')}/{n}.csv") for n in range(30)]
        runs = [run(str(n), chance.choice("xyz")) for n in range(20)]
        pairs = [(chance.choice(files).id, chance.choice(runs).id) for _ in range(50)]
        edges = {(a, b) if chance.random() < 0.5 else (b, a) for a, b in pairs}
        listed = [Edge(a, b, "input" if a[0] == "f" else "output") for a, b in sorted(edges)]
        before = LineageGraph(tuple(files), tuple(runs), tuple(listed))
        after = summarised(before)
        assert sum(node.members for node in after.nodes()) == len(before)
        kept = {node.id for node in after.nodes() if node.members == 1}
        expected = {(edge.source, edge.target) for edge in before.edges if {edge.source, edge.target} <= kept}
        assert expected <= {(edge.source, edge.target) for edge in after.edges}


def fan_in(count: int) -> tuple[object, ln.File]:
    plain = Plain([*[None] * count, 0], [0], {(0, n) for n in range(count)})
    written = write(plain)
    return written, written.record("file", count)


def test_a_large_fan_in_is_one_node(instance: Path) -> None:
    _, table = fan_in(2_000)
    picture = table.view_lineage()
    assert "2,000 files in " in picture.to_text() and "2,000 files in " in picture.to_svg()
    assert "not shown" not in picture.to_text()
    assert len(picture.graph) <= 300
    assert "more" in table.view_lineage(group=False).to_text()
    assert "2,001 files · 1 run" in picture.to_svg()


def test_plumbing_is_what_one_run_made_and_one_run_read(instance: Path) -> None:
    written = write(Plain([None, 0, 0, 1], [0, 1, 2], {(0, 0), (1, 1), (1, 2), (2, 2)}))
    result = written.record("file", 3)

    def plumbing() -> set[str]:
        return {file.id for file in ln.lineage.graph(result, depth=None).graph.files if file.is_plumbing}

    # A key may be that of a result, such as a model without a description.
    assert plumbing() == set()
    ln.File.objects.filter(id__in=written.files).update_rows({"key": None})
    assert plumbing() == {written.files[1]}
    tree = result.view_lineage(plumbing=False, depth=None).to_text()
    assert "(1 file between two runs hidden)" in tree
    assert result.view_lineage().to_text().count("▪") == tree.count("▪") + 1
    ln.File.objects.filter(id=written.files[1]).update_rows({"description": "a result of its own"})
    assert "hidden" not in result.view_lineage(plumbing=False, depth=None).to_text()


@pytest.mark.parametrize(
    ("key", "is_plumbing"),
    [
        ("models/best.bin", False), ("best.bin", False), ("tmp.bin", False), ("study/tmp", False),
        ("template/best.bin", False), ("tmp/best.bin", True), ("study/Interim/3/best.bin", True),
    ],
)  # fmt: skip
def test_what_has_a_key_is_plumbing_in_a_folder_for_it(local_instance: Path, key: str, is_plumbing: bool) -> None:
    with ln.track(ln.Transform("train", type="script")):
        model = ln.File(b"model", key=key).save()
    with ln.track(ln.Transform("report", type="script")):
        model.stage(is_run_input=True)
        report = ln.File(b"report", key="report.md").save()
    picture = report.view_lineage(plumbing=False)
    assert (model.id in {file.id for file in picture.drawn.files}) is not is_plumbing
    assert ("1 file between two runs hidden" in picture.to_text()) is is_plumbing


def test_the_lineage_of_a_flow_is_that_of_its_steps(instance: Path) -> None:
    written = write(Plain([None, 1, 2, 3], [0, 1, 2, 3], {(1, 0), (2, 1), (3, 2)}))
    flow = written.record("run", 0)
    ln.Run.objects.filter(id=written.runs[1]).update_rows({"parent_id": flow.id})
    ln.Run.objects.filter(id=written.runs[2]).update_rows({"parent_id": written.runs[1]})
    for asked in (flow, flow.transform):
        assert {written.files[0]} <= set(asked.ancestors().list("id"))
        assert set(asked.descendants().list("id")) == set(written.files[1:])
        assert asked.descendants(ln.Run).list("id") == [written.runs[3]]
        assert {file.id for file in ln.lineage.impact(asked).files} == set(written.files[1:])
        folded = asked.view_lineage()
        assert {node.id for node in folded.drawn.nodes()} == {
            flow.id,
            written.runs[3],
            *(written.files[n] for n in (0, 2, 3)),
        }
        assert "(2 runs inside, with 1 file between them)" in folded.to_text()
        opened = asked.view_lineage(steps=True)
        assert {node.id for node in opened.drawn.nodes()} == {*written.files, *written.runs}
        assert opened.to_text().count("Step 1") == 1
    assert ln.lineage.path(flow, written.files[3]).graph.focus is not None


def test_unknown_options_are_refused(local_instance: Path) -> None:
    raw = ln.File(b"1", key="raw").save()
    with pytest.raises(InvalidInputError, match="has no option 'open'"):
        raw.view_lineage(open=True)
