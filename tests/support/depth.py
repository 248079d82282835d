"""How deep the tests go that try every step of a program: all of it with `./dev test --full`, a sample otherwise.

The sample depends on the day, so that each step has its turn; `LAMIN_TEST_SEED` repeats that of another day.
"""

from __future__ import annotations

import os
import time
import zlib

FULL = os.environ.get("LAMIN_TEST_DEPTH") == "full"
SEED = int(os.environ.setdefault("LAMIN_TEST_SEED", str(int(time.time() // 86_400))))
"""Kept in the environment, where the workers of a session that goes on past midnight find the same."""


def one_in(number: int) -> dict[str, int]:
    """Return which steps are tried: all in a full run, else one in a number, of which the seed says where it begins."""
    return {} if FULL else {"every": number, "first": SEED % number}


def seeds(all_of: range, number: int) -> list[int]:
    """Return which seeds of random histories are played: all in a full run, else so many, another part each day."""
    if FULL:
        return list(all_of)
    return [all_of[(SEED * number + index) % len(all_of)] for index in range(number)]


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
