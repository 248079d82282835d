"""What is written is the same whether statements go to the driver or through Django's cursors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import connection, database


@ln.step
def double(number: int) -> int:
    return 2 * number


def work(at: str) -> None:
    """Save, save again, replace, link, track, step and delete, all under keys of a folder."""
    raw = ln.File(b"1", key=f"{at}/raw.txt").save()
    ln.File(b"1", key=f"{at}/raw.txt", description="again").save()
    transform = ln.Transform(name=f"chain {at}", type="pipeline").save()
    ln.Transform(name=f"chain {at}", type="pipeline", description="known").save()
    ln.Transform(name=f"chain {at}", type="pipeline", version="2").save()
    for number in range(2):
        run = ln.Run(transform=transform, inputs=[raw], params={"n": number}).save()
        ln.File(b"made %d" % number, key=f"{at}/made.txt", run=run).save()
    run.name = "renamed"
    run.save()
    ln.File(b"made 0", key=f"{at}/made.txt").save()
    with ln.track(ln.Transform(name=f"tracked {at}", type="pipeline")):
        ln.File.select(key=f"{at}/raw.txt").one().stage(is_run_input=True)
        double(4)
        ln.save([ln.File(b"many %d" % number, key=f"{at}/many/{number}.txt") for number in range(30)])
    ln.File.select(key=f"{at}/many/3.txt").one().delete()
    raw.replace(b"2")
    raw.save()


def rows(at: str) -> Any:
    """Return what was written under a folder, without what differs each time: ids and times."""
    files = ln.File.objects.filter(key__startswith=f"{at}/").order_by("key", "version")
    fields = ("key", "version", "digest", "size", "is_latest", "description", "run__params", "transform__version")
    trashed = [(one.version, one.trashed_at is None) for one in files]
    runs = ln.Run.objects.filter(transform__name__endswith=at).order_by("created_at", "id")
    edges = [([file.digest for file in run.inputs], sorted(file.digest for file in run.outputs)) for run in runs]
    said = [(run.name, run.status, run.params, run.transform.description) for run in runs]
    return [tuple(value or "" for value in row[1:]) for row in files.values_list(*fields)], trashed, edges, said


def test_both_ways_write_the_same(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    work("one")
    monkeypatch.setattr(connection.Guarded, "by_driver", False)
    work("two")
    assert rows("one") == rows("two")
    with database.connection(context.instance().alias).execute_wrapper(note):
        work("three")
    assert rows("three") == rows("two")
    assert any(sql.startswith("INSERT INTO") and "lamindb_run" in sql for sql in seen)
