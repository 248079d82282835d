"""An environment as a user makes it: the wheel, installed beside Jupyter into a fresh virtual environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "acceptance"


@pytest.fixture(scope="session")
def shared_acceptance() -> Path:
    """Return the folder of the shared acceptance run, which lies beside the repository where there is one."""
    if not (SHARED / "run_seeds.py").is_file():
        pytest.skip("the shared acceptance run is not beside this repository")
    return SHARED


@pytest.fixture(scope="session")
def installed(shared_acceptance: Path) -> Iterator[Path]:
    """Build the wheel, install it into a fresh environment that every user can read, and return that folder.

    It holds `bin/python`, and a copy of the acceptance run as `acceptance`.
    """
    base = Path(tempfile.mkdtemp(prefix="lamindb-acceptance-", dir="/tmp"))
    base.chmod(0o755)
    try:
        wheels = base / "wheels"
        _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT)
        uv = Path(sys.executable).with_name("uv")
        _run(uv, "venv", "--quiet", "--python", _reachable_python(), base / "venv")
        (wheel,) = wheels.iterdir()
        (base / "constraints.txt").write_text(_without_hashes(ROOT / "requirements.lock"))
        _run(
            *(uv, "pip", "install", "--quiet", "--python", base / "venv" / "bin" / "python"),
            *("--constraint", base / "constraints.txt"),
            *(f"{wheel}[table]", "nbformat", "ipykernel", "nbconvert", "papermill"),
        )
        shutil.copytree(shared_acceptance, base / "acceptance", ignore=shutil.ignore_patterns("__pycache__"))
        (base / "acceptance").chmod(0o755)
        shutil.copy(Path(__file__).with_name("again.py"), base / "acceptance")
        # Bytecode that an ordinary user cannot write is compiled once, here.
        _run(base / "venv" / "bin" / "python", "-m", "compileall", "-q", base / "venv" / "lib", base / "acceptance")
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _without_hashes(lock: Path) -> str:
    lines = [line for line in lock.read_text().splitlines() if not line.lstrip().startswith("--hash")]
    return "\n".join(line.removesuffix("\\").rstrip() for line in lines)


def _reachable_python() -> str:
    """Return an interpreter that every user may run: the present one may lie in root's home."""
    present = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    if all(folder.stat().st_mode & 0o001 for folder in present.parents):
        return str(present)
    system = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    if system is None:
        pytest.skip("no Python that an ordinary user could run")
    return system


def _run(*command: str | Path) -> None:
    # The user's home and caches, not the test's: packages that were installed before need no download.
    env = {name: value for name, value in os.environ.items() if not name.startswith("LAMIN")}
    done = subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
