"""Rows read without a query are those that Django's own query returns, whatever their fields."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.models import rows
from lamindb.models.base import Record
from tests.support import projects


def _values(record: Record) -> dict[str, Any]:
    return {field.attname: getattr(record, field.attname) for field in record._meta.concrete_fields}


@pytest.mark.parametrize("kind", [ln.File, ln.Run, ln.Transform, ln.User, ln.Storage], ids=lambda kind: kind.__name__)
def test_every_field_is_as_a_query_returns_it(instance: Path, kind: type[Record]) -> None:
    projects.write(projects.make(notebooks=5, files=60))
    alias = context.instance().alias
    wanted = kind.objects.using(alias).order_by("id")
    found = sorted(rows.rows(kind, alias, "id IS NOT NULL"), key=lambda record: record.id)
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        assert _values(one) == _values(other)
        assert {name: type(value) for name, value in _values(one).items()} == {
            name: type(value) for name, value in _values(other).items()
        }
        assert one.is_saved and one.alias == alias


def test_values_stand_for_marks(instance: Path) -> None:
    for name in ("a%s.txt", "b'.txt", "c.txt"):
        ln.File(name.encode(), key=name).save()
    alias = context.instance().alias
    keys = ["a%s.txt", "b'.txt"]
    found = rows.rows(ln.File, alias, f"is_latest AND key IN ({rows.marks(keys)})", keys)
    assert sorted(str(file.key) for file in found) == keys
    assert isinstance(found[0].created_at, datetime.datetime) and found[0].created_at.tzinfo is not None
    assert rows.values(alias, "SELECT count(*) FROM lamindb_file WHERE key = %s", ["c.txt"]) == [(1,)]
