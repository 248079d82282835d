"""Locks between processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lamindb.core import locks

fcntl = pytest.importorskip("fcntl")


def test_a_lock_is_held_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with locks.held(path) as first, locks.held(path, wait=False) as second:
        assert (first, second) == (True, False)
    with locks.held(path, wait=False) as third:
        assert third


def test_it_holds_between_processes(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    code = "import sys; from lamindb.core import locks\nwith locks.held(sys.argv[1], wait=False) as mine: print(mine)"
    command = [sys.executable, "-c", code, str(path)]
    with locks.held(path):
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


def test_a_lock_file_of_another_user_can_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.lock"
    path.touch()
    really_open = os.open

    def refuse_writing(name: object, flags: int, *args: int, **options: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(name))
        return really_open(str(name), flags, *args, **options)

    monkeypatch.setattr(os, "open", refuse_writing)
    with locks.held(path), locks.held(path, wait=False) as second:
        assert not second


def test_where_there_are_no_locks_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locks.held(tmp_path / "a.lock", wait=False) as is_mine:
        assert is_mine


def test_a_lock_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locks.held(tmp_path / "absent" / "a.lock"):
        pass
