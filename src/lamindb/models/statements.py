"""Statements that Django compiles once for each shape of a question, and that are executed with its values after that.

To build and compile a query takes Django longer than a database needs for a short list. Most questions have one of few
shapes: which fields they compare, how, in which order, how many records. What a shape leaves open are the values: a
question is compiled with stand-ins for these, and a statement knows where they went.

Only what is certainly simple is asked so: columns compared with text, numbers, times and truth values of exactly their
type. Whatever else a filter may mean is left to Django, and so is a shape in whose statement a stand-in is not found.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import models

from lamindb.db.connection import of_thread
from lamindb.db.database import ALIAS_PREFIX
from lamindb.models import field_names, rows

_COMPARED: Final = frozenset({"exact", "gt", "gte", "lt", "lte"})

_KINDS: Final[dict[str, Any]] = {
    "CharField": str,
    "TextField": str,
    "IntegerField": int,
    "BigIntegerField": int,
    "BigAutoField": int,
    "BooleanField": bool,
    "DateTimeField": datetime.datetime,
}
"""The type of the values of fields; those of other fields are left to Django."""

_LARGEST: Final = 2**31 - 1
"""Larger numbers than the smallest column holds are left to Django, which knows of each what it holds."""

_MARK: Final = "\x01"
_START: Final = datetime.datetime(1900, 1, 1, tzinfo=datetime.UTC)
"""Stand-ins for text contain the mark, those for times begin here, those for numbers at the largest."""


class Shape(NamedTuple):
    """What questions have in common that are asked by the same statement.

    Attributes:
        model: The kind of records.
        is_softened: Whether defaults hide what is not asked for.
        filters: Of each call of `filter`, a name for each value, a name with what belongs to the shape, or a `Q`.
        order: The fields of the order; None for that of the model.
        limit: How many records at most; None for all.
    """

    model: Any
    is_softened: bool = False
    filters: tuple[tuple[Any, ...], ...] = ()
    order: tuple[str, ...] | None = None
    limit: int | None = None


class Question(NamedTuple):
    """What a query asks, as far as that is simple: its shape, and the values in the order of their names."""

    shape: Shape
    values: tuple[Any, ...] = ()

    def filtered(self, conditions: Sequence[Any], named: dict[str, Any]) -> Question | None:
        """Return the question with one more filter; None if it is not simple then."""
        model, is_softened, filters, order, limit = self.shape
        if limit is not None:
            return None
        if not (conditions or named):
            return self
        if not conditions:
            texts = named.values()
            for text in texts:
                if not _is_simple_text(text):
                    break
            else:
                shape = _with_texts(self.shape, tuple(named))
                if shape is not None:
                    return Question(shape, (*self.values, *texts))
        values: list[Any] = []
        added = [_node(model, condition, values) for condition in conditions]
        for name, value in named.items():
            added.append(_leaf(model, name, value, values))
        if None in added:
            return None
        return Question(Shape(model, is_softened, (*filters, tuple(added)), order, limit), (*self.values, *values))

    def ordered(self, names: tuple[Any, ...]) -> Question | None:
        """Return the question in another order; None if it is not simple then."""
        model, is_softened, filters, _, limit = self.shape
        if limit is not None or not all(type(name) is str for name in names) or not _are_columns(model, names):
            return None
        return Question(Shape(model, is_softened, filters, names, limit), self.values)

    def limited(self, wanted: slice) -> Question | None:
        """Return the question for the first records; None if others are wanted."""
        model, is_softened, filters, order, limit = self.shape
        most = wanted.stop
        if limit is not None or wanted.start not in (None, 0) or wanted.step is not None:
            return None
        if type(most) is not int or most <= 0:
            return None
        return Question(Shape(model, is_softened, filters, order, most), self.values)

    def first(self, order: tuple[str, ...], count: int) -> Question | None:
        """Return the question for so many records, the first in an order; None if it is not simple then."""
        model, is_softened, filters, _, limit = self.shape
        if limit is not None or count <= 0 or not _are_columns(model, order):
            return None
        return Question(Shape(model, is_softened, filters, order, count), self.values)

    def softened(self) -> Question | None:
        """Return the question with the defaults of its model; None if other filters came before these."""
        model, _, filters, order, limit = self.shape
        return None if filters or limit is not None else Question(Shape(model, True, filters, order, limit))

    def calls(self) -> Iterator[tuple[list[models.Q], dict[str, Any]]]:
        """Yield the arguments of each call of `filter`."""
        values = iter(self.values)
        for filters in self.shape.filters:
            # In this order they were given.
            conditions = [_condition(one, values) for one in filters if _is_node(one)]
            yield conditions, dict(_given(one, values) for one in filters if not _is_node(one))


@lru_cache(maxsize=64)
def all_of(model: Any, is_softened: bool) -> Question:
    """Return the question for all records of a kind, or for those that are shown by default."""
    return Question(Shape(model, is_softened))


Build = Callable[[Question, str], Any]
"""Returns Django's query for a question on a database."""


def records(question: Question, alias: str, build: Build) -> list[Any] | None:
    """Return the records of a question; None if Django has to be asked."""
    connection = of_thread(alias)
    statement = _statement_for(question, "records", connection, build)
    if statement is None:
        return None
    found = statement.execute(question.values, connection)
    return found and statement.columns.records(question.shape.model, connection, found)


def count(question: Question, alias: str, build: Build) -> int | None:
    """Return the number of records of a question; None if Django has to be asked."""
    connection = of_thread(alias)
    statement = _statement_for(question, "count", connection, build)
    return None if statement is None else int(statement.execute(question.values, connection)[0][0])


def exists(question: Question, alias: str, build: Build) -> bool | None:
    """Return True if there is a record; None if Django has to be asked."""
    connection = of_thread(alias)
    statement = _statement_for(question, "exists", connection, build)
    return None if statement is None else bool(statement.execute(question.values, connection))


def _statement_for(question: Question, kind: str, connection: Any, build: Build) -> _Statement | None:
    # What is asked of the database of a host project Django refuses, in words that fit.
    if not connection.alias.startswith(ALIAS_PREFIX):
        return None
    return _statement(question.shape, kind, connection.vendor, build)


class _Statement(NamedTuple):
    """A statement, and where the values of a question go.

    Attributes:
        sql: The statement.
        parameters: Its parameters, with None where a value goes.
        places: Of each value the parameter, its number in the question, and the function that adapts it, or None.
        columns: The columns of the model that it asks for.
    """

    sql: str
    parameters: tuple[Any, ...]
    places: tuple[tuple[int, int, Callable[[Any, Any], Any] | None], ...]
    columns: rows.Columns

    def execute(self, values: tuple[Any, ...], connection: Any) -> list[tuple[Any, ...]]:
        """Return the rows that it reads."""
        parameters = list(self.parameters)
        for position, number, adapt in self.places:
            parameters[position] = values[number] if adapt is None else adapt(values[number], connection)
        return connection.fetch(self.sql, parameters)  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def _statement(shape: Shape, kind: str, vendor: str, build: Build) -> _Statement | None:
    """Return the statement for questions of a shape; None if it is not simple."""
    connection = rows.connection_of(vendor)
    names = [name for filters in shape.filters for name in _names(filters)]
    stand_ins = tuple(_stand_in(shape.model, name, number) for number, name in enumerate(names))
    try:
        made = _COMPILE[kind](build(Question(shape, stand_ins), connection.alias), connection)
    except (EmptyResultSet, FullResultSet):
        return None
    if made is None:
        return None
    sql, given = made
    adapters = [_adapter(shape.model, name) for name in names]
    pairs = zip(stand_ins, adapters, strict=True)
    expected = [one if adapt is None else adapt(one, connection) for one, adapt in pairs]
    places = []
    for position, parameter in enumerate(given):
        if type(parameter) in map(type, expected) and parameter in expected:
            number = expected.index(parameter)
            places.append((position, number, adapters[number]))
        elif isinstance(parameter, str) and _MARK in parameter:
            return None
    if {number for _, number, _ in places} != set(range(len(names))):
        return None
    constants = list(given)
    for position, *_ in places:
        constants[position] = None
    return _Statement(sql, tuple(constants), tuple(places), rows.columns_of(shape.model, vendor))


def _select(query: Any, connection: Any) -> tuple[str, Sequence[Any]] | None:
    """Return the statement that reads records, and its parameters; None if it does not read each column of a table."""
    columns = rows.columns_of(query.model, connection.vendor)
    compiler = query.get_compiler(connection=connection)
    made, parameters = compiler.as_sql()
    selected = "SELECT " + ", ".join(sql for _, (sql, _), _ in compiler.select)
    names = tuple(column.target.attname for column, *_ in compiler.select)
    if names != columns.names or not made.startswith(f"{selected} FROM "):
        return None
    return f"SELECT {', '.join(columns.selected)}{made[len(selected) :]}", parameters


def _count(query: Any, connection: Any) -> tuple[str, Sequence[Any]] | None:
    """Return the statement that counts, and its parameters; None if it would count something else than rows."""
    compiler = query.get_compiler(connection=connection)
    compiler.pre_sql_setup()
    if len(query.alias_map) != 1 or query.is_sliced or query.distinct:
        return None
    condition, parameters = compiler.compile(query.where) if query.where else ("", ())
    table = connection.ops.quote_name(query.model._meta.db_table)
    return f"SELECT COUNT(*) FROM {table}{' WHERE ' if condition else ''}{condition}", parameters


def _exists(query: Any, connection: Any) -> tuple[str, Sequence[Any]]:
    found: tuple[str, Sequence[Any]] = query.exists().get_compiler(connection=connection).as_sql()
    return found


_COMPILE: Final[dict[str, Callable[[Any, Any], tuple[str, Sequence[Any]] | None]]] = {
    "records": _select, "count": _count, "exists": _exists,
}  # fmt: skip


def _stand_in(model: Any, name: str, number: int) -> Any:
    """Return a value that occurs in no question, of the type of a field."""
    kind, *_ = _comparison(model, name) or (None,)
    if kind is str:
        return f"{_MARK}{number}{_MARK}"
    return _START + datetime.timedelta(seconds=number) if kind is datetime.datetime else _LARGEST - number


def _node(model: Any, condition: Any, values: list[Any]) -> tuple[Any, ...] | None:
    """Return the shape of a `Q`, and add its values to a list; None if it is not simple."""
    if type(condition) is not models.Q:
        return None
    children = []
    for child in condition.children:
        if isinstance(child, tuple) and len(child) == 2:
            found = _leaf(model, child[0], child[1], values)
        else:
            found = _node(model, child, values)
        if found is None:
            return None
        children.append(found)
    return condition.connector, condition.negated, tuple(children)


def _leaf(model: Any, name: Any, value: Any, values: list[Any]) -> Any:
    """Return the shape of a comparison, and add its value to a list if it does not belong to that; None: not simple."""
    comparison = _comparison(model, name) if type(name) is str else None
    if comparison is None:
        return None
    kind, lookup, _ = comparison
    if type(value) is not kind:
        return (name, None) if value is None and lookup == "" else None
    if kind is str:
        if not _is_simple_text(value):
            return None
    elif kind is bool:
        return name, value
    elif kind is int:
        if not -_LARGEST <= value <= _LARGEST:
            return None
    elif value.tzinfo is None or not datetime.MINYEAR < value.year < datetime.MAXYEAR:
        # In UTC, the first and the last times may be in no year.
        return None
    values.append(value)
    return name


def _is_simple_text(value: Any) -> bool:
    """Return True for text that has one form only; the mark of a stand-in is not printable."""
    return type(value) is str and value.isascii() and value.isprintable()


@lru_cache(maxsize=256)
def _with_texts(shape: Shape, names: tuple[str, ...]) -> Shape | None:
    """Return a shape with one more filter, which compares columns of text; None if a name compares something else.

    Most filters are such, and questions of few records take most of their time before the database is asked.
    """
    comparisons = [_comparison(shape.model, name) for name in names]
    if not all(comparison is not None and comparison[0] is str for comparison in comparisons):
        return None
    return shape._replace(filters=(*shape.filters, names))


def _is_node(shape: Any) -> bool:
    return type(shape) is tuple and len(shape) == 3


def _names(shapes: Iterable[Any]) -> Iterator[str]:
    """Yield the names of comparisons whose values do not belong to the shape, in the order of the values."""
    for shape in shapes:
        if type(shape) is str:
            yield shape
        elif _is_node(shape):
            yield from _names(shape[2])


def _given(shape: Any, values: Iterator[Any]) -> tuple[str, Any]:
    return (shape, next(values)) if type(shape) is str else shape


def _condition(shape: Any, values: Iterator[Any]) -> models.Q:
    connector, negated, children = shape
    made: list[Any] = [_condition(one, values) if _is_node(one) else _given(one, values) for one in children]
    found: Any = models.Q.create(made, connector=connector, negated=negated)
    return cast("models.Q", found)


@lru_cache(maxsize=1_024)
def _comparison(model: Any, name: str) -> tuple[Any, str, Any] | None:
    """Return the type of value, the look-up and the field of the name of a filter; None if it is not simple."""
    named, _, lookup = name.partition("__")
    named = field_names.aliases_of(model).get(named, named)
    field = next((one for one in model._meta.concrete_fields if one.attname == named), None)
    if field is None:
        return None
    if lookup == "isnull":
        return bool, lookup, field
    kind = _KINDS.get((field.target_field if field.is_relation else field).get_internal_type())
    if kind is not None and lookup == "":
        return kind, lookup, field
    is_simple = (lookup in _COMPARED and kind not in (None, bool)) or (lookup == "startswith" and kind is str)
    return (kind, lookup, field) if kind is not None and is_simple and not field.is_relation else None


@lru_cache(maxsize=1_024)
def _adapter(model: Any, name: str) -> Callable[[Any, Any], Any] | None:
    """Return the function that adapts a value for a connection; None if the driver takes it as it is."""
    kind, lookup, field = _comparison(model, name) or (None, "", None)
    if lookup == "startswith":
        return lambda value, connection: connection.ops.pattern("startswith", value)
    return field.get_db_prep_value if field is not None and kind in (int, datetime.datetime) else None


@lru_cache(maxsize=256)
def _are_columns(model: Any, names: tuple[str, ...]) -> bool:
    """Return True if the names of an order are columns that are no relations."""
    columns = {field.name for field in model._meta.concrete_fields if not field.is_relation}
    return all(name.removeprefix("-") in columns for name in names)
