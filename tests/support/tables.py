"""The tables of a new SQLite database, made once in a process and copied from then on: most tests make an instance."""

from __future__ import annotations

import sqlite3

from lamindb.db import database, migrate


class Tables:
    """Makes tables as the library does, except that a SQLite database gets a copy of those that were made before."""

    def __init__(self) -> None:
        self._real_create = migrate._create
        # A test may change which migrations there are.
        self._copies: dict[frozenset[str], sqlite3.Connection] = {}

    def create(self, alias: str) -> None:
        """Make the tables of an empty database."""
        link = database.connection(alias)
        wanted = frozenset(migrate.known())
        if link.vendor != "sqlite":
            self._real_create(alias)
        elif wanted in self._copies:
            self._copies[wanted].backup(link.connection)
        else:
            self._real_create(alias)
            kept = sqlite3.connect(":memory:", check_same_thread=False)
            link.connection.backup(kept)
            self._copies[wanted] = kept

    def close(self) -> None:
        """Forget the copies."""
        for kept in self._copies.values():
            kept.close()
        self._copies.clear()
