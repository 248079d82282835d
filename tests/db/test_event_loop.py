"""The library works where an event loop runs, as in every notebook."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest


def test_everything_works_inside_an_event_loop(
    tmp_path: Path, database: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import lamindb as ln

    monkeypatch.chdir(tmp_path)

    async def notebook() -> int:
        ln.setup.init(storage="./mydata", db=database)
        Path("a.txt").write_text("a")
        ln.File("a.txt", key="a.txt").save()
        return ln.File.select(key="a.txt").count()

    assert asyncio.run(notebook()) == 1
