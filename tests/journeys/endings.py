"""Every way of ending a tracked program, on a folder and a bucket, with 0, 1 and 5 objects to write at its end.

`python -m tests.journeys.endings` runs all of them and prints a table; exit code 1 where one is recorded wrong.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.processes import BIN_FOLDER, clean_environment, run_command, run_notebook, write_notebook

ENDINGS: Final = {
    # how it ends: the statement, and the exit code as a shell tells it
    "returns": ("pass", 0),
    "raises": ("raise ValueError('a problem')", 1),
    "sys.exit(3)": ("sys.exit(3)", 3),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)", 143),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(30)", 130),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", 137),
    "os._exit(5)": ("os._exit(5)", 5),
}
WAYS: Final = ("script", "notebook", "lamin run", "step")
PLACES: Final = ("folder", "S3")
OBJECTS: Final = (0, 1, 5)

_SUDDEN: Final = {"SIGKILL", "os._exit(5)"}
_PRINTED: Final = {"raises", "SIGINT"}
_PAST_ATEXIT: Final = {*_SUDDEN, "SIGTERM"}


@dataclass(frozen=True, slots=True)
class Case:
    """One way of ending; `objects` counts what there is to write at the end: the log, and files."""

    ending: str
    way: str
    place: str
    objects: int

    @property
    def name(self) -> str:
        return "-".join("".join(c if c.isalnum() else "" for c in str(part)) for part in self._values())

    def _values(self) -> tuple[object, ...]:
        return self.ending, self.way, self.place, self.objects

    @property
    def files(self) -> int:
        return max(0, self.objects - 1)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is recorded of a run."""

    status: str | None
    exit_code: int | None
    n_outputs: int
    has_log: bool


def all_cases() -> Iterator[Case]:
    """Yield every combination."""
    for place, way, objects, ending in itertools.product(PLACES, WAYS, OBJECTS, ENDINGS):
        yield Case(ending, way, place, objects)


def some_cases() -> list[Case]:
    """Return few cases in which each value of each column stands at least twice."""
    chosen = [
        Case(ending, WAYS[(number + turn) % len(WAYS)], PLACES[(number + turn) % 2], OBJECTS[(number + turn) % 3])
        for turn in range(2)
        for number, ending in enumerate(ENDINGS)
    ]
    return [*chosen, *(Case(ending, "script", "S3", 5) for ending in ("returns", "raises", "sys.exit(3)"))]


def make_project(folder: Path, root: str) -> Path:
    """Make a project with an instance, in a git repository with a change that is not committed."""
    folder.mkdir()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    (folder / "notes.txt").write_text("one\n")
    (folder / ".gitignore").write_text("mydata/\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "begin"]):
        run_command(*git, *words, cwd=folder)
    (folder / "notes.txt").write_text("another\n")
    run_command(BIN_FOLDER / "lamin", "init", "--storage", root, "--name", folder.name, cwd=folder)
    return folder


def expected(case: Case) -> Recorded:
    """Return what is right."""
    code = ENDINGS[case.ending][1]
    status = "aborted" if case.ending in _SUDDEN else "failed" if code else "completed"
    exit_code: int | None = None if case.ending in _SUDDEN else code
    # A traceback is output, too; what a killed program printed is kept.
    has_log = case.objects > 0 or case.ending in _PRINTED
    if case.way == "lamin run":
        status, exit_code = "failed" if code else "completed", code
        return Recorded(status, exit_code, 0 if code else case.files, has_log)
    if case.way == "script":
        return Recorded(status, exit_code, 0 if case.ending in _PAST_ATEXIT else case.files, has_log)
    if case.way == "notebook":
        # A cell has no log of its own, and no exit code unless a signal ends the kernel.
        return Recorded(status, code if case.ending == "SIGTERM" else None, case.files, False)
    # Neither has a function.
    return Recorded(status, None, case.files, False)


def run_case(project: Path, case: Case) -> Recorded:
    """Run the program of a case, and return what is recorded; the instance of the project is connected."""
    import lamindb as ln

    ended, shown = _run(project, case)
    if case.way != "notebook":
        code = ENDINGS[case.ending][1]
        wanted = 128 - code if code > 128 and case.way != "lamin run" else code
        assert ended == wanted, f"{case} exited {ended}\n{shown}"
    assert "could not be" not in shown and "not recorded" not in shown, f"{case}\n{shown}"
    run = ln.Run.select(params__case=case.name).one()
    assert case.way == "step" or run.git_is_dirty is True or run.status == "aborted", case
    return Recorded(run.status, run.exit_code, len(list(run.outputs)), bool(run.log_digest))


def _run(project: Path, case: Case) -> tuple[int, str]:
    statement = ENDINGS[case.ending][0]
    begin = "import atexit, os, signal, sys, time\nimport lamindb as ln"
    prints = "print('out', flush=True)" if case.objects else ""
    save = f"ln.save([ln.File(str(n).encode(), key=f'{case.name}/{{n}}.txt') for n in range({case.files})])"
    track = f"ln.track(params={{'case': {case.name!r}}})"
    path = project / f"{case.name}.py"
    if case.way == "notebook":
        notebook = write_notebook(project / f"{case.name}.ipynb", begin, track, prints, save, statement)
        return _seen(run_notebook(notebook, check=False))
    if case.way == "script":
        # Called before ours, which ends the run: the last in is the first out.
        path.write_text(f"{begin}\n{track}\n{prints}\natexit.register(lambda: {save})\n{statement}\n")
        return _seen(run_command(sys.executable, path, cwd=project, check=False))
    if case.way == "step":
        # What ends at once is recorded if its row was written before, which another thread does in a moment.
        recorded = "    while not ln.Run.select(id=ln.context.run.id).exists():\n        time.sleep(0.02)\n"
        body = f"    {prints or 'pass'}\n    {save}\n{recorded}    {statement}\n"
        path.write_text(f"{begin}\n@ln.step\ndef work(case):\n{body}\nwork({case.name!r})\n")
        return _seen(run_command(sys.executable, path, cwd=project, check=False))
    folder = f"made-{case.name}"
    make = f"os.mkdir({folder!r}); [open(f'{folder}/{{n}}.txt', 'w').write(str(n)) for n in range({case.files})]"
    path.write_text(f"import os, signal, sys, time\n{prints}\n{make}\n{statement}\n")
    options = ["--param", f"case={case.name}", *(["--out", f"{folder}/*.txt"] if case.files else [])]
    command = [BIN_FOLDER / "lamin", "run", *options, "--", sys.executable, path.name]
    return _seen(run_command(*command, cwd=project, check=False))


def _seen(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    return done.returncode, done.stderr


def main() -> int:
    """Run all cases and print what became of each."""
    import lamindb as ln
    from tests.storage import servers

    # What a shell starts in the background ignores it, and so would all programs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LAMIN_SETTINGS_DIR"):
            os.environ[name] = str(folder / "home" / name.lower())
        (folder / "seaweed").mkdir()
        with servers.seaweed(folder / "seaweed") as server:
            server.make_bucket("endings")
            os.environ.update(server.environment)
            for place, root in (("folder", "./mydata"), ("S3", "s3://endings/root")):
                project = make_project(folder / place, root)
                ln.connect(str(project) if place == "folder" else root)
                for case in all_cases():
                    if case.place != place:
                        continue
                    try:
                        found, note = run_case(project, case), ""
                    except Exception as error:
                        found, note = None, str(error).splitlines()[0]
                    is_right = found == expected(case)
                    wrong += not is_right
                    columns = f"{case.place:7} {case.way:10} {case.objects:>2} {case.ending:12}"
                    print(columns, "right" if is_right else f"WRONG {found} {note}", flush=True)
                ln.close()
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    assert clean_environment()
    sys.exit(main())
