"""Programs as people run them, in real processes: what is recorded of each, and that none of them notices."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from tests.support.processes import BIN_FOLDER, clean_environment, run_command, run_script

LAMIN = BIN_FOLDER / "lamin"
WORK = """
import lamindb as ln
ln.track(params={"lr": 0.1})
source = ln.File.select(key="in.txt").one()
source.stage(is_run_input=True)
ln.File(b"made", key="out.txt").save()
"""


@pytest.fixture
def project(local_instance: Path) -> Path:
    """Make a project with one registered input; return its folder."""
    ln.File(b"ACGT", key="in.txt").save()
    return Path.cwd()


def keys(files: Any) -> list[str]:
    return [file.key for file in files]


def only(**filters: Any) -> ln.Run:
    return ln.Run.select(**filters).one()


def code_of(run: ln.Run) -> str:
    from lamindb.core import context
    from lamindb.storage.base import ObjectName

    name = ObjectName.parse(run.source_digest or "")
    assert name is not None
    return context.instance().store.read(name).decode()


def check(run: ln.Run, reference: str, *, source: str | None = WORK) -> None:
    assert (run.transform.type, run.transform.reference) == ("script", reference)
    assert (run.status, run.params) == ("completed", {"lr": 0.1})
    assert keys(run.inputs) == ["in.txt"]
    assert keys(run.outputs) == ["out.txt"]
    if source is not None:
        assert code_of(run) == source


def test_by_its_path_with_arguments(project: Path) -> None:
    (project / "scripts").mkdir()
    run_script(project / "scripts/work.py", WORK, "--epochs", "3", "--api-key", "abcdefgh")
    run = only()
    check(run, "scripts/work.py")
    assert run.arguments == ["--epochs", "3", "--api-key", "***"]
    assert run.exit_code == 0


def test_as_a_module(project: Path) -> None:
    (project / "package").mkdir()
    (project / "package/__main__.py").write_text(WORK)
    run_command(sys.executable, "-m", "package", cwd=project)
    run = only()
    check(run, "package/__main__.py")
    assert run.transform.name == "package"


def test_from_cron(project: Path) -> None:
    (project / "work.py").write_text(WORK)
    environment = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "SHELL": "/bin/sh", "LOGNAME": "someone"}
    command = ["/bin/sh", "-c", f"cd {project} && {sys.executable} work.py"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    check(only(), "work.py")


def test_from_standard_input_with_a_transform(project: Path) -> None:
    code = WORK.replace("ln.track(", "ln.track(ln.Transform(name='piped', type='pipeline'), ")
    run_command(sys.executable, "-", cwd=project, stdin=code)
    run = only()
    assert (run.transform.name, run.transform.type, run.status) == ("piped", "pipeline", "completed")
    assert keys(run.outputs) == ["out.txt"]


def test_without_a_file_the_error_names_the_fix(project: Path) -> None:
    done = run_command(sys.executable, "-c", "import lamindb as ln; ln.track()", cwd=project, check=False)
    assert done.returncode == 1
    assert "ln.Transform(name=" in done.stderr
    assert not ln.Run.select().exists()


def test_under_pytest(project: Path) -> None:
    text = "def test_it():\n" + "".join(f"    {line}\n" for line in WORK.strip().splitlines())
    (project / "test_work.py").write_text(text)
    run_command(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_work.py", cwd=project)
    check(only(), "test_work.py", source=text)


def test_in_ipython(project: Path) -> None:
    (project / "work.py").write_text(WORK)
    run_command(sys.executable, "-m", "IPython", "--no-banner", "work.py", cwd=project)
    check(only(), "work.py")


def test_threads_share_the_run(project: Path) -> None:
    code = """
import threading
import lamindb as ln
ln.track()
def work(number):
    ln.File(str(number).encode(), key=f"{number}.txt").save()
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    run_script(project / "work.py", code)
    assert sorted(keys(only().outputs)) == [f"{number}.txt" for number in range(4)]


def test_tasks_share_the_run(project: Path) -> None:
    code = """
import asyncio
import lamindb as ln
async def work(number):
    await asyncio.sleep(0.01)
    ln.File(str(number).encode(), key=f"{number}.txt").save()
async def main():
    ln.track()
    await asyncio.gather(*(work(number) for number in range(4)))
asyncio.run(main())
"""
    run_script(project / "work.py", code)
    assert sorted(keys(only().outputs)) == [f"{number}.txt" for number in range(4)]
    assert only().status == "completed"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_inherit_the_run(project: Path, method: str) -> None:
    code = f"""
import multiprocessing
import lamindb as ln
def save(number):
    ln.File(str(number).encode(), key=f"{{number}}.txt").save()
def step():
    ln.track(ln.Transform(name="step", type="pipeline"))
    ln.File(b"step", key="step.txt").save()
if __name__ == "__main__":
    ln.track()
    context = multiprocessing.get_context({method!r})
    with context.Pool(2) as pool:
        pool.map(save, range(3))
    child = context.Process(target=step)
    child.start()
    child.join()
    assert child.exitcode == 0
    ln.File(b"last", key="last.txt").save()
"""
    run_script(project / "work.py", code)
    whole, step = only(parent=None), only(parent__isnull=False)
    assert sorted(keys(whole.outputs)) == ["0.txt", "1.txt", "2.txt", "last.txt"]
    assert (step.parent, step.transform.name, keys(step.outputs)) == (whole, "step", ["step.txt"])
    assert whole.status == "completed"
    assert step.status == "completed"


def test_a_worker_that_fails_has_failed(project: Path) -> None:
    code = """
import multiprocessing, sys
import lamindb as ln
def step(ending):
    ln.track(ln.Transform(name=ending, type="pipeline"))
    if ending == "error":
        raise ValueError("a deep problem")
    sys.exit(3)
if __name__ == "__main__":
    for ending in ("error", "exit"):
        child = multiprocessing.get_context("fork").Process(target=step, args=(ending,))
        child.start()
        child.join()
        print(child.exitcode)
"""
    assert run_script(project / "work.py", code).stdout == "1\n3\n"
    found = {run.transform.name: (run.status, run.exit_code) for run in ln.Run.select()}
    assert found == {"error": ("failed", 1), "exit": ("failed", 3)}


def test_a_child_program_becomes_a_step(project: Path) -> None:
    (project / "child.py").write_text("import lamindb as ln\nln.track()\nln.File(b'c', key='child.txt').save()\n")
    code = """
import subprocess, sys
import lamindb as ln
ln.track()
subprocess.run([sys.executable, "child.py"], check=True)
ln.finish()
subprocess.run([sys.executable, "child.py"], check=True)
"""
    run_script(project / "work.py", code)
    whole = only(transform__name="work")
    first, second = ln.Run.select(transform__name="child").order_by("created_at")
    assert (first.parent, second.parent) == (whole, None)


def test_dask_workers_inherit_the_run(project: Path) -> None:
    pytest.importorskip("distributed")
    code = """
import lamindb as ln
def save(number):
    import lamindb as ln
    ln.settings.verbosity = 0
    return ln.File(str(number).encode(), key=f"{number}.txt").save().key
@ln.step
def square(number):
    return number * number
if __name__ == "__main__":
    ln.track()
    from distributed import Client, LocalCluster
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            assert sorted(client.gather(client.map(save, range(3)))) == ["0.txt", "1.txt", "2.txt"]
            assert client.gather(client.map(square, range(3))) == [0, 1, 4]
"""
    run_script(project / "work.py", code)
    whole = only(transform__name="work")
    assert whole.status == "completed"
    assert sorted(keys(whole.outputs)) == ["0.txt", "1.txt", "2.txt"]
    steps = ln.Run.select(transform__name="square")
    assert sorted((run.params or {})["number"] for run in steps) == [0, 1, 2]
    assert {run.parent for run in steps} == {whole}


SNAKEFILE = """
rule all:
    input: "report.txt"

rule count:
    input: "reads.txt"
    output: "count.txt"
    shell: "{LAMIN} run --transform count --in {{input}} --out {{output}} -- sh -c 'wc -c < {{input}} > {{output}}'"

rule upper:
    input: "reads.txt"
    output: "upper.txt"
    shell: "{LAMIN} run --transform upper --in {{input}} --out {{output}} -- "
           "sh -c 'tr a-z A-Z < {{input}} > {{output}}'"

rule report:
    input: "count.txt", "upper.txt"
    output: "report.txt"
    shell: "{LAMIN} run --transform report --in count.txt --in upper.txt --out {{output}} -- "
           "sh -c 'cat {{input}} > {{output}}'"
"""


def test_a_workflow_of_snakemake(project: Path) -> None:
    pytest.importorskip("snakemake")
    (project / "reads.txt").write_text("acgt")
    (project / "Snakefile").write_text(SNAKEFILE.format(LAMIN=LAMIN))
    run_command(sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", cwd=project)
    made = {run.transform.name: (sorted(keys(run.inputs)), keys(run.outputs)) for run in ln.Run.select()}
    assert made == {
        "count": (["reads.txt"], ["count.txt"]),
        "upper": (["reads.txt"], ["upper.txt"]),
        "report": (["count.txt", "upper.txt"], ["report.txt"]),
    }
    assert {run.status for run in ln.Run.select()} == {"completed"}


def test_make(project: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    (project / "reads.txt").write_text("acgt")
    (project / "Makefile").write_text(
        f"out.csv: reads.txt\n\t{LAMIN} run --in reads.txt --out out.csv -- sh -c 'wc -c < reads.txt > out.csv'\n"
    )
    run_command("make", cwd=project)
    assert (keys(only().inputs), keys(only().outputs)) == (["reads.txt"], ["out.csv"])


ENDINGS = {
    "sys.exit(3)": ("failed", 3, 3),
    "sys.exit('no')": ("failed", 1, 1),
    "sys.exit(0)": ("completed", 0, 0),
    "raise ValueError('a deep problem')": ("failed", 1, 1),
    "raise KeyboardInterrupt": ("failed", -2, 130),
    "os._exit(4)": ("aborted", 4, None),
    "os.kill(os.getpid(), 15)": ("failed", -15, 143),
    "os.kill(os.getpid(), 9)": ("aborted", -9, None),
    "os.abort()": ("aborted", -6, None),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_however_it_ends_the_status_is_right_and_the_program_the_same(project: Path, ending: str) -> None:
    status, returned, exit_code = ENDINGS[ending]
    plain = f"import os, sys\nprint('out', flush=True)\n{ending}\n"
    tracked = plain.replace("print(", "import lamindb as ln; ln.settings.verbosity = 0; ln.track(); print(")
    before = run_script(project / "work.py", plain, check=False)
    after = run_script(project / "work.py", tracked, check=False)
    assert (after.returncode, after.stdout) == (before.returncode, before.stdout) == (returned, "out\n")
    # Of the traceback, only the line of the program that we changed ourselves differs.
    assert after.stderr == before.stderr
    run = only()
    assert (run.status, run.exit_code) == (status, exit_code)
    if "ValueError" in ending:
        assert "a deep problem" in str(run.error)
    if status == "failed" and "exit" not in ending and "kill" not in ending:
        assert run.error


def test_a_terminated_program_in_a_long_wait(project: Path) -> None:
    (project / "work.py").write_text(
        "import lamindb as ln, time\nln.track()\nprint('up', flush=True)\ntime.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "work.py"], env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert only().status == "running"
    process.send_signal(signal.SIGTERM)
    process.wait()
    process.stdout.close()
    assert process.returncode == -signal.SIGTERM
    assert (only().status, only().error) == ("failed", "stopped by signal SIGTERM")


def test_a_run_of_a_deleted_instance_ends_quietly(project: Path) -> None:
    code = """
import lamindb as ln, shutil
ln.track()
shutil.rmtree("mydata")
print("done")
"""
    done = run_script(project / "work.py", code)
    assert done.stdout == "done\n"
    assert "Traceback" not in done.stderr
    assert not (project / "mydata").exists()


def test_a_full_disk_at_the_end_is_a_message(project: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    small = project / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        code = """
import lamindb as ln
ln.setup.init(storage="small/store")
ln.track()
print("x" * 60_000)
try:
    with open("small/filling", "wb") as filling:
        while True:
            filling.write(b"0" * 4096)
except OSError:
    pass
print("done")
"""
        done = run_script(project / "work.py", code)
        assert done.stdout.endswith("done\n")
        assert "Traceback" not in done.stderr
        assert "could not be" in done.stderr
        (small / "filling").unlink()
        status = run_command(
            sys.executable,
            "-c",
            "import lamindb as ln; ln.settings.verbosity = 0; ln.connect('small/store'); "
            "print(ln.Run.select().one().status)",
            cwd=project,
        ).stdout
        assert status in {"completed\n", "aborted\n"}
    finally:
        subprocess.run(["umount", small], check=False)


def test_git_is_recorded_with_what_was_not_committed(project: Path) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return run_command("git", *identity, *words, cwd=project).stdout.strip()

    git("init", "-q")
    git("remote", "add", "origin", "https://me:secret123@example.org/lab/project.git")
    (project / "helper.py").write_text("value = 1\n")
    (project / "work.py").write_text(WORK)
    git("add", "helper.py", "work.py")
    git("commit", "-q", "-m", "Begin")
    run_script(project / "work.py", WORK)
    clean = only()
    assert clean.git_commit == git("rev-parse", "HEAD")
    assert (clean.git_repository, clean.git_is_dirty) == ("https://example.org/lab/project.git", False)
    assert clean.diff_digest is None
    (project / "helper.py").write_text("value = 2\n")
    run_script(project / "work.py", WORK)
    dirty = only(git_is_dirty=True)
    assert dirty.environment_digest == clean.environment_digest
    assert dirty.source_digest == clean.source_digest
    from lamindb.core import context
    from lamindb.storage.base import ObjectName

    name = ObjectName.parse(dirty.diff_digest or "")
    assert name is not None
    assert "+value = 2" in context.instance().store.read(name).decode()


def test_a_renamed_script_is_the_same_and_a_copy_is_another(project: Path) -> None:
    code = "import lamindb as ln\nln.track()\n"
    run_script(project / "first.py", code)
    transform = only().transform
    shutil.copy(project / "first.py", project / "copied.py")
    run_command(sys.executable, "copied.py", cwd=project)
    assert ln.Transform.select().count() == 2
    (project / "first.py").rename(project / "second.py")
    run_command(sys.executable, "second.py", cwd=project)
    assert sorted(ln.Transform.select().list("reference")) == ["copied.py", "second.py"]
    assert ln.Run.select(transform__id=transform.id).count() == 2


def test_two_projects_do_not_share_a_run(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    run_command(LAMIN, "init", "--storage", "./theirs", cwd=other)
    (other / "work.py").write_text("import lamindb as ln\nassert ln.context.run is None\nln.track()\n")
    code = f"""
import subprocess, sys
import lamindb as ln
ln.track()
subprocess.run([sys.executable, "work.py"], cwd={str(other)!r}, check=True)
"""
    run_script(project / "work.py", code)
    assert ln.Run.select().count() == 1
    ln.connect(other / "theirs")
    assert only().parent is None


def test_what_was_killed_is_noticed_by_the_next_process(project: Path) -> None:
    (project / "work.py").write_text(
        "import lamindb as ln, time\nln.track()\nprint('up', flush=True)\ntime.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "work.py"], env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    code = "import lamindb as ln; ln.settings.verbosity = 0; print(ln.Run.select(status='aborted').count())"
    assert run_command(sys.executable, "-c", code, cwd=project).stdout == "1\n"
