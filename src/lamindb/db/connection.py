"""What our two database connections share: disconnecting, forks and event loops.

Django closes its connections at the ends of web requests and refuses to work under a running event loop. A library
in a notebook needs the opposite, so each database has a subclass of Django's own wrapper, with this class mixed in.
"""

from __future__ import annotations

import atexit
import os
import re
import threading
import time
import weakref
from asyncio import _get_running_loop  # What it exports for event loops.
from collections.abc import Sequence
from types import TracebackType
from typing import Any, ClassVar, Final

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import (
    DatabaseError,
    DatabaseErrorWrapper,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from lamindb import errors
from lamindb.instance.move_note import MOVED

KEPT: Final = "OF_THREAD"
"""Under this name the settings of a database keep the connection of each thread."""

_remembered: Final = vars(settings)
"""The settings that Django was asked for: it forgets those that change, and asking it for one takes three calls."""

GONE: Final = "this asks an instance that is disconnected: connect it again, and query anew"

_SECONDS_BEFORE_FORK: Final = 5.0
_SECONDS_BETWEEN_LOOKS: Final = 0.001

_live: weakref.WeakSet[Guarded] = weakref.WeakSet()
"""Every wrapper of every thread, so that disconnecting and forking reach all of them."""


class TranslatedOperationalError(errors.DatabaseError, OperationalError):
    """The database failed: ours for the caller, Django's for Django."""


class TranslatedReadOnlyError(errors.ReadOnlyError, OperationalError):
    """The database can be read but not written."""


class TranslatedMissingError(errors.NoInstanceError, OperationalError):
    """The database is gone."""


class TranslatedDamagedError(errors.DatabaseError, DatabaseError):
    """The file is no database, or a damaged one."""


class TranslatedDataError(errors.InvalidInputError, DataError):
    """The database cannot hold this value."""


class TranslatedIntegrityError(errors.ConflictError, IntegrityError):
    """A constraint refuses this: two processes wrote what excludes each other."""


_ABSENT: Final = re.compile('FATAL: +database "(.*)" does not exist')

# What PostgreSQL says, in whatever language: https://www.postgresql.org/docs/current/errcodes-appendix.html
_READ_ONLY: Final = "25006"
_NO_RIGHT: Final = "42501"
_LOCKED: Final = "55P03"
_FULL: Final = "53100"
_DAMAGED: Final = frozenset({"XX001", "XX002"})
_UNTYPED: Final = frozenset({_READ_ONLY, _NO_RIGHT, *_DAMAGED})
"""Of these, the driver makes internal and programming errors, although nothing is wrong with the program."""


def _state_of(error: BaseException) -> str | None:
    """Return the code that PostgreSQL gave to an error."""
    state: str | None = getattr(error.__cause__, "sqlstate", None)
    return state


def _translate(error: Exception) -> Exception:
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, IntegrityError) and text == "datatype mismatch":
        return TranslatedDataError(f"a number is larger than the database can hold: {text}")
    if isinstance(error, IntegrityError):
        about = "a record that this belongs to was deleted meanwhile, or is referred to"
        if "foreign key" not in text.lower():
            about = "another process wrote what this excludes"
        return TranslatedIntegrityError(f"{about}: query your records anew and call again ({text})")
    state = _state_of(error)
    if "readonly database" in text or state == _READ_ONLY:
        return TranslatedReadOnlyError(f"the instance can only be read: {text}")
    if state == _NO_RIGHT:
        return TranslatedReadOnlyError(f"the database does not allow that to its user: {text}")
    if state in _DAMAGED:
        return _damaged(text)
    absent = _ABSENT.search(text)
    if absent is not None:
        import shlex

        return TranslatedOperationalError(
            f"the database {absent[1]!r} does not exist on the server: make it first, for example by "
            f"`createdb {shlex.quote(absent[1])}` with the host and user of the address"
        )
    if MOVED in text:
        return TranslatedMissingError(text)
    if "unable to open database file" in text:
        return TranslatedMissingError(
            "the database of this instance is gone (deleted or moved?): connect another by ln.connect(PATH)"
        )
    if "database is locked" in text or state == _LOCKED:
        return TranslatedOperationalError(
            "the database stayed locked by another process: end that process's transaction and call again"
        )
    if "disk I/O error" in text:
        return TranslatedOperationalError(
            "the disk that holds the database is full, or fails (disk I/O error): free some space and call again"
        )
    if "disk is full" in text or state == _FULL:
        return TranslatedOperationalError("the disk that holds the database is full: free some space and call again")
    if isinstance(error, DataError):
        return TranslatedDataError(f"the database cannot hold this value: {text}")
    return TranslatedOperationalError(f"the database failed: {text}")


def _damaged(reason: object) -> TranslatedDamagedError:
    return TranslatedDamagedError(
        f"the database is damaged ({reason}): put a backup in its place, or see `lamin restore`"
    )


class _Translator:
    """Wraps Django's own translation of driver errors and goes on to ours where a user could act on it."""

    def __init__(self, wrapper: Any) -> None:
        self._inner = DatabaseErrorWrapper(wrapper)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            return
        try:
            self._inner.__exit__(kind, value, trace)
        except (OperationalError, InterfaceError, DataError, IntegrityError) as error:
            if isinstance(error, errors.LaminError):
                raise
            raise _translate(error) from value
        except (InternalError, ProgrammingError) as error:
            if _state_of(error) not in _UNTYPED:
                raise
            raise _translate(error) from value
        except DatabaseError as error:
            if "read-only transaction" in str(error) and not isinstance(error, errors.LaminError):
                raise _translate(error) from value
            if type(error) is not DatabaseError:
                raise
            raise _damaged(error) from value

    def __call__(self, function: Any) -> Any:
        def inner(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return inner


def without_async_guard(cls: type) -> type:
    """Remove Django's refusal to work while an event loop runs, on this class only.

    In a notebook an event loop always runs; a query there blocks the cell, as users expect.
    """
    marker = BaseDatabaseWrapper.close.__code__
    for name in dir(cls):
        method = getattr(cls, name, None)
        inner = getattr(method, "__wrapped__", None)
        if inner is not None and getattr(method, "__code__", None) is marker and name not in vars(cls):
            setattr(cls, name, inner)
    return cls


class Guarded:
    """Mixed in before a Django database wrapper.

    `fetch` and `run` execute statements without Django's cursors, which cost several times as much as the short
    statements of a save.
    """

    by_driver: ClassVar[bool] = True
    """Whether `fetch` and `run` pass by Django's cursors; tests switch it off."""

    alias: str
    settings_dict: dict[str, Any]
    connection: Any
    in_atomic_block: bool
    savepoint_ids: list[Any]
    atomic_blocks: list[Any]
    needs_rollback: bool
    _lost_transaction: bool = False
    execute_wrappers: list[Any]
    force_debug_cursor: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owner_pid = os.getpid()
        _live.add(self)

    @property
    def wrap_database_errors(self) -> _Translator:
        """Translate driver errors to Django's and ours."""
        translator: _Translator | None = self.__dict__.get("_translator")
        if translator is None:
            translator = self.__dict__["_translator"] = _Translator(self)
        return translator

    def fetch(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement, and return the rows that it reads, as the driver makes them.

        Args:
            sql: The statement; `%s` stands for a value.
            values: The values.
        """
        if self._is_watched():
            with self.cursor() as cursor:  # type: ignore[attr-defined]
                cursor.execute(sql, values)
                return list(cursor.fetchall())
        try:
            found: list[tuple[Any, ...]] = self.driver_fetch(sql, values)
        except Exception:
            with self.wrap_database_errors:
                raise
        return found

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement that changes rows, and return how many it changed; for the arguments see `fetch`."""
        if self._is_watched():
            with self.cursor() as cursor:  # type: ignore[attr-defined]
                cursor.execute(sql, values)
                return int(cursor.rowcount)
        try:
            changed: int = self.driver_run(sql, values)
        except Exception:
            with self.wrap_database_errors:
                raise
        return changed

    def _is_watched(self) -> bool:
        """Return True if statements have to pass Django's cursors: something there looks at them, or refuses them."""
        if self.execute_wrappers or self.needs_rollback or self.force_debug_cursor or not self.by_driver:
            return True
        is_debugged = _remembered.get("DEBUG")
        return bool(settings.DEBUG if is_debugged is None else is_debugged)

    def driver_fetch(self, sql: str, values: Sequence[Any]) -> Any:
        """Execute a statement by the driver, on a connection that is opened if need be, and return its rows."""
        raise NotImplementedError

    def driver_run(self, sql: str, values: Sequence[Any]) -> Any:
        """Execute a statement by the driver as `driver_fetch` does, and return how many rows it changed."""
        raise NotImplementedError

    def connect(self) -> None:
        """Open the connection, unless this process disconnected from the instance meanwhile.

        Raises:
            NoInstanceError: This process disconnected from the instance; another thread still has its records.
        """
        registered = connections.settings.get(self.alias)
        if registered is not self.settings_dict:
            # After a transaction that lost its connection, what follows in its block must not be written by itself.
            if registered is None or self._lost_transaction or self.in_atomic_block:
                raise errors.NoInstanceError(
                    "this record belongs to an instance that is disconnected: connect it again and query it anew"
                )
            # Another thread connected the instance again.
            self.settings_dict = registered
        with self.wrap_database_errors:
            try:
                BaseDatabaseWrapper.connect.__wrapped__(self)  # type: ignore[attr-defined]
            except NotSupportedError as error:
                self.drop()
                raise TranslatedOperationalError(f"the database is too old: {error}") from error
        self._guard(self.connection)

    def _guard(self, raw: Any) -> None:
        """Have the raw connection closed when its thread has ended and nothing holds this wrapper any more.

        A `__del__` would come too late: of things that refer to each other in a ring, drivers may be asked first.
        """
        self._unguard()
        self._finalizer = weakref.finalize(self, _close_own, raw, os.getpid())
        self._finalizer.atexit = False

    def _unguard(self) -> None:
        finalizer: Any = self.__dict__.pop("_finalizer", None)
        if finalizer is not None:
            finalizer.detach()

    def drop(self) -> None:
        """Close the raw connection from any thread and forget any transaction it was in."""
        raw, self.connection = self.connection, None
        self._unguard()
        self._lost_transaction |= self.in_atomic_block
        self._forget_transaction()
        if raw is not None:
            raw.close()

    def leak(self) -> None:
        """Forget a connection inherited by fork without closing it: it belongs to the parent process."""
        if self.connection is not None:
            import ctypes

            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.connection))
        self._unguard()
        self.connection = None
        self._forget_transaction()

    def _forget_transaction(self) -> None:
        self.in_atomic_block = False
        self.savepoint_ids = []
        self.atomic_blocks = []
        self.needs_rollback = False

    def __del__(self) -> None:
        raw = self.__dict__.get("connection")
        self.__dict__["connection"] = None
        if raw is not None and self.__dict__.get("_owner_pid") == os.getpid():
            raw.close()


def _close_own(raw: Any, pid: int) -> None:
    if pid == os.getpid():
        raw.close()


def of_thread(alias: str) -> Any:
    """Return this thread's connection to a database; under an event loop, that of the task.

    Django's look-up takes longer than most of what lies between a short question and its database.

    Raises:
        NoInstanceError: The instance is disconnected.
    """
    registered = connections.settings.get(alias)
    if registered is None:
        raise errors.NoInstanceError(GONE)
    kept = None if _get_running_loop() is not None else registered.get(KEPT)
    if kept is None:
        return connections[alias]
    try:
        return kept.connection
    except AttributeError:
        kept.connection = connections[alias]
        return kept.connection


def close_alias(alias: str) -> None:
    """Close every connection of this process, in all threads, to one database."""
    for wrapper in list(_live):
        if wrapper.alias == alias:
            wrapper.drop()


class _Rest:
    """Keeps the transactions of other threads out of a fork.

    SQLite has the locks of all connections of a process in its memory, too: a child would find those of threads that
    it has not, and wait for them in vain.
    """

    def __init__(self) -> None:
        self._held: dict[int, list[Any]] = {}
        """By the thread that forks, the connections that wait for that."""

    def begin(self) -> None:
        """Wait until no other thread is in a transaction, some seconds at most, and let none begin one."""
        deadline = time.monotonic() + _SECONDS_BEFORE_FORK
        while (held := self._hold()) is None:
            if time.monotonic() > deadline:
                return
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        self._held[threading.get_ident()] = held

    def end(self) -> None:
        """Let the other threads go on."""
        for raw in self._held.pop(threading.get_ident(), ()):
            raw.release()

    def end_in_child(self) -> None:
        """Let go in the child, and forget the connections of its parent."""
        self.end()
        self._held.clear()
        for wrapper in list(_live):
            wrapper.leak()

    def _hold(self) -> list[Any] | None:
        """Hold the connections of other threads; None, and none is held, if one is in use."""
        held: list[Any] = []
        for wrapper in list(_live):
            raw: Any = wrapper.__dict__.get("connection")
            if not hasattr(raw, "hold") or wrapper.__dict__["_thread_ident"] == threading.get_ident():
                continue
            if not raw.hold():
                for one in held:
                    one.release()
                return None
            held.append(raw)
        return held


_rest: Final = _Rest()
os.register_at_fork(before=_rest.begin, after_in_parent=_rest.end, after_in_child=_rest.end_in_child)


def _close_at_exit() -> None:
    """Close this thread's connections when the process ends; other threads may be using theirs."""
    for wrapper in list(_live):
        if getattr(wrapper, "_thread_ident", None) == threading.get_ident():
            wrapper.drop()


# Handlers run in reverse order: the runs of this process, which are watched later, are ended first.
atexit.register(_close_at_exit)
