"""Locks of a server's database that writers of files take, in one order; all end with their transaction.

SQLite has one writer at a time anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

_WRITERS: Final = "lamindb writers"
"""The lock that every writer of files shares, and garbage collection has for itself."""

MANY: Final = 50
"""Who wants more locks than these takes all."""


def take(link: Any, names: Iterable[str]) -> None:
    """Make writers of the same things wait for each other until the end of this transaction.

    A writer of few locks those; a writer of many locks all. Garbage collection excludes both. Names are locked in one
    order, so that two writers never wait for each other in a circle.
    """
    wanted = sorted(set(names))
    if len(wanted) > MANY:
        take_all(link)
        return
    share(link)
    if link.vendor == "postgresql":
        with link.cursor() as cursor:
            for name in wanted:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def share(link: Any) -> None:
    """Keep garbage collection out, beside other writers, until the end of this transaction."""
    if link.vendor == "postgresql":
        with link.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [_WRITERS])


def take_all(link: Any) -> None:
    """Wait until no writer is in the midst of a transaction, and keep them all out until the end of this one."""
    if link.vendor == "postgresql":
        with link.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_WRITERS])


def of_file(stem: str, storage_id: str, keys: Iterable[str | None]) -> list[str]:
    """Name the locks of a file's versions and of the keys that it has, leaves or takes."""
    return [f"versions {stem}", *(of_key(storage_id, key) for key in keys if key is not None)]


def of_key(storage_id: str, key: str) -> str:
    """Name the lock of a key in a storage."""
    return f"key {storage_id} {key}"
