"""A day in a query is one of UTC, also inside a Django project that lives elsewhere."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from django.utils import timezone

import lamindb as ln

MOMENT = datetime.datetime(2026, 1, 1, 0, 30, tzinfo=datetime.UTC)


@pytest.mark.parametrize("zone", [-6, 0, 9])
def test_days_hours_and_years_are_those_of_utc(instance: Path, zone: int) -> None:
    run = ln.track(ln.Transform(name="p", type="pipeline"))
    ln.finish()
    run.started_at = MOMENT
    run.save()
    with timezone.override(datetime.timezone(datetime.timedelta(hours=zone))):
        for found in (
            {"started_at__date": MOMENT.date()},
            {"started_at__time": MOMENT.time()},
            {"started_at__year": 2026},
            {"started_at__iso_year": 2026},
            {"started_at__month": 1},
            {"started_at__hour": 0},
            {"started_at__week_day": 5},
        ):
            assert ln.Run.select(**found).count() == 1, found
        assert ln.Run.select(started_at__year=2025).count() == 0
        assert list(ln.Run.select().dates("started_at", "day")) == [MOMENT.date()]
