"""A whole database of the first versions is migrated and answers every question about lineage, on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

import lamindb as ln
from lamindb.core import context
from lamindb.models import RunOutput
from tests.support.histories import made

OLD = "0002_removed_versions"


def back_to(name: str, instance: Path) -> None:
    """Make the current instance's database one of an older version, with all rows that this had, and connect again."""
    connection = connections[context.instance().alias]
    MigrationExecutor(connection).migrate([("lamindb", name)])
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        columns = [column.name for column in connection.introspection.get_table_description(cursor, "lamindb_run")]
    assert not {"lamindb_coderevision", "lamindb_importedmodule", "lamindb_flag", "lamindb_fileevent"} & set(tables)
    assert "revision" not in columns
    ln.disconnect()
    ln.connect(instance)


def ran(file: ln.File, source: str | None, **facts: Any) -> ln.File:
    """Record which source the run of a file had."""
    digest = f"{source * 64}.py" if source is not None else None
    ln.Run.objects.filter(id=file.run_id).order_by().update_rows(
        {"source_digest": digest, "status": "completed", **facts}
    )
    return file


def test_every_question_is_answered(instance: Path) -> None:
    plate = ln.File(b"1", key="raw/plate.csv").save()
    first = ran(made("clean", [plate], b"a", "clean.csv"), "a", params={"how": "mean"})
    second = ran(made("clean", [plate], b"b", "clean.csv"), "b", params={"how": "median"})
    report = ran(made("report", [second], b"r", "report.txt"), None)
    # The same source and bytes again: the first run has its number, and the newest producer of the file counts.
    again = made("clean", [plate], b"b", "clean.csv")
    last = RunOutput.objects.filter(file_id=again.id).order_by("-id").list()[0].run_id
    ln.Run.objects.filter(id=last).order_by().update_rows({"source_digest": "a" * 64 + ".py", "status": "failed"})
    ln.File(b"gone", key="gone.csv").save().delete()
    gone = ln.File.objects.get(key="gone.csv")
    back_to(OLD, instance)

    assert ln.Transform.select(name="clean").one().runs.order_by("id").list("revision") == [1, 2, 1]
    assert [(one.number, one.run_count) for one in ln.Transform.select(name="clean").one().revisions] == [
        (1, 2),
        (2, 1),
    ]
    assert ln.File.get("report.txt").run.revision is None
    # Of what happened to files before, only the trash is known.
    removed, saved = ln.File.objects.get(id=gone.id).history()
    assert (removed.kind, removed.at, removed.who, saved.kind) == (
        "removed", gone.trashed_at, gone.trashed_by.handle, "saved",
    )  # fmt: skip
    assert not ln.lineage.stale() and not ln.lineage.plan() and not ln.lineage.affected()
    found = ln.why("clean.csv", 1)
    assert {str(one) for one in found.causes} == {"code of clean changed (1 → 2)", "parameter how: mean → median"}
    assert {one.what for one in found.unknown} >= {"modules", "packages", "host"}
    assert ln.diff(first, second).to_text()

    new = ln.File(b"2", key="raw/plate.csv").save()
    assert set(ln.lineage.stale().list("key")) == {"clean.csv", "report.txt"}
    assert set(ln.lineage.stale(code=True).list("key")) == {"clean.csv", "report.txt"}
    (reason,) = ln.File.get("report.txt").staleness().reasons
    assert (reason.read.id, reason.current, [one.key for one in reason.chain]) == (
        plate.id, new, ["raw/plate.csv", "clean.csv", "report.txt"],
    )  # fmt: skip
    assert {file.key for one in ln.lineage.plan().left_out for file in one.files} == {"clean.csv", "report.txt"}
    ln.File.objects.get(id=plate.id).flag("bad")
    assert set(ln.lineage.affected().list("key")) == {"clean.csv", "report.txt"}
    status = ln.lineage.status()
    assert [one.read.id for one in status.stale] == [plate.id] and [one.flagged.id for one in status.affected] == [
        plate.id
    ]
    assert [run.id for run in status.failed] == [last]
    assert {file.key for file in ln.lineage.impact(plate).files} == {"clean.csv", "report.txt"}
    assert "code 1" in report.view_lineage().to_text() or "code 2" in report.view_lineage().to_text()
