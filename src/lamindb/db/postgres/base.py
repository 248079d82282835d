"""PostgreSQL through psycopg 3: Django's wrapper, and a fresh connection after the server dropped the old one."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base, operations

from lamindb.db.connection import Guarded, without_async_guard
from lamindb.db.utc import UTCOperations


class DatabaseOperations(UTCOperations, operations.DatabaseOperations):
    """What PostgreSQL calls things, in UTC."""


@without_async_guard
class DatabaseWrapper(Guarded, base.DatabaseWrapper):
    """A connection to the PostgreSQL database of one instance."""

    ops_class = DatabaseOperations

    def ensure_connection(self) -> None:
        """Have a connection; outside a transaction, one that the server closed is opened again."""
        if self.connection is not None and not self.in_atomic_block and self._was_dropped():
            self.drop()
        # Named outright: through `super()` it would refuse to work while an event loop runs, as in every notebook.
        BaseDatabaseWrapper.ensure_connection.__wrapped__(self)  # type: ignore[attr-defined]

    def _was_dropped(self) -> bool:
        """Read what the server sent unasked, without waiting: first its last words, then the end."""
        import psycopg

        try:
            for _ in range(2):
                self.connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return True
        return bool(self.connection.closed)
