"""Deleting and restoring many files at once, as if each were done by itself, and all or none."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

import lamindb as ln
from lamindb.describe.history import history
from lamindb.errors import ConflictError, InvalidInputError
from lamindb.files import rename, versions
from lamindb.maintenance import trash
from lamindb.models import File, LastVersion


def save(key: str, *contents: bytes) -> list[File]:
    return [ln.File(content, key=key).save() for content in contents]


def anew(files: Sequence[File]) -> list[File]:
    return [File.objects.get(id=file.id) for file in files]


def current(key: str) -> File | None:
    found: File | None = File.filter(key=key).one_or_none()
    return found


def test_each_key_falls_back_to_its_newest_version_left(instance: Path) -> None:
    a, b, c = save("a.txt", b"1", b"2", b"3"), save("b.txt", b"1", b"2"), save("c.txt", b"1")
    ln.delete([a[2], a[1], b[0], c[0]])
    left = [current(key) for key in ("a.txt", "b.txt", "c.txt")]
    assert [file and file.id for file in left] == [a[0].id, b[1].id, None]
    assert (instance / "a.txt").read_bytes() == b"1"
    assert (instance / "b.txt").read_bytes() == b"2"
    assert not (instance / "c.txt").exists()


def test_what_comes_back_together_is_current_only_where_it_is_the_newest(instance: Path) -> None:
    a, b = save("a.txt", b"1", b"2", b"3"), save("b.txt", b"1", b"2")
    ln.delete([*a, b[0]])
    assert [file.is_latest for file in anew(a)] == [False, False, False]
    trash.restore(anew([a[0], a[1], b[0]]))
    assert [file.is_latest for file in anew(a)] == [False, True, False]
    assert [file.is_latest for file in anew(b)] == [False, True]
    assert (instance / "a.txt").read_bytes() == b"2"
    a[2] = anew([a[2]])[0].restore()
    assert a[2].is_latest
    assert [file.is_latest for file in anew(a)] == [False, False, True]
    assert (instance / "a.txt").read_bytes() == b"3"


def test_a_key_that_another_file_took_stays_with_it(instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (first,) = save("a.txt", b"1")
    first.delete()
    (second,) = save("a.txt", b"2")
    (other,) = save("b.txt", b"1")
    other.delete()
    trash.restore(anew([first, other]))
    assert [file.is_latest for file in anew([first, second, other])] == [False, True, True]
    assert f"the key 'a.txt' belongs to {second.id} now: {first.id} is back, but not current" in capsys.readouterr().err
    assert first.id in [file.id for file in File.objects.filter(trashed_at__isnull=True)]


def test_two_families_of_one_key_in_the_trash_come_back_as_one_current_file(instance: Path) -> None:
    (first,) = save("a.txt", b"1")
    first.delete()
    (second,) = save("a.txt", b"2")
    second.delete()
    trash.restore(anew([first, second]))
    assert [file.is_latest for file in anew([first, second])] == [False, True]
    assert (instance / "a.txt").read_bytes() == b"2"


def test_restoring_several_is_all_or_nothing(instance: Path) -> None:
    (a,), (b,), (c,) = save("a.txt", b"1"), save("b.txt", b"2"), save("c.txt", b"3")
    ln.delete([a, c])
    with pytest.raises(InvalidInputError, match=r"'b.txt' is not in the trash"):
        trash.restore([a, b])
    gone = anew([c])[0]
    c.delete(permanent=True)
    with pytest.raises(ConflictError, match="deleted for good"):
        trash.restore([a, gone])
    assert anew([a])[0].trashed_at is not None
    assert not (instance / "a.txt").exists()
    trash.restore([])


def test_the_number_of_statements_does_not_grow_with_the_files(local_instance: Path) -> None:
    from django.db import connections
    from django.test.utils import CaptureQueriesContext

    from lamindb.core import context as current_instance

    def statements(files: list[File]) -> int:
        with CaptureQueriesContext(connections[current_instance.instance().alias]) as queries:
            ln.delete(files)
            trash.restore(files)
            ln.delete(files, permanent=True)
        return len(queries)

    few = [file for number in range(3) for file in save(f"few/{number}.txt", b"1", b"2")]
    many = [file for number in range(30) for file in save(f"many/{number}.txt", b"1", b"2")]
    assert statements(few) == statements(many)


def test_a_number_is_never_given_twice(instance: Path) -> None:
    save("k.txt", b"one", b"two")
    stale = File.select(key="k.txt").one()
    File.select(key="k.txt").one().delete(permanent=True)
    (other,) = save("k.txt", b"other")
    assert (other.version, other == stale, other.id == stale.id) == (3, False, False)
    with pytest.raises(ConflictError, match="deleted for good"):
        stale.delete()
    ln.delete(File.select(key="k.txt"), permanent=True)
    assert current("k.txt") == File.objects.get(key="k.txt", version=1)
    assert save("k.txt", b"four")[0].version == 4
    assert File.select(key="k.txt").one().replace(b"five").save().version == 5
    ln.delete(list(File.objects.filter(key="k.txt")), permanent=True)
    assert not LastVersion.objects.exists()
    assert save("k.txt", b"new")[0].version == 1


def test_many_at_once_keep_their_numbers(instance: Path) -> None:
    files = [file for number in range(30) for file in save(f"{number}.txt", b"1", b"2")]
    ln.delete(files[1::2], permanent=True)
    again = [ln.File(b"3", key=f"{number}.txt") for number in range(30)]
    ln.save(again)
    assert {file.version for file in again} == {3}


def test_what_shared_a_key_with_a_file_that_goes_becomes_current(instance: Path) -> None:
    (first,) = save("p.txt", b"a1")
    first.delete()
    (second,) = save("p.txt", b"b1")
    first = anew([first])[0].restore()
    assert not first.is_latest
    second.delete()
    assert current("p.txt") == first
    assert (instance / "p.txt").read_bytes() == b"a1"
    anew([second])[0].restore()
    assert current("p.txt") == first
    first.delete(permanent=True)
    assert current("p.txt") == second
    assert (instance / "p.txt").read_bytes() == b"b1"


def test_a_newer_version_of_the_older_file_comes_before_an_older_one(instance: Path) -> None:
    older = save("p.txt", b"a1", b"a2")
    ln.delete(older)
    (owner,) = save("p.txt", b"b1")
    anew(older)[1].restore()
    owner.delete()
    assert current("p.txt") == older[1]
    anew(older)[0].restore()
    assert current("p.txt") == older[1]


def test_what_shared_a_key_with_a_file_that_moves_becomes_current(instance: Path) -> None:
    (first,) = save("p.txt", b"a1")
    first.delete()
    (owner,) = save("p.txt", b"b1")
    anew([first])[0].restore()
    owner.key = "q.txt"
    owner.save()
    assert (current("p.txt"), current("q.txt")) == (first, owner)
    assert [(instance / name).read_bytes() for name in ("p.txt", "q.txt")] == [b"a1", b"b1"]
    first = anew([first])[0]
    first.delete()
    (taker,) = save("p.txt", b"c1")
    anew([first])[0].restore()
    import pandas as pd

    taker.replace(pd.DataFrame({"a": [1]}), format="csv").save()
    assert (taker.key, current("p.txt")) == ("p.csv", first)


def test_who_removed_a_file_is_told(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mine,) = save("a.txt", b"1")
    made_by = mine.created_by_id
    monkeypatch.setenv("LAMIN_USER", "chloe")
    mine.delete()
    removed = next(event for event in history() if event.kind == "removed")
    assert removed.who == "chloe"
    assert [event.kind for event in history(handle="chloe")] == ["removed"]
    (back,) = anew([mine])
    assert (back.trashed_by.handle, back.created_by_id) == ("chloe", made_by)  # type: ignore[union-attr]
    assert back.restore().trashed_by is None


def test_versions_without_a_key_never_are_current_twice(
    instance: Path, database: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database is None:
        pytest.skip("SQLite has one writer at a time anyway")
    first = ln.File(b"1", name="no key").save()
    second = ln.File.objects.get(id=first.id).replace(b"2").save()
    here, go_on = threading.Event(), threading.Event()
    promote = versions.promote

    def waits(*args: Any, **options: Any) -> set[str]:
        here.set()
        go_on.wait(1)
        return promote(*args, **options)

    monkeypatch.setattr(versions, "promote", waits)
    stale = ln.File.objects.get(id=second.id)

    def replace() -> None:
        here.wait(60)
        try:
            stale.replace(b"3").save()
        except ConflictError:
            pass
        finally:
            go_on.set()
            connections.close_all()

    other = threading.Thread(target=replace)
    other.start()
    second.delete()
    other.join()
    assert len(list(File.objects.filter(is_latest=True, trashed_at__isnull=True))) == 1


def test_naming_a_file_waits_for_who_saves_under_that_name(
    instance: Path, database: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database is None:
        pytest.skip("SQLite has one writer at a time anyway")
    nameless = ln.File(b"1", name="no key").save()
    here, done = threading.Event(), threading.Event()
    check = rename._check_rename

    def waits(*args: Any) -> None:
        check(*args)
        here.set()
        done.wait(1)

    monkeypatch.setattr(rename, "_check_rename", waits)

    def save_other() -> None:
        here.wait(60)
        save("a.txt", b"2")
        done.set()
        connections.close_all()

    other = threading.Thread(target=save_other)
    other.start()
    nameless.key = "a.txt"
    nameless.save()
    other.join()
    assert [file.version for file in File.objects.filter(key="a.txt").order_by("version")] == [1, 2]
