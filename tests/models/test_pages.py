"""Pages of a query: each record once, whatever is saved meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import InvalidInputError

DAY = "2026-01-01T00:00:00+00:00"


def add_transforms(count: int) -> None:
    made = [ln.Transform(name=f"t{number}", type="pipeline") for number in range(count)]
    for number, one in enumerate(made):
        # Three of each time, so that ids decide.
        one.created_at = made[number // 3].created_at
    with database.writing(context.instance().alias) as link:
        database.insert_many(link, made)


def test_pages_have_each_record_once_the_newest_first(instance: Path) -> None:
    add_transforms(20)
    expected = ln.Transform.select().order_by("-created_at", "-id").list("id")
    found, after = [], None
    while True:
        page = ln.Transform.select().page(after=after, size=7)
        found += [record.id for record in page.records]
        if page.next is None:
            break
        assert len(page.records) == 7
        after = page.next
        ln.Transform(name=f"new {after}", type="pipeline").save()
    assert found == expected


def test_the_last_page_has_no_next(instance: Path) -> None:
    assert ln.Transform.select().page() == ln.Transform.select().page(size=1)
    add_transforms(2)
    assert ln.Transform.select().page(size=2).next is None
    page = ln.Transform.select(name="t1").page(size=1)
    assert [record.name for record in page.records] == ["t1"]
    assert page.next is None


def test_pages_by_another_time(instance: Path) -> None:
    files = [ln.File(b"%d" % number, key=f"{number}.txt").save() for number in range(3)]
    for file in (files[1], files[2], files[0]):
        file.delete()
    query = ln.File.select(trashed_at__isnull=False)
    first = query.page(size=2, by="trashed_at")
    assert [file.key for file in first.records] == ["0.txt", "2.txt"]
    assert [file.key for file in query.page(after=first.next, by="trashed_at").records] == ["1.txt"]


@pytest.mark.parametrize(
    "after", ["", "x", "2026-01-01~a", "2026-01-01T00:00:00+00:00~", "2026-01-01T00:00:00+00:00~'", 3]
)
def test_a_cursor_that_is_none_is_an_error(instance: Path, after: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a place in a list"):
        ln.Transform.select().page(after=after)


@pytest.mark.parametrize("size", [0, -1, 1_001, True, 1.5])
def test_a_size_that_is_none_is_an_error(instance: Path, size: int) -> None:
    with pytest.raises(InvalidInputError, match="size must be a number from 1 to 1,000"):
        ln.Transform.select().page(size=size)
