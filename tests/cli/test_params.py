"""What times and sizes mean."""

from __future__ import annotations

import datetime

import click
import pytest

import lamindb as ln
from lamindb.cli.params import Count, Depth, Size, Time
from lamindb.errors import InvalidInputError


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


@pytest.mark.parametrize("text", ["", "soon", "-3d", "2026-13-01", "1.5h"])
def test_wrong_times(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a time"):
        Time().convert(text, None, None)


HUGE = "9" * 400


@pytest.mark.parametrize("text", [HUGE, "99999999999999999999", "10000000000"])
def test_a_huge_number_of_results_or_generations_means_all(text: str) -> None:
    assert Count().convert(text, None, None) in {10**18, 10**10}
    assert Depth().convert(text, None, None) == 10**9


def test_a_huge_duration_or_size_is_named_as_such() -> None:
    for kind, text, says in ((Time(), f"{HUGE}d", "shorter duration"), (Size(), f"{HUGE}TB", "smaller size")):
        with pytest.raises(click.BadParameter, match=says):
            kind.convert(text, None, None)


def test_a_limit_that_no_database_can_hold_is_wrong_input(local_instance: object) -> None:
    del local_instance
    with pytest.raises(InvalidInputError, match="larger than"):
        list(ln.File.select()[: 10**30])
