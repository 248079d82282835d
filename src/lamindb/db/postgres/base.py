"""PostgreSQL through psycopg 3: Django's wrapper, and a fresh connection after the server dropped the old one."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base, operations
from django.db.backends.postgresql.psycopg_any import BaseTzLoader  # type: ignore[import-untyped]

from lamindb.db.connection import Guarded, without_async_guard
from lamindb.db.utc import UTCOperations

_LIKES: Final = {"contains": "%{}%", "startswith": "{}%", "endswith": "%{}"}


class DatabaseOperations(UTCOperations, operations.DatabaseOperations):
    """SQL of PostgreSQL, with times in UTC."""

    def pattern(self, lookup: str, text: str) -> str:
        """Return the pattern of `contains`, `startswith` or `endswith` for a text."""
        return _LIKES[lookup].format(self.prep_for_like_query(text))


class _TimeLoader(BaseTzLoader):  # type: ignore[misc]
    """Reads a time in UTC, in a tenth of the time of Django's own, which is most of what a list of records costs."""

    timezone = datetime.UTC

    def load(self, data: Any) -> Any:
        """Return the time; another form than the usual one is left to the driver."""
        try:
            found = datetime.datetime.fromisoformat(bytes(data).decode())
        except ValueError:
            return super().load(data)
        return found if found.tzinfo is datetime.UTC else super().load(data)


@without_async_guard
class DatabaseWrapper(Guarded, base.DatabaseWrapper):
    """A connection to the PostgreSQL database of one instance."""

    ops_class = DatabaseOperations

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a new connection of the driver."""
        connection = base.DatabaseWrapper.get_new_connection.__wrapped__(self, conn_params)  # type: ignore[attr-defined]
        if self.timezone is datetime.UTC:
            connection.adapters.register_loader("timestamptz", _TimeLoader)
        return connection

    def ensure_connection(self) -> None:
        """Open a connection if there is none; outside a transaction, reconnect if the server closed it."""
        if self.connection is not None and not self.in_atomic_block and self._was_dropped():
            self.drop()
        # Bypass Django's async guard, which `super()` would keep: in a notebook an event loop always runs.
        BaseDatabaseWrapper.ensure_connection.__wrapped__(self)  # type: ignore[attr-defined]

    def driver_fetch(self, sql: str, values: Sequence[Any]) -> Any:
        """Execute a statement by the driver, and return its rows."""
        return self._driver_execute(sql, values).fetchall()

    def driver_run(self, sql: str, values: Sequence[Any]) -> Any:
        """Execute a statement by the driver, and return how many rows it changed."""
        return self._driver_execute(sql, values).rowcount

    def _driver_execute(self, sql: str, values: Sequence[Any]) -> Any:
        self.ensure_connection()
        return self.create_cursor().execute(sql, values)

    def _was_dropped(self) -> bool:
        """Return True if the server ended the connection: read its last message and the end, without waiting."""
        import psycopg

        try:
            for _ in range(2):
                self.connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return True
        return bool(self.connection.closed)
