"""What lies in the folder and is not recorded is told, and nothing that rows account for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.maintenance import findings, verify


def untracked(prefix: str | None = None) -> list[str]:
    return findings.untracked(context.instance(), prefix)


def save_folder(key: str) -> None:
    Path("src/inner").mkdir(parents=True)
    Path("src/inner/member.txt").write_bytes(b"member")
    ln.File("src", key=key).save()


@pytest.mark.parametrize(
    "prefix", [None, "study", "study/raw", "study/raw/", "study/raw/inner", "study/raw/inner/member.txt"]
)
def test_members_of_a_stored_folder_are_recorded(instance: Path, prefix: str | None) -> None:
    save_folder("study/raw")
    assert untracked(prefix and prefix.rstrip("/")) == []


def test_strangers_beside_a_stored_folder_are_told(instance: Path) -> None:
    save_folder("study/raw")
    (instance / "study/raw2").mkdir()
    (instance / "study/raw2/stranger.txt").write_bytes(b"stranger")
    assert untracked("study") == untracked("study/raw2") == ["study/raw2/stranger.txt"]


def test_what_is_registered_in_a_nested_storage_is_recorded(instance: Path) -> None:
    nested = instance / "deep/sub"
    (nested / "folder").mkdir(parents=True)
    ln.Storage(root=str(nested)).save()
    for name in ("x.txt", "folder/member.txt", "stranger.txt"):
        (nested / name).write_bytes(name.encode())
    ln.File(nested / "x.txt").save()
    ln.File(nested / "folder").save()
    assert untracked() == untracked("deep") == untracked("deep/sub") == ["deep/sub/stranger.txt"]
    assert untracked("deep/sub/x.txt") == untracked("deep/sub/folder") == []


def test_files_of_an_unrelated_storage_account_for_nothing(instance: Path) -> None:
    other = instance.parent / "mydata2"
    other.mkdir()
    ln.Storage(root=str(other)).save()
    for root in (instance, other):
        (root / "x.txt").write_bytes(b"x")
    ln.File(other / "x.txt").save()
    assert untracked() == ["x.txt"]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_name_that_is_no_text_is_a_stranger(instance: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    try:
        (instance / name).write_bytes(b"stranger")
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    ln.File(b"x", key="x.txt").save()
    assert untracked() == [name]
    assert verify.verify().untracked == (name,)


def test_strangers_among_many_files_are_told(instance: Path) -> None:
    ln.save([ln.File(b"%d" % n, key=f"many/{n}.txt") for n in range(600)])
    for name in ("many/stranger.txt", "a.txt", "z.txt"):
        (instance / name).write_bytes(b"stranger")
    assert untracked() == ["a.txt", "many/stranger.txt", "z.txt"]
    assert untracked("many") == ["many/stranger.txt"]
