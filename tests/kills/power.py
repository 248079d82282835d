"""Runs one scenario on a file system in a file, and looks at what a power cut before each step would leave."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.kills import mutants, stepping
from tests.kills.runner import Case, check, in_child, must, observe

SIZE = 32 << 20
THE_END = "the end"


class DiskCase(Case):
    """A case whose project lies on a mounted image, always at the same place; settings and caches lie elsewhere.

    With `separate`, the database lies on another file system, which loses nothing.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.here = self.folder / "here"
        self.image = self.folder / "image"
        self.copies = self.folder / "copies"
        self.separate = bool(config.get("separate"))

    def environment(self) -> None:
        settings = self.folder / "settings"
        os.environ.update(
            HOME=str(settings),
            LAMIN_SETTINGS_DIR=str(settings),
            # A cache does not survive: what it says of flushed and lost files must not be believed.
            LAMIN_CACHE_DIR=str(self.folder / f"cache-{os.getpid()}"),
            KILLS_STORAGE="./mydata",
        )
        os.environ.pop("KILLS_DB", None)
        os.chdir(self.here / "project")

    def make_template(self) -> None:
        self.copies.mkdir(parents=True)
        self.here.mkdir()
        with self.image.open("wb") as stream:
            stream.truncate(SIZE)
        run("mkfs.ext4", "-q", "-F", "-J", "size=4", str(self.image))
        self.mount(self.image)
        (self.here / "project").mkdir()
        must(in_child(self.fill))
        run("sync", "-f", str(self.here))

    def fill(self) -> None:
        self.environment()
        from tests.kills.scenarios import SCENARIOS

        SCENARIOS["init"].act()
        self.scenario.prepare()
        if self.separate:
            from django.db import connections

            connections.close_all()
            self.database_folder.mkdir()
            home = self.here / "project/mydata/.lamindb"
            for path in home.glob("db.sqlite3*"):
                shutil.move(path, self.database_folder / path.name)
            (home / "db.sqlite3").symlink_to(self.database_folder / "db.sqlite3")

    @property
    def database_folder(self) -> Path:
        return self.folder / "database"

    def everywhere(self) -> Iterator[tuple[str, list[str]]]:
        return cut_everywhere(self)

    def end(self) -> None:
        subprocess.run(["umount", "-q", str(self.here)], check=False, capture_output=True)

    def mount(self, image: Path) -> None:
        run("mount", "-o", "loop,commit=300", str(image), str(self.here))

    def umount(self) -> None:
        run("umount", str(self.here))

    def keep(self, number: int, name: str) -> None:
        """Keep what is on the disk now, and in any case what is there in the end."""
        if (number - 1 - self.first) % self.every and name != THE_END:
            return
        run("cp", "--sparse=always", str(self.image), str(self.copies / f"{number:04d}"))
        if self.separate:
            shutil.copytree(self.database_folder, self.copies / f"{number:04d}.database")

    def act_and_keep(self) -> list[str]:
        self.environment()
        if self.mutant is not None:
            mutants.POWER_MUTANTS[self.mutant]()
        steps = stepping.Steps(self.keep)
        stepping.install(steps)
        self.scenario.act()
        steps.step(THE_END)
        return steps.names

    def put_database(self, number: int) -> None:
        shutil.rmtree(self.database_folder)
        shutil.copytree(self.copies / f"{number:04d}.database", self.database_folder)

    def look(self) -> dict[str, Any]:
        self.environment()
        found = observe(self)
        problems = [one for one in check(self, found) if not one.startswith("half an object")]
        self.scenario.act()
        again = observe(self)
        problems += [f"after running again: {problem}" for problem in check(self, again, is_done=True)]
        return {"found": found, "again": again, "problems": problems}


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def cut_everywhere(case: DiskCase) -> Iterator[tuple[str, list[str]]]:
    """Yield each step with what was wrong after a power cut before it."""
    before = must(in_child(case.observe))
    names = must(in_child(case.act_and_keep))
    after = must(in_child(case.observe))
    case.steps = len(names)
    case.umount()
    for copy in sorted(path for path in case.copies.iterdir() if path.is_file()):
        number = int(copy.name)
        case.mount(copy)
        try:
            if case.separate:
                case.put_database(number)
            code, answer = in_child(case.look)
        finally:
            case.umount()
        name = f"step {number} ({names[number - 1] if number <= len(names) else 'while the process ends'})"
        if code != 0:
            yield name, [f"exit code {code}: {answer.get('error')}"]
            continue
        result = answer["result"]
        problems = result["problems"]
        if result["found"] not in (before, after):
            problems.append(f"neither before nor after: {result['found']}")
        if number >= len(names) and result["found"] != after:
            problems.append(f"what was saved is gone: {result['found']}")
        if result["again"] != after:
            problems.append(f"running again led elsewhere: {result['again']}")
        yield name, problems
