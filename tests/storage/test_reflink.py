"""Duplicates of files, and files that other processes have open."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lamindb.storage import reflink
from tests.support.processes import run_python

ASKS_WHILE_ANOTHER_OPENS = """
import fcntl, os, subprocess, sys
from lamindb.storage import reflink

real, opened = fcntl.fcntl, []

def and_somebody_opens(descriptor, command, argument=0):
    result = real(descriptor, command, argument)
    if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
        code = "import os, sys; os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)"
        opened.append(subprocess.run([sys.executable, "-c", code, sys.argv[1]], stderr=subprocess.DEVNULL).returncode)
    return result

fcntl.fcntl = and_somebody_opens
descriptor = os.open(sys.argv[1], os.O_RDONLY)
print(reflink.is_being_written(descriptor), opened != [])
os.close(descriptor)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's leases")
def test_who_is_open_for_writing_is_seen_and_opening_just_then_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1")
    with path.open("rb") as reading:
        assert not reflink.is_being_written(reading.fileno())
        with path.open("ab"):
            assert reflink.is_being_written(reading.fileno())
        assert not reflink.is_being_written(reading.fileno())
    # The system tells the one who asks by a signal that would end a program which expects none.
    assert run_python(ASKS_WHILE_ANOTHER_OPENS, path).stdout.split() == ["False", "True"]


def sparse(path: Path, *, size: int = 48 << 20) -> bytes:
    """Write a file whose only data is some bytes in two places; skip the test where the disk keeps no holes."""
    with path.open("wb") as stream:
        stream.seek(5 << 20)
        stream.write(b"one" * 5000)
        stream.seek(20 << 20)
        stream.write(b"two")
        stream.truncate(size)
    if not hasattr(os, "SEEK_DATA") or path.stat().st_blocks * 512 > 1 << 20:
        pytest.skip("the disk keeps no holes")
    return path.read_bytes()


def test_a_copy_has_the_holes_of_the_file(tmp_path: Path) -> None:
    data = sparse(tmp_path / "a")
    assert reflink.duplicate(str(tmp_path / "a"), str(tmp_path / "b"), allow_link=False, allow_clone=False) == "copy"
    assert (tmp_path / "b").read_bytes() == data
    assert (tmp_path / "b").stat().st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("start", [0, 3, 6 << 20, 30 << 20, 48 << 20, 50 << 20])
def test_pieces_of_a_sparse_file_are_its_bytes_from_any_position(tmp_path: Path, start: int) -> None:
    data = sparse(tmp_path / "a")
    with (tmp_path / "a").open("rb") as stream:
        os.lseek(stream.fileno(), start, os.SEEK_SET)
        pieces = [(bytes(piece), is_hole) for piece, is_hole in reflink.read_pieces(stream.fileno())]
    assert b"".join(piece for piece, _ in pieces) == data[start:]
    assert not any(piece.strip(b"\0") for piece, is_hole in pieces if is_hole)
    assert sum(len(piece) for piece, is_hole in pieces if not is_hole) < 1 << 20


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    data = sparse(tmp_path / "a")
    with (tmp_path / "a").open("r+b") as stream:
        found = b""
        for number, (piece, _) in enumerate(reflink.read_pieces(stream.fileno())):
            found += piece
            if number == 0:
                os.pwrite(stream.fileno(), b"more", 48 << 20)
    assert found == data + b"more"
