"""The output of programs that are killed: on disk as it comes, bounded, private, without secrets, and stored later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context, processes
from lamindb.runs import liveness, log_file
from lamindb.runs.log_file import HEAD_BYTES, TAIL_BYTES, LogFile
from tests.cli.conftest import Cli
from tests.cli.conftest import cli as cli
from tests.support.processes import BIN_FOLDER, clean_environment, run_command
from tests.support.ways import stored

PRINTING = "import os, signal, sys\nprint('first words')\nprint('last words', file=sys.stderr)\n"
KILLED = f"{PRINTING}os.kill(os.getpid(), signal.SIGKILL)\n"


def written(path: Path, *texts: str) -> str:
    file = LogFile(path)
    for text in texts:
        file.add(text)
    file.before_fork()
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert path.stat().st_size <= HEAD_BYTES + TAIL_BYTES + 24
    found = log_file.read(path)
    file.remove()
    assert not path.exists()
    return found or ""


def test_it_holds_the_beginning_and_the_end(tmp_path: Path) -> None:
    assert written(tmp_path / "a", "one\n", "two\n") == "one\ntwo\n"
    lines = [f"line {number:07}\n" for number in range(20_000)]
    for texts in (lines, ["".join(lines)], ["".join(lines[:7_000]), "".join(lines[7_000:])]):
        text = written(tmp_path / "b", *texts)
        assert text.endswith("".join(lines[-4_000:]))
        assert "bytes are not kept here]" in text or len(texts) == 1
    middle = lines[: (HEAD_BYTES + TAIL_BYTES // 2) // len(lines[0])]
    assert written(tmp_path / "c", *middle) == "".join(middle)


@pytest.mark.parametrize(
    "parts",
    [
        ["password=", "hunter2-Xy12Zq98\n"],
        ["pass", "word: hunter2-", "Xy12Zq98", "\n"],
        ["-----BEGIN RSA PRIVATE KEY-----\n", "hunter2Xy12Zq98\n", "-----END RSA PRIVATE KEY-----\n"],
    ],
)
def test_a_secret_across_writes_is_never_on_disk(tmp_path: Path, parts: list[str]) -> None:
    file = LogFile(tmp_path / "log")
    for part in ["before\n", *parts, "after\n"]:
        file.add(part)
        assert b"hunter2" not in (tmp_path / "log").read_bytes()
    found = log_file.read(tmp_path / "log")
    assert found is not None and found.startswith("before\n") and found.endswith("after\n") and "***" in found
    file.remove()


@pytest.mark.parametrize("content", [b"", b"x" * 30, b"9" * 23 + b"\n", b"-1".rjust(23) + b"\nabc"])
def test_a_file_that_another_program_wrote_is_no_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log").write_bytes(content)
    assert isinstance(log_file.read(tmp_path / "log"), str)


def logs() -> list[Path]:
    folder = log_file.folder_of(context.instance().id)
    assert folder is not None
    return list(folder.glob("*")) if folder.is_dir() else []


def test_the_log_of_a_killed_script_is_stored(instance: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import lamindb as ln\nln.track()\n{KILLED}")
    done = run_command(sys.executable, script, check=False)
    assert done.returncode == -signal.SIGKILL
    run = ln.Run.select().one()
    assert len(logs()) == 1
    assert run.status == "aborted"
    assert stored(run.log_digest).endswith("first words\nlast words\n")
    assert not logs()
    assert run.finished_at is not None and run.started_at is not None and run.finished_at > run.started_at


def test_the_log_of_a_killed_command_is_stored(instance: Path) -> None:
    folder = log_file.folder_of(context.instance().id)
    code = f"""{PRINTING}
import pathlib, time
while not any(b"last words" in path.read_bytes() for path in pathlib.Path({str(folder)!r}).glob("*")):
    time.sleep(0.02)
os.kill(os.getppid(), signal.SIGKILL)
"""
    command = [BIN_FOLDER / "lamin", "run", "--", sys.executable, "-u", "-c", code]
    assert subprocess.run(command, env=clean_environment(), capture_output=True, check=False).returncode == -9
    run = ln.Run.select().one()
    assert run.status == "aborted"
    assert stored(run.log_digest) == "first words\nlast words\n"


def test_a_run_that_ends_leaves_no_file(instance: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import lamindb as ln\nln.track()\n{PRINTING}")
    run_command(sys.executable, script)
    run_command(BIN_FOLDER / "lamin", "run", "--", "echo", "hi")
    assert not logs()
    assert [run.status for run in ln.Run.select()] == ["completed"] * 2


def test_what_another_machine_found_dead_is_taken_in_here(instance: Path, cli: Cli) -> None:
    transform = ln.Transform(name="p", type="pipeline").save()
    dead = {"host": processes.host(), "boot_id": processes.this_process().boot_id, "pid": 2**22 - 3, "started": "1"}
    run = ln.Run(transform=transform).save()
    values = {"status": "aborted", "host": processes.host(), "process": {**dead, "namespace": ""}}
    ln.Run.objects.filter(id=run.id).update_rows(values)
    file = log_file.open_for(context.instance().id, run.id)
    assert file is not None
    file.add("last words\n")
    file.leave()
    liveness.notice_dead_runs(context.instance())
    assert stored(ln.Run.select().one().log_digest) == "last words\n"
    assert not logs()
    ln.Run.objects.filter(id=run.id).update_rows({"host": "elsewhere", "log_digest": None})
    assert "its output may lie on elsewhere" in cli("log", run.id).err
