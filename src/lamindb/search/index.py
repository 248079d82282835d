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
from django.db import models

from lamindb.db import database
from lamindb.errors import InvalidInputError, InvalidTypeError, UnsupportedError
from lamindb.models import File, Run, User, field_names
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


ALSO: dict[Any, tuple[str, ...]] = {File: ("key",), Run: ("transform__name",), User: ("name",)}
"""What else records of a kind are called: compared too, unless the field is said. The best of a record counts."""


class Hits(list[Any]):
    """Records, the best first, with their scores.

    Attributes:
        scores: How well each fits, from 0 to 100.
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
            raise UnsupportedError("tables need pandas: run pip install 'lamindb[table]'") from None
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

        # A list may be changed after the search, and its scores no longer tell which record is which.
        first = {"score": [round(score, 1) for score in self.scores]} if len(self) == len(self.scores) else {}
        return html_records(self._model, self, len(self), **first)


def search(query: Any, text: str, options: dict[str, Any]) -> Any:
    """Rank the records of a query by how well they fit a text; of equal ones the newest come first.

    Compared is the field that the options name, else all that records of this kind are called by.

    Raises:
        InvalidTypeError: What is looked for, or the field, is no text.
        InvalidInputError: The limit is no number from 0.
        UnknownFieldError: There is no such field.
    """
    if not isinstance(text, str):
        raise InvalidTypeError(f"search() takes text, not a {type(text).__name__}")
    field = _text_field(query.model, options.get("field"))
    fields = [field] if options.get("field") else [field, *ALSO.get(query.model, ())]
    limit = _checked_limit(options)
    found = _names(query, fields)
    places: Sequence[int] = range(len(found.ids))
    index = found.index
    if options.get("case_sensitive"):
        words = list(dict.fromkeys(text.split()))
        places = [place for place, name in enumerate(found.names) if all(word in name for word in words)]
        index = RankIndex([found.names[place] for place in places])
    ranked: dict[Any, float] = {}
    for row, score in index.rank(text, None if limit is None else limit * len(fields)):
        ranked.setdefault(found.ids[places[row]], score)
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
        raise InvalidTypeError(f"search() compares text, and {path[0]!r} of a {model.__name__} is none: use a filter")
    return path[0]


def _checked_limit(options: dict[str, Any]) -> int | None:
    limit = options.get("limit", 20)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidInputError(f"limit must be a number from 0 or None, not {limit!r}")
    return 1 if options.get("top_hit") else limit


def _names(query: Any, fields: list[str]) -> Names:
    """Return the names under which the records of a query are searched, the newest first."""
    if query.query.is_sliced:
        query = query.model.objects.using(query.db).filter(id__in=[record.id for record in query])
    return names_of(query.order_by("-created_at", "-id"), fields)
