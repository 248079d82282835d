"""Benchmarks of storing, verifying and uploading bytes, against the least work for the same guarantee.

What bounds each on a machine with two processors: storing a large file MD5, which alone is 0.7 of the limit; many small
ones the system's creating and renaming of files; unchanged ones the stat of each file and object; checking BLAKE3 on
all processors, or the disk if the file is not in memory; uploading the server.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.harness import Bench, Result, benchmark
from lamindb.storage.base import FileStat, Source
from lamindb.storage.hash_cache import HashCache
from lamindb.storage.local import LocalStore
from lamindb.storage.view import Shown, View

_LARGE = 2 << 30
_SMALL = 4096
_MANY = 10_000
_MIB = 1 << 20
_UNCHANGED_FOR_SECONDS = 2.5


def _write(path: Path, size: int) -> Path:
    with path.open("wb") as stream:
        for start in range(0, size, 64 * _MIB):
            stream.write(os.urandom(min(64 * _MIB, size - start)))
        os.fsync(stream.fileno())
    return path


def _write_many(bench: Bench) -> list[Path]:
    folder = bench.fresh_folder()
    paths = [folder / f"{number}.csv" for number in range(bench.count(_MANY))]
    for path in paths:
        path.write_bytes(os.urandom(_SMALL))
    os.sync()
    return paths


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def _copy_and_hash(bench: Bench, path: Path) -> Callable[[], None]:
    """Return the limit: copy, fsync, and compute the MD5 of each file."""

    def limit() -> None:
        target = bench.fresh_folder()
        _run("cp", "-r", path, target)
        _run("sync", "-f", target)
        if path.is_dir():
            files = sorted(str(found) for found in path.iterdir())
            for start in range(0, len(files), 5_000):
                _run("md5sum", *files[start : start + 5_000])
        else:
            _run("md5sum", path)

    return limit


def _fresh_store(bench: Bench) -> LocalStore:
    folder = bench.fresh_folder()
    store = LocalStore(str(folder / "root"), hash_cache=HashCache(folder / "cache"))
    store.prepare()
    return store


@benchmark("store 2 GiB", bound=1.1)
def store_large(bench: Bench) -> Result:
    """Read, hash both ways, write and fsync one large file."""
    path = _write(bench.fresh_folder() / "large.bin", bench.count(_LARGE))
    os.sync()

    def ours() -> None:
        _fresh_store(bench).put(Source(".bin", str(path)))

    return bench.ratio(ours, _copy_and_hash(bench, path), rounds=3, note="cp, sync -f, md5sum")


@benchmark("store and show 10,000 files of 4 KB", bound=2)
def store_many(bench: Bench) -> Result:
    """Store and fsync many small files, and publish each under its key; no rows."""
    paths = _write_many(bench)

    def ours() -> None:
        store = _fresh_store(bench)
        stored = store.put_many([Source(".csv", str(path)) for path in paths])
        View(store).show_many([Shown(f"data/{path.name}", each.name) for path, each in zip(paths, stored, strict=True)])

    return bench.ratio(ours, _copy_and_hash(bench, paths[0].parent), rounds=3, note="cp -r, sync -f, md5sum")


@benchmark("store 10,000 unchanged files of 4 KB", bound=0.5)
def store_unchanged(bench: Bench) -> Result:
    """Check unchanged files: the hash cache has the files, the store has their objects."""
    paths = _write_many(bench)
    time.sleep(_UNCHANGED_FOR_SECONDS)
    store = _fresh_store(bench)
    view = View(store)

    def show(sources: list[Source]) -> None:
        stored = store.put_many(sources)
        view.show_many([Shown(f"data/{path.name}", each.name) for path, each in zip(paths, stored, strict=True)])

    show([Source(".csv", str(path)) for path in paths])

    def ours() -> None:
        stats = [(str(path), FileStat.of(os.stat(path))) for path in paths]
        contents = store.hash_cache.get_many(stats)
        assert None not in contents
        show([Source(".csv", path, stat=stat, content=c) for (path, stat), c in zip(stats, contents, strict=True)])

    return bench.ratio(ours, _copy_and_hash(bench, paths[0].parent), rounds=3, note="cp -r, sync -f, md5sum")


@benchmark("save 10,000 files of 4 KB", bound=3)
def save_many(bench: Bench) -> Result:
    """Save many small files as a user does: bytes, rows and view."""
    import lamindb as ln

    paths = _write_many(bench)

    def ours() -> None:
        with bench.instance():
            begun = time.perf_counter()
            ln.save([ln.File(path, key=f"data/{path.name}") for path in paths])
            spent.append(time.perf_counter() - begun)

    spent: list[float] = []
    result = bench.ratio(ours, _copy_and_hash(bench, paths[0].parent), rounds=3, note="cp -r, sync -f, md5sum")
    return Result(sorted(spent[1:])[1], result.limit, note=result.note)


@benchmark("save 10,000 unchanged files of 4 KB", bound=0.6)
def save_unchanged(bench: Bench) -> Result:
    """Save unchanged files again."""
    import lamindb as ln

    paths = _write_many(bench)
    time.sleep(_UNCHANGED_FOR_SECONDS)
    with bench.instance():
        ln.save([ln.File(path, key=f"data/{path.name}") for path in paths])

        def ours() -> None:
            ln.save([ln.File(path, key=f"data/{path.name}") for path in paths])

        return bench.ratio(ours, _copy_and_hash(bench, paths[0].parent), rounds=3, note="cp -r, sync -f, md5sum")


@benchmark("memory to store 100,000 files", bound=200)
def memory_to_store(bench: Bench) -> Result:
    """Return the most memory that a process holds, in MB."""
    folder, count = bench.fresh_folder(), bench.count(100_000)
    code = f"""
import os
from pathlib import Path
from lamindb.storage.local import LocalStore
from lamindb.storage.base import Source
folder = Path({str(folder)!r})
for number in range({count}):
    with open(folder / str(number), "wb") as stream:
        stream.write(b"%d" % number * 500)
store = LocalStore(str(folder / "root"))
store.prepare()
store.put_many([Source("", str(folder / str(number))) for number in range({count})])
"""
    return bench.peak_memory(code)


def _saving(count: int, then: str) -> str:
    return f"""
import os
os.environ |= {{"LAMIN_SETTINGS_DIR": "settings", "LAMIN_CACHE_DIR": "cache", "LAMIN_VERBOSITY": "0"}}
import lamindb as ln
for number in range({count}):
    with open(f"{{number}}.csv", "wb") as stream:
        stream.write(b"%d" % number * 500)
ln.setup.init(storage="./mydata")
ln.File(b"1", key="first").save()
files = [ln.File(f"{{number}}.csv", key=f"data/{{number}}.csv") for number in range({count})]
{then}
"""


@benchmark("memory to save 10,000 files", bound=200)
def memory_to_save(bench: Bench) -> Result:
    """Return the most memory that a process holds which saves a list of files as a user does, in MB."""
    return bench.peak_memory(_saving(bench.count(_MANY), "ln.save(files)"), cwd=bench.fresh_folder())


@benchmark("memory to save 100,000 files, beside their list", bound=80)
def memory_beside_the_list(bench: Bench) -> Result:
    """Return how much more memory a process holds that saves a list of files than one that only makes the list, in MB.

    A third of it is what the records learn, their hashes; the rest is that of one part of the save.
    """
    count = bench.count(100_000)
    saved = bench.peak_memory(_saving(count, "ln.save(files)"), cwd=bench.fresh_folder())
    listed = bench.peak_memory(_saving(count, ""), cwd=bench.fresh_folder())
    return Result(saved.ours - listed.ours, unit="MB", note=f"the list takes {listed.ours:.0f} MB")


@benchmark("verify 2 GiB", bound=0.5)
def verify_large(bench: Bench) -> Result:
    """Compare every byte of an object with its name."""
    path = _write(bench.fresh_folder() / "large.bin", bench.count(_LARGE))
    store = _fresh_store(bench)
    stored = store.put(Source(".bin", str(path)))

    def ours() -> None:
        assert store.check(stored.name, stored.content.size) is None

    return bench.ratio(ours, lambda: _run("md5sum", store.object_path(stored.name)), rounds=3, note="md5sum")


@benchmark("upload 200 files of 1 MiB to S3", bound=1.3)
def upload(bench: Bench) -> Result:
    """Hash and upload to a SeaweedFS server on this machine, 8 at once."""
    import obstore

    from lamindb.storage.remote import RemoteStore
    from tests.storage import servers

    folder = bench.fresh_folder()
    rounds = 5
    files = [[folder / f"{turn}-{number}" for number in range(bench.count(200))] for turn in range(2 * (rounds + 1))]
    for turn in files:
        for path in turn:
            path.write_bytes(os.urandom(_MIB))
    with servers.seaweed(bench.fresh_folder()) as server:
        server.make_bucket("bench")
        os.environ |= server.environment
        store = RemoteStore("s3://bench/ours")
        store.prepare()
        alone = RemoteStore("s3://bench/alone").backend

        def ours() -> None:
            store.put_many([Source(".bin", str(path)) for path in files.pop()])

        def put(path: Path) -> None:
            obstore.put(alone, path.name, path.read_bytes())

        def limit() -> None:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(put, files.pop()))

        return bench.ratio(ours, limit, rounds=rounds, note="obstore alone, 8 at once")
