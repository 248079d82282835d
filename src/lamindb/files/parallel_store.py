"""Storing sources by an executor: other threads, other processes, other machines that see the same files.

What is sent is plain: where the store is, and the sources. So any `concurrent.futures.Executor` serves, also those of
Dask, Ray or MPI.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from typing import Final

from lamindb.core import paths
from lamindb.core.progress import Progress
from lamindb.errors import LaminError, StorageError, UnsupportedError
from lamindb.records.open_instance import Instance
from lamindb.storage import bucket
from lamindb.storage.base import Source, Stored

_MOST_FILES: Final = 256
_MOST_BYTES: Final = 256 << 20
_UNKNOWN_BYTES: Final = 1 << 20
_CHUNKS_PER_WORKER: Final = 4
_WORKERS: Final = 8


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """What another process needs to open the same store.

    Attributes:
        root_url: The folder or address.
        cache_folder: Where hashes of unchanged files are remembered; None for nowhere.
    """

    root_url: str
    cache_folder: str | None


def store_by(
    executor: Executor, instance: Instance, sources: Sequence[Source], progress: Progress | None = None
) -> list[Stored]:
    """Store sources in an instance's own storage by an executor, durable when it returns.

    Args:
        executor: Its workers see the same paths, and for object stores have the same credentials in their environment.
        instance: Whose storage.
        sources: What to store.
        progress: Told how many of the sources are done, and how many there are.

    Returns:
        What became of each source, in their order.

    Raises:
        LaminError: The first failure of a worker, as `ObjectStore.put` says. Others may be stored, which is harmless.
        StorageError: A worker died, or could not be reached. Calling again is safe.
        UnsupportedError: The workers could not use the bucket, as they would be forked from this process.
    """
    if not instance.is_local:
        _check_workers(executor)
    folder = paths.cache_folder()
    spec = StoreSpec(instance.root_url, str(folder) if folder is not None else None)
    parts = _parts(sources, getattr(executor, "_max_workers", None) or _WORKERS)
    futures: dict[Future[list[Stored]], tuple[int, int]] = {}
    found: list[Stored | None] = [None] * len(sources)
    done = 0
    try:
        for start, end in parts:
            futures[executor.submit(put_part, spec, [_plain(source) for source in sources[start:end]])] = (start, end)
        for future in as_completed(futures):
            start, end = futures[future]
            found[start:end] = future.result()
            done += end - start
            if progress is not None:
                progress(done, len(sources))
    except LaminError:
        raise
    except Exception as error:
        text = str(error) or type(error).__name__
        raise StorageError(f"a worker could not store its part: {text}: mend that, then call again") from error
    finally:
        for future in futures:
            future.cancel()
    return [one for one in found if one is not None]


def _check_workers(executor: Executor) -> None:
    """Refuse workers that would be forked now, after this process has used a bucket; older ones find out themselves."""
    context = getattr(executor, "_mp_context", None)
    if context is None or getattr(executor, "_processes", None) or not bucket.fork_guard.is_used:
        return
    if context.get_start_method() == "fork":
        raise UnsupportedError(
            "the executor would fork this process, which has used an object store, and its workers could not use one: "
            'pass ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")), or threads'
        )


def put_part(spec: StoreSpec, sources: list[Source]) -> list[Stored]:
    """Store some sources; runs in a worker."""
    from lamindb.storage.hash_cache import HashCache, NoHashCache
    from lamindb.storage.open_store import open_store

    hashes = HashCache(spec.cache_folder) if spec.cache_folder is not None else NoHashCache()
    try:
        return open_store(spec.root_url, hash_cache=hashes).put_many(sources)
    finally:
        hashes.close()


def _plain(source: Source) -> Source:
    """Return a source of plain values only, which a worker can read without knowing anything of records."""
    return source if type(source.path) in {str, type(None)} else source._replace(path=str(source.path))


def _parts(sources: Sequence[Source], workers: int) -> list[tuple[int, int]]:
    """Cut sources into runs that are neither too many to send nor too large to be spread evenly."""
    most = max(1, min(_MOST_FILES, -(-len(sources) // (workers * _CHUNKS_PER_WORKER))))
    parts: list[tuple[int, int]] = []
    start, size = 0, 0
    for index, source in enumerate(sources):
        size += _size(source)
        if index + 1 - start >= most or size >= _MOST_BYTES:
            parts.append((start, index + 1))
            start, size = index + 1, 0
    if start < len(sources):
        parts.append((start, len(sources)))
    return parts


def _size(source: Source) -> int:
    if source.data is not None:
        return len(source.data)
    if source.content is not None:
        return source.content.size
    return source.stat.size if source.stat is not None else _UNKNOWN_BYTES
