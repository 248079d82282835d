"""Search: read the names of a query's records, rank them, and cache the prepared names.

Reading and preparing 100,000 names takes longer than ranking them. The cache is valid while the database has not
changed: each search reads an identifier of its state that changes with every commit of any process.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models

from lamindb.core import context
from lamindb.core.requirements import pip_install
from lamindb.db import database
from lamindb.errors import InvalidInputError, InvalidTypeError, UnsupportedError
from lamindb.models import File, Run, User, field_names
from lamindb.search.ranking import RankIndex

MOST_QUERIES = 4
MOST_NAMES = 500_000
"""The maximum number of records in the cache of an instance; each name takes about 700 bytes."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a query's records, the id for each name, and their index.

    A record with several names has several consecutive entries.
    """

    ids: list[Any]
    names: list[str]
    index: RankIndex


@dataclass(frozen=True, slots=True)
class _CachedNames:
    state_id: tuple[Any, ...]
    rows: list[Any]
    found: Names


class NamesCache:
    """The prepared names of an instance's recent searches, the least recently used first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: OrderedDict[tuple[str, str], _CachedNames] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self._names)

    def get(self, key: tuple[str, str]) -> _CachedNames | None:
        """Return the names of a query, or None."""
        with self._lock:
            found = self._names.get(key)
            if found is not None:
                self._names.move_to_end(key)
            return found

    def put(self, key: tuple[str, str], new: _CachedNames) -> None:
        """Store the names of a query, and evict others if there are too many."""
        with self._lock:
            names = self._names
            names[key] = new
            names.move_to_end(key)
            while names and (len(names) > MOST_QUERIES or sum(len(one.rows) for one in names.values()) > MOST_NAMES):
                names.popitem(last=False)

    def after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held."""
        self._lock = threading.Lock()


def names_of(query: Any, fields: Sequence[str]) -> Names:
    """Return the names in some fields of a query's records, from the cache if the database has not changed."""
    connection = database.connection(query.db)
    wanted = query.values_list("id", *fields)
    try:
        sql, params = wanted.query.get_compiler(query.db).as_sql()
    except EmptyResultSet:
        return _prepared([], 1)
    # Read before the rows: a commit in between makes the rows newer than the identifier, never older.
    state_id = _state_id(connection)
    key = (sql, repr(params))
    instance = context.connected(query.db)
    cache = instance.part(NamesCache) if instance is not None else NamesCache()
    known = cache.get(key)
    if known is not None and state_id is not None and _is_same(known.state_id, state_id):
        return known.found
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows = cursor.fetchall()
    found = known.found if known is not None and known.rows == rows else _prepared(rows, len(fields))
    if state_id is not None:
        cache.put(key, _CachedNames(state_id, rows, found))
    return found


def _prepared(rows: list[Any], count: int) -> Names:
    # A `distinct()` query also selects the fields of its order, after those asked for.
    if count == 1:
        pairs = [(row[0], row[1]) for row in rows if row[1]]
    else:
        pairs = [(row[0], name) for row in rows for name in dict.fromkeys(row[1 : count + 1]) if name]
    names = [name for _, name in pairs]
    return Names([key for key, _ in pairs], names, RankIndex(names))


def _state_id(connection: Any) -> tuple[Any, ...] | None:
    """Return an identifier of the database's state that changes with every commit; None inside a transaction.

    A rollback would undo changes that were read, and leave the identifier as it was.
    """
    if connection.in_atomic_block:
        return None
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_current_snapshot()::text")
            return cursor.fetchone()  # type: ignore[no-any-return]
        cursor.execute("PRAGMA data_version")
        (version,) = cursor.fetchone()
    # data_version covers other connections, total_changes ours; both are per connection.
    return connection.connection, version, connection.connection.total_changes


def _is_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(
        a is b or (a == b and isinstance(a, (int, str))) for a, b in zip(one, other, strict=True)
    )


OTHER_NAMES: dict[Any, tuple[str, ...]] = {File: ("key",), Run: ("transform__name",), User: ("name",)}
"""Fields that are compared besides `SEARCH_FIELD`, unless a field is given. A record is ranked by its best match."""


class Hits(list[Any]):
    """Records with their scores, the best first.

    Attributes:
        scores: The score of each record, from 0 to 100.
    """

    def __init__(self, model: Any, records: list[Any], scores: list[float], field: str) -> None:
        super().__init__(records)
        self.scores = scores
        self._model = model
        self._field = field

    def df(self) -> Any:
        """Return the records as a pandas `DataFrame`, indexed by the field that was searched, with `score`."""
        try:
            import pandas as pd
        except ImportError:
            raise UnsupportedError(f"a DataFrame needs pandas: {pip_install('pandas')}") from None
        from lamindb.models.dataframe import columns_of

        if not self:
            return pd.DataFrame({"id": [], "score": []}, index=pd.Index([], name=self._field))
        columns = [name for name in columns_of(type(self[0])) if name != self._field]
        table = pd.DataFrame.from_records(
            [tuple(getattr(record, name) for name in columns) for record in self], columns=columns
        )
        table.insert(0, "score", self.scores)
        table.index = pd.Index([getattr(record, self._field) for record in self], name=self._field)
        return table

    def _repr_html_(self) -> str:
        from lamindb.models.dataframe import html_records

        # The list may have been changed after the search; then the scores do not match the records.
        scores = {"score": [round(score, 1) for score in self.scores]} if len(self) == len(self.scores) else {}
        return html_records(self._model, self, len(self), **scores)


def search(query: Any, text: str, options: dict[str, Any]) -> Any:
    """Return the records of a query ranked by how well they match a text; among equal ones the newest is first.

    The option `field` is compared if given, else all names of this kind of record.

    Raises:
        InvalidTypeError: `text` or the field is not text.
        InvalidInputError: The limit is negative or not a number.
        UnknownFieldError: There is no such field.
    """
    if not isinstance(text, str):
        raise InvalidTypeError(f"search() takes text, not {type(text).__name__}")
    field = _text_field(query.model, options.get("field"))
    fields = [field] if options.get("field") else [field, *OTHER_NAMES.get(query.model, ())]
    limit = _checked_limit(options)
    found = _names(query, fields)
    positions: Sequence[int] = range(len(found.ids))
    index = found.index
    if options.get("case_sensitive"):
        words = list(dict.fromkeys(text.split()))
        positions = [i for i, name in enumerate(found.names) if all(word in name for word in words)]
        index = RankIndex([found.names[i] for i in positions])
    ranked: dict[Any, float] = {}
    for row, score in index.rank(text, None if limit is None else limit * len(fields)):
        ranked.setdefault(found.ids[positions[row]], score)
    best = list(ranked)[:limit]
    records = query.model.objects.using(query.db).in_bulk(best)
    known = [(records[key], ranked[key]) for key in best if key in records]
    if options.get("top_hit"):
        return known[0][0] if known else None
    return Hits(query.model, [record for record, _ in known], [score for _, score in known], field)


def _text_field(model: Any, wanted: Any) -> str:
    field = wanted or model.SEARCH_FIELD
    if not isinstance(field, str):
        field = getattr(getattr(field, "field", None), "name", str(field))
    path = field_names.canonical(model, [field])
    fields = {found.name: found for found in model._meta.concrete_fields}
    if len(path) != 1 or path[0] not in fields:
        raise field_names.unknown_field(model, field)
    if not isinstance(fields[path[0]], (models.CharField, models.TextField)):
        raise InvalidTypeError(f"search() compares text, but {path[0]!r} of {model.__name__} is not text: use a filter")
    return path[0]


def _checked_limit(options: dict[str, Any]) -> int | None:
    limit = options.get("limit", 20)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidInputError(f"limit must be a number from 0 or None, not {limit!r}")
    return 1 if options.get("top_hit") else limit


def _names(query: Any, fields: list[str]) -> Names:
    """Return the names of a query's records, the newest first."""
    if query.query.is_sliced:
        query = query.model.objects.using(query.db).filter(id__in=[record.id for record in query])
    return names_of(query.order_by("-created_at", "-id"), fields)
