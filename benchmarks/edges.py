"""Large lineage, written directly into an instance's tables: layers of runs that read files of the previous layer."""

from __future__ import annotations

import atexit
import functools
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TIME = "2026-01-01 00:00:00+00:00"
_TRANSFORM = "t000000000000001"
_REACH = 20
_INPUTS = 3

# Servers and folders that several benchmarks share live as long as the process.
_open = ExitStack()
atexit.register(_open.close)


@dataclass(frozen=True, slots=True)
class Project:
    """An instance with generated lineage: its root, its database, and its number of layers."""

    root: Path
    database: str | None
    layers: int
    width: int

    def file_id(self, layer: int) -> str:
        """Return the id of the file in the middle of a layer, the last one at most.

        It has about `20 * layer²` ancestors, until they fill the width of the layers.
        """
        return _file_id(min(layer, self.layers - 1) * self.width + self.width // 2)

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Work in the instance; yields the library."""
        import lamindb as ln

        os.environ["LAMIN_SETTINGS_DIR"] = str(self.root.parent / "settings")
        before, verbosity = Path.cwd(), ln.settings.verbosity
        os.chdir(self.root.parent)
        ln.settings.verbosity = 0
        try:
            ln.connect(self.root)
            yield ln
        finally:
            ln.setup.disconnect()
            ln.settings.verbosity = verbosity
            os.chdir(before)


def _file_id(number: int) -> str:
    return f"{number:016}0001"


def _run_id(number: int) -> str:
    return f"{number:020}"


@functools.cache
def project(edges: int, *, width: int = 1_000, replaced: int = 0, on_postgres: bool = False) -> Project:
    """Make an instance with about so many edges, three of four of them inputs; several benchmarks share it.

    Args:
        edges: How many edges.
        width: How many runs, each making one file, a layer has.
        replaced: How many files of the layer before the last have a newer version, which no run read. Negative: how
            many files of the first layer.
        on_postgres: Use a PostgreSQL server that is started for it.
    """
    import lamindb as ln

    folder = Path(tempfile.mkdtemp(prefix="lamindb-edges-"))
    _open.callback(shutil.rmtree, folder, ignore_errors=True)
    url = postgres_url() if on_postgres else None
    os.environ["LAMIN_SETTINGS_DIR"] = str(folder / "settings")
    before, verbosity = Path.cwd(), ln.settings.verbosity
    os.chdir(folder)
    ln.settings.verbosity = 0
    try:
        ln.setup.init(storage="./mydata", db=url)
        layers = max(2, edges // (_INPUTS + 1) // width)
        first = 0 if replaced < 0 else (layers - 2) * width
        _fill(layers * width, width, range(first, first + abs(replaced)))
        ln.setup.disconnect()
    finally:
        ln.settings.verbosity = verbosity
        os.chdir(before)
    return Project(folder / "mydata", url, layers, width)


def discard(made: Project) -> None:
    """Remove the files of an instance that no other benchmark of this process needs; a server keeps its database."""
    shutil.rmtree(made.root.parent, ignore_errors=True)
    project.cache_clear()


def postgres_url() -> str:
    """Return the address of a new, empty database of a server that lives as long as the process."""
    running = server()
    return str(running.url(running.create()))


@functools.cache
def server(kept: Path | None = None) -> Any:
    """Return a PostgreSQL server that lives as long as the process; its data stay if their folder is given."""
    from tests.support import postgres

    return _open.enter_context(postgres.running(kept))


def _fill(runs: int, width: int, replaced: range) -> None:
    from lamindb.core import context
    from lamindb.db import database
    from lamindb.models import User

    instance = context.instance()
    user = User.objects.using(instance.alias).get().id
    link = database.connection(instance.alias)
    if link.vendor == "sqlite":
        with link.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")
    with database.writing(instance.alias) as link:
        _copy(link, "transform", "id name version type reference created_at updated_at", [
            (_TRANSFORM, "Step", "1", "pipeline", "Step", _TIME, _TIME)
        ])  # fmt: skip
        _copy(
            link,
            "run",
            "id status transform_id started_at created_at updated_at created_by_id",
            ((_run_id(n), "completed", _TRANSFORM, _TIME, _TIME, _TIME, user) for n in range(runs)),
        )
        _copy(
            link,
            "file",
            "id name key suffix size hash digest is_folder n_files version is_latest created_at updated_at run_id "
            "transform_id storage_id created_by_id",
            (
                (
                    *(f"{n:016}{version:04}", f"{n}.csv", f"data/{n}.csv", ".csv", n, f"h{n:021}"),
                    *(f"{n:060}{version:04}", False, 1, version, version == 2 or n not in replaced),
                    *(_TIME, _TIME, _run_id(n) if version == 1 else None, _TRANSFORM if version == 1 else None),
                    *(instance.storage_id, user),
                )
                for version, numbers in ((1, range(runs)), (2, replaced))
                for n in numbers
            ),
        )
        _copy(
            link,
            "runoutput",
            "run_id file_id seen_by created_at",
            ((_run_id(n), _file_id(n), "call", _TIME) for n in range(runs)),
        )
        _copy(
            link,
            "runinput",
            "run_id file_id seen_by created_at",
            ((_run_id(run), _file_id(file), "call", _TIME) for run, file in _inputs(runs, width)),
        )
    if link.vendor == "postgresql":
        with link.cursor() as cursor:
            cursor.execute("ANALYZE")


def _inputs(runs: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield pairs of a run and a file that it reads: files made near it, one layer before."""
    chance = random.Random(1)
    for run in range(width, runs):
        layer, place = divmod(run, width)
        near = range(max(0, place - _REACH), min(width, place + _REACH))
        for other in chance.sample(near, _INPUTS):
            yield run, (layer - 1) * width + other


def _copy(link: Any, table: str, columns: str, rows: Any) -> None:
    names = columns.split()
    listed = ", ".join(names)
    with link.cursor() as cursor:
        if link.vendor == "postgresql":
            with cursor.copy(f"COPY lamindb_{table} ({listed}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(names))
            cursor.executemany(f"INSERT INTO lamindb_{table} ({listed}) VALUES ({marks})", rows)
