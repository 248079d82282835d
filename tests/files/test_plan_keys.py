"""A folder that is stored as one, and keys below or above it: refused before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import KeyExistsError
from lamindb.files import save
from lamindb.maintenance import verify
from lamindb.models import File


@pytest.fixture(params=["auto", "none"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, database: str | None, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=database, view=request.param)
    Path("src").mkdir()
    Path("src/x.txt").write_text("x")
    return Path("src")


def objects() -> int:
    return len(list(context.instance().store.list()))


@pytest.mark.parametrize("key", ["o/x.txt", "o/new.txt", "o/deep/er.txt"])
def test_a_key_in_a_folder_is_refused(folder: Path, key: str) -> None:
    ln.File(folder, key="o").save()
    before = objects()
    with pytest.raises(KeyExistsError, match="lies in the folder 'o', which is stored as one"):
        ln.File(b"new", key=key).save()
    other = ln.File(b"other", key="other.txt").save()
    other.key = key
    with pytest.raises(KeyExistsError, match="which is stored as one"):
        other.save()
    assert objects() == before + 1
    assert verify.verify().is_clean and verify.verify().edited == ()
    Path("src/new.txt").write_text("new")
    assert ln.File(folder, key="o").save().version == 2


def test_a_folder_over_keys_is_refused(folder: Path) -> None:
    ln.File(b"x", key="o/x.txt").save()
    ln.File(b"x", key="o0.txt").save()
    with pytest.raises(KeyExistsError, match=r"'o/x\.txt' lies in it"):
        ln.File(folder, key="o").save()
    with pytest.raises(KeyExistsError, match="cannot save both"):
        ln.save([ln.File(folder, key="p"), ln.File(b"y", key="p/y.txt")])
    assert ln.File(folder, key="O").save().key == "O"
    ln.File.select(key="o/x.txt").one().delete()
    assert ln.File(folder, key="o").save().key == "o"


def test_such_keys_of_an_older_instance_are_named_and_read(folder: Path) -> None:
    ln.File(folder, key="o").save()
    file = ln.File(b"inside", key="elsewhere.txt").save()
    File.objects.filter(id=file.id).order_by().update_rows({"key": "o/inside.txt"})
    report = verify.verify()
    assert report.overlapping == ("o/inside.txt",) and "o/inside.txt" in str(report)
    assert ln.File.select(key="o/inside.txt").one().load() == "inside"


def test_bringing_back_what_overlaps_is_refused(folder: Path) -> None:
    ln.File(folder, key="o").save()
    stored = ln.File.select(key="o").one()
    stored.delete()
    inside = ln.File(b"x", key="o/x.txt").save()
    with pytest.raises(KeyExistsError, match=r"'o/x\.txt' lies in it"):
        stored.restore()
    assert ln.File.select(key="o").list() == [] and inside.load() == "x"
    inside.delete()
    assert stored.restore().is_latest
    with pytest.raises(KeyExistsError, match="stored as one"):
        inside.restore()
    assert verify.verify().overlapping == ()


def test_an_older_version_that_is_a_folder_comes_back_only_where_it_may(folder: Path) -> None:
    ln.File(folder, key="o").save()
    stored = ln.File.select(key="o").one()
    second = stored.replace(b"bytes", format=None).save()
    assert second.key == "o" and not second.is_folder
    File.objects.filter(id=ln.File(b"x", key="p.txt").save().id).order_by().update_rows({"key": "o/x.txt"})
    with pytest.raises(KeyExistsError, match="lies in it"):
        File.objects.get(id=stored.versions[0].id).make_current()
    with pytest.raises(KeyExistsError, match="lies in it"):
        File.objects.get(id=stored.versions[1].id).delete()
    assert [one.is_latest for one in second.versions] == [False, True]


@pytest.mark.parametrize("first", ["folder", "file"])
def test_a_key_that_is_taken_meanwhile_is_refused_in_the_transaction(
    folder: Path, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = {"folder": ln.File(folder, key="o"), "file": ln.File(b"x", key="o/x.txt")}
    winner = pair.pop(first)
    [loser] = pair.values()
    store_bytes = save._store_bytes

    def overtaken(*arguments: Any) -> None:
        monkeypatch.setattr(save, "_store_bytes", store_bytes)
        winner.save()
        store_bytes(*arguments)

    monkeypatch.setattr(save, "_store_bytes", overtaken)
    with pytest.raises(KeyExistsError, match="stored as one"):
        loser.save()
    assert not loser.is_saved and ln.File.select().list("key") == [winner.key]
    report = verify.verify()
    assert report.is_clean and report.overlapping == () and report.edited == ()
