"""Cost against size: what works take among 1,000 to 1,000,000 files, and 1,000 to 10,000,000 edges.

`./dev bench --curve` measures on SQLite and PostgreSQL and writes `docs/benchmarks.md` and its picture.
"""

from __future__ import annotations

import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks import big, edges

FILES = (1_000, 10_000, 100_000, 1_000_000)
EDGES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
DATABASES = ("SQLite", "PostgreSQL")
_STEPS = 10
_DOCS = Path(__file__).resolve().parent.parent / "docs"


@dataclass(frozen=True, slots=True)
class Work:
    """One work of the curve.

    Attributes:
        name: What is done.
        bound: What its cost follows.
        by: What there is more of: `files` or `edges`.
    """

    name: str
    bound: str
    by: str = "files"


WORKS = {
    "save": Work("save a file of 4 kB", "two fsyncs and a commit"),
    "bulk": Work("save 1,000 files, each", "a commit shared by all, a rename each"),
    "key": Work("query by key", "one look-up in an index"),
    "search": Work("search for a misspelt name", "at most 1,000 candidates of the index"),
    "ls": Work("list a level of the tree of keys", "what the level shows"),
    "verify": Work("verify --quick, each file", "a look at each object"),
    "gc": Work("gc without removing, each file", "a pass over objects and rows"),
    "ancestors": Work("ancestors of a file, 10 steps", "edges of the answer", "edges"),
    "impact": Work("impact of a file, 10 steps", "files of the answer, and what decides if they are stale", "edges"),
    "stale": Work("find all stale files", "superseded versions that were read, and what follows from them", "edges"),
}


@dataclass(slots=True)
class Curve:
    """Times in milliseconds by work, database and size; what was not measured is missing."""

    times: dict[tuple[str, str, int], float] = field(default_factory=dict)
    load: float = 0.0
    """The highest load average while they were measured."""

    def points(self, work: str, database: str) -> list[tuple[int, float]]:
        """Return the sizes and times of a work, the smallest size first."""
        return sorted((size, ms) for (name, where, size), ms in self.times.items() if (name, where) == (work, database))


def measure(
    files: Iterable[int] = FILES, edge_counts: Iterable[int] = EDGES, databases: Sequence[str] = DATABASES
) -> Curve:
    """Make an instance of each size on each database, and time the works in it."""
    curve = Curve()
    for size in files:
        for database in databases:
            folder = Path(tempfile.mkdtemp(prefix="lamindb-curve-"))
            try:
                print(f"{size:,} files on {database}: making …", file=sys.stderr, flush=True)
                url = edges.postgres_url() if database == "PostgreSQL" else None
                instance = big.make(folder, big.Sizes.scaled(size, objects=size), database=url)
                with instance.connected() as ln:
                    _time(curve, _works(ln, size), database, size)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    for size in edge_counts:
        for database in databases:
            print(f"{size:,} edges on {database}: making …", file=sys.stderr, flush=True)
            # At least 25 layers, so that the answers have the same number of steps.
            width = max(10, min(1_000, size // 100))
            project = edges.project(size, width=width, replaced=width // 10, on_postgres=database == "PostgreSQL")
            with project.connected() as ln:
                _time(curve, _works_of_lineage(ln, project), database, size)
            edges.discard(project)
    return curve


def _time(curve: Curve, works: dict[str, Callable[[], float]], database: str, size: int) -> None:
    for name, work in works.items():
        curve.times[name, database, size] = work()
        curve.load = max(curve.load, os.getloadavg()[0])
        print(f"  {name}: {curve.times[name, database, size]:.3f} ms", file=sys.stderr, flush=True)


def _works(ln: Any, size: int) -> dict[str, Callable[[], float]]:
    from lamindb.files import levels
    from lamindb.maintenance import gc, verify

    files = ln.File.select()
    first = files.order_by("created_at").first()
    word = max(first.name.replace("_", " ").replace(".", " ").replace("-", " ").split(), key=len)
    typo = word[:1] + word[2:3] + word[1:2] + word[3:]
    folder = Path(tempfile.mkdtemp(prefix="new-", dir="."))
    names = iter(range(1_000_000))

    def new(count: int) -> list[Any]:
        paths = [folder / f"{next(names)}.bin" for _ in range(count)]
        for path in paths:
            path.write_bytes(os.urandom(4096))
        return [ln.File(path, key=f"curve/{path.name}") for path in paths]

    waiting = new(21)
    return {
        "save": lambda: _median(lambda: waiting.pop().save(), 20),
        "bulk": lambda: _once(ln.save, new(1_000)) / 1_000,
        "key": lambda: _median(lambda: ln.File.select(key=first.key).first()),
        "search": lambda: _median(lambda: list(ln.File.search(typo))),
        "ls": lambda: _median(lambda: levels.level(ln.File.select(), "")),
        "verify": lambda: _once(lambda: verify.verify(quick=True)) / size,
        "gc": lambda: _once(lambda: gc.sweep(dry_run=True)) / size,
    }


def _works_of_lineage(ln: Any, project: edges.Project) -> dict[str, Callable[[], float]]:
    last = ln.File.select(id=project.file_id(_STEPS)).one()
    first = ln.File.select(id=project.file_id(project.layers - 1 - _STEPS)).one()
    return {
        "ancestors": lambda: _median(lambda: list(last.ancestors())),
        "impact": lambda: _median(lambda: ln.lineage.impact(first)),
        "stale": lambda: _median(lambda: list(ln.lineage.stale())),
    }


def _median(function: Callable[[], object], rounds: int = 7) -> float:
    function()
    return statistics.median(_once(function) for _ in range(rounds))


def _once(function: Callable[..., object], *arguments: object) -> float:
    begun = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - begun) * 1e3


_MACHINE = (
    "Medians of several rounds, measured and written by `./dev bench --curve` with Python "
    f"{platform.python_version()} on {os.cpu_count()} cores ({platform.system()} {platform.machine()})."
)


def page(curve: Curve) -> str:
    """Return the page of documentation: the tables of a curve, with what bounds each work."""
    lines = [
        "# Benchmarks",
        "",
        "What each work costs as an instance grows, in milliseconds. A line that stays level does not depend on the",
        "size.",
        "",
        "![Cost against size](images/benchmarks.svg)",
        "",
        _MACHINE,
        f"The load average was up to {curve.load:.0f}. Compare the sizes of a line: machines differ.",
        "",
        "By the number of files. There are ten files for each run, three times as many edges as files, and an object",
        "for each file; every fifth file is a second version of another.",
        "",
        *_table(curve, "files"),
        "",
        "By the number of edges, three of four of them inputs. Each run reads three files of the layer before and",
        "makes one. A layer has 10 files where there are 1,000 edges, 100 where there are 10,000, and otherwise 1,000;",
        "so many fewer are the files of an answer. A tenth of the last layer but one was replaced.",
        "",
        *_table(curve, "edges"),
        "",
        "The code that measures is in `benchmarks/`, with the ratios of single works to the least that is possible.",
        "",
    ]
    return "\n".join(lines)


def _table(curve: Curve, by: str) -> list[str]:
    works = {name: work for name, work in WORKS.items() if work.by == by}
    sizes = sorted({size for name, _, size in curve.times if name in works})
    lines = [
        "| work | database | " + " | ".join(f"{size:,}" for size in sizes) + " | follows |",
        "|---|---|" + "---:|" * len(sizes) + "---|",
    ]
    for name, work in works.items():
        for database in DATABASES:
            points = dict(curve.points(name, database))
            if points:
                cells = " | ".join(_milliseconds(points.get(size)) for size in sizes)
                lines.append(f"| {work.name} | {database} | {cells} | {work.bound} |")
    return lines


def _milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


_COLUMNS, _WIDTH, _HEIGHT, _LEFT, _TOP = 3, 300, 190, 46, 34
_STYLE = """
text { font: 12px Arial, Helvetica, sans-serif; fill: #333 }
.title { font-weight: bold } .axis { fill: #666; font-size: 10.5px }
.grid { stroke: #ddd } .SQLite { stroke: #1f6feb; fill: #1f6feb } .PostgreSQL { stroke: #b35900; fill: #b35900 }
polyline { fill: none !important; stroke-width: 2 } .back { fill: #fff }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .axis { fill: #aaa } .grid { stroke: #3a3f45 } .back { fill: #15181c }
  .SQLite { stroke: #6cb0ff; fill: #6cb0ff } .PostgreSQL { stroke: #f0a35a; fill: #f0a35a }
}
"""


def picture(curve: Curve) -> str:
    """Return the SVG of a curve: a small chart for each work, both axes logarithmic, one line for each database."""
    rows = math.ceil(len(WORKS) / _COLUMNS)
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>Cost of each work against the number of files or edges</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="back" width="{width}" height="{height}"/>',
    ]
    for position, (name, work) in enumerate(WORKS.items()):
        x, y = position % _COLUMNS * _WIDTH, position // _COLUMNS * _HEIGHT
        parts.append(f'<g transform="translate({x} {y})">{_chart(curve, name, work)}</g>')
    x = _LEFT
    for database in DATABASES:
        parts.append(f'<rect class="{database}" x="{x}" y="{height - 23}" width="14" height="4"/>')
        parts.append(f'<text x="{x + 20}" y="{height - 17}">{database}</text>')
        x += 100
    parts.append(f'<text class="axis" x="{x}" y="{height - 17}">across: files or edges; up: milliseconds</text></svg>')
    return "\n".join(parts) + "\n"


def _chart(curve: Curve, name: str, work: Work) -> str:
    across, up = _WIDTH - _LEFT - 24, _HEIGHT - _TOP - 36
    points = {database: curve.points(name, database) for database in DATABASES}
    every = [point for found in points.values() for point in found]
    if not every:
        return ""
    low, high = math.log10(min(size for size, _ in every)), math.log10(max(size for size, _ in every))
    least = math.floor(math.log10(min(ms for _, ms in every)))
    most = max(least + 2, math.ceil(math.log10(max(ms for _, ms in every))))

    def place(size: int, ms: float) -> tuple[float, float]:
        return (
            _LEFT + across * (math.log10(size) - low) / ((high - low) or 1),
            _TOP + up * (most - math.log10(ms)) / (most - least),
        )

    parts = [f'<text class="title" x="{_LEFT}" y="20">{escape(work.name)}, by {work.by}</text>']
    for exponent in range(least, most + 1):
        _, y = place(10 ** round(low), 10.0**exponent)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + across}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="axis" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**exponent:g}</text>')
    for exponent in range(round(low), round(high) + 1):
        x, _ = place(10**exponent, 10.0**least)
        label = f"{10**exponent:,}" if exponent < 6 else f"{10 ** (exponent - 6)} M"
        parts.append(f'<text class="axis" x="{x:.1f}" y="{_TOP + up + 16}" text-anchor="middle">{label}</text>')
    for database, found in points.items():
        line = " ".join("{:.1f},{:.1f}".format(*place(size, ms)) for size, ms in found)
        parts.append(f'<polyline class="{database}" points="{line}"/>')
        for size, ms in found:
            x, y = place(size, ms)
            parts.append(f'<circle class="{database}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
    return "".join(parts)


def write(largest: int | None = None) -> Path:
    """Measure up to a size, and write the page and its picture into `docs/`."""
    most = math.inf if largest is None else largest
    curve = measure([size for size in FILES if size <= most], [size for size in EDGES if size <= most])
    (_DOCS / "images" / "benchmarks.svg").write_text(picture(curve), encoding="utf-8")
    path = _DOCS / "benchmarks.md"
    path.write_text(page(curve), encoding="utf-8")
    return path
