"""Saving records other than files: each by its natural key, so that saying the same twice is one record."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from django.db import IntegrityError as DuplicateError
from django.db import models, transaction

from lamindb.core import context, ids, messages, storage_url
from lamindb.core.keys import OWN_ROOT
from lamindb.core.text import storable
from lamindb.db import database
from lamindb.errors import ConflictError, InvalidInputError, InvalidTypeError, ReadOnlyError, StorageError
from lamindb.models import File, Record, Run, Storage, Transform, User, rows
from lamindb.models.base import check_texts, now
from lamindb.records import edges
from lamindb.records.open_instance import Instance, ensure_user


def save(record: Record) -> None:
    """Save one record of any kind but a file.

    Raises:
        InvalidInputError: A field cannot be right. Nothing was saved.
        ConflictError: It was deleted meanwhile, or another record has its natural key.
    """
    save_all([record])


def save_all(records: Sequence[Record]) -> None:
    """Save records other than files: all of them or none.

    Those of each instance are written in one transaction. All are written before the first transaction ends: only
    where a database fails just then, the records of one instance may be saved without those of another.

    Raises:
        ReadOnlyError: An instance can only be read. Nothing was saved.
        InvalidInputError, ConflictError: As for a single record. Nothing was saved.
        DatabaseError: A database failed; none of its instance's records was saved.
    """
    with _written(records):
        pass


class _Checked(Exception):
    """Ends transactions that only check."""


def check_all(records: Sequence[Record]) -> None:
    """Raise what `save_all` would raise; nothing is saved."""
    with contextlib.suppress(_Checked), _written(records):
        raise _Checked


@contextlib.contextmanager
def _written(records: Sequence[Record]) -> Iterator[None]:
    """Write records in transactions that end with the block."""
    check_pending(records)
    by_alias: dict[str, list[Record]] = {}
    for record in records:
        by_alias.setdefault(record.alias or context.instance().alias, []).append(record)
    for alias in by_alias:
        instance = context.connected(alias)
        if instance is not None and instance.is_read_only:
            raise ReadOnlyError(f"the instance in {instance.root_url} can only be read")
    for alias in by_alias:
        # Outside the transaction, whose failure would take the record of a new user with it.
        user_id(alias)
    with contextlib.ExitStack() as open_blocks:
        # In one order, so that two processes never wait for each other in a circle.
        for alias, found in sorted(by_alias.items()):
            open_blocks.enter_context(undone_on_failure(found))
            connection = open_blocks.enter_context(database.writing(alias))
            for record in found:
                _save_one(record, connection)
            link_pending(found, connection)
        yield


def user_id(alias: str) -> str:
    """Return the id of the record of the user who works here, in the database of an alias."""
    instance = context.connected(alias)
    return instance.user_id() if instance is not None else ensure_user(alias)


def save_inside(records: Sequence[Record], connection: Any) -> None:
    """Save records other than files inside the open transaction; `link_pending` links the files of runs."""
    for record in records:
        _save_one(record, connection)


@contextlib.contextmanager
def undone_on_failure(records: Iterable[Record]) -> Iterator[None]:
    """Give records their fields and state back if the block fails: what was rolled back was never saved.

    So are new transforms of runs, which are saved with these.
    """
    given = list(records)
    transforms = [run.related("transform") for run in given if isinstance(run, Run)]
    given += [one for one in transforms if one is not None and not one.is_saved]
    before = [(record, dict(record.loaded), record.is_saved, record.alias) for record in given]
    try:
        yield
    except BaseException:
        for record, values, is_saved, alias in before:
            record.loaded.clear()
            record.loaded.update(values)
            record.is_saved, record.alias = is_saved, alias
        raise


def _save_one(record: Record, connection: Any) -> None:
    check_texts(record)
    _make_storable(record)
    for name, other in record._state.fields_cache.items():
        if isinstance(other, Record) and not other.is_saved and name != "transform":
            raise InvalidInputError(f"{name} is a {type(other).__name__} that is not saved yet: save it first")
    was_deleted = record.pk is None and record.alias is not None
    if not (record.is_saved or was_deleted):
        _prepare_new(record, connection.alias)
        if isinstance(record, Run) and (new := record.related("transform")) is not None and not new.is_saved:
            _save_one(new, connection)
            record.transform_id = new.id
        _insert_or_adopt(record, connection)
    else:
        _update(record, connection.alias)


def _make_storable(record: Record) -> None:
    """Write visibly what no database can hold in JSON; a value that needs it not stays the object that it is.

    Raises:
        InvalidTypeError: A value has no form in JSON; the message names the parameter of a run.
    """
    for name in _json_fields(type(record)):
        value = record.loaded.get(name)
        if value is not None:
            _check_json(name, value)
        if value is not None and (shown := storable(value)) != value:
            record.loaded[name] = shown


def _check_json(name: str, value: Any) -> None:
    reason = _not_json(value)
    if reason is None:
        return
    for key, inner in value.items() if isinstance(value, dict) else ():
        if _not_json({key: inner}) is not None:
            name = f"{name}[{key!r}]"
            break
    raise InvalidTypeError(
        f"{name} cannot be stored as JSON ({reason}): pass text, numbers, lists, and dictionaries with text as names"
    )


def _not_json(value: Any) -> Exception | None:
    """Return why a value has no form in JSON; None if it has one."""
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        return error
    return None


@lru_cache(maxsize=64)
def _json_fields(kind: type[Record]) -> list[str]:
    return [field.attname for field in kind._meta.concrete_fields if isinstance(field, models.JSONField)]


def _prepare_new(record: Record, alias: str) -> None:
    if isinstance(record, User):
        from lamindb.instance import user

        who = user.person(record.handle, name=record.name, email=record.email)
        record.id, record.name, record.email = record.id or who.id, who.name, who.email
    elif hasattr(record, "created_by_id") and record.created_by_id is None:
        record.created_by_id = user_id(alias)
    if isinstance(record, Storage):
        _prepare_storage(record)
        _forget_storages(alias)


def _prepare_storage(storage: Storage) -> None:
    location = storage.location
    if "://" in location:
        storage.location, storage.type = storage_url.canonical(location), storage_url.split(location)[0]
        _check_bucket(storage.location)
        return
    root = os.path.realpath(os.path.expanduser(location))
    if not os.path.isdir(root):
        raise InvalidInputError(f"the storage root {root} is not a folder: make it first")
    instance = context.instance()
    storage.location, storage.type = root, "local"
    if root == instance.root_url:
        storage.location = OWN_ROOT if instance.database_url is None else root
    elif (root + "/").startswith(instance.root_url + "/.lamindb/"):
        raise InvalidInputError(f"{root} lies in the library's own folder: choose another one")


def _check_bucket(location: str) -> None:
    """Refuse a bucket that does not exist; one that cannot be listed, or reached now, is taken.

    Raises:
        InvalidInputError: There is no such bucket.
    """
    try:
        next(iter(context.instance().open_root(location).list()), None)
    except StorageError as error:
        if "no such bucket" in str(error):
            raise InvalidInputError(f"there is no bucket of {location}: make it first") from error
        messages.debug(f"{location} cannot be looked at: {error}")


def _forget_storages(alias: str) -> None:
    instance = context.connected(alias)
    if instance is not None:
        instance.forget_storages()


def _relocate_storage(storage: Storage, stored: Storage, alias: str) -> None:
    """Take over another place of a further storage, whose folder or bucket was moved.

    Raises:
        InvalidInputError: It is the own storage, or the new place is no folder.
    """
    instance = context.connected(alias)
    if instance is None or instance.is_own(storage.id):
        raise InvalidInputError("the instance's own storage moves by `lamin migrate-to --storage`")
    if ("://" in storage.location) != ("://" in stored.location):
        raise InvalidInputError(f"{stored.location} cannot become {storage.location}: one is a folder, one a bucket")
    _prepare_storage(storage)
    _forget_storages(alias)


_NATURAL_KEYS: Final[dict[type[Record], tuple[str, ...]]] = {
    Transform: ("type", "reference", "version"),
    User: ("handle",),
    Storage: ("location",),
}
"""The fields by which a record is known beside its id."""


def _known(record: Record, alias: str) -> Any:
    """Return the record that has the natural key of a new one, None if there is none."""
    kind: Any = record._meta.concrete_model
    names = _NATURAL_KEYS.get(kind)
    if names is None:
        return None
    condition = " AND ".join(f"{name} = %s" for name in names)
    found: list[Record] = rows.rows(kind, alias, condition, [record.loaded[name] for name in names])
    return found[0] if found else None


def _insert_or_adopt(record: Record, connection: Any) -> None:
    """Insert a record, or become the one that exists with the same natural key; a race is decided by the database."""
    existing = _known(record, connection.alias)
    if existing is None:
        if isinstance(record, Transform):
            _join_family(record, connection.alias)
        if _insert(record, connection):
            record.is_saved, record.alias = True, connection.alias
            record.settle()
            return
        existing = _known(record, connection.alias)
        if existing is None:
            raise ConflictError(
                f"there is a {_kind(record)} with the id {record.pk!r} already: leave the id out, or take another"
            )
    description = getattr(record, "description", None)
    record.adopt(existing)
    if description and description != existing.description:
        record.description = description
        record.save_row(using=connection.alias)


def _insert(record: Record, connection: Any) -> bool:
    """Insert a record; return False if one with its id or its natural key is there."""
    try:
        return database.insert(connection, record)
    except DuplicateError as error:
        raise ConflictError(f"cannot save this {_kind(record)}: {str(error).splitlines()[0]}") from error


def _kind(record: Record) -> str:
    kind: Any = record._meta.concrete_model
    return str(kind.__name__)


def _join_family(transform: Transform, alias: str) -> None:
    """Give a new version of a known transform the stem of the others."""
    family = Transform.objects.using(alias).filter(type=transform.type, reference=transform.reference)
    known = sorted(family.values_list("id", flat=True))
    if known:
        stem = known[-1][: ids.TRANSFORM_STEM_LENGTH]
        transform.id = ids.transform_id(stem, ids.decode(known[-1][ids.TRANSFORM_STEM_LENGTH :]) + 1)


def _update(record: Record, alias: str) -> None:
    """Write fields that changed; an unchanged record is left alone."""
    model: Any = record._meta.concrete_model
    found: list[Record] = rows.rows(model, alias, "id = %s", [record.pk])
    if not found:
        raise ConflictError(f"{record!r} was deleted meanwhile: make a new record")
    stored: Any = found[0]
    record.rebase(stored)
    changed = [
        field.attname
        for field in record._meta.concrete_fields
        if field.attname in record.loaded and record.loaded[field.attname] != stored.loaded[field.attname]
    ]
    if not changed or changed == ["updated_at"]:
        record.settle()
        return
    if isinstance(record, Transform) and stored.name == stored.reference and "name" in changed:
        record.reference = record.name
        changed.append("reference")
    if isinstance(record, Storage) and "location" in changed:
        _relocate_storage(record, stored, alias)
    if "updated_at" in stored.loaded:
        record.loaded["updated_at"] = now()
        changed.append("updated_at")
    try:
        with transaction.atomic(using=alias):
            record.save_row(using=alias, fields=set(changed))
    except DuplicateError as error:
        raise ConflictError(f"another {model.__name__} is called so already: {str(error).splitlines()[0]}") from error


def check_pending(records: Iterable[Record], saved_with: Iterable[Record] = ()) -> None:
    """Refuse new runs whose inputs or outputs are neither saved nor saved together with them, or of another instance.

    Raises:
        InvalidInputError: A run has such a file; the message names it.
    """
    together = {id(record) for record in saved_with}
    for run in [record for record in records if isinstance(record, Run)]:
        for kind, files in run.loaded.get("_pending", {}).items():
            for file in files:
                if not file.is_saved and id(file) not in together:
                    raise InvalidInputError(
                        f"the {kind} {file.key or file.name!r} of a run is not saved yet: save it first"
                    )
                if file.is_saved:
                    edges.check_same_instance(file, run)


def link_pending(records: Iterable[Record], connection: Any, new_ids: Mapping[int, str] | None = None) -> None:
    """Inside a transaction: link the inputs and outputs that new runs were made with, which `check_pending` let pass.

    Args:
        records: The runs, and others.
        connection: The connection of the transaction.
        new_ids: The ids of rows which the transaction wrote, by the `id()` of their files.
    """
    runs = {id(record): record for record in records if isinstance(record, Run)}
    for run in runs.values():
        pending: dict[str, list[File]] = run.loaded.get("_pending", {})
        for kind, files in pending.items():
            if files:
                linked = edges.link_inside(connection, run, files, kind=kind, new_ids=new_ids)
                transaction.on_commit(partial(edges.tell_left_out, list(files), linked), using=connection.alias)
                transaction.on_commit(files.clear, using=connection.alias)


def save_origin(file: File, instance: Instance) -> None:
    """Inside a file's transaction: save its run and transform if they are new, and note who saves it."""
    if file.created_by_id is None:
        file.created_by_id = instance.user_id()
    run = file.related("run")
    if run is None:
        return
    if not run.is_saved:
        _save_one(run, database.connection(instance.alias))
    file.run_id, file.transform_id = run.id, run.transform_id
