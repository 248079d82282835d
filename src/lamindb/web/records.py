"""The record that a typed text names: by its id, its key, or the beginning of its id."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from lamindb.db import database
from lamindb.lineage import sql
from lamindb.models import File, Run, Transform
from lamindb.web import responses

SHORTEST: Final = 8
"""Pages show so many characters of an id; fewer begin too many ids."""
MOST: Final = 20
"""So many records whose ids begin alike are listed or counted."""
MODELS: Final = (File, Run, Transform)
_LENGTH: Final = 20
"""The length of the longest ids."""
_BEGINNING: Final = re.compile(rf"[0-9A-Za-z]{{{SHORTEST},{_LENGTH}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Named:
    """What a text names.

    Attributes:
        record: The file, run or transform; None if there is none, or not only one.
        count: How many ids begin with the text, if that is why there is no record; above `MOST`, one more.
    """

    record: Any = None
    count: int = 0

    def problem(self, label: str) -> str:
        """Return what is wrong with the text of a form's field; "" if it names a record."""
        if self.record is not None:
            return ""
        if self.count:
            many = f"{self.count}" if self.count <= MOST else f"More than {MOST}"
            return f"{many} ids begin with what stands in the field “{label}”: type more of the one that you mean."
        return (
            f"No file, run or transform has the key or id in the field “{label}”. The first {SHORTEST} characters of "
            "an id are enough."
        )


def named(alias: str, text: str) -> Named:
    """Return what a text names: an id goes before the key of a current file, and this before the beginning of an id."""
    if not text or "\0" in text:
        return Named()
    begins = _begins(text)
    bound, params = begins if begins is not None else ("id = %s", [text])
    arms = [(bound, params, model._meta.db_table) for model in MODELS]
    arms.append(("key = %s AND is_latest AND trashed_at IS NULL", [text], File._meta.db_table))
    by_id: list[tuple[Any, str]] = []
    by_key: list[tuple[Any, str]] = []
    for arm, record_id in _found(alias, arms):
        (by_id if arm < len(MODELS) else by_key).append(((*MODELS, File)[arm], record_id))
    exact = [one for one in by_id if one[1] == text]
    only = [*exact, *by_key, *(by_id if len(by_id) == 1 else ())]
    if not only:
        return Named(count=min(len(by_id), MOST + 1))
    model, record_id = only[0]
    related = ("transform",) if model is Run else ()
    return Named(model.objects.using(alias).select_related(*related).filter(id=record_id).order_by().first())


def beginning_with(alias: str, text: str, models: Iterable[Any] = MODELS) -> list[tuple[Any, str]]:
    """Return the models and ids of records whose ids begin with a text, at most one more than `MOST` of each model."""
    begins = _begins(text)
    if begins is None:
        return []
    asked = tuple(models)
    return [(asked[arm], one) for arm, one in _found(alias, [(*begins, model._meta.db_table) for model in asked])]


def missing(alias: str, model: Any, record_id: str) -> Exception:
    """Return the error for the id of an address that no record has: it leads on where only one id begins so."""
    what = model.__name__.lower()
    begun = beginning_with(alias, record_id, [model])
    if len(begun) == 1:
        return responses.IncompleteId(begun[0][1])
    if begun:
        many = f"{len(begun)}" if len(begun) <= MOST else f"More than {MOST}"
        return responses.PageError(
            404, f"{many} {what}s have ids that begin with `{record_id}`: the search lists them."
        )
    return responses.not_found(what)


def _begins(text: str) -> tuple[str, list[Any]] | None:
    """Return the condition that an id begins with a text; None if the text begins no id, or is too short."""
    if not _BEGINNING.fullmatch(text):
        return None
    # A locale may sort letters without regard to their case: among its few neighbours, the index finds what is close.
    return "id >= %s AND id <= %s AND substr(id, 1, %s) = %s", [text, text.ljust(_LENGTH, "z"), len(text), text]


def _found(alias: str, arms: list[tuple[str, list[Any], str]]) -> Any:
    """Return rows of a number and an id for several conditions on tables, in one statement; each reads few rows."""
    selects = (
        f"SELECT * FROM (SELECT {n} AS arm, id FROM {table} WHERE {condition} ORDER BY id LIMIT {MOST + 1}) a{n}"
        for n, (condition, _, table) in enumerate(arms)
    )
    params = [one for _, values, _ in arms for one in values]
    return sql.fetch(database.connection(alias), " UNION ALL ".join(selects), params)
