"""What the scripts share: each does one work in the working folder, and prints its time as JSON.

Needs only the standard library, since each script runs in the interpreter of its tool.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

RECORDS, FOLDER, SINGLE, CHAIN, LARGE = map(Path, ("records", "folder", "single", "chain", "large.bin"))


def main(works: Mapping[str, Callable[[int], float | None]]) -> None:
    """Do the work that the command line names, and print the seconds that it measured; null if there are none."""
    name, count = sys.argv[1:]
    print(json.dumps({"seconds": works[name](int(count))}))


def mean_seconds(function: Callable[[int], object], count: int) -> float:
    """Call a function with 0, 1, … and return the mean time of a call."""
    begun = time.perf_counter()
    for number in range(count):
        function(number)
    return (time.perf_counter() - begun) / count


def median_seconds(function: Callable[[], object], count: int) -> float:
    """Return the median time of a call after one that warms up."""
    function()
    return statistics.median(mean_seconds(lambda _: function(), 1) for _ in range(count))


def once(function: Callable[[], object]) -> float:
    """Return the time of one call."""
    return mean_seconds(lambda _: function(), 1)


def chain_file(number: int) -> Path:
    """Return the path of a file of the chain, and write it."""
    CHAIN.mkdir(exist_ok=True)
    path = CHAIN / f"{number}.bin"
    path.write_bytes(number.to_bytes(8, "big") * 512)
    return path
