"""A demonstration: make an instance, run two tracked scripts, show where the result came from.

`./dev demo` runs it, in a temporary folder and with settings of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

MEASURE: Final = '''\
"""Measure a plate (here: make up numbers) and save the raw table."""
import random
from pathlib import Path

import lamindb as ln

ln.track()
random.seed(1)
rows = [f"{well},{random.gauss(100, 15):.1f}" for well in ("A1", "A2", "A3", "B1", "B2", "B3")]
Path("plate.csv").write_text("\\n".join(["well,signal", *rows]) + "\\n")
ln.File("plate.csv", key="raw/plate.csv").save()
'''

SUMMARISE: Final = '''\
"""Read the raw table and save the mean of each row of the plate."""
from pathlib import Path
from statistics import mean

import lamindb as ln

ln.track()
raw = ln.File.select(key="raw/plate.csv").one()
signals = {}
for line in raw.stage(is_run_input=True).read_text().splitlines()[1:]:
    well, signal = line.split(",")
    signals.setdefault(well[0], []).append(float(signal))
Path("means.csv").write_text("".join(f"{row},{mean(values):.1f}\\n" for row, values in signals.items()))
ln.File("means.csv", key="results/means.csv").save()
'''

STEPS: Final = (
    ("make an instance: one folder, no server, no account", "lamin init --storage ./mydata"),
    ("run a script that calls ln.track() and saves a file", "python measure.py"),
    ("run another one that reads that file and saves a result", "python summarise.py"),
    ("what is stored", "lamin ls"),
    ("where the result came from", "lamin lineage results/means.csv"),
    ("the files are plain files", "ls mydata/raw mydata/results"),
)


def show(folder: Path) -> int:
    """Run the steps in a folder, showing each command and its output; return the first exit code that is not 0."""
    (folder / "measure.py").write_text(MEASURE, encoding="utf-8")
    (folder / "summarise.py").write_text(SUMMARISE, encoding="utf-8")
    env = _environment(folder)
    for purpose, command in STEPS:
        _print(f"\n# {purpose}\n$ {command}")
        done = subprocess.run(
            command, shell=True, check=False, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        _print(done.stdout.decode(errors="replace").rstrip())
        if done.returncode:
            _print(f"\nthe command exited {done.returncode}")
            return done.returncode
    return 0


def main() -> int:
    """Make an instance, run two tracked scripts and show the lineage of the result."""
    parser = argparse.ArgumentParser(prog="./dev demo", description=main.__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new folder and keep it")
    kept: Path | None = parser.parse_args().keep
    if kept is not None:
        kept.mkdir(parents=True)
        return show(kept.resolve())
    with tempfile.TemporaryDirectory(prefix="lamindb-demo-") as folder:
        code = show(Path(folder).resolve())
    _print("\nThat was in a temporary folder. The README says how to begin with your own.")
    return code


def _environment(folder: Path) -> dict[str, str]:
    """Return variables that put this interpreter's `python` and `lamin` first, with settings below `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAMIN")}
    programs = Path(sys.executable).parent
    return kept | {
        "PATH": f"{programs}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "LAMIN_SETTINGS_DIR": str(folder / ".settings"),
        "LAMIN_CACHE_DIR": str(folder / ".cache"),
    }


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
