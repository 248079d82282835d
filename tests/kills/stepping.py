"""Numbered steps: every call that changes something outside the process, so that a process can be ended at each.

`install` goes into a child right after its fork. It wraps the calls of `os` that the library makes, the statements and
commits of the database, and the requests to an object store. A write counts twice: before it, and in its midst.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

CALLS = ("fsync", "fdatasync", "rename", "replace", "link", "symlink", "unlink", "remove", "mkdir", "rmdir", "chmod")
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

Hook = Callable[[int, str], None]


class Steps:
    """Counts steps, and calls a hook at each; see `die_at`."""

    def __init__(self, hook: Hook | None = None) -> None:
        self.names: list[str] = []
        self._hook = hook
        self._lock = threading.RLock()
        self._in_hook = False

    def step(self, name: str) -> None:
        with self._lock:
            if self._in_hook:
                return
            self.names.append(name)
            if self._hook is not None:
                self._in_hook = True
                try:
                    self._hook(len(self.names), name)
                finally:
                    self._in_hook = False


def die_at(wanted: int) -> Hook:
    """Return a hook that ends the process, as `kill -9` does, before one step."""

    def hook(number: int, name: str) -> None:
        if number == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def fail_at(wanted: int, number: int) -> Hook:
    """Return a hook that lets one step fail as the system would, with an error number."""

    def hook(step: int, name: str) -> None:
        if step == wanted:
            raise OSError(number, os.strerror(number), "/the/place/where/it/failed")

    return hook


def install(steps: Steps, *, only_changes: bool = True) -> None:
    """Number everything that this process does from now on."""
    _wrap_os(steps)
    _wrap_database(steps, only_changes)
    _wrap_flush(steps)
    _wrap_buckets(steps)


def _wrap_os(steps: Steps) -> None:
    def wrap(name: str) -> None:
        real = getattr(os, name)

        def stepped(*args: Any, **kwargs: Any) -> Any:
            steps.step(f"{name} {_shown(args)}")
            return real(*args, **kwargs)

        setattr(os, name, stepped)

    for name in CALLS:
        wrap(name)
    real_open, real_write = os.open, os.write

    def stepped_open(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & _CHANGES:
            steps.step(f"open {_shown((path,))}")
        return real_open(path, flags, *args, **kwargs)

    def stepped_write(descriptor: int, data: Any) -> int:
        steps.step("write")
        half = memoryview(data)[: len(data) // 2]
        if half:
            # Dying here leaves half of it; living on writes the rest, as a system may do, too.
            written = real_write(descriptor, half)
            steps.step("write, the second half")
            return written + real_write(descriptor, memoryview(data)[written:])
        return real_write(descriptor, data)

    os.open, os.write = stepped_open, stepped_write  # type: ignore[assignment]


def _shown(args: tuple[Any, ...]) -> str:
    return " ".join(os.path.basename(os.fspath(arg))[-40:] for arg in args if isinstance(arg, str | os.PathLike))


def _wrap_database(steps: Steps, only_changes: bool) -> None:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

    from lamindb.db.connection import Guarded

    for kind, name in (
        (CursorWrapper, "execute"),
        (CursorWrapper, "executemany"),
        (Guarded, "fetch"),
        (Guarded, "run"),
    ):
        real = getattr(kind, name)

        def stepped(self: Any, sql: Any, *args: Any, _real: Any = real, **kwargs: Any) -> Any:
            text = " ".join(str(sql).split())
            if not only_changes or not text.upper().startswith("SELECT"):
                steps.step(f"sql {text[:60]}")
            return _real(self, sql, *args, **kwargs)

        setattr(kind, name, stepped)
    real_commit = BaseDatabaseWrapper._commit

    def stepped_commit(self: Any) -> None:
        steps.step("commit")
        real_commit(self)
        steps.step("committed")

    BaseDatabaseWrapper._commit = stepped_commit  # type: ignore[method-assign]


def _wrap_flush(steps: Steps) -> None:
    from lamindb.storage import local

    real = local.sync_file_system

    def stepped(descriptor: int) -> None:
        steps.step("flush the file system")
        real(descriptor)

    local.sync_file_system = stepped


def _wrap_buckets(steps: Steps) -> None:
    try:
        import obstore
    except ImportError:
        return
    for name in ("put", "delete"):
        real = getattr(obstore, name)

        def stepped(store: Any, path: Any, *args: Any, _real: Any = real, _name: str = name, **kwargs: Any) -> Any:
            steps.step(f"{_name} {str(path)[-40:]}")
            result = _real(store, path, *args, **kwargs)
            steps.step(f"{_name} done {str(path)[-40:]}")
            return result

        setattr(obstore, name, stepped)
