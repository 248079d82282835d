"""The three documents, from a wheel in a fresh environment, offline, as root and as an ordinary user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import depth
from tests.support.offline import NOBODY, run_offline

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

DRIVERS = depth.part(["nbconvert", "papermill"], 1)
NAMES = ["track_data_sources", "track_data_lineage", "track_files"]


@pytest.fixture(params=["root", "ordinary"])
def user(request: pytest.FixtureRequest) -> int | None:
    """Run as root and as an ordinary user, as far as whoever runs the tests can."""
    is_root = os.geteuid() == 0
    if request.param == "root" and not is_root:
        pytest.skip("the tests do not run as root")
    return NOBODY if request.param == "ordinary" and is_root else None


def _run(installed: Path, user: int | None, folder: Path, *arguments: str) -> str:
    # Another user can reach this folder only from the file system's own temporary folder.
    work = installed / "work" / folder.name
    work.mkdir(parents=True)
    if user is not None:
        os.chown(work, user, user)
    env = {
        "HOME": str(work),
        "LANG": "C.UTF-8",
        "PATH": f"{installed / 'venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": str(work),
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    python = installed / "venv" / "bin" / "python"
    script, *rest = arguments
    done = run_offline(
        [python, installed / "acceptance" / script, *rest], user=user, cwd=work, env=env, timeout_seconds=800
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_document_runs_unchanged(name: str, driver: str, user: int | None, installed: Path, tmp_path: Path) -> None:
    assert "1 passed, 0 failed" in _run(installed, user, tmp_path, "run_seeds.py", "--driver", driver, name)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("name", ["track_data_sources", "track_files"])
def test_a_document_runs_twice_in_one_instance(name: str, driver: str, installed: Path, tmp_path: Path) -> None:
    _run(installed, None, tmp_path, "again.py", "twice", name, driver)


@pytest.mark.parametrize("driver", DRIVERS)
def test_all_documents_run_in_one_instance(driver: str, installed: Path, tmp_path: Path) -> None:
    _run(installed, None, tmp_path, "again.py", "sequence", driver)
