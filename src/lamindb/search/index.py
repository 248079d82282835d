"""Names that were searched before, kept ready for the next search as long as the database has not changed.

Reading and preparing 100,000 names takes longer than ranking them. Whether they are still right is asked of the
database each time: a marker that changes with every commit of anybody, so that no change can be missed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet

from lamindb.db import database
from lamindb.search.ranking import RankIndex

MOST_QUERIES = 4
MOST_NAMES = 500_000
"""How many records' names are kept at most in all; each name takes about 700 bytes."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a query found: names, the ids that have them, and the names made ready for searching.

    A record of several names comes several times, one after the other.
    """

    ids: list[Any]
    names: list[str]
    index: RankIndex


@dataclass(frozen=True, slots=True)
class _Kept:
    marker: tuple[Any, ...]
    rows: list[Any]
    found: Names


_lock = threading.Lock()
_kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()


def names_of(query: Any, fields: Sequence[str]) -> Names:
    """Return what the records of a query are called in some fields, from memory where that cannot have changed."""
    link = database.connection(query.db)
    wanted = query.values_list("id", *fields)
    try:
        sql, params = wanted.query.get_compiler(query.db).as_sql()
    except EmptyResultSet:
        return _prepared([], 1)
    # The marker comes first: what is committed between it and the rows makes the rows newer than it, never older.
    marker = _marker(link)
    key = (query.db, sql, repr(params))
    with _lock:
        known = _kept.get(key)
        if known is not None:
            _kept.move_to_end(key)
    if known is not None and marker is not None and _is_same(known.marker, marker):
        return known.found
    with link.cursor() as cursor:
        cursor.execute(sql, params)
        rows = cursor.fetchall()
    found = known.found if known is not None and known.rows == rows else _prepared(rows, len(fields))
    if marker is not None:
        _keep(key, _Kept(marker, rows, found))
    return found


def _prepared(rows: list[Any], count: int) -> Names:
    # A query without doubles also selects what it is ordered by, after what was asked for.
    if count == 1:
        pairs = [(row[0], row[1]) for row in rows if row[1]]
    else:
        pairs = [(row[0], name) for row in rows for name in dict.fromkeys(row[1 : count + 1]) if name]
    names = [name for _, name in pairs]
    return Names([key for key, _ in pairs], names, RankIndex(names))


def _marker(link: Any) -> tuple[Any, ...] | None:
    """Return what changes with every commit that this connection can see; None inside a transaction.

    A rollback would take back what a transaction saw of itself, and leave no trace.
    """
    if link.in_atomic_block:
        return None
    with link.cursor() as cursor:
        if link.vendor == "postgresql":
            cursor.execute("SELECT pg_current_snapshot()::text")
            return cursor.fetchone()  # type: ignore[no-any-return]
        cursor.execute("PRAGMA data_version")
        (version,) = cursor.fetchone()
    # It tells of other connections only; this one counts its own changes. Both mean something on this connection only.
    return link.connection, version, link.connection.total_changes


def _is_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(
        a is b or (a == b and isinstance(a, (int, str))) for a, b in zip(one, other, strict=True)
    )


def _keep(key: tuple[str, str, str], new: _Kept) -> None:
    with _lock:
        _kept[key] = new
        _kept.move_to_end(key)
        while _kept and (len(_kept) > MOST_QUERIES or sum(len(one.rows) for one in _kept.values()) > MOST_NAMES):
            _kept.popitem(last=False)
