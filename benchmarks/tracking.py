"""Benchmarks of tracking: a run, a tracked program, a step, a command, and capture during real work."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.harness import Bench, Result, benchmark

_NOTHING = "import lamindb as ln; ln.settings.verbosity = 0; ln.track(ln.Transform(name='nothing')); ln.finish()"

_ETL = """
import sys, time
import pandas as pd
import lamindb as ln
ln.settings.verbosity = 0
ln.connect()
root = ln.settings.storage
count = int(sys.argv[1])
frame = pd.DataFrame({"group": [n % 100 for n in range(count)], "value": range(count)})
for part in range(4):
    frame.to_csv(root / f"in{part}.csv", index=False)
if len(sys.argv) > 2:
    ln.save([ln.File(root / f"in{part}.csv") for part in range(4)])
def work():
    for part in range(4):
        found = pd.read_csv(root / f"in{part}.csv")
        found.groupby("group").value.agg(["mean", "std"]).reset_index().to_csv(f"out{part}.csv", index=False)
work()
times = []
for turn in range(12):
    run = ln.track(ln.Transform(name="etl"), new_run=True, capture=bool(turn % 2))
    begun = time.perf_counter()
    work()
    times.append(time.perf_counter() - begun)
    ln.finish()
print(min(times[1::2]), min(times[0::2]))
"""


@benchmark("track() and finish(), warm, ms", bound=60)
def tracking(bench: Bench) -> Result:
    """Return the time of one run with all its metadata, in a warm process."""
    import lamindb as ln

    with bench.instance() as folder:
        script = folder / "work.py"
        script.write_text("# what is said to run\n" * 500)

        def one_run() -> None:
            ln.track(notebook_path=script, new_run=True)
            ln.finish()

        return bench.each(one_run, rounds=bench.count(40))


@benchmark("a tracked script that does nothing, in all, s", bound=0.5)
def whole_script(bench: Bench) -> Result:
    """Return the time of a whole process that tracks itself."""
    folder = _instance(bench)
    (folder / "work.py").write_text(_NOTHING.replace("ln.Transform(name='nothing')", ""))
    return bench.each(bench.process(sys.executable, "work.py", cwd=folder), rounds=bench.count(11), unit="s")


@benchmark("a step, ms", bound=3)
def step(bench: Bench) -> Result:
    """Return the time of one call of a decorated function with two arguments."""
    import lamindb as ln

    @ln.step
    def add(one: int, other: str) -> str:
        return f"{one} {other}"

    calls = 20
    with bench.instance(), ln.track(ln.Transform(name="whole", type="pipeline")):

        def some_calls() -> None:
            for number in range(calls):
                add(number, "text")

        found = bench.each(some_calls, rounds=bench.count(25))
    return Result(found.ours / calls, unit="ms", note=f"{calls} calls a round")


@benchmark("lamin run -- true, s", bound=0.4)
def command(bench: Bench) -> Result:
    """Return the time of the shortest recorded command."""
    folder = _instance(bench)
    lamin = Path(sys.executable).with_name("lamin")
    return bench.each(bench.process(lamin, "run", "--", "true", cwd=folder), rounds=bench.count(11), unit="s")


@benchmark("capture during a pandas ETL", bound=1.05)
def capturing(bench: Bench) -> Result:
    """Compare reading, grouping and writing four tables with and without capture, alternately in one process."""
    import subprocess

    folder = _instance(bench)
    (folder / "etl.py").write_text(_ETL)
    rows = max(1000, bench.count(200_000))
    done = subprocess.run(
        [sys.executable, "etl.py", str(rows), "saves"],
        cwd=folder,
        env=bench.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    watched, plain = map(float, done.stdout.split()[-2:])
    return Result(watched, plain, note="the best of six each")


def _instance(bench: Bench) -> Path:
    folder = bench.fresh_folder()
    bench.process(Path(sys.executable).with_name("lamin"), "init", "--storage", "./mydata", cwd=folder)()
    return folder
