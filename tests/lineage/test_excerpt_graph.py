"""What is read for a page: as much as a plain search finds near a record, in pages, folded, or as it was once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lamindb as ln
from lamindb.db import database as databases
from lamindb.lineage.excerpt import PAGE, Excerpt
from lamindb.lineage.excerpt_graph import ExcerptGraph, read
from lamindb.lineage.lineage_graph import FileNode
from lamindb.lineage.render import labels
from lamindb.models import File, RunInput
from tests.lineage.test_query import graphs, numbers_below
from tests.support.histories import made
from tests.support.lineages import Plain, write


def shown(record: Any, **options: Any) -> ExcerptGraph:
    """Read an excerpt around a record."""
    kind = type(record).__name__.lower()
    return read(databases.connection(record.alias), Excerpt(kind, record.id, **options))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_has_what_is_near(instance: Path) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(graphs(), st.data())
    def ask(plain: Plain, data: st.DataObject) -> None:
        written = write(plain)
        kind = data.draw(st.sampled_from(["file", "run", "transform"]))
        number = data.draw(numbers_below(len(written.ids(kind))))
        depth = data.draw(st.integers(0, 3))
        direction = data.draw(st.sampled_from(["up", "down", "both"]))
        up, down = direction != "down", direction != "up"
        record = written.record(kind, number)
        near = ln.lineage.graph(record, depth=depth, up=up, down=down, max_nodes=500, group=False, steps=True).graph
        found = shown(record, depth=depth, direction=direction, max_nodes=500).graph
        assert written.nodes(found) == written.nodes(near)
        assert written.edges(found) == written.edges(near)

    ask()


def hub(n_readers: int) -> tuple[File, list[str]]:
    """Return a file, and the ids of its readers, the newest first."""
    written = write(Plain([None], [0] * n_readers, {(run, 0) for run in range(n_readers)}))
    return written.record("file", 0), sorted(written.ids("run"), reverse=True)


def test_a_file_with_300_readers_is_opened_in_pages(instance: Path) -> None:
    file, readers = hub(300)
    found = shown(file).graph
    assert {run.id for run in found.runs} == set(readers[:20])
    assert found.hidden_down == {file.id: 280}
    excerpt = Excerpt("file", file.id)
    for page in range(1, 3):
        excerpt = excerpt.opening(file.id, "down")
        found = read(databases.connection(file.alias), excerpt).graph
        assert {run.id for run in found.runs} == set(readers[: 20 * (page + 1)])
        assert found.hidden_down == {file.id: 280 - 20 * page}
    for _ in range(13):
        excerpt = excerpt.opening(file.id, "down")
    found = read(databases.connection(file.alias), excerpt).graph
    assert {run.id for run in found.runs} == set(readers)
    assert not any(found.hidden_down.values())


def test_no_more_than_500_nodes_are_shown(instance: Path) -> None:
    file, _ = hub(600)
    excerpt = Excerpt("file", file.id)
    for _ in range(40):
        excerpt = excerpt.opening(file.id, "down")
    found = read(databases.connection(file.alias), excerpt).graph
    assert len(found) == 500
    assert found.hidden_down == {file.id: 101}
    assert len(shown(file, max_nodes=10).graph) == 10


def test_the_readers_of_one_transform_are_one_card(instance: Path) -> None:
    file, readers = hub(300)
    found = shown(file, group="transform")
    assert [run.members for run in found.graph.runs] == [300]
    group = found.groups[found.graph.runs[0].id]
    assert len(group.nodes) == 300
    opened = shown(file, group="transform", ungrouped=(group.key,), max_nodes=500)
    assert {run.id for run in opened.graph.runs} == set(readers)
    few = shown(file, group="transform", ungrouped=(group.key,)).graph
    assert len(few) == 60
    assert few.hidden_down == {file.id: 300 - 59}


def test_selecting_changes_nothing_that_is_read(instance: Path) -> None:
    file, readers = hub(3)
    assert shown(file, selected=readers[0]) == shown(file)


def test_what_lies_beyond_is_counted_and_opens(instance: Path) -> None:
    # f0 → r0 → f1 → r1 → f2, f3
    written = write(Plain([None, 0, 1, 1], [0, 1], {(0, 0), (1, 1)}))
    first, _, third, _ = written.files
    record = written.record("file", 1)
    found = shown(record, depth=0)
    assert len(found.graph) == 1
    assert (found.graph.hidden_up, found.graph.hidden_down) == ({record.id: 1}, {record.id: 1})
    start = Excerpt("file", record.id, depth=0).opening(record.id, "down")
    opened = read(databases.connection(record.alias), start).graph
    assert [run.id for run in opened.runs] == [written.runs[1]]
    assert opened.hidden_down == {written.runs[1]: 2}
    assert {node.id for node in shown(record).graph.nodes()} == {*written.files, *written.runs} >= {first, third}


def test_folders_are_cards_and_plumbing_is_counted(local_instance: Path) -> None:
    with ln.track(ln.Transform(name="import", type="script")):
        raw = [ln.File(str(number).encode(), key=f"interim/{number}.csv").save() for number in range(4)]
    with ln.track(ln.Transform(name="merge", type="script")):
        for file in raw:
            file.stage(is_run_input=True)
        merged = ln.File(b"merged", key="merged/all.csv").save()
    found = shown(merged, group="folder")
    assert [file.title for file in found.graph.files if file.members > 1] == ["4 files in interim/"]
    assert found.graph.hidden_up == {found.graph.files[0].id: 4} or 4 in found.graph.hidden_up.values()
    hidden = shown(merged, depth=2, has_plumbing=False)
    assert hidden.n_plumbing == 4
    assert [file.id for file in hidden.graph.files] == [merged.id]
    assert {edge.kind for edge in hidden.graph.edges} == {"through", "output"}


def test_a_card_says_what_only_some_of_it_are(local_instance: Path) -> None:
    raw = [ln.File(str(number).encode(), key=f"raw/{number}.csv").save() for number in range(3)]
    clean = [made("clean", [one], f"clean {one.key}".encode(), f"clean/{one.key}") for one in raw]
    merged = made("merge", clean, b"merged", "merged.csv")
    for run in ln.Run.select(transform__name="clean")[:2]:
        ln.Run.objects.filter(id=run.id).update_rows({"status": "failed"})

    def facts(**options: Any) -> list[list[str]]:
        nodes = shown(merged, depth=2, **options).graph.nodes()
        return [
            labels.file_facts(node) if isinstance(node, FileNode) else labels.run_facts(node)
            for node in nodes
            if node.members == 3
        ]

    assert not any("some" in fact for found in facts(group="transform") for fact in found if "failed" not in fact)
    assert [found[0] for found in facts(group="transform") if "3 runs" in found] == ["some failed"]
    ln.File(b"other", key=raw[0].key).save()
    assert [found[0] for found in facts(group="folder") if "some stale" in found] == ["some stale"]
    for one in raw[1:]:
        ln.File(b"another", key=one.key).save()
    ln.Run.objects.filter(transform__name="clean").update_rows({"status": "failed"})
    assert {found[0] for found in facts(group="transform")} == {"stale", "failed", "older"}


def test_steps_of_a_flow_are_one_card_by_their_parent(local_instance: Path) -> None:
    source = ln.File(b"source", key="source.txt").save()

    @ln.step
    def count(number: int) -> None:
        source.stage(is_run_input=True)
        ln.File(str(number).encode(), key=f"counts/{number}.txt").save()

    @ln.flow
    def counting() -> None:
        for number in range(3):
            count(number)

    counting()
    found = shown(source, group="parent").graph
    assert [(run.title.rpartition(".")[2], run.members) for run in found.runs] == [("counting", 3)]
    assert [file.members for file in found.files if file.id != source.id] == [3]
    flow = ln.Run.select(transform__name__endswith="counting").one()
    folded = shown(flow)
    assert [run.id for run in folded.graph.runs] == [flow.id]
    assert len(folded.groups[flow.id].nodes) == 3
    assert len(shown(flow, ungrouped=(flow.id,)).graph.runs) == 4


def test_it_shows_what_was_recorded_until_a_date(instance: Path) -> None:
    file, readers = hub(4)
    for number, run_id in enumerate(readers):
        at = datetime(2026, 3, 14 - number, 12, tzinfo=UTC)
        QuerySet(RunInput, using=file.alias).filter(run_id=run_id).update(created_at=at)
    days = [{run.id for run in shown(file, at=datetime(2026, 3, day).date()).graph.runs} for day in range(10, 15)]
    assert days == [set(), {readers[3]}, set(readers[2:]), set(readers[1:]), set(readers)]
    noon = datetime(2026, 3, 13, 12, tzinfo=UTC)
    assert {run.id for run in shown(file, at=noon).graph.runs} == set(readers[1:])
    assert {run.id for run in shown(file, at=noon - timedelta(seconds=1)).graph.runs} == set(readers[2:])
    assert not shown(file, at=noon).graph.hidden_down


def test_marks_reach_farther_than_what_is_shown_and_are_not_of_a_past_day(local_instance: Path) -> None:
    raw = ln.File(b"raw", key="raw.txt").save()
    made = []
    for number in range(4):
        with ln.track(ln.Transform(name=f"step {number}", type="script")):
            (made[-1] if made else raw).stage(is_run_input=True)
            made.append(ln.File(str(number).encode(), key=f"{number}.txt").save())
    raw.replace(b"new").save()
    assert {file.id for file in shown(made[0]).graph.files if file.is_stale} == {made[0].id, made[1].id}
    # What makes the last one stale lies farther back than the runs that are shown.
    assert all(file.is_stale for file in shown(made[3]).graph.files)
    assert not any(file.is_stale for file in shown(made[0], at=datetime.now(UTC)).graph.files)


def test_the_number_of_queries_does_not_grow(instance: Path) -> None:
    numbers = []
    for n_readers in (3, 40):
        file, _ = hub(n_readers)
        with CaptureQueriesContext(databases.connection(file.alias)) as queries:
            shown(file)
        numbers.append(len(queries))
    assert numbers[0] == numbers[1] <= 10


def test_a_record_that_is_not_there_has_an_empty_excerpt(instance: Path) -> None:
    file, _ = hub(1)
    ghost = read(databases.connection(file.alias), replace(Excerpt("run", "nosuchrun"), depth=2))
    assert len(ghost.graph) == 0
    assert len(read(databases.connection(file.alias), Excerpt("file", "nosuchfile")).graph) == 0


def test_a_transform_shows_its_newest_runs(instance: Path) -> None:
    written = write(Plain([], [0] * 45))
    transform = written.record("transform", 0)
    found = shown(transform)
    assert {run.id for run in found.graph.runs} == set(sorted(written.ids("run"), reverse=True)[:PAGE])
    assert found.n_more_starts == 25
    assert found.graph.focus_ids() == {run.id for run in found.graph.runs}
