"""Records are inserted, and made, past Django's own methods: with the same rows, the same records, the same errors."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, models, transaction

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import ConflictError, InvalidInputError, InvalidTypeError
from lamindb.models import RunInput
from lamindb.models.base import Record

WHEN = datetime.datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))


def connection() -> Any:
    return connections[context.instance().alias]


def a_transform() -> ln.Transform:
    found: ln.Transform = ln.Transform(name="clean", type="pipeline").save()
    return found


def full(kind: type[Record], transform: ln.Transform) -> list[Record]:
    """Return new records of a kind with a value in every field that takes one: text, numbers, times, JSON, or None."""
    users = ln.User.objects.all()
    texts = {"key": "a/ä.txt", "description": "100 % 'sure'", "location": str(Path("there").resolve())}
    found = []
    for is_full in (True, False):
        values: dict[str, Any] = {}
        for field in kind._meta.concrete_fields:
            if not is_full and field.null:
                continue
            if isinstance(field, models.ForeignKey):
                known = {ln.Transform: transform, ln.User: users[0], ln.Storage: ln.Storage.objects.first()}
                values[field.name] = known.get(field.related_model)
            elif isinstance(field, models.JSONField):
                values[field.name] = {"ä": [1, 2.5, None, True], "%s": "?"}
            elif isinstance(field, models.DateTimeField):
                values[field.name] = WHEN
            elif isinstance(field, models.BooleanField):
                values[field.name] = False
            elif isinstance(field, (models.IntegerField, models.BigIntegerField)):
                values[field.name] = 7
            elif not field.primary_key:
                values[field.name] = f"{texts.get(field.name, field.name)} {is_full}"
        found.append(kind.from_fields(**values))
    return found


def raw(record: Record) -> list[tuple[Any, ...]]:
    """Return what stands in the table, without the id."""
    columns = ", ".join(f'"{field.column}"' for field in record._meta.concrete_fields if not field.primary_key)
    found: list[tuple[Any, ...]] = connection().fetch(
        f"SELECT {columns} FROM {record._meta.db_table} WHERE id = %s", [record.pk]
    )
    return found


@pytest.mark.parametrize("kind", [ln.File, ln.Run, ln.Transform, ln.User, ln.Storage], ids=lambda kind: kind.__name__)
def test_a_row_is_as_django_writes_it(instance: Path, kind: type[Record]) -> None:
    alias = context.instance().alias
    transform = a_transform()
    for ours, theirs in zip(full(kind, transform), full(kind, transform), strict=True):
        rows = []
        for record in (ours, theirs):
            with transaction.atomic(using=alias):
                if record is ours:
                    assert database.insert(connection(), record)
                else:
                    record.save_row(using=alias, force_insert=True)
                rows.append(raw(record))
                transaction.set_rollback(True, using=alias)
        assert len(rows[0]) == 1
        assert rows[0] == rows[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda transform: ln.Run(transform=transform, name="night", params={"lr": 0.1}),
        lambda transform: ln.Run(transform=transform, exit_code=3, started_at=WHEN),
        lambda transform: ln.Transform(name="other", type="pipeline"),
        lambda transform: ln.User(handle="grace", name="Grace"),
        lambda transform: ln.Storage(root=str(Path.cwd())),
    ],
)
def test_a_constructor_sets_what_djangos_sets(instance: Path, make: Any) -> None:
    transform = a_transform()
    one = make(transform)
    made = {name: value for name, value in vars(one).items() if name[0] != "_"}
    related = {field.name for field in one._meta.concrete_fields if field.is_relation}
    other = type(one).from_fields(**{name: value for name, value in made.items() if name not in related})
    assert {name: value for name, value in vars(other).items() if name[0] != "_"} == made
    assert not one.is_saved


def test_every_new_record_has_defaults_of_its_own(instance: Path) -> None:
    transform = a_transform()
    one, other = ln.Run(transform=transform), ln.Run(transform=transform)
    assert one.id != other.id
    assert one.created_at <= other.created_at
    assert one.transform is transform and one.transform_id == transform.id


@pytest.mark.parametrize("value", ["many", object()])
def test_a_value_that_a_field_cannot_hold_is_refused(instance: Path, value: Any) -> None:
    transform = a_transform()
    run = ln.Run(transform=transform, exit_code=value)
    with pytest.raises((ValueError, TypeError), match="exit_code"):
        run.save()
    assert not run.is_saved
    assert ln.Run.select().count() == 0


def test_an_id_that_is_taken_is_told(instance: Path) -> None:
    transform = a_transform()
    first = ln.Run(transform=transform).save()
    with pytest.raises(ConflictError, match="there is a Run with the id"):
        ln.Run(transform=transform, id=first.id).save()
    assert ln.Run.select().count() == 1


def test_a_run_is_saved_with_its_inputs_or_not_at_all(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ln.File(b"1", key="one.txt").save()
    run = ln.Run(transform=a_transform(), inputs=[file])
    with monkeypatch.context() as patch:
        patch.setattr(RunInput, "from_columns", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run.save()
    assert not run.is_saved
    assert ln.Run.select().count() == 0
    assert run.inputs.list() == [file]
    run.save()
    assert run.inputs.list() == [file]
    assert file.input_of.list() == [run]


def test_a_run_and_its_inputs_take_one_transaction(instance: Path) -> None:
    file = ln.File(b"1", key="one.txt").save()
    run = ln.Run(transform=a_transform(), inputs=[file])
    statements: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with connection().execute_wrapper(note):
        run.save()
    assert [sql.split()[0] for sql in statements if not sql.startswith("BEGIN")] == ["INSERT", "SELECT", "INSERT"]
    assert sum(sql.startswith("BEGIN") for sql in statements) == (connection().vendor == "sqlite")


def test_what_is_refused_is_not_saved(instance: Path) -> None:
    transform = ln.Transform(name="new", type="pipeline")
    run = ln.Run(transform=a_transform(), parent=ln.Run(transform=transform))
    with pytest.raises(InvalidInputError, match="parent is a Run that is not saved yet"):
        run.save()
    assert ln.Run.select().count() == 0


def test_a_transform_that_was_rolled_back_with_its_run_is_new_again(instance: Path) -> None:
    transform = ln.Transform(name="new", type="script")
    run = ln.Run(transform=transform)
    with pytest.raises(InvalidInputError):
        ln.save([run, ln.Run(transform=transform, name="no\0name")])
    assert not transform.is_saved and not run.is_saved
    run.save()
    assert ln.Run.select(id=run.id).one().transform.name == "new"


@pytest.mark.parametrize("given", [[None], ["a.txt"], "abc", 1])
def test_inputs_that_are_no_files_are_refused_at_once(local_instance: Path, given: Any) -> None:
    transform = ln.Transform(name="t", type="script").save()
    with pytest.raises(InvalidTypeError, match="files"):
        ln.Run(transform=transform, inputs=given)
    with pytest.raises(InvalidTypeError, match="lists of files"):
        ln.Run(transform=transform, outputs=ln.File(b"1", key="1.txt").save())
