"""`lamin runs`, `show` and `log`."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from tests.cli.conftest import Cli
from tests.support.processes import run_script

RUN_KEYS = {
    "id", "name", "transform", "transform_id", "transform_type", "transform_version", "revision", "status",
    "exit_code", "started_at", "finished_at", "created_by", "created_at", "parent", "params",
}  # fmt: skip


@pytest.fixture
def project(local_instance: Path) -> Path:
    """Make a run that completed, one that failed, and one that was made by hand."""
    with ln.track(ln.Transform(name="good", type="pipeline"), params={"lr": 0.1}):
        ln.File(b"made", key="made.txt").save()
    with pytest.raises(ZeroDivisionError), ln.track(ln.Transform(name="bad", type="pipeline")):
        _ = 1 / 0
    ln.Run(transform=ln.Transform(name="by hand", type="pipeline").save()).save()
    return local_instance.parent


def test_runs_are_listed_the_latest_first(cli: Cli, project: Path) -> None:
    found = cli("runs", "--json").json
    assert [(one["transform"], one["status"]) for one in found] == [
        ("by hand", None),
        ("bad", "failed"),
        ("good", "completed"),
    ]
    assert all(set(one) == RUN_KEYS for one in found)
    assert found[2]["params"] == {"lr": 0.1}
    assert "by hand" in cli("runs").out and "failed" in cli("runs").out


def test_filters(cli: Cli, project: Path) -> None:
    def names(*options: str) -> list[str]:
        return [one["transform"] for one in cli("runs", *options, "--json").json]

    assert names("--failed") == ["bad"]
    assert names("--status", "completed") == ["good"]
    assert names("--transform", "by hand") == ["by hand"]
    assert names("-n", "1") == ["by hand"]
    assert names("--since", "1h") == ["by hand", "bad", "good"]
    assert names("--since", "2999-01-01") == []
    assert "there is no user 'nobody'" in cli("runs", "--user", "nobody", code=3).err
    parent = ln.Run.objects.get_queryset().filter(transform__name="good").one()
    ln.Run(transform=ln.Transform(name="step", type="function").save(), parent=parent).save()
    assert names("--parent", parent.id) == ["step"]
    assert "no matching runs" in cli("runs", "--status", "aborted").err


def test_a_run_whose_process_was_killed_is_found_aborted(cli: Cli, project: Path) -> None:
    code = "import os, signal; import lamindb as ln; ln.track(); os.kill(os.getpid(), signal.SIGKILL)"
    run_script(project / "killed.py", code, check=False)
    (found,) = cli("runs", "--status", "aborted", "--json").json
    assert found["transform"] == "killed"
    assert found["id"] in [one["id"] for one in cli("runs", "--failed", "--json").json]


def test_show_tells_everything(cli: Cli, project: Path) -> None:
    (good,) = cli("runs", "--transform", "good", "--json").json
    shown = cli("show", good["id"][:14]).out
    assert good["id"] in shown and "made.txt" in shown and "lr" in shown
    assert cli("show", good["id"], "--json").json["id"] == good["id"]
    cli("show", "zzzzzzzzzz", code=3)
    cli("show", "ab", code=3)


def test_log_prints_what_was_printed(cli: Cli, project: Path) -> None:
    code = "import sys; import lamindb as ln; ln.track(); print('said so'); sys.exit(3)"
    run_script(project / "talks.py", code, check=False)
    (run,) = cli("runs", "--transform", "talks.py", "--json").json
    assert (run["status"], run["exit_code"]) == ("failed", 3)
    assert "said so" in cli("log", run["id"]).out
    (bad,) = cli("runs", "--transform", "bad", "--json").json
    done = cli("log", bad["id"])
    assert "has no log" in done.err or done.out == ""
    assert "ZeroDivisionError" in done.err
