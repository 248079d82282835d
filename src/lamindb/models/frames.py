"""Queries as tables: pandas frames, and HTML in notebooks."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from lamindb.core.errors import UnsupportedError

if TYPE_CHECKING:
    import pandas as pd

    from lamindb.models.query import RecordQuery

_SHOWN_ROWS = 20


def columns_of(model: Any) -> list[str]:
    """Return the columns that tables show of a model: plain fields first, then relations as ids."""
    plain = [f.attname for f in model._meta.concrete_fields if not f.is_relation]
    related = [f.attname for f in model._meta.concrete_fields if f.is_relation]
    hidden = {f.attname for f in model._meta.concrete_fields if f.name in model.HIDDEN}
    return [name for name in plain + related if name not in hidden]


def frame(query: RecordQuery[Any]) -> pd.DataFrame:
    """Return a query as a `DataFrame`, indexed by id where it has one.

    Raises:
        UnsupportedError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise UnsupportedError("tables need pandas: run pip install 'lamindb[table]'") from None
    chosen = getattr(query, "_fields", None)
    if chosen is not None:
        return pd.DataFrame.from_records(list(query.values(*chosen)), columns=list(chosen))
    columns = columns_of(query.model)
    rows = list(query.values_list(*columns))
    table = pd.DataFrame.from_records(rows, columns=columns)
    return table.set_index("id") if "id" in columns else table


def html_table(query: RecordQuery[Any]) -> str:
    """Return the first records of a query as an HTML table that says how many there are."""
    columns = [name for name in columns_of(query.model) if name not in {"updated_at", "trashed_at"}]
    plain = query if query.query.is_sliced else query[: _SHOWN_ROWS + 1]
    rows = [tuple(getattr(record, name) for name in columns) for record in list(plain)[: _SHOWN_ROWS + 1]]
    more = query.count() - _SHOWN_ROWS if len(rows) > _SHOWN_ROWS else 0
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in rows[:_SHOWN_ROWS]
    )
    note = f"<p>and {more:,} more</p>" if more > 0 else ""
    title = f"<caption>{query.model.__name__}</caption>"
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value.strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "strftime") else str(value)
