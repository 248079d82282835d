"""Benchmarks of one query and one save in a warm process, as in a notebook."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from benchmarks.harness import Bench, Result, benchmark

_SIZE = 4096
_FILES_A_ROUND = 20


@benchmark("query by key among 10,000 files", bound=1)
def query_by_key(bench: Bench) -> Result:
    """Return the time of one query in ms."""
    import lamindb as ln

    count = bench.count(10_000)
    with bench.instance() as folder:
        source = folder / "source"
        source.mkdir()
        for number in range(count):
            (source / f"{number}.txt").write_text(str(number))
        ln.save([ln.File(source / f"{number}.txt", key=f"some/folder/{number}.txt") for number in range(count)])
        wanted = f"some/folder/{count // 2}.txt"
        return bench.each(lambda: ln.File.select(key=wanted).one(), rounds=bench.count(500))


@benchmark("save one file of 4 KB", bound=3)
def save_one(bench: Bench) -> Result:
    """Compare with a write and fsync, a rename, an fsync of the folder and a commit in SQLite."""
    import lamindb as ln

    with bench.instance() as folder:
        raw = _RawStore(bench.fresh_folder())
        sources = iter(range(10_000_000))

        def new_source() -> Path:
            path = folder / f"{next(sources)}.bin"
            path.write_bytes(os.urandom(_SIZE))
            return path

        def ours() -> None:
            for path in prepared.pop():
                ln.File(path, key=f"data/{path.name}").save()

        def limit() -> None:
            for path in prepared.pop():
                raw.save(path)

        # Created before the clock runs: each is new to both sides.
        rounds = bench.count(15)
        prepared = [[new_source() for _ in range(_FILES_A_ROUND)] for _ in range(2 * (rounds + 1))]
        try:
            return bench.ratio(ours, limit, rounds=rounds, note=f"{_FILES_A_ROUND} files a round")
        finally:
            raw.database.close()


class _RawStore:
    """The least work for the same guarantee: bytes are durable before the row is committed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = sqlite3.connect(folder / "rows.sqlite3", isolation_level=None)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=FULL")
        self.database.execute("CREATE TABLE file (key TEXT PRIMARY KEY, size INTEGER)")

    def save(self, source: Path) -> None:
        """Copy a file into the folder and write its row."""
        content = source.read_bytes()
        temporary, final = self.folder / f".{source.name}", self.folder / source.name
        with temporary.open("wb") as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        temporary.rename(final)
        descriptor = os.open(self.folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        self.database.execute("INSERT INTO file VALUES (?, ?)", (source.name, len(content)))
