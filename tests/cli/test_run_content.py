"""`lamin code`, `log`, `patch`, `packages` and `report`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

import lamindb as ln
from tests.cli.conftest import Cli
from tests.support.processes import run_script

SCRIPT = """
import lamindb as ln

ln.track()
print("counted \\x1b[31m3")
ln.File(b"3", key="study/count.txt").save()
"""


@pytest.fixture
def run(local_instance: Path) -> ln.Run:
    for _ in range(2):
        run_script(local_instance.parent / "count.py", SCRIPT)
    found: ln.Run = ln.Run.select().order_by("created_at").last()
    return found


def test_a_run_is_named_by_id_key_or_name(cli: Cli, run: ln.Run) -> None:
    first = ln.Run.select().order_by("created_at").first()
    for name in (run.id, run.id[:16], "count.py", run.transform.id):
        assert 'print("counted' in cli("code", name).out, name
        assert "counted" in cli("log", name).out
    assert first != run
    ln.File(b"4", key="study/count.txt", run=run).save()
    file = ln.File.select(key="study/count.txt").one()
    assert file.run == run
    assert cli("packages", "study/count.txt", "--json").json == run.packages()
    assert f"run {run.id} has no patch" in cli("patch", "study/count.txt").err
    assert f"run {run.id} has no report" in cli("report", file.id).err


def test_a_key_goes_before_a_name(cli: Cli, run: ln.Run) -> None:
    maker = ln.Run(transform=ln.Transform(name="by hand", type="pipeline").save()).save()
    ln.File(b"x", key="count.py", run=maker).save()
    assert f"run {maker.id} has no code" in cli("code", "count.py").err


def test_packages_are_lines_that_pip_reads(cli: Cli, run: ln.Run) -> None:
    lines = cli("packages", run.id).out.splitlines()
    assert any(line.startswith("django==") for line in lines)


def test_several_are_listed_and_what_is_missing_is_named(cli: Cli, run: ln.Run) -> None:
    one = ln.Transform(name="twice", type="pipeline", reference="a").save()
    two = ln.Transform(name="twice", type="pipeline", reference="b").save()
    error = cli("code", "twice", code=6).err
    assert one.id in error and two.id in error
    assert "has no run yet" in cli("code", one.id, code=3).err
    assert "there is no run 'nothing'" in cli("log", "nothing", code=3).err
    ln.File(b"by hand", key="plain.txt", run=None).save()
    assert "no run made the file 'plain.txt'" in cli("code", "plain.txt", code=3).err


def test_a_terminal_gets_a_pager_for_long_text_and_no_control_characters(
    cli: Cli, run: ln.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(click, "echo_via_pager", lambda text: shown.extend(text))
    assert "\x1b[31m3" in cli("log", run.id).out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert cli("log", run.id).out.splitlines()[0] == "counted \\x1b[31m3"
    monkeypatch.setenv("LINES", "1")
    assert cli("log", run.id).out == ""
    assert "".join(shown).splitlines()[0] == "counted \\x1b[31m3"
