"""Neighbourhoods: everything near a record, and exact counts of what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lamindb as ln
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound
from tests.lineage.test_query import acyclic_graphs, chain, graphs, ladder, numbers_below
from tests.support import depth
from tests.support.lineages import Plain, write


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
        assert written.nodes(graph) == shown
        expected = {pair for pair in plain.edges(all_producers=all_producers) if set(pair) <= shown}
        assert written.edges(graph) == expected
        assert written.numbered(graph.hidden_up) == hidden[True]
        assert written.numbered(graph.hidden_down) == hidden[False]
        assert graph.is_truncated == bool(hidden[True] or hidden[False])
        room = data.draw(st.integers(1, 6))
        small = ln.lineage.graph(record, depth=depth, max_nodes=room, all_producers=all_producers).graph
        assert len(small) == min(room, len(small))
        assert written.nodes(small) <= shown
        assert (len(small) < len(graph)) <= small.is_truncated

    ask()


def star(readers: int) -> Plain:
    """One file that many runs read, each making a file."""
    return Plain([None, *range(readers)], [run % 3 for run in range(readers)], {(run, 0) for run in range(readers)})


def test_a_file_that_all_use_leaves_room_and_says_how_many_more(instance: Path) -> None:
    written = write(star(400))
    hub = written.record("file", 0)
    picture = hub.view_lineage(group=False)
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


@depth.on_one_database(shift=1)
def test_a_picture_is_limited_and_says_so(instance: Path) -> None:
    written = write(ladder(1_000))
    picture = written.record("file", 1_000).view_lineage(depth=None)
    assert len(picture.graph) == 300
    assert picture.graph.is_truncated
    assert "partial:" in picture.to_text()
    whole = ln.lineage.graph(written.record("file", 1_000), depth=None, max_nodes=5_000).graph
    assert len(whole) == 2_999
    assert not whole.is_truncated


def test_directions_and_several_records(instance: Path) -> None:
    written = write(chain(6))
    middle = written.record("file", 3)
    up = middle.view_lineage(up=True, down=False, depth=1)
    assert written.nodes(up.graph) == {("file", 3), ("run", 2), ("file", 2)}
    assert up.direction == "up"
    assert written.numbered(up.graph.hidden_up) == {("file", 2): 1}
    assert up.graph.hidden_down == {}
    down = middle.view_lineage(up=False, depth=1)
    assert written.nodes(down.graph) == {("file", 3), ("run", 3), ("file", 4)}
    both = ln.lineage.graph([written.files[0], written.record("run", 5)], depth=0)
    assert written.nodes(both.graph) == {("file", 0), ("run", 5)}
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


def by_hand(readers: int) -> Plain:
    """One file that many runs read, which make nothing."""
    return Plain([None], [0] * readers, {(run, 0) for run in range(readers)})


@pytest.mark.parametrize(("readers", "room"), [(20, 30), (20, 21), (400, 401), (400, 10_000)])
def test_everything_is_shown_where_there_is_room(instance: Path, readers: int, room: int) -> None:
    graph = write(by_hand(readers)).record("file", 0).view_lineage(max_nodes=room).graph
    assert len(graph) == readers + 1
    assert not graph.is_truncated
    assert graph.hidden_down == {}


def test_one_node_too_many_leaves_room_for_others(instance: Path) -> None:
    written = write(by_hand(30))
    graph = written.record("file", 0).view_lineage(max_nodes=30).graph
    assert len(graph.runs) == 5
    assert graph.hidden_down == {written.files[0]: 25}


def test_a_merge_of_many_files_shows_them_all(instance: Path) -> None:
    count = 120
    written = write(Plain([*range(1, count + 1), 0], [0, *([1] * count)], {(0, file) for file in range(count)}))
    graph = written.record("file", count).view_lineage().graph
    assert (len(graph.files), len(graph.runs)) == (count + 1, count + 1)
    assert not graph.is_truncated


def test_dense_lineage_is_whole_where_its_nodes_fit(instance: Path) -> None:
    """Many runs read the same many files: far more edges than nodes."""
    files, runs = 40, 60
    written = write(Plain([None] * files, [0] * runs, {(run, file) for run in range(runs) for file in range(files)}))
    graph = ln.lineage.graph(written.record("transform", 0), max_nodes=files + runs).graph
    assert (len(graph.files), len(graph.runs), len(graph.edges)) == (files, runs, files * runs)
    assert not graph.is_truncated
    small = ln.lineage.graph(written.record("transform", 0), max_nodes=files + runs - 1).graph
    assert small.is_truncated and len(small) < files + runs
    assert sum(small.hidden_up.values()) > files and small.hidden_total is None


def test_where_both_directions_do_not_fit_each_gets_a_part(instance: Path) -> None:
    count = 200
    written = write(Plain([*([None] * count), *([0] * count)], [0], {(0, file) for file in range(count)}))
    graph = written.record("run", 0).view_lineage(max_nodes=21).graph
    before = written.numbers("file", (edge.source for edge in graph.edges if edge.kind == "input"))
    assert 0 < len(before) < len(graph.files)
    assert graph.hidden_total == 2 * count - len(graph.files)


def test_what_several_nodes_lack_is_counted_once(instance: Path) -> None:
    """Each of ten files is read by the same seven runs, which lie one step too far."""
    made = [0] * 10
    written = write(Plain(made, [0] * 8, {(run, file) for run in range(1, 8) for file in range(10)}))
    graph = written.record("run", 0).view_lineage(depth=1).graph
    assert sum(graph.hidden_down.values()) == 70
    assert graph.hidden_total == 7


def test_several_records_are_all_in_focus(instance: Path) -> None:
    written = write(chain(4))
    asked = [written.record("file", 1), written.record("transform", 0)]
    graph = ln.lineage.graph(asked).graph
    assert graph.focus is None
    assert graph.asked == (written.files[1], written.transforms[0])
    assert graph.focus_ids() == {written.files[1], *written.runs}
    assert repr(ln.lineage.graph([written.files[0], written.files[3]], depth=0)).count("◀") == 2


@pytest.mark.parametrize("all_producers", [False, True])
def test_a_file_says_that_it_was_made_again(instance: Path, all_producers: bool) -> None:
    written = write(Plain([0, None], [0, 1, 2], set(), made_again={(1, 0), (2, 0), (2, 1)}))
    graph = written.record("file", 0).view_lineage(all_producers=all_producers).graph
    assert [file.made_again for file in graph.files] == [0 if all_producers else 2]
    assert len(graph.runs) == (3 if all_producers else 1)
    assert ("+2 made again" in repr(written.record("file", 0).view_lineage(all_producers=all_producers))) != (
        all_producers
    )
