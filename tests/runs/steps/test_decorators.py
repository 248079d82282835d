"""Functions as steps: plain, async, generators, methods, in threads and processes; what is recorded of each call."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import InvalidTypeError
from lamindb.runs.steps import group_commit, step
from tests.support.processes import clean_environment, run_script


@ln.step
def add(a: int, b: int = 2) -> int:
    return a + b


@ln.step
def square(number: int) -> int:
    return number * number


def runs(name: str) -> list[ln.Run]:
    return list(ln.Run.select(transform__name=name).order_by("started_at", "id"))


def only(name: str) -> ln.Run:
    (run,) = runs(name)
    return run


def keys(files: Any) -> list[str]:
    return [file.key for file in files]


def test_a_call_is_a_run(instance: Path) -> None:
    assert add(1) == 3
    run = only("add")
    assert run.params == {"a": 1, "b": 2}
    assert (run.status, run.error, run.parent) == ("completed", None, None)
    assert (run.transform.type, run.transform.version) == ("function", "1")
    assert run.transform.reference.endswith("test_decorators.py:add")
    assert run.source_digest is not None
    assert run.transform.code_hash is not None
    assert run.finished_at is not None
    assert run.started_at is not None
    assert run.finished_at >= run.started_at
    add(2)
    assert len(runs("add")) == 2
    assert ln.Transform.select(type="function").count() == 1
    assert ln.Run.select(params__a__gt=1).one() == runs("add")[1]


def test_a_decorated_function_stays_what_it_was() -> None:
    assert (add.__name__, add.__doc__, add.__module__) == ("add", None, __name__)
    with pytest.raises(InvalidTypeError):
        ln.step(3)  # type: ignore[call-overload]
    with pytest.raises(InvalidTypeError):
        ln.flow(int)


def test_steps_are_children_of_where_they_are_called(instance: Path) -> None:
    @ln.step
    def inner(number: int) -> int:
        return number

    @ln.flow
    def outer() -> int:
        return inner(1) + inner(2)

    with ln.track(ln.Transform(name="Whole", type="pipeline")) as tracked:
        assert outer() == 3
    flow = next(iter(ln.Run.select(transform__name__endswith="outer")))
    assert flow.parent == tracked
    children = list(ln.Run.select(parent=flow))
    assert [run.params for run in children] == [{"number": 1}, {"number": 2}]
    assert {run.status for run in children} == {"completed"}


def test_an_error_passes_through_and_is_recorded(instance: Path) -> None:
    @ln.step
    def broken(password: str) -> None:
        raise ValueError("no good")

    with pytest.raises(ValueError, match="no good") as raised:
        broken("hunter22")
    assert raised.traceback[-1].name == "broken"
    run = next(iter(ln.Run.select(status="failed")))
    assert "ValueError: no good" in str(run.error)
    assert run.params == {"password": "***"}


def test_a_wrong_call_says_so_itself(local_instance: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        add(1, c=3)  # type: ignore[call-arg]


def test_files_are_found_in_arguments_and_results(instance: Path) -> None:
    first = ln.File(b"1", key="in/first.txt").save()
    ln.File(b"2", key="in/second.txt").save()
    Path("unregistered.txt").write_text("x")

    @ln.step
    def work(file: ln.File, paths: list[str], nothing: Path) -> dict[str, Any]:
        made = ln.File(b"made", key="out/made.txt").save()
        return {"files": [made], "same": file}

    work(first, [str(instance / "in/second.txt")], Path("unregistered.txt"))
    run = next(iter(ln.Run.select(transform__name__endswith="work")))
    assert keys(run.inputs) == ["in/first.txt", "in/second.txt"]
    assert keys(run.outputs) == ["out/made.txt"]
    assert ln.File.select(key="out/made.txt").one().run == run
    assert run.params is not None
    assert run.params["file"] == "in/first.txt"
    assert ln.File.select().count() == 3


def test_what_is_made_after_the_call_is_not_its_own(instance: Path) -> None:
    with ln.track(ln.Transform(name="Whole", type="pipeline")) as tracked:
        add(1)
        file = ln.File(b"1", key="later.txt").save()
    assert file.run == tracked


def test_arguments_are_small_plain_values(local_instance: Path) -> None:
    import datetime
    import enum

    class Colour(enum.Enum):
        RED = 1

    class Terrible:
        def __repr__(self) -> str:
            raise RuntimeError("do not look")

    class Shaped:
        shape = (10, 3)

    @ln.step
    def takes(**values: Any) -> None:
        return None

    takes(
        text="x" * 10_000,
        big=list(range(1000)),
        deep={"a": {"b": {"c": {"d": {"e": {}}}}}},
        nan=float("nan"),
        huge=2**80,
        data=b"12345",
        day=datetime.date(2026, 1, 2),
        colour=Colour.RED,
        odd=Terrible(),
        table=Shaped(),
        token="abc123456",
        null="a\0b",
    )
    params = only("test_arguments_are_small_plain_values.takes").params
    assert params is not None
    values = params["values"]
    assert len(values["text"]) <= 501
    assert len(values["big"]) == 51
    assert values["nan"] == "nan"
    assert values["huge"] == str(2**80)
    assert values["data"] == "<bytes of 5>"
    assert values["day"] == "2026-01-02"
    assert values["odd"] == "<Terrible>"
    assert values["table"] == "<Shaped 10×3>"
    assert values["token"] == "***"
    assert values["null"] == "a\\0b"


def test_methods_leave_their_object_out(local_instance: Path) -> None:
    class Model:
        @ln.step
        def fit(self, rate: float) -> float:
            return rate

    assert Model().fit(0.5) == 0.5
    run = next(iter(ln.Run.select(transform__name__endswith="Model.fit")))
    assert run.params == {"rate": 0.5}


def test_names_and_versions_can_be_chosen(local_instance: Path) -> None:
    @ln.step(name="Normalise", version="2")
    def anything() -> None:
        return None

    anything()
    transform = only("Normalise").transform
    assert (transform.reference, transform.version) == ("Normalise", "2")


def test_generators_end_when_they_are_exhausted(local_instance: Path) -> None:
    @ln.step
    def counting(upto: int) -> Iterator[int]:
        for number in range(upto):
            assert context.run() is not None
            got = yield number
            assert got in (None, "sent")

    generator = counting(3)
    assert not ln.Run.select().exists()
    assert next(generator) == 0
    assert context.own_run() is None
    assert generator.send("sent") == 1  # type: ignore[attr-defined]
    assert list(generator) == [2]
    run = next(iter(ln.Run.select()))
    assert run.status == "completed"
    unfinished = counting(5)
    next(unfinished)
    unfinished.close()  # type: ignore[attr-defined]
    assert [run.status for run in ln.Run.select()] == ["completed", "completed"]


def test_generators_can_catch_what_is_thrown(local_instance: Path) -> None:
    @ln.step
    def catching() -> Iterator[str]:
        try:
            yield "first"
        except KeyError:
            yield "caught"

    generator = catching()
    next(generator)
    assert generator.throw(KeyError("x")) == "caught"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="out"):
        generator.throw(ValueError("out"))  # type: ignore[attr-defined]
    assert next(iter(ln.Run.select())).status == "failed"


def test_coroutines_keep_their_own_run(local_instance: Path) -> None:
    @ln.step
    async def slow(number: int) -> str:
        await asyncio.sleep(0.01 * (3 - number))
        run = context.run()
        await asyncio.sleep(0.01)
        assert context.run() is run
        return str(run.id)

    @ln.step
    async def stream() -> AsyncIterator[int]:
        yield 1
        yield 2

    @ln.flow
    async def whole() -> list[str]:
        assert [number async for number in stream()] == [1, 2]
        return await asyncio.gather(*(slow(number) for number in range(3)))

    ids = asyncio.run(whole())
    flow = next(iter(ln.Run.select(parent=None)))
    found = {run.id: run.params for run in ln.Run.select(parent=flow, transform__name__endswith="slow")}
    assert found == {run_id: {"number": number} for number, run_id in enumerate(ids)}
    assert {run.status for run in ln.Run.select()} == {"completed"}


def test_a_cancelled_coroutine_has_failed(local_instance: Path) -> None:
    @ln.step
    async def endless() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(endless())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    run = next(iter(ln.Run.select()))
    assert (run.status, run.error) == ("failed", "cancelled")


def test_threads_write_together(instance: Path) -> None:
    with ln.track(ln.Transform(name="Whole", type="pipeline")) as tracked, ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(square, range(100))) == [number * number for number in range(100)]
    assert sorted((run.params or {})["number"] for run in ln.Run.select(parent=tracked)) == list(range(100))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_pools_belong_to_what_started_them(local_instance: Path, method: str) -> None:
    Path("pool.py").write_text(
        f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
import lamindb as ln

@ln.step
def work(number):
    return ln.File(str(number).encode(), key=f"{{number}}.txt").save().key

@ln.flow
def main():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context({method!r})) as pool:
        return sorted(pool.map(work, range(4)))

if __name__ == "__main__":
    assert main() == [f"{{n}}.txt" for n in range(4)]
"""
    )
    run_script(Path("pool.py"), Path("pool.py").read_text())
    flow = only("main")
    assert flow.status == "completed"
    assert flow.transform.reference == "pool.py:main"
    assert flow.environment_digest is not None
    made = {(run.params or {})["number"]: keys(run.outputs) for run in ln.Run.select(parent=flow)}
    assert made == {number: [f"{number}.txt"] for number in range(4)}


def test_a_long_step_is_seen_while_it_runs(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    @ln.step
    def long() -> None:
        deadline = time.monotonic() + 60
        while not ln.Run.select().exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.extend(ln.Run.select())

    long()
    assert [run.id for run in seen] == [run.id for run in ln.Run.select()]
    assert [run.status for run in ln.Run.select()] == ["completed"]


def test_a_nested_step_brings_the_rows_above_it(instance: Path) -> None:
    @ln.step
    def outer() -> int:
        add(1)
        assert [run.status for run in ln.Run.select(transform__name__endswith="outer")] == ["running"]
        return ln.Run.select().count()

    assert outer() == 2


KILLED = """
import os, sys, time
import lamindb as ln

@ln.step
def quick(number):
    return number

@ln.step
def slow():
    print("slow", flush=True)
    time.sleep(600)

with ln.track() as run:
    for number in range(50):
        quick(number)
        print(number, flush=True)
    slow()
"""


def test_what_was_returned_survives_a_kill(local_instance: Path) -> None:
    Path("killed.py").write_text(KILLED)
    process = subprocess.Popen(
        [sys.executable, "killed.py"], env=clean_environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line.strip())
        if line == "20\n":
            process.kill()
            break
    told += [line.strip() for line in process.stdout]
    process.wait()
    process.stdout.close()
    stored = {str((run.params or {})["number"]) for run in runs("quick")}
    assert set(told) - {"slow"} <= stored
    assert only("killed").status == "aborted"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, "aborted"), (signal.SIGTERM, "failed")])
def test_a_step_that_is_killed_is_found(local_instance: Path, number: signal.Signals, status: str) -> None:
    Path("killed.py").write_text(KILLED.replace("range(50)", "range(1)"))
    process = subprocess.Popen(
        [sys.executable, "killed.py"], env=clean_environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while process.stdout.readline() != "slow\n":
        pass
    deadline = time.monotonic() + 60
    while not runs("slow") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    assert process.returncode == -number
    assert [only(name).status for name in ("slow", "killed")] == [status, status]


def test_a_step_that_cannot_be_recorded_still_returns(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lamindb.errors import DatabaseError

    def failing(entry: Any) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(group_commit, "write", failing)
    assert add(1) == 3
    assert "calls of add could not be recorded so far" in capsys.readouterr().err
    assert not context.instance().part(step.OpenSteps).open


def test_tracking_within_a_step_is_its_child(local_instance: Path) -> None:
    @ln.step
    def outer() -> ln.Run:
        with ln.track(ln.Transform(name="Inner", type="pipeline")) as run:
            return run

    inner = outer()
    assert inner.parent is not None
    assert inner.parent.transform.name.endswith("outer")


def test_what_is_no_text_is_recorded_visibly(instance: Path, tmp_path: Path) -> None:
    @ln.flow
    def takes(**values: Any) -> None:
        fails(**values)

    @ln.step
    def fails(**values: Any) -> None:
        raise ValueError(f"no {next(iter(values.values()))}\0")

    with pytest.raises(ValueError, match="no caf"):
        takes(**{"a\0\udce9": "caf\udce9"})
    for name in ("takes", "fails"):
        run = next(iter(ln.Run.select(transform__name__endswith=name)))
        assert run.params == {"values": {"a\\0\\udce9": "caf\\udce9"}}
        assert (run.status, run.error.splitlines()[-1]) == ("failed", "ValueError: no caf\\udce9\\0")
    code = "import lamindb as ln\n@ln.step\ndef inside():\n    pass\ninside()"
    run_script(tmp_path / "caf\udce9.py", code)
    assert only("inside").transform.reference == "caf\\udce9.py:inside"


def test_threads_of_a_flow_belong_to_it(instance: Path) -> None:
    def keep(name: str) -> None:
        ln.File(name.encode(), key=name).save()

    @ln.flow(name="gather")
    def gather(name: str) -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(keep, [f"{name}-1", f"{name}-2"]))
            list(pool.map(square, [3]))

    gather("a")
    flow = only("gather")
    assert sorted(keys(flow.outputs)) == ["a-1", "a-2"]
    assert only("square").parent == flow
    with ThreadPoolExecutor(1) as pool:
        pool.submit(keep, "later").result()
    assert ln.File.select(key="later").one().run is None


def test_flows_in_tasks_and_threads_are_not_each_others(instance: Path) -> None:
    @ln.flow(name="inner")
    def inner(number: int) -> None:
        barrier.wait(60)
        add(number)

    @ln.flow(name="task")
    async def task(number: int) -> None:
        await asyncio.sleep(0)
        if number == 1:
            await asyncio.get_running_loop().run_in_executor(None, add, 7)
        await asyncio.sleep(0.05)

    async def both() -> None:
        await asyncio.gather(task(1), task(2))

    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(inner, [1, 2]))
    assert [run.parent for run in runs("inner")] == [None, None]
    assert {run.parent for run in runs("add")} == set(runs("inner"))
    asyncio.run(both())
    assert [run.parent for run in runs("task")] == [None, None]
    assert next(run for run in runs("add") if (run.params or {})["a"] == 7).parent is None


def test_what_a_flow_saved_goes_to_a_process_pool(local_instance: Path) -> None:
    Path("pool.py").write_text(
        """
import copy
from concurrent.futures import ProcessPoolExecutor
import lamindb as ln

@ln.step
def work(file, run):
    return ln.File(file.load().upper().encode(), key="upper.txt").save(), run.id

@ln.flow
def main():
    source = ln.File(b"text", key="source.txt").save()
    run = ln.context.run
    assert copy.deepcopy(source.run) == run
    with ProcessPoolExecutor(1) as pool:
        made, name = pool.submit(work, source, run).result()
    assert name == run.id
    return made

if __name__ == "__main__":
    assert main().load() == "TEXT"
"""
    )
    run_script(Path("pool.py"), Path("pool.py").read_text())
    work = only("work")
    assert (work.parent, keys(work.inputs), keys(work.outputs)) == (only("main"), ["source.txt"], ["upper.txt"])


def test_a_block_within_a_step_is_current_until_it_ends(instance: Path) -> None:
    names = itertools.count()

    def maker() -> ln.Run | None:
        name = str(next(names))
        return ln.File(name.encode(), key=name).save().run

    def block(name: str) -> Any:
        return ln.track(ln.Transform(name=name, type="pipeline"))

    @ln.step(name="outer")
    def outer(*, finishes: bool = False) -> None:
        step_run = ln.context.run
        before = os.environ.get("LAMIN_RUN_ID")
        with block("Inner") as inner:
            assert maker() == ln.context.run == inner
            assert os.environ["LAMIN_RUN_ID"] == inner.id
            with block("Innermost") as innermost:
                assert maker() == innermost
            assert maker() == inner
            add(1)
            if finishes:
                ln.finish()
        assert maker() == ln.context.run == step_run
        assert os.environ.get("LAMIN_RUN_ID") == before

    outer()
    assert ln.context.run is None
    assert only("add").parent == only("Inner")
    with block("Whole") as whole:
        outer()
        assert maker() == ln.context.run == whole
        outer(finishes=True)
        assert maker() == ln.context.run == whole
    tracked = block("Tracked")
    outer()
    assert maker() == ln.context.run == tracked
    assert tracked.status == "running"
    ln.finish()
    assert {run.status for run in ln.Run.select()} == {"completed"}
