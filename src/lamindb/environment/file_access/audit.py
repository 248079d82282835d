"""Files that this process opens, seen by two layers: Python's audit events, and wrappers around compiled readers.

Python raises an event for every file that it opens itself. Libraries that open files in compiled code raise none; the
entry points of known ones are wrapped. No file is read or written here. Without a watch, an event costs one look at an
attribute.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lamindb.core import messages, paths

Stamp = tuple[int, int, int]
"""Inode, size and modification time in ns: it differs once the file has changed."""

_WRITING: Final = os.O_WRONLY | os.O_RDWR
_CREATING: Final = os.O_CREAT | os.O_TRUNC
_STARTS: Final = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"})
_MOST_FILES: Final = 100_000


@dataclass(slots=True)
class Seen:
    """What was seen of one file.

    Attributes:
        path: Absolute, as it was opened.
        layers: What saw it: `audit`, `wrapper:NAME`, `strace`.
        read_stamp: Its stamp when it was first read; None if it was not read, or was written before.
        is_written: It was written, or another file was renamed to it.
    """

    path: str
    layers: set[str] = field(default_factory=set)
    read_stamp: Stamp | None = None
    is_written: bool = False


class Watch:
    """Files that are opened while it is active."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self.children = 0
        self.is_full = False
        self._cwd = str(paths.working_folder())
        self._lock = threading.Lock()
        self._known: set[tuple[object, bool]] = set()
        self._pid = os.getpid()

    def start(self) -> Watch:
        """Begin to watch."""
        _hook.add(self)
        return self

    def stop(self) -> None:
        """Stop watching; what was seen stays."""
        _hook.remove(self)

    def opened(self, path: object, *, reads: bool, writes: bool, layer: str) -> None:
        """Note that a file is about to be opened, whether or not that succeeds."""
        text = self._absolute(path)
        if text is None:
            return
        stamp = stamp_of(text) if reads else None
        with self._lock:
            found = self._entry(text)
            if found is None:
                return
            found.layers.add(layer)
            if reads and not found.is_written and found.read_stamp is None:
                found.read_stamp = stamp
            found.is_written = found.is_written or writes

    def event(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Note an audit event."""
        if name == "open":
            path, _, flags = arguments
            if isinstance(path, int) or not isinstance(flags, int):
                return
            writes = bool(flags & (_WRITING | _CREATING))
            known = (path, writes)
            if known in self._known:
                return
            self._known.add(known)
            self.opened(path, reads=not flags & os.O_WRONLY and not flags & os.O_TRUNC, writes=writes, layer="audit")
        elif name == "sqlite3.connect":
            self.opened(arguments[0], reads=True, writes=True, layer="audit")
        elif name == "os.rename":
            self.renamed(arguments[0], arguments[1])
        elif name == "os.link":
            self.opened(arguments[1], reads=False, writes=True, layer="audit")
        elif name == "os.remove":
            self._forget(arguments[0])
        elif name == "os.chdir":
            self._known.clear()
            self._cwd = os.path.normpath(os.path.join(self._cwd, os.fsdecode(arguments[0])))
        elif name in _STARTS and not (name == "os.posix_spawn" and _is_of_popen()):
            self.children += 1

    def renamed(self, source: object, target: object, layer: str = "audit") -> None:
        """Note that a file or folder got another name: the new name counts as written."""
        before, after = self._absolute(source), self._absolute(target)
        if before is None or after is None:
            return
        with self._lock:
            moved = self.seen.pop(before, None)
            new = self._entry(after)
            if new is not None:
                new.is_written = True
                new.layers.add(layer)
                new.layers |= moved.layers if moved is not None else set()
            for path in [path for path in self.seen if path.startswith(before + "/")]:
                inner = self.seen.pop(path)
                inner.path = after + path[len(before) :]
                self.seen[inner.path] = inner
        self._known = {known for known in self._known if self._absolute(known[0]) not in (before, after)}

    def _forget(self, path: object) -> None:
        text = self._absolute(path)
        with self._lock:
            found = self.seen.get(text or "")
            if found is not None and found.is_written and found.read_stamp is None:
                del self.seen[found.path]
        self._known.discard((path, True))
        self._known.discard((path, False))

    def _entry(self, path: str) -> Seen | None:
        found = self.seen.get(path)
        if found is None:
            if len(self.seen) >= _MOST_FILES:
                self.is_full = True
                return None
            found = self.seen[path] = Seen(path)
        return found

    def _absolute(self, path: Any) -> str | None:
        try:
            text = os.fsdecode(path)
        except (TypeError, ValueError):
            return None
        if "://" in text:
            if not text.startswith("file://"):
                return None
            text = text[7:]
        return os.path.normpath(os.path.join(self._cwd, text)) if text else None

    @property
    def is_own(self) -> bool:
        """Whether this process began it, and not the parent from which it was forked."""
        return self._pid == os.getpid()


def _is_of_popen() -> bool:
    """Return True if `subprocess`, which has an event of its own, starts a program in another way, as from 3.13 on."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    popen = getattr(sys.modules.get("subprocess"), "Popen", None)
    return frame.f_code is getattr(getattr(popen, "_posix_spawn", None), "__code__", None)


_EVENTS: Final = frozenset({"open", "os.rename", "os.link", "os.remove", "os.chdir", "sqlite3.connect"}) | _STARTS


class _Hook:
    """Passes the audit events of this process to its watches."""

    def __init__(self) -> None:
        self._watches: tuple[Watch, ...] = ()
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._is_installed = False

    def add(self, watch: Watch) -> None:
        """Pass events to a watch from now on."""
        with self._lock:
            self._watches = (*self._watches, watch)
            if self._is_installed:
                return
            self._is_installed = True
        sys.addaudithook(self._event)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def remove(self, watch: Watch) -> None:
        """Pass nothing to a watch any more; idempotent."""
        with self._lock:
            self._watches = tuple(other for other in self._watches if other is not watch)

    @contextlib.contextmanager
    def unseen(self) -> Iterator[None]:
        """Pass on nothing that this thread does inside the block."""
        before = getattr(self._thread, "is_unseen", False)
        self._thread.is_unseen = True
        try:
            yield
        finally:
            self._thread.is_unseen = before

    def note(self, paths: Iterable[object], *, reads: bool, writes: bool, layer: str) -> None:
        """Pass on that files are opened; never raises."""
        if not self._watches or getattr(self._thread, "is_unseen", False):
            return
        with self.unseen():
            try:
                for path in paths:
                    for watch in self._watches:
                        watch.opened(path, reads=reads, writes=writes, layer=layer)
            except Exception as error:
                messages.debug(f"a file that was opened was not noted: {error!r}")

    def _event(self, name: str, arguments: tuple[Any, ...]) -> None:
        """Pass on an audit event; an error here would make the user's own call fail."""
        if not self._watches or name not in _EVENTS or getattr(self._thread, "is_unseen", False):
            return
        with self.unseen():
            try:
                for watch in self._watches:
                    watch.event(name, arguments)
            except Exception as error:
                messages.debug(f"an event of {name} was not noted: {error!r}")

    def _forget(self) -> None:
        """Watch nothing in a forked child: its files belong to no run of its parent."""
        self._watches = ()
        self._lock, self._thread = threading.Lock(), threading.local()


# One for the process: Python cannot remove an audit hook, and has no other place to keep one.
_hook: Final = _Hook()


def note(paths: Iterable[object], *, reads: bool, writes: bool, layer: str) -> None:
    """Note that a library opens files; called by wrappers, and never raises."""
    _hook.note(paths, reads=reads, writes=writes, layer=layer)


def unseen() -> contextlib.AbstractContextManager[None]:
    """Return a context manager; what this thread does inside it is not noted: it is lamindb's own work."""
    return _hook.unseen()


def stamp_of(path: str) -> Stamp | None:
    """Return the stamp of a path; None where nothing is there."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
