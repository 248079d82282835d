from __future__ import annotations

from pathlib import Path

import pytest

from lamindb.instance import folder, places


@pytest.mark.parametrize("place", ["root/.lamindb", "data/instances/bucket-0123"])
def test_a_folder_with_a_description_is_an_instance_folder(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMIN_DATA_DIR", str(tmp_path / "data"))
    home = tmp_path / place
    home.mkdir(parents=True)
    assert folder.home_of(home) is None
    (home / folder.FILE_NAME).touch()
    assert folder.home_of(home) == home


def test_a_backup_is_no_instance_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMIN_DATA_DIR", str(tmp_path / "data"))
    backup = tmp_path / "data" / "backups" / "mydata-0123"
    backup.mkdir(parents=True)
    (backup / folder.FILE_NAME).touch()
    assert places.data_folder() == tmp_path / "data"
    assert folder.home_of(backup) is None
