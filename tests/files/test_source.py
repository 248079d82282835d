"""What a new file is made of: the path that its bytes are read from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import lamindb as ln


def make(folder: str, text: str) -> None:
    Path(folder).mkdir()
    Path(folder, "x.txt").write_text(text)


def test_a_link_among_the_folders_may_lead_elsewhere_between_two_files(local_instance: Path) -> None:
    make("a", "first")
    make("b", "second")
    os.symlink("a", "current")
    files = [ln.File("current/x.txt", key="one.txt")]
    os.unlink("current")
    os.symlink("b", "current")
    files.append(ln.File("current/x.txt", key="two.txt"))
    ln.save(files)
    assert [file.stage().read_text() for file in files] == ["first", "second"]


def test_a_folder_behind_a_link_may_be_renamed_between_two_files(local_instance: Path) -> None:
    make("a", "same folder")
    os.symlink("a", "current")
    ln.File("current/x.txt", key="one.txt")
    os.rename("a", "b")
    os.unlink("current")
    os.symlink("b", "current")
    assert ln.File("current/x.txt", key="two.txt").save().stage().read_text() == "same folder"


def test_another_folder_may_take_the_name_of_one_between_two_files(local_instance: Path) -> None:
    make("a", "first")
    os.symlink("a", "current")
    ln.File("current/x.txt", key="one.txt")
    os.rename("a", "old")
    make("a", "second")
    assert ln.File("current/x.txt", key="two.txt").save().stage().read_text() == "second"


def test_a_link_to_a_file_is_followed(local_instance: Path) -> None:
    make("a", "first")
    os.symlink("a/x.txt", "link.txt")
    file = ln.File("link.txt", key="one.txt").save()
    assert (file.name, file.stage().read_text()) == ("one.txt", "first")


@pytest.mark.parametrize(("key", "warns"), [("x.csv", True), ("x.TXT", False), ("x", False), ("x.txt", False)])
def test_a_key_with_another_suffix_than_the_data_is_pointed_out(
    local_instance: Path, capsys: pytest.CaptureFixture[str], key: str, warns: bool
) -> None:
    make("a", "text")
    ln.File("a/x.txt", key=key)
    assert ("has another suffix than the data (.txt)" in capsys.readouterr().err) == warns
