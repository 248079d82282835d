"""The benchmark harness: named benchmarks, rounds alternating with their limit, whole processes, peak memory.

A benchmark is a function that a module of this package registers; it gets a `Bench` and returns a `Result`:

```python
@benchmark("copy 1 MiB", bound=1.1)
def copying(bench: Bench) -> Result:
    return bench.ratio(ours=lambda: ..., limit=lambda: ..., rounds=5)
```

A machine is never equally fast twice, so nothing is compared with a number that was written down: what is measured and
the least that any program must do for the same promise run in turn, in one process, and the ratio counts.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_LARGE_FILE = 64 << 20


@dataclass(frozen=True, slots=True)
class Result:
    """A measurement. `limit` is None if the bound is absolute, in `unit`."""

    ours: float
    limit: float | None = None
    unit: str = "s"
    note: str = ""

    @property
    def value(self) -> float:
        """The value that the bound applies to: the ratio, or the number itself."""
        return self.ours if self.limit is None else self.ours / self.limit


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A named measurement and its bound; None only reports."""

    name: str
    run: Callable[[Bench], Result]
    bound: float | None


_registered: dict[str, Benchmark] = {}


def benchmark(
    name: str, *, bound: float | None = None
) -> Callable[[Callable[[Bench], Result]], Callable[[Bench], Result]]:
    """Register a function as the benchmark of this name."""

    def register(function: Callable[[Bench], Result]) -> Callable[[Bench], Result]:
        assert name not in _registered, f"two benchmarks are called {name!r}"
        _registered[name] = Benchmark(name, function, bound)
        return function

    return register


def discover() -> list[Benchmark]:
    """Import every module of this package and return the benchmarks, in the order in which they are written."""
    package = importlib.import_module("benchmarks")
    for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        if module not in {"__main__", "harness"}:
            importlib.import_module(f"benchmarks.{module}")
    return list(_registered.values())


@dataclass
class Bench:
    """The tools of a benchmark: a new folder, a clean environment, and ways to measure.

    `scale` below 1 reduces the work, to test that a benchmark runs; its ratios are meaningless then.
    """

    folder: Path
    scale: float = 1.0
    _folders: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))
    _written: list[Path] = field(default_factory=list)

    def fresh_folder(self) -> Path:
        """Return a new, empty folder. None is reused: deleting between rounds would slow down the next one."""
        made = self.folder / f"round-{next(self._folders)}"
        made.mkdir()
        self._written.append(made)
        return made

    def count(self, full: int) -> int:
        """Return a count scaled from that of a full run."""
        return max(1, round(full * self.scale))

    def ratio(
        self,
        ours: Callable[[], object],
        limit: Callable[[], object],
        *,
        rounds: int = 5,
        note: str = "",
        clock: Callable[[], float] = time.perf_counter,
    ) -> Result:
        """Time both alternately, after a warm-up round, and compare the medians.

        The clock is `time.process_time` where all work is done in this process, without waiting, so that others that
        use the machine do not count.

        The first of a round is the second of the next, so that neither always finds what the other left. What was
        written goes out of the memory after each turn: pages that a virtual machine has never used have to be given to
        it by its host, at ten times the price, and would slow down the side that happened to get them.
        """
        times: tuple[list[float], list[float]] = ([], [])
        turns = [(ours, times[0]), (limit, times[1])]
        self._written.clear()
        for number in range(rounds + 1):
            for function, kept in turns:
                seconds = _seconds(function, clock)
                self._forget_written()
                if number:
                    kept.append(seconds)
            turns.reverse()
        return Result(statistics.median(times[0]), statistics.median(times[1]), note=note)

    def _forget_written(self) -> None:
        """Drop large files in new folders from the page cache."""
        for folder in self._written if hasattr(os, "posix_fadvise") else ():
            for path in folder.rglob("*"):
                if path.is_file() and not path.is_symlink() and path.stat().st_size >= _LARGE_FILE:
                    with path.open("rb") as stream:
                        os.fsync(stream.fileno())
                        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self._written.clear()

    def each(
        self,
        function: Callable[[], object],
        *,
        rounds: int,
        unit: str = "ms",
        clock: Callable[[], float] = time.perf_counter,
    ) -> Result:
        """Return the median time of one call, in `ms` or `s`; see `ratio` for the clock."""
        function()
        median = statistics.median(_seconds(function, clock) for _ in range(rounds))
        return Result(median * {"s": 1, "ms": 1_000}[unit], unit=unit)

    def environment(self) -> dict[str, str]:
        """Return environment variables with a separate home, in which Python writes compiled bytecode."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LAMIN", "XDG_")) and name != "PYTHONDONTWRITEBYTECODE"
        }
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return kept | {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"}

    @contextmanager
    def instance(self, *, db: str | None = None) -> Iterator[Path]:
        """Work in a new folder with its own instance, on SQLite or in the database `db`; yields the folder."""
        import lamindb as ln

        folder, before = self.fresh_folder(), Path.cwd()
        os.environ |= {"LAMIN_SETTINGS_DIR": str(folder / "settings"), "LAMIN_CACHE_DIR": str(folder / "cache")}
        os.chdir(folder)
        verbosity = ln.settings.verbosity
        ln.settings.verbosity = 0
        try:
            ln.setup.init(storage="./mydata", db=db)
            yield folder
        finally:
            ln.setup.disconnect()
            ln.settings.verbosity = verbosity
            os.chdir(before)

    def process(self, *command: str | Path, cwd: Path | None = None) -> Callable[[], None]:
        """Return a function that runs a whole process and fails if it does."""
        env = self.environment()

        def run() -> None:
            done = subprocess.run(
                [str(part) for part in command], check=False, env=env, cwd=cwd, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"

        return run

    def python(self, code: str, *, cwd: Path | None = None) -> Callable[[], None]:
        """Return a function that runs a snippet in a new interpreter."""
        return self.process(sys.executable, "-c", code, cwd=cwd)

    def peak_memory(self, code: str, *, cwd: Path | None = None) -> Result:
        """Run a snippet in a new interpreter and return its peak memory in MB.

        The process reads it itself at its end: the value of `wait` includes the memory of the forking process.
        """
        command = [sys.executable, "-c", _PRINT_PEAK_MEMORY + code]
        done = subprocess.run(command, check=False, env=self.environment(), cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}: {done.stderr[-2000:]}"
        return Result(int(done.stdout.split()[-2]) * 1024 / 1e6, unit="MB")


_PRINT_PEAK_MEMORY = """
import atexit
atexit.register(lambda: print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))))
"""


def _seconds(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    gc.collect()
    begun = clock()
    function()
    return clock() - begun


@contextmanager
def bench(scale: float = 1.0) -> Iterator[Bench]:
    """Yield the tools of a benchmark with a folder in `TMPDIR`, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="lamindb-bench-", ignore_cleanup_errors=True) as folder:
        yield Bench(Path(folder), scale)


def table(results: Mapping[Benchmark, Result]) -> str:
    """Return the results as a table, one line each."""
    rows = [("benchmark", "ours", "limit", "ratio", "bound", "")]
    for measured, result in results.items():
        rows.append(
            (
                measured.name,
                _number(result.ours, result.unit),
                "" if result.limit is None else _number(result.limit, result.unit),
                "" if result.limit is None else f"{result.value:.2f}",
                "" if measured.bound is None else f"≤ {measured.bound:g}",
                result.note if is_met(measured, result) else f"MISSED {result.note}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def is_met(measured: Benchmark, result: Result) -> bool:
    """Return True if a result is within its bound."""
    return measured.bound is None or result.value <= measured.bound


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first = row[0].ljust(widths[0])
    numbers = "  ".join(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:-1], strict=True))
    return f"{first}  {numbers}  {row[-1]}".rstrip()


def _number(value: float, unit: str) -> str:
    if unit == "s" and value < 1:
        return f"{value * 1_000:.3g} ms"
    return f"{value:.3g} {unit}" if value < 1_000 else f"{value:,.0f} {unit}"
