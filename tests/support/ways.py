"""A project whose programs are run in many ways, and what must be recorded of each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import lamindb as ln

TRACK = "import lamindb as ln\nrun = ln.track()"

WORK = """\
ln.File.select(key="in.txt").one().stage(is_run_input=True)
ln.File(b"WAY", key="WAY.txt").save()
"""
"""What a program does once it is tracked: read `in.txt`, make a file that bears the name of the way it is run."""


def work(way: str) -> str:
    """Return a program that tracks itself and works."""
    return f"{TRACK}\n{WORK.replace('WAY', way)}"


def run_that_made(way: str) -> ln.Run:
    """Return the run to which the file of a way belongs."""
    run = ln.File.select(key=f"{way}.txt").one().run
    assert run is not None, f"{way}.txt belongs to no run"
    return run


def keys(files: Any) -> list[str]:
    """Return the keys of files, sorted."""
    return sorted(str(file.key) for file in files)


def stored(digest: str | None) -> str:
    """Return a text that is kept with a run."""
    from lamindb.core import context
    from lamindb.storage.base import ObjectName

    name = ObjectName.parse(digest or "")
    assert name is not None, f"nothing is kept: {digest!r}"
    return context.instance().store.read(name).decode()


def cells_kept(run: ln.Run) -> list[str]:
    """Return the code cells that are kept with a run; fails if a result is kept with them."""
    document = json.loads(stored(run.source_digest))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in document["cells"])
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == "code"]


def check(
    way: str,
    type: str,
    reference: str,
    name: str,
    *,
    source: str | None = None,
    cells: list[str] | None = None,
    exit_code: int | None = 0,
    status: str = "completed",
    arguments: list[str] | None = None,
    params: dict[str, Any] | None = None,
    parent: ln.Run | None = None,
) -> ln.Run:
    """Check everything that is recorded of a way: what ran, how it ended, what it read and made, on whose behalf."""
    run = run_that_made(way)
    what = run.transform
    assert (what.type, what.reference, what.name) == (type, reference, name), way
    assert (run.status, run.exit_code) == (status, exit_code), (way, run.error)
    assert (run.error is None) == (status == "completed"), (way, run.error)
    assert keys(run.inputs) == ["in.txt"], way
    assert keys(run.outputs) == [f"{way}.txt"], way
    assert (run.params or None, run.parent) == (params, parent), way
    assert (run.arguments or []) == (arguments or []), way
    assert run.started_at is not None and run.finished_at is not None and run.started_at <= run.finished_at, way
    assert (run.host, (run.process or {}).get("host")) == (os.uname().nodename, os.uname().nodename), way
    assert "django" in stored(run.environment_digest).lower(), way
    if source is not None:
        assert stored(run.source_digest) == source, way
    if cells is not None:
        assert cells_kept(run) == cells, way
    return run


def texts_in(folder: Path, *wanted: str) -> list[tuple[str, str]]:
    """Return which files below a folder hold which of some texts."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found += [(text, str(path)) for text in wanted if text.encode() in data]
    return found
