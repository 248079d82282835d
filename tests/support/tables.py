"""The tables of a new SQLite database, migrated once in a process and copied from then on.

All migrations take a sixth of a second, and most tests make an instance.
"""

from __future__ import annotations

import sqlite3

from lamindb.db import database, migrate


class Tables:
    """Migrates as the library does, except that an empty SQLite database gets a copy of what that led to before."""

    def __init__(self) -> None:
        self._real_migrate = migrate._migrate
        # A test may change which migrations there are.
        self._copies: dict[frozenset[str], sqlite3.Connection] = {}

    def migrate(self, alias: str) -> None:
        """Migrate a database."""
        link = database.connection(alias)
        wanted = frozenset(migrate.known())
        if link.vendor != "sqlite" or migrate.applied(alias):
            self._real_migrate(alias)
        elif wanted in self._copies:
            self._copies[wanted].backup(link.connection)
        else:
            self._real_migrate(alias)
            kept = sqlite3.connect(":memory:", check_same_thread=False)
            link.connection.backup(kept)
            self._copies[wanted] = kept

    def close(self) -> None:
        """Forget the copies."""
        for kept in self._copies.values():
            kept.close()
        self._copies.clear()
