"""What filters compare with: refused where it belongs elsewhere, or where no database holds it."""

from __future__ import annotations

import datetime
import math
from typing import Any, Final

from django.db import connections, models

from lamindb.errors import InvalidInputError, InvalidTypeError, UnsupportedError
from lamindb.models import field_names

_CONTAINMENT: Final = frozenset({"contains", "contained_by"})


def check(query: Any, name: str, value: Any) -> None:
    """Check what a query is to compare with.

    Args:
        query: The query.
        name: The name of a filter, with its look-up.
        value: The value.

    Raises:
        InvalidInputError: It is a record that is not saved or of another instance, or something that no database holds.
        InvalidTypeError: It is of a type that the look-up does not take.
        UnsupportedError: This database has no such look-up.
    """
    if name.endswith("__isnull") and not isinstance(value, bool):
        raise InvalidTypeError(f"{name} must be True or False, not {value!a}")
    if name.rpartition("__")[2] in _CONTAINMENT:
        _check_containment(query, name)
    if isinstance(value, models.Model):
        database = value._state.db
        if value._state.adding:
            raise InvalidInputError(f"cannot filter by {name}: that {type(value).__name__} is not saved yet")
        if database and database != query.db:
            raise InvalidInputError(f"cannot filter by {name}: that record belongs to another instance")
    elif isinstance(value, models.QuerySet):
        if value.db != query.db:
            raise InvalidInputError(
                f"cannot filter by {name}: that query asks another instance; pass its ids, as in "
                f"{name}=query.list('id')"
            )
    elif isinstance(value, str):
        _check_text(name, value)
    elif isinstance(value, (float, datetime.datetime)):
        _check_range(name, value)
    elif isinstance(value, (list, tuple, set, frozenset)):
        field = field_names.canonical(query.model, name.split("__"))
        if not name.endswith(("__in", "__range")) and "params" not in field:
            raise InvalidTypeError(f"cannot filter by {name} = a {type(value).__name__}: use {name}__in=[…]")
        for one in value:
            if not isinstance(one, (list, tuple, set, frozenset)):
                check(query, name, one)


def _check_containment(query: Any, name: str) -> None:
    """Refuse to ask what a JSON field contains where the database cannot tell."""
    *path, _ = name.split("__")
    _, field = field_names.follow(query.model, field_names.canonical(query.model, path))
    if isinstance(field, models.JSONField) and not connections[query.db].features.supports_json_field_contains:
        raise UnsupportedError(
            f"SQLite cannot filter by {name}: compare with one value inside, as in {'__'.join(path)}__NAME=VALUE"
        )


def _check_text(name: str, value: str) -> None:
    """Refuse what no text in a database can hold, which one database would say and another pass over."""
    refusal = f"cannot filter by {name}: the database cannot hold {value!a}"
    if "\0" in value:
        raise InvalidInputError(f"{refusal}, which contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(f"{refusal}, which is not valid Unicode") from None


def _check_range(name: str, value: float | datetime.datetime) -> None:
    """Refuse a number that is not finite, and a time that has no UTC."""
    try:
        if isinstance(value, datetime.datetime):
            if value.tzinfo is not None:
                value.astimezone(datetime.UTC)
        elif math.isinf(value):
            raise OverflowError
    except OverflowError:
        raise InvalidInputError(f"cannot filter by {name}: no database holds {value}") from None
