"""A run that cannot be recorded when it begins does not stop the program, and is recorded when the database is back."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.cli import main
from lamindb.core import context
from lamindb.db import database
from lamindb.environment import run_program
from lamindb.errors import DatabaseError, InvalidInputError, NoResultFound
from lamindb.runs import journal, liveness
from lamindb.runs.commands import declared
from lamindb.runs.commands.command import run_command
from lamindb.runs.commands.shell import begin_shell, end_shell
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


def unsaved_of(run: ln.Run) -> list[str]:
    found: list[str] = (run.capture or {}).get("unsaved", [])
    return found


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no lock at all."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0)


def test_outputs_of_a_command_that_wait_are_no_failure(local_instance: Path, hurried: None, cli: Cli) -> None:
    code = "echo 1 > out.txt; mkdir made; echo 2 > made/a.txt"
    with locked(local_instance):
        done = cli("run", "--out", "out.txt", "--out", "made", "--", "sh", "-c", code)
        assert "not saved so far: out.txt, made;" in done.err
        changed = run_command(["sh", "-c", "echo 3 > changed.txt"], outputs=["changed.txt"])
        assert (changed.exit_code, changed.run_id, changed.problems, changed.waiting) == (0, "", (), ("changed.txt",))
    Path("changed.txt").write_text("4\n")
    ln.connect(local_instance)
    first, second = ln.Run.select().order_by("started_at")
    assert (first.status, sorted(file.key for file in first.outputs)) == ("completed", ["made", "out.txt"])
    assert not (first.capture or {}).get("unsaved")
    assert (second.status, list(second.outputs)) == ("completed", [])
    assert (second.capture or {})["unsaved"] == ["changed.txt: it changed before it could be saved"]


def test_outputs_that_cannot_wait_either_are_a_failure(
    local_instance: Path, hurried: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(journal, "MOST_FILES", 1)
    with locked(local_instance):
        assert main(["run", "--out", "*.txt", "--", "touch", "a.txt", "b.txt"]) == 4
        told = capsys.readouterr().err
        assert "not saved: b.txt: " in told and "not saved so far: a.txt;" in told
        monkeypatch.setattr(journal, "add", lambda *_: False)
        lost = run_command(["touch", "c.txt"], outputs=["c.txt"])
    assert (lost.exit_code, lost.waiting) == (0, ())
    assert lost.problems[0].startswith("c.txt: ") and "locked" in lost.problems[0]
    ln.connect(local_instance)
    run = ln.Run.select().one()
    assert [file.key for file in run.outputs] == ["a.txt"]
    assert "b.txt: " in (run.capture or {})["unsaved"][0]


@pytest.mark.parametrize("strict", [False, True])
def test_outputs_wait_where_the_database_fails_after_the_command(
    local_instance: Path, hurried: None, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    launch, locks = run_program.launch, ExitStack()

    def launch_and_lock(*args: Any, **options: Any) -> run_program.Launched:
        done = launch(*args, **options)
        locks.enter_context(locked(local_instance))
        return done

    monkeypatch.setattr(run_program, "launch", launch_and_lock)
    with locks:
        done = run_command(["touch", "out.txt"], outputs=["out.txt"], strict=strict)
    assert (done.exit_code, done.waiting, len(done.problems)) == (0, ("out.txt",), int(strict))
    assert ln.Run.select(id=done.run_id).one().status == "running"
    ln.connect(local_instance)
    run = ln.Run.select(id=done.run_id).one()
    assert (run.status, run.exit_code, [file.key for file in run.outputs]) == ("completed", 0, ["out.txt"])
    assert not (run.capture or {}).get("unsaved")


def test_a_command_runs_where_the_database_fails_once_it_has_begun(
    local_instance: Path, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks, link_inputs = ExitStack(), declared.link_inputs

    def link_and_lock(*args: Any) -> None:
        link_inputs(*args)
        locks.enter_context(locked(local_instance))

    monkeypatch.setattr(declared, "link_inputs", link_and_lock)
    with locks:
        done = run_command(["touch", "a.txt"], outputs=["*.txt"])
    assert (done.exit_code, done.waiting) == (0, ("a.txt",))
    ln.connect(local_instance)
    run = ln.Run.select().one()
    assert (run.status, [file.key for file in run.outputs]) == ("completed", ["a.txt"])


def test_outputs_that_wait_are_told_from_those_of_others(
    local_instance: Path, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = run_program.launch
    Path("out").mkdir()

    def launch_beside_another(*args: Any, **options: Any) -> run_program.Launched:
        done = launch(*args, **options)
        monkeypatch.setattr(run_program, "launch", launch)
        run_command(["touch", "out/theirs.txt", "exact.txt"], outputs=["out/*.txt", "ex*.txt"])
        return done

    monkeypatch.setattr(run_program, "launch", launch_beside_another)
    with locked(local_instance):
        first = run_command(["touch", "exact.txt"], outputs=["exact.txt", "out/*.txt"])
        later = run_command(["touch", "out/later.txt"], outputs=["out/*.txt"])
    assert (first.waiting, later.waiting) == (("exact.txt", "out/theirs.txt"), ("out/later.txt",))
    ln.connect(local_instance)
    runs = ln.Run.select().order_by("started_at")
    assert [[file.key for file in run.outputs] for run in runs] == [["exact.txt"], [], ["out/later.txt"]]
    told = [[reason.partition(": another run worked here")[0] for reason in unsaved_of(run)] for run in runs]
    assert told == [["out/theirs.txt"], ["out/theirs.txt", "exact.txt"], []]


def test_a_transform_is_named_as_when_it_is_recorded_at_once(local_instance: Path, hurried: None) -> None:
    known = ln.Transform(name="known", type="pipeline").save()
    with locked(local_instance):
        run_command(["true"], transform="known")
        begin_shell("known")
        with pytest.raises(InvalidInputError, match="a name"):
            run_command(["touch", "never"], transform=" ")
    assert not Path("never").exists()
    ln.connect(local_instance)
    assert [run.transform for run in ln.Run.select()] == [known, known]


def test_the_run_of_a_shell_script_waits_with_what_it_starts(
    local_instance: Path, hurried: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.txt").write_text("1")
    with locked(local_instance):
        run_id = begin_shell("nightly", params={"day": 3})
        assert capsys.readouterr().err.count("could not be recorded so far") == 1
        monkeypatch.setattr(context, "handed_down", lambda: (run_id, None))
        run_command(["true"])
    saved = BIN_FOLDER / "lamin", "save", "a.txt", "--key", "a.txt"
    subprocess.run(saved, env=clean_environment(LAMIN_RUN_ID=run_id), check=True)
    run = ln.Run.select(id=run_id).one()
    assert (run.status, run.params, run.transform.name) == ("running", {"day": 3}, "nightly")
    assert [file.key for file in run.outputs] == ["a.txt"]
    assert ln.Run.select(parent=run).one().status == "completed"
    with locked(local_instance):
        end_shell(run_id, "failed", exit_code=3)
    assert "the end of run" in capsys.readouterr().err
    assert run.status == "running"
    ln.connect(local_instance)
    run = ln.Run.select(id=run_id).one()
    assert (run.status, run.exit_code) == ("failed", 3)
    assert run.finished_at is not None and run.started_at is not None and run.finished_at > run.started_at


def test_a_shell_script_may_begin_and_end_before_it_is_recorded(
    local_instance: Path, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = context.instance()
    with locked(local_instance):
        run_id = begin_shell("nightly")
    with monkeypatch.context() as patch:
        # The database is back, and another process that records what waits is not done yet.
        patch.setattr(journal, "take_in", lambda _: None)
        end_shell(run_id, exit_code=0)
    assert not ln.Run.select().exists()
    assert len(journal.waiting(instance.id)) == 1
    ln.connect(local_instance)
    assert ln.Run.select().one().status == "completed"
    with pytest.raises(NoResultFound):
        end_shell("../../" + run_id)


def test_who_wants_gets_the_error_in_a_shell_script_too(local_instance: Path, hurried: None, cli: Cli) -> None:
    ln.settings.tracking_failure = "error"
    with locked(local_instance):
        assert "locked" in cli("track", "--transform", "x", code=4).err
    assert not journal.waiting(context.instance().id)


def test_a_file_is_saved_in_a_step_of_a_run_that_was_not_recorded(local_instance: Path) -> None:
    @ln.step
    def work() -> ln.File:
        unlock()
        return ln.File(b"1", key="1.txt").save()

    with ExitStack() as locks:
        locks.enter_context(locked(local_instance))
        unlock = locks.close
        run = ln.track(ln.Transform(name="p", type="pipeline"))
        file = work()
    ln.finish()
    assert file.run is not None and file.run.transform.name.endswith("work")
    assert ln.Run.select(id=file.run.id).one().parent == run


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
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.3)
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
