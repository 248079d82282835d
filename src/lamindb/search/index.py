"""Search: rank the names of the records that may fit what was typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models

from lamindb.core.requirements import pip_install
from lamindb.db import database
from lamindb.errors import InvalidInputError, InvalidTypeError, UnsupportedError
from lamindb.models import File, Run, User, field_names
from lamindb.search import candidates
from lamindb.search.candidates import Candidates
from lamindb.search.ranking import RankIndex

OTHER_NAMES: dict[Any, tuple[str, ...]] = {File: ("key",), Run: ("transform__name",), User: ("name",)}
"""Fields that are compared besides `SEARCH_FIELD`, unless a field is given. A record is ranked by its best match."""


class Hits(list[Any]):
    """Records with their scores, the best first.

    Attributes:
        scores: The score of each record, from 0 to 100.
        note: Why others may fit that were not compared, in words; None if all were that may.
    """

    def __init__(self, model: Any, records: list[Any], scores: list[float], field: str, note: str | None) -> None:
        super().__init__(records)
        self.scores = scores
        self.note = note
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
    hits = search_together([query], text, options)[0]
    return (hits[0] if hits else None) if options.get("top_hit") else hits


def search_together(queries: Sequence[Any], text: str, options: dict[str, Any]) -> list[Hits]:
    """Return the hits of several queries of one database, which ask it together; arguments are those of `search`."""
    if not isinstance(text, str):
        raise InvalidTypeError(f"search() takes text, not {type(text).__name__}")
    limit = _checked_limit(options)
    asked = []
    for query in queries:
        field = _text_field(query.model, options.get("field"))
        fields = [field] if options.get("field") else [field, *OTHER_NAMES.get(query.model, ())]
        # Of the copy, no query of Django is made yet: it asks for the best by a statement that is compiled once.
        whole, kept = query, query.all()
        if query.query.is_sliced:
            whole = kept = query.model.objects.using(query.db).filter(id__in=[record.id for record in query])
        asked.append((whole, kept, fields))
    found = candidates.answered(
        queries[0].db,
        [candidates.search(query, fields, text, limit) for query, _, fields in asked],
    )
    pairs = zip(asked, found, strict=True)
    return [_hits(kept, fields, ranked, text, options, limit) for (_, kept, fields), ranked in pairs]


def _hits(
    query: Any, fields: list[str], found: Candidates, text: str, options: dict[str, Any], limit: int | None
) -> Hits:
    """Return the best candidates."""
    # A record with several names has several consecutive entries.
    named = [(row[0], name) for row in found.rows for name in dict.fromkeys(row[1:]) if name]
    if options.get("case_sensitive"):
        words = list(dict.fromkeys(text.split()))
        named = [(key, name) for key, name in named if all(word in name for word in words)]
    ranked: dict[Any, float] = {}
    index = RankIndex([name for _, name in named])
    for row, score in index.rank(text, None if limit is None else limit * len(fields)):
        ranked.setdefault(named[row][0], score)
    best = list(ranked)[:limit]
    records = {one.id: one for chunk in database.chunks(best) for one in query.order_by().filter(id__in=chunk)}
    known = [(records[key], ranked[key]) for key in best if key in records]
    return Hits(query.model, [record for record, _ in known], [score for _, score in known], fields[0], found.note)


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
