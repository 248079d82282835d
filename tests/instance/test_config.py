"""`instance.toml`: what makes a folder an instance, and what is said where it cannot be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamindb.core import paths
from lamindb.errors import InvalidInputError, NewerDatabaseError, StorageError
from lamindb.instance import config


@pytest.mark.parametrize("place", ["root/.lamindb", "data/instances/bucket-0123"])
def test_a_folder_with_a_description_is_an_instance_folder(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMIN_DATA_DIR", str(tmp_path / "data"))
    home = tmp_path / place
    home.mkdir(parents=True)
    assert config.home_of(home) is None
    (home / config.FILE_NAME).touch()
    assert config.home_of(home) == home


def test_a_backup_is_no_instance_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMIN_DATA_DIR", str(tmp_path / "data"))
    backup = tmp_path / "data" / "backups" / "mydata-0123"
    backup.mkdir(parents=True)
    (backup / config.FILE_NAME).touch()
    assert paths.data_folder() == tmp_path / "data"
    assert config.home_of(backup) is None


WHOLE = config.Description("id", 'a "name" 名', "s", ".", None, "auto")


@pytest.mark.parametrize(
    "description",
    [WHOLE, config.Description("id", "n", "s", "s3://bucket/x", "postgresql://ada@[::1]:5432/n?host=/tmp", "none")],
)
def test_what_is_written_reads_back(description: config.Description, tmp_path: Path) -> None:
    config.write(tmp_path, description)
    assert config.read(tmp_path) == description
    assert str(tmp_path) not in (tmp_path / config.FILE_NAME).read_text()


@pytest.mark.parametrize("change", ["id", "name", "storage_id", "storage"])
def test_a_description_that_misses_something_is_damaged(change: str, tmp_path: Path) -> None:
    config.write(tmp_path, WHOLE)
    path = tmp_path / config.FILE_NAME
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith(f"{change} =")))
    with pytest.raises(InvalidInputError, match=f"{change}"):
        config.read(tmp_path)
    path.write_text("\n".join(f"{change} = 3" if line.startswith(f"{change} =") else line for line in lines))
    with pytest.raises(InvalidInputError, match=f"{change}"):
        config.read(tmp_path)


@pytest.mark.parametrize("text", ["", "id =", "\x00", "format = 'two'", 'view = "sideways"', "database = 3"])
def test_a_damaged_description_is_one_clear_error(text: str, tmp_path: Path) -> None:
    config.write(tmp_path, WHOLE)
    path = tmp_path / config.FILE_NAME
    name = text.split(" ", maxsplit=1)[0]
    kept = [line for line in path.read_text().splitlines() if name and not line.startswith(f"{name} =")]
    path.write_text("\n".join([*kept, text]) if text.isprintable() and text else text)
    with pytest.raises(InvalidInputError, match="damaged") as caught:
        config.read(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_damage(tmp_path: Path) -> None:
    (tmp_path / config.FILE_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInputError, match="damaged"):
        config.read(tmp_path)


def test_a_newer_description_is_refused_with_what_to_do(tmp_path: Path) -> None:
    config.write(tmp_path, WHOLE)
    path = tmp_path / config.FILE_NAME
    path.write_text(path.read_text().replace("format = 1", "format = 2") + 'more = {kind = "new"}\n')
    with pytest.raises(NewerDatabaseError, match="upgrade lamindb"):
        config.read(tmp_path)


def test_what_a_newer_version_of_the_same_format_adds_is_left_alone(tmp_path: Path) -> None:
    config.write(tmp_path, WHOLE)
    with (tmp_path / config.FILE_NAME).open("a") as stream:
        stream.write("added = true\n")
    assert config.read(tmp_path) == WHOLE


def test_a_description_that_cannot_be_read_or_written_is_an_error_of_the_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot read"):
        config.read(tmp_path)
    (tmp_path / config.FILE_NAME).mkdir()
    with pytest.raises(StorageError, match="cannot read"):
        config.read(tmp_path)
    with pytest.raises(StorageError, match="cannot write"):
        config.write(tmp_path, WHOLE)
    with pytest.raises(StorageError, match="cannot write"):
        config.write(tmp_path / "absent", WHOLE)
