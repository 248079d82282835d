"""Bulk writes: one statement for many rows, with values adapted to the database."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import models

AT_ONCE = 2_000
"""Rows in a batch, so that memory does not grow with the number of rows."""


def insert_many(
    link: Any,
    records: Sequence[models.Model],
    *,
    ignore_conflicts: bool = False,
    overwritten: Sequence[str] = (),
) -> None:
    """Insert records of one kind inside the open transaction, without reading anything back.

    Args:
        link: The connection.
        records: Unsaved records, all fields set. Ids that the database makes are left out.
        ignore_conflicts: Keep rows that exist already as they are.
        overwritten: Columns to set in rows that exist already, by their ids.

    Raises:
        django.db.IntegrityError: A constraint refuses a row; the transaction has to be rolled back.
    """
    if not records:
        return
    fields = [f for f in records[0]._meta.concrete_fields if not isinstance(f, models.BigAutoField)]
    names = [f.attname for f in fields]
    adapt = _adapter(link)
    quote = link.ops.quote_name
    columns = ", ".join(quote(f.column) for f in fields)
    marks = ", ".join(["%s"] * len(fields))
    table = quote(records[0]._meta.db_table)
    ending = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    if overwritten:
        changes = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in overwritten)
        ending = f" ON CONFLICT (id) DO UPDATE SET {changes}"
    with link.cursor() as cursor:
        for part in chunks(records, AT_ONCE):
            rows = [tuple(adapt(record.__dict__[name]) for name in names) for record in part]
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks}){ending}", rows)


def _adapter(link: Any) -> Any:
    is_postgres = link.vendor == "postgresql"
    adapt_time = link.ops.adapt_datetimefield_value
    encode = None
    if is_postgres:
        from psycopg.types.json import Jsonb

        encode = Jsonb

    def adapt(value: Any) -> Any:
        if isinstance(value, datetime.datetime):
            return adapt_time(value)
        if isinstance(value, (dict, list)):
            return encode(value) if encode is not None else json.dumps(value)
        return value

    return adapt


def chunks(values: Iterable[Any], size: int = 500) -> Iterator[list[Any]]:
    """Yield values in lists of at most `size`: databases limit the number of values in a statement."""
    part: list[Any] = []
    for value in values:
        part.append(value)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
