"""Ends of real processes, each run with and without being watched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lamindb.environment.process_exit import Ending, watch
from tests.support.processes import clean_environment

posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

WATCHED = """\
import json, os, sys
from lamindb.environment import process_exit

def reported(ending):
    with open({reported!r}, "a") as stream:
        stream.write(json.dumps(ending._asdict()) + "\\n")

one = process_exit.watch(reported)
"""


def run_both(
    folder: Path, body: str, *options: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, object]]]:
    """Run a program bare and watched; check that the callers see the same, and return what was reported."""
    body = textwrap.dedent(body)
    reported = folder / "reported.jsonl"
    results = []
    for head in ("import os, sys\n\n\n\n\n\n\n\n", WATCHED.format(reported=str(reported))):
        script = folder / "program.py"
        script.write_text(head + body)
        command = [sys.executable, *(options or [str(script)])]
        done = subprocess.run(
            command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
        )
        results.append(done)
    bare, watched = results
    assert (watched.returncode, watched.stdout) == (bare.returncode, bare.stdout), watched.stderr
    assert watched.stderr == bare.stderr
    lines = reported.read_text().splitlines() if reported.exists() else []
    return watched, [json.loads(line) for line in lines]


COMPLETED = {"status": "completed", "exit_code": 0, "error": None}


def failed(code: int | None, error: str | None = None) -> dict[str, object]:
    return {"status": "failed", "exit_code": code, "error": error}


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ("print('hello')", COMPLETED),
        ("sys.exit()", COMPLETED),
        ("sys.exit(0)", COMPLETED),
        ("sys.exit(3)", failed(3)),
        ("sys.exit(256 + 7)", failed(7)),
        ("sys.exit(True)", failed(1)),
        ("sys.exit('no input')", failed(1, "no input")),
        ("exit(4)", failed(4)),
        ("from sys import exit as leave\nleave(5)", failed(5)),
        ("try:\n    sys.exit(3)\nexcept SystemExit:\n    pass", COMPLETED),
        ("import argparse\nargparse.ArgumentParser().parse_args(['--nope'])", failed(2)),
        ("import threading\nthreading.Thread(target=sys.exit, args=(3,)).start()", COMPLETED),
        ("raise SystemExit(3)", failed(3)),
        ("class Owned:\n    def __del__(self):\n        print('freed')\nowned = Owned()", COMPLETED),
    ],
)
def test_the_end_is_reported_once_and_changes_nothing(tmp_path: Path, body: str, ending: dict[str, object]) -> None:
    _, reported = run_both(tmp_path, body)
    assert reported == [ending]


@pytest.mark.parametrize("call", ["{script}", "-m program", "-c {code}", "-i {script}"])
def test_every_way_of_starting(tmp_path: Path, call: str) -> None:
    if call == "-c {code}":
        code = WATCHED.format(reported=str(tmp_path / "reported.jsonl")) + "sys.exit(3)"
        done = subprocess.run([sys.executable, "-c", code], env=clean_environment(), check=False)
        assert done.returncode == 3
        reported = [json.loads(line) for line in (tmp_path / "reported.jsonl").read_text().splitlines()]
        assert reported == [failed(3)]
        return
    options = call.format(script=str(tmp_path / "program.py")).split()
    if call.startswith("-i"):
        _, reported = run_both(tmp_path, "print('then a shell reads an empty input')", *options)
        assert reported == [COMPLETED]
    else:
        _, reported = run_both(tmp_path, "sys.exit(3)", *options)
        assert reported == [failed(3)]


def test_an_exception_is_reported_with_its_last_lines_and_without_secrets(tmp_path: Path) -> None:
    done, reported = run_both(
        tmp_path, "def work(password):\n    raise ValueError('https://me:hunter2@example.org')\nwork('x')"
    )
    assert done.returncode == 1
    assert reported[0]["status"] == "failed" and reported[0]["exit_code"] == 1
    error = str(reported[0]["error"])
    assert error.splitlines()[-1] == "ValueError: https://me:***@example.org"
    assert "hunter2" not in error and "in work" in error


def test_an_exception_is_reported_whatever_prints_it(tmp_path: Path) -> None:
    _, reported = run_both(tmp_path, "sys.excepthook = lambda *error: print('mine')\n1 / 0")
    assert reported[0]["exit_code"] == 1
    assert "ZeroDivisionError" in str(reported[0]["error"])


def test_an_exception_after_a_caught_exit_is_a_failure(tmp_path: Path) -> None:
    _, reported = run_both(tmp_path, "try:\n    sys.exit(0)\nexcept SystemExit:\n    pass\n1 / 0")
    assert reported[0]["status"] == "failed"


@posix
def test_an_interrupt_is_a_failure(tmp_path: Path) -> None:
    done, reported = run_both(
        tmp_path, "import signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(90)"
    )
    assert done.returncode == -signal.SIGINT
    assert reported[0]["exit_code"] == 130 and "KeyboardInterrupt" in str(reported[0]["error"])


@posix
def test_an_interrupted_program_dies_of_it_whatever_the_report_runs(tmp_path: Path) -> None:
    code = """\
    from lamindb.environment import process_exit
    process_exit.watch(lambda ending: exec("1"))
    raise KeyboardInterrupt
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == -signal.SIGINT


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_end_the_process_as_they_would_have(tmp_path: Path, name: str) -> None:
    body = f"import signal, time\nsys.stdout.write('lost')\nos.kill(os.getpid(), signal.{name})\ntime.sleep(90)"
    number = getattr(signal, name)
    done, reported = run_both(tmp_path, body)
    assert done.returncode == -number
    assert reported == [failed(128 + number, f"stopped by signal {name}")]


@posix
def test_a_signal_while_the_last_threads_end_is_reported(tmp_path: Path) -> None:
    body = """\
    import signal, threading, time
    def work():
        threading.main_thread().join()
        # Python does not notice a signal that comes just before its main thread begins to wait for this one.
        for _ in range(900):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
    threading.Thread(target=work).start()
    """
    done, reported = run_both(tmp_path, body)
    assert done.returncode == -signal.SIGTERM
    assert reported == [failed(143, "stopped by signal SIGTERM")]


@posix
def test_a_handler_of_the_program_stays(tmp_path: Path) -> None:
    body = """\
    import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
    os.kill(os.getpid(), signal.SIGTERM)
    """
    _, reported = run_both(tmp_path, body)
    assert reported == [failed(9)]
    first = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    (tmp_path / "first.py").write_text(
        first + WATCHED.format(reported=os.devnull) + "print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)"
    )
    done = subprocess.run([sys.executable, "first.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@posix
def test_a_signal_ends_the_process_even_if_the_report_hangs(tmp_path: Path) -> None:
    code = """\
    import os, signal, threading
    from lamindb.environment import process_exit
    process_exit._SIGNAL_SECONDS = 0.2
    lock = threading.Lock()
    process_exit.watch(lambda ending: lock.acquire())
    with lock:
        os.kill(os.getpid(), signal.SIGTERM)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == -signal.SIGTERM


@posix
def test_forked_children_report_nothing_and_die_of_signals_at_once(tmp_path: Path) -> None:
    body = """\
    import signal, time, warnings
    for ending in ("exit", "signal", "error"):
        child = os.fork()
        if child == 0:
            if ending == "exit":
                sys.exit(3)
            if ending == "error":
                sys.stderr = open(os.devnull, "w")
                raise ValueError
            time.sleep(90)
            os._exit(7)
        if ending == "signal":
            os.kill(child, signal.SIGTERM)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    """
    done, reported = run_both(tmp_path, body)
    assert done.stdout == "3\n-15\n1\n"
    assert reported == [COMPLETED]


@posix
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize(
    ("work", "ending"),
    [
        ("pass", COMPLETED),
        ("sys.exit(3)", failed(3)),
        ("raise SystemExit(4)", failed(4)),
        ("sys.exit()", COMPLETED),
        ("1 / 0", failed(1, "ZeroDivisionError: division by zero")),
        ("try:\n        1 / 0\n    except ValueError: pass", failed(1, "ZeroDivisionError: division by zero")),
        ("import traceback\n    try:\n        1 / 0\n    except ArithmeticError: traceback.print_exc()", COMPLETED),
    ],
)
def test_workers_of_multiprocessing_report_their_own_end(
    tmp_path: Path, method: str, work: str, ending: dict[str, object]
) -> None:
    (tmp_path / "worker.py").write_text(
        f"import sys\ndef work():\n    exec(open('watched.py').read(), {{}})\n    {work}\n", encoding="utf-8"
    )
    (tmp_path / "watched.py").write_text(WATCHED.format(reported=str(tmp_path / "reported.jsonl")))
    (tmp_path / "program.py").write_text(
        "import multiprocessing, sys, worker\n"
        "if __name__ == '__main__':\n"
        f"    process = multiprocessing.get_context({method!r}).Process(target=worker.work)\n"
        "    process.start()\n"
        "    process.join()\n"
        "    sys.exit(process.exitcode)\n"
    )
    command = [sys.executable, "program.py"]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == ending["exit_code"], done.stderr
    (reported,) = [json.loads(line) for line in (tmp_path / "reported.jsonl").read_text().splitlines()]
    assert (reported["status"], reported["exit_code"]) == (ending["status"], ending["exit_code"])
    assert str(reported["error"]).splitlines()[-1] == str(ending["error"])


def test_what_cannot_be_seen_is_not_reported(tmp_path: Path) -> None:
    done, reported = run_both(tmp_path, "os._exit(3)")
    assert done.returncode == 3 and reported == []


def test_a_report_that_fails_leaves_the_exit_code(tmp_path: Path) -> None:
    code = "from lamindb.environment import process_exit\nprocess_exit.watch(lambda ending: 1 / 0)\nexit(3)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 3
    assert "the end of this run was not recorded: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cancelled_watch_reports_nothing_and_others_still_do(tmp_path: Path) -> None:
    _, reported = run_both(
        tmp_path, "if 'reported' in globals():\n    process_exit.watch(lambda e: 1 / 0).cancel()\n    one.cancel()"
    )
    assert reported == []
    _, reported = run_both(tmp_path, "if 'reported' in globals():\n    process_exit.watch(lambda e: 1 / 0).cancel()")
    assert reported == [COMPLETED]


def test_watches_in_this_process_can_be_cancelled() -> None:
    seen: list[Ending] = []
    one = watch(seen.append)
    one.cancel()
    one.cancel()
    one.report(Ending("completed", 0, None))
    assert seen == []
