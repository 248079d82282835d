"""The rows of steps, written together by whoever of several threads comes first.

A step's row is committed before its caller gets the result: what was returned outlives the process, however that
ends. Threads that end steps at the same moment share one transaction. SQLite does not flush the disk for it, which
would take longer than most steps: a power cut can cost the records of the last steps, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from lamindb.db import bulk, database
from lamindb.errors import StorageError
from lamindb.files import gc_marks
from lamindb.models import Run, RunInput, RunOutput
from lamindb.records.open_instance import Instance
from lamindb.runs import metadata

ENDING: Final = ("status", "finished_at", "error", "exit_code", "params", "heartbeat_at", "updated_at")
_ATTEMPTS: Final = 3


@dataclass(slots=True)
class Entry:
    """What one step has to write.

    Attributes:
        instance: Where.
        runs: Rows, those of steps above it first; of rows that are there already, only how they stand is written.
        links: What was read and made.
        restore: Stores the code of the function again, if garbage collection took it meanwhile.
    """

    instance: Instance
    runs: list[Run]
    links: list[RunInput | RunOutput] = field(default_factory=list)
    restore: Callable[[], None] | None = None
    is_done: bool = False
    error: BaseException | None = None


_queue: list[Entry] = []
_queue_lock = threading.Lock()
_write_lock = threading.Lock()
_journal_modes: dict[str, str] = {}


def write(entry: Entry) -> None:
    """Write an entry; durable when it returns.

    Raises:
        DatabaseError: The database failed. Nothing of it was written.
    """
    with _queue_lock:
        _queue.append(entry)
    with _write_lock:
        if not entry.is_done:
            with _queue_lock:
                batch = [one for one in _queue if one.instance.alias == entry.instance.alias]
                _queue[:] = [one for one in _queue if one.instance.alias != entry.instance.alias]
            _write_batch(batch)
    if entry.error is not None:
        raise entry.error


def _write_batch(batch: Sequence[Entry]) -> None:
    """Write entries of one instance in one transaction; if that fails, each by itself."""
    try:
        _commit(batch)
    except BaseException as error:
        if len(batch) == 1:
            batch[0].error = error
            batch[0].is_done = True
            return
        for one in batch:
            _write_batch([one])
        return
    for one in batch:
        one.is_done = True


def _commit(batch: Sequence[Entry]) -> None:
    instance = batch[0].instance
    runs = {run.id: run for entry in batch for run in entry.runs}
    links = [link for entry in batch for link in entry.links]
    named = {run.source_digest for run in runs.values() if run.source_digest}
    for _ in range(_ATTEMPTS):
        try:
            with _unflushed(instance.alias), database.writing(instance.alias) as connection:
                for name in named:
                    metadata.claim(connection, instance, {"source_digest": name})
                bulk.insert_many(connection, list(runs.values()), overwritten=ENDING)
                for kind in (RunInput, RunOutput):
                    same = [link for link in links if isinstance(link, kind)]
                    bulk.insert_many(connection, same, ignore_conflicts=True)
            return
        except gc_marks.Swept:
            for entry in batch:
                if entry.restore is not None:
                    entry.restore()
    raise StorageError("the code of a step was removed by garbage collection again and again: try later")


@contextlib.contextmanager
def _unflushed(alias: str) -> Iterator[None]:
    """Let commits to SQLite return before the disk has them, where its journal stays whole without that."""
    connection = database.connection(alias)
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        if alias not in _journal_modes:
            cursor.execute("PRAGMA journal_mode")
            _journal_modes[alias] = str(cursor.fetchone()[0])
        if _journal_modes[alias] != "wal":
            yield
            return
        cursor.execute("PRAGMA synchronous=NORMAL")
        try:
            yield
        finally:
            cursor.execute("PRAGMA synchronous=FULL")


def _after_fork_in_child() -> None:
    global _queue_lock, _write_lock
    _queue.clear()
    _queue_lock, _write_lock = threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
