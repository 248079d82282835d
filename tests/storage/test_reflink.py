"""Writing and duplicating: every byte arrives, whatever the system takes at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from lamindb.storage import reflink
from tests.support.processes import run_python

_SIZES = (0, 1, 256 << 10, (256 << 10) + 1, 3 << 20)


@pytest.mark.parametrize("size", _SIZES)
def test_all_is_written_in_pieces_that_need_no_large_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    asked: list[int] = []
    write = os.write

    def note(descriptor: int, data: memoryview) -> int:
        asked.append(len(data))
        return write(descriptor, data)

    data = os.urandom(size)
    path = tmp_path / "written"
    with path.open("wb") as stream:
        monkeypatch.setattr(os, "write", note)
        reflink.write_all(stream.fileno(), data)
    assert path.read_bytes() == data
    assert max(asked, default=0) <= 256 << 10


@pytest.mark.parametrize("size", _SIZES)
def test_all_is_written_where_the_system_takes_less_than_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[: max(1, len(data) * 2 // 3)]))
    data = os.urandom(size)
    path = tmp_path / "written"
    with path.open("wb") as stream:
        reflink.write_all(stream.fileno(), data)
    assert path.read_bytes() == data


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
