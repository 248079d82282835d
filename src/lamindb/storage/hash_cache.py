"""Hashes of files by path and stat, so that unchanged files are not read again.

Losing the cache costs time and nothing else: every failure of it means that a file is read again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from lamindb.core import messages
from lamindb.core.hashing import Content
from lamindb.storage.base import FileStat

RACY_NS: Final = 2_000_000_000
"""A file that changed so shortly before it was hashed may change again with the same stat."""

_FILENAME: Final = "hashes-1.sqlite3"
_IN_ONE_QUERY: Final = 500
_MOST_BYTES: Final = 1 << 30
_MOST_WAITING: Final = 200
_SOON_BYTES: Final = 1 << 20
"""The sizes of files that are written at once add up to this at most: what a killed process lost is read again."""
_SIGN_BIT: Final = 1 << 63
_TABLE: Final = """
create table if not exists known (
    path blob primary key, size integer, mtime_ns integer, ctime_ns integer, inode integer, device integer,
    hash text, digest text
) without rowid
"""
_LISTS: Final = "create table if not exists right_files (first blob primary key, fingerprint text) without rowid"

_Row = tuple[int, int, int, int, int, str, str]
"""A row of the table without the path."""

_Entry = tuple[bytes, int, int, int, int, int, str, str]
_INSERT: Final = "insert or replace into known values (?, ?, ?, ?, ?, ?, ?, ?)"


class Known(NamedTuple):
    """The hashes of a file.

    Attributes:
        path: The file, absolute.
        stat: Its stat, the same before and after it was read.
        content: Its hashes and size; `hash` is empty where only the digest is known.
        hashed_at_ns: When reading began, in nanoseconds of the epoch; None for a read-only file, whose stat may be
            trusted at once.
    """

    path: str
    stat: FileStat
    content: Content
    hashed_at_ns: int | None = None


class _Waiting(dict[bytes, _Entry]):
    """Entries that are written later, by path.

    Attributes:
        forgets: How often any process had forgotten files when the first of them was put.
    """

    forgets = 0


class HashCache:
    """A small database of hashes in a folder of the user's.

    Safe for threads, forks and many processes at once. No method raises because the cache is damaged, locked, full
    or cannot be written: it then knows nothing. A damaged cache is dropped and made again. Its connection is closed by
    `close()`, or when nothing holds the cache any more.

    Args:
        folder: Where the cache is; made when it is first needed.
    """

    _inherited: ClassVar[list[sqlite3.Connection]] = []
    """Connections of a parent process. They outlive every cache: closing one would drop the parent's locks."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._path = Path(folder) / _FILENAME
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._made_by = os.getpid()
        self._waiting = _Waiting()
        self._finalizer: weakref.finalize[..., HashCache] | None = None

    def get(self, path: str, stat: FileStat) -> Content | None:
        """Return hashes and size of a file, if its stat is as when it was hashed."""
        return self.get_many([(path, stat)])[0]

    def get_many(self, files: Sequence[tuple[str, FileStat]]) -> list[Content | None]:
        """Return hashes and size of each file, or None, in the same order."""
        return [Content(row[5], row[6], row[0]) if row is not None and row[5] else None for row in self._look_up(files)]

    def digest(self, path: str, stat: FileStat) -> str | None:
        """Return the digest of a file, if its stat is as when it was hashed."""
        return self.digests([(path, stat)])[0]

    def digests(self, files: Sequence[tuple[str, FileStat]]) -> list[str | None]:
        """Return the digest of each file, or None, in the same order."""
        return [row[6] if row is not None else None for row in self._look_up(files)]

    def put(self, known: Known) -> None:
        """Remember one file."""
        self.put_many([known])

    def put_many(self, entries: Iterable[Known]) -> None:
        """Remember files; those that changed within 2 s before they were hashed are left out."""
        rows = _entries(entries)
        if rows:
            self._write(_INSERT, rows)

    def put_soon(self, entries: Iterable[Known]) -> None:
        """Remember files as `put_many` does: small ones are written with others, at the end at the latest.

        A process that is killed forgets those that wait. None wait in a forked process: it may end without our end.
        Where another process forgets files meanwhile, all that wait are forgotten, too: it may have meant those.
        """
        rows = _entries(entries)
        if not rows:
            return
        with self._lock:
            try:
                connection = self._open()
                if not self._waiting:
                    self._waiting.forgets = _forgets(connection)
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)
                return
            self._waiting.update((row[0], row) for row in rows)
            is_small = len(self._waiting) < _MOST_WAITING and sum(row[1] for row in rows) < _SOON_BYTES
            if is_small and os.getpid() == self._made_by:
                return
        self._write(_INSERT, ())

    def is_right(self, first: str, fingerprint: str) -> bool:
        """Return True if a list of files that begins with one is as `put_right` remembers it."""
        with self._lock:
            try:
                query = "select 1 from right_files where first = ? and fingerprint = ?"
                return self._open().execute(query, (os.fsencode(first), fingerprint)).fetchone() is not None
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)
                return False

    def put_right(self, first: str, fingerprint: str, mtime_ns: int, compared_at_ns: int) -> None:
        """Remember that the files of a list had the right bytes, unless one changed within 2 s before.

        Args:
            first: The path of the first file; another list that begins with it is forgotten.
            fingerprint: A digest of the paths, stats and right digests of all.
            mtime_ns: When the last of them changed.
            compared_at_ns: When they were looked up.
        """
        if mtime_ns < compared_at_ns - RACY_NS:
            self._write("insert or replace into right_files values (?, ?)", [(os.fsencode(first), fingerprint)])

    def forget(self, paths: Iterable[str]) -> None:
        """Forget these files."""
        self._write("delete from known where path = ?", [(os.fsencode(path),) for path in paths], forgets=1)

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        with self._lock:
            self._close()

    def _look_up(self, files: Sequence[tuple[str, FileStat]]) -> list[_Row | None]:
        found: dict[bytes, _Row] = {}
        names = [os.fsencode(path) for path, _ in files]
        # In the order of the table, each of its pages is read once.
        asked = sorted(names)
        with self._lock:
            try:
                connection = self._open()
                for start in range(0, len(asked), _IN_ONE_QUERY):
                    part = asked[start : start + _IN_ONE_QUERY]
                    query = f"select * from known where path in ({','.join('?' * len(part))})"
                    found.update((row[0], row[1:]) for row in connection.execute(query, part))
                if self._waiting and self._waiting.forgets != _forgets(connection):
                    self._waiting.clear()
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)
                return [None] * len(files)
            found.update((name, self._waiting[name][1:]) for name in names if name in self._waiting)
        rows = map(found.get, names)
        return [
            row if row is not None and row[:5] == _numbers(stat) else None
            for row, (_, stat) in zip(rows, files, strict=True)
        ]

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]], forgets: int = 0) -> None:
        with self._lock:
            try:
                connection = self._open()
                _write_waiting(connection, self._waiting)
                with connection:
                    connection.executemany(statement, rows)
                    if forgets:
                        connection.execute(f"pragma user_version = {(_forgets(connection) + forgets) % (1 << 31)}")
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)

    def _open(self) -> sqlite3.Connection:
        """Open the database, also after a fork: a connection of the parent's must not be used or closed."""
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        if self._connection is not None:
            self._inherited.append(self._connection)
        # What waits in a forked child is written by its parent.
        self._waiting = _Waiting()
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, timeout=2.0, check_same_thread=False)
        try:
            connection.execute("pragma synchronous = off")
            connection.execute("pragma journal_mode = wal")
            connection.execute(_TABLE)
            connection.execute(_LISTS)
            if os.stat(self._path).st_size > _MOST_BYTES:
                connection.execute("drop table known")
                connection.execute(_TABLE)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        self._connection, self._pid = connection, os.getpid()
        self._finalizer = weakref.finalize(self, _close_own, connection, self._pid, self._waiting)
        return connection

    def _give_up(self, error: Exception) -> None:
        """Close the database, and drop it if it is damaged; a locked one stays for the processes that use it."""
        messages.debug(f"hash cache {self._path} was not used: {error}")
        # To write them would wait for the same lock, or fail as this did.
        self._waiting.clear()
        self._close()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.unlink(f"{self._path}{suffix}")

    def _close(self) -> None:
        if self._connection is not None and self._pid == os.getpid():
            if self._finalizer is not None:
                self._finalizer()
            self._connection = None


class NoHashCache(HashCache):
    """Remembers nothing."""

    def __init__(self) -> None:
        super().__init__("")

    def _look_up(self, files: Sequence[tuple[str, FileStat]]) -> list[_Row | None]:
        return [None] * len(files)

    def is_right(self, first: str, fingerprint: str) -> bool:
        """Return False."""
        return False

    def put_soon(self, entries: Iterable[Known]) -> None:
        """Remember nothing."""

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]], forgets: int = 0) -> None:
        del statement, rows, forgets


def _close_own(connection: sqlite3.Connection, pid: int, waiting: _Waiting) -> None:
    if pid != os.getpid():
        HashCache._inherited.append(connection)
        return
    with contextlib.suppress(sqlite3.Error):
        _write_waiting(connection, waiting)
    with contextlib.suppress(sqlite3.Error):
        connection.close()


def _write_waiting(connection: sqlite3.Connection, waiting: _Waiting) -> None:
    if waiting:
        with connection:
            # Begun before the look: another process forgets files before it, or after the insert.
            connection.execute("begin immediate")
            if waiting.forgets == _forgets(connection):
                connection.executemany(_INSERT, list(waiting.values()))
        waiting.clear()


def _forgets(connection: sqlite3.Connection) -> int:
    """Return how often any process forgot files; the database counts it in its header."""
    [count] = connection.execute("pragma user_version").fetchone()
    return int(count)


def _entries(entries: Iterable[Known]) -> list[_Entry]:
    """Return what is written of files; those that changed within 2 s before they were hashed are left out."""
    return [
        (os.fsencode(entry.path), *_numbers(entry.stat), entry.content.hash, entry.content.digest)
        for entry in entries
        if entry.hashed_at_ns is None or entry.stat.mtime_ns < entry.hashed_at_ns - RACY_NS
    ]


def _numbers(stat: FileStat) -> tuple[int, int, int, int, int]:
    """Return the stat as numbers that SQLite can hold: signed, of 64 bits."""
    inode = stat.inode - (1 << 64) if stat.inode >= _SIGN_BIT else stat.inode
    device = stat.device - (1 << 64) if stat.device >= _SIGN_BIT else stat.device
    return stat.size, stat.mtime_ns, stat.ctime_ns, inode, device
