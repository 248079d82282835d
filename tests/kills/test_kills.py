"""Whatever dies and whenever: no row without its bytes, nothing lost, and running the program again completes it.

A child is killed before each step of what it does, and in the midst of each write. After each kill a fresh process
must see the state from before or the one from after, find every byte right, and come to the end by running again.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kills.mutants import MUTANTS
from tests.kills.scenarios import SCENARIOS, SPARSE
from tests.kills.warm import Warm
from tests.support import depth, memory

LOCAL = [name for name in SCENARIOS if name != "init"]
REMOTE = [name for name in LOCAL if not SCENARIOS[name].only_local]

pytestmark = [
    pytest.mark.kill,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc and fork"),
]


@pytest.fixture
def work() -> Iterator[Path]:
    """Make a folder in memory: whether a disk is fast does not matter to what is tested here."""
    folder = Path(tempfile.mkdtemp(prefix="lamindb-kills-", dir=memory.folder()))
    yield folder / "work"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def kill(work: Path, warm: Warm, record_property: Callable[[str, object], None]) -> Callable[..., Any]:
    """Return what kills a scenario at its steps, in a process of its own; it returns what came of it."""

    def run(scenario: str, **config: Any) -> Any:
        answer = warm.run(scenario, work=str(work), **config)
        record_property("kills", answer["times"])
        return answer

    return run


@pytest.fixture
def postgres(postgres_server: Any, migrated_template: str) -> dict[str, str]:
    """Return where databases are made, and the one with tables that they are copies of."""
    return {"postgres": postgres_server.url("postgres"), "tables": migrated_template}


@pytest.mark.parametrize("scenario", LOCAL)
def test_in_a_folder_with_sqlite(scenario: str, kill: Any) -> None:
    answer = kill(scenario, **depth.one_in(SPARSE.get(scenario, 6)))
    assert answer["problems"] == []
    assert answer["steps"] >= 5
    assert answer["times"] >= 1


@pytest.mark.parametrize("scenario", LOCAL)
def test_in_a_folder_with_postgres(scenario: str, kill: Any, postgres: dict[str, str]) -> None:
    answer = kill(scenario, **postgres, **depth.one_in(SPARSE.get(scenario, 6), shift=3))
    assert answer["problems"] == []
    assert answer["steps"] >= 5
    assert answer["times"] >= 1


@pytest.fixture
def bucket(seaweed_server: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    name = f"kills-{abs(hash(request.node.name)):x}"[:40]
    seaweed_server.make_bucket(name)
    for variable, value in seaweed_server.environment.items():
        monkeypatch.setenv(variable, value)
    return f"s3://{name}/study"


@pytest.mark.parametrize("scenario", REMOTE)
def test_in_a_bucket_with_sqlite(scenario: str, kill: Any, bucket: str) -> None:
    answer = kill(scenario, storage=bucket, **depth.one_in(8, shift=2))
    assert answer["problems"] == []
    assert answer["steps"] >= 4
    assert answer["times"] >= 1


@pytest.mark.parametrize("scenario", REMOTE)
def test_in_a_bucket_with_postgres(scenario: str, kill: Any, bucket: str, postgres: dict[str, str]) -> None:
    answer = kill(scenario, storage=bucket, **postgres, **depth.one_in(8, shift=6))
    assert answer["problems"] == []
    assert answer["steps"] >= 4
    assert answer["times"] >= 1


@pytest.mark.parametrize("place", ["folder", "bucket"])
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_making_an_instance(place: str, database: str, kill: Any, request: pytest.FixtureRequest) -> None:
    config: dict[str, Any] = {**depth.one_in(11)}
    if place == "bucket":
        config["storage"] = request.getfixturevalue("bucket")
    if database == "postgres":
        config["postgres"] = request.getfixturevalue("postgres_server").url("postgres")
    answer = kill("init", **config)
    assert answer["problems"] == []
    assert answer["steps"] >= 4
    assert answer["times"] >= 1


@pytest.mark.parametrize(
    ("mutant", "scenario", "every"),
    [
        ("row_first", "save", 2),
        ("in_place", "save", 1),
        ("view_first", "save", 2),
        ("one_by_one", "save_many", 15),
        ("part_by_part", "save_in_parts", 1),
        ("forgetful", "rename", 2),
        ("purge_at_once", "purge", 2),
        ("sweep_needed", "sweep", 3),
    ],
)
def test_a_wrong_order_is_found(mutant: str, scenario: str, every: int, kill: Any) -> None:
    assert kill(scenario, mutant=mutant, every=every, until_found=True)["problems"] != []


def test_every_mutant_is_tried() -> None:
    mark = next(mark for mark in test_a_wrong_order_is_found.pytestmark if mark.name == "parametrize")
    assert {mutant for mutant, *_ in mark.args[1]} == set(MUTANTS)
