"""Renames, removals and restores of files are recorded with their change, by whom, and in which run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

import lamindb as ln
from lamindb.core import context
from lamindb.errors import KeyExistsError
from lamindb.files import versions
from lamindb.maintenance import trash
from lamindb.models import FileEvent


def noted() -> list[tuple[Any, ...]]:
    """Return what happened to which version, from which key to which."""
    events = FileEvent.objects.select_related("file").order_by("id")
    return [(one.kind, one.file.version, one.old_key, one.new_key) for one in events]


def save(key: str | None, *contents: bytes) -> list[ln.File]:
    return [ln.File(content, key=key, name="data").save() for content in contents]


def rename(file: ln.File, key: str | None) -> ln.File:
    file.key = key
    return file.save()


def test_a_rename_is_noted_for_every_version(instance: Path) -> None:
    first, second = save("a.txt", b"1", b"2")
    rename(second, "b.txt")
    assert noted() == [("renamed", 1, "a.txt", "b.txt"), ("renamed", 2, "a.txt", "b.txt")]
    (keyless,) = save(None, b"data")
    rename(rename(keyless, "named.txt"), None)
    assert noted()[2:] == [("renamed", 1, None, "named.txt"), ("renamed", 1, "named.txt", None)]
    first.refresh_from_db()
    first.description = "of Monday"
    first.save()
    assert len(noted()) == 4


def test_saving_notes_nothing(local_instance: Path) -> None:
    with CaptureQueriesContext(connections[context.instance().alias]) as queries:
        save("a.txt", b"1", b"2", b"2")
        ln.save([ln.File(b"x", key=f"many/{number}.txt") for number in range(30)])
    assert not [one["sql"] for one in queries if "fileevent" in one["sql"]]
    assert noted() == []


def test_a_replacement_of_another_format_renames_the_older_versions(instance: Path) -> None:
    pd = pytest.importorskip("pandas")
    Path("table.tsv").write_text("a\n7\n")
    file = ln.File("table.tsv", key="table.tsv").save()
    with ln.track(ln.Transform(name="convert")) as run:
        new = file.replace(pd.DataFrame({"a": [1]}), format="csv").save()
    (event,) = FileEvent.objects.all()
    assert (event.old_key, event.new_key, event.file.version, event.run_id) == ("table.tsv", "table.csv", 1, run.id)
    back = new.versions.get(version=1).make_current()
    assert (back.key, [one[2:] for one in noted()[1:]]) == ("table.tsv", [("table.csv", "table.tsv")] * 2)
    assert FileEvent.objects.last().run_id is None


REMOVALS: dict[str, Callable[[list[ln.File]], Any]] = {
    "each": lambda files: [file.delete() for file in files],
    "together": lambda files: ln.delete(files),
    "by a query": lambda files: ln.File.objects.filter(id__in=[file.id for file in files]).delete(),
}


@pytest.mark.parametrize("way", REMOVALS)
def test_every_way_of_removing_is_noted(instance: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = save("a.txt", b"1", b"2") + save("b.txt", b"3")
    monkeypatch.setenv("LAMIN_USER", "chloe")
    with ln.track(ln.Transform(name="clean up")) as run:
        REMOVALS[way](files)
    events = FileEvent.objects.select_related("created_by", "file")
    assert sorted((one.kind, one.file_id) for one in events) == sorted(("removed", file.id) for file in files)
    assert {(one.created_by.handle, one.run_id) for one in events} == {("chloe", run.id)}
    assert {one.created_at for one in events} == {one.file.trashed_at for one in events}
    ln.delete(files)
    assert len(noted()) == 3
    trash.restore([ln.File.objects.get(id=file.id) for file in files])
    assert [one[0] for one in noted()[3:]] == ["restored"] * 3
    assert {one.run_id for one in events.filter(kind="restored")} == {None}


def test_many_take_as_many_statements_as_few(local_instance: Path) -> None:
    def statements(count: int) -> int:
        files = [save(f"{count}/{number}.txt", b"x")[0] for number in range(count)]
        with CaptureQueriesContext(connections[context.instance().alias]) as queries:
            ln.delete(files)
            trash.restore(files)
        return len([one for one in queries if "INSERT INTO lamindb_fileevent" in one["sql"]])

    assert statements(2) == statements(40) == 2
    assert len(noted()) == 84


def test_removing_for_good_removes_the_events_of_that_version(instance: Path) -> None:
    first, second = save("a.txt", b"1", b"2")
    rename(second, "b.txt").delete()
    second.delete(permanent=True)
    assert noted() == [("renamed", 1, "a.txt", "b.txt")]
    ln.File.objects.get(id=first.id).delete(permanent=True)
    assert noted() == []


def test_what_fails_notes_nothing(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,), (other,) = save("a.txt", b"1"), save("b.txt", b"2")
    with pytest.raises(KeyExistsError):
        rename(file, "b.txt")

    def fail(*arguments: Any, **options: Any) -> Any:
        raise OSError("as it should")

    monkeypatch.setattr(versions, "promote", fail)
    for change in (lambda: rename(other, "c.txt"), other.delete):
        with pytest.raises(OSError, match="as it should"):
            change()
    assert noted() == []


def test_a_step_that_renames_is_named_though_its_row_was_not_written(instance: Path) -> None:
    (file,) = save("a.txt", b"1")

    @ln.step
    def tidy(one: ln.File) -> None:
        rename(one, "tidy/a.txt")
        raise RuntimeError("and then it fails")

    with pytest.raises(RuntimeError):
        tidy(file)
    (event,) = FileEvent.objects.all()
    assert event.run is not None and event.run.status == "failed"
    assert event.run.transform.name.endswith("tidy")


def test_a_run_may_be_deleted_and_its_event_stays(instance: Path) -> None:
    (file,) = save("a.txt", b"1")
    with ln.track(ln.Transform(name="mover")) as run:
        rename(file, "b.txt")
    run.delete()
    (event,) = FileEvent.objects.all()
    assert (event.new_key, event.run_id, event.created_by_id) == ("b.txt", None, file.created_by_id)


def test_events_are_of_their_own_instance(instance: Path, tmp_path: Path) -> None:
    (file,) = save("a.txt", b"1")
    os.mkdir("other")
    other = ln.setup.init(storage="other/data")
    run = ln.track(ln.Transform(name="elsewhere"))
    assert run.alias == other.alias
    rename(file, "b.txt")
    (event,) = FileEvent.objects.using(file.alias)
    assert event.run_id is None
    ln.finish()
