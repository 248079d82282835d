"""Benchmarks of lineage queries among a million edges: the cost depends on the result, not on the database."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from benchmarks import edges
from benchmarks.harness import Bench, Result, benchmark

_MANY = 1_000_000
_LAYER = 35
"""A file of this layer has about 15,500 ancestors."""

_NARROW_LAYER = 12
_ROUNDS = 9


def _median(function: Callable[[], Any], rounds: int = _ROUNDS) -> tuple[float, Any]:
    """Return the median time of a call and its result, after a warm-up call."""
    found = function()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        found = function()
        times.append(time.perf_counter() - begun)
    return statistics.median(times), found


def _allowed(count: int) -> float:
    """Return the bound in seconds for the ids of a number of ancestors."""
    return 0.005 + 5e-6 * count


# The query that one would write by hand, with an explicit join order.
_BY_HAND = """
    WITH RECURSIVE found(id, kind) AS (
        SELECT ?, 0
        UNION SELECT f.run_id, 1 FROM found CROSS JOIN lamindb_file f ON f.id = found.id
              WHERE kind = 0 AND f.run_id IS NOT NULL
        UNION SELECT i.file_id, 0 FROM found CROSS JOIN lamindb_runinput i ON i.run_id = found.id WHERE kind = 1
    ) SELECT id FROM found WHERE kind = 0
"""
_BY_HAND_ON_POSTGRES = """
    WITH RECURSIVE found(id) AS (
        SELECT %s::text
        UNION SELECT i.file_id::text FROM found JOIN lamindb_file f ON f.id = found.id
              JOIN lamindb_runinput i ON i.run_id = f.run_id
    ) SELECT id FROM found
"""


def _sqlite_of(project: edges.Project) -> sqlite3.Connection:
    return sqlite3.connect(project.root / ".lamindb" / "db.sqlite3", isolation_level=None)


@benchmark("ids of 15,500 ancestors of 1,000,000 edges", bound=1)
def ids_among_many(bench: Bench) -> Result:
    """Compare with 5 ms and 5 µs for each id found."""
    project = edges.project(bench.count(_MANY))
    with project.connected() as ln:
        file = ln.File.select(id=project.file_id(_LAYER)).one()
        seconds, found = _median(lambda: ln.lineage.ancestor_ids(file))
    return Result(seconds, _allowed(len(found)), note=f"{len(found):,} found; limit 5 ms + 5 µs each")


@benchmark("ids of 15,500 ancestors, against plain sqlite3", bound=1.5)
def ids_against_sqlite(bench: Bench) -> Result:
    """Compare with the same query written by hand."""
    project = edges.project(bench.count(_MANY))
    with project.connected() as ln, closing(_sqlite_of(project)) as plain:
        file = ln.File.select(id=project.file_id(_LAYER)).one()
        return bench.ratio(
            ours=lambda: ln.lineage.ancestor_ids(file),
            limit=lambda: [row[0] for row in plain.execute(_BY_HAND, (file.id,))],
            rounds=_ROUNDS,
        )


@benchmark("ids of 15,500 ancestors, against psycopg", bound=1.5)
def ids_against_psycopg(bench: Bench) -> Result:
    """Compare with the same query written by hand."""
    import psycopg

    project = edges.project(bench.count(_MANY), on_postgres=True)
    with project.connected() as ln, psycopg.connect(str(project.database), autocommit=True) as plain:
        file = ln.File.select(id=project.file_id(_LAYER)).one()
        return bench.ratio(
            ours=lambda: ln.lineage.ancestor_ids(file),
            limit=lambda: plain.execute(_BY_HAND_ON_POSTGRES, (file.id,)).fetchall(),
            rounds=_ROUNDS,
        )


@benchmark("ids of 900 ancestors, 1,000,000 edges against 10,000", bound=2)
def growth(bench: Bench) -> Result:
    """Compare the same result in a database a hundred times as large."""
    projects = _small_and_large(bench)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for project, kept in zip(projects, times, strict=True):
            with project.connected() as ln:
                seconds, found = _time_of(ln, project.file_id(_NARROW_LAYER))
                kept.append(seconds)
    small, large = map(statistics.median, times)
    return Result(large, small, note=f"{found:,} found")


def _small_and_large(bench: Bench) -> tuple[edges.Project, edges.Project]:
    """Return projects with narrow layers, so that the small one has several, too."""
    small, large = (edges.project(bench.count(count), width=100) for count in (10_000, _MANY))
    return small, large


def _time_of(ln: Any, file_id: str) -> tuple[float, int]:
    file = ln.File.select(id=file_id).one()
    seconds, found = _median(lambda: ln.lineage.ancestor_ids(file), 10)
    return seconds, len(found)


@benchmark("one ancestor as a record", bound=20)
def records(bench: Bench) -> Result:
    """Return the time for each of 15,500 records, in µs."""
    project = edges.project(bench.count(_MANY))
    with project.connected() as ln:
        file = ln.File.select(id=project.file_id(_LAYER)).one()
        seconds, found = _median(lambda: list(file.ancestors()), 5)
    return Result(seconds / max(1, len(found)) * 1e6, unit="µs", note=f"{len(found):,} records")


@benchmark("neighbourhood of depth 3 among 1,000,000 edges", bound=20)
def neighbourhood(bench: Bench) -> Result:
    """Return the time in ms, with all nodes and edges read."""
    project = edges.project(bench.count(_MANY))
    with project.connected() as ln:
        file = ln.File.select(id=project.file_id(project.layers // 2)).one()
        seconds, found = _median(lambda: ln.lineage.graph(file, depth=3, max_nodes=100_000).graph)
    return Result(seconds * 1e3, unit="ms", note=f"{len(found):,} nodes, {len(found.edges):,} edges")


@benchmark("ids of a ladder of 1,000 diamonds", bound=50)
def ladder(bench: Bench) -> Result:
    """Return the time in ms."""
    rungs = bench.count(1_000)
    made_by = [run for run in range(rungs) for _ in range(2)]
    read = [(run, file) for run in range(1, rungs) for file in (2 * run - 2, 2 * run - 1)]
    return _of_shape(bench, made_by, read)


@benchmark("ids of a chain of 300 runs", bound=10)
def chain(bench: Bench) -> Result:
    """Return the time in ms."""
    length = bench.count(300)
    return _of_shape(bench, [None, *range(length)], [(run, run) for run in range(length)])


def _of_shape(bench: Bench, made_by: list[int | None], read: list[tuple[int, int]]) -> Result:
    from tests.support.lineages import Plain, write

    with bench.instance():
        import lamindb as ln

        written = write(Plain(made_by, [0] * (len(read) + 1), set(read)))
        last = written.record("file", len(made_by) - 1)
        seconds, found = _median(lambda: ln.lineage.ancestor_ids(last), 50)
    return Result(seconds * 1e3, unit="ms", note=f"{len(found):,} found")


@benchmark("memory of asking, 1,000,000 edges against 10,000", bound=1.1)
def memory(bench: Bench) -> Result:
    """Compare the peak memory in MB of the same query in a small and a large database."""
    small, large = _small_and_large(bench)
    peaks = [_peak(bench, project, _NARROW_LAYER) for project in (large, small)]
    return Result(peaks[0], peaks[1], unit="MB")


@benchmark("memory of going through 200,000 ancestors", bound=200)
def memory_of_many(bench: Bench) -> Result:
    """Return the peak memory of the whole process in MB."""
    project = edges.project(bench.count(_MANY))
    return Result(_peak(bench, project, project.layers), unit="MB")


def _peak(bench: Bench, project: edges.Project, layer: int) -> float:
    code = _GO_THROUGH.format(root=str(project.root), id=project.file_id(layer))
    return bench.peak_memory(code, cwd=project.root.parent).ours


_GO_THROUGH = """
import lamindb as ln
ln.settings.verbosity = 0
ln.connect({root!r})
file = ln.File.select(id={id!r}).one()
for _ in range(3):
    assert len(ln.lineage.ancestor_ids(file)) == sum(1 for _ in file.ancestors().iterator())
"""


@benchmark("search among 100,000 names", bound=100)
def search(bench: Bench) -> Result:
    """Return the slowest of several searches in ms, misspelt ones included, with a warm cache."""
    import random

    words = "cell ranger train classifier umap plot quality control nuclei segment variants leiden iris reads".split()
    with bench.instance():
        import lamindb as ln
        from lamindb.core import context
        from lamindb.db import database

        chance = random.Random(3)
        made = [
            ln.Transform(name=f"{' '.join(chance.choices(words, k=3))} {n}", type="pipeline", reference=str(n))
            for n in range(bench.count(100_000))
        ]
        with database.writing(context.instance().alias) as link:
            database.insert_many(link, made)
        slowest = {
            text: _median(lambda text=text: ln.Transform.search(text), 5)[0]  # type: ignore[misc]
            for text in (
                "umap",
                "umap plot",
                "clasifier trian",
                "cellrangr",
                "classifier 777",
                "train-umap",
                "c++",
                "nothing",
            )
        }
    worst = max(slowest, key=lambda text: slowest[text])
    return Result(slowest[worst] * 1e3, unit="ms", note=f"slowest: {worst!r}")


@benchmark("draw 2,000 nodes as SVG", bound=200)
def drawing(bench: Bench) -> Result:
    """Return the time in ms."""
    from lamindb.lineage.render.svg import svg
    from tests.exchange.graphs import project_graph

    graph = project_graph(bench.count(2_000))
    return bench.each(lambda: svg(graph), rounds=7)
