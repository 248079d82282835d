"""What times and sizes mean."""

from __future__ import annotations

import datetime

import click
import pytest

from lamindb.cli.params import Size, Time


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("500", 500), ("10k", 10_000), ("1.5MB", 1_500_000), ("2GiB", 2**31), ("3 kib", 3072), ("1 TB", 10**12)],
)
def test_sizes(text: str, size: int) -> None:
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "-1", "big", "1XB", "1e9", "٣"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a size"):
        Size().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30min", 1800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), ("0d", 0)]
)
def test_spans_before_now(text: str, seconds: int) -> None:
    before = datetime.datetime.now(datetime.UTC)
    found = Time().convert(text, None, None)
    after = datetime.datetime.now(datetime.UTC)
    span = datetime.timedelta(seconds=seconds)
    assert before - span <= found <= after - span


def test_dates_and_times() -> None:
    zoned = Time().convert("2026-01-31T10:00:00+02:00", None, None)
    assert zoned == datetime.datetime(2026, 1, 31, 8, tzinfo=datetime.UTC)
    local = Time().convert("2026-01-31", None, None)
    assert local.tzinfo is not None and local.replace(tzinfo=None) == datetime.datetime(2026, 1, 31)


@pytest.mark.parametrize("text", ["", "soon", "-3d", "2026-13-01", "999999999999999w", "1.5h"])
def test_wrong_times(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time"):
        Time().convert(text, None, None)
