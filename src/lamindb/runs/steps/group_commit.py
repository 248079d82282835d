"""The rows of steps, written together by the first of several threads.

A step's row is committed before its caller gets the result: what was returned outlives the process, however that
ends. Threads that end steps at the same moment share one transaction. SQLite does not flush the disk for it, which
would take longer than most steps: a power cut can cost the records of the last steps, and nothing else.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lamindb.db import database
from lamindb.errors import StorageError
from lamindb.files import plan
from lamindb.models import Run, RunInput, RunOutput
from lamindb.records.open_instance import Instance
from lamindb.runs import metadata, revisions

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


class Queue:
    """The entries that wait to be written to one instance."""

    def __init__(self) -> None:
        self.waiting: list[Entry] = []
        self.waiting_lock = threading.Lock()
        self.write_lock = threading.Lock()
        self.journal_mode: str | None = None

    def after_fork(self) -> None:
        """Forget what threads of the parent process were about to write."""
        self.waiting.clear()
        self.waiting_lock, self.write_lock = threading.Lock(), threading.Lock()


def write(entry: Entry) -> None:
    """Write an entry; durable when it returns.

    Raises:
        DatabaseError: The database failed. Nothing of it was written.
    """
    queue = entry.instance.part(Queue)
    with queue.waiting_lock:
        queue.waiting.append(entry)
    with queue.write_lock:
        if not entry.is_done:
            with queue.waiting_lock:
                batch, queue.waiting = queue.waiting, []
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
    unnumbered = [run for run in runs.values() if run.revision is None]
    for _ in range(_ATTEMPTS):
        new: dict[tuple[str, str], int] = {}
        try:
            with _without_fsync(instance), database.writing(instance.alias) as connection:
                for name in named:
                    metadata.claim(connection, instance, {"source_digest": name})
                number(connection, instance, unnumbered, new)
                database.insert_many(connection, list(runs.values()), overwritten=ENDING)
                for kind in (RunInput, RunOutput):
                    same = [link for link in links if isinstance(link, kind)]
                    database.insert_many(connection, same, ignore_conflicts=True)
            instance.part(revisions.Numbers).known.update(new)
            return
        except plan.Swept:
            for entry in batch:
                if entry.restore is not None:
                    entry.restore()
        except BaseException:
            # What was rolled back was never given.
            for run in unnumbered:
                run.loaded["revision"] = None
            raise
    raise StorageError("the code of a step was removed by garbage collection again and again: try later")


def number(connection: Any, instance: Instance, runs: Sequence[Run], new: dict[tuple[str, str], int]) -> None:
    """Inside the transaction that writes runs of functions: give them the numbers of their code.

    Numbers that were not known before are added to `new`. Locks are taken in the order of the transforms, so that two
    batches never wait for each other in a circle.
    """
    numbers = instance.part(revisions.Numbers)
    for run in sorted(runs, key=lambda run: run.transform_id):
        if run.source_digest:
            source = revisions.of_object(run.source_digest)
            run.loaded["revision"] = numbers.of(connection, run.transform_id, source, new)


@contextlib.contextmanager
def _without_fsync(instance: Instance) -> Iterator[None]:
    """Return from commits to SQLite before they are fsynced, where its journal stays whole without that."""
    connection = database.connection(instance.alias)
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    queue = instance.part(Queue)
    if queue.journal_mode is None:
        ((mode,),) = connection.fetch("PRAGMA journal_mode")
        queue.journal_mode = str(mode)
    if queue.journal_mode != "wal":
        yield
        return
    connection.run("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        connection.run("PRAGMA synchronous=FULL")
