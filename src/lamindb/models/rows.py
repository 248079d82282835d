"""Rows by a condition in SQL: what a query of Django returns, without building the query.

A query of one row costs Django most of a millisecond before it reaches the database. The paths that every save takes
ask here instead. Columns and conversions come from the models, so that a new field cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

from django.db import connections

from lamindb.models.base import Record

_R = TypeVar("_R", bound=Record)
_Converter = Callable[[Any, Any, Any], Any]


def rows(model: type[_R], alias: str, condition: str, values: Sequence[Any] = ()) -> list[_R]:
    """Return the records of a kind for which a condition holds.

    Args:
        model: The kind of records.
        alias: The database.
        condition: What follows WHERE; `%s` stands for a value.
        values: The values.
    """
    connection: Any = connections[alias]
    names, columns, converters = _columns(model, connection.vendor)
    table = connection.ops.quote_name(model._meta.db_table)
    found = []
    for row in connection.fetch(f"SELECT {columns} FROM {table} WHERE {condition}", values):
        read = list(row)
        for position, expression, functions in converters:
            for function in functions:
                read[position] = function(read[position], expression, connection)
        found.append(model.from_db(alias, names, read))
    return found


def values(alias: str, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return what a statement of SQL reads; no value is converted."""
    connection: Any = connections[alias]
    found: list[tuple[Any, ...]] = connection.fetch(statement, parameters)
    return found


def marks(listed: Sequence[object]) -> str:
    """Return the marks of a list's values in a statement: `%s, %s`."""
    return ", ".join(["%s"] * len(listed))


@lru_cache(maxsize=32)
def _columns(model: type[Record], vendor: str) -> tuple[list[str], str, list[tuple[int, Any, Iterable[_Converter]]]]:
    """Return the names of a model's columns, as they are selected, and the conversions of those that need one."""
    connection = next(one for one in connections.all(initialized_only=True) if one.vendor == vendor)
    fields = model._meta.concrete_fields
    converters: list[tuple[int, Any, Iterable[_Converter]]] = []
    for position, field in enumerate(cast("Sequence[Any]", fields)):
        expression = field.cached_col
        of_backend = [_unbound(one) for one in connection.ops.get_db_converters(expression)]
        found = [*of_backend, *field.get_db_converters(connection)]
        if found:
            converters.append((position, expression, found))
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    return [field.attname for field in fields], columns, converters


def _unbound(converter: Any) -> _Converter:
    """Return a conversion that asks the connection it is given, not the one by which it was found."""
    name = converter.__name__
    own = getattr(converter, "__self__", None)
    if own is None:
        return converter  # type: ignore[no-any-return]
    return lambda value, expression, connection: getattr(connection.ops, name)(value, expression, connection)
