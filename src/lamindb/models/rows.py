"""Rows of a table as records: what a query of Django makes of them, in a fraction of its time.

A query of one row costs Django most of a millisecond before it reaches the database. The paths that every save takes
ask here by a condition in SQL, and every list makes its records here. Columns and conversions come from the models, so
that a new field cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar, cast

from django.db import connections, models
from django.db.models.base import ModelState

from lamindb.db.connection import of_thread
from lamindb.db.database import ALIAS_PREFIX
from lamindb.errors import NoInstanceError

_R = TypeVar("_R", bound=models.Model)
_Converter = Callable[[Any, Any, Any], Any]

_Maker = Callable[[Any, Any, Iterable[Sequence[Any]]], list[Any]]
"""Returns records of a model for rows that a connection read."""


Conversion = tuple[str, _Converter, Any]
"""The name of a column, a function of Django's that converts its values, and the expression to pass to that."""

# Past `Record.__setattr__`, which takes what is set for a change of the record.
_set_attributes: Final[Callable[[Any, dict[str, Any]], None]] = models.Model.__dict__.get(
    "__dict__", next(vars(base)["__dict__"] for base in models.Model.__mro__ if "__dict__" in vars(base))
).__set__


class Columns(NamedTuple):
    """How the columns of a model are read.

    Attributes:
        names: The name of each.
        selected: What is selected for it, in SQL.
        make: Makes the records of rows.
        make_quickly: The same where all values are as they usually are; it raises ValueError if one is not.
    """

    names: tuple[str, ...]
    selected: tuple[str, ...]
    make: _Maker
    make_quickly: _Maker

    def records(self, model: type[_R], connection: Any, found: Sequence[Sequence[Any]]) -> list[_R]:
        """Return a record for each row of all columns, or the values of others, as Django makes them."""
        try:
            return self.make_quickly(model, connection, found)
        except ValueError:
            return self.make(model, connection, found)


def rows(model: type[_R], alias: str, condition: str, values: Sequence[Any] = ()) -> list[_R]:
    """Return the records of a kind for which a condition holds.

    Args:
        model: The kind of records.
        alias: The database.
        condition: What follows WHERE; `%s` stands for a value.
        values: The values.
    """
    connection = of_thread(alias)
    columns = columns_of(model, connection.vendor)
    table = connection.ops.quote_name(model._meta.db_table)
    found = connection.fetch(f"SELECT {', '.join(columns.selected)} FROM {table} WHERE {condition}", values)
    return columns.records(model, connection, found)


def values(alias: str, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return what a statement of SQL reads; no value is converted."""
    connection = of_thread(alias)
    found: list[tuple[Any, ...]] = connection.fetch(statement, parameters)
    return found


def marks(listed: Sequence[object]) -> str:
    """Return the marks of a list's values in a statement: `%s, %s`."""
    return ", ".join(["%s"] * len(listed))


def records(
    model: type[_R], alias: str, names: Sequence[str], conversions: Iterable[Conversion], found: Iterable[Sequence[Any]]
) -> list[_R]:
    """Return a record for each row, as Django makes it; columns that are left out are loaded when they are read.

    Args:
        model: The kind of records.
        alias: The database.
        names: The name of each column.
        conversions: What the values go through, in this order; null stays as it is.
        found: The rows.
    """
    connection = connections[alias]
    converted = [list(row) for row in found]
    for name, convert, expression in conversions:
        position = names.index(name)
        for row in converted:
            if row[position] is not None:
                row[position] = convert(row[position], expression, connection)
    return _plain_maker(tuple(names))(model, connection, converted)


@lru_cache(maxsize=64)
def _plain_maker(names: tuple[str, ...]) -> _Maker:
    return _maker(names, (), _MAKER, are_usual=False)


def _maker(names: Sequence[str], conversions: Iterable[Conversion], form: str, *, are_usual: bool) -> _Maker:
    """Return a function that makes records of rows with these columns, or what another form says.

    It is written for them, as the methods of a data class are: filling the attributes of a record by a loop takes twice
    as long, and that is most of what a list of records costs beside its query.

    Args:
        names: The columns.
        conversions: What their values go through, in this order.
        form: The source of the function.
        are_usual: Whether values are as they usually are. The function raises ValueError if one is not.
    """
    values = {name: f"c{number}" for number, name in enumerate(names)}
    scope: dict[str, Any] = {"ModelState": ModelState, "new": object.__new__, "set_attributes": _set_attributes}
    for number, (name, convert, expression) in enumerate(conversions):
        quick = getattr(convert, "quick", None) if are_usual else None
        arguments = values[name] if quick else f"{values[name]}, e{number}, connection"
        values[name] = f"None if {values[name]} is None else f{number}({arguments})"
        scope |= {f"f{number}": quick or convert, f"e{number}": expression}
    source = form.format(
        columns=", ".join(f"c{number}" for number in range(len(names))),
        named=", ".join(f"{name!r}: ({value})" for name, value in values.items()),
        values=", ".join(f"({value})" for value in values.values()),
    )
    exec(source, scope)
    return cast("_Maker", scope["make"])


_MAKER: Final = """
def make(model, connection, found):
    made, alias = [], connection.alias
    for {columns}, in found:
        state = new(ModelState)
        state.db = alias
        state.adding = False
        record = new(model)
        set_attributes(record, {{"_state": state, {named}}})
        made.append(record)
    return made
"""

_ROWS: Final = """
def make(model, connection, found):
    return [({values},) for {columns}, in found]
"""

_FLAT: Final = """
def make(model, connection, found):
    return [{values} for {columns}, in found]
"""


@lru_cache(maxsize=128)
def columns_of(model: type[models.Model], vendor: str, fields: tuple[str, ...] | str | None = None) -> Columns:
    """Return how columns of a model are read on a kind of database.

    Args:
        model: The model.
        vendor: The kind of database.
        fields: The columns whose values make a row, or the one whose values are wanted; None for records, of all.
    """
    connection = connection_of(vendor)
    table = connection.ops.quote_name(model._meta.db_table)
    names, selected = [], []
    conversions: list[Conversion] = []
    known: dict[str, Any] = {field.attname: field for field in model._meta.concrete_fields}
    for field in map(known.__getitem__, known if fields is None else [fields] if isinstance(fields, str) else fields):
        names.append(field.attname)
        column = f"{table}.{connection.ops.quote_name(field.column)}"
        found, of_backend = connection.ops.selected(field, column)
        selected.append(found)
        functions = [*map(_unbound, of_backend), *field.get_db_converters(connection)]
        conversions += [(field.attname, convert, field.cached_col) for convert in functions]
    form = _MAKER if fields is None else _FLAT if isinstance(fields, str) else _ROWS
    makers = [_maker(names, conversions, form, are_usual=are_usual) for are_usual in (False, True)]
    return Columns(tuple(names), tuple(selected), *makers)


def connection_of(vendor: str) -> Any:
    """Return a connection to an instance on a kind of database, which this thread has.

    Raises:
        NoInstanceError: Another thread disconnected it meanwhile.
    """
    for connection in connections.all(initialized_only=True):
        if connection.vendor == vendor and connection.alias.startswith(ALIAS_PREFIX):
            return connection
    raise NoInstanceError("the instance was disconnected meanwhile: connect it again")


def _unbound(converter: Any) -> _Converter:
    """Return a conversion that asks the connection it is given, not the one by which it was found."""
    if getattr(converter, "__self__", None) is None:
        return cast("_Converter", converter)
    name = converter.__name__
    return lambda value, expression, connection: getattr(connection.ops, name)(value, expression, connection)
