"""Queries as tables: pandas frames, and HTML in notebooks."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lamindb.core.requirements import pip_install
from lamindb.errors import UnsupportedError

if TYPE_CHECKING:
    import pandas as pd

    from lamindb.models.query import RecordQuery

SHOWN_ROWS = 20
_NOT_SHOWN = frozenset({"updated_at", "trashed_at"})


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
        raise UnsupportedError(f"tables need pandas: {pip_install('pandas')}") from None
    chosen = getattr(query, "_fields", None)
    if chosen is not None:
        return pd.DataFrame.from_records(list(query.values(*chosen)), columns=list(chosen))
    columns = columns_of(query.model)
    rows = list(query.values_list(*columns))
    table = pd.DataFrame.from_records(rows, columns=columns)
    return table.set_index("id") if "id" in columns else table


def html_table(query: RecordQuery[Any]) -> str:
    """Return the first records of a query as an HTML table that says how many there are."""
    plain = query if query.query.is_sliced else query[: SHOWN_ROWS + 1]
    records = list(plain)[: SHOWN_ROWS + 1]
    return html_records(query.model, records, query.count() if len(records) > SHOWN_ROWS else len(records))


def html_records(model: Any, records: Sequence[Any], count: int, **first: Sequence[Any]) -> str:
    """Return the first of some records as an HTML table that says how many there are.

    Args:
        model: What kind they are.
        records: At least as many as are shown.
        count: How many there are in all.
        **first: Further columns, a value for each record, which come before the others.
    """
    columns = [name for name in columns_of(model) if name not in _NOT_SHOWN]
    rows = [
        (*(values[position] for values in first.values()), *(getattr(record, name) for name in columns))
        for position, record in enumerate(records[:SHOWN_ROWS])
    ]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in (*first, *columns))
    body = "".join("<tr>" + "".join(f"<td>{html.escape(_cell(value))}</td>" for value in row) + "</tr>" for row in rows)
    note = f"<p>and {count - len(rows):,} more</p>" if count > len(rows) else ""
    title = f"<caption>{model.__name__}</caption>"
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value.strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "strftime") else str(value)
