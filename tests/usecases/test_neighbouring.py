"""Graphs of lineage: neighbourhoods that say what they leave out, ways and what lies between, what became of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lamindb as ln
from lamindb.core.errors import InvalidInputError, InvalidTypeError, NoResultFound
from lamindb.core.graph import LineageGraph
from tests.support.lineages import Plain, Written, write
from tests.usecases.test_tracing import acyclic_graphs, chain, graphs, ladder, numbers_below


def nodes(written: Written, graph: LineageGraph) -> set[tuple[str, int]]:
    files = {("file", number) for number in written.numbers("file", (file.id for file in graph.files))}
    return files | {("run", number) for number in written.numbers("run", (run.id for run in graph.runs))}


def all_edges(plain: Plain, *, all_producers: bool) -> set[tuple[tuple[str, int], tuple[str, int]]]:
    steps = plain.steps(is_up=False, all_producers=all_producers)
    return {(here, there) for here, others in steps.items() for there in others}


def edges(written: Written, graph: LineageGraph) -> set[tuple[tuple[str, int], tuple[str, int]]]:
    names = {node_id: ("file", n) for n, node_id in enumerate(written.files)}
    names |= {node_id: ("run", n) for n, node_id in enumerate(written.runs)}
    return {(names[edge.source], names[edge.target]) for edge in graph.edges}


def numbered(written: Written, counts: Any) -> dict[tuple[str, int], int]:
    names = {node_id: ("file", n) for n, node_id in enumerate(written.files)}
    names |= {node_id: ("run", n) for n, node_id in enumerate(written.runs)}
    return {names[node_id]: count for node_id, count in counts.items()}


def oracle_neighbourhood(
    plain: Plain, kind: str, number: int, depth: int | None, *, all_producers: bool
) -> tuple[set[tuple[str, int]], dict[bool, dict[tuple[str, int], int]]]:
    """Return which nodes are shown, and how many neighbours of each are not."""
    starts = plain.starts(kind, number)
    shown: set[tuple[str, int]] = set()
    walked = {}
    for is_up in (True, False):
        distances = plain.distances(starts, is_up=is_up, all_producers=all_producers)
        farthest = None if depth is None else 2 * depth - (kind != "file")
        walked[is_up] = {node for node, d in distances.items() if farthest is None or d <= max(0, farthest)}
        shown |= walked[is_up]
    hidden = {}
    for is_up in (True, False):
        steps = plain.steps(is_up=is_up, all_producers=all_producers)
        counts = {node: len(steps.get(node, set()) - shown) for node in walked[is_up]}
        hidden[is_up] = {node: count for node, count in counts.items() if count}
    return shown, hidden


@pytest.mark.parametrize("shapes", [acyclic_graphs, graphs], ids=["acyclic", "any"])
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_neighbourhoods_equal_the_oracle(instance: Path, shapes: Any) -> None:
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(shapes(), st.data())
    def ask(plain: Plain, data: st.DataObject) -> None:
        written = write(plain)
        kind = data.draw(st.sampled_from(["file", "run", "transform"]))
        number = data.draw(numbers_below(len(written.ids(kind))))
        depth, all_producers = data.draw(st.none() | st.integers(0, 3)), data.draw(st.booleans())
        record = written.record(kind, number)
        graph = ln.lineage.graph(record, depth=depth, all_producers=all_producers).graph
        shown, hidden = oracle_neighbourhood(plain, kind, number, depth, all_producers=all_producers)
        assert nodes(written, graph) == shown
        expected = {pair for pair in all_edges(plain, all_producers=all_producers) if set(pair) <= shown}
        assert edges(written, graph) == expected
        assert numbered(written, graph.hidden_up) == hidden[True]
        assert numbered(written, graph.hidden_down) == hidden[False]
        assert graph.is_truncated == bool(hidden[True] or hidden[False])
        room = data.draw(st.integers(1, 6))
        small = ln.lineage.graph(record, depth=depth, max_nodes=room, all_producers=all_producers).graph
        assert len(small) == min(room, len(small))
        assert nodes(written, small) <= shown
        assert (len(small) < len(graph)) <= small.is_truncated

    ask()


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
        assert nodes(written, between) == set(onward) & set(back)
        path = ln.lineage.path(*records, all_producers=all_producers).graph
        shortest = min((onward[node] for node in target if node in onward), default=None)
        assert len(path) == (0 if shortest is None else shortest + 1)
        assert edges(written, path) <= all_edges(plain, all_producers=all_producers)
        assert len(path.edges) == max(0, len(path) - 1)
        if shortest is not None:
            assert nodes(written, path) & set(source) and nodes(written, path) & set(target)

    ask()


def test_the_way_through_a_long_chain(instance: Path) -> None:
    written = write(chain(300))
    path = ln.lineage.path(written.record("file", 0), written.record("file", 300))
    assert len(path.graph) == 601
    assert path.graph.focus == written.files[300]
    assert len(ln.lineage.path(written.record("file", 300), written.record("file", 0)).graph) == 0


def star(readers: int) -> Plain:
    """One file that many runs read, each making a file."""
    return Plain([None, *range(readers)], [run % 3 for run in range(readers)], {(run, 0) for run in range(readers)})


def test_a_file_that_all_use_leaves_room_and_says_how_many_more(instance: Path) -> None:
    written = write(star(400))
    hub = written.record("file", 0)
    picture = hub.view_lineage()
    assert len(picture.graph.runs) == 50
    assert written.numbers("run", (run.id for run in picture.graph.runs)) == set(range(350, 400))
    assert picture.graph.hidden_down == {hub.id: 350}
    assert "350 more" in repr(picture)
    reader = written.record("file", 7).view_lineage()
    assert len(reader.graph) == 3
    assert not reader.graph.is_truncated


def test_a_run_with_many_files_is_cut_the_same_way(instance: Path) -> None:
    count = 400
    written = write(Plain([*([None] * count), *([0] * count)], [0], {(0, file) for file in range(count)}))
    graph = written.record("run", 0).view_lineage(max_nodes=60).graph
    assert len(graph.files) == 20
    assert graph.hidden_up == {written.runs[0]: 390}
    assert graph.hidden_down == {written.runs[0]: 390}


def test_a_picture_is_limited_and_says_so(instance: Path) -> None:
    written = write(ladder(1_000))
    picture = written.record("file", 1_000).view_lineage(depth=None)
    assert len(picture.graph) == 300
    assert picture.graph.is_truncated
    assert "part of the lineage" in picture.to_text()
    whole = ln.lineage.graph(written.record("file", 1_000), depth=None, max_nodes=5_000).graph
    assert len(whole) == 2_999
    assert not whole.is_truncated


def test_directions_and_several_records(instance: Path) -> None:
    written = write(chain(6))
    middle = written.record("file", 3)
    up = middle.view_lineage(up=True, down=False, depth=1)
    assert nodes(written, up.graph) == {("file", 3), ("run", 2), ("file", 2)}
    assert up.direction == "up"
    assert numbered(written, up.graph.hidden_up) == {("file", 2): 1}
    assert up.graph.hidden_down == {}
    down = middle.view_lineage(up=False, depth=1)
    assert nodes(written, down.graph) == {("file", 3), ("run", 3), ("file", 4)}
    both = ln.lineage.graph([written.files[0], written.record("run", 5)], depth=0)
    assert nodes(written, both.graph) == {("file", 0), ("run", 5)}
    assert both.graph.focus is None
    transform = written.record("transform", 0).view_lineage()
    assert transform.graph.focus == written.transforms[0]
    assert len(transform.graph) == 13


def test_a_transform_without_runs_shows_nothing(instance: Path) -> None:
    picture = ln.Transform(name="new").save().view_lineage()
    assert len(picture.graph) == 0
    assert repr(picture)
    assert picture.to_svg().startswith("<svg")


def test_nodes_carry_what_drawings_show(instance: Path, tmp_path: Path) -> None:
    run = ln.track(ln.Transform(name="Cell Ranger", version="7.2.0", type="pipeline"))
    (tmp_path / "a.txt").write_text("abc")
    file = ln.File(tmp_path / "a.txt", key="x/a.txt").save()
    ln.finish()
    file.delete()
    (graph,) = [ln.lineage.graph(file.id).graph]
    (file_node,), (run_node,) = graph.files, graph.runs
    assert (file_node.key, file_node.size, file_node.suffix, file_node.version) == ("x/a.txt", 3, ".txt", 1)
    assert file_node.is_trashed and file_node.storage is None
    assert file_node.created_at == file.created_at
    assert (run_node.transform_name, run_node.transform_version, run_node.status) == (
        "Cell Ranger",
        "7.2.0",
        "completed",
    )
    assert run_node.user == ln.User.select().one().handle
    assert run_node.started_at == run.started_at
    assert [edge.kind for edge in graph.edges] == ["output"]
    assert list(graph.df()["file"]) == ["x/a.txt"]
    assert json.loads(ln.lineage.graph(file).to_json())["files"][0]["is_trashed"] is True


def test_bad_input_is_a_clear_error(instance: Path) -> None:
    written = write(chain(2))
    file = written.record("file", 1)
    for options, error in (
        ({"depth": -1}, InvalidInputError),
        ({"depth": "3"}, InvalidTypeError),
        ({"max_nodes": 0}, InvalidInputError),
        ({"max_nodes": 2.5}, InvalidTypeError),
        ({"up": False, "down": False}, InvalidInputError),
        ({"deep": 3}, InvalidTypeError),
    ):
        with pytest.raises(error):
            file.view_lineage(**options)
    with pytest.raises(InvalidInputError, match="at least one"):
        ln.lineage.graph([])
    with pytest.raises(NoResultFound, match="no file"):
        ln.lineage.path(file, "other")
    with pytest.raises(InvalidTypeError):
        ln.lineage.between(file, 3)
    leaf = written.record("file", 2)
    written.record("file", 2).delete(permanent=True)
    with pytest.raises(NoResultFound, match="deleted"):
        leaf.view_lineage()


def test_impact_groups_by_transform(instance: Path) -> None:
    written = write(Plain([None, 0, 0, 1, 2], [0, 1, 1, 2], {(0, 0), (1, 1), (2, 2), (3, 4)}), types=("notebook",))
    found = ln.lineage.impact(written.files[0])
    assert written.numbers("file", (file.id for file in found.files)) == {1, 2, 3, 4}
    assert written.numbers("run", (run.id for run in found.runs)) == {0, 1, 2, 3}
    assert [(group.name, len(group.runs), len(group.files)) for group in found.groups] == [
        ("Step 2", 1, 0),
        ("Step 1", 2, 2),
        ("Step 0", 1, 2),
    ]
    assert found.users == (ln.User.select().one().handle,)
    assert len(found.df()) == 5
    assert list(found.df().columns)[:4] == ["transform", "transform_type", "transform_version", "user"]
    assert json.loads(found.to_json())["transforms"][1]["files"][0]["size"] == 3
    assert "4 files of 3 transforms" in repr(found)
    assert "nothing" in repr(ln.lineage.impact(written.files[3]))
    assert len(ln.lineage.impact(written.record("run", 1)).files) == 1
    assert len(ln.lineage.impact(written.record("transform", 1)).files) == 2


def test_impact_of_any_version(instance: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    versions, results = [], []
    for number in range(2):
        source.write_text(f"version {number}")
        versions.append(ln.File(source, key="a.txt").save())
        ln.track(ln.Transform(name=f"reader {number}"))
        versions[-1].load(is_run_input=True)
        (tmp_path / "b.txt").write_text(f"result {number}")
        results.append(ln.File(tmp_path / "b.txt", key=f"b{number}.txt").save())
        ln.finish()
    for version, result in zip(versions, results, strict=True):
        assert [file.id for file in ln.lineage.impact(version).files] == [result.id]
        anyone = ln.lineage.impact(version, any_version=True)
        assert {file.id for file in anyone.files} == {file.id for file in results}
        assert len(anyone.ids) == 2
    with pytest.raises(InvalidInputError, match="versions"):
        ln.lineage.impact(results[0].run, any_version=True)


def test_names_cannot_write_to_the_terminal(instance: Path) -> None:
    written = write(Plain([None, 0], [0], {(0, 0)}))
    ln.Transform.objects.filter(id=written.transforms[0])._update_rows({"name": "red \x1b[31m\nline"})
    ln.File.objects.filter(id=written.files[0])._update_rows({"key": None, "name": "a\x1b[31m"})
    shown = repr(ln.lineage.impact(written.record("file", 0)))
    assert "\x1b" not in shown and len(shown.splitlines()) == 3
    assert "\x1b" not in repr(written.record("file", 0).view_lineage())
