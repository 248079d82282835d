"""Run the documents a second time, or one after the other, in ONE instance. Runs beside `run_seeds.py`.

Usage: again.py twice NAME [DRIVER] | again.py sequence [DRIVER]
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import run_seeds

STATE = """
import json
import lamindb as ln
transforms = ln.Transform.select().all()
print(json.dumps({
    "files": sorted(file.id for file in ln.File.select().all()),
    "runs": {t.id: ln.Run.select(transform=t).count() for t in transforms},
    "names": {t.id: t.name for t in transforms},
}))
"""


class Place:
    """A folder and a home of their own, with one instance."""

    def __init__(self) -> None:
        base = pathlib.Path(tempfile.mkdtemp(prefix="again-")).resolve()
        self.folder, home = base / "work", base / "home"
        self.folder.mkdir()
        home.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LAMIN", "XDG_"))}
        self.env = kept | {"HOME": str(home), "PATH": f"{pathlib.Path(sys.executable).parent}:{kept['PATH']}"}

    def shell(self, command: str) -> None:
        done = subprocess.run(command, shell=True, cwd=self.folder, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def document(self, name: str, driver: str, *, with_checks: bool) -> None:
        document = importlib.import_module(f"cells_{name}")
        self._execute(name.replace("_", "-"), document.TITLE, document.CELLS, driver, with_checks)

    def earlier(self, name: str, driver: str) -> None:
        document = importlib.import_module(f"cells_{name}")
        if document.EARLIER:
            self._execute(*document.EARLIER, driver, True)

    def before(self, name: str) -> None:
        for command in importlib.import_module(f"cells_{name}").BEFORE:
            self.shell(command)

    def state(self) -> dict[str, Any]:
        command = [sys.executable, "-c", STATE]
        done = subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _execute(self, stem: str, title: str, cells: list[str], driver: str, with_checks: bool) -> None:
        path = self.folder / f"{stem}.ipynb"
        # Some checks count what is there, which holds for fresh instances only.
        kept = [cell for cell in cells if with_checks or not cell.startswith("# check")]
        run_seeds.write_notebook(path, title, kept)
        done = run_seeds.execute(driver, path, self.folder, self.env)
        assert done.returncode == 0, f"{path.name}: {done.stderr[-2500:]}"


def twice(name: str, driver: str) -> None:
    """The second time there is no new file or transform, and one new run of each transform that was tracked."""
    place = Place()
    place.before(name)
    place.earlier(name, driver)
    earlier = place.state()["runs"]
    place.document(name, driver, with_checks=False)
    first = place.state()
    place.document(name, driver, with_checks=False)
    second = place.state()
    assert second["files"] == first["files"], (first, second)
    assert second["names"] == first["names"], (first, second)
    expected = {key: count + (key not in earlier) for key, count in first["runs"].items()}
    assert second["runs"] == expected, (first, second)


def sequence(driver: str) -> None:
    """Sources, files, then lineage, which deletes the instance at its end."""
    place = Place()
    place.before("track_data_sources")
    for name in ("track_data_sources", "track_files", "track_data_lineage"):
        place.earlier(name, driver)
        place.document(name, driver, with_checks=False)
    assert not (place.folder / "mydata").exists()


if __name__ == "__main__":
    mode, *arguments = sys.argv[1:]
    {"twice": twice, "sequence": sequence}[mode](*arguments)
