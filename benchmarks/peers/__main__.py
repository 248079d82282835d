"""Run the same work by other tools and by this library, in turn, and print times and ratios."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from benchmarks import harness
from benchmarks.peers import comparison, tools


def main(arguments: Sequence[str] | None = None) -> int:
    """Install what is missing, measure, and print the table; return 1 if a tool failed."""
    parser = argparse.ArgumentParser(prog="./dev bench --peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="do a hundredth of the work, to see that it runs")
    parser.add_argument("--large", action="store_true", help="save one file of 2 GiB, too; needs 20 GB of disk")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="take the median of N rounds (default 3)")
    for field in fields(comparison.Sizes):
        if field.name != "large":
            parser.add_argument(f"--{field.name}", type=_positive, metavar="N", help=f"default {field.default:,}")
    parser.add_argument("--upgrade", action="store_true", help="install the newest versions of the tools again")
    parser.add_argument("--output", type=Path, metavar="PATH", help="write the table to a file, too")
    options = parser.parse_args(arguments)
    sizes = comparison.Sizes.of(
        quick=options.quick,
        large=options.large,
        files=options.files,
        saves=options.saves,
        links=options.links,
        queries=options.queries,
    )
    installed = {tool: tools.install(tool, upgrade=options.upgrade) for tool in tools.TOOLS}
    with harness.bench() as bench:
        found = comparison.measure(bench, sizes, installed, rounds=max(1, options.rounds))
    page = comparison.table(found)
    print(page)
    if options.output:
        options.output.write_text(page + "\n", encoding="utf-8")
    return 1 if found.failures else 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
