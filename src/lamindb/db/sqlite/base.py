"""SQLite: Django's wrapper, and a check that the file is still the one that was opened."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3 import base, operations
from django.db.models.expressions import Col
from django.utils import dateparse

from lamindb.db.connection import Guarded, without_async_guard
from lamindb.db.utc import UTCOperations
from lamindb.errors import NoInstanceError

_GLOBS: Final = {"contains": "*{}*", "startswith": "{}*", "endswith": "*{}"}
_SPECIAL: Final = re.compile(r"[*?\[]")

_NAME: Final = "a"
"""The name of every column that is selected for records: they are told apart by their places."""

_UTC: Final = "Z"
"""What a stored time leaves out. No text that is not a time becomes one by it."""


class _TimeText:
    """The conversion of times that are selected as text."""

    quick = staticmethod(datetime.datetime.fromisoformat)
    """The same for times as they are usually stored; another raises ValueError."""

    def __call__(self, value: Any, expression: Any, connection: Any) -> Any:
        try:
            return self.quick(value)
        except ValueError:
            stored = dateparse.parse_datetime(value.removesuffix(_UTC))
        return None if stored is None else connection.ops.convert_datetimefield_value(stored, expression, connection)


class _Truth:
    """The conversion of truth values that are selected as numbers."""

    quick = staticmethod(bool)

    def __call__(self, value: Any, expression: Any, connection: Any) -> Any:
        del expression, connection
        return value == 1


class DatabaseOperations(UTCOperations, operations.DatabaseOperations):
    """SQL of SQLite, with times in UTC, and with patterns that take upper and lower case apart."""

    compiler_module = "lamindb.db.sqlite.compiler"

    def get_db_converters(self, expression: Any) -> Any:
        """Return the conversions of a value; the driver has made truth values of columns that are declared so."""
        found = super().get_db_converters(expression)
        return [one for one in found if one != self.convert_booleanfield_value] if type(expression) is Col else found

    def selected(self, field: Any, column: str) -> tuple[str, list[Any]]:
        """Return what is selected for a field's column: past the driver's conversions of declared types.

        The driver looks for one for each column of a statement, before it executes it; an expression has no type. It
        looks through the name of each, too, and makes a text of it, which takes longest for that of an expression.
        """
        kind = field.get_internal_type()
        if kind == "DateTimeField":
            return f"{column} || '{_UTC}' AS {_NAME}", [_TimeText()]
        return f"+{column} AS {_NAME}", [_Truth()] if kind == "BooleanField" else super().selected(field, column)[1]

    def pattern(self, lookup: str, text: str) -> str:
        """Return the pattern of `contains`, `startswith` or `endswith` for a text."""
        return _GLOBS[lookup].format(_SPECIAL.sub(r"[\g<0>]", text))

    def convert_datetimefield_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return a stored time as UTC; a third of the time of Django's own, in every row of a list."""
        if type(value) is datetime.datetime and value.tzinfo is None:
            return value.replace(tzinfo=datetime.UTC)
        return super().convert_datetimefield_value(value, expression, connection)


_NO_INDEX: Final = frozenset({"SQLITE_IOERR_SHMOPEN", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_SHMMAP"})
"""How SQLite says that the file beside a database through which its processes share an index cannot be made."""

_SHORT: Final = 4_000
"""Statements of at most so many characters are remembered as SQLite writes them."""


_execute: Final = sqlite3.Connection.execute


class Connection(sqlite3.Connection):
    """A connection that any thread can close: one that executes a statement meanwhile closes it at its end.

    To take the database away from under a statement would end the process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A handler of a signal, or a generator of parameters, may ask the database within a statement of its thread.
        self._in_use = threading.RLock()
        self._is_closing = False
        self.n_executed = 0
        """How many statements are executed: above 1, one within another."""

    def guarded(self, work: Callable[..., Any], *args: Any) -> Any:
        """Return what a function of the driver returns, which reads or changes the database."""
        try:
            with self._in_use:
                self.n_executed += 1
                try:
                    return work(*args)
                finally:
                    self.n_executed -= 1
        finally:
            if self._is_closing:
                self.close()

    def execute(self, *args: Any) -> Any:
        """Execute a statement."""
        return self.guarded(super().execute, *args)

    def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """Execute a statement, and return its rows."""
        # What `guarded` does, in place: by calls it takes a tenth of a short question.
        try:
            with self._in_use:
                self.n_executed += 1
                try:
                    return _execute(self, sql, values).fetchall()
                finally:
                    self.n_executed -= 1
        finally:
            if self._is_closing:
                self.close()

    def commit(self) -> None:
        """Commit."""
        self.guarded(super().commit)

    def rollback(self) -> None:
        """Roll back."""
        self.guarded(super().rollback)

    def hold(self) -> bool:
        """Let no other thread execute a statement until `release`; return False if one does, or is in a transaction."""
        if not self._in_use.acquire(blocking=False):
            return False
        if self.n_executed or self.in_transaction:
            self._in_use.release()
            return False
        return True

    def release(self) -> None:
        """Let other threads go on after `hold`."""
        self._in_use.release()
        if self._is_closing:
            self.close()

    def close(self) -> None:
        """Close it, now or at the end of the statements that are executed."""
        self._is_closing = True
        # A thread that does not get this lock leaves the closing to the one that has it, and looks for that at its end.
        if self._in_use.acquire(blocking=False):
            try:
                if not self.n_executed:
                    super().close()
            finally:
                self._in_use.release()


class Cursor(base.SQLiteCursorWrapper):
    """A cursor that can be closed after its connection: a query that is not read to its end outlives that."""

    connection: Connection

    def execute(self, query: Any, params: Any = None) -> Any:
        """Execute a statement."""
        return self.connection.guarded(super().execute, query, params)

    def executemany(self, query: Any, param_list: Any) -> Any:
        """Execute a statement for each of many parameters."""
        return self.connection.guarded(super().executemany, query, param_list)

    def fetchone(self) -> Any:
        """Return the next row."""
        return self.connection.guarded(super().fetchone)

    def fetchmany(self, *args: Any) -> Any:
        """Return the next rows."""
        return self.connection.guarded(super().fetchmany, *args)

    def fetchall(self) -> Any:
        """Return all further rows."""
        return self.connection.guarded(super().fetchall)

    def convert_query(self, query: str, *, param_names: Any = None) -> str:
        """Return a statement with the marks of SQLite; short ones are remembered, as they take no longer to execute."""
        if param_names is None and len(query) <= _SHORT:
            return _with_question_marks(query)
        converted: str = super().convert_query(query, param_names=param_names)  # type: ignore[misc]
        return converted

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(sqlite3.ProgrammingError):
            super().close()


@lru_cache(maxsize=256)
def _with_question_marks(sql: str) -> str:
    """Return a statement with the marks of SQLite."""
    converted: str = base.FORMAT_QMARK_REGEX.sub("?", sql)
    return converted.replace("%%", "%")


@without_async_guard
class DatabaseWrapper(Guarded, base.DatabaseWrapper):
    """A connection to the SQLite file of one instance."""

    ops_class = DatabaseOperations
    init_commands: list[str]
    transaction_mode: str | None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Open the file; it must exist, so that a deleted instance never comes back as an empty one."""
        try:
            raw = self._connect(conn_params, self.init_commands)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", None) not in _NO_INDEX:
                raise
            # The disk is full: the index that readers and writers share is kept in memory, and others out meanwhile.
            raw = self._connect(conn_params, ["PRAGMA locking_mode = EXCLUSIVE", *self.init_commands])
        self._path = unquote(urlsplit(str(self.settings_dict["NAME"])).path)
        found = _identity(self._path)
        # Kept for all threads until the instance is connected anew, so that no later connection takes another file.
        if found is None or found != self.settings_dict.setdefault("IDENTITY", found):
            raw.close()
            raise self._replaced()
        return raw

    def _connect(self, conn_params: dict[str, Any], commands: list[str]) -> Any:
        given, self.init_commands = self.init_commands, []
        # No column is named for a conversion: the driver need not look at the name of each for that.
        conn_params = {**conn_params, "factory": Connection, "detect_types": sqlite3.PARSE_DECLTYPES}
        try:
            # Bypass Django's async guard, which `super()` would keep: in a notebook an event loop always runs.
            raw = base.DatabaseWrapper.get_new_connection.__wrapped__(self, conn_params)  # type: ignore[attr-defined]
        finally:
            self.init_commands = given
        try:
            for command in commands:
                raw.execute(command).close()
        except BaseException:
            raw.close()
            raise
        return raw

    def create_cursor(self, name: str | None = None) -> Any:
        """Hand out a cursor, if the file is still there: SQLite itself would write into a deleted one without a word.

        Raises:
            NoInstanceError: The file was deleted, or replaced by another.
        """
        self._check_file()
        return self.connection.cursor(factory=Cursor)

    def driver_fetch(self, sql: str, values: Sequence[Any]) -> Any:
        """Execute a statement by the driver, and return its rows."""
        return self._open_connection().fetch(_with_question_marks(sql), values)

    def driver_run(self, sql: str, values: Sequence[Any]) -> Any:
        """Execute a statement by the driver, and return how many rows it changed."""
        return self._open_connection().execute(_with_question_marks(sql), values).rowcount

    def _open_connection(self) -> Connection:
        """Return the raw connection; a transaction is checked for its file at its begin and at its commit."""
        raw: Connection | None = self.connection
        if raw is None:
            self.ensure_connection()
            # Another thread may disconnect from the instance at any time.
            raw = self.connection
            if raw is None:
                raise NoInstanceError("the instance was disconnected meanwhile: connect it again")
        if not self.in_atomic_block and _identity(self._path) != self.settings_dict["IDENTITY"]:
            self._check_file()
        return raw

    def _start_transaction_under_autocommit(self) -> None:
        self.run(f"BEGIN {self.transaction_mode or ''}")

    def _commit(self) -> None:
        if self.connection is not None:
            self._check_file()
            super()._commit()  # type: ignore[misc]

    def _check_file(self) -> None:
        if _identity(self._path) != self.settings_dict["IDENTITY"]:
            self.drop()
            raise self._replaced()

    def _replaced(self) -> NoInstanceError:
        return NoInstanceError(
            f"the database {self._path} was deleted or replaced while it was open: "
            "make an instance by `lamin init` or connect one by ln.connect(PATH)"
        )

    def close(self) -> None:
        """Close this thread's connection."""
        self.validate_thread_sharing()
        BaseDatabaseWrapper.close.__wrapped__(self)  # type: ignore[attr-defined]


def _identity(path: str) -> tuple[int, ...] | None:
    """Return which file a path leads to, by its number and its device; None if to none."""
    try:
        return os.stat(path)[1:3]
    except OSError:
        return None
