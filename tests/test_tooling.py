"""The tools of the repository itself: the `dev` command, the lock file, what is committed."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _dev(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(folder / "dev"), *arguments],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)} | env,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def fresh_clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("dev", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_every_command_is_in_the_help() -> None:
    text = (ROOT / "dev").read_text(encoding="utf-8")
    commands = re.findall(r"^    ([a-z]+)\) ", text.partition("case $command in")[2], re.MULTILINE)
    shown = re.findall(r"^  ([a-z]+) ", _dev(ROOT, "--help").stdout, re.MULTILINE)
    assert len(commands) > 5
    assert sorted(shown) == sorted(commands)


def test_an_unknown_command_is_refused() -> None:
    done = _dev(ROOT, "nonsense")
    assert done.returncode == 2
    assert "Usage" in done.stderr and done.stdout == ""


def test_a_python_without_venv_is_told_what_to_do(fresh_clone: Path) -> None:
    python = fresh_clone / "python-without-venv"
    python.write_text('#!/bin/sh\n[ "$2" = venv ] && { mkdir -p .venv/bin; exit 1; }\nexit 0\n')
    python.chmod(0o755)
    done = _dev(fresh_clone, "setup", PYTHON=str(python))
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert not (fresh_clone / ".venv").exists()


def test_no_python_is_told_what_to_do(fresh_clone: Path) -> None:
    programs = fresh_clone / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cat"):
        (programs / name).symlink_to(shutil.which(name) or name)
    done = _dev(fresh_clone, "setup", PATH=str(programs))
    assert done.returncode == 1
    assert "Python 3.11 or later was not found" in done.stderr


def test_whatever_is_sampled_has_a_day_at_full_depth() -> None:
    lines = (ROOT / ".ci/full-depth").read_text(encoding="utf-8").splitlines()
    named = {word for line in lines if not line.startswith("#") for word in line.split() if word.startswith("tests/")}
    asks = re.compile(r"\bdepth\.(one_in|part|spread|on_one_database|FULL|SEED)\b")
    sampled = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if path != Path(__file__) and asks.search(path.read_text(encoding="utf-8"))
    }
    assert len(sampled) > 10
    assert named == sampled


def _project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return found


def _name(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    return match[0].lower().replace("_", "-").replace(".", "-")


def test_the_lock_has_everything_by_hash_and_names_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links", text)
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    locked = {_name(entry) for entry in entries}
    project = _project()["project"]
    groups = _project()["dependency-groups"]
    assert isinstance(project, dict) and isinstance(groups, dict)
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    wanted = [*project["dependencies"], *groups["dev"], *extras]
    assert {_name(requirement) for requirement in wanted} - {"lamindb"} <= locked


def test_the_extra_called_all_has_all_extras() -> None:
    project = _project()["project"]
    assert isinstance(project, dict)
    extras = project["optional-dependencies"]
    named = set(re.findall(r"[a-z0-9]+", extras["all"][0].partition("[")[2]))
    assert named == set(extras) - {"all"}


def test_the_license_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
