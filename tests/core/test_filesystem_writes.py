"""Writing: every byte arrives, whatever the system takes at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamindb.core import filesystem

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
        filesystem.write_all(stream.fileno(), data)
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
        filesystem.write_all(stream.fileno(), data)
    assert path.read_bytes() == data
