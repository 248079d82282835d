"""How deep the tests go that try every step of a program: all of it with `./dev test --full`, a sample otherwise.

The sample depends on the day, so that each step has its turn; `LAMIN_TEST_SEED` repeats that of another day.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Sequence
from typing import TypeVar

import pytest

One = TypeVar("One")
FULL = os.environ.get("LAMIN_TEST_DEPTH") == "full"
SEED = int(os.environ.setdefault("LAMIN_TEST_SEED", str(int(time.time() // 86_400))))
"""Kept in the environment, where the workers of a session that goes on past midnight find the same."""


def one_in(number: int, *, shift: int = 0) -> dict[str, int]:
    """Return which steps are tried: all in a full run, else one in a number, of which the seed says where it begins.

    Tests of the same steps in other places shift it, so that one day's tests together try most of them.
    """
    return {} if FULL else {"every": number, "first": (SEED + shift) % number}


def spread(number: int, all_of: Sequence[One], *, shift: int = 0) -> list[One]:
    """Return what is tried of a list: all in a full run, else one in a number; after so many days, each was tried."""
    return list(all_of) if FULL else list(all_of[(SEED + shift) % number :: number])


def part(all_of: Sequence[One], number: int, *, shift: int = 0) -> list[One]:
    """Return what is tried of a list: all in a full run, else so many, others each day."""
    if FULL:
        return list(all_of)
    return [all_of[((SEED + shift) * number + index) % len(all_of)] for index in range(number)]


def on_one_database(*, shift: int = 0) -> pytest.MarkDecorator:
    """Return what marks a long test: it runs on both databases in a full run, else on one, on the other the next day.

    What makes it long is the same on both; shorter tests of the same feature run on both every day.
    """
    return pytest.mark.parametrize("database", part(["sqlite", "postgres"], 1, shift=shift), indirect=True)


def asks_django(test: str) -> bool:
    """Return True for a quarter of the tests, another one each day: in these, Django compiles each query anew."""
    return (zlib.crc32(test.encode()) + SEED) % 4 == 0


def description() -> str:
    """Return a line for the head of the report."""
    if FULL:
        return "depth: full, each step is killed"
    return (
        f"depth: steps of long scenarios are sampled, LAMIN_TEST_SEED={SEED} repeats this; ./dev test --full tries all"
    )
