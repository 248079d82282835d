"""What a command printed and made is there afterwards, or the reason why not is told, shown and in the exit code."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.runs.commands.command import run_command
from tests.runs.commands.test_command import LAMIN, keys, newest, sh
from tests.support.processes import clean_environment, lamin


def with_full_output(*argv: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command whose output goes to a full disk, or to a file of a limited size."""
    target = Path("/dev/full") if limit is None else Path("limited.txt")
    words = [str(LAMIN), "run", "--", *argv]
    if limit is not None:
        words = ["sh", "-c", f'ulimit -f {limit}; trap "" XFSZ; exec "$@"', "x", *words]
    with target.open("w") as stream:
        return subprocess.run(
            words, env=clean_environment(), stdout=stream, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written_is_told(local_instance: Path) -> None:
    done = with_full_output("echo", "hi")
    assert (done.returncode, done.stderr) == (
        4,
        "lamin: the output of echo could not be written: No space left on device\n",
    )
    run = newest()
    assert (run.status, run.exit_code) == ("completed", 0)
    assert "No space left on device" in str(run.error)
    failing = with_full_output("sh", "-c", "echo hi; exit 7")
    assert failing.returncode == 7
    assert "No space left on device" in failing.stderr


def test_a_limit_of_file_sizes_is_told(local_instance: Path) -> None:
    done = with_full_output("sh", "-c", "trap '' PIPE; head -c 9000000 /dev/zero; exit 0", limit=8000)
    assert done.returncode == 4
    assert "could not be written: File too large" in done.stderr


def test_a_reader_that_left_is_no_failure(local_instance: Path) -> None:
    command = f"{LAMIN} run -- sh -c 'trap \"\" PIPE; sleep 1; echo hi; exit 0' | true"
    done = subprocess.run(["sh", "-c", command], env=clean_environment(), capture_output=True, text=True, check=True)
    assert "could not be written" not in done.stderr
    assert newest().error is None


BAD_NAMES = ["A:1.dat", "back\\slash.dat", "new\nline.dat", os.fsdecode(b"caf\xe9.dat")]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_one_output_that_cannot_be_saved_costs_no_other(instance: Path, name: str) -> None:
    done = run_command(["touch", "good1.dat", "good2.dat", name], outputs=["*.dat"])
    good = {"good1.dat", "good2.dat"}
    if done.problems:
        assert set(done.outputs) == good
        (problem,) = done.problems
        assert newest().capture == {**(newest().capture or {}), "unsaved": [problem]}
    else:
        assert set(done.outputs) > good
    assert (done.exit_code, done.status) == (0, "completed")


def test_what_is_in_the_way_in_the_view_costs_no_other(instance: Path, tmp_path: Path) -> None:
    (instance / "good1.dat").write_text("not saved")
    done = sh("echo 1 > good1.dat; echo 2 > good2.dat", outputs=["*.dat"])
    assert done.outputs == ("good2.dat",)
    assert done.problems[0].startswith("good1.dat: ")
    assert keys(newest().outputs) == ["good2.dat"]


def test_the_exit_code_and_the_page_tell_what_was_not_saved(local_instance: Path) -> None:
    done = lamin("run", "--out", "*.dat", "--", "touch", "good.dat", "back\\slash.dat", check=False)
    assert done.returncode == 4
    assert "not saved: back\\slash.dat: " in done.stderr
    assert "back\\slash.dat: " in lamin("show", newest().id).stdout
    assert lamin("run", "--out", "*.txt", "--", "sh", "-c", "exit 5", check=False).returncode == 5


def test_a_member_of_a_stored_folder_is_an_input(instance: Path) -> None:
    Path("o").mkdir()
    Path("o/x.txt").write_text("x")
    folder = ln.File("o", key="o").save()
    for given in (str(instance / "o/x.txt"), "o/x.txt"):
        if given == "o/x.txt":
            Path("o/x.txt").unlink()
        sh("exit 0", inputs=[given])
        assert list(newest().inputs) == [folder], given
