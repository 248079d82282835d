"""How deep the tests go that try every step of a program: all of it with `./dev test --full`, a sample otherwise.

The sample depends on the day, so that each step has its turn; `LAMIN_TEST_SEED` repeats that of another day.
"""

from __future__ import annotations

import os
import time

FULL = os.environ.get("LAMIN_TEST_DEPTH") == "full"
SEED = int(os.environ.setdefault("LAMIN_TEST_SEED", str(int(time.time() // 86_400))))
"""Kept in the environment, where the workers of a session that goes on past midnight find the same."""


def one_in(number: int, *, shift: int = 0) -> dict[str, int]:
    """Return which steps are tried: all in a full run, else one in a number, of which the seed says where it begins.

    Tests of the same steps in other places shift it, so that one day's tests together try most of them.
    """
    return {} if FULL else {"every": number, "first": (SEED + shift) % number}


def seeds(all_of: range, number: int) -> list[int]:
    """Return which seeds of random histories are played: all in a full run, else so many, another part each day."""
    if FULL:
        return list(all_of)
    return [all_of[(SEED * number + index) % len(all_of)] for index in range(number)]


def description() -> str:
    """Return a line for the head of the report."""
    if FULL:
        return "depth: full, each step is killed"
    return (
        f"depth: steps of long scenarios are sampled, LAMIN_TEST_SEED={SEED} repeats this; ./dev test --full tries all"
    )
