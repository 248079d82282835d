"""Benchmarks of the questions that lineage answers: what is stale, what needs attention, why a file differs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import edges
from benchmarks.harness import Bench, Result, benchmark

_MANY = 1_000_000
_ROUNDS = 5

# The recursion that one would write by hand, with an explicit join order: the last run that made a file counts, or the
# run of the file itself.
_LAST = "NOT EXISTS (SELECT 1 FROM lamindb_runoutput p WHERE p.file_id = o.file_id AND p.id > o.id)"
_NONE = "NOT EXISTS (SELECT 1 FROM lamindb_runoutput p WHERE p.file_id = f.id)"
_STEPS = (
    (
        f"SELECT i.run_id FROM {{stale}} lamindb_runoutput o CROSS JOIN lamindb_runinput i "
        f"WHERE o.run_id = stale.run_id AND {_LAST} AND i.file_id = o.file_id"
    ),
    (
        f"SELECT i.run_id FROM {{stale}} lamindb_file f CROSS JOIN lamindb_runinput i "
        f"WHERE f.run_id = stale.run_id AND {_NONE} AND i.file_id = f.id"
    ),
)
_STALE_BY_HAND = f"""
    WITH RECURSIVE stale(run_id) AS (
        SELECT i.run_id FROM lamindb_file r CROSS JOIN lamindb_runinput i CROSS JOIN lamindb_file c
              WHERE NOT r.is_latest AND i.file_id = r.id AND c.storage_id = r.storage_id AND c.key = r.key
              AND c.is_latest AND c.trashed_at IS NULL AND c.digest <> r.digest
        UNION {{steps}}
    )
    SELECT f.id FROM stale CROSS JOIN lamindb_runoutput o CROSS JOIN lamindb_file f
    WHERE o.run_id = stale.run_id AND {_LAST} AND f.id = o.file_id AND f.is_latest AND f.trashed_at IS NULL
    UNION ALL SELECT f.id FROM stale CROSS JOIN lamindb_file f
    WHERE f.run_id = stale.run_id AND {_NONE} AND f.is_latest AND f.trashed_at IS NULL
"""
_BY_HAND = {
    "sqlite": _STALE_BY_HAND.format(steps=" UNION ".join(_STEPS).format(stale="stale CROSS JOIN")),
    "postgresql": _STALE_BY_HAND.format(
        steps="SELECT step.run_id FROM stale CROSS JOIN LATERAL ("
        + " UNION ALL ".join(_STEPS).format(stale="")
        + ") step"
    ),
}

_Execute = Callable[[str], list[Any]]


@contextmanager
def _plain(project: edges.Project) -> Iterator[_Execute]:
    """Yield a function that reads the rows of a statement with the driver alone."""
    if project.database is None:
        with closing(sqlite3.connect(project.root / ".lamindb" / "db.sqlite3", isolation_level=None)) as plain:
            yield lambda statement: plain.execute(statement).fetchall()
    else:
        import psycopg

        with psycopg.connect(project.database, autocommit=True) as other:
            yield lambda statement: other.execute(statement).fetchall()  # type: ignore[arg-type]


def _stale(bench: Bench, *, on_postgres: bool) -> Result:
    project = edges.project(bench.count(_MANY), replaced=-bench.count(50), on_postgres=on_postgres)
    with project.connected() as ln, _plain(project) as execute:
        statement = _BY_HAND["postgresql" if on_postgres else "sqlite"]
        found, by_hand = ln.lineage.stale().list("id"), execute(statement)
        assert sorted(found) == sorted(row[0] for row in by_hand)
        return bench.ratio(
            ours=lambda: ln.lineage.stale().list("id"),
            limit=lambda: execute(statement),
            rounds=_ROUNDS,
            note=f"{len(found):,} stale",
        )


@benchmark("stale files of 1,000,000 edges, against plain sqlite3", bound=1.5)
def stale_on_sqlite(bench: Bench) -> Result:
    """Compare with the same recursion written by hand."""
    return _stale(bench, on_postgres=False)


@benchmark("stale files of 1,000,000 edges, against psycopg", bound=1.5)
def stale_on_postgres(bench: Bench) -> Result:
    """Compare with the same recursion written by hand."""
    return _stale(bench, on_postgres=True)


def _nothing_stale(bench: Bench, *, on_postgres: bool) -> Result:
    project = edges.project(bench.count(_MANY), on_postgres=on_postgres)
    with project.connected() as ln:
        assert not ln.lineage.stale().list("id")
        return bench.ratio(
            ours=lambda: [ln.lineage.stale().list("id") for _ in range(20)],
            limit=lambda: [ln.File.select(key="data/1.csv").list("id") for _ in range(20)],
            rounds=_ROUNDS,
        )


@benchmark("nothing stale among 1,000,000 edges, against one query, SQLite", bound=10)
def nothing_on_sqlite(bench: Bench) -> Result:
    """Compare with one query of the library by an index."""
    return _nothing_stale(bench, on_postgres=False)


@benchmark("nothing stale among 1,000,000 edges, against one query, PostgreSQL", bound=10)
def nothing_on_postgres(bench: Bench) -> Result:
    """Compare with one query of the library by an index."""
    return _nothing_stale(bench, on_postgres=True)


@benchmark("100 replaced versions, 1,000,000 edges against 10,000", bound=2)
def growth(bench: Bench) -> Result:
    """Compare what is stale for as many replaced versions in a graph a hundred times as large."""
    times = []
    for count in (_MANY, 10_000):
        project = edges.project(bench.count(count), width=100, replaced=bench.count(100))
        with project.connected() as ln:
            times.append(bench.each(lambda ln=ln: ln.lineage.stale().list("id"), rounds=4 * _ROUNDS))  # type: ignore[misc]
    return Result(times[0].ours, times[1].ours, unit="ms")


@benchmark("lamin status of 100,000 files", bound=2)
def status(bench: Bench) -> Result:
    """Compare with one stat of each file in the folder and one read of their rows, with plain sqlite3.

    Half of the files are raw ones, the others were made by a hundred runs from them; nothing needs attention.
    """
    pairs, runs = bench.count(50_000), bench.count(100)
    with bench.instance() as folder:
        import lamindb as ln

        for number in range(runs):
            mine = range(number, pairs, runs)
            raw = [ln.File(b"%d" % n, key=f"raw/plate-{number:03}/well-{n}.txt") for n in mine]
            ln.save(raw)
            with ln.track(ln.Transform(name="measure", type="pipeline"), new_run=True) as run:
                run.inputs.extend(raw)
                ln.save([ln.File(b"%d clean" % n, key=f"clean/plate-{number:03}/well-{n}.txt") for n in mine])
        root = os.path.realpath(folder / "mydata")
        with closing(sqlite3.connect(folder / "mydata" / ".lamindb" / "db.sqlite3")) as plain:

            def limit() -> None:
                rows = plain.execute(
                    "SELECT key, digest, suffix, is_folder FROM lamindb_file WHERE is_latest AND trashed_at IS NULL"
                ).fetchall()
                assert len(rows) == 2 * pairs
                for row in rows:
                    os.lstat(f"{root}/{row[0]}")

            found = ln.lineage.status()
            assert not (found.stale or found.edited)
            return bench.ratio(ln.lineage.status, limit, rounds=_ROUNDS)


def _causes(bench: Bench, db: str | None) -> Result:
    from tests.support.lineages import Plain, write

    count = bench.count(15_000)
    with bench.instance(db=db):
        import lamindb as ln

        write(Plain(list(range(count)), [0] * count, {(run, (run - 1) // 2) for run in range(1, count)}))
        ends = ln.File.objects.order_by("-id")[: count // 2].list()
        for version in (1, 2):
            with ln.track(ln.Transform(name="merge", type="pipeline"), params={"n": version}, new_run=True) as run:
                run.inputs.extend(ends)
                file = ln.File(str(version).encode(), key="merged.csv").save()
        versions = file.versions.list()
        return bench.ratio(
            ours=lambda: ln.why(file),
            limit=lambda: [ln.lineage.ancestor_ids(one) for one in versions],
            rounds=_ROUNDS,
        )


@benchmark("why, with 15,000 common ancestors, against the ids of both, SQLite", bound=3)
def causes_on_sqlite(bench: Bench) -> Result:
    """Compare why two versions differ with asking for the ancestors of both."""
    return _causes(bench, None)


@benchmark("why, with 15,000 common ancestors, against the ids of both, PostgreSQL", bound=3)
def causes_on_postgres(bench: Bench) -> Result:
    """Compare why two versions differ with asking for the ancestors of both."""
    return _causes(bench, edges.postgres_url())


_ROWS = 17_500_000
_COLUMNS = 6


def _tables(bench: Bench) -> tuple[Path, Path]:
    """Write two parquet files of 1 GB, whose rows have a key, six numbers and a name; one of 10,000 rows differs."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, rows, step = bench.fresh_folder(), bench.count(_ROWS), 500_000
    paths = folder / "before.parquet", folder / "after.parquet"
    schema = pa.schema([("id", pa.int64()), *((f"x{n}", pa.float64()) for n in range(_COLUMNS)), ("name", pa.string())])
    chance = np.random.default_rng(1)
    with pq.ParquetWriter(paths[0], schema) as before, pq.ParquetWriter(paths[1], schema) as after:
        for start in range(0, rows, step):
            count = min(step, rows - start)
            numbers = [chance.random(count) for _ in range(_COLUMNS)]
            ids, names = np.arange(start, start + count), np.char.mod("well-%d", np.arange(count) % 96)
            before.write_table(pa.table([ids, *numbers, names], schema=schema))
            numbers[0] = numbers[0].copy()
            numbers[0][::10_000] += 1
            after.write_table(pa.table([ids, *numbers, names], schema=schema))
    return paths


def _diff_of_tables(bench: Bench, *on: str) -> Result:
    import pyarrow.parquet as pq

    from lamindb.compare.table_diff import compare_tables
    from lamindb.compare.table_reader import open_table

    paths = _tables(bench)

    def ours() -> None:
        found = compare_tables(*(open_table(path, ".parquet") for path in paths), on=on)
        assert found.rows_changed == -(-found.rows_before // 500_000) * 50 or bench.scale < 1

    def limit() -> None:
        for path in paths:
            pq.read_table(path)

    size = sum(path.stat().st_size for path in paths) / 2e9
    return bench.ratio(ours, limit, rounds=3, note=f"{size:.2f} GB each")


@benchmark("diff of two parquet files of 1 GB, by position", bound=2)
def diff_by_position(bench: Bench) -> Result:
    """Compare with reading both with pyarrow."""
    return _diff_of_tables(bench)


@benchmark("diff of two parquet files of 1 GB, by a key", bound=6)
def diff_by_key(bench: Bench) -> Result:
    """Compare with reading both with pyarrow."""
    return _diff_of_tables(bench, "id")


@benchmark("memory of a diff of two parquet files of 1 GB, by a key", bound=1_000)
def memory_of_diff(bench: Bench) -> Result:
    """Return the peak memory of the whole process in MB."""
    paths = _tables(bench)
    return bench.peak_memory(_DIFF.format(before=str(paths[0]), after=str(paths[1])))


_DIFF = """
from pathlib import Path
from lamindb.compare.table_diff import compare_tables
from lamindb.compare.table_reader import open_table
tables = [open_table(Path(path), ".parquet") for path in ({before!r}, {after!r})]
assert compare_tables(*tables, on=["id"]).rows_changed
assert compare_tables(*tables).rows_changed
"""
