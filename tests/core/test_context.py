"""Which instance and run are current: one of the process, and one of a task or block."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamindb.core import context
from lamindb.errors import NoInstanceError
from lamindb.records.open_instance import Instance


def make(name: str, **changes: Any) -> Instance:
    values: dict[str, Any] = {
        "id": name, "name": name, "alias": f"lamindb:{name}", "root_url": f"/data/{name}",
        "home_path": Path(f"/data/{name}/.lamindb"), "database_url": None, "project_path": None,
    }  # fmt: skip
    return Instance(**(values | changes))


ONE, TWO = make("one"), make("two")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder without an instance; the suite's own fixture makes nothing current."""
    monkeypatch.chdir(tmp_path)


def in_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_without_an_instance_the_error_says_how_to_make_one() -> None:
    assert context.instance_or_none() is None
    with pytest.raises(NoInstanceError, match="lamin init"):
        context.instance()


def test_the_first_use_opens_one_and_asking_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    import lamindb.setup.lifecycle

    monkeypatch.setattr(lamindb.setup.lifecycle, "open_current", lambda: ONE)
    assert context.instance_or_none() is None
    assert context.instance() is ONE
    assert context.connected(None) is ONE


def test_threads_see_the_default_of_the_process() -> None:
    context.set_instance(ONE)
    context.set_run("run")
    assert in_thread(lambda: (context.instance(), context.run())) == (ONE, "run")


def test_an_override_holds_for_its_block_and_its_thread_only() -> None:
    context.set_instance(ONE)
    with context.using(TWO) as given:
        assert given is TWO
        assert context.instance() is TWO
        with context.using(ONE):
            assert context.instance() is ONE
        assert context.instance() is TWO
        assert in_thread(context.instance) is ONE
        copied = contextvars.copy_context()
        assert in_thread(lambda: copied.run(context.instance)) is TWO
        context.set_instance(None)
        assert in_thread(context.instance_or_none) is None
        assert context.instance_or_none() is TWO
    assert context.instance_or_none() is None


def test_an_error_in_the_block_ends_the_override() -> None:
    with pytest.raises(RuntimeError), context.using(TWO), context.using_run("other"):
        raise RuntimeError
    assert context.instance_or_none() is None
    assert context.own_run() is None


def test_tasks_have_overrides_of_their_own() -> None:
    context.set_instance(make("default"))

    async def work(mine: Instance, run: str) -> tuple[str, Any]:
        with context.using(mine), context.using_run(run):
            for _ in range(5):
                await asyncio.sleep(0)
                assert context.instance() is mine
            return context.instance().name, context.run()

    async def both() -> Any:
        return await asyncio.gather(work(ONE, "r1"), work(TWO, "r2"))

    assert asyncio.run(both()) == [("one", "r1"), ("two", "r2")]
    assert context.instance().name == "default"


def test_the_nearest_run_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    import lamindb.runs.parent

    monkeypatch.setenv(context.RUN_VARIABLE, "of the parent")
    monkeypatch.setattr(lamindb.runs.parent, "run", lambda: "inherited")
    assert context.run() == "inherited"
    assert context.own_run() is None
    context.set_run("of the process")
    assert context.run() == "of the process"
    with context.using_run("of the block"):
        assert (context.run(), context.own_run()) == ("of the block", "of the block")
        assert in_thread(context.run) == "of the process"
    context.set_run(None)
    assert context.run() == "inherited"


def test_connected_instances_are_known_by_their_alias() -> None:
    for one in (ONE, TWO):
        context.add_connected(one)
    assert context.all_connected() == [ONE, TWO]
    assert context.connected("lamindb:two") is TWO
    context.drop_connected("lamindb:two")
    context.drop_connected("lamindb:two")
    assert context.connected("lamindb:two") is None
    assert context.all_connected() == [ONE]


def test_an_instance_knows_where_it_is_and_hides_its_password() -> None:
    assert (ONE.is_local, ONE.dialect) == (True, "sqlite")
    assert ONE.database_path == Path("/data/one/.lamindb/db.sqlite3")
    server = make("s", database_url="postgresql://ada:s3cret@h/n", root_url="s3://bucket/x")
    assert (server.is_local, server.dialect, server.database_path) == (False, "postgresql", None)
    assert "s3cret" not in repr(server)
