"""Where backups come from, as it is written down."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from lamindb.errors import StorageError
from lamindb.setup.backup_restore import Origin


def origin() -> Origin:
    made_at = datetime.datetime(2026, 7, 1, 12, 30, 5, 120, tzinfo=datetime.UTC)
    return Origin(Path("/data/.lamindb"), "postgresql://ada:s3cret@h/n", made_at, ("/work", "/other"))


def test_an_origin_is_read_as_it_was_written(tmp_path: Path) -> None:
    origin().write(tmp_path)
    assert Origin.read(tmp_path) == origin()


def test_an_origin_keeps_its_password_to_itself(tmp_path: Path) -> None:
    origin().write(tmp_path)
    (written,) = tmp_path.iterdir()
    assert written.stat().st_mode & 0o077 == 0
    assert "s3cret" not in repr(origin())


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"home": "/h", "made_at": "yesterday"}', '{"home": 1}'])
def test_a_damaged_origin_is_none(tmp_path: Path, text: str) -> None:
    origin().write(tmp_path)
    (written,) = tmp_path.iterdir()
    written.write_text(text)
    with pytest.raises(StorageError, match="is damaged"):
        Origin.read(tmp_path)


def test_an_absent_origin_is_none(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot read"):
        Origin.read(tmp_path)
