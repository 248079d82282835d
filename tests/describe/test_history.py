"""What happened lately, in order."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

import lamindb as ln
from lamindb.db import database as databases
from lamindb.errors import InvalidInputError, NoResultFound


def history(*arguments: Any, **options: Any) -> Any:
    from lamindb.describe import history as histories

    return histories.history(*arguments, **options)


def test_everything_that_happened_is_there_the_latest_first(instance: Path) -> None:
    file = ln.File(b"one", key="x.txt").save()
    transform = ln.Transform(name="count", type="pipeline").save()
    run = ln.Run(transform=transform, name="by hand").save()
    ln.File(b"two", key="x.txt", run=run).save()
    file.delete()
    found = [(event.kind, event.what, event.detail, event.transform) for event in history()]
    assert found == [
        ("removed", "x.txt", "version 1", None),
        ("saved", "x.txt", "version 2", "count"),
        ("ran", "by hand", "by hand", "count"),
        ("registered", "count", "pipeline, version 1", "count"),
        ("saved", "x.txt", "version 1", None),
    ]
    assert [event.kind for event in history(2)] == ["removed", "saved"]


def test_it_can_be_narrowed(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ln.File(b"one", key="x.txt").save()
    monkeypatch.setenv("LAMIN_USER", "bob")
    ln.File(b"two", key="y.txt").save()
    assert [(event.who, event.what) for event in history(handle="bob")] == [("bob", "y.txt")]
    assert history(since=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)) == []
    assert len(history(since=datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1))) == 2


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
def test_wrong_limits_are_refused(limit: object, instance: Path) -> None:
    with pytest.raises(InvalidInputError):
        history(limit)


def test_an_unknown_user_is_an_error(instance: Path) -> None:
    with pytest.raises(NoResultFound, match="'nobody'"):
        history(handle="nobody")


def moved_about(who: Any) -> ln.File:
    """Return a file that was renamed, removed and restored by several users."""
    who("LAMIN_USER", "ada")
    ln.File(b"one", key="raw/a.csv").save()
    with ln.track(ln.Transform(name="count")):
        file = ln.File(b"two", key="raw/a.csv").save()
    file.key = "raw/b.csv"
    file.save()
    who("LAMIN_USER", "bob")
    with ln.track(ln.Transform(name="tidy")):
        file.delete()
    file.restore()
    file.versions.first().make_current()
    ln.File(b"other", key="other.csv").save()
    return file


def test_a_file_tells_what_happened_to_it_the_latest_first(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = moved_about(monkeypatch.setenv)
    found = file.history()
    assert [str(event).rpartition(", ")[0] for event in found] == [
        "saved version 3 = version 1, brought back, by bob",
        "restored version 2, by bob",
        "removed version 2, by bob, in a run of tidy",
        "renamed from raw/a.csv to raw/b.csv, by ada",
        "saved version 2, by ada, in a run of count",
        "saved version 1, by ada",
    ]
    assert {event.what for event in found} == {"raw/b.csv"} and len(found) == 6
    assert [event.run for event in found][2] == ln.Transform.get("tidy").runs.one().id
    assert repr(found).splitlines()[0] == "raw/b.csv:" and found.as_dict()["events"][3]["kind"] == "renamed"
    assert [event for event in history(50) if event.what == "raw/b.csv"] == list(found)
    assert [event.kind for event in history(1, file=file, handle="ada")] == ["renamed"]
    shown = file.describe()
    assert "renamed from raw/a.csv to raw/b.csv, by ada" in shown.to_text()
    facts = shown.as_dict()["sections"]["file"]["facts"]
    assert [one["kind"] for one in facts["changes"]] == ["restored", "removed", "renamed"]
    with pytest.raises(InvalidInputError, match="not saved"):
        ln.File(b"new", key="new").history()


def test_a_version_that_a_run_made_again_was_not_brought_back(instance: Path) -> None:
    for name, text in (("first", b"one"), ("second", b"two"), ("third", b"one")):
        with ln.track(ln.Transform(name=name)) as run:
            file = ln.File(text, key="a.csv").save()
    assert (file.version, file.same_as_version, file.run) == (3, None, run)
    assert "brought back" not in str(file.view_lineage()) + str(file.describe()) + str(file.history())


def test_the_number_of_queries_does_not_grow_with_the_versions(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = []
    for number in range(12):
        with ln.track(ln.Transform(name=f"step {number % 2}")):
            file = ln.File(f"{number % 6}".encode(), key="a.csv").save()
        if number in (2, 11):
            for ask in (file.history, lambda: history(200)):
                with CaptureQueriesContext(databases.connection(file.alias)) as queries:
                    ask()
                numbers.append(len(queries))
    assert numbers[:2] == numbers[2:]
    file.versions.first().make_current()
    again = [version.same_as_version for version in file.versions.order_by("-version")]
    assert again[0] == 1 and again[-6:] == [None] * 6
    for found in (file.history(), history(200)):
        details = [event.detail for event in found if event.kind == "saved"]
        assert [" = " in detail for detail in details] == [version is not None for version in again]
        assert all(f" = version {version}," in text for version, text in zip(again, details, strict=True) if version)


def test_a_rename_of_many_versions_is_one_event_within_the_limit(
    instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fewer are read at once than one rename has.
    for name in ("_AT_ONCE", "_AT_LEAST"):
        monkeypatch.setattr(f"lamindb.describe.history.{name}", 3)
    for number in range(5):
        file = ln.File(f"{number}".encode(), key="a.csv").save()
    for key in ("b.csv", "c.csv"):
        file.key = key
        file.save()
    assert [event.detail for event in history(2)] == ["from b.csv to c.csv", "from a.csv to b.csv"]
    assert [event.kind for event in file.history()] == ["renamed"] * 2 + ["saved"] * 5


def test_an_old_key_names_the_new_one(instance: Path) -> None:
    file = ln.File(b"one", key="a.csv").save()
    for key in ("b.csv", "c.csv"):
        file.key = key
        file.save()
    for ask in (ln.File.get, ln.lineage.plan, lambda key: ln.File.select(run=ln.Run.select(inputs=key).first()).list()):
        with pytest.raises(NoResultFound, match=r"'a.csv'.*renamed to 'c.csv'"):
            ask("a.csv")
    assert file.history().events[0].detail == "from b.csv to c.csv"
    file.delete()
    with pytest.raises(NoResultFound, match=r"there is no file 'b.csv'(?!.*renamed)"):
        ln.File.get("b.csv")
