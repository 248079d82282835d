"""Pages of a query, the newest records first: each starts where the one before ended, so that all cost the same."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q

from lamindb.core import ids
from lamindb.errors import InvalidInputError

MOST: Final = 1_000
"""The maximum number of records on a page."""

_SEPARATOR: Final = "~"


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a query, the newest first.

    Attributes:
        records: The records.
        next: What to pass as `after` to get the following ones; None if there are none.
    """

    records: list[Any]
    next: str | None


def page_of(query: Any, after: str | None, size: int, by: str) -> Page:
    """Return the records of a query that follow a cursor, by a time field and id, the newest first.

    The query reads no more rows than the page has, if an index begins with what it filters by and ends with the field.

    Raises:
        InvalidInputError: `after` is no cursor of such a page, `size` is not a number from 1 to 1,000, or the query is
            cut, a union, or one for values.
    """
    if type(size) is not int or not 1 <= size <= MOST:
        raise InvalidInputError(f"size must be a number from 1 to {MOST:,}, not {size!r}")
    if after is not None:
        query = query.filter(_after(after, by))
    if not query.is_whole:
        raise InvalidInputError("only a query that is not cut and no union has pages: filter it before")
    if query._fields is not None:
        raise InvalidInputError("only a query for records has pages: take the values of each page's records")
    found = query.first_in((f"-{by}", "-id"), size + 1)
    last = found[size - 1] if len(found) > size else None
    return Page(found[:size], None if last is None else f"{getattr(last, by).isoformat()}{_SEPARATOR}{last.id}")


def _after(cursor: str, by: str) -> Q:
    """Return the condition for what follows a cursor.

    Databases search an index for `a <= x AND (a < x OR id < y)`; for `a < x OR (a = x AND id < y)` they scan it.
    """
    at, _, last = cursor.partition(_SEPARATOR) if isinstance(cursor, str) else ("", "", "")
    try:
        time = datetime.datetime.fromisoformat(at)
        if time.tzinfo is None:
            raise ValueError(at)
    except ValueError:
        time = None
    if time is None or not ids.is_id(last):
        raise InvalidInputError(f"{ascii(cursor)} is not a place in a list: pass `next` of the page before")
    return Q(**{f"{by}__lte": time}) & (Q(**{f"{by}__lt": time}) | Q(id__lt=last))
