"""The current run: how it begins, goes on, and ends; in this process, on both databases."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import ConflictError, InvalidInputError, InvalidTypeError, ReadOnlyError
from lamindb.models.base import now
from lamindb.runs import journal, liveness, track
from tests.support.processes import run_script

THIS = "test_track.py"


def transform(name: str = "Analysis", **options: Any) -> ln.Transform:
    return ln.Transform(name=name, type="pipeline", **options)


def again(run: ln.Run) -> ln.Run:
    return ln.Run.select(id=run.id).one()


def write(run: ln.Run, **values: Any) -> None:
    ln.Run.objects.using(run._state.db).filter(id=run.id).order_by().update_rows(values)


def kill(run: ln.Run) -> None:
    """Let the row say that the run's process is one that is gone."""
    write(run, process={**(run.process or {}), "pid": 2**22 - 3, "started": "1"})


def test_a_run_remembers_its_circumstances(instance: Path) -> None:
    run = ln.track()
    assert run.transform.type == "script"
    assert run.transform.reference.endswith(THIS)
    assert run.transform.name == "test_track"
    assert run.status == "running"
    row = again(run)
    assert row.host == os.uname().nodename
    assert row.python_version == sys.version.split()[0]
    assert row.source_digest.endswith(".py")
    assert row.environment_digest.endswith(".txt")
    assert row.parent is None
    assert row.started_at is not None
    assert row.finished_at is None
    ln.finish()
    row = again(run)
    assert (row.status, row.exit_code, row.error) == ("completed", None, None)
    assert row.finished_at is not None
    assert row.finished_at >= row.started_at
    assert ln.context.run is None


def test_one_process_has_one_run_of_a_transform(instance: Path) -> None:
    first = ln.track(transform())
    assert ln.track(transform()).id == first.id
    ln.finish()
    resumed = ln.track(transform())
    assert resumed.id == first.id
    assert again(first).status == "running"
    assert again(first).finished_at is None
    other = ln.track(transform(), new_run=True)
    assert other.id != first.id
    assert again(first).status == "completed"


def test_tracking_something_else_completes_the_run_before(instance: Path) -> None:
    first = ln.track(transform("a"))
    second = ln.track(transform("b"))
    assert [again(run).status for run in (first, second)] == ["completed", "running"]
    assert ln.context.run == second


def test_other_parameters_after_the_end_are_another_run(instance: Path) -> None:
    runs = []
    for rate in (0.1, 0.2):
        with ln.track(transform(), params={"lr": rate}) as run:
            runs.append(run.id)
    with ln.track(transform(), params={"lr": 0.2}) as run:
        assert run.id == runs[1]
    assert len(set(runs)) == 2
    assert ln.Run.select(params__lr__gt=0.15).one().id == runs[1]
    assert ln.Run.select(params__lr=0.1).one().id == runs[0]


def test_parameters_of_a_going_run_are_replaced(instance: Path) -> None:
    run = ln.track(transform(), params={"lr": 1})
    assert ln.track(transform(), params={"lr": 2}).id == run.id
    assert again(run).params == {"lr": 2}


def test_parameters_can_be_asked_for(instance: Path) -> None:
    params = {"lr": 0.5, "model": {"name": "unet", "depth": 4}, "tags": ["a", "b"], "on": True, "none": None}
    run = ln.track(transform(), params=params)
    assert again(run).params == params
    for filters, found in [
        ({"params__lr__gt": 0.01}, True),
        ({"params__lr__gt": 0.5}, False),
        ({"params__model__name": "unet"}, True),
        ({"params__model__depth__gte": 4}, True),
        ({"params__on": True}, True),
        ({"params__tags__0": "a"}, True),
        ({"params__missing": 1}, False),
    ]:
        assert ln.Run.select(**filters).exists() is found, filters


@pytest.mark.parametrize("params", [{1: 2}, [1]])
def test_parameters_without_names_are_refused(instance: Path, params: Any) -> None:
    with pytest.raises(InvalidInputError, match="params"):
        ln.track(transform(), params=params)
    assert ln.context.run is None
    assert not ln.Run.select().exists()


def test_secrets_among_parameters_are_replaced(instance: Path) -> None:
    secrets = {"api_key": "abc123def", "db": "postgresql://me:hunter22@host/x", "nested": {"password": "hunter22"}}
    run = ln.track(transform(), params={**secrets, "lr": 1})
    assert again(run).params == {
        "api_key": "***",
        "db": "postgresql://me:***@host/x",
        "nested": {"password": "***"},
        "lr": 1,
    }


def test_a_failed_call_leaves_the_run_as_it_was(instance: Path) -> None:
    run = ln.track(transform())
    with pytest.raises(InvalidTypeError, match="Transform"):
        ln.track("My script")  # type: ignore[arg-type]
    with pytest.raises(InvalidTypeError, match="name"):
        ln.track(transform(), name=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="nowhere"):
        ln.track(notebook_path="nowhere.ipynb")
    assert ln.context.run == run
    assert again(run).status == "running"


def test_a_transform_that_is_gone_is_an_error(instance: Path) -> None:
    gone = transform("gone").save()
    ln.Transform.select(name="gone").one().delete()
    with pytest.raises(ConflictError, match="deleted"):
        ln.track(gone)


def test_a_block_ends_its_run(instance: Path) -> None:
    with ln.track(transform()) as run:
        assert ln.context.run == run
    assert ln.context.run is None
    assert again(run).status == "completed"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ValueError("a deep problem"), "failed", None),
        (SystemExit(3), "failed", 3),
        (SystemExit("no"), "failed", 1),
        (SystemExit(0), "completed", 0),
        (KeyboardInterrupt(), "failed", None),
    ],
)
def test_a_block_that_raises_has_failed(instance: Path, error: BaseException, status: str, code: int | None) -> None:
    with pytest.raises(type(error)), ln.track(transform()) as run:
        raise error
    row = again(run)
    assert (row.status, row.exit_code) == (status, code)
    if isinstance(error, ValueError):
        assert "a deep problem" in str(row.error)
        assert "test_track.py" in str(row.error)
    assert ln.context.run is None


def test_finish_without_a_run_does_nothing(instance: Path) -> None:
    ln.finish()
    run = ln.track(transform())
    ln.finish()
    ended = again(run).finished_at
    ln.finish()
    assert again(run).finished_at == ended


def test_finish_takes_a_run_that_was_asked_for(instance: Path) -> None:
    run = ln.track(transform())
    ln.finish(again(run))
    assert ln.context.run is None
    assert run.status == again(run).status == "completed"
    with pytest.raises(InvalidTypeError):
        ln.finish("run")  # type: ignore[arg-type]


def test_the_last_lines_are_kept(instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lamindb.core import context

    run = ln.track(transform())
    write = sys.stdout.write
    print("to the screen")
    print("a problem", file=sys.stderr)
    ln.finish()
    assert sys.stdout.write != write
    name = ln.Run.select(id=run.id).one().log_digest
    assert name is not None
    store = context.instance().store
    from lamindb.storage.base import ObjectName

    object_name = ObjectName.parse(name)
    assert object_name is not None
    assert store.read(object_name).decode() == "to the screen\na problem\n"
    shown = capsys.readouterr()
    assert shown.out == "to the screen\n"
    assert "a problem\n" in shown.err


def test_files_belong_to_the_current_run(instance: Path) -> None:
    run = ln.track(transform())
    inside = ln.File(b"1", key="a.txt").save()
    ln.finish()
    outside = ln.File(b"2", key="b.txt").save()
    assert inside.run == run
    assert outside.run is None
    assert run.outputs.list() == [inside]


def test_a_read_only_instance_is_one_warning(local_instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import dataclasses

    instance = dataclasses.replace(context.instance(), is_read_only=True)
    context.set_instance(instance)
    context.add_connected(instance)
    run = ln.track(transform())
    ln.finish()
    told = capsys.readouterr().err
    assert told.count("🔶") == 1 and "can only be read" in told
    assert not ln.Run.select().exists()
    assert [path.stem for path in journal.waiting(instance.id)] == [run.id]
    ln.settings.tracking_failure = "error"
    with pytest.raises(ReadOnlyError):
        ln.track(transform())


def test_a_run_whose_process_died_is_aborted(instance: Path) -> None:
    run = ln.track(transform())
    kill(run)
    assert again(run).status == "aborted"
    assert ln.Run.select(status="aborted").one() == run
    assert again(run).finished_at is not None


def test_dead_runs_are_noticed_when_somebody_connects(instance: Path, database: str | None) -> None:
    run = ln.track(transform())
    kill(run)
    context.instance().part(track.Runs).close()
    ln.connect(instance, database_url=database)
    assert ln.Run.select(status="aborted").one() == run


def test_a_run_that_ended_meanwhile_is_not_called_aborted(instance: Path) -> None:
    run = ln.track(transform())
    stale = again(run)
    ln.finish()
    stale.__dict__["process"] = {**stale.process, "pid": 2**22 - 3, "started": "1"}
    assert stale.status == "completed"
    assert again(run).status == "completed"


def test_other_machines_are_judged_by_their_silence(instance: Path) -> None:
    run = ln.track(transform())
    elsewhere = {"host": "elsewhere", "boot_id": "b", "pid": 1, "started": "1", "namespace": ""}
    write(run, process=elsewhere)
    assert again(run).status == "running"
    write(run, heartbeat_at=now() - datetime.timedelta(seconds=liveness.SILENT_SECONDS + 60))
    assert again(run).status == "aborted"
    # It was only asleep.
    context.instance().part(liveness.Heartbeat).beat()
    assert again(run).__dict__["status"] == "running"
    ln.finish()
    assert again(run).status == "completed"


def test_signs_of_life_are_given_until_the_end(instance: Path) -> None:
    run = ln.track(transform())
    before = again(run).heartbeat_at
    context.instance().part(liveness.Heartbeat).beat()
    after = again(run).heartbeat_at
    assert before is not None
    assert after is not None
    assert after > before
    ln.finish()
    context.instance().part(liveness.Heartbeat).beat()
    assert again(run).heartbeat_at == after


def test_the_end_never_raises(local_instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ln.track(transform())
    # In one step: the heartbeat may write into the folder while its files are removed one by one.
    local_instance.rename(local_instance.with_name("gone"))
    ln.finish()
    assert ln.context.run is None
    assert not local_instance.exists()
    del run


def test_a_full_disk_at_the_end_costs_the_log_and_not_the_program(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lamindb.errors import StorageError
    from lamindb.storage.local import LocalStore

    def full(*args: Any, **options: Any) -> Any:
        raise StorageError("cannot write: the disk is full")

    run = ln.track(transform())
    print("something")
    monkeypatch.setattr(LocalStore, "put_many", full)
    ln.finish()
    assert "full" in capsys.readouterr().err
    assert again(run).status == "completed"


def test_a_database_that_fails_at_the_end_is_a_message(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lamindb.errors import DatabaseError
    from lamindb.runs import metadata

    def failing(*args: Any, **options: Any) -> Any:
        raise DatabaseError("the disk that holds the database is full")

    run = ln.track(transform())
    monkeypatch.setattr(metadata, "write", failing)
    ln.finish()
    assert f"the end of run {run.id} could not be recorded" in capsys.readouterr().err


def test_closing_ends_the_run(instance: Path, database: str | None) -> None:
    run = ln.track(transform())
    ln.disconnect()
    ln.connect(instance, database_url=database)
    assert again(run).status == "completed"


def test_a_swept_object_is_stored_again(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamindb.core import context
    from lamindb.core.hashing import hash_bytes
    from lamindb.environment import packages
    from lamindb.models.edges import SweepMark
    from lamindb.runs import metadata
    from lamindb.storage.base import ObjectName

    instance = context.instance()
    content = packages.packages_snapshot()
    name = ObjectName(hash_bytes(content).digest, ".txt")
    kept, calls = metadata.kept, []

    def sweeping(where: Any, data: Any) -> dict[str, str]:
        stored = kept(where, data)
        if "environment_digest" in data and not calls:
            # Garbage collection comes between the object and the row that names it.
            SweepMark.from_fields(digest=name.digest).save_row(using=instance.alias, force_insert=True)
            context.instance().store.delete(name)
            calls.append(1)
        return stored

    monkeypatch.setattr(metadata, "kept", sweeping)
    run = ln.track(transform())
    assert context.instance().store.read(name) == content
    assert again(run).environment_digest == name.digest + name.suffix
    assert not SweepMark.objects.using(instance.alias).exists()


def test_a_run_of_this_process_is_not_seen_as_dead(instance: Path) -> None:
    assert liveness.has_died(ln.track(transform())) is False


def test_a_fork_finds_no_thread_of_ours(instance: Path) -> None:
    import threading

    run = ln.track(transform())
    counts = []
    child = os.fork()
    if child == 0:
        # What a child does must not end its parent's run.
        ln.finish()
        parts = context.instance()
        owns = parts.part(liveness.Heartbeat).has(run.id) or parts.part(track.Runs).find(run.id)
        os._exit(1 if owns else 0)
    counts.append(os.waitpid(child, 0)[1])
    assert counts == [0]
    assert any(thread.name == "lamindb heartbeat" for thread in threading.enumerate())
    assert again(run).status == "running"
    ln.finish()
    assert not context.instance().part(liveness.Heartbeat).has(run.id)


ODD = os.fsdecode(b"caf\xe9")


def test_what_is_no_text_is_recorded_visibly(instance: Path) -> None:
    params = {"f": f"{ODD}.csv", "a\0": [{"b\0": "c\0", ODD: 1}], "p": Path(ODD), "api_key": ODD}
    run = ln.track(transform(), name=f"{ODD}\0", params=params)
    wanted = {"f": "caf\\udce9.csv", "a\\0": [{"b\\0": "c\\0", "caf\\udce9": 1}], "p": "caf\\udce9", "api_key": "***"}
    assert run.params == again(run).params == wanted
    assert again(run).name == "caf\\udce9\\0"
    ln.finish()
    assert ln.track(transform(), params=params).id == run.id
    with pytest.raises(OSError, match="cannot read"), run:
        raise OSError(f"cannot read {ODD}\0")
    assert again(run).status == "failed"
    assert "cannot read caf\\udce9\\0" in again(run).error


def test_params_that_are_changed_by_hand_are_stored_alike(instance: Path) -> None:
    run = ln.track(transform(), params={"a": 1})
    kept = run.params
    run.params["b"] = 2
    run.save()
    assert run.params is kept
    run.params |= {ODD: "\0", "n": [float("nan")]}
    run.save()
    assert run.params == again(run).params == {"a": 1, "b": 2, "caf\\udce9": "\\0", "n": ["nan"]}
    by_hand = ln.Run(transform=run.transform, params={"x\0": ODD}).save()
    assert again(by_hand).params == {"x\\0": "caf\\udce9"}


def test_scripts_that_are_no_text_are_tracked(instance: Path, tmp_path: Path) -> None:
    code = "import sys; import lamindb as ln; print(ln.track().id); sys.exit(sys.argv[1])"
    path = tmp_path / f"{ODD}.py"
    first, second = (run_script(path, code, ODD, check=False) for _ in range(2))
    assert first.returncode == second.returncode == 1
    runs = [ln.Run.select(id=done.stdout.strip()).one() for done in (first, second)]
    assert [run.arguments for run in runs] == [["caf\\udce9"]] * 2
    assert [run.error for run in runs] == ["caf\\udce9"] * 2
    assert runs[0].transform == runs[1].transform
    assert runs[0].transform.reference == "caf\\udce9.py"
    copied = run_script(tmp_path / "another.py", code, "x", check=False)
    assert ln.Run.select(id=copied.stdout.strip()).one().transform != runs[0].transform


def test_tracking_in_a_working_folder_that_was_deleted(instance: Path, tmp_path: Path, database: str | None) -> None:
    code = """
        import os
        import lamindb as ln
        ln.connect()
        os.mkdir("gone"); os.chdir("gone"); os.rmdir(os.getcwd())
        ln.track(params={"a": 1})
        ln.File(b"1", key="made.txt").save()
        @ln.flow
        def work(): return 1
        work()
    """
    done = run_script(tmp_path / "script.py", code)
    assert "Traceback" not in done.stderr
    run = ln.File.select(key="made.txt").one().run
    assert run is not None
    assert (run.status, run.transform.reference, run.params) == ("completed", "script.py", {"a": 1})
