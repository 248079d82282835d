"""Sources are stored by any executor, with the results and errors of storing them here."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import SourceChangedError, StorageError
from lamindb.files import parallel_store
from lamindb.maintenance import verify
from lamindb.models import File
from lamindb.storage.base import FileStat, Source


@pytest.fixture(params=["threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "threads":
        made: Executor = ThreadPoolExecutor(2)
    else:
        made = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    with made:
        yield made


def write_files(count: int) -> list[str]:
    Path("src").mkdir(exist_ok=True)
    for number in range(count):
        Path(f"src/{number}.txt").write_bytes(f"file {number}".encode())
    return [os.path.abspath(f"src/{number}.txt") for number in range(count)]


def test_files_are_saved_by_an_executor(local_instance: Path, executor: Executor) -> None:
    write_files(40)
    told: list[tuple[int, int]] = []
    from lamindb.files.save import save_records

    files = ln.File.from_dir("src", key="many")
    save_records(files, executor=executor, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (40, 40)
    assert File.objects.count() == 40
    assert ln.File.select(key="many/7.txt").one().stage().read_bytes() == b"file 7"
    assert (local_instance / "many/39.txt").read_bytes() == b"file 39"
    assert verify.verify().is_clean
    assert verify.verify().orphans == ()


def test_a_folder_and_bytes_are_stored_too(local_instance: Path, executor: Executor) -> None:
    write_files(2)
    sources = [Source(suffix="", path=os.path.abspath("src")), Source(suffix=".bin", data=b"in memory")]
    folder, data = parallel_store.store_by(executor, context.instance(), sources)
    assert (folder.is_folder, folder.n_files, data.content.size) == (True, 2, 9)


def test_results_come_in_the_order_of_the_sources(local_instance: Path) -> None:
    sources = [Source(suffix=".txt", path=path) for path in write_files(30)]
    with ThreadPoolExecutor(4) as pool:
        spread = parallel_store.store_by(pool, context.instance(), sources)
    direct = [ln.File(f"src/{number}.txt", key=f"{number}").digest for number in range(30)]
    assert [stored.name.digest for stored in spread] == direct


def test_an_error_of_a_worker_is_ours(local_instance: Path, executor: Executor) -> None:
    paths = write_files(6)
    stat = FileStat.of(os.stat(paths[3]))
    Path(paths[3]).write_bytes(b"changed since then")
    sources = [Source(suffix=".txt", path=path, stat=stat if path == paths[3] else None) for path in paths]
    with pytest.raises(SourceChangedError, match=r"3\.txt"):
        parallel_store.store_by(executor, context.instance(), sources)


def test_a_failing_worker_saves_no_file(local_instance: Path, executor: Executor) -> None:
    write_files(6)
    files = ln.File.from_dir("src", key="many")
    Path("src/3.txt").write_bytes(b"changed since then")
    with pytest.raises(SourceChangedError):
        ln.save(files, executor=executor)
    assert File.objects.count() == 0
    ln.save(ln.File.from_dir("src", key="many"), executor=executor)
    assert File.objects.count() == 6


def die(*_: object) -> None:
    os._exit(1)


class Dying(ProcessPoolExecutor):
    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(die, *args, **kwargs)


def test_a_dead_worker_is_one_clear_error(local_instance: Path) -> None:
    sources = [Source(suffix=".txt", path=path) for path in write_files(3)]
    with (
        Dying(1, mp_context=multiprocessing.get_context("fork")) as pool,
        pytest.raises(StorageError, match="a worker could not store its part"),
    ):
        parallel_store.store_by(pool, context.instance(), sources)


@pytest.mark.parametrize(
    ("sizes", "workers", "wanted"),
    [
        ([1] * 10, 8, [(n, n + 1) for n in range(10)]),
        ([1] * 1000, 1, [(n, n + 250) for n in range(0, 1000, 250)]),
        ([200 << 20, 100 << 20, 1], 1, [(0, 1), (1, 2), (2, 3)]),
        ([], 4, []),
    ],
)
def test_parts_are_neither_too_many_nor_too_large(
    sizes: list[int], workers: int, wanted: list[tuple[int, int]]
) -> None:
    stats = [FileStat(size, 0, 0, 0, 0) for size in sizes]
    assert parallel_store._parts([Source(suffix="", path="/x", stat=stat) for stat in stats], workers) == wanted


@pytest.mark.slow
def test_dask_serves_as_an_executor(local_instance: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    write_files(20)
    import warnings

    with warnings.catch_warnings():
        # Its own sockets and event loops warn while they close.
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=str(tmp_path)
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            ln.save(ln.File.from_dir("src", key="many"), executor=client.get_executor())
    assert File.objects.count() == 20
    assert verify.verify().is_clean
