"""Which instance and run are current: one of the process, and one of a task or block."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamindb.core import current
from lamindb.core.current import Instance
from lamindb.core.errors import NoInstanceError


def make(name: str, **changes: Any) -> Instance:
    values: dict[str, Any] = {
        "id": name, "name": name, "alias": f"lamindb:{name}", "root_url": f"/data/{name}",
        "home_path": Path(f"/data/{name}/.lamindb"), "database_url": None, "project_path": None,
    }  # fmt: skip
    return Instance(**(values | changes))


ONE, TWO = make("one"), make("two")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No use case is plugged in, and nothing is current."""
    for name in ("_opener", "_default", "_run_finder", "_run_default"):
        monkeypatch.setattr(current, name, None)
    monkeypatch.setattr(current, "_connected", {})


def in_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_without_an_instance_the_error_says_how_to_make_one() -> None:
    assert current.instance_or_none() is None
    with pytest.raises(NoInstanceError, match="lamin init"):
        current.instance()


def test_the_first_use_opens_one_and_asking_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    current.plug_opener(lambda: ONE)
    assert current.instance_or_none() is None
    assert current.instance() is ONE
    assert current.connected(None) is ONE


def test_threads_see_the_default_of_the_process() -> None:
    current.set_instance(ONE)
    current.set_run("run")
    assert in_thread(lambda: (current.instance(), current.run())) == (ONE, "run")


def test_an_override_holds_for_its_block_and_its_thread_only() -> None:
    current.set_instance(ONE)
    with current.using(TWO) as given:
        assert given is TWO
        assert current.instance() is TWO
        with current.using(ONE):
            assert current.instance() is ONE
        assert current.instance() is TWO
        assert in_thread(current.instance) is ONE
        copied = contextvars.copy_context()
        assert in_thread(lambda: copied.run(current.instance)) is TWO
        current.set_instance(None)
        assert in_thread(current.instance_or_none) is None
        assert current.instance_or_none() is TWO
    assert current.instance_or_none() is None


def test_an_error_in_the_block_ends_the_override() -> None:
    with pytest.raises(RuntimeError), current.using(TWO), current.using_run("other"):
        raise RuntimeError
    assert current.instance_or_none() is None
    assert current.own_run() is None


def test_tasks_have_overrides_of_their_own() -> None:
    current.set_instance(make("default"))

    async def work(mine: Instance, run: str) -> tuple[str, Any]:
        with current.using(mine), current.using_run(run):
            for _ in range(5):
                await asyncio.sleep(0)
                assert current.instance() is mine
            return current.instance().name, current.run()

    async def both() -> Any:
        return await asyncio.gather(work(ONE, "r1"), work(TWO, "r2"))

    assert asyncio.run(both()) == [("one", "r1"), ("two", "r2")]
    assert current.instance().name == "default"


def test_the_nearest_run_counts() -> None:
    current.plug_run_finder(lambda: "inherited")
    assert current.run() == "inherited"
    assert current.own_run() is None
    current.set_run("of the process")
    assert current.run() == "of the process"
    with current.using_run("of the block"):
        assert (current.run(), current.own_run()) == ("of the block", "of the block")
        assert in_thread(current.run) == "of the process"
    current.set_run(None)
    assert current.run() == "inherited"


def test_connected_instances_are_known_by_their_alias() -> None:
    for one in (ONE, TWO):
        current.add_connected(one)
    assert current.all_connected() == [ONE, TWO]
    assert current.connected("lamindb:two") is TWO
    current.drop_connected("lamindb:two")
    current.drop_connected("lamindb:two")
    assert current.connected("lamindb:two") is None
    assert current.all_connected() == [ONE]


def test_an_instance_knows_where_it_is_and_hides_its_password() -> None:
    assert (ONE.is_local, ONE.dialect) == (True, "sqlite")
    assert ONE.database_path == Path("/data/one/.lamindb/db.sqlite3")
    server = make("s", database_url="postgresql://ada:s3cret@h/n", root_url="s3://bucket/x")
    assert (server.is_local, server.dialect, server.database_path) == (False, "postgresql", None)
    assert "s3cret" not in repr(server)
