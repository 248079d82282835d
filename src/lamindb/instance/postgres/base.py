"""PostgreSQL through psycopg 3: Django's wrapper, and a fresh connection after the server dropped the old one."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base

from lamindb.instance.connection import Guarded, without_async_guard


@without_async_guard
class DatabaseWrapper(Guarded, base.DatabaseWrapper):
    """A connection to the PostgreSQL database of one instance."""

    def create_cursor(self, name: str | None = None) -> Any:
        """Hand out a cursor; outside a transaction, a connection that the server closed is opened again first."""
        if self.connection is not None and self.connection.closed and not self.in_atomic_block:
            self.drop()
            self.connect()
        # Named outright: through `super()` it would refuse to work while an event loop runs, as in every notebook.
        return base.DatabaseWrapper.create_cursor.__wrapped__(self, name)  # type: ignore[attr-defined]
