"""What filters by relations mean: a record, or text that names one; and runs that made the same bytes again."""

from __future__ import annotations

import os
import unicodedata
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Q

from lamindb.core import context, ids, storage_url
from lamindb.core.keys import OWN_ROOT
from lamindb.core.verbs import verb
from lamindb.db import database
from lamindb.errors import InvalidInputError, MultipleResultsFound, NoResultFound
from lamindb.models import field_names

_LISTED: Final = 10
_NEAR_AMONG: Final = 10_000

_LOADED: Final = 250

_NAMES: Final = {
    "user": ("user", ("handle", "name")),
    "storage": ("storage", ("location",)),
    "transform": ("notebook, script or pipeline", ("reference", "name")),
    "run": ("run", ("name", "external_id")),
    "file": ("file", ("key", "name")),
}
"""What each kind is called in messages, and the fields by which text names a record, the first that fits counts."""


def resolve(model: Any, alias: str, args: Iterable[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return filters in which text for a relation is replaced by the ids of what it names.

    Raises:
        NoResultFound: Text names nothing; the message tells what is near.
        MultipleResultsFound: It names several records; they are listed.
    """
    found, rest = [_resolve_q(model, alias, one) if isinstance(one, Q) else one for one in args], {}
    for name, value in kwargs.items():
        replaced = _resolve_one(model, alias, name, value)
        if isinstance(replaced, Q):
            found.append(replaced)
        else:
            rest[replaced[0]] = replaced[1]
    return found, rest


def _resolve_q(model: Any, alias: str, condition: Any) -> Any:
    def resolved(child: Any) -> Any:
        if isinstance(child, Q):
            return _resolve_q(model, alias, child)
        return _resolve_one(model, alias, *child) if isinstance(child, tuple) else child

    children = [resolved(child) for child in condition.children]
    return Q.create(children, connector=condition.connector, negated=condition.negated)


def _resolve_one(model: Any, alias: str, name: str, value: Any) -> Any:
    """Return a condition as it was, with ids for text, or as a `Q` that takes its place."""
    parts = field_names.canonical(model, name.split("__"))
    composed = _composed(value)
    if composed is not value and composed != value and _is_key(model, parts):
        return Q((name, value)) | Q((name, composed))
    lookup = parts.pop() if parts[-1] in ("exact", "in") else "exact"
    if (
        value is None
        or not parts
        or (lookup == "in") != isinstance(value, (list, tuple, set, frozenset, models.QuerySet))
    ):
        return name, value
    owner, field = _last_field(model, parts)
    if field is None:
        return name, value
    if field.model._meta.model_name == "storage" and field.name == "location":
        given = list(value) if lookup == "in" else [value]
        return f"{'__'.join(parts)}__in", [*given, *(_location(one, alias) for one in given)]
    if not field.is_relation or (parts[-1] == getattr(field, "attname", None) and field.name != parts[-1]):
        return name, value
    target = field.related_model._meta.concrete_model
    kind = target._meta.model_name
    if kind in _NAMES and not isinstance(value, models.QuerySet):
        values = list(value) if lookup == "in" else [value]
        if any(isinstance(one, str) for one in values):
            value, lookup = _ids(target, alias, values), "in"
    if owner._meta.model_name == "file" and len(parts) == 1 and field.name in ("run", "transform"):
        return _made_by(model, alias, field.name, value if lookup == "in" else [value])
    return (f"{'__'.join(parts)}__in", value) if lookup == "in" else (name, value)


def _composed(value: Any) -> Any:
    """Return text, or the texts of a collection, in Unicode's composed form (NFC), as keys are."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if type(value) in (list, tuple) and any(isinstance(one, str) and not one.isascii() for one in value):
        return [_composed(one) for one in value]
    return value


def _is_key(model: Any, parts: list[str]) -> bool:
    """Return True if a filter, with or without a lookup at its end, is about the key of a file."""
    field = _last_field(model, parts)[1] or _last_field(model, parts[:-1])[1]
    return field is not None and field.name == "key" and field.model._meta.model_name == "file"


def _last_field(model: Any, parts: list[str]) -> tuple[Any, Any]:
    """Return the field at the end of a path of real names, and the model that has it; None where there is none."""
    holder, owner, field = model, model, None
    for part in parts:
        if owner is None:
            return None, None
        try:
            field = owner._meta.get_field(part)
        except FieldDoesNotExist:
            return None, None
        holder, owner = owner, field.related_model if field.is_relation else None
    return holder._meta.concrete_model, field


def _ids(target: Any, alias: str, values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for one in values:
        if isinstance(one, str):
            found += named(target, alias, one)
        else:
            found.append(one.pk if isinstance(one, models.Model) else one)
    return found


def _made_by(model: Any, alias: str, relation: str, values: Any) -> Q:
    """Return the condition for files that runs made, the first time or again."""
    outputs = model._meta.apps.get_model("lamindb", "RunOutput").objects.using(alias).order_by()
    files = model._meta.apps.get_model("lamindb", "File").objects.using(alias).order_by()
    path = "run__in" if relation == "run" else "run__transform__in"
    # One set of ids: for a condition with OR, PostgreSQL would look at every file.
    first = files.filter(**{f"{relation}_id__in": _plain(values)}).values("id")
    return Q(id__in=first.union(outputs.filter(**{path: values}).values("file_id")))


def _plain(values: Any) -> Any:
    if isinstance(values, models.QuerySet):
        return values if values.query.values_select or values.query.is_sliced else values.values("pk")
    return [one.pk if isinstance(one, models.Model) else one for one in values]


def named(target: Any, alias: str, text: str) -> list[str]:
    """Return the ids of what text names: by its id, or else handle, name, reference, root or key.

    A key means all versions of its file, the name or path of a transform all versions of that.

    Raises:
        NoResultFound: It names nothing; the message tells what is near.
        MultipleResultsFound: It names several records; they are listed.
    """
    kind = target._meta.model_name
    query = target.objects.using(alias).order_by()
    if query.filter(pk=text).exists():
        return [text]
    called, fields = _NAMES[kind]
    found: list[Any] = []
    for field in fields:
        # Keys are composed, but for those that another program gave to what stays in a bucket.
        forms = {text, _composed(text)} if field == "key" else {text}
        condition = Q(**{f"{field}__in": forms}) if kind != "storage" else Q(**{field: _location(text, alias)})
        if field == "reference":
            # A reference that is the name, as it is by default, is a name like others.
            condition = condition & ~Q(name=text) | Q(reference__endswith=f"/{text}")
        found = list(query.filter(condition).order_by("pk"))
        if found:
            break
    if not found and kind == "storage":
        found = [row for row in query.order_by("pk") if row.root.rstrip("/").rsplit("/", 1)[-1] == text]
    if not found:
        now = verb("lamindb.models.file_event.renamed_to")(alias, [text]) if kind == "file" else []
        advice = f": it was renamed to {ascii(now[0])}" if now else _near(query, fields, text)
        raise NoResultFound(f"there is no {called} {ascii(text)}{advice}")
    groups = _groups(kind, found)
    if len(groups) > 1:
        listed = ", ".join(f"{_shown(rows[-1], fields)} ({rows[-1].pk})" for rows in list(groups.values())[:_LISTED])
        plural = "storages" if kind == "storage" else f"{kind}s"
        raise MultipleResultsFound(f"several {plural} are called {ascii(text)}: name one of {listed}")
    if kind == "file" and found[0].key in (text, _composed(text)):
        return list(query.filter(id__range=ids.version_range(found[0].stem_id)).values_list("pk", flat=True))
    return [row.pk for row in found]


def _groups(kind: str, found: list[Any]) -> dict[Any, list[Any]]:
    """Group records that are versions of one thing; of files, those in the trash count only where there is no other."""
    if kind == "file":
        found = [row for row in found if row.is_latest and row.trashed_at is None] or found
    groups: dict[Any, list[Any]] = {}
    for row in found:
        if kind == "transform":
            name: Any = (row.type, row.reference)
        else:
            name = row.stem_id if kind == "file" else row.pk
        groups.setdefault(name, []).append(row)
    return groups


def _shown(row: Any, fields: tuple[str, ...]) -> str:
    if fields == ("location",):
        return str(row.root)
    return str(next((value for field in fields if (value := getattr(row, field))), row.pk))


def _near(query: Any, fields: tuple[str, ...], text: str) -> str:
    known = (value for field in fields for value in query.values_list(field, flat=True).distinct()[:_NEAR_AMONG])
    import difflib

    near = difflib.get_close_matches(text, {str(value) for value in known if value}, 1, 0.6)
    return f": did you mean {ascii(near[0])}?" if near else ""


def _location(root: Any, alias: str) -> Any:
    """Return what is stored for a storage root: the own one is stored so that its folder can move."""
    if not isinstance(root, (str, os.PathLike)):
        return root
    text = os.fspath(root)
    instance = context.connected(alias)
    if "://" in text:
        return storage_url.canonical(text)
    real = os.path.realpath(os.path.expanduser(text)) if text != OWN_ROOT else text
    is_own = instance is not None and real == instance.root_url and instance.database_url is None
    return OWN_ROOT if is_own else real


def load(records: Iterable[Any], path: str) -> None:
    """Read the records that a relation of saved records leads to, and of these those of the next, by a statement each.

    Args:
        records: Records of one kind and one instance; what they have already is not read again.
        path: Names of relations to single records, as in `run__transform`.
    """
    name, _, rest = path.partition("__")
    listed = list(records)
    missing = [one for one in listed if name not in one._state.fields_cache]
    for chunk in database.chunks(missing, _LOADED):
        field = chunk[0]._meta.get_field(name)
        wanted = {value for one in chunk if (value := getattr(one, field.attname)) is not None}
        query = field.related_model.objects.using(chunk[0].alias).filter(id__in=wanted).order_by()
        found = {related.id: related for related in query} if wanted else {}
        for one in chunk:
            related = found.get(getattr(one, field.attname))
            if related is not None:
                one.set_related(name, related)
    if rest:
        load((related for one in listed if (related := one.related(name)) is not None), rest)


def shortest_path(start: list[Any], target: type[models.Model]) -> str:
    """Return the shortest way along relations from the models joined so far (the last first) to a model.

    Raises:
        InvalidInputError: There is none, or there are two equally short ones.
    """
    goal = target._meta.concrete_model
    origins: list[tuple[str, Any]] = [("", start[0]), *start[1:]]
    for prefix, origin in reversed(origins):
        level: deque[tuple[str, Any]] = deque([(prefix, origin._meta.concrete_model)])
        seen = {origin._meta.concrete_model}
        while level:
            hits: list[str] = []
            following: deque[tuple[str, Any]] = deque()
            for path, model in level:
                for field in model._meta.get_fields():
                    related: Any = field.related_model
                    if not field.is_relation or not hasattr(related, "_meta") or field.name in model.NOT_JOINED:
                        continue
                    step = f"{path}__{field.name}" if path else field.name
                    if related._meta.concrete_model is goal:
                        hits.append(step)
                    elif related not in seen and getattr(related, "JOINABLE", False):
                        following.append((step, related))
            if len(hits) > 1:
                raise InvalidInputError(
                    f"{origin.__name__} and {target.__name__} are related in several ways "
                    f"({', '.join(hits)}): filter by one of these names instead"
                )
            if hits:
                return hits[0]
            seen.update(model for _, model in following)
            level = following
    raise InvalidInputError(f"{origins[0][1].__name__} and {target.__name__} are not related")
