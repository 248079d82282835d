"""`lamin diff`."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from tests.cli.conftest import Cli


@pytest.fixture
def files(local_instance: Path) -> list[ln.File]:
    return [ln.File(f"id,v\n1,{i}\n".encode(), key="t.csv").save() for i in range(1, 4)]


def test_versions_are_named_in_several_ways(cli: Cli, files: list[ln.File]) -> None:
    def versions(*arguments: str) -> list[int]:
        found = cli("diff", *arguments, "--json").json
        return [found["before"]["version"], found["after"]["version"]]

    assert versions("t.csv") == [2, 3]
    assert versions("t.csv@2") == [1, 2]
    assert versions("t.csv@1", "t.csv@3") == [1, 3]
    assert versions("t.csv@1", "t.csv") == [1, 3]
    assert versions("t.csv", "--version", "1") == [1, 3]
    assert versions("t.csv", "--version", "3", "--version", "1") == [3, 1]
    assert versions(files[0].id, files[1].id) == [1, 2]
    assert versions("mydata/t.csv@1", "t.csv@2") == [1, 2]


def test_a_key_with_the_very_text_goes_first(cli: Cli, files: list[ln.File]) -> None:
    for content in (b"a", b"b"):
        ln.File(content, key="t.csv@1").save()
    assert cli("diff", "t.csv@1", "--json").json["before"]["title"] == "t.csv@1"


def test_the_exit_code_and_the_output(cli: Cli, files: list[ln.File]) -> None:
    done = cli("diff", "t.csv@1", "t.csv@2", "--on", "id", "--exit-code", code=1)
    assert '~   v: 1 cell\n      row 1: "1" → "2"\n' in done.out
    assert "row changed, paired by id" in done.out and "\x1b" not in done.out
    assert "no differences" in cli("diff", "t.csv", "t.csv@3", "--exit-code").out
    cli("diff", "t.csv@1", "t.csv@2")
    cli("diff", "t.csv@1", "t.csv@2", "--rtol", "0.9", "--exit-code")


def test_runs_and_transforms(cli: Cli, local_instance: Path) -> None:
    runs = []
    for rate in (1, 2):
        with ln.track(ln.Transform(name="train", type="pipeline", version=str(rate)), params={"lr": rate}) as run:
            pass
        runs.append(run)
    found = cli("diff", runs[0].id, runs[1].id[:16], "--json").json
    assert found["params"] == [{"name": "lr", "kind": "changed", "before": 1, "after": 2}]
    assert "lr: 1 → 2" in cli("diff", runs[0].transform.id, runs[1].transform.id).out
    assert "nothing to compare" in cli("diff", runs[0].id, code=2).err
    with ln.track(runs[1].transform, params={"lr": 3}) as run:
        pass
    assert "lr: 2 → 3" in cli("diff", run.id).out
    assert "lr: 2 → 3" in cli("diff", run.transform.id).out
    assert "is the first of 'train'" in cli("diff", runs[1].id, code=2).err


def test_wrong_input_is_named(cli: Cli, files: list[ln.File]) -> None:
    ln.File(b"x", key="other.csv").save()
    assert "has no version 9: its versions are 1, 2, 3" in cli("diff", "t.csv@9", code=3).err
    assert "has no version 9" in cli("diff", "t.csv", "--version", "9", code=3).err
    assert "different files" in cli("diff", "t.csv", "other.csv", code=2).err
    assert "no version before 1" in cli("diff", "other.csv", code=2).err
    assert "KEY@N" in cli("diff", "t.csv", "other.csv", "--version", "1", code=2).err
    assert "no column 'nr'" in cli("diff", "t.csv", "--on", "nr", code=2).err
    assert "no record 'nothing'" in cli("diff", "nothing", "t.csv", code=3).err
    files[1].delete()
    assert "version 2 of 't.csv' is in the trash" in cli("diff", "t.csv@2", "t.csv", code=2).err
    assert cli("diff", "t.csv", "--json").json["before"]["version"] == 1
