"""Finding records by what somebody remembers of their names; the order is the same on every database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models

from lamindb.errors import InvalidInputError, InvalidTypeError, UnsupportedError
from lamindb.models import File, Run, User, field_names
from lamindb.search import index as search_index
from lamindb.search.index import Names
from lamindb.search.ranking import RankIndex

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
    return search_index.names_of(query.order_by("-created_at", "-id"), fields)
