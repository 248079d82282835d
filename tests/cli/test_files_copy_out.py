"""Copies appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamindb.cli import files
from lamindb.errors import ConflictError, InvalidInputError, StorageError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("right")
    path.chmod(0o444)
    return path


def _left_behind(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".")]


def test_a_failed_copy_leaves_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        files.copy_out(source, tmp_path / "target", force=False)
    assert not (tmp_path / "target").exists()
    assert _left_behind(tmp_path) == []


def test_a_file_that_appears_meanwhile_is_left(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = files._fsync

    def another_process_writes(path: Path) -> None:
        fsync(path)
        (tmp_path / "target").write_text("theirs")

    monkeypatch.setattr(files, "_fsync", another_process_writes)
    with pytest.raises(ConflictError):
        files.copy_out(source, tmp_path / "target", force=False)
    assert (tmp_path / "target").read_text() == "theirs"
    assert _left_behind(tmp_path) == []


def test_a_file_system_without_links_is_served(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert files.copy_out(source, tmp_path / "target", force=False)
    assert (tmp_path / "target").read_text() == "right"


def test_a_link_of_the_user_s_is_something_else(source: Path, tmp_path: Path) -> None:
    (tmp_path / "target").symlink_to("nowhere")
    with pytest.raises(ConflictError):
        files.copy_out(source, tmp_path / "target", force=False)
    assert files.copy_out(source, tmp_path / "target", force=True)
    assert not (tmp_path / "target").is_symlink()


def test_folders_differ_by_any_member(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "a").write_text("same")
    assert files.is_same(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "sub" / "a").write_text("diff")
    assert not files.is_same(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "sub" / "a").write_text("same")
    (tmp_path / "two" / "extra").mkdir()
    assert not files.is_same(tmp_path / "one", tmp_path / "two")


def test_the_target_s_folder_must_exist(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="create it first"):
        files.copy_out(source, tmp_path / "no" / "target", force=False)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConflictError):
        files.copy_out(source, tmp_path / "folder", force=True)


def test_holes_stay_holes(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder/file"):
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(50 << 20)
    if (tmp_path / "file").stat().st_blocks * 512 > 1 << 20:
        pytest.skip("this file system has no holes")
    for name, copied in (("file", "copy"), ("folder", "copies/file")):
        assert files.copy_out(tmp_path / name, tmp_path / copied.split("/")[0], force=False)
        found = (tmp_path / copied).stat()
        assert (found.st_size, found.st_mode & 0o200) == (50 << 20, 0o200) and found.st_blocks * 512 < 1 << 20
