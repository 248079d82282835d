"""Statements that Django compiles once for each shape of a question, and that are executed with its values after that.

To build and compile a query takes Django longer than a database needs for a short list. Most questions have one of few
shapes: which fields they compare, how, in which order, how many records. What a shape leaves open are the values: a
question is compiled with stand-ins for these, and a statement knows where they went.

Only what is certainly simple is asked so: columns compared with text, numbers, times and truth values of exactly their
type, or with several of these; relations compared with records; and of what is found, the records, or the values of
their columns. Whatever else a query may mean is left to Django, and so is a shape in whose statement a stand-in is not
found.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
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

_SEVERAL: Final = frozenset({list, tuple, set, frozenset})
_MOST: Final = 256
"""Comparisons with more values than this take the database longer than Django takes to compile them."""

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
        fields: The fields of which each row has the values, or the one whose values are found; None for records.
    """

    model: Any
    is_softened: bool = False
    filters: tuple[tuple[Any, ...], ...] = ()
    order: tuple[str, ...] | None = None
    limit: int | None = None
    fields: tuple[str, ...] | str | None = None


class Question(NamedTuple):
    """What a query asks, as far as that is simple: its shape, and the values in the order of their names."""

    shape: Shape
    values: tuple[Any, ...] = ()

    def filtered(self, conditions: Sequence[Any], named: dict[str, Any], alias: str | None) -> Question | None:
        """Return the question with one more filter on a database; None if it is not simple then."""
        if named and not conditions:
            # Most filters are such, and questions of few records take most of their time before the database is asked.
            texts = tuple(named.values())
            for text in texts:
                if not (type(text) is str and text.isascii() and text.isprintable()):
                    break
            else:
                with_texts = _with_texts(self.shape, tuple(named))
                if with_texts is not None:
                    return _question((with_texts, self.values + texts))
        model, is_softened, filters, order, limit, fields = self.shape
        if limit is not None:
            return None
        if not (conditions or named):
            return self
        values: list[Any] = []
        added = [_node(model, condition, values, alias) for condition in conditions]
        for name, value in named.items():
            added.append(_leaf(model, name, value, values, alias))
        if None in added:
            return None
        shape = Shape(model, is_softened, (*filters, tuple(added)), order, limit, fields)
        return Question(shape, (*self.values, *values))

    def ordered(self, names: tuple[Any, ...]) -> Question | None:
        """Return the question in another order; None if it is not simple then."""
        shape = _ordered(self.shape, names) if _are_texts(names) else None
        return None if shape is None else _question((shape, self.values))

    def limited(self, wanted: slice) -> Question | None:
        """Return the question for the first records; None if others are wanted."""
        most = wanted.stop
        if wanted.start not in (None, 0) or wanted.step is not None or type(most) is not int:
            return None
        shape = _limited(self.shape, most)
        return None if shape is None else _question((shape, self.values))

    def first(self, order: tuple[str, ...], count: int) -> Question | None:
        """Return the question for so many records, the first in an order; None if it is not simple then."""
        shape = _first(self.shape, order, count)
        return None if shape is None else _question((shape, self.values))

    def softened(self) -> Question | None:
        """Return the question with the defaults of its model; None if other filters came before these."""
        shape = self.shape
        return None if shape.filters or shape.limit is not None else Question(shape._replace(is_softened=True))

    def valued(self, fields: tuple[Any, ...], *, flat: bool) -> Question | None:
        """Return the question for the values of fields, or of the only one if flat; None if it is not simple then."""
        shape = _valued(self.shape, fields, flat) if _are_texts(fields) else None
        return None if shape is None else _question((shape, self.values))

    def calls(self, alias: str | None) -> Iterator[tuple[list[models.Q], dict[str, Any]]]:
        """Yield the arguments of each call of `filter` on a database."""
        given = _Given(self.shape.model, alias, iter(self.values))
        for filters in self.shape.filters:
            # In this order they were given.
            conditions = [given.condition(one) for one in filters if _is_node(one)]
            yield conditions, dict(given.pair(one) for one in filters if not _is_node(one))


# Without the function of Python that a named tuple has for that.
_question: Final[Callable[[tuple[Shape, tuple[Any, ...]]], Question]] = partial(tuple.__new__, Question)


def _are_texts(names: tuple[Any, ...]) -> bool:
    return {*map(type, names)} <= {str}


@lru_cache(maxsize=256)
def _ordered(shape: Shape, names: tuple[str, ...]) -> Shape | None:
    is_simple = shape.limit is None and _are_columns(shape.model, names)
    return shape._replace(order=names) if is_simple else None


@lru_cache(maxsize=256)
def _limited(shape: Shape, most: int) -> Shape | None:
    return shape._replace(limit=most) if shape.limit is None and most > 0 else None


@lru_cache(maxsize=256)
def _first(shape: Shape, order: tuple[str, ...], count: int) -> Shape | None:
    ordered = _ordered(shape, order)
    return None if ordered is None else _limited(ordered, count)


@lru_cache(maxsize=256)
def _valued(shape: Shape, fields: tuple[str, ...], flat: bool) -> Shape | None:
    columns = {column for name in fields if (column := _column(shape.model, name)) is not None}
    is_simple = shape.fields is None and 0 < len(fields) == len(columns) and not (flat and len(fields) > 1)
    # Django merges queries for values of the same names only.
    return shape._replace(fields=fields[0] if flat else fields) if is_simple else None


@lru_cache(maxsize=256)
def _column(model: Any, name: str) -> str | None:
    """Return the name of the column that the name of a field means; None if it is no column."""
    named = field_names.aliases_of(model).get(name, name)
    if named == "pk":
        return cast("str", model._meta.pk.attname)
    return next((one.attname for one in model._meta.concrete_fields if named in (one.name, one.attname)), None)


def _read(shape: Shape, vendor: str) -> rows.Columns:
    """Return how the columns are read that a shape asks for."""
    named: Any = shape.fields
    if isinstance(named, str):
        named = _column(shape.model, named)
    elif named is not None:
        named = tuple(_column(shape.model, name) for name in named)
    return rows.columns_of(shape.model, vendor, named)


@lru_cache(maxsize=64)
def all_of(model: Any, is_softened: bool) -> Question:
    """Return the question for all records of a kind, or for those that are shown by default."""
    return Question(Shape(model, is_softened))


Build = Callable[[Question, str], Any]
"""Returns Django's query for a question on a database."""


def rows_of(question: Question, alias: str, build: Build) -> list[Any] | None:
    """Return the records of a question, or their values; None if Django has to be asked."""
    connection = of_thread(alias)
    statement = _statement_for(question, "rows", connection, build)
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
    is_ours = connection.alias.startswith(ALIAS_PREFIX)
    return _statement(question.shape, kind, connection.vendor, build) if is_ours else None


class _Statement(NamedTuple):
    """A statement, and where the values of a question go.

    Attributes:
        sql: The statement.
        parameters: Its parameters, with None where a value goes.
        places: Of each value the parameter, its number in the question, and the function that adapts it, or None.
        columns: The columns of the model that it asks for.
        widths: How many places each value of the question takes, None for one that is not several; () if none is.
    """

    sql: str
    parameters: tuple[Any, ...]
    places: tuple[tuple[int, int, Callable[[Any, Any], Any] | None], ...]
    columns: rows.Columns
    widths: tuple[int | None, ...]

    def execute(self, values: Sequence[Any], connection: Any) -> list[tuple[Any, ...]]:
        """Return the rows that it reads."""
        if self.widths:
            values = _spread(values, self.widths)
        parameters = list(self.parameters)
        for position, number, adapt in self.places:
            parameters[position] = values[number] if adapt is None else adapt(values[number], connection)
        return connection.fetch(self.sql, parameters)  # type: ignore[no-any-return]


def _spread(values: Sequence[Any], widths: Sequence[int | None]) -> list[Any]:
    """Return values one by one; several fill their places with the last of them."""
    found: list[Any] = []
    for value, width in zip(values, widths, strict=True):
        found += [value] if width is None else [*value, *[value[-1]] * (width - len(value))]
    return found


@lru_cache(maxsize=256)
def _statement(shape: Shape, kind: str, vendor: str, build: Build) -> _Statement | None:
    """Return the statement for questions of a shape; None if it is not simple."""
    connection = rows.connection_of(vendor)
    compared = [one for filters in shape.filters for one in _compared(filters)]
    names = [name for name, width in compared for _ in range(width or 1)]
    stand_ins = [_stand_in(shape.model, name, number) for number, name in enumerate(names)]
    given, rest = [], iter(stand_ins)
    for _, width in compared:
        given.append(next(rest) if width is None else tuple(islice(rest, width)))
    asked, columns = Question(shape._replace(fields=None), tuple(given)), _read(shape, vendor)
    try:
        made = _COMPILE[kind](build(asked, connection.alias), connection, columns)
    except (EmptyResultSet, FullResultSet):
        return None
    if made is None:
        return None
    sql, parameters = made
    adapters = [_adapter(shape.model, name) for name in names]
    pairs = zip(stand_ins, adapters, strict=True)
    expected = [one if adapt is None else adapt(one, connection) for one, adapt in pairs]
    places = []
    for position, parameter in enumerate(parameters):
        if type(parameter) in map(type, expected) and parameter in expected:
            number = expected.index(parameter)
            places.append((position, number, adapters[number]))
        elif isinstance(parameter, str) and _MARK in parameter:
            return None
    if {number for _, number, _ in places} != set(range(len(names))):
        return None
    constants = list(parameters)
    for position, *_ in places:
        constants[position] = None
    widths = tuple(width for _, width in compared) if any(width for _, width in compared) else ()
    return _Statement(sql, tuple(constants), tuple(places), columns, widths)


def _select(query: Any, connection: Any, columns: rows.Columns) -> tuple[str, Sequence[Any]] | None:
    """Return the statement that reads columns, and its parameters; None if that for records reads other columns."""
    known = rows.columns_of(query.model, connection.vendor)
    compiler = query.get_compiler(connection=connection)
    made, parameters = compiler.as_sql()
    selected = "SELECT " + ", ".join(sql for _, (sql, _), _ in compiler.select)
    names = tuple(column.target.attname for column, *_ in compiler.select)
    if names != known.names or not made.startswith(f"{selected} FROM "):
        return None
    # Django would order by the place of a value in the row, for which no database uses an index.
    return f"SELECT {', '.join(columns.selected)}{made[len(selected) :]}", parameters


def _count(query: Any, connection: Any, _: object) -> tuple[str, Sequence[Any]] | None:
    """Return the statement that counts, and its parameters; None if it would count something else than rows."""
    compiler = query.get_compiler(connection=connection)
    compiler.pre_sql_setup()
    if len(query.alias_map) != 1 or query.is_sliced or query.distinct:
        return None
    condition, parameters = compiler.compile(query.where) if query.where else ("", ())
    table = connection.ops.quote_name(query.model._meta.db_table)
    return f"SELECT COUNT(*) FROM {table}{' WHERE ' if condition else ''}{condition}", parameters


def _exists(query: Any, connection: Any, _: object) -> tuple[str, Sequence[Any]]:
    found: tuple[str, Sequence[Any]] = query.exists().get_compiler(connection=connection).as_sql()
    return found


_COMPILE: Final[dict[str, Callable[[Any, Any, Any], tuple[str, Sequence[Any]] | None]]] = {
    "rows": _select, "count": _count, "exists": _exists,
}  # fmt: skip


def _stand_in(model: Any, name: str, number: int) -> Any:
    """Return a value that occurs in no question, of the type of a field; of a record its id."""
    kind, *_ = _comparison(model, name) or (None,)
    if kind is datetime.datetime:
        return _START + datetime.timedelta(seconds=number)
    return _LARGEST - number if kind is int else f"{_MARK}{number}{_MARK}"


def _node(model: Any, condition: Any, values: list[Any], alias: str | None) -> tuple[Any, ...] | None:
    """Return the shape of a `Q`, and add its values to a list; None if it is not simple."""
    if type(condition) is not models.Q:
        return None
    children = []
    for child in condition.children:
        if isinstance(child, tuple) and len(child) == 2:
            found = _leaf(model, child[0], child[1], values, alias)
        else:
            found = _node(model, child, values, alias)
        if found is None:
            return None
        children.append(found)
    return condition.connector, condition.negated, tuple(children)


def _leaf(model: Any, name: Any, value: Any, values: list[Any], alias: str | None) -> Any:
    """Return the shape of a comparison, and add its value to a list if it does not belong to that; None: not simple."""
    comparison = _comparison(model, name) if type(name) is str else None
    if comparison is None:
        return None
    kind, lookup, _ = comparison
    if lookup == "in":
        if type(value) not in _SEVERAL or not 0 < len(value) <= _MOST:
            return None
        several = tuple(_simple(kind, one, alias) for one in value)
        if None in several:
            return None
        values.append(several)
        # Those of about as many are asked by one statement.
        return name, 1 << (len(several) - 1).bit_length()
    if kind is bool or value is None:
        return (name, value) if type(value) is kind or (lookup == "" and value is None) else None
    found = _simple(kind, value, alias)
    if found is None:
        return None
    values.append(found)
    return name


def _simple(kind: Any, value: Any, alias: str | None) -> Any:
    """Return a value of a kind, of a record its id; None if it is not simple."""
    if issubclass(kind, models.Model):
        if not isinstance(value, models.Model) or value._meta.concrete_model is not kind:
            return None
        is_there = not value._state.adding and alias is not None and value._state.db == alias
        return value.pk if is_there and _is_simple_text(value.pk) else None
    if type(value) is not kind:
        return None
    if kind is str:
        is_simple = _is_simple_text(value)
    elif kind is int:
        is_simple = -_LARGEST <= value <= _LARGEST
    else:
        # In UTC, the first and the last times may be in no year.
        is_simple = value.tzinfo is not None and datetime.MINYEAR < value.year < datetime.MAXYEAR
    return value if is_simple else None


def _is_simple_text(value: Any) -> bool:
    """Return True for text that has one form only; the mark of a stand-in is not printable."""
    return type(value) is str and value.isascii() and value.isprintable()


@lru_cache(maxsize=256)
def _with_texts(shape: Shape, names: tuple[str, ...]) -> Shape | None:
    """Return a shape with one more filter, which compares columns of text; None if a name compares something else."""
    comparisons = [_comparison(shape.model, name) for name in names]
    are_texts = all(one is not None and one[0] is str and one[1] != "in" for one in comparisons)
    if shape.limit is not None or not are_texts:
        return None
    return shape._replace(filters=(*shape.filters, names))


def _is_node(shape: Any) -> bool:
    return type(shape) is tuple and len(shape) == 3


def _compared(shapes: Iterable[Any]) -> Iterator[tuple[str, int | None]]:
    """Yield the names of comparisons whose values do not belong to the shape, in the order of the values.

    With each comes for how many values it has a place; None if it is not one with several.
    """
    for shape in shapes:
        if type(shape) is str:
            yield shape, None
        elif _is_node(shape):
            yield from _compared(shape[2])
        elif type(shape[1]) is int:
            yield shape


class _Given(NamedTuple):
    """What filters were given, made of their shapes and values."""

    model: Any
    alias: str | None
    values: Iterator[Any]

    def condition(self, shape: Any) -> models.Q:
        """Return a `Q` of a node."""
        connector, negated, children = shape
        made: list[Any] = [self.condition(one) if _is_node(one) else self.pair(one) for one in children]
        found: Any = models.Q.create(made, connector=connector, negated=negated)
        return cast("models.Q", found)

    def pair(self, shape: Any) -> tuple[str, Any]:
        """Return the name of a comparison, and its value."""
        if type(shape) is str:
            return shape, self._whole(shape, next(self.values))
        name, value = shape
        return (name, [self._whole(name, one) for one in next(self.values)]) if type(value) is int else shape

    def _whole(self, name: str, value: Any) -> Any:
        """Return a value, of the id of a record the record."""
        kind, *_ = _comparison(self.model, name) or (None,)
        if kind is None or not issubclass(kind, models.Model):
            return value
        return kind.from_columns({kind._meta.pk.attname: value}, self.alias, is_new=False)


@lru_cache(maxsize=1_024)
def _comparison(model: Any, name: str) -> tuple[Any, str, Any] | None:
    """Return the type of value, the look-up and the field of the name of a filter; None if it is not simple.

    The type of the name of a relation is the model of its records; that of its column is text.
    """
    named, _, lookup = name.partition("__")
    named = field_names.aliases_of(model).get(named, named)
    field = next((one for one in model._meta.concrete_fields if named in (one.name, one.attname)), None)
    if field is None:
        return None
    is_record = field.is_relation and named == field.name
    if lookup == "isnull":
        return None if is_record else (bool, lookup, field)
    kind = _KINDS.get((field.target_field if field.is_relation else field).get_internal_type())
    if is_record:
        kind = field.related_model._meta.concrete_model if kind is str and field.target_field.primary_key else None
    if kind is None:
        return None
    if lookup in ("", "in"):
        return (kind, lookup, field) if kind is not bool or lookup == "" else None
    is_simple = (lookup in _COMPARED and kind is not bool) or (
        lookup == "startswith" and kind is str and not field.is_relation
    )
    return (kind, lookup, field) if is_simple and not is_record else None


@lru_cache(maxsize=1_024)
def _adapter(model: Any, name: str) -> Callable[[Any, Any], Any] | None:
    """Return the function that adapts a value for a connection; None if the driver takes it as it is."""
    kind, lookup, field = _comparison(model, name) or (None, "", None)
    if lookup == "startswith":
        return lambda value, connection: connection.ops.pattern("startswith", value)
    return field.get_db_prep_value if field is not None and kind in (int, datetime.datetime) else None


@lru_cache(maxsize=256)
def _are_columns(model: Any, names: tuple[str, ...]) -> bool:
    """Return True if the names of an order are columns: that of a relation orders by its records."""
    columns = {field.attname for field in model._meta.concrete_fields}
    return all(name.removeprefix("-") in columns for name in names)
