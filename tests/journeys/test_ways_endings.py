"""How programs end: the status tells it, and whoever looks at the program sees no difference to an untracked one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lamindb as ln
from tests.support.processes import BIN_FOLDER, TIMEOUT_SECONDS, clean_environment, run_command
from tests.support.ways import keys, run_that_made, stored

BEGIN = """\
import os, sys, time, signal
quiet = None
def deep(value):
    raise ValueError(f"a deep problem with {value}")
quiet = None
print("out", flush=True)
print("err", file=sys.stderr, flush=True)
"""
"""A program. Its lines that say `quiet` are where its twin differs, so that all others keep their place."""
TRACKING = "import lamindb as ln; ln.settings.verbosity = 0; ln.track(); ln.File(b'WAY', key='WAY.txt').save()"

ENDINGS = {
    # what the program does: status, exit code as recorded, a part of the recorded error
    "sys.exit(3)": ("failed", 3, None),
    "sys.exit('no more')": ("failed", 1, "no more"),
    "sys.exit()": ("completed", 0, None),
    "pass": ("completed", 0, None),
    "deep(7)": ("failed", 1, "ValueError: a deep problem with 7"),
    "raise KeyboardInterrupt": ("failed", 130, "KeyboardInterrupt"),
    "os._exit(5)": ("aborted", None, None),
    "os._exit(0)": ("aborted", None, None),
    "os.abort()": ("aborted", None, None),
    "os.kill(os.getpid(), signal.SIGKILL)": ("aborted", None, None),
    "os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)": ("failed", 143, "SIGTERM"),
    "os.kill(os.getpid(), signal.SIGHUP); time.sleep(30)": ("failed", 129, "SIGHUP"),
    "os.kill(os.getpid(), signal.SIGINT); time.sleep(30)": ("failed", 130, "KeyboardInterrupt"),
    "os.execv('/bin/sh', ['sh', '-c', 'exit 6'])": ("aborted", None, None),
    "signal.signal(15, lambda *_: sys.exit(9)); os.kill(os.getpid(), 15); time.sleep(30)": ("failed", 9, None),
    "import atexit; atexit.register(lambda: print('bye'))": ("completed", 0, None),
    "import threading; threading.Thread(target=deep, args=(1,)).start()": ("completed", 0, None),
    "sys.excepthook = lambda *_: print('hooked'); deep(8)": ("failed", 1, "a deep problem with 8"),
    "import warnings; warnings.warn('careful')": ("completed", 0, None),
}


@pytest.fixture
def project(local_instance: Path) -> Path:
    """Make a project; return its folder."""
    return local_instance.parent


def seen(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """Return what a program's caller sees; addresses of threads differ from run to run."""
    return done.returncode, done.stdout, re.sub(r"0x[0-9a-f]+|Thread-\d+", "…", done.stderr)


def run_twins(project: Path, way: str, ending: str, *before: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program without and with tracking, check that their callers see the same, and return the tracked one."""
    plain = f"{BEGIN}{ending}\n"
    path = project / "program.py"
    path.write_text(plain)
    untracked = run_command(sys.executable, path.name, cwd=project, check=False)
    path.write_text(plain.replace("quiet = None", TRACKING.replace("WAY", way), 1))
    tracked = run_command(*before, sys.executable, path.name, cwd=project, check=False)
    if before and untracked.returncode < 0:
        # A shell, too, tells of a signal this way.
        untracked.returncode = 128 - untracked.returncode
    assert seen(tracked) == seen(untracked), ending
    return tracked


def test_each_ending_has_its_status_and_leaves_no_trace(project: Path) -> None:
    # All in one instance: each process finds what became of the one before it.
    for number, (ending, (status, exit_code, error)) in enumerate(ENDINGS.items()):
        way = f"ending-{number}"
        run_twins(project, way, ending)
        run = run_that_made(way)
        assert (run.status, run.exit_code) == (status, exit_code), ending
        assert run.finished_at is not None and run.started_at is not None and run.finished_at >= run.started_at
        assert (run.error is None) == (error is None), (ending, run.error)
        assert error is None or error in str(run.error).splitlines()[-1], (ending, run.error)
        assert "import lamindb" in stored(run.source_digest)
        assert keys(run.outputs) == [f"{way}.txt"]
        if status != "aborted":
            assert "out\n" in stored(run.log_digest) and "err\n" in stored(run.log_digest), ending
    run = run_that_made(f"ending-{list(ENDINGS).index('deep(7)')}")
    assert [line.strip() for line in str(run.error).splitlines() if "deep" in line][-1].startswith("ValueError: a deep")
    assert ", line 4, in deep" in str(run.error)


@pytest.mark.parametrize("last", ["sys.exit(main())", "raise SystemExit(main())"])
@pytest.mark.parametrize("code", [0, 3])
def test_a_code_that_main_returns(project: Path, last: str, code: int) -> None:
    path = project / "program.py"
    path.write_text(f"import sys\nimport lamindb as ln\ndef main():\n    ln.track()\n    return {code}\n{last}\n")
    assert run_command(sys.executable, path.name, cwd=project, check=False).returncode == code
    run = ln.Run.select().one()
    if last == "sys.exit(main())" and sys.version_info < (3, 12):
        # This Python never asks for the code, as the documentation says.
        assert (run.status, run.exit_code) == ("completed", None)
    else:
        assert (run.status, run.exit_code) == ("failed" if code else "completed", code)


COMMANDS = ["sys.exit(3)", "deep(7)", "os._exit(5)", "os.kill(os.getpid(), signal.SIGKILL)", "pass"]


def test_the_same_under_lamin_run(project: Path) -> None:
    lamin = BIN_FOLDER / "lamin"
    for number, ending in enumerate(COMMANDS):
        way = f"command-{number}"
        done = run_twins(project, way, ending, lamin, "run", "--")
        step = run_that_made(way)
        command = step.parent
        assert command is not None
        assert (command.transform.type, command.transform.name) == ("command", "python program.py")
        assert command.exit_code == done.returncode, ending
        assert command.status == ("failed" if done.returncode else "completed"), ending
        assert step.status == ENDINGS[ending][0], ending
        assert "out\nerr\n" in stored(command.log_digest)


def test_signals_from_outside(project: Path) -> None:
    path = project / "program.py"
    path.write_text(f"{BEGIN}time.sleep(600)\n".replace("quiet = None", TRACKING.replace("WAY", "plain"), 1))
    for number, status, error in (
        (signal.SIGTERM, "failed", "stopped by signal SIGTERM"),
        (signal.SIGINT, "failed", "KeyboardInterrupt"),
        (signal.SIGKILL, "aborted", None),
    ):
        for before in ([], [BIN_FOLDER / "lamin", "run", "--"]):
            last = ln.Run.select().count()
            process = subprocess.Popen(
                [*before, sys.executable, path.name],
                cwd=project,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            assert process.stdout is not None
            assert process.stdout.readline() == b"out\n"
            assert ln.Run.select(status="running").count() == (2 if before else 1)
            if number == signal.SIGKILL:
                # As a scheduler does: all of it.
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            code = process.wait(TIMEOUT_SECONDS)
            process.stdout.close()
            assert code == (128 + number if before and number != signal.SIGKILL else -number)
            runs = list(ln.Run.select().order_by("created_at"))[last:]
            assert [run.status for run in runs] == [status] * (2 if before else 1), (number, before)
            step = runs[-1]
            assert error is None or error in str(step.error)
            if before:
                assert step.parent == runs[0]
                assert runs[0].exit_code == (None if number == signal.SIGKILL else 128 + number)
    # Nobody has to read them: who connects next has noticed.
    code_text = "import lamindb as ln; ln.settings.verbosity = 0; print(ln.Run.select(status='running').count())"
    assert run_command(sys.executable, "-c", code_text, cwd=project).stdout == "0\n"


@pytest.mark.parametrize("remaining", ["nothing", "the folder", "no database"])
def test_an_instance_that_is_deleted_meanwhile(project: Path, remaining: str) -> None:
    removal = {
        "nothing": "import shutil; shutil.rmtree('mydata')",
        "the folder": f"import subprocess; subprocess.run([{str(BIN_FOLDER / 'lamin')!r}, 'delete', 'mydata'], "
        "check=True, capture_output=True) if os.path.exists('mydata') else None",
        "no database": "[os.remove(f'mydata/.lamindb/{name}') for name in os.listdir('mydata/.lamindb') "
        "if name.startswith('db.')] if os.path.exists('mydata') else None",
    }[remaining]
    path = project / "program.py"
    plain = f"{BEGIN}print('still')\nsys.exit(4)\n"
    path.write_text(plain)
    untracked = run_command(sys.executable, path.name, cwd=project, check=False)
    tracking = TRACKING.replace("WAY", "gone")
    path.write_text(plain.replace("quiet = None", tracking, 1).replace("quiet = None", removal, 1))
    tracked = run_command(sys.executable, path.name, cwd=project, check=False)
    assert seen(tracked) == seen(untracked)
    assert not list(project.glob("mydata/.lamindb/db.sqlite3*")), "the end of the run made the database anew"
    assert (project / "mydata").exists() == (remaining != "nothing")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


FILL = """
try:
    with open("small/filling", "wb", buffering=0) as filling:
        for size in (1 << 20, 4096, 1):
            try:
                while filling.write(b"0" * size) == size:
                    pass
            except OSError:
                pass
except OSError:
    pass
print("y" * 200_000)
sys.exit(4)
"""


def test_a_disk_that_is_full_at_the_end(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "4m"):
        run_command(BIN_FOLDER / "lamin", "init", "--storage", "small/store", cwd=tmp_path)
        path = tmp_path / "program.py"
        plain = BEGIN + FILL
        path.write_text(plain)
        untracked = run_command(sys.executable, path.name, cwd=tmp_path, check=False)
        (tmp_path / "small/filling").unlink()
        telling = TRACKING.replace("WAY", "full").replace("verbosity = 0", "verbosity = 1")
        path.write_text(plain.replace("quiet = None", telling, 1))
        tracked = run_command(sys.executable, path.name, cwd=tmp_path, check=False)
        assert (tracked.returncode, tracked.stdout) == (untracked.returncode, untracked.stdout) == (4, tracked.stdout)
        assert "Traceback" not in tracked.stderr
        # Told, in lines of ours; what the program printed is all there.
        ours = [line for line in tracked.stderr.splitlines() if line != "err"]
        assert ours and all("could not be" in line for line in ours), ours
        (tmp_path / "small/filling").unlink()
        code = "import lamindb as ln; ln.settings.verbosity = 0; print([r.status for r in ln.Run.select()])"
        # What did not reach the disk is not made up: the run is known to have ended, one way or the other.
        found = run_command(sys.executable, "-c", code, cwd=tmp_path).stdout
        assert found in {"['failed']\n", "['aborted']\n"}
