"""The benchmarks' own machinery: what it measures is what it says. Nothing here depends on how fast anything is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.harness import Bench, Benchmark, Result


def _benchmark(name: str, bound: float | None) -> Benchmark:
    return Benchmark(name, lambda bench: Result(1), bound)


def test_rounds_alternate_and_the_first_does_not_count(tmp_path: Path) -> None:
    order: list[str] = []
    result = Bench(tmp_path).ratio(lambda: order.append("ours"), lambda: order.append("limit"), rounds=2)
    assert order == ["ours", "limit", "limit", "ours", "ours", "limit"]
    assert result.limit is not None and result.value == result.ours / result.limit


def test_what_a_turn_writes_is_left_as_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made: list[Path] = []

    def write() -> None:
        made.append(bench.fresh_folder() / "large")
        made[-1].write_bytes(b"\1" * (65 << 20))

    bench.ratio(write, lambda: None, rounds=1)
    assert [path.stat().st_size for path in made] == [65 << 20] * 2
    assert all(path.read_bytes()[-1:] == b"\1" for path in made)


def test_folders_are_fresh_each_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first, second = bench.fresh_folder(), bench.fresh_folder()
    assert first != second and not list(second.iterdir())


def test_a_missed_bound_is_marked() -> None:
    results = {
        _benchmark("fast", 2.0): Result(1.0, 1.0),
        _benchmark("slow", 2.0): Result(3.0, 1.0, note="why"),
        _benchmark("heavy", 60): Result(61.5, unit="MB"),
        _benchmark("told", None): Result(0.0042),
    }
    lines = harness.table(results).splitlines()
    assert lines[1].split() == ["fast", "1", "s", "1", "s", "1.00", "≤", "2"]
    assert lines[2].endswith("MISSED why")
    assert lines[3].split() == ["heavy", "61.5", "MB", "≤", "60", "MISSED"]
    assert lines[4].split() == ["told", "4.2", "ms"]


def test_processes_have_a_home_of_their_own_and_compile_bytecode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    code = "import os, sys; assert os.environ['HOME'] == sys.argv[1] and not sys.dont_write_bytecode"
    bench = Bench(tmp_path)
    bench.process(sys.executable, "-c", code, tmp_path / "home")()
    with pytest.raises(AssertionError, match="Error"):
        bench.python("raise SystemExit('Error')")()


def test_peak_memory_is_that_of_the_process(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    small = bench.peak_memory("pass")
    large = bench.peak_memory("x = bytearray(50_000_000)")
    assert small.unit == "MB"
    assert large.ours - small.ours > 40


def test_every_benchmark_is_found_under_a_name_of_its_own() -> None:
    names = [found.name for found in harness.discover()]
    assert len(names) == len(set(names))
