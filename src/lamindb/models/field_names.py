"""Field names: older spellings, shortcuts through link tables, and the nearest name for a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from lamindb.errors import UnknownFieldError


def aliases_of(model: type[Model]) -> dict[str, str]:
    """Return the other spellings that a model accepts, each with the path of fields that it stands for."""
    found: dict[str, str] = getattr(model, "ALIASES", {})
    return found


def canonical(model: type[Model], names: list[str]) -> list[str]:
    """Replace other spellings by real field names, hop by hop along relations.

    `run__pipeline__v` becomes `run__transform__version`. What is no field (a look-up such as `gt`) stays.
    """
    result: list[str] = []
    current: type[Model] | None = model
    for name in names:
        replaced = aliases_of(current).get(name, name).split("__") if current is not None else [name]
        for part in replaced:
            result.append(part)
            current = _next_model(current, part)
    return result


def _next_model(model: type[Model] | None, name: str) -> type[Model] | None:
    if model is None:
        return None
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    related = getattr(field, "related_model", None)
    return related if isinstance(related, type) else None


def follow(model: type[Model], parts: list[str]) -> tuple[type[Model] | None, Any]:
    """Walk real field names; return the model that the last one leads to, None if it is no relation, and the field."""
    current: type[Model] | None = model
    field: Any = None
    for part in canonical(model, parts):
        if current is None:
            return None, field
        try:
            field = current._meta.get_field("id" if part == "pk" else part)
        except FieldDoesNotExist:
            return None, field
        current = _next_model(current, part)
    return current, field


def exists(model: type[Model], parts: list[str]) -> bool:
    """Return True if a path of real names leads from field to field to its end."""
    current: type[Model] | None = model
    for part in parts:
        if current is None or follow(current, [part])[1] is None:
            return False
        current = _next_model(current, part)
    return True


def field_names(model: type[Model]) -> list[str]:
    """Return every name that a filter on a model accepts."""
    names: set[str] = set(aliases_of(model)) | {"pk"}
    for field in model._meta.get_fields():
        names.add(field.name)
        attname = getattr(field, "attname", None)
        if attname:
            names.add(attname)
    return sorted(names)


def unknown_field(model: type[Model], name: str) -> UnknownFieldError:
    """Make the error for a name that is no field, naming the nearest one."""
    known = field_names(model)
    import difflib

    near = difflib.get_close_matches(name, known, 1, 0.5)
    public = [n for n in known if not n.startswith("_") and not n.endswith("_links")]
    advice = f"did you mean {near[0]!r}?" if near else "its fields are " + ", ".join(public)
    return UnknownFieldError(f"{model.__name__} has no field {name!r}: {advice}")


def explain(model: type[Model], names: list[str]) -> UnknownFieldError:
    """Make the error for a path of names of which one is no field."""
    current: type[Model] | None = model
    for name in names:
        if current is None:
            break
        following = _next_model(current, name)
        if following is None:
            try:
                current._meta.get_field(name)
            except FieldDoesNotExist:
                if name not in {"pk", *(getattr(f, "attname", "") for f in current._meta.get_fields())}:
                    return unknown_field(current, name)
            break
        current = following
    return unknown_field(model, "__".join(names))


def conditions(args: Iterable[Any], kwargs: dict[str, Any], *, negated: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield every name that filters use, what it is compared with, and whether all that is found must fit it.

    That is not so under a negation, or where another condition may fit instead.
    """
    from django.db.models import Q

    pending: list[tuple[Any, bool]] = [(item, not negated) for item in (*args, *kwargs.items())]
    while pending:
        item, is_required = pending.pop()
        if isinstance(item, Q):
            is_required = is_required and not item.negated and (item.connector == Q.AND or len(item.children) == 1)
            pending.extend((child, is_required) for child in item.children)
        elif isinstance(item, tuple) and item and isinstance(item[0], str):
            yield item[0], item[1], is_required
