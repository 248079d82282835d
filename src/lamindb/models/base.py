"""The base class of all records: identity, constructor, queries, `repr`."""

from __future__ import annotations

import datetime
import html
from collections.abc import Callable, Iterable
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from django.db import models
from django.db.models.base import ModelBase, ModelState

from lamindb.core import context
from lamindb.core.verbs import verb
from lamindb.db.connection import of_thread
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound
from lamindb.models import field_names as models_field_names
from lamindb.models import relations
from lamindb.models.query import RecordManager, RecordQuery
from lamindb.models.statements import all_of

if TYPE_CHECKING:
    from typing import Self


def now() -> datetime.datetime:
    """Return the time as an aware UTC value."""
    return datetime.datetime.now(datetime.UTC)


def _alias_property(path: str) -> property:
    parts = path.split("__")

    def get(self: Any) -> Any:
        value = self
        for part in parts:
            value = getattr(value, part)
        return value

    def put(self: Any, value: Any) -> None:
        setattr(self, parts[0], value)

    return _Alias(get, put, doc=f"Another name of `{path}`.")


class _Alias(property):
    """An older name of a field; it works, and completion by Tab does not offer it."""


_OFFERED: Final = (property, FunctionType, classmethod)
_STATE: Final = frozenset({"alias", "is_saved", "pending"})
"""Attributes that are no fields: setting them is no change of the record."""


def _offered(kind: type[Record]) -> set[str]:
    """Return the public names of a kind of record that completion by Tab offers: fields, properties and methods."""
    bases = [base for base in kind.__mro__ if base.__module__.startswith("lamindb.")]
    left_out = kind.HIDDEN.union(*(vars(base).get("INTERNAL", ()) for base in bases))
    found = {field.name for field in kind._meta.concrete_fields} if hasattr(kind, "_meta") else set()
    for base in bases:
        found.update(name for name, value in vars(base).items() if isinstance(value, _OFFERED) and value.__doc__)
        left_out |= {name for name, value in vars(base).items() if isinstance(value, _Alias)}
    return {name for name in found - left_out if not name.startswith("_")}


class RecordType(ModelBase):
    """The class of kinds of records."""

    def __dir__(cls: type[Record]) -> list[str]:  # type: ignore[misc]  # noqa: N805
        """List what a person is meant to use, for completion by Tab; all else still works when it is typed."""
        return [name for name in type.__dir__(cls) if name.startswith("_")] + sorted(_offered(cls))


class Record(models.Model, metaclass=RecordType):
    """A row of an instance. Records are equal if they are of one kind and have the same id."""

    ALIASES: ClassVar[dict[str, str]] = {}
    """Other spellings of fields, for the constructor, for attributes and in queries."""
    SOFT_DEFAULTS: ClassVar[dict[str, models.Q]] = {}
    """What `select()` keeps to, by field, unless a filter names the field."""
    LIFTED_BY: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Which of these defaults a filter lifts that says which value of another field is wanted."""
    SOFTENED_BY: ClassVar[dict[str, dict[str, models.Q | None]]] = {}
    """What becomes of these defaults when a filter names another field; None: they are lifted."""
    NOT_JOINED: ClassVar[frozenset[str]] = frozenset()
    """Relations that `join` does not follow."""
    JOINABLE: ClassVar[bool] = True
    HIDDEN: ClassVar[frozenset[str]] = frozenset()
    """Fields that tables and `repr` leave out."""
    FIXED: ClassVar[frozenset[str]] = frozenset()
    """Fields that only the library sets; the constructor refuses them."""
    INTERNAL: ClassVar[frozenset[str]] = frozenset(
        {
            "adopt",
            "alias",
            "delete_row",
            "forget_related",
            "from_db",
            "from_fields",
            "from_columns",
            "loaded",
            "rebase",
            "refresh_from_db",
            "related",
            "rewrite_filters",
            "save_row",
            "set_related",
            "settle",
            "take_over",
        }
    )
    """Methods for other rooms, which completion by Tab leaves out."""
    EDITED: ClassVar[frozenset[str]] = frozenset()
    """Fields whose values people change without setting them, such as the entries of a dictionary."""
    SEARCH_FIELD: ClassVar[str] = "name"
    POSITIONAL: ClassVar[tuple[str, ...]] = ()

    objects: ClassVar[RecordManager] = RecordManager()

    class Meta:
        abstract = True
        default_manager_name = "objects"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, path in vars(cls).get("ALIASES", {}).items():
            if not hasattr(cls, name):
                setattr(cls, name, _alias_property(path))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = self._arguments(args, kwargs)
        # Set at once rather than by Django's constructor, which sets every field by itself.
        kind = _kind(type(self))
        self.__dict__.update(kind.defaults, _state=ModelState())
        self.__dict__.update((name, make()) for name, make in kind.made)
        for name, value in given.items():
            setattr(self, name, value)

    @classmethod
    def _arguments(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Turn a user's arguments into field values.

        Raises:
            InvalidTypeError: A name is no field, or both spellings of one were given, or a relation got something
                else than a record.
        """
        if len(args) > len(cls.POSITIONAL):
            raise InvalidTypeError(
                f"{cls.__name__}() takes {len(cls.POSITIONAL) or 'no'} positional argument(s): name the others"
            )
        given = {**dict(zip(cls.POSITIONAL, args, strict=False))}
        for name, value in kwargs.items():
            real = cls.ALIASES.get(name, name)
            if real in given and given[real] != value:
                raise InvalidTypeError(f"{cls.__name__}() got two different values for {real!r} (also spelt {name!r})")
            given[real] = value
        kind = _kind(cls)
        for name in given:
            if name not in kind.names:
                raise InvalidTypeError(str(models_field_names.unknown_field(cls, name)))
            if name in cls.FIXED:
                raise InvalidTypeError(f"{cls.__name__}() does not take {name!r}: it is set when the record is saved")
        for name, related in kind.related.items():
            value = given.get(name)
            if value is not None and not isinstance(value, related):
                raise InvalidTypeError(f"{name} must be a {related.__name__}, not {type(value).__name__}")
        return given

    @classmethod
    def from_fields(cls, *args: Any, **kwargs: Any) -> Self:
        """Make a record from field values as Django does, past the user's constructor."""
        new = cls.__new__(cls)
        models.Model.__init__(new, *args, **kwargs)
        return new

    @classmethod
    def from_columns(cls, values: dict[str, Any], db: str | None, *, is_new: bool) -> Self:
        """Make a record from the values of its columns at once; what is left out is loaded when it is read."""
        new = cls.__new__(cls)
        state = ModelState()
        state.db, state.adding = db, is_new
        new.__dict__["_state"] = state
        new.__dict__.update(values)
        return new

    @classmethod
    def from_db(cls, db: str | None, field_names: Iterable[str], values: Iterable[Any]) -> Self:
        """Make a record from a row; called by queries."""
        new = cls.__new__(cls)
        state = ModelState()
        state.db, state.adding = db, False
        new.__dict__.update(zip(field_names, values, strict=True), _state=state)
        return new

    @classmethod
    def select(cls, *conditions: Any, **filters: Any) -> RecordQuery[Self]:
        """Query records by their fields.

        Args:
            *conditions: `Q` objects.
            **filters: Field values, also along relations and with look-ups, as in `created_by__handle="ada"`,
                `size__gt=1_000`. Other spellings of fields work too.

        Returns:
            A lazy query of the current instance. Old versions and the trash are left out, unless a filter names the
            field that says so.

        Raises:
            UnknownFieldError: A name is no field; the message names the nearest one.
        """
        alias = context.instance().alias
        question = all_of(cls, True)
        filtered = question.filtered(conditions, filters, alias)
        found = RecordQuery.asking(filtered or question, alias, None)
        return found if filtered is not None else found.filter(*conditions, **filters)

    @classmethod
    def get(cls, text: str | None = None, **filters: Any) -> Self:
        """Return the one record that text names, or that passes filters, as for `select`.

        Args:
            text: An id, or else a key, name, handle, reference or root. A key means the current version of its file,
                the name of a transform its newest version.
            **filters: As for `select`.

        Raises:
            NoResultFound: There is none; the message tells what is near.
            MultipleResultsFound: There are several.
        """
        query = cls.select(**filters)
        if text is None:
            return query.one()
        if not isinstance(text, str):
            raise InvalidTypeError(f"an id or name must be text, not {type(text).__name__}")
        named = relations.named(cls._meta.concrete_model, query.db, text)
        if named == [text]:
            return query.filter(id=text).one()
        # Asked by a query, so that old versions and the trash stay left out.
        found: Self | None = query.filter(id__in=cls.objects.filter(id__in=named).values("id")).order_by("-id").first()
        if found is None:
            raise NoResultFound(f"{ascii(text)} is in the trash, or does not pass the filters")
        return found

    @classmethod
    def filter(cls, *conditions: Any, **filters: Any) -> RecordQuery[Self]:
        """Query records by their fields; another name of `select`."""
        return cls.select(*conditions, **filters)

    @classmethod
    def search(
        cls,
        text: str,
        *,
        field: str | None = None,
        top_hit: bool = False,
        limit: int | None = 20,
        case_sensitive: bool = False,
    ) -> Any:
        """Rank records by how well they fit what was typed; finds also what was mistyped.

        Args:
            text: What to look for.
            field: The field to compare. By default all that records are called by, of which the best counts: the
                name; of files also the key, of runs the name of the transform, of users the handle.
            top_hit: Return the one best record (of equal ones the newest), or None if there is none.
            limit: How many to return at most; None for all that fit.
            case_sensitive: Distinguish upper and lower case.

        Returns:
            A ranked list of records; `.df()` shows them with their scores.
        """
        options = {"field": field, "top_hit": top_hit, "limit": limit, "case_sensitive": case_sensitive}
        return verb("lamindb.search.index.search")(cls.select(), text, options)

    @classmethod
    def lookup(cls, field: str | None = None) -> Any:
        """Return an object whose attributes are the records, named by a text field, for completion by Tab.

        Values become attribute names in lower case with `_` for everything else; `.dict()` has them unchanged.
        """
        return cls.select().lookup(field)

    @classmethod
    def df(cls) -> Any:
        """Return all records as a pandas `DataFrame`."""
        return cls.select().df()

    def save(self, *args: Any, **kwargs: Any) -> Self:  # type: ignore[override]
        """Store the record: all of it or none of it.

        Returns:
            The record itself.
        """
        if args or kwargs:
            raise InvalidInputError("save() takes no arguments: set fields before it")
        self._store()
        return self

    def _store(self) -> None:
        verb("lamindb.records.save.save")(self)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; for a saved record, remember that it was set and not read."""
        super().__setattr__(name, value)
        state = self.__dict__.get("_state")
        if state is not None and not state.adding and name[0] != "_" and name not in _STATE:
            self.__dict__.setdefault("_assigned", set()).add(name)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy has: its changes are its own."""
        state: dict[str, Any] = super().__getstate__()
        if "_assigned" in state:
            state["_assigned"] = set(state["_assigned"])
        return state

    def rebase(self, stored: Record) -> None:
        """Take all fields from the row as it is now, but those that were set since the record was read.

        Other processes may have changed the row meanwhile: only fields that were set here are written.
        """
        own = self.__dict__
        kept = own.get("_assigned", frozenset()) | self.EDITED
        for field in self._meta.concrete_fields:
            name = field.attname
            if name not in own or (name not in kept and own[name] != stored.__dict__[name]):
                own[name] = stored.__dict__[name]
                if field.is_relation:
                    self._state.fields_cache.pop(field.name, None)

    def settle(self) -> None:
        """Count what was set as written."""
        self.__dict__.pop("_assigned", None)

    def save_row(
        self, *, using: str | None = None, force_insert: bool = False, fields: Iterable[str] | None = None
    ) -> None:
        """Write only the row, or only some fields of it. Never inserts a record that was deleted meanwhile."""
        alias = using or self._state.db or context.instance().alias
        is_new = force_insert or self._state.adding
        super().save(using=alias, force_insert=force_insert, force_update=not is_new, update_fields=fields)
        self.settle()

    def delete(  # type: ignore[override]
        self, permanent: bool | None = None, *, storage: bool | None = None, **older: Any
    ) -> Any:
        """Delete the record, if nothing refers to it.

        Raises:
            ReferencedError: Other records refer to it. Nothing was deleted.
        """
        if "delete_data_from_storage" in older:
            storage = older.pop("delete_data_from_storage")
        if older:
            raise InvalidTypeError(f"delete() does not take {', '.join(map(repr, older))}")
        verb("lamindb.maintenance.trash.delete")(self, permanent=bool(permanent), storage=storage)
        return None

    def delete_row(self) -> Any:
        """Delete only the row; the record is not saved any more."""
        deleted = super().delete()
        self.is_saved = False
        return deleted

    @property
    def is_saved(self) -> bool:
        """Whether the record is in a database."""
        return not self._state.adding

    @is_saved.setter
    def is_saved(self, value: bool) -> None:
        self._state.adding = not value

    @property
    def alias(self) -> str | None:
        """The alias of the database that the record belongs to, see `Instance.alias`."""
        return self._state.db

    @alias.setter
    def alias(self, value: str | None) -> None:
        self._state.db = value

    @property
    def loaded(self) -> dict[str, Any]:
        """The fields that were loaded or set, by column; what is changed here does not count as set by the user."""
        return self.__dict__

    def related(self, name: str) -> Any:
        """Return the record of a relation if it is loaded or was set, else None; asks no database."""
        return self._state.fields_cache.get(name)

    def set_related(self, name: str, record: Any) -> None:
        """Keep the record of a relation whose column is set already."""
        self._state.fields_cache[name] = record

    def forget_related(self) -> None:
        """Load the records of relations again when they are next read."""
        self._state.fields_cache.clear()

    def adopt(self, other: Record) -> None:
        """Become another record of the same kind: its id, fields and state."""
        for field in self._meta.concrete_fields:
            if field.attname in other.__dict__:
                self.__dict__[field.attname] = other.__dict__[field.attname]
        self._state.fields_cache.clear()
        self._state.adding = False
        self._state.db = other._state.db
        self.settle()

    def take_over(self, other: Record) -> None:
        """Become another record of the same kind as `adopt` does, without a copy: the other is not to be used again."""
        state, fields = self._state, self.__dict__
        object.__setattr__(self, "__dict__", other.__dict__)
        known = {field.attname for field in self._meta.concrete_fields}
        self.__dict__.update((name, value) for name, value in fields.items() if name not in known)
        state.fields_cache.clear()
        state.adding = False
        state.db = other._state.db
        self.__dict__["_state"] = state
        self.settle()

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """Read fields again; a field that was not loaded yet brings all others that were not, in one query.

        Raises:
            NoInstanceError: The record's instance is disconnected.
        """
        alias = using or self._state.db
        if alias is not None:
            # Django's error for a database that it does not know names neither.
            of_thread(alias)
        if fields is not None:
            fields = sorted({*fields, *self.get_deferred_fields()})
        assigned = set(self.__dict__.get("_assigned", ()))
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
        self.settle()
        if fields is not None and (left := assigned.difference(fields)):
            self.__dict__["_assigned"] = left

    def __dir__(self) -> list[str]:
        """List what a person is meant to use, for completion by Tab; all else still works when it is typed."""
        return [name for name in super().__dir__() if name.startswith("_")] + sorted(_offered(type(self)))

    def __repr__(self) -> str:
        shown = []
        for field in self._meta.concrete_fields:
            if field.name in self.HIDDEN or field.attname not in self.__dict__:
                continue
            value = self.__dict__[field.attname]
            if value is None or value == "":
                continue
            shown.append(f"{field.attname}={_short(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(field.attname)}</th>"
            f"<td style='text-align:left'>{html.escape(_short(self.__dict__[field.attname]))}</td></tr>"
            for field in self._meta.concrete_fields
            if field.name not in self.HIDDEN and self.__dict__.get(field.attname) not in (None, "")
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"


class _Kind(NamedTuple):
    """What a constructor asks of a kind of records: the names of its fields, and what they are if not given."""

    names: frozenset[str]
    related: dict[str, type[models.Model]]
    defaults: dict[str, Any]
    made: list[tuple[str, Callable[[], Any]]]


@lru_cache(maxsize=64)
def _kind(model: type[Record]) -> _Kind:
    fields: list[Any] = list(model._meta.concrete_fields)
    computed = [field for field in fields if field.has_default() and callable(field.default)]
    return _Kind(
        frozenset(name for field in fields for name in (field.name, field.attname)),
        {field.name: field.related_model for field in fields if field.is_relation},
        {field.attname: field.get_default() for field in fields if field not in computed},
        [(field.attname, field.get_default) for field in computed],
    )


def _short(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


def check_texts(record: models.Model) -> None:
    """Refuse text that a database cannot hold.

    Raises:
        InvalidInputError: A field has a NUL or a lone surrogate.
    """
    for name, value in record.__dict__.items():
        if value.__class__ is str and not value.isprintable():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise InvalidInputError(f"{name} has a character that is half of a pair (a lone surrogate)") from None
            if "\0" in value:
                raise InvalidInputError(f"{name} has a NUL character, which no database can hold")
