"""Parameters of every kind are written so that they can be stored, and different ones differ."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import sys
import uuid
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamindb.core.plain import plain


class Colour(enum.Enum):
    RED = 1
    BLUE = object()


class Mode(enum.StrEnum):
    FAST = "fast"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Config:
    rate: float
    where: Path


UTC = datetime.UTC
VALUES: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (1, 1),
    (0.5, 0.5),
    ("a", "a"),
    (float("nan"), "nan"),
    (float("-inf"), "-inf"),
    (Colour.RED, "RED"),
    (Colour.BLUE, "BLUE"),
    (Mode.FAST, "fast"),
    (Level.HIGH, 3),
    (decimal.Decimal("1.50"), "1.50"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (datetime.timedelta(minutes=1, milliseconds=5), 60.005),
    (datetime.datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02T03:00:00+00:00"),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (Path("a/b"), "a/b"),
    (np.float32(0.5), 0.5),
    (np.float64("nan"), "nan"),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.datetime64("2026-01-02"), "2026-01-02"),
    (np.array([[1.0, float("inf")]]), [[1.0, "inf"]]),
    (Config(0.1, Path("x")), {"rate": 0.1, "where": "x"}),
    (Namespace(a=(1, 2)), {"a": [1, 2]}),
    ({3, 1}, [1, 3]),
    ({1: "a", None: "b", Colour.RED: "c"}, {"1": "a", "null": "b", "RED": "c"}),
    (datetime.date, "datetime.date"),
    (json.dumps, "json.dumps"),
]


@pytest.mark.parametrize(("value", "wanted"), VALUES, ids=lambda value: type(value).__name__)
def test_the_form_of_each_kind(value: Any, wanted: Any) -> None:
    found = plain(value)
    assert found == wanted
    assert type(found) is type(wanted)
    json.dumps(found, allow_nan=False)


def test_what_has_no_form_is_told(tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value in (object(), b"x", loop):
        with pytest.raises(TypeError):
            plain(value)
    assert plain({"a": [object(), 1]}, lambda other: type(other).__name__) == {"a": ["object", 1]}
    with (tmp_path / "x.txt").open("w") as stream:
        assert plain(stream) == str(tmp_path / "x.txt")
    assert plain(sys.maxsize * 10) == sys.maxsize * 10
