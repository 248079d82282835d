"""`lamin why` and `lamin modules`."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
from tests.cli.conftest import Cli


@pytest.fixture
def file(local_instance: Path) -> ln.File:
    raw = [ln.File(data, key="raw.csv").save() for data in (b"1", b"2")]
    for how, one in zip(("mean", "median"), raw, strict=True):
        with ln.track(ln.Transform(name="clean", type="pipeline"), params={"how": how}, new_run=True):
            one.stage(is_run_input=True)
            made: ln.File = ln.File(how.encode(), key="clean.csv").save()
    return made


def test_the_causes_are_shown_with_their_ways(cli: Cli, file: ln.File) -> None:
    shown = cli("why", "clean.csv").out
    assert "~ parameter how: mean → median\n" in shown
    assert "~ input raw.csv is v2, was v1, saved by " in shown
    assert "by way of raw.csv v2 → clean.csv v2" in shown
    assert cli("why", "clean.csv@2", "--against", "1").out == shown == cli("why", file.id).out
    found = cli("why", "clean.csv", "--json").json
    assert [one["kind"] for one in found["causes"]] == ["parameter", "saved"]
    assert found["unknown"] == [] and found["after"]["version"] == 2


def test_wrong_input_is_named(cli: Cli, file: ln.File) -> None:
    assert "no version 7: its versions are 1, 2" in cli("why", "clean.csv", "--against", "7", code=3).err
    assert "has no version 9" in cli("why", "clean.csv@9", code=3).err
    assert "no version before 1" in cli("why", "clean.csv@1", code=2).err
    assert "not about the Transform 'clean'" in cli("why", "clean", code=2).err
    assert "clen.csv" in cli("why", "clen.csv", code=3).err


def test_modules_are_listed_with_their_digests(cli: Cli, file: ln.File) -> None:
    assert isinstance(cli("modules", "clean.csv", "--json").json, dict)
    run = ln.Run(transform=ln.Transform(name="by hand", type="pipeline").save()).save()
    assert f"run {run.id} has no modules list" in cli("modules", run.id).err
    assert cli("modules", run.id, "--json").json is None
    made = file.run
    modules = made.modules()
    lines = cli("modules", made.id).out.splitlines()
    assert lines == [f"{digest}  {path}" for path, digest in modules.items()]
    for path in list(modules)[:1]:
        assert cli("code", made.id, "--module", path).out == made.code(path)
    assert "imported no module 'nothing.py'" in cli("code", made.id, "--module", "nothing.py", code=3).err


def test_stale_code_is_asked_for(cli: Cli, local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = local_instance.parent / "clean.py"
    script.write_text("a = 1\n")
    monkeypatch.setenv("LAMIN_NOTEBOOK_PATH", str(script))
    ln.track()
    ln.File(b"1", key="x.csv").save()
    ln.finish()
    script.write_text("a = 2\n")
    assert cli("stale", "--json").json == []
    (found,) = cli("stale", "--code", "--json").json
    assert (found["key"], found["reasons"][0]["kind"], found["reasons"][0]["code"]) == ("x.csv", "code", ["clean.py"])
    assert cli("stale", "--code", "x.csv").out == "x.csv\n  clean.py changed since it ran\n"
