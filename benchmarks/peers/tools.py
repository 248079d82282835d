"""The tools that are compared, each in an environment of its own outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import big

_SCRIPTS = Path(__file__).resolve().parent / "scripts"

_VERSION = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: what it installs, the script that does the work with it, and what it leaves out."""

    name: str
    package: str
    script: str
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Environment variables of its processes: no network, nothing outside the project's folder."""

    notes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What it does less or otherwise, by the name of the work."""

    @property
    def is_ours(self) -> bool:
        """True for this library, which runs in the interpreter that measures."""
        return self.package == ""


@dataclass(frozen=True, slots=True)
class Installed:
    """An interpreter that has a tool, and the tool's version."""

    python: Path
    version: str

    def command(self, tool: Tool, work: str, count: int) -> list[str]:
        """Return the command line of a process that does one work."""
        return [str(self.python), str(_SCRIPTS / tool.script), work, str(count)]


_ONE_RECORD = "one record for the folder"
_COPIED = "copies the files without a hash; one run, no record for each file"

OURS = Tool("ours", "", "our_work.py")

TOOLS = (
    OURS,
    Tool(
        "LaminDB",
        "lamindb",
        "lamindb_work.py",
        notes={
            "records": "no fsync of the files. In all its rows, the question to its hub at the first save, which needs "
            "the network, is switched off",
            "large": "hashes only the first and the last 50 MiB of a file that is larger",
            "ancestors": "the public way returns a drawing",
        },
    ),
    Tool(
        "DVC",
        "dvc",
        "dvc_work.py",
        variables={"DVC_NO_ANALYTICS": "1"},
        notes={
            "records": _ONE_RECORD,
            "unchanged": _ONE_RECORD,
            "chain": "`dvc repro` of stages that copy a file; each starts a shell",
            "ancestors": "stages, from the graph that it builds of dvc.yaml",
            "start": "`dvc repro` of one stage: it has no runs",
            "query": "the hash in the manifest of the folder, which was read before",
        },
    ),
    Tool(
        "MLflow",
        "mlflow",
        "mlflow_work.py",
        variables={"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        notes={
            "records": _COPIED,
            "unchanged": "copies all again",
            "folder": _COPIED,
            "single": "copies without a hash or a record",
            "large": "copies without a hash",
            "chain": "the input is logged as the path of a data set",
            "ancestors": "not possible: it has no edges between files",
            "query": "lists a folder of one run: it has no keys",
        },
    ),
)


def install(tool: Tool, *, upgrade: bool = False) -> Installed:
    """Return a tool's interpreter and version; install the newest version if there is none.

    Environments are kept in the folder of big instances: the user's cache folder, or `LAMIN_BENCH_FOLDER`.

    Raises:
        subprocess.CalledProcessError: The package index was not reached, or has no version for this Python.
    """
    if tool.is_ours:
        return Installed(Path(sys.executable), "")
    folder = big.kept_folder() / "peers" / tool.package
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    version = None if upgrade else _version(python, tool.package)
    if version is None:
        print(f"installing {tool.name} in {folder} …", file=sys.stderr, flush=True)
        # With pip inside: LaminDB records the packages of a run by it.
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([*_installer(python), "--upgrade", tool.package], check=True, stdout=sys.stderr)
        # Not all installers compile, and the first process must not pay for it.
        subprocess.run([str(python), "-m", "compileall", "-q", str(folder)], check=False, stdout=subprocess.DEVNULL)
        version = _version(python, tool.package)
        assert version is not None, f"{tool.package} was installed, but is not there"
    return Installed(python, version)


def _installer(python: Path) -> list[str]:
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        return [str(uv), "pip", "install", "--quiet", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def _version(python: Path, package: str) -> str | None:
    if not python.exists():
        return None
    command = [str(python), "-c", _VERSION, package]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None
