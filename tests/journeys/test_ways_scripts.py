"""Scripts, however they are started: by cron, as modules, through a pipe, by pytest, by IPython, in many processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lamindb as ln
from tests.support.processes import BIN_FOLDER, TIMEOUT_SECONDS, clean_environment, run_command, run_together
from tests.support.ways import TRACK, check, keys, run_that_made, stored, work


@pytest.fixture
def project(local_instance: Path) -> Path:
    """Make a project with one registered input; return its folder."""
    ln.File(b"ACGT", key="in.txt").save()
    return local_instance.parent


def write(path: Path, code: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    return code


def bare(*command: str | Path, cwd: Path | str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program as `env -i` does: with these variables and no other."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def test_with_almost_no_environment(project: Path) -> None:
    home = os.environ["HOME"]
    far = write(project / "scripts/far.py", work("far"))
    near = write(project / "near.py", work("near"))
    # As cron does: another folder, and no user's settings; the instance is named.
    done = bare(sys.executable, project / "scripts/far.py", "3", cwd="/", HOME=home, LAMIN_INSTANCE=f"{project}/mydata")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    check("far", "script", "scripts/far.py", "far", source=far, arguments=["3"])
    # Or found, because the project's folder is the working folder.
    done = bare("/bin/sh", "-c", f"cd '{project}' && exec '{sys.executable}' near.py", cwd="/", HOME=home)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    check("near", "script", "near.py", "near", source=near)
    # Where neither is true, the error says so, in the user's program and nowhere else.
    done = bare(sys.executable, project / "near.py", cwd="/", HOME=home)
    assert done.returncode == 1
    assert "lamin connect PATH" in done.stderr.splitlines()[-1]
    assert ln.Run.select().count() == 2


def test_from_other_folders_and_as_modules(project: Path) -> None:
    other = project / "notes" / "deep"
    other.mkdir(parents=True)
    source = write(project / "scripts/by path.py", work("path"))
    module = write(project / "src/package/step.py", work("module"))
    write(project / "src/package/__init__.py", "")
    linked = write(project / "scripts/real.py", work("linked"))
    (other / "link.py").symlink_to(project / "scripts/real.py")
    environment = clean_environment(PYTHONPATH=str(project / "src"))
    commands = [
        [sys.executable, "../../scripts/by path.py", "--api-key", "hunter2hunter2", "--lr=0.1"],
        [sys.executable, "-m", "package.step", "-v"],
        [sys.executable, "link.py"],
    ]
    for done in run_together(commands, cwd=other, env=environment):
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    arguments = ["--api-key", "***", "--lr=0.1"]
    check("path", "script", "scripts/by path.py", "by path", source=source, arguments=arguments)
    check("module", "script", "src/package/step.py", "step", source=module, arguments=["-v"])
    check("linked", "script", "scripts/real.py", "real", source=linked)


def test_through_a_pipe(project: Path) -> None:
    code = work("piped").replace("track(", "track(ln.Transform(name='piped', type='pipeline')")
    run_command(sys.executable, "-", "--fast", cwd=project, stdin=code)
    check("piped", "pipeline", "piped", "piped", arguments=["--fast"])
    # Without a Transform: an error that names the fix, and what was current stays current.
    anonymous = """
import lamindb as ln
from lamindb.errors import InvalidInputError
def refused():
    before = ln.context.run
    try:
        ln.track()
    except InvalidInputError as error:
        assert "ln.track(ln.Transform(name=" in str(error), error
    else:
        raise AssertionError("it tracked nothing")
    assert ln.context.run == before
    return before
assert refused() is None
first = ln.track(ln.Transform(name="before", type="pipeline"))
assert refused() == first and first.status == "running"
ln.File(b"1", key="after.txt").save()
"""
    run_command(sys.executable, "-", cwd=project, stdin=anonymous)
    run_command(sys.executable, "-c", anonymous.replace('"before"', '"command"').replace("after.", "c."), cwd=project)
    assert keys(run_that_made("after").outputs) == ["after.txt"]
    assert sorted(run.transform.name for run in ln.Run.select()) == ["before", "command", "piped"]


def test_by_pytest_and_by_ipython(project: Path) -> None:
    indented = "".join(f"    {line}\n" for line in work("tested").splitlines())
    tested = write(project / "checks/test_one.py", f"def test_it():\n{indented}")
    indented = "".join(f"    {line}\n" for line in work("failing").splitlines())
    failing = write(project / "checks/test_two.py", f"def test_it():\n{indented}    assert run is None\n")
    source = write(project / "scripts/in_ipython.py", work("ipython"))
    profile = clean_environment(IPYTHONDIR=os.environ["HOME"])
    options = ["-q", "-p", "no:cacheprovider"]
    passed, failed, ended = run_together(
        [
            [BIN_FOLDER / "pytest", *options, "checks/test_one.py"],
            [sys.executable, "-m", "pytest", *options, "checks/test_two.py::test_it"],
            [sys.executable, "-m", "IPython", "--no-banner", "--colors=nocolor", "scripts/in_ipython.py", "7"],
        ],
        cwd=project,
        env=profile,
    )
    assert (passed.returncode, failed.returncode, ended.returncode) == (0, 1, 0), ended.stderr
    arguments = [*options, "checks/test_one.py"]
    # pytest looked `sys.exit` up before it ran the test: its code is not seen.
    # The documentation says so: Python 3.11 does not tell the code of `sys.exit(main())`, as pytest's command calls it.
    code = None if sys.version_info < (3, 12) else 0
    check("tested", "script", "checks/test_one.py", "test_one", source=tested, arguments=arguments, exit_code=code)
    run = run_that_made("failing")
    assert (run.transform.type, run.status, run.exit_code) == ("script", "failed", 1)
    assert (run.transform.reference, stored(run.source_digest)) == ("checks/test_two.py", failing)
    assert (keys(run.inputs), keys(run.outputs)) == (["in.txt"], ["failing.txt"])
    check("ipython", "script", "scripts/in_ipython.py", "in_ipython", source=source, arguments=["7"])


MANY = """
import asyncio, concurrent.futures, multiprocessing, os, sys, threading
import lamindb as ln

def save(name):
    ln.File(name.encode(), key=f"{name}.txt").save()
    return os.getpid()

def step(name, ending):
    with ln.track(ln.Transform(name=name, type="pipeline")) as run:
        ln.File.select(key="in.txt").one().stage(is_run_input=True)
        ln.File(name.encode(), key=f"{name}.txt").save()
        exec(ending)

def plain(name, ending):
    ln.track()
    save(name)
    exec(ending)

async def task(name):
    await asyncio.sleep(0)
    await asyncio.to_thread(save, name)

async def tasks():
    await asyncio.gather(*(task(f"task-{n}") for n in range(3)))

if __name__ == "__main__":
    run = ln.track()
    ln.File.select(key="in.txt").one().stage(is_run_input=True)
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        list(threads.map(save, [f"thread-{n}" for n in range(3)]))
    asyncio.run(tasks())
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
            assert os.getpid() not in pool.map(save, [f"{method}-{n}" for n in range(2)])
        children = [
            context.Process(target=step, args=(f"{method}-step", "")),
            context.Process(target=step, args=(f"{method}-failing", "raise ValueError('deep')")),
            context.Process(target=plain, args=(f"{method}-plain", "")),
        ]
        [child.start() for child in children]
        [child.join() for child in children]
        assert [child.exitcode for child in children] == [0, 1, 0], method
    child = os.fork()
    if not child:
        save("forked")
        os._exit(0)
    os.waitpid(child, 0)
    assert ln.context.run == run and run.status == "running"
    save("MANY")
"""
METHODS = ("fork", "spawn", "forkserver")


def test_threads_tasks_and_processes(project: Path) -> None:
    write(project / "many.py", MANY)
    # A program of many threads and processes prints what Python itself warns of; what counts is how it ends.
    run_command(sys.executable, "many.py", cwd=project)
    whole = run_that_made("MANY")
    made = [f"{kind}-{n}.txt" for kind in ("thread", "task") for n in range(3)]
    made += [f"{method}-{n}.txt" for method in METHODS for n in range(2)]
    assert keys(whole.outputs) == sorted([*made, "forked.txt", "MANY.txt"])
    assert (whole.status, whole.exit_code, keys(whole.inputs)) == ("completed", 0, ["in.txt"])
    assert (whole.transform.reference, stored(whole.source_digest)) == ("many.py", MANY)
    for method in METHODS:
        step = run_that_made(f"{method}-step")
        assert (step.parent, step.transform.name, step.status) == (whole, f"{method}-step", "completed")
        assert (keys(step.inputs), keys(step.outputs)) == (["in.txt"], [f"{method}-step.txt"])
        failing = run_that_made(f"{method}-failing")
        assert (failing.parent, failing.status) == (whole, "failed")
        assert "ValueError: deep" in str(failing.error)
        plain = run_that_made(f"{method}-plain")
        assert (plain.parent, plain.transform, plain.status) == (whole, whole.transform, "completed"), method
    assert ln.Run.select().count() == 1 + 3 * len(METHODS)


DASK = """
import os
import lamindb as ln

def save(number):
    import lamindb as ln
    ln.File(str(number).encode(), key=f"{number}.txt").save()
    return os.getpid()

def step(number):
    import lamindb as ln
    with ln.track(ln.Transform(name="step", type="pipeline"), params={"number": number}, new_run=True):
        ln.File.select(key="in.txt").one().stage(is_run_input=True)
        ln.File(f"step {number}".encode(), key=f"step-{number}.txt").save()

if __name__ == "__main__":
    ln.track()
    from distributed import Client, LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            pids = client.gather(client.map(save, range(8)))
            assert os.getpid() not in pids, pids
            client.gather(client.map(step, range(4)))
    ln.File(b"whole", key="whole.txt").save()
"""


def test_workers_of_dask(project: Path) -> None:
    pytest.importorskip("distributed")
    write(project / "dasked.py", DASK)
    run_command(sys.executable, "dasked.py", cwd=project)
    whole = run_that_made("whole")
    assert (whole.transform.type, whole.transform.reference) == ("script", "dasked.py")
    assert (whole.status, stored(whole.source_digest)) == ("completed", DASK)
    assert keys(whole.outputs) == sorted([*(f"{n}.txt" for n in range(8)), "whole.txt"])
    for number in range(4):
        step = run_that_made(f"step-{number}")
        assert (step.parent, step.params, step.status) == (whole, {"number": number}, "completed")
        assert (keys(step.inputs), keys(step.outputs)) == (["in.txt"], [f"step-{number}.txt"])
    assert ln.Run.select().count() == 5
    assert TRACK not in DASK
