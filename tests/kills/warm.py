"""A process that has done once what programs under test do, and forks a child for each scenario.

Starting Python and importing everything takes longer than many a scenario. Children are killed as any process.

Usage: python -m tests.kills.warm FOLDER. It rehearses in the folder. Then it reads lines of JSON such as
`{"scenario": "save", "work": "/dev/shm/x", "environment": {…}}`, and prints one line of JSON for each.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.kills import power, runner
from tests.support import memory
from tests.support.processes import clean_environment

REPOSITORY = Path(__file__).parents[2]
LIMIT_SECONDS = 1700

PRELOADED = """
    django.db.backends.base.schema django.db.models.sql.compiler encodings.ascii lamindb.db.postgres.base
    lamindb.db.sqlite.base lamindb.migrations lamindb.storage.cache lamindb.storage.open_store
    lamindb.storage.view lamindb.setup.move lamindb.setup.named lamindb.setup.lifecycle
    lamindb.files.view_relink lamindb.files.save lamindb.files.read
    lamindb.maintenance.gc lamindb.runs.track lamindb.maintenance.trash
    lamindb.maintenance.verify obstore obstore.store pwd psycopg
"""
"""What every child needs is imported once, before the first fork; none of it opens anything."""


class Warm:
    """The process, as those see it who ask it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, scenario: str, **config: Any) -> dict[str, Any]:
        """Run a scenario in this test's surroundings; return how many steps it has, how many ended it, and problems."""
        environment = clean_environment(PYTHONPATH=str(REPOSITORY))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"scenario": scenario, "environment": environment, **config}), file=self._process.stdin)
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the warm process ended: {self._process.wait()}"
        answer = json.loads(line)
        assert answer["code"] == 0, answer.get("error", answer["code"])
        result: dict[str, Any] = answer["result"]
        print(f"{scenario}: ended {result['times']} times at {result['steps']} steps")
        return result


@contextlib.contextmanager
def running() -> Iterator[Warm]:
    """Start the process; it ends with its input."""
    folder = tempfile.mkdtemp(prefix="lamindb-warm-", dir=memory.folder())
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "tests.kills.warm", folder],
            cwd=REPOSITORY,
            env=clean_environment(PYTHONPATH=str(REPOSITORY)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            yield Warm(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- the process itself ---


def rehearse(folder: str) -> None:
    """Do once in this process what every child does, on an instance that is thrown away.

    Children find imported and compiled what a process makes at its first save, question and check. Nothing stays open.
    """
    import lamindb as ln
    from lamindb.maintenance import gc as sweeping
    from lamindb.maintenance import verify
    from lamindb.setup import lifecycle

    case = runner.Case({"scenario": "save", "work": folder})
    (case.here / "project").mkdir(parents=True)
    try:
        case.environment()
        ln.settings.verbosity = 0
        ln.setup.init(storage="./mydata")
        case.scenario.prepare()
        case.scenario.act()
        runner.observe(case)
        verify.verify()
        sweeping.sweep(dry_run=False, grace_seconds=0)
    finally:
        lifecycle.reset()
        ln.settings.reset()
        os.chdir(REPOSITORY)
        shutil.rmtree(folder)


def run(config: runner.Plain) -> runner.Plain:
    """Return what a scenario came to."""
    os.environ.clear()
    os.environ.update(config["environment"])
    case = power.DiskCase(config) if config.get("power") else runner.Case(config)
    times, problems = 0, []
    try:
        case.make_template()
        for step, found in case.everywhere():
            times += 1
            problems += [f"{step}: {problem}" for problem in found]
            if problems and config.get("until_found"):
                break
    finally:
        case.end()
    return {"steps": case.steps, "times": times, "problems": problems}


def main() -> None:
    """Run what each line of the input describes, in a child of its own."""
    import lamindb.models  # noqa: F401  before the processes fork

    for name in PRELOADED.split():
        importlib.import_module(name)
    rehearse(sys.argv[1])
    # Objects that the collector leaves alone are memory that children share.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        code, answer = runner.in_child(run, json.loads(line), limit_seconds=LIMIT_SECONDS)
        print(json.dumps({"code": code, **answer}), flush=True)


if __name__ == "__main__":
    main()
