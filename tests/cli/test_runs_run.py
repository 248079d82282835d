"""`lamin run`, `track` and `finish`, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lamindb.cli.runs import _params
from lamindb.errors import InvalidInputError
from tests.cli.conftest import Cli
from tests.support.processes import clean_environment, lamin

PYTHON = sys.executable


@pytest.fixture
def project(local_instance: Path) -> Path:
    return local_instance.parent


def _runs(project: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(lamin("runs", "--json", cwd=project).stdout)
    return found


def test_a_program_runs_as_without_us(project: Path) -> None:
    code = "import sys; print('to out'); print('to err', file=sys.stderr); sys.exit(7)"
    done = lamin("run", "--", PYTHON, "-c", code, cwd=project, check=False)
    assert (done.returncode, done.stdout) == (7, "to out\n")
    assert "to err" in done.stderr.splitlines()
    (run,) = _runs(project)
    assert (run["status"], run["exit_code"], run["transform_type"]) == ("failed", 7, "command")


def test_options_after_the_program_are_its_own(project: Path) -> None:
    done = lamin("run", PYTHON, "-c", "import sys; print(sys.argv[1:])", "--json", "--help", "-n", cwd=project)
    assert done.stdout == "['--json', '--help', '-n']\n"


def test_inputs_outputs_and_parameters_are_recorded(project: Path, cli: Cli) -> None:
    (project / "reads.txt").write_text("ACGT")
    arguments = ["--transform", "count", "--in", "reads.txt", "--out", "out/*.csv", "--param", "lr=0.1"]
    lamin("run", *arguments, "--", "sh", "-c", "mkdir out && wc -c < reads.txt > out/n.csv", cwd=project)
    (run,) = _runs(project)
    assert (run["transform"], run["status"], run["params"]) == ("count", "completed", {"lr": 0.1})
    (made,) = cli("ls", "--run", str(run["id"]), "--json").json
    assert made["key"] == "out/n.csv"
    up = cli("lineage", "out/n.csv", "--up").out
    assert "reads.txt" in up and "count" in up


def test_lamin_inside_belongs_to_the_run(project: Path, cli: Cli) -> None:
    (project / "old.txt").write_text("old")
    cli("save", "old.txt")
    script = "lamin get old.txt -o got.txt && echo new > new.txt && lamin save new.txt"
    lamin("run", "--transform", "steps", "--", "sh", "-c", script, cwd=project)
    (run,) = _runs(project)
    assert [one["key"] for one in cli("ls", "--run", str(run["id"]), "--json").json] == ["new.txt"]
    assert "old.txt" in cli("lineage", "new.txt", "--up").out


def test_a_program_that_is_not_there_is_told(project: Path) -> None:
    done = lamin("run", "--", "no-such-program-here", cwd=project, check=False)
    assert done.returncode != 0
    assert "no-such-program-here" in done.stderr and "Traceback" not in done.stderr


def test_a_shell_script_is_one_run(project: Path, cli: Cli) -> None:
    (project / "old.txt").write_text("old")
    cli("save", "old.txt")
    script = project / "nightly.sh"
    script.write_text(
        "set -e\n"
        "export LAMIN_RUN_ID=$(lamin track --transform nightly --param day=3)\n"
        "trap 'lamin finish --exit-code $?' EXIT\n"
        "lamin cat old.txt > copy.txt\n"
        "lamin save copy.txt --key nightly/copy.txt\n"
        "exit ${1:-0}\n"
    )
    for code, status in ((0, "completed"), (3, "failed")):
        done = subprocess.run(
            ["bash", script, str(code)],
            cwd=project,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == code, done.stderr
        run = _runs(project)[0]
        assert (run["transform"], run["status"], run["params"]) == ("nightly", status, {"day": 3})
    assert "old.txt" in cli("lineage", "nightly/copy.txt", "--up").out


def test_a_shell_that_dies_leaves_an_aborted_run(project: Path) -> None:
    script = "lamin track --transform dies; kill -9 $$"
    subprocess.run(["bash", "-c", script], cwd=project, env=clean_environment(), capture_output=True, timeout=100)
    (run,) = _runs(project)
    assert (run["transform"], run["status"]) == ("dies", "aborted")


def test_track_and_finish_with_nothing_to_do_exit_0(cli: Cli, project: Path) -> None:
    assert "nothing to track" in cli("track").err
    cli("track", "notebook.ipynb")
    assert "no run to finish" in cli("finish").err
    cli("finish", "zzzzzzzzzzzzzzzzzzzz", code=3)


def test_parameters_are_json_or_text() -> None:
    assert _params(("a=1", "b=x=y", "c=[1, 2]", "d=true", "e=", "f=NaN")) == {
        "a": 1,
        "b": "x=y",
        "c": [1, 2],
        "d": True,
        "e": "",
        "f": "NaN",
    }
    assert _params(()) is None
    with pytest.raises(InvalidInputError):
        _params(("novalue",))


def test_nothing_to_run_is_an_error(cli: Cli, project: Path) -> None:
    cli("run", code=2)
    cli("run", "--", code=2)
