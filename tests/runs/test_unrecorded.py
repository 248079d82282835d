"""A run that cannot be recorded when it begins does not stop the program, and is recorded when the database is back."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import DatabaseError, InvalidInputError
from lamindb.runs import journal, liveness
from lamindb.runs.commands.command import run_command
from tests.cli.conftest import Cli
from tests.cli.conftest import cli as cli
from tests.support.processes import BIN_FOLDER, clean_environment
from tests.support.ways import stored


@contextmanager
def locked(instance: Path) -> Iterator[None]:
    """Hold the write lock of the database, as another program's long transaction does."""
    other = sqlite3.connect(instance / ".lamindb/db.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PATIENCE_SECONDS", 0.05)


def test_a_locked_database_is_one_warning(local_instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ln.Transform(name="known", type="pipeline").save()
    capsys.readouterr()
    with locked(local_instance):
        run = ln.track(ln.Transform(name="known", type="pipeline"), params={"a": 1})
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and "could not be recorded so far" in told[0] and "locked" in told[0]
    assert not ln.Run.select().exists()
    file = ln.File(b"1", key="a.txt").save()
    assert file.run == run
    ln.finish()
    row = ln.Run.select().one()
    assert (row.id, row.status, row.params, row.transform.name) == (run.id, "completed", {"a": 1}, "known")
    assert list(row.outputs) == [file]
    assert ln.Transform.select().count() == 1


def test_without_a_file_it_is_recorded_at_its_end(local_instance: Path) -> None:
    with locked(local_instance):
        run = ln.track(ln.Transform(name="p", type="pipeline"))
    with pytest.raises(ZeroDivisionError), run:
        _ = 1 / 0
    row = ln.Run.select().one()
    assert (row.id, row.status) == (run.id, "failed")
    assert row.started_at == run.started_at and "ZeroDivisionError" in str(row.error)


def test_who_wants_gets_the_error(local_instance: Path) -> None:
    ln.settings.tracking_failure = "error"
    with locked(local_instance), pytest.raises(DatabaseError, match="locked"):
        ln.track(ln.Transform(name="p", type="pipeline"))
    assert ln.context.run is None
    with pytest.raises(InvalidInputError):
        ln.settings.tracking_failure = "never"


def test_saving_still_fails_while_it_is_locked(local_instance: Path) -> None:
    ln.File(b"0", key="before.txt").save()
    with locked(local_instance):
        ln.track(ln.Transform(name="p", type="pipeline"))
        assert ln.File.select().count() == 1
    assert os.path.exists(local_instance / "before.txt")


def test_a_command_runs_and_is_recorded_afterwards(local_instance: Path) -> None:
    code = "echo hi > out.txt; python3 -c 'import time; time.sleep(2)'; exit 0"
    with locked(local_instance):
        command = [BIN_FOLDER / "lamin", "run", "--param", "a=1", "--out", "out.txt", "--", "sh", "-c", code]
        patience = "import lamindb.runs.liveness as l; l.PATIENCE_SECONDS = 0.1"
        main = f"import sys; {patience}; from lamindb.cli import main; sys.exit(main(sys.argv[1:]))"
        process = subprocess.Popen(
            [sys.executable, "-c", main, *map(str, command[1:])],
            env=clean_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        while not Path("out.txt").exists():
            time.sleep(0.05)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert told.count("could not be recorded so far") == 1
    run = ln.Run.select().one()
    assert (run.status, run.exit_code, run.params) == ("completed", 0, {"a": 1})
    assert [file.key for file in run.outputs] == ["out.txt"]
    assert run.started_at is not None and run.finished_at is not None
    assert (run.finished_at - run.started_at).total_seconds() >= 1


def test_strict_commands_do_not_run(local_instance: Path) -> None:
    with locked(local_instance), pytest.raises(DatabaseError, match="locked"):
        run_command(["touch", "out.txt"], strict=True)
    assert not Path("out.txt").exists()


def test_a_command_whose_outputs_cannot_be_saved_says_so(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0)
    with locked(local_instance):
        done = run_command(["touch", "out.txt"], outputs=["out.txt"])
    assert Path("out.txt").exists()
    assert (done.exit_code, done.run_id) == (0, "")
    assert "locked" in done.problems[0]


def test_a_step_and_a_flow_return_all_the_same(local_instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    @ln.step
    def work(x: int) -> int:
        return x + 1

    @ln.flow
    def whole() -> int:
        return 7

    ln.Transform(name="any", type="pipeline").save()
    with locked(local_instance):
        assert [work(1), work(2)] == [2, 3]
    assert capsys.readouterr().err.count("calls of test_a_step") == 1
    assert (whole(), work(3)) == (7, 4)
    assert ln.Run.select(status="completed").count() == 4
    assert sorted(run.params["x"] for run in ln.Run.select(transform__name__endswith="work")) == [1, 2, 3]
    assert not journal.waiting(context.instance().id)


def test_a_step_inside_of_a_run_that_was_not_recorded(local_instance: Path) -> None:
    @ln.step
    def work(x: int) -> int:
        return x + 1

    file = ln.File(b"0", key="in.txt").save()
    with locked(local_instance):
        run = ln.track(ln.Transform(name="p", type="pipeline"))
    assert ln.context.run is run
    file.stage(is_run_input=True)
    assert list(run.inputs) == [file]
    assert work(1) == 2
    ln.finish()
    assert ln.Run.select(parent=run).one().transform.name.endswith("work")


def test_what_cannot_be_recorded_at_the_end_waits(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    instance = context.instance()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0)
    began = ln.track(ln.Transform(name="p", type="pipeline"))
    with locked(local_instance):
        print("last words")
        ln.finish()
        unrecorded = ln.track(ln.Transform(name="q", type="pipeline"), params={"a": 1, "password": "hunter2-Xy12Zq98"})
        ln.finish()
    entries = journal.waiting(instance.id)
    assert [path.stem for path in entries] == [began.id, unrecorded.id]
    for path in entries:
        assert path.stat().st_mode & 0o777 == 0o600
        assert "hunter2-" + "Xy12Zq98" not in path.read_text()
    assert "wait to be recorded: 2" in cli("info").err
    ln.connect(local_instance)
    assert not journal.waiting(context.instance().id)
    first, second = (ln.Run.select(id=run.id).one() for run in (began, unrecorded))
    assert (first.status, second.status, second.transform.name) == ("completed", "completed", "q")
    assert second.params == {"a": 1, "password": "***"}
    assert second.started_at == unrecorded.started_at
    assert stored(first.log_digest).endswith("last words\n")


def test_an_entry_that_can_never_be_written_stays(local_instance: Path, cli: Cli) -> None:
    folder = journal.folder_of(context.instance().id)
    assert folder is not None
    folder.mkdir(parents=True)
    (folder / "bad.json").write_text('{"run": 1}')
    journal.take_in(context.instance())
    told = cli("info").err
    assert "can never be recorded: 1" in told and "wait to be" not in told
    (kept,) = journal.set_apart(context.instance().id)
    assert kept.read_text() == '{"run": 1}'
    assert "AttributeError" in kept.with_suffix(".txt").read_text()
