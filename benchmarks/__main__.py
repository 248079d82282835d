"""Run benchmarks and print a table; exit 1 if a bound is missed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import harness


def main() -> int:
    """Run the benchmarks whose names contain one of the words given; all of them without words."""
    if "--peers" in sys.argv[1:]:
        from benchmarks.peers.__main__ import main as compare

        return compare([argument for argument in sys.argv[1:] if argument != "--peers"])
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="run benchmarks whose name contains a word")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--quick", action="store_true", help="do a hundredth of the work, to see that they run")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the results to a file, too")
    parser.add_argument("--big", action="store_true", help="make the instance of a million files, if it is missing")
    parser.add_argument("--curve", action="store_true", help="measure cost against size, and write docs/benchmarks.md")
    parser.add_argument("--peers", action="store_true", help="compare with other tools; has options of its own")
    parser.add_argument(
        "--up-to", type=int, metavar="N", help="leave out instances of more files or edges from the curve"
    )
    arguments = parser.parse_args()
    if arguments.curve:
        from benchmarks import curve

        print(curve.write(arguments.up_to))
        return 0
    if arguments.big:
        from benchmarks import big

        print(big.instance(big.sizes_of(1)).root)
        return 0
    chosen = [
        found
        for found in harness.discover()
        if not arguments.words or any(word.lower() in found.name.lower() for word in arguments.words)
    ]
    if arguments.list:
        print("\n".join(found.name for found in chosen))
        return 0
    results = {}
    for found in chosen:
        print(f"{found.name} …", file=sys.stderr, flush=True)
        with harness.bench(0.01 if arguments.quick else 1.0) as bench:
            results[found] = found.run(bench)
    print(harness.table(results))
    if arguments.json:
        rows = [
            {
                "name": found.name,
                "ours": result.ours,
                "limit": result.limit,
                "unit": result.unit,
                "value": result.value,
                "bound": found.bound,
            }
            for found, result in results.items()
        ]
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    missed = not all(harness.is_met(found, result) for found, result in results.items())
    return 1 if missed and not arguments.quick else 0


if __name__ == "__main__":
    sys.exit(main())
