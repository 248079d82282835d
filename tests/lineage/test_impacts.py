"""What became of a record, grouped by transform."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.errors import InvalidInputError
from lamindb.lineage import impacts
from tests.support.histories import made
from tests.support.lineages import Plain, write


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


def test_without_marks_it_has_the_same_files_and_people(instance: Path) -> None:
    raw = ln.File(b"1", key="raw").save()
    clean = made("clean", [raw], b"clean", "clean")
    made("report", [made("count", [clean], b"counts", "counts")], b"report", "report")
    raw.flag("contaminated")
    ln.File(b"2", key="raw").save()
    marked, unmarked = ln.lineage.impact(clean), impacts.unmarked(clean.id)
    assert [(file.is_stale, file.affected_by is None) for file in marked.files] == [(True, False)] * 2
    assert not any(file.is_stale or file.affected_by for file in unmarked.files)
    assert unmarked.to_text() == marked.to_text()
    assert unmarked.groups and unmarked.people() == marked.people()


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
    with pytest.raises(InvalidInputError, match="any_version is for files"):
        ln.lineage.impact(results[0].run, any_version=True)


def test_names_cannot_write_to_the_terminal(instance: Path) -> None:
    written = write(Plain([None, 0], [0], {(0, 0)}))
    ln.Transform.objects.filter(id=written.transforms[0]).update_rows({"name": "red \x1b[31m\nline"})
    ln.File.objects.filter(id=written.files[0]).update_rows({"key": None, "name": "a\x1b[31m"})
    shown = repr(ln.lineage.impact(written.record("file", 0)))
    assert "\x1b" not in shown and len(shown.splitlines()) == 4
    assert "\x1b" not in repr(written.record("file", 0).view_lineage())


def test_runs_made_by_hand_have_a_time_and_an_order(instance: Path) -> None:
    written = write(Plain([None], [2, 0, 1], {(run, 0) for run in range(3)}))
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    ln.Run.objects.filter(id__in=written.runs).update_rows({"started_at": None, "created_at": moment})
    found = ln.lineage.impact(written.files[0])
    assert [group.name for group in found.groups] == ["Step 0", "Step 1", "Step 2"]
    assert {group.last_at for group in found.groups} == {moment}
    assert repr(found).count("2026-03-01 12:00") == 3
    assert "last run (UTC)" in repr(found)


def test_reads_of_other_versions_are_not_hidden(instance: Path) -> None:
    first = ln.File(b"one", key="raw/0.csv").save()
    ln.track(ln.Transform(name="reader"))
    first.stage(is_run_input=True)
    ln.File(b"derived", key="derived.csv").save()
    ln.finish()
    second = ln.File(b"two", key="raw/0.csv").save()
    found = ln.lineage.impact(second)
    assert not found.files
    assert "version 1" in repr(found) and "any_version=True" in repr(found)
    assert ln.lineage.impact(second, any_version=True).read_versions == ""
    assert ln.lineage.impact(first).read_versions == ""


def test_files_are_shown_with_who_made_and_who_last_read_them(instance: Path) -> None:
    runs = 4
    plain = Plain([None, *[0] * 23, 3], [0, 1, 2, 3], {(0, 0), (1, 1), (2, 1), (3, 2)}, {(1, 5)})
    written = write(plain)
    other = ln.User(handle="bob").save()
    ln.Run.objects.filter(id=written.runs[2]).update_rows({"created_by_id": other.id})
    ada = ln.User.select().exclude(handle="bob").one().handle
    found = ln.lineage.impact(written.files[0])
    people = found.people()
    assert people[written.files[1]].made_by == (ada,)
    assert (people[written.files[1]].last_read_by, people[written.files[2]].last_read_by) == ("bob", ada)
    assert people[written.files[24]].last_read_by is None
    assert len(found.files) == 24 and len(found.runs) == runs
    shown = repr(found).splitlines()
    assert f"  {found.files[0].title} · made by {ada} · last read by bob 2026-01-01 00:02" in shown
    assert "  + 3 more" in shown
    assert len(found.to_text(max_files=23).splitlines()) == len(shown) + 2
    files = json.loads(found.to_json())["transforms"][-1]["files"]
    assert len(files) == 23 and files[0]["last_read_by"] == "bob" and files[0]["made_by"] == [ada]


def test_every_producer_is_followed_unless_told_otherwise(instance: Path) -> None:
    written = write(Plain([None, None, 0], [0, 1, 2], {(0, 0), (1, 1), (2, 2)}, {(1, 2)}))
    assert [file.id for file in ln.lineage.impact(written.files[1]).files] == [written.files[2]]
    assert len(ln.lineage.impact(written.files[1]).runs) == 2
    assert not ln.lineage.impact(written.files[1], all_producers=False).files


def test_what_came_from_older_versions_is_counted_and_the_same_bytes_are_named(instance: Path) -> None:
    old = ln.File(b"1", key="raw").save()
    made("clean", [old], b"clean", "clean")
    made("plot", [old], b"plot", "plot")
    new = ln.File(b"2", key="raw").save()
    made("clean", [new], b"clean again", "clean")
    ln.File(b"2", key="copy").save()
    found = ln.lineage.impact("raw")
    assert ([file.version for file in found.files], found.n_from_other_versions) == ([2], 2)
    assert "(2 more files come from version 1 of it; any_version=True includes all versions)" in repr(found)
    assert found.same_bytes == ("copy",) and "(the same bytes: copy)" in repr(found)
    assert ln.lineage.impact("raw", any_version=True).n_from_other_versions == 0
