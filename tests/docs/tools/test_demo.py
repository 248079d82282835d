"""The demonstration does what it shows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from docs.tools import demo
from tests.support.processes import clean_environment, run_command


@pytest.mark.slow
def test_the_demo_shows_where_a_result_came_from(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    done = run_command(sys.executable, demo.__file__, "--keep", folder, env=clean_environment())
    shown = done.stdout
    for _, command in demo.STEPS:
        assert f"$ {command}" in shown
    lineage = shown.partition("lamin lineage")[2]
    for name in ("results/means.csv", "summarise", "raw/plate.csv", "measure"):
        assert name in lineage
    assert (folder / "mydata" / "results" / "means.csv").read_text().count("\n") == 2


def test_the_demo_leaves_the_users_settings_alone(isolated_home: Path, tmp_path: Path) -> None:
    done = run_command(sys.executable, demo.__file__, cwd=tmp_path, env=clean_environment(), check=False)
    assert "lamin init" in done.stdout
    assert [path.name for path in isolated_home.iterdir()] == ["runtime"]
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_ends_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "STEPS", (("fail", "exit 3"), ("never", "echo never")))
    assert demo.show(tmp_path) == 3
    shown = capsys.readouterr().out
    assert "exited 3" in shown and "never" not in shown
