"""Stale files: equal to the rules in plain Python on random histories, and case by case, on both databases."""

from __future__ import annotations

import itertools
import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from django.db import connections

import lamindb as ln
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound
from lamindb.models import RunInput
from tests.support import depth
from tests.support.histories import History, made
from tests.support.stale_rules import Rows


def check_all() -> set[str]:
    """Ask everything that can be asked about every file, and compare."""
    rows = Rows.read()
    expected = rows.stale()
    shown = {file.id for file in rows.files.values() if file.is_latest and not file.is_trashed}
    assert set(ln.lineage.stale().list("id")) == expected & shown
    assert set(ln.File.select(is_stale=True).list("id")) == expected & shown
    assert set(ln.File.select(is_stale=False).list("id")) == shown - expected
    assert set(ln.File.objects.filter(is_stale=True).list("id")) == expected
    assert set(ln.lineage.stale(*rows.files).list("id")) == expected
    for file in rows.files.values():
        assert file.is_stale == (file.id in expected)
        found = file.staleness()
        assert bool(found) == file.is_stale
        wanted = rows.reasons(file.id, expected) if file.id in expected else {}
        assert {one.read.id: (one.kind, len(one.chain)) for one in found.reasons} == wanted
        for one in found.reasons:
            ids = [step.id for step in one.chain]
            assert (ids[0], ids[-1]) == (one.read.id, file.id)
            assert all(a in rows.last_read(rows.newest_producer(b)) for a, b in itertools.pairwise(ids))
            assert (one.current and one.current.id) == rows.current(one.read.id)
    return expected


def play(seed: int, steps: int) -> int:
    history = History(seed)
    found = 0
    for _ in range(steps):
        history.step()
        if history.chance.random() < 0.25:
            found += len(check_all())
    return found + len(check_all())


@pytest.mark.parametrize("seed", range(6))
def test_random_histories_equal_the_rules(instance: Path, seed: int) -> None:
    assert play(seed, 25)


@pytest.mark.slow
@pytest.mark.timeout(600)
@depth.on_one_database()
@pytest.mark.parametrize("seed", depth.part(range(100, 130), 4))
def test_many_random_histories_equal_the_rules(instance: Path, seed: int) -> None:
    play(seed, 60)


def stale_keys() -> list[str]:
    check_all()
    return sorted(ln.lineage.stale().list("key"))


def test_a_new_version_makes_all_that_follows_stale(instance: Path) -> None:
    raw = ln.File(b"1", key="raw").save()
    clean = made("clean", [raw], b"clean 1", "clean")
    counts = made("count", [clean], b"counts", "counts")
    assert stale_keys() == []
    new = ln.File(b"2", key="raw").save()
    assert stale_keys() == ["clean", "counts"]
    reason = counts.staleness().reasons[0]
    assert (reason.kind, reason.read, reason.current) == ("superseded", raw, new)
    assert (reason.chain, reason.is_direct) == ((raw, clean, counts), False)
    assert str(reason) == "version 1 of raw was read, by way of clean; version 2 is current"
    assert repr(clean.staleness()) == "clean is stale:\n  version 1 of raw was read; version 2 is current"
    assert repr(new.staleness()) == "raw is fresh"
    assert json.loads(counts.staleness().to_json())["reasons"][0]["current"] == {
        "key": "raw",
        "id": new.id,
        "version": 2,
    }
    with pytest.raises(FrozenInstanceError):
        reason.kind = "removed"
    made("clean", [new], b"clean 2", "clean")
    assert stale_keys() == ["counts"]
    assert {one.read.key for one in counts.staleness().reasons} == {"raw", "clean"}


def test_the_same_bytes_made_again_are_fresh(instance: Path) -> None:
    clean = made("clean", [ln.File(b"1", key="raw").save()], b"clean", "clean")
    made("count", [clean], b"counts", "counts")
    again = made("clean", [ln.File(b"2", key="raw").save()], b"clean", "clean")
    assert again == clean
    assert stale_keys() == []


def test_the_old_bytes_saved_again_are_no_reason(instance: Path) -> None:
    made("clean", [ln.File(b"1", key="raw").save()], b"clean", "clean")
    ln.File(b"2", key="raw").save()
    ln.File(b"1", key="raw").save()
    assert stale_keys() == []


def test_only_the_version_that_a_run_read_last_counts(instance: Path) -> None:
    old, new = (ln.File(data, key="raw").save() for data in (b"1", b"2"))
    made("compare", [old, new], b"difference", "difference")
    assert stale_keys() == []
    made("back", [new, old], b"from the old one", "back")
    assert stale_keys() == ["back"]


def test_a_run_that_appends_to_a_table_is_no_reason(instance: Path) -> None:
    table = ln.File(b"0", key="table").save()
    for day in range(1, 5):
        table = made("append", [table], f"{day}".encode(), "table")
    assert stale_keys() == []
    made("report", [table], b"report", "report")
    made("append", [table], b"5", "table")
    assert stale_keys() == ["report"]
    ln.File(b"by hand", key="table").save()
    assert stale_keys() == ["report"]


def test_a_loop_is_no_reason(instance: Path) -> None:
    first = ln.File(b"1", key="weights").save()
    loss = made("evaluate", [first], b"loss 1", "loss")
    made("update", [loss], b"2", "weights")
    assert stale_keys() == []
    ln.File(b"other", key="weights").save()
    assert stale_keys() == ["loss"]


def test_what_was_read_before_a_run_began_came_from_nothing_that_it_made(instance: Path) -> None:
    first = ln.File(b"1", key="weights").save()
    loss = made("guess", [], b"loss", "loss")
    made("update", [loss], b"2", "weights")
    later = made("evaluate", [first], b"loss", "loss")
    assert later == loss and stale_keys() == []
    with connections[loss.alias].cursor() as cursor:
        cursor.execute(f"UPDATE {RunInput._meta.db_table} SET created_at = '2020-01-01' WHERE file_id = %s", [loss.id])
    assert stale_keys() == ["loss", "weights"]


def test_an_input_that_was_removed_is_a_reason_of_its_own(instance: Path) -> None:
    raw = ln.File(b"1", key="raw").save()
    clean = made("clean", [raw], b"clean", "clean")
    raw.delete()
    assert stale_keys() == ["clean"]
    reason = clean.staleness().reasons[0]
    assert (reason.kind, reason.current) == ("removed", None)
    assert str(reason) == "version 1 of raw was read; it is in the trash"
    same = ln.File(b"1", key="raw").save()
    assert stale_keys() == []
    same.delete()
    new = ln.File(b"2", key="raw").save()
    assert clean.staleness().reasons[0].current == new
    new.delete()
    raw.restore()
    assert stale_keys() == []


def test_a_rename_is_followed(instance: Path) -> None:
    raw = ln.File(b"1", key="raw").save()
    clean = made("clean", [raw], b"clean", "clean")
    raw.key = "elsewhere"
    raw.save()
    ln.File(b"another file", key="raw").save()
    assert stale_keys() == []
    new = ln.File(b"2", key="elsewhere").save()
    assert clean.staleness().reasons[0].current == new
    assert stale_keys() == ["clean"]


def test_files_without_a_key_are_compared_with_their_newest_version(instance: Path) -> None:
    raw = ln.File(b"1", name="raw").save()
    clean = made("clean", [raw], b"clean", "clean")
    ln.File(b"another", name="raw").save()
    assert stale_keys() == []
    new = ln.File.objects.get(id=raw.id).replace(b"2").save()
    assert clean.staleness().reasons[0].current == new
    new.delete()
    assert stale_keys() == []
    raw.refresh_from_db()
    raw.delete()
    assert clean.staleness().reasons[0].kind == "removed"


def test_folders_are_compared_by_their_manifest(instance: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.txt").write_text("1")
    made("segment", [ln.File(folder, key="images").save()], b"masks", "masks")
    assert stale_keys() == []
    (folder / "2.txt").write_text("2")
    ln.File(folder, key="images").save()
    assert stale_keys() == ["masks"]
    (folder / "2.txt").unlink()
    ln.File(folder, key="images").save()
    assert stale_keys() == []


def test_a_version_saved_by_hand_is_a_source(instance: Path) -> None:
    made("clean", [ln.File(b"1", key="raw").save()], b"clean", "clean")
    ln.File(b"2", key="raw").save()
    ln.File(b"by hand", key="clean").save()
    assert stale_keys() == []
    assert ln.File.objects.filter(is_stale=True).list("version") == [1]


def test_is_stale_is_a_filter_like_any_other(instance: Path) -> None:
    made("clean", [ln.File(b"1", key="raw").save()], b"clean", "clean")
    assert ln.File.select(is_stale=True).count() == 0
    waiting = ln.lineage.stale()
    ln.File(b"2", key="raw").save()
    assert waiting.list("key") == ["clean"]
    assert ln.File.select().exclude(is_stale=True).list("key") == ["raw"]
    assert ln.File.select(ln.Q(is_stale=True) | ln.Q(key="raw")).count() == 2
    assert ln.File.select(key="raw", is_stale=True).count() == 0
    assert ln.File.select(is_stale=True).filter(size__gt=1).one().key == "clean"
    for wrong in (1, "yes", None):
        with pytest.raises(InvalidTypeError, match="True or False"):
            ln.File.select(is_stale=wrong)


def test_bad_input_is_a_clear_error(instance: Path) -> None:
    file = ln.File(b"1", key="raw").save()
    with pytest.raises(NoResultFound, match="the id or key 'rwa'"):
        ln.lineage.stale("rwa")
    for ask in (lambda one: one.is_stale, lambda one: one.staleness(), ln.lineage.stale):
        with pytest.raises(InvalidInputError, match="not saved"):
            ask(ln.File(b"new", key="new"))
    with pytest.raises(InvalidTypeError, match="not a Transform"):
        ln.lineage.stale(ln.Transform(name="step").save())
    with pytest.raises(InvalidTypeError, match="lineage is of"):
        ln.lineage.stale(1)
    file.delete()
    with pytest.raises(NoResultFound, match="trash"):
        ln.lineage.stale("raw")
    assert not file.is_stale
    same = ln.File.objects.get(id=file.id)
    file.delete(permanent=True)
    for ask in (lambda one: one.is_stale, lambda one: one.staleness(), ln.lineage.stale):
        with pytest.raises(NoResultFound, match="deleted for good"):
            ask(same)
