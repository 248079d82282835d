"""One query object for every record: Django's query set, pinned to its instance, with the words of the field."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, cast, overload

from django.core.exceptions import FieldError, ValidationError
from django.db import connections, models
from django.db.models import sql
from django.db.models.fields.json import KeyTransform
from django.db.models.query import FlatValuesListIterable, ModelIterable, ValuesListIterable
from django.db.models.sql.where import WhereNode

from lamindb.core import context, plain
from lamindb.core.verbs import verb
from lamindb.db.connection import GONE
from lamindb.errors import InvalidInputError, MultipleResultsFound, NoInstanceError, NoResultFound
from lamindb.models import field_names, filter_values, relations, rows, statements
from lamindb.models.pages import Page, page_of
from lamindb.models.statements import Question, all_of

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

M = TypeVar("M", bound=models.Model, covariant=True)  # noqa: PLC0105  pairs with Django's own name


class AliasQuery(sql.Query):
    """Resolves every field name of filters, orders, values and expressions in one place."""

    crosses_many = False

    def names_to_path(
        self, path: list[str], opts: Any, allow_many: bool = True, fail_on_missing: bool = False
    ) -> tuple[Any, ...]:
        """Turn names into joins, accepting other spellings.

        Raises:
            UnknownFieldError: A name is no field; the message names the nearest one.
        """
        real = field_names.canonical(opts.model, list(path))
        try:
            found = super().names_to_path(real, opts, allow_many, fail_on_missing)
        except FieldError as error:
            if "Cannot resolve keyword" in str(error):
                raise field_names.explain(opts.model, real) from None
            raise InvalidInputError(_one_line(error)) from None
        if any(getattr(hop, "m2m", False) for hop in found[0]):
            self.crosses_many = True
        return cast("tuple[Any, ...]", found)

    def build_filter(self, filter_expr: Any, *args: Any, **kwargs: Any) -> Any:
        """Build one condition of a filter; a name that is computed becomes the condition that it stands for."""
        computed = getattr(self.model, "computed_filter", None)
        if computed is not None and isinstance(filter_expr, tuple):
            filter_expr = computed(*filter_expr) or filter_expr
        return super().build_filter(filter_expr, *args, **kwargs)

    def solve_lookup_type(self, lookup: Any, summarize: bool = False) -> Any:
        """Separate fields from look-ups in the name of a filter.

        Raises:
            UnknownFieldError: What follows a relation is neither a field of it nor a look-up.
        """
        solved = super().solve_lookup_type(lookup, summarize)
        lookups, parts, expression = solved
        if lookups and parts and not expression:
            target, field = field_names.follow(cast("Any", self.model), [*parts])
            if target is not None and field.get_lookup(lookups[0]) is None:
                raise field_names.unknown_field(target, lookups[0])
        return solved

    def build_lookup(self, lookups: Any, lhs: Any, rhs: Any) -> Any:
        """Build a condition.

        Raises:
            UnknownFieldError: The last name is neither a field nor a look-up.
        """
        try:
            return super().build_lookup(lookups, lhs, rhs)
        except FieldError as error:
            raise InvalidInputError(_one_line(error)) from None


def _one_line(error: Exception) -> str:
    text = " ".join((error.messages[0] if isinstance(error, ValidationError) else str(error)).split())
    return text[:1].lower() + text[1:]


class _SoftNode(WhereNode):
    """A default of several conditions, which still is one in the copy of a query."""

    _soft: str | None = None

    def clone(self) -> Any:
        """Return a copy."""
        copied: Any = super().clone()
        copied._soft = self._soft
        return copied


_OFFERED: Final = frozenset(
    """
    aggregate all annotate contains count dates delete df distinct earliest exclude exists filter first get in_bulk
    iterator join last latest list lookup none one one_or_none order_by page reverse search union update values
    values_list
    """.split()
)


class _RecordIterable(ModelIterable):  # type: ignore[type-arg]  # Django has none while it runs.
    """The records of a query: plain ones at once, those with related records or annotations as Django makes them."""

    def __iter__(self) -> Iterator[Any]:
        queryset: Any = self.queryset
        query = queryset.query
        if query.select_related or query.annotation_select or query.extra_select or queryset._known_related_objects:
            yield from super().__iter__()
            return
        compiler = query.get_compiler(using=queryset.db)
        results = compiler.execute_sql(chunked_fetch=self.chunked_fetch, chunk_size=self.chunk_size)
        # Set by the compiler, as it executes.
        columns = [column for column, *_ in compiler.select]
        names = [column.target.attname for column in columns]
        conversions = [
            (names[position], function, expression)
            for position, (functions, expression) in compiler.get_converters(columns).items()
            for function in functions
        ]
        for chunk in results:
            yield from rows.records(compiler.klass_info["model"], queryset.db, names, conversions, chunk)


class _QueryType(type):
    def __dir__(cls) -> builtins.list[str]:
        return [name for name in super().__dir__() if name.startswith("_")] + sorted(_OFFERED)


class RecordQuery(models.QuerySet[M], Generic[M], metaclass=_QueryType):
    """A lazy query for records of one kind, in one instance.

    Everything that Django's query sets do works: `filter`, `exclude`, `order_by`, slices, `Q`. It is evaluated when
    it is read, and always asks the instance that was current when it was made.

    As long as what it asks is simple, it only remembers that as a `Question`; Django's own query is made of it as soon
    as anything else is asked for.
    """

    _db: str | None
    _defer_next_filter: bool
    _known_related_objects: dict[Any, Any]
    _made: Any
    _prefetch_related_lookups: tuple[Any, ...]
    _question: Question | None
    _sticky_filter: bool

    COMPILES_ONCE: ClassVar[bool] = True
    """Whether simple questions are asked by statements that are compiled once. Tests switch it off."""

    def __init__(self, model: Any = None, query: Any = None, using: Any = None, hints: Any = None) -> None:
        super().__init__(model, query or AliasQuery(model), using, hints)
        self._iterable_class = _RecordIterable

    @classmethod
    def asking(cls, question: Question, using: str | None, hints: Any) -> RecordQuery[Any]:
        """Return a query for a question."""
        made: Any = object.__new__(cls)
        state = made.__dict__
        state.update(_blank(question.shape.model))
        state["_db"], state["_question"] = using, question
        state["_hints"], state["_known_related_objects"] = hints or {}, {}
        if not cls.COMPILES_ONCE:
            made._query = _built(question, using)
        found: RecordQuery[Any] = made
        return found

    def _asking(self, question: Question) -> Self:
        """Return a copy of a query that has a question, with another one."""
        made = object.__new__(self.__class__)
        state = made.__dict__
        state.update(self.__dict__)
        state["_question"], state["_result_cache"], state["_prefetch_done"] = question, None, False
        # Django changes it where queries are joined.
        state["_known_related_objects"] = dict(state["_known_related_objects"])
        return made

    @property
    def _query(self) -> Any:
        """Django's query, of which its methods make others. What they do to it, the question would not say."""
        if self._question is not None:
            self._made, self._question = _built(self._question, self._db), None
        return self._made

    @_query.setter
    def _query(self, value: Any) -> None:
        self._made, self._question = value, None

    def _clone(self) -> Any:
        if self._question is not None:
            return self._asking(self._question)
        return super()._clone()  # type: ignore[misc]

    def _not_support_combined_queries(self, operation_name: str) -> None:
        if self._question is None:
            super()._not_support_combined_queries(operation_name)  # type: ignore[misc]

    @property
    def db(self) -> str:
        """The alias of the database.

        Raises:
            NoInstanceError: The query asks an instance that is disconnected.
        """
        alias = super().db
        if alias not in connections.settings:
            raise NoInstanceError(GONE)
        return alias

    def filter(self, *args: Any, **kwargs: Any) -> Self:
        """Return the query with conditions that all records have to fit."""
        # Most filters are simple: then nothing that Django does first is needed.
        if self._question is not None and not (self._defer_next_filter or self._sticky_filter):
            question = self._question.filtered(args, kwargs, self._db)
            if question is not None:
                return self._asking(question)
        return super().filter(*args, **kwargs)

    def _filter_or_exclude(self, negate: bool, args: Any, kwargs: Any) -> Any:
        # Made before Django may defer the filter: a question would not say that there is one.
        assert self._query is not None
        return super()._filter_or_exclude(negate, args, kwargs)  # type: ignore[misc]

    def order_by(self, *fields: Any) -> RecordQuery[M]:
        """Return the query in another order."""
        question = self._question and self._question.ordered(fields)
        return cast("Any", super()).order_by(*fields) if question is None else self._asking(question)

    def values_list(self, *fields: Any, flat: bool = False, named: bool = False) -> Any:
        """Return the query for the values of fields: a tuple for each record, or its one value if flat."""
        question = None if named or self._question is None else self._question.valued(fields, flat=flat)
        if question is None:
            return super().values_list(*fields, flat=flat, named=named)
        made: Any = self._asking(question)
        made._iterable_class = FlatValuesListIterable if flat else ValuesListIterable
        made._fields = fields
        return made

    @property
    def ordered(self) -> bool:
        """Whether the order of the records is set, by the query or by default."""
        if self._question is not None:
            return bool(self.model._meta.ordering if self._question.shape.order is None else self._question.shape.order)
        return super().ordered

    @overload
    def __getitem__(self, wanted: int) -> M: ...
    @overload
    def __getitem__(self, wanted: slice) -> Self: ...
    def __getitem__(self, wanted: Any) -> Any:
        """Return one record, or the query for some of them."""
        if self._question is not None and self._result_cache is None and isinstance(wanted, slice):
            question = self._question.limited(wanted)
            if question is not None:
                return self._asking(question)
        return super().__getitem__(wanted)

    def _fetch_all(self) -> None:
        if self._result_cache is None and self._question is not None:
            self._result_cache = statements.rows_of(self._question, self._db or self.db, _built)
        super()._fetch_all()

    def count(self) -> int:
        """Return how many records there are."""
        if self._result_cache is None and self._question is not None:
            found = statements.count(self._question, self.db, _built)
            if found is not None:
                return found
        return super().count()

    def exists(self) -> bool:
        """Return True if there is a record."""
        if self._result_cache is None and self._question is not None:
            found = statements.exists(self._question, self.db, _built)
            if found is not None:
                return found
        return super().exists()

    def __dir__(self) -> builtins.list[str]:
        """List what a person is meant to use, for completion by Tab; all of Django's methods work when typed."""
        return [name for name in super().__dir__() if name.startswith("_")] + sorted(_OFFERED)

    @property
    def is_whole(self) -> bool:
        """Whether the query is neither cut by a slice nor a union."""
        if self._question is not None:
            return self._question.shape.limit is None
        return not (self.query.is_sliced or self.query.combinator)

    def one(self) -> M:
        """Return the only record.

        Raises:
            NoResultFound: There is none.
            MultipleResultsFound: There are several.
        """
        found = self.one_or_none()
        if found is None:
            raise NoResultFound(f"no {self._described()} was found")
        return found

    def one_or_none(self) -> M | None:
        """Return the only record, or None if there is none.

        Raises:
            MultipleResultsFound: There are several.
        """
        found = self.first_in((), 2) if self.is_whole else list(self[:2])
        if len(found) > 1:
            raise MultipleResultsFound(
                f"{self.count():,} records fit, where one was asked for: {self._described()}; "
                "add a filter, or take .first()"
            )
        return found[0] if found else None

    def first_in(self, order: tuple[str, ...], count: int) -> builtins.list[M]:
        """Return the first records in an order."""
        question = self._question and self._question.first(order, count)
        if question is not None and not self._prefetch_related_lookups:
            found = statements.rows_of(question, self._db or self.db, _built)
            if found is not None:
                return found
        return list(self.order_by(*order)[:count])

    def list(self, field: str | None = None) -> builtins.list[Any]:
        """Return the records, or the values of one field, as a list."""
        if field is None:
            return list(self)
        return list(self.values_list(field, flat=True))

    def df(self) -> pd.DataFrame:
        """Return the records as a pandas `DataFrame`, indexed by id, relations as `<name>_id`.

        Raises:
            UnsupportedError: pandas is not installed.
        """
        from lamindb.models.dataframe import frame

        return frame(self)

    def page(self, *, after: str | None = None, size: int = 50, by: str = "created_at") -> Page:
        """Return some of these records, the newest first, and where the following ones begin.

        Later pages cost no more than the first. The order of the query is replaced.

        Args:
            after: `next` of the page before; None for the first page.
            size: How many records, at most 1,000.
            by: The time to order by: `created_at`, or a time of which there is one in each of these records.

        Raises:
            InvalidInputError: `after` is not the `next` of a page, or the size is not a number from 1 to 1,000.
        """
        return page_of(self, after, size, by)

    def search(self, text: str, **options: Any) -> Any:
        """Rank these records by how well they fit a text. See `Record.search`."""
        return verb("lamindb.search.index.search")(self, text, options)

    def lookup(self, field: str | None = None) -> Any:
        """Return an object whose attributes are these records. See `Record.lookup`."""
        from lamindb.models.lookup import Lookup

        return Lookup.of(self, field)

    def join(self, model: type[models.Model], **filters: Any) -> RecordQuery[M]:
        """Keep the records that are related to a record of another kind which passes the filters.

        The relation is the nearest along foreign keys, in either direction; from a run to a file it is the file
        that the run produced, and a user is who created a record. Records stay single.

        Raises:
            InvalidInputError: There is no relation, or two equally near ones.
        """
        start = [self.model, *self.__dict__.get("_joined", [])]
        inner = cast("Any", model)._default_manager.using(self.db).softened().filter(**filters)
        is_user = self.model._meta.concrete_model._meta.model_name == "user"  # type: ignore[union-attr]
        if is_user and len(start) == 1 and any(field.name == "created_by" for field in model._meta.get_fields()):
            # Users have no relation back to what they made.
            return self.filter(id__in=inner.order_by().values("created_by_id"))
        path = relations.shortest_path(start, model)
        result = self.filter(**{f"{path}__in": inner})
        result.__dict__["_joined"] = [*self.__dict__.get("_joined", []), (path, model)]
        return result

    def softened(self) -> RecordQuery[M]:
        """Hide what is not asked for by default: old versions, trash. A filter that names such a field lifts it."""
        question = self._question and self._question.softened()
        if question is not None:
            return self._asking(question)
        result: Any = self._chain()  # type: ignore[attr-defined]
        for name, condition in getattr(self.model, "SOFT_DEFAULTS", {}).items():
            result._soften(name, condition)
        return cast("RecordQuery[M]", result)

    def _soften(self, name: str, condition: models.Q) -> None:
        models.QuerySet._filter_or_exclude_inplace(self, False, (condition,), {})  # type: ignore[attr-defined]
        added = cast("Any", self)._query.where.children[-1]
        if isinstance(added, WhereNode):
            added.__class__ = _SoftNode
        added._soft = name

    def _lift(self, conditions: Iterable[tuple[str, Any, bool]]) -> None:
        """Take away the defaults that a filter lifts, by what it names.

        One that names such a field always does; one that says which ids or version are wanted, where all must fit it.
        """
        condition = cast("Any", self)._query.where
        soft = {name for child in condition.children if (name := getattr(child, "_soft", None)) is not None}
        if not soft:
            return
        model = cast("Any", self.model)
        instead: dict[str, models.Q | None] = {}
        for name, value, is_required in conditions:
            field, *rest = field_names.canonical(model, name.split("__"))
            says_which = rest in ([], ["exact"], ["in"]) and not hasattr(value, "query")
            instead |= dict.fromkeys([field, *(model.LIFTED_BY.get(field, ()) if is_required and says_which else ())])
            instead = {**model.SOFTENED_BY.get(field, {}), **instead}
        condition.children = [child for child in condition.children if getattr(child, "_soft", None) not in instead]
        for name, other in instead.items():
            if other is not None and name in soft:
                self._soften(name, other)

    def create(self, **kwargs: Any) -> M:
        """Insert a record from field values."""
        record = cast("Any", self.model).from_fields(**kwargs)
        record.save_row(using=self.db, force_insert=True)
        return cast("M", record)

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete each of these records as its own `delete()` does: files go to the trash."""
        records = list(self)
        for record in records:
            cast("Any", record).delete()
        return len(records), {self.model._meta.label: len(records)}

    def update(self, **values: Any) -> int:
        """Set fields of all these records at once, as far as nothing else hangs on them.

        Raises:
            InvalidInputError: A field decides where bytes live or what a record means; set it on each record and
                save that.
        """
        real = {field_names.canonical(self.model, [name])[0]: value for name, value in values.items()}
        allowed = getattr(self.model, "BULK_UPDATABLE", frozenset({"name", "description"}))
        refused = sorted(set(real) - allowed)
        if refused:
            raise InvalidInputError(
                f"{', '.join(refused)} of a {self.model.__name__} cannot be updated in bulk: "
                "set it on each record and save that"
            )
        return super().update(**real)

    def update_rows(self, values: dict[str, Any]) -> int:
        """Set fields of all rows at once, whatever hangs on them; for use cases that have seen to that."""
        return super().update(**values)

    def delete_rows(self) -> Any:
        """Delete all rows and the links that go with them, for use cases that have seen to what hangs on them."""
        return super().delete()

    def only(self, *fields: str) -> Any:
        """Load only these fields now, others when they are read."""
        return super().only(*self._real(fields))

    def defer(self, *fields: str | None) -> Any:
        """Load these fields only when they are read."""
        return super().defer(*(self._real(fields) if None not in fields else cast("Any", fields)))

    def select_related(self, *fields: Any) -> Any:
        """Load related records in the same query."""
        return super().select_related(*self._real(fields))

    def _real(self, fields: Any) -> builtins.list[str]:
        real = []
        for field in fields:
            if field is None:
                return [*fields]
            path = field_names.canonical(self.model, str(field).split("__"))
            if not field_names.exists(self.model, path):
                raise field_names.explain(self.model, path)
            real.append("__".join(path))
        return real

    def in_bulk(self, id_list: Any = None, *, field_name: str = "pk") -> dict[Any, M]:
        """Return the records by their ids, or by another field whose values are unique."""
        return super().in_bulk(id_list, field_name=self._real([field_name])[0])

    def _filter_or_exclude_inplace(self, negate: bool, args: Any, kwargs: Any) -> None:
        alternatives, kwargs = self._json_conditions(kwargs)
        conditions = list(field_names.conditions(args, kwargs, negated=negate))
        for name, value, _ in conditions:
            filter_values.check(self, name, value)
        self._lift(conditions)
        rewrite = getattr(self.model, "rewrite_filters", None)
        if rewrite is not None and not negate:
            extra, kwargs = rewrite(kwargs)
            args = (*args, *extra)
        args, kwargs = relations.resolve(self.model, self.db, args, kwargs)
        if alternatives:
            args, kwargs = (*args, *(alternatives.get(name, models.Q((name, kwargs[name]))) for name in kwargs)), {}
        try:
            super()._filter_or_exclude_inplace(negate, args, kwargs)  # type: ignore[misc]
        except (FieldError, ValidationError, ValueError, TypeError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(f"cannot filter {self.model.__name__}: {_one_line(error)}") from None
        if getattr(self._query, "crosses_many", False):
            self._query.distinct = True

    def _json_conditions(self, filters: dict[str, Any]) -> tuple[dict[str, models.Q], dict[str, Any]]:
        """Return filters with the values of JSON fields as they are stored, and other readings of `params__a__b`.

        That may be `b` inside of `a`, or a name with two underscores: either fits.
        """
        alternatives: dict[str, models.Q] = {}
        found = dict(filters)
        for name, value in filters.items():
            parts = field_names.canonical(self.model, name.split("__"))
            position = next((n for n in range(len(parts)) if self._is_json(parts[: n + 1])), None)
            if position is None:
                continue
            found[name] = stored = plain.plain(value, lambda other: other)
            keys = parts[position + 1 :]
            lookup = [keys.pop()] if keys and keys[-1] in KeyTransform.get_lookups() else []
            either = _present("__".join([*parts[: position + 1], *keys]), lookup, stored)
            for spelling in _joinings(keys):
                alias = f"_json_{len(self.query.annotations)}"
                self.query.add_annotation(
                    KeyTransform(spelling[0], "__".join(parts[: position + 1])), alias, select=False
                )
                other = _present("__".join([alias, *spelling[1:]]), lookup, stored)
                # Null is what neither reading finds.
                either = either & other if lookup == ["isnull"] and stored else either | other
            if len(keys) > 1:
                alternatives[name] = either
        return alternatives, found

    def _is_json(self, parts: builtins.list[str]) -> bool:
        return isinstance(field_names.follow(self.model, parts)[1], models.JSONField)

    def _described(self) -> str:
        try:
            condition = str(self.query.where) if self.query.where else ""
        except (TypeError, ValueError):
            condition = ""
        wanted = ", ".join(_conditions(self.query.where)) if condition else ""
        return f"{self.model.__name__}" + (f" with {wanted}" if wanted else "")

    def _repr_html_(self) -> str:
        from lamindb.models.dataframe import html_table

        return html_table(self)


def _conditions(node: Any) -> list[str]:
    found: list[str] = []
    for child in getattr(node, "children", []):
        if getattr(child, "_soft", None):
            continue
        if hasattr(child, "children"):
            inner = list(dict.fromkeys(_conditions(child)))
            found += [" or ".join(inner)] if child.connector == "OR" and inner else inner
        elif hasattr(child, "lhs") and hasattr(child.lhs, "target"):
            relation = "=" if child.lookup_name == "exact" else f" {child.lookup_name} "
            value = child.rhs
            is_query = hasattr(value, "query") or hasattr(value, "where")
            found.append("…" if is_query else f"{child.lhs.target.name}{relation}{value!r}")
    return found


def _present(path: str, lookup: list[str], value: Any) -> models.Q:
    """Return a condition on a place in a JSON field; where there is no such place it is false, not unknown."""
    condition = models.Q(("__".join([path, *lookup]), value))
    return condition if lookup == ["isnull"] else condition & models.Q((f"{path}__isnull", False))


def _joinings(keys: list[str]) -> Iterator[list[str]]:
    """Yield the other readings of keys, in which the first ones are one name with two underscores inside."""
    for count in range(2, len(keys) + 1):
        yield ["__".join(keys[:count]), *keys[count:]]


@lru_cache(maxsize=32)
def _blank(model: Any) -> dict[str, Any]:
    """Return the attributes of a query for a kind of records that Django's query is not made for yet."""
    made: Any = RecordQuery(model)
    made._query = None
    return dict(vars(made))


@lru_cache(maxsize=64)
def _common(model: Any, is_softened: bool) -> sql.Query:
    """Return what Django's queries for a kind of records have in common, which takes most of the time to build them."""
    made: Any = RecordQuery(model)
    kind = getattr(model, "TYPE", None)
    if kind:
        models.QuerySet._filter_or_exclude_inplace(made, False, (), {"type": kind})  # type: ignore[attr-defined]
    return cast("sql.Query", (made.softened() if is_softened else made).query)


def _built(question: Question, alias: str | None) -> sql.Query:
    """Return Django's query for a question."""
    model, is_softened, _, order, limit, fields = question.shape
    common = _common(model, is_softened).clone()
    # Django's copy shares these lists, to which joins add.
    common.table_map = {table: [*aliases] for table, aliases in common.table_map.items()}
    made: Any = RecordQuery(model, common, alias)
    for conditions, named in question.calls(alias):
        made._filter_or_exclude_inplace(False, conditions, named)
    query: sql.Query = made.query
    if fields is not None:
        query.set_values((fields,) if isinstance(fields, str) else fields)
    if order is not None:
        query.clear_ordering(force=True, clear_default=False)
        query.add_ordering(*order)
    if limit is not None:
        query.set_limits(None, limit)
    return query


class RecordManager(models.Manager[Any]):
    """Makes queries that are pinned to the instance that is current now."""

    use_in_migrations = False

    def get_queryset(self) -> RecordQuery[Any]:
        """Return a query for all records of this kind."""
        return self._all(self._alias)

    def using(self, alias: str | None) -> RecordQuery[Any]:
        """Return a query on one database."""
        return self._all(alias) if type(self) is RecordManager else self.get_queryset().using(cast("Any", alias))

    def _all(self, alias: str | None) -> RecordQuery[Any]:
        return RecordQuery.asking(all_of(cast("Any", self.model), False), alias, self._hints)  # type: ignore[attr-defined]

    def softened(self) -> RecordQuery[Any]:
        """Return a query for what `select()` shows by default."""
        if type(self) is not RecordManager:
            return self.get_queryset().softened()
        return RecordQuery.asking(all_of(cast("Any", self.model), True), self._alias, self._hints)  # type: ignore[attr-defined]

    @property
    def _alias(self) -> str:
        owner = self.__dict__.get("_hints", {}).get("instance")
        return self._db or (owner is not None and owner._state.db) or context.instance().alias

    def create(self, **kwargs: Any) -> Any:
        """Insert a record from field values."""
        return self.get_queryset().create(**kwargs)
