"""Wrong orders, made on purpose: a kill test that does not find them proves nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def row_first() -> None:
    """Write the rows, then the bytes."""
    from lamindb.core.hashing import hash_bytes, hash_file
    from lamindb.files import save, view_sync

    waiting: list[Any] = []
    real_show = view_sync.show

    def only_hash(instance: Any, files: Any, progress: Any, executor: Any) -> None:
        for file in files:
            source = file.pending.source
            waiting.append(source)
            file.pending.content = hash_bytes(source.data) if source.data is not None else hash_file(source.path)

    def store_then_show(instance: Any, *args: Any) -> None:
        instance.store.put_many(waiting)
        real_show(instance, *args)

    save._store_bytes, view_sync.show = only_hash, store_then_show


def in_place() -> None:
    """Write an object under its name from the beginning."""
    from lamindb.storage.local import Batch

    def write(self: Any, source: Any, name: Any, data: bytes) -> None:
        descriptor = os.open(self._objects.path(name), os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, data)
        os.close(descriptor)

    Batch._write = write  # type: ignore[method-assign]


def view_first() -> None:
    """Show a file before its row is there."""
    from lamindb.files import save
    from lamindb.storage.base import ObjectName

    real = save._write_rows

    def show_then_write(instance: Any, files: Any, *args: Any) -> Any:
        for file in files:
            pending = file.pending
            name = ObjectName(pending.content.digest, pending.source.suffix)
            instance.view.show(pending.key, name, move_aside=True)
        return real(instance, files, *args)

    save._write_rows = show_then_write


def one_by_one() -> None:
    """Write the rows of many files in many transactions."""
    from lamindb.files import save

    real = save._save_new

    def each(instance: Any, files: Any, *args: Any) -> None:
        for file in files:
            real(instance, [file], *args)

    save._save_new = each


def part_by_part() -> None:
    """Commit each part of a save that is written in parts."""
    from lamindb.files import save

    real = save._insert

    def insert_and_commit(link: Any, outcomes: Any) -> None:
        real(link, outcomes)
        link.connection.execute("COMMIT")
        link.connection.execute("BEGIN IMMEDIATE")

    save._insert = insert_and_commit


def forgetful() -> None:
    """Change rows without leaving a note for whoever has to repair the view."""
    from lamindb.files import view_sync

    view_sync.announce = lambda instance, leaving=(): None  # type: ignore[assignment]


def purge_at_once() -> None:
    """Remove rows of files that the view still shows, without a note."""
    from lamindb.files import view_sync
    from lamindb.maintenance import trash

    real = view_sync.announce
    view_sync.announce = lambda instance, leaving=(): real(instance)  # type: ignore[assignment]
    trash.trash = lambda files, instance: None  # type: ignore[assignment]


def sweep_needed() -> None:
    """Remove objects that rows need."""
    from lamindb.maintenance import gc

    gc._needed = lambda instance, names, runs=None: set()  # type: ignore[assignment]


def no_flush() -> None:
    """Flush nothing: a power cut, not a killed process, finds it."""
    _without_flushes("fsync_descriptor", "sync_file_system", "fsync_folder")


def no_data_flush() -> None:
    """Flush names, and not the data under them."""
    _without_flushes("fsync_descriptor", "sync_file_system")


def no_folder_flush() -> None:
    """Flush data, and not the names of it."""
    _without_flushes("fsync_folder")


def _without_flushes(*names: str) -> None:
    from lamindb.storage import local

    for name in names:
        setattr(local, name, lambda *args: None)


POWER_MUTANTS = {"no_flush": no_flush, "no_data_flush": no_data_flush, "no_folder_flush": no_folder_flush}
"""Missing flushes, which only a power cut finds."""

MUTANTS: dict[str, Callable[[], None]] = {
    "row_first": row_first,
    "in_place": in_place,
    "view_first": view_first,
    "one_by_one": one_by_one,
    "part_by_part": part_by_part,
    "forgetful": forgetful,
    "purge_at_once": purge_at_once,
    "sweep_needed": sweep_needed,
}
