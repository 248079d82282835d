"""What kind of file system a path lies on."""

from __future__ import annotations

import builtins
import io
import os
import sys
from pathlib import Path

import pytest

from lamindb.core import filesystem

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def mounted(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(builtins, "open", lambda *_, **__: io.StringIO("".join(f"{line}\n" for line in lines)))


def test_the_system_is_asked() -> None:
    assert filesystem.file_system_type("/proc") == "proc"
    assert filesystem.file_system_type("/absent") == ""


def test_the_mount_of_the_device_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path.stat().st_dev
    mark = f"{os.major(device)}:{os.minor(device)}"
    mounted(
        monkeypatch,
        f"20 1 0:999 / {tmp_path} rw - ext4 /dev/sda rw",
        f"21 1 {mark} / /elsewhere rw shared:1 - nfs4 server:/ rw",
    )
    assert filesystem.file_system_type(tmp_path) == "nfs4"


def test_else_the_mount_of_the_deepest_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a b" / "inner"
    folder.mkdir(parents=True)
    shown = str(tmp_path / "a b").replace(" ", "\\040")
    mounted(monkeypatch, f"20 1 0:999 / {shown} rw - btrfs /dev/sda rw", "21 1 0:998 / / rw - ext4 /dev/sdb rw")
    assert filesystem.file_system_type(folder) == "btrfs"
    assert filesystem.file_system_type(tmp_path) == "ext4"


@pytest.mark.parametrize("lines", [[], ["nonsense"], ["21 1 0:998 / / rw ext4"]])
def test_where_the_system_does_not_tell(lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted(monkeypatch, *lines)
    assert filesystem.file_system_type(tmp_path) == ""


def test_network_file_systems() -> None:
    assert all(map(filesystem.is_network_file_system, ["nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "lustre"]))
    assert not any(map(filesystem.is_network_file_system, ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuseblk", ""]))
