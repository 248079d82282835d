"""The works that all tools do, the rounds that measure them, and the table of their times and ratios."""

from __future__ import annotations

import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from benchmarks.harness import Bench
from benchmarks.peers.tools import OURS, Installed, Tool

_FILE = 4096
_LARGE = 2 << 30
_BLOCK = 8 << 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much work is done. `large` is the size of the large file in bytes; 0 leaves it out."""

    files: int = 2_000
    saves: int = 300
    links: int = 300
    queries: int = 50
    large: int = 0

    @classmethod
    def of(cls, *, quick: bool = False, large: bool = False, **given: int | None) -> Sizes:
        """Return the default sizes, or a hundredth of them, where none is given."""
        sizes = cls(large=_LARGE if large else 0)
        if quick:
            names = [one.name for one in fields(cls) if one.name != "large"]
            sizes = cls(**{name: max(2, getattr(sizes, name) // 100) for name in names}, large=sizes.large // 100)
        return replace(sizes, **{name: number for name, number in given.items() if number is not None})


@dataclass(frozen=True, slots=True)
class Work:
    """A work: its name in the scripts, its line in the table, and what its time is.

    `size` names the field of `Sizes` with its count. The time is that of the whole process, or what the script measured
    for each of its calls in a warm process.
    """

    name: str
    title: str
    size: str
    whole: bool


WORKS = (
    Work("records", "{:,} files of 4 kB as records, whole process", "files", whole=True),
    Work("unchanged", "the same {:,} files, unchanged", "files", whole=True),
    Work("folder", "a folder of {:,} files as one, whole process", "files", whole=True),
    Work("query", "query by key among {files:,} files", "queries", whole=False),
    Work("single", "one of {:,} single saves of 4 kB", "saves", whole=False),
    Work("chain", "one of a chain of {:,} (run, input, file)", "links", whole=False),
    Work("ancestors", "ancestors of the last of {:,}", "links", whole=False),
    Work("start", "a process that makes a run", "links", whole=True),
    Work("large", "one file of {:,} MiB, whole process", "large", whole=True),
)


@dataclass
class Comparison:
    """What was measured: seconds of each round by work and tool, and the failures."""

    sizes: Sizes
    versions: dict[Tool, str]
    rounds: int
    seconds: dict[tuple[str, Tool], list[float]] = field(default_factory=dict)
    failures: dict[tuple[str, Tool], str] = field(default_factory=dict)
    load: float | None = None

    def median(self, work: Work, tool: Tool) -> float | None:
        """Return the median of a work's rounds; None if it was not measured or failed in one of them."""
        times = self.seconds.get((work.name, tool))
        return statistics.median(times) if times and (work.name, tool) not in self.failures else None

    def works(self) -> list[Work]:
        """Return the works of these sizes."""
        return [work for work in WORKS if work.name != "large" or self.sizes.large]


def measure(bench: Bench, sizes: Sizes, installed: Mapping[Tool, Installed], *, rounds: int) -> Comparison:
    """Let each tool do each work, in another order each time.

    Every tool has a new project folder in each round, with files of its own: some tools replace the files that they add
    by links. Files are on the disk before the next process starts, so that no tool waits for what another has left.
    """
    found = Comparison(sizes, {tool: one.version for tool, one in installed.items()}, rounds, load=_load())
    tools = list(installed)
    for number in range(rounds):
        projects = {tool: _project(bench, sizes) for tool in tools}
        for tool in tools:
            _turn(bench, found, installed[tool], tool, Work("prepare", "", "files", whole=True), projects[tool])
        for position, work in enumerate(found.works()):
            print(f"round {number + 1} of {rounds}: {work.name} …", file=sys.stderr, flush=True)
            for tool in in_turn(tools, number * len(WORKS) + position):
                _turn(bench, found, installed[tool], tool, work, projects[tool])
        if sizes.large:
            for project in projects.values():
                shutil.rmtree(project, ignore_errors=True)
    return found


def in_turn(tools: list[Tool], turn: int) -> list[Tool]:
    """Return the tools beginning with another one at each turn, and backwards after each whole cycle."""
    cycle, first = divmod(turn, len(tools))
    order = tools[first:] + tools[:first]
    return order[::-1] if cycle % 2 else order


def _turn(bench: Bench, found: Comparison, one: Installed, tool: Tool, work: Work, project: Path) -> None:
    if work.name == "large":
        _write_large(project / "large.bin", found.sizes.large)
    os.sync()
    env = bench.environment() | {
        "HOME": str(project / "home"),
        "DVC_SITE_CACHE_DIR": str(project / "home"),
        "PATH": f"{one.python.parent}{os.pathsep}{os.environ['PATH']}",
        **tool.variables,
    }
    command = one.command(tool, work.name, getattr(found.sizes, work.size))
    begun = time.perf_counter()
    done = subprocess.run(
        command, check=False, env=env, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    whole = time.perf_counter() - begun
    if done.returncode:
        print(f"{tool.name}, {work.name}: {done.stderr[-2000:]}", file=sys.stderr, flush=True)
        found.failures[work.name, tool] = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return
    measured = json.loads(done.stdout.splitlines()[-1])["seconds"]
    if measured is not None:
        found.seconds.setdefault((work.name, tool), []).append(whole if work.whole else measured)
        print(f"  {tool.name}: {_time(found.seconds[work.name, tool][-1])}", file=sys.stderr, flush=True)


def _project(bench: Bench, sizes: Sizes) -> Path:
    """Make a folder with the files of all works. Each round and tool has the same bytes."""
    project, chance = bench.fresh_folder(), random.Random(2_000)
    for name, count in (("records", sizes.files), ("folder", sizes.files), ("single", sizes.saves), ("home", 0)):
        (project / name).mkdir()
        for number in range(count):
            (project / name / f"{number}.bin").write_bytes(chance.randbytes(_FILE))
    return project


def _write_large(path: Path, size: int) -> None:
    """Write a file that is on the disk and not in the page cache."""
    with path.open("wb") as stream:
        for begin in range(0, size, _BLOCK):
            stream.write(os.urandom(min(_BLOCK, size - begin)))
        stream.flush()
        os.fsync(stream.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def table(found: Comparison) -> str:
    """Return the times as a Markdown table, with the ratio of each tool to ours, and the notes below it."""
    tools = list(found.versions)
    heads = [f"{tool.name} {found.versions[tool]}".strip() for tool in tools]
    lines = ["| work | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(tools)]
    notes: dict[str, int] = {}
    for work in found.works():
        size = getattr(found.sizes, work.size)
        title = work.title.format(size >> 20 if work.name == "large" else size, files=found.sizes.files)
        cells = [_cell(found, work, tool, notes) for tool in tools]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += ["", "× is the time of the tool divided by ours: above 1, ours is faster.", ""]
    lines += [f"{number}. {note}" for note, number in notes.items()]
    load = "" if found.load is None else f", load {found.load:.1f} at the start"
    machine = f"{os.cpu_count()} cores ({platform.system()} {platform.machine()})"
    rounds = "one round" if found.rounds == 1 else f"medians of {found.rounds} rounds"
    lines += ["", f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {machine}{load}; {rounds}."]
    return "\n".join(lines)


def _cell(found: Comparison, work: Work, tool: Tool, notes: dict[str, int]) -> str:
    note = tool.notes.get(work.name, "")
    seconds, ours = found.median(work, tool), found.median(work, OURS)
    if (work.name, tool) in found.failures:
        note = f"failed: {found.failures[work.name, tool]}"
    if seconds is None:
        text = "–"
    elif tool is OURS or not ours:
        text = _time(seconds)
    else:
        text = f"{_time(seconds)}, {_ratio(seconds / ours)} ×"
    if not note:
        return text
    return f"{text} [{notes.setdefault(f'{tool.name}: {note}.', len(notes) + 1)}]"


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
