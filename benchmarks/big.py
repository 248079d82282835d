"""A big instance for benchmarks: a million files with versions in folders, written by SQL in minutes.

`python -m benchmarks.big FOLDER` makes one, `./dev bench --big` the one that benchmarks of this package use.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import edges

_FOLDER = "LAMIN_BENCH_FOLDER"
"""The environment variable with the folder in which big instances are kept, instead of the user's cache folder."""

_CONTENT = 2
"""Counts the changes of what is written: an instance that an earlier version of this module made is not used."""

START = 1_672_531_200
SECONDS = 94
"""The first file is of the start of 2023, and one follows each 94 seconds: a million in three years."""

_HUB_EVERY = 5
_READ = 33
"""Files that a run picks to read; those that are no first version, or superseded, are left out."""

_BLOCK = 1_000
"""So many runs read from each other only, and from the hub."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is in an instance.

    Attributes:
        files: Rows of files; each fifth is a second version of another.
        runs: Runs; each makes the same number of files and reads about twenty earlier ones.
        transforms: Transforms.
        users: Users.
        objects: Stored objects, shared by the rows; a multiple of 10. None: rows without bytes.
    """

    files: int = 1_000_000
    runs: int = 100_000
    transforms: int = 2_000
    users: int = 50
    objects: int | None = None

    @classmethod
    def scaled(cls, files: int, *, objects: int | None = None) -> Sizes:
        """Return sizes in the proportions of a million files."""
        return cls(files, max(2, files // 10), max(2, files // 500), max(2, min(50, files // 100)), objects)


def sizes_of(scale: float) -> Sizes:
    """Return the sizes of the instance that benchmarks ask: a million files with 100,000 objects, or a part of it."""
    return Sizes(objects=100_000) if scale >= 1 else Sizes.scaled(max(1_000, round(1_000_000 * scale)))


@dataclass(frozen=True, slots=True)
class Big:
    """A big instance: its root, its PostgreSQL database if it has one, and its sizes."""

    root: Path
    database: str | None
    sizes: Sizes

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Work in the instance; yields the library."""
        with edges.Project(self.root, self.database, 0, 0).connected() as library:
            yield library


@functools.cache
def instance(sizes: Sizes, *, on_postgres: bool = False) -> Big:
    """Return an instance of these sizes, made once and kept for later processes.

    Args:
        sizes: How much there is in it.
        on_postgres: Start a PostgreSQL server for it, which ends with this process. It keeps its data, too, unless the
            kept folder is closed to the server's user, who is not root.
    """
    name = "-".join(str(number or 0) for number in (_CONTENT, *asdict(sizes).values()))
    folder, database = kept_folder() / name, None
    if on_postgres:
        from tests.support import postgres

        if not postgres.can_keep(kept_folder() / "postgres"):
            return make(Path(tempfile.mkdtemp(prefix="lamindb-big-")), sizes, database=edges.postgres_url())
        server = edges.server(kept_folder() / "postgres")
        folder = kept_folder() / f"postgres-{name}"
        if not (folder / "complete").exists():
            server.drop(name)
            server.create(name=name)
        database = server.url(name)
    root = folder / "mydata"
    return Big(root, database, sizes) if (folder / "complete").exists() else make(folder, sizes, database=database)


def kept_folder() -> Path:
    """Return the folder in which big instances are kept: outside the repository."""
    import platformdirs

    return Path(os.environ.get(_FOLDER) or platformdirs.user_cache_path("lamindb-bench"))


def make(folder: Path, sizes: Sizes, *, database: str | None = None) -> Big:
    """Make an instance in a folder.

    Args:
        folder: Made if it is missing; its `mydata` is the root.
        sizes: How much there is in it.
        database: The URL of an empty PostgreSQL database; None means SQLite.
    """
    import lamindb as ln

    folder.mkdir(parents=True, exist_ok=True)
    os.environ["LAMIN_SETTINGS_DIR"] = str(folder / "settings")
    before, verbosity = Path.cwd(), ln.settings.verbosity
    os.chdir(folder)
    ln.settings.verbosity = 0
    try:
        ln.setup.init(storage="./mydata", db=database, view="none")
        _fill(sizes)
        ln.setup.disconnect()
    finally:
        ln.settings.verbosity = verbosity
        os.chdir(before)
    (folder / "complete").touch()
    return Big(folder / "mydata", database, sizes)


@dataclass(frozen=True, slots=True)
class _Words:
    """What the two databases write differently."""

    pad: Callable[[str, int], str]
    time: Callable[[str], str]
    true: str
    false: str


_SQLITE = _Words(
    lambda number, width: f"substr('{'0' * width}' || ({number}), -{width})",
    lambda seconds: f"strftime('%Y-%m-%d %H:%M:%S', {START} + {seconds}, 'unixepoch')",
    "1",
    "0",
)
_POSTGRES = _Words(
    lambda number, width: f"right('{'0' * width}' || ({number})::text, {width})",
    lambda seconds: f"to_timestamp({START} + {seconds})",
    "true",
    "false",
)


def _fill(sizes: Sizes) -> None:
    from lamindb.core import context
    from lamindb.db import database

    opened = context.instance()
    link = database.connection(opened.alias)
    if link.vendor == "sqlite":
        with link.cursor() as cursor:
            for pragma in ("synchronous=OFF", "cache_size=-400000"):
                cursor.execute(f"PRAGMA {pragma}")
    words = _SQLITE if link.vendor == "sqlite" else _POSTGRES
    with database.writing(opened.alias) as link, link.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE big_object (n integer PRIMARY KEY, hash text, digest text, size integer)"
        )
        cursor.executemany("INSERT INTO big_object VALUES (%s, %s, %s, %s)", _objects(opened, sizes))
        for statement in (
            _users(words, sizes),
            _transforms(words, sizes),
            _runs(words, sizes),
            _files(words, sizes, opened.storage_id),
            _OUTPUTS,
            _EVENTS,
            _inputs(words, sizes),
        ):
            cursor.execute(statement)
        cursor.execute("DROP TABLE big_object")
    with link.cursor() as cursor:
        # PostgreSQL does both by itself after so many rows, unless it is told not to, as the server of tests is.
        cursor.execute("ANALYZE" if link.vendor == "sqlite" else "VACUUM ANALYZE")


_SUFFIXES = (".fastq.gz", ".fastq.gz", ".bam", ".csv", ".csv", ".tif", ".tif", ".parquet", ".h5ad", ".txt")


def _objects(opened: Any, sizes: Sizes) -> Iterator[tuple[int, str, str, int]]:
    """Yield number, hash, digest and size of objects, and store their bytes if they are wanted."""
    from base64 import urlsafe_b64encode

    from blake3 import blake3

    for number in range(sizes.objects or 100_000):
        content = b"object %d of a benchmark\n" % number
        digest = blake3(content).hexdigest()
        if sizes.objects is not None:
            path = opened.home_path / "objects" / digest[:2] / f"{digest}{_SUFFIXES[number % 10]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o444)
        hashed = urlsafe_b64encode(hashlib.md5(content).digest()).decode().rstrip("=")
        yield number, hashed, digest, len(content)


def _numbers(count: int) -> str:
    return f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})"


_OUTPUTS = (
    "INSERT INTO lamindb_runoutput (run_id, file_id, seen_by, created_at) "
    "SELECT run_id, id, 'call', created_at FROM lamindb_file"
)
_EVENTS = (
    "INSERT INTO lamindb_fileevent (file_id, kind, created_at, created_by_id) "
    "SELECT id, 'removed', trashed_at, trashed_by_id FROM lamindb_file WHERE trashed_at IS NOT NULL ORDER BY trashed_at"
)


def _users(words: _Words, sizes: Sizes) -> str:
    start = words.time("0")
    return (
        f"INSERT INTO lamindb_user (id, handle, name, created_at, updated_at) {_numbers(sizes.users)} "
        f"SELECT {words.pad('i', 8)}, 'user' || i, 'Person ' || i, {start}, {start} FROM n"
    )


def _transforms(words: _Words, sizes: Sizes) -> str:
    at = words.time(f"i * {SECONDS * (sizes.files // sizes.transforms)}")
    name = _one_of(
        "i % 8", ["cell ranger", "align reads", "train classifier", "umap plot", "quality control", "segment nuclei",
                  "call variants", "differential expression"],
    )  # fmt: skip
    kind = _one_of("i % 4", ["pipeline", "notebook", "script", "pipeline"])
    return (
        "INSERT INTO lamindb_transform (id, name, version, type, reference, created_at, updated_at, created_by_id) "
        f"{_numbers(sizes.transforms)} SELECT {words.pad('i', 16)}, {name} || ' ' || i, '1', {kind}, "
        f"'code/' || i || '.py', {at}, {at}, {words.pad(f'i % {sizes.users}', 8)} FROM n"
    )


def _run_id(words: _Words, number: str) -> str:
    """Return SQL for the id of a run, which no file has."""
    return f"'r' || {words.pad(number, 19)}"


def _runs(words: _Words, sizes: Sizes) -> str:
    at = words.time(f"i * {SECONDS * (sizes.files // sizes.runs)}")
    status = "CASE WHEN i % 50 = 7 THEN 'failed' WHEN i % 1000 = 11 THEN 'aborted' ELSE 'completed' END"
    transform = words.pad(f"(i * 7919) % {sizes.transforms}", 16)
    return (
        "INSERT INTO lamindb_run (id, status, transform_id, started_at, finished_at, created_at, updated_at, "
        f"created_by_id) {_numbers(sizes.runs)} SELECT {_run_id(words, 'i')}, {status}, {transform}, {at}, {at}, {at}, "
        f"{at}, {words.pad(f'(i * 31) % {sizes.users}', 8)} FROM n"
    )


def _files(words: _Words, sizes: Sizes, storage_id: str) -> str:
    """Insert files. Of five rows in a row four are first versions, and one is the second version of the first.

    `j` numbers files without their versions, `o` is the object; both decide kind and suffix by their last digit.
    """
    is_second = "i % 5 = 4"
    j = f"(CASE WHEN {is_second} THEN (i / 5) * 4 ELSE (i / 5) * 4 + i % 5 END)"
    o = f"(CASE WHEN {is_second} THEN {j} + 70 ELSE {j} END) % {sizes.objects or 100_000}"
    is_first_of_two = "i % 5 = 0"
    in_trash = "(j % 200 = 3)"
    run = _run_id(words, f"i / {max(1, sizes.files // sizes.runs)}")
    at = words.time(f"i * {SECONDS}")
    made = f"(SELECT transform_id FROM lamindb_run r WHERE r.id = {run})"
    user = f"(SELECT created_by_id FROM lamindb_run r WHERE r.id = {run})"
    key = f"({_key(words)})"
    name = f"({_name(words)})"
    suffix = _one_of("j % 10", list(_SUFFIXES))
    return (
        "INSERT INTO lamindb_file (id, name, key, suffix, size, hash, digest, is_folder, n_files, version, is_latest, "
        "trashed_at, trashed_by_id, created_at, updated_at, run_id, transform_id, storage_id, created_by_id) "
        f"{_numbers(sizes.files)}, f(i, j, o, v, is_old) AS (SELECT i, {j}, {o}, "
        f"CASE WHEN {is_second} THEN 2 ELSE 1 END, {is_first_of_two} FROM n) "
        f"SELECT {words.pad('j', 16)} || '000' || v, {name}, "
        f"CASE WHEN j % 100 = 57 THEN NULL ELSE {key} END, {suffix}, size, hash, digest, {words.false}, 1, v, "
        f"CASE WHEN is_old OR {in_trash} THEN {words.false} ELSE {words.true} END, "
        f"CASE WHEN {in_trash} THEN {words.time(f'i * {SECONDS} + 86400')} END, "
        f"CASE WHEN {in_trash} THEN {user} END, {at}, {at}, {run}, {made}, '{storage_id}', {user} "
        "FROM f JOIN big_object ON n = o ORDER BY i"
    )


def _name(words: _Words) -> str:
    """Return SQL for the last part of a file's key."""
    number = words.pad("j / 10", 6)
    kinds = [
        f"'sample' || {number} || '_R1.fastq.gz'",
        f"'sample' || {number} || '_R2.fastq.gz'",
        f"'sample' || {number} || '.sorted.bam'",
        f"'counts_' || {number} || '.csv'",
        f"'metrics_' || {number} || '.csv'",
        f"'well_' || {number} || '_c1.tif'",
        f"'well_' || {number} || '_c2.tif'",
        f"'features_' || {number} || '.parquet'",
        f"'cells_' || {number} || '.h5ad'",
        f"'notes_' || {number} || '.txt'",
    ]
    return f"CASE j % 10 {' '.join(f'WHEN {n} THEN {kind}' for n, kind in enumerate(kinds))} END"


def _key(words: _Words) -> str:
    """Return SQL for the key of a file: projects with batches, plates with many images, results by month."""
    project = "'project' || (j / 20000)"
    batch = f"{project} || '/batch' || (j / 200 % 100)"
    plate = f"'imaging/plate' || {words.pad('j / 50000', 2)}"
    month = f"'results/' || (2023 + j / 280000) || '-' || {words.pad('1 + j / 23000 % 12', 2)}"
    folder = _one_of_sql(
        "j % 10",
        [f"{batch} || '/raw/'"] * 3 + [f"{batch} || '/counts/'"] * 2 + [f"{plate} || '/'"] * 2
        + [f"{month} || '/features/'", f"{month} || '/'", f"{project} || '/'"],
    )  # fmt: skip
    return f"{folder} || {_name(words)}"


def _inputs(words: _Words, sizes: Sizes) -> str:
    """Insert edges: each run reads about twenty earlier files of its block, and each fifth one file that is a hub.

    A file has up to ten thousand ancestors so. In each tenth block some of the versions that are read were superseded.
    """
    each = max(1, sizes.files // sizes.runs)
    base = f"(r / {_BLOCK} * {_BLOCK * each})"
    earlier = f"({base} + (r * 7919 + k * 10473) % (r * {each} - {base}))"
    source = f"CASE WHEN k = 0 AND r % {_HUB_EVERY} = 0 THEN 1 ELSE {earlier} END"
    return (
        "INSERT INTO lamindb_runinput (run_id, file_id, seen_by, created_at) "
        f"{_numbers(sizes.runs * _READ)}, e(r, k) AS (SELECT i / {_READ}, i % {_READ} FROM n), "
        f"s(r, i) AS (SELECT DISTINCT r, {source} FROM e WHERE r % {_BLOCK} > 0) "
        f"SELECT {_run_id(words, 'r')}, {words.pad('(i / 5) * 4 + i % 5', 16)} || '0001', 'call', "
        f"{words.time(f'r * {SECONDS * each}')} FROM s WHERE i % 5 BETWEEN 1 AND 3 "
        f"OR (i % 5 = 0 AND r / {_BLOCK} % 10 = 0) ORDER BY r, i"
    )


def _one_of(number: str, texts: list[str]) -> str:
    return _one_of_sql(number, [f"'{text}'" for text in texts])


def _one_of_sql(number: str, values: list[str]) -> str:
    return f"CASE {number} {' '.join(f'WHEN {n} THEN {value}' for n, value in enumerate(values))} END"


def main() -> None:
    """Make a big instance in a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.big", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--objects", type=int, help="store as many real objects; by default none")
    parser.add_argument("--database", help="the URL of an empty PostgreSQL database")
    arguments = parser.parse_args()
    sizes = Sizes.scaled(arguments.files, objects=arguments.objects)
    print(make(arguments.folder.absolute(), sizes, database=arguments.database).root, file=sys.stderr)


if __name__ == "__main__":
    main()
