"""Times in filters: text, days and times without a zone mean UTC, without a warning."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.errors import InvalidInputError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def transform(instance: Path) -> ln.Transform:
    transform = ln.Transform(name="x").save()
    ln.Transform.objects.filter(id=transform.id).update_rows({"created_at": NOON})
    return transform


@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        datetime(2026, 3, 1, 12),
        "2026-03-01T12:00:00",
        "2026-03-01 12:00:00+00:00",
        "2026-03-01T13:00:00+01:00",
        datetime(2026, 3, 1, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
    ids=str,
)
def test_a_moment_is_the_same_however_it_is_written(transform: ln.Transform, moment: Any) -> None:
    assert ln.Transform.select(created_at=moment).one() == transform
    assert ln.Transform.select(ln.Q(created_at__gte=moment)).count() == 1
    assert ln.Transform.select(created_at__gt=moment).count() == 0


@pytest.mark.parametrize(("day", "count"), [("2026-03-01", 1), (date(2026, 3, 1), 1), ("2026-03-02", 0)])
def test_a_day_is_its_beginning(transform: ln.Transform, day: Any, count: int) -> None:
    assert ln.Transform.select(created_at__gte=day).count() == count
    assert ln.Transform.select(created_at__range=(day, "2026-03-03")).count() == count


def test_parts_of_times(transform: ln.Transform) -> None:
    assert ln.Transform.select(created_at__year=2026, created_at__date=date(2026, 3, 1)).count() == 1


@pytest.mark.parametrize("wrong", ["soon", "2026-13-01", 5])
def test_what_is_no_time_is_a_clear_error(transform: ln.Transform, wrong: Any) -> None:
    with pytest.raises(InvalidInputError):
        ln.Transform.select(created_at__gte=wrong).count()
