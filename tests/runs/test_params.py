"""Parameters of a program: whatever they are, they never end it, and runs are found by the same values."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lamindb as ln
from tests.support.processes import run_script


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


OTHERS: list[tuple[Any, Any]] = [
    (Mode.FAST, Mode.SLOW),
    (decimal.Decimal("1.5"), decimal.Decimal("1.6")),
    (uuid.UUID(int=1), uuid.UUID(int=2)),
    (datetime.timedelta(seconds=1), datetime.timedelta(seconds=2)),
    (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)),
    (Path("a"), Path("b")),
    (np.float32(0.5), np.float32(0.25)),
    (np.int64(1), np.int64(2)),
    (float("nan"), float("inf")),
]


@pytest.mark.parametrize(("value", "other"), OTHERS, ids=lambda value: type(value).__name__)
def test_a_run_is_found_by_the_value_that_was_given(instance: Path, value: Any, other: Any) -> None:
    transform = ln.Transform(name="p", type="pipeline")

    @ln.step
    def work(x: Any) -> None:
        pass

    for given in (value, other):
        ln.track(transform, params={"x": given}, new_run=True)
        ln.finish()
        work(given)
    for given in (value, other):
        found = ln.Run.select(params__x=given)
        assert sorted(run.transform.type for run in found) == ["function", "pipeline"]
        assert ln.Run.select(params__x__in=[given]).count() == 2


def test_names_with_two_underscores_are_found(instance: Path) -> None:
    transform = ln.Transform(name="p", type="pipeline")
    runs = []
    for params in ({"a__b": 1}, {"a": {"b": 2}}, {"a__b": {"c": 3}}, {"d__e__f": 5}):
        runs.append(ln.track(transform, params=params, new_run=True))
        ln.finish()
    assert ln.Run.select(params__a__b=1).one() == runs[0]
    assert ln.Run.select(params__a__b=2).one() == runs[1]
    assert ln.Run.select(params__a__b__c=3).one() == runs[2]
    assert ln.Run.select(params__d__e__f=5).one() == runs[3]
    assert list(ln.Run.select(params__a__b__isnull=True)) == [runs[3]]
    assert set(ln.Run.select(params__a__b__in=[1, 2])) == set(runs[:2])
    assert ln.Run.select().exclude(params__a__b=1).count() == 3
    ln.File(b"1", key="x", run=runs[0]).save()
    assert ln.File.select(run__params__a__b=1).count() == 1
    assert ln.File.select(run__params__a__b=2).count() == 0


def test_what_cannot_be_recorded_is_named_and_costs_nothing_else(
    instance: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ln.track(ln.Transform(name="p", type="pipeline"), params={"good": 1, "odd": [object(), 2], "raw": b"1"})
    assert run.params == {"good": 1, "odd": ["<object>", 2], "raw": "<bytes>"}
    told = capsys.readouterr().err
    assert "parameter 'odd'" in told and "parameter 'raw'" in told and "'good'" not in told


def test_all_that_argparse_gives_is_recorded(local_instance: Path) -> None:
    code = """
        import argparse, sys, lamindb as ln
        def train(args): print(args.rate)
        parser = argparse.ArgumentParser()
        parser.add_argument("--rate", type=float, default=float("nan"))
        parser.add_argument("--out", type=argparse.FileType("w"), default=sys.stdout)
        parser.set_defaults(run=train)
        args = parser.parse_args()
        ln.track(params=vars(args))
        args.run(args)
    """
    assert run_script(Path("train.py"), code).stdout == "nan\n"
    assert ln.Run.select().one().params == {"rate": "nan", "out": "<stdout>", "run": "__main__.train"}
