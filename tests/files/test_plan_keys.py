"""A folder that is stored as one, and keys below or above it: refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import KeyExistsError
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
