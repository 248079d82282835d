"""The process of a command: one line for an error, exit codes, closed streams, how it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lamindb as ln
from lamindb import errors
from lamindb.cli import application, main, process
from tests.cli.conftest import Cli
from tests.support.processes import BIN_FOLDER, clean_environment, lamin, run_command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInputError("A\nb \x1b[31m c"), 2),
        (errors.NoResultFound("a"), 3),
        (errors.StorageError("a"), 4),
        (errors.DatabaseError("a"), 4),
        (errors.IntegrityError("a"), 5),
        (errors.ReferencedError("a"), 6),
        (errors.MultipleResultsFound("a"), 6),
        (PermissionError(13, "Permission denied", "/there"), 4),
        (ZeroDivisionError("division by zero"), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(process, "_silence_stdout", lambda: None)
    monkeypatch.setattr(application.lamin, "invoke", fail)
    assert main(["info"]) == code
    written = capsys.readouterr().err
    assert "Traceback" not in written and "\x1b" not in written
    assert written.count("\n") == (0 if code in {130, 141} else 1)


def test_a_traceback_is_shown_where_it_is_asked_for(tmp_path: Path) -> None:
    quiet = lamin("info", cwd=tmp_path, check=False)
    loud = lamin("info", cwd=tmp_path, check=False, env=clean_environment(LAMIN_DEBUG="1"))
    assert (quiet.returncode, "Traceback" in quiet.stderr) == (3, False)
    assert "Traceback" in loud.stderr and loud.returncode == 3


def test_the_module_is_the_command(tmp_path: Path) -> None:
    done = run_command(sys.executable, "-m", "lamindb", "ls", cwd=tmp_path, check=False)
    assert done.returncode == 3 and done.stderr.startswith("lamin: no instance")


def test_a_closed_pipe_is_quiet(local_instance: Path, cli: Cli) -> None:
    (local_instance.parent / "big.txt").write_bytes(b"0123456789abcdef\n" * 200_000)
    cli("save", "big.txt")
    script = f"set -o pipefail; '{BIN_FOLDER / 'lamin'}' cat big.txt | head -c 10"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=local_instance.parent,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, "0123456789", "")


def test_an_interrupt_exits_130(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, time\n"
        "from lamindb.cli import main\n"
        "def wait(*args, **kwargs):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(600)\n"
        "from lamindb.instance import user\n"
        "user.login = wait\n"
        "sys.exit(main(['login', 'ada']))\n"
    )
    started = subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(), text=True
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "Traceback" not in err


def test_an_old_terminal_gets_escapes_rather_than_an_error(local_instance: Path, cli: Cli) -> None:
    (local_instance.parent / "naïve-日本.txt").write_text("x")
    cli("save", "naïve-日本.txt")
    env = clean_environment(PYTHONUTF8="0", PYTHONIOENCODING="ascii", LC_ALL="C")
    done = lamin("ls", cwd=local_instance.parent, env=env)
    assert "na\\xefve-\\u65e5\\u672c.txt" in done.stdout


def test_nothing_is_asked_even_where_input_is_offered(tmp_path: Path) -> None:
    done = run_command(BIN_FOLDER / "lamin", "delete", "unknown", cwd=tmp_path, stdin="y\ny\n")
    assert done.returncode == 0 and "nothing was deleted" in done.stderr


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("ls >&-", 4, "standard output is closed"),
        ("ls --json >&-", 4, "standard output is closed"),
        ("ls >/dev/null 2>&-", 0, ""),
        ("ls <&- >/dev/null", 0, ""),
        ("ls <&- >&- 2>&-", 4, ""),
        ("run -- sh -c 'exit 7' >&-", 7, ""),
        ("run -- sh -c 'exit 7' >&- 2>&-", 7, ""),
        ("run -- sh -c 'exit 7' <&- >&- 2>&-", 7, ""),
        ("run -- sh -c 'echo hi' >&-", 4, "could not be written"),
    ],
)
def test_closed_standard_streams_change_no_exit_code(local_instance: Path, line: str, code: int, says: str) -> None:
    ln.File(b"x", key="x.txt").save()
    done = run_command("sh", "-c", f"{BIN_FOLDER / 'lamin'} {line}", cwd=local_instance.parent, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr and (says or not done.stderr)
    assert "unexpected" not in done.stderr
    assert ln.File.select().one().load() == "x"


def test_a_working_folder_that_was_removed_stops_no_command(
    local_instance: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    ln.File(b"x", key="x.txt").save()
    monkeypatch.setenv("LAMIN_INSTANCE", str(local_instance))
    Path("gone").mkdir()
    monkeypatch.chdir("gone")
    Path("../gone").rmdir()
    assert cli("cat", "x.txt").out == "x"
    cli("run", "--in", "x.txt", "--", "true")
    for command in ("ls", "describe x.txt", "stale --code", "status", "verify", "history", "runs", "rm x.txt"):
        cli(*command.split())
    assert "there is no file" in cli("save", "y.txt", code=3).err
