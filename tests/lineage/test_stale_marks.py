"""Marks of staleness: equal to the rules whichever way they are found, on both databases, and one answer everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.db import database
from lamindb.lineage import excerpt_graph, stale_marks, staleness
from lamindb.lineage.excerpt import Excerpt
from lamindb.lineage.subgraph import NOT_LOOKED_FOR
from tests.support import depth, plans
from tests.support.histories import History, made
from tests.support.stale_rules import Rows

NOTHING = (-1, -1)
# fmt: off
WAYS: dict[str, dict[str, Any]] = {
    "from few": {},
    "from few, that make too much stale": {"_FOLLOWING": 0},
    "generation by generation": {"_FEW": NOTHING, "_FEW_OF_PAGE": NOTHING, "_LOOKS": 1_000, "_MOST_PAIRS": 10**6},
    "few of the newest inputs first": {
        "_FEW": NOTHING, "_FEW_OF_PAGE": NOTHING, "_LOOKS": 1_000, "_MOST_PAIRS": 10**6, "_NARROW": 0, "_PAIRS": 1,
    },
    "some generations, and the rest": {"_FEW": NOTHING, "_FEW_OF_PAGE": NOTHING, "_LOOKS": 2},
    "some pairs, and the rest": {"_FEW": NOTHING, "_FEW_OF_PAGE": NOTHING, "_MOST_PAIRS": 4},
    "the rest": {"_FEW": NOTHING, "_FEW_OF_PAGE": NOTHING, "_LOOKS": 0},
}
# fmt: on


def stale_among(files: list[Any], looks: int | None = None) -> tuple[set[str], bool]:
    """Return the ids of the stale files, and whether all files were decided."""
    given = [file.id for file in files]
    found = stale_marks.stale_among(database.connection(files[0].alias), given, looks=looks)
    assert found.undecided <= {*given} - found.ids
    return found.ids, found.is_whole


def check_causes(files: list[Any], stale: set[str]) -> None:
    """Compare the nearest causes that a search finds, after marks and alone, with the reasons why files are stale."""
    connection = database.connection(files[0].alias)
    given = [file for file in files if file.id in stale]
    expected: dict[Any, set[str]] = {}
    for why in staleness.explained(given):
        nearest = min(len(reason.chain) for reason in why.reasons)
        for reason in why.reasons:
            if reason.read is not None and len(reason.chain) == nearest:
                cause = (reason.read.id, reason.current.id if reason.current else None)
                expected.setdefault(cause, set()).add(why.file.id)
    found = {cause: {*ids} for cause, ids in staleness.ids_by_cause(files[0].alias, sorted(stale)).items()}
    assert found == expected
    for looks in (0, 2, 1_000):
        search = stale_marks.Search(connection, [file.id for file in files])
        search.marks(looks)
        near, rest = search.causes(sorted(stale), looks)
        assert {*rest} <= stale and (looks < 1_000 or not rest or stale_marks._MOST_PAIRS < 10**6)
        assert {cause: {*ids} for cause, ids in near.items()} == {
            cause: ids - {*rest} for cause, ids in expected.items() if ids - {*rest}
        }


def check_all_ways(monkeypatch: pytest.MonkeyPatch) -> int:
    """Compare each way with the rules, for all files and for each."""
    rows = Rows.read()
    expected = rows.stale()
    files = list(rows.files.values())
    connection = database.connection(files[0].alias)
    for way, constants in WAYS.items():
        with monkeypatch.context() as patched:
            for name, value in constants.items():
                patched.setattr(stale_marks, name, value)
            assert stale_among(files) == (expected, True), way
            check_causes(files, expected)
            for file in files[:: max(1, len(files) // 8)]:
                assert file.is_stale == (file.id in expected), way
            for looks in (0, 1, 3, 1_000):
                found = stale_marks.stale_among(connection, [file.id for file in files], looks=looks)
                assert found.ids <= expected <= found.ids | found.undecided, (way, looks)
    return len(expected)


@pytest.mark.parametrize("seed", range(200, 204))
def test_each_way_equals_the_rules(instance: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(seed)
    found = 0
    for number in range(1, 41):
        history.step()
        if number % 10 == 0:
            found += check_all_ways(monkeypatch)
    assert found


@pytest.mark.slow
@pytest.mark.timeout(600)
@depth.on_one_database()
@pytest.mark.parametrize("seed", depth.part(range(300, 330), 4))
def test_each_way_equals_the_rules_in_long_histories(
    instance: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(seed)
    for number in range(1, 71):
        history.step()
        if number % 14 == 0:
            check_all_ways(monkeypatch)


def chain(length: int) -> list[ln.File]:
    """Return files, each made from the one before; the first is a source."""
    files = [ln.File(b"raw", key="0").save()]
    for number in range(1, length):
        files.append(made(f"step {number}", [files[-1]], str(number).encode(), str(number)))
    return files


def without_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale_marks, "_FEW", NOTHING)
    monkeypatch.setattr(stale_marks, "_FEW_OF_PAGE", NOTHING)


def test_a_bounded_search_says_where_it_ended(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = chain(8)
    assert stale_among(files, 0) == (set(), False)
    assert stale_among(files[:1], 0) == (set(), True)
    ln.File(b"other", key="0").save()
    stale = {file.id for file in files[1:]}
    assert stale_among(files, 0) == ({files[1].id}, False)
    assert stale_among(files, 3) == (stale, True)
    without_few(monkeypatch)
    assert stale_among(files[6:], 3) == (set(), False)
    assert stale_among(files[6:], 6) == ({files[6].id, files[7].id}, True)
    # What a file before them is known to be decides what follows.
    assert stale_among(files[3:], 2) == ({file.id for file in files[3:]}, True)


def test_more_runs_than_a_bounded_search_looks_at_are_said(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [ln.File(str(number).encode(), key=f"raw/{number}").save() for number in range(6)]
    inputs = [
        made(f"step {number}", [one], f"made {number}".encode(), f"made/{number}") for number, one in enumerate(sources)
    ]
    merged = made("merge", inputs, b"merged", "merged")
    ln.File(b"other", key="raw/0").save()
    without_few(monkeypatch)
    assert stale_among([merged], 1) == ({merged.id}, True)
    monkeypatch.setattr(stale_marks, "_MOST_PAIRS", 3)
    found, is_whole = stale_among([merged], 1)
    assert is_whole == bool(found)
    assert stale_among([merged]) == ({merged.id}, True)


def test_versions_that_count_no_more_are_not_followed(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ln.File(b"1", key="raw").save()
    first = made("clean", [source], b"first", "clean")
    ln.File(b"2", key="raw").save()
    second = ln.File(b"by hand", key="clean").save()
    merged = made("merge", [first, second], b"merged", "merged")
    after = made("report", [merged], b"report", "report")
    for constants in WAYS.values():
        with monkeypatch.context() as patched:
            for name, value in constants.items():
                patched.setattr(stale_marks, name, value)
            assert stale_among([first, merged, after]) == ({first.id}, True)
            assert stale_among([merged, after], 3) == (set(), True) or constants.get("_MOST_PAIRS") == 4


def test_a_cycle_ends(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ln.File(b"1", key="one").save()
    two = made("there", [one], b"2", "two")
    run = ln.Run(transform=ln.Transform(name="back", type="pipeline").save()).save()
    run.inputs.add(two)
    assert ln.File(b"1", key="one", run=run).save() == one
    without_few(monkeypatch)
    assert stale_among([one, two]) == (set(), True)
    assert stale_among([one, two], 3) == (set(), True)


VIEWS: dict[str, Callable[[Any], Any]] = {
    "a page": lambda file: ln.lineage.part(file).graph,
    "a page drawn downwards": lambda file: ln.lineage.part(file, "dir=down").graph,
    "a page of few nodes": lambda file: ln.lineage.part(file, "n=1").graph,
    "a page of no generation": lambda file: ln.lineage.part(file, "depth=0").graph,
    "a picture": lambda file: file.view_lineage(depth=1).graph,
    "a picture drawn downwards": lambda file: file.view_lineage(up=False, depth=1).graph,
    "what it became": lambda file: ln.lineage.impact(file).graph,
    "the way to the last": lambda file: ln.lineage.path(file, "7").graph,
}


@pytest.mark.parametrize("view", list(VIEWS))
def test_a_file_that_is_stale_from_far_is_marked_in_every_view(
    instance: Path, view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = chain(8)
    fresh = {node.id for node in VIEWS[view](files[5]).files if node.is_stale}
    ln.File(b"other", key="0").save()
    shown = VIEWS[view](files[5])
    assert not fresh and shown.files and not shown.notes
    assert all(node.is_stale for node in shown.files)
    assert "is stale" in repr(files[5].staleness()) and files[5].is_stale


def test_a_page_that_ended_its_search_has_a_note(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = chain(8)
    connection = database.connection(files[0].alias)
    excerpt = Excerpt("file", files[7].id)
    assert excerpt_graph.read(connection, excerpt).graph.notes == ()
    assert excerpt_graph.read(connection, excerpt, has_marks=False).graph.notes == (NOT_LOOKED_FOR,)
    without_few(monkeypatch)
    ln.File(b"other", key="0").save()
    found = excerpt_graph.read(connection, excerpt)
    assert found.graph.notes == (NOT_LOOKED_FOR,)
    assert NOT_LOOKED_FOR in ln.lineage.part(files[7]).to_svg()
    assert all(node.is_stale for node in excerpt_graph.read(connection, Excerpt("file", files[4].id)).graph.files)


@pytest.mark.parametrize("on", ["sqlite", "postgres"])
def test_each_look_is_of_few_rows_by_an_index(
    on: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = request.getfixturevalue("postgres_server") if on == "postgres" else None
    for project in plans.project(tmp_path, server, files=2_000):
        with project.connected() as library:
            without_few(monkeypatch)
            files = list(library.File.select(run__isnull=False).order_by("-id")[:40])
            connection = database.connection(files[0].alias)
            found = plans.plans_of(connection, functools.partial(stale_among, files, 2))
            assert 1 <= len(found) <= 3
            for text, plan in found:
                assert plans.MANY.search(plan) is None, f"{text}\n{plan}"
