"""Finding records by what somebody remembers of their names; the order is the same on every database."""

from __future__ import annotations

from typing import Any

from lamindb.core import ranking
from lamindb.core.errors import InvalidInputError, InvalidTypeError, UnsupportedError
from lamindb.models import names


class Hits(list[Any]):
    """Records, the best first, with their scores.

    Attributes:
        scores: How well each fits, from 0 to 100.
    """

    def __init__(self, records: list[Any], scores: list[float], field: str) -> None:
        super().__init__(records)
        self.scores = scores
        self._field = field

    def df(self) -> Any:
        """Return the records as a pandas `DataFrame`, indexed by the field that was searched, with `score`."""
        try:
            import pandas as pd
        except ImportError:
            raise UnsupportedError("tables need pandas: run pip install 'lamindb[table]'") from None
        from lamindb.models.frames import columns_of

        if not self:
            return pd.DataFrame({"id": [], "score": []}, index=pd.Index([], name=self._field))
        columns = [name for name in columns_of(type(self[0])) if name != self._field]
        table = pd.DataFrame.from_records(
            [tuple(getattr(record, name) for name in columns) for record in self], columns=columns
        )
        table.insert(0, "score", self.scores)
        table.index = pd.Index([getattr(record, self._field) for record in self], name=self._field)
        return table


def search(query: Any, text: str, options: dict[str, Any]) -> Any:
    """Rank the records of a query by how well a text field fits.

    Raises:
        InvalidTypeError: The text is none.
        UnknownFieldError: There is no such field.
    """
    if not isinstance(text, str):
        raise InvalidTypeError(f"search() takes text, not a {type(text).__name__}")
    field = options.get("field") or query.model.SEARCH_FIELD
    if not isinstance(field, str):
        field = getattr(getattr(field, "field", None), "name", str(field))
    real = names.canonical(query.model, [field])[-1]
    if real not in {f.name for f in query.model._meta.concrete_fields}:
        raise names.unknown_field(query.model, field)
    limit = options.get("limit", 20)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidInputError(f"limit must be a number from 0 or None, not {limit!r}")
    if options.get("top_hit"):
        limit = 1
    pairs = query.exclude(**{f"{real}__isnull": True}).order_by("-created_at", "-id").values_list("id", real)
    rows = [(key, value) for key, value in pairs if value]
    if options.get("case_sensitive"):
        rows = [(key, value) for key, value in rows if all(word in value for word in text.split())]
    found = ranking.rank(text, rows, limit)
    ids = [rows[index][0] for index, _ in found]
    records = query.model.objects.using(query.db).in_bulk(ids)
    hits = Hits([records[key] for key in ids if key in records], [score for _, score in found], real)
    if options.get("top_hit"):
        return hits[0] if hits else None
    return hits
