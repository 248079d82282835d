"""A project of six weeks in real processes: after every event, every question has the answer of a plain model."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from tests.cli.conftest import Cli
from tests.cli.conftest import cli as cli
from tests.support import depth
from tests.support.processes import BIN_FOLDER, clean_environment, run_command, write_notebook
from tests.support.six_weeks import Model, Reason
from tests.support.six_weeks import Run as PlainRun

pytestmark = pytest.mark.timeout(1200)

CLEANING = """\
def clean(text):
    return f"rule {RULE} of {text}"
"""
CLEAN = """\
import lamindb as ln
import cleaning

ln.track()
plate = ln.File.select(key="raw/plate.csv").one().stage(is_run_input=True).read_text()
ln.File(f"clean {EDIT}: {cleaning.clean(plate.strip())}".encode(), key="data/clean.csv").save()
"""
FLOW = """\
import os
import lamindb as ln


@ln.step
def fit(how):
    text = ln.File.select(key="data/clean.csv").one().stage(is_run_input=True).read_text()
    ln.File(f"{how} of {text}".encode(), key="models/fit.txt").save()


@ln.step
def draw():
    text = ln.File.select(key="models/fit.txt").one().stage(is_run_input=True).read_text()
    ln.File(f"figure {EDIT} of {text}".encode(), key="figures/fit.txt").save()


@ln.flow
def main():
    fit(os.environ["HOW"])
    draw()


if __name__ == "__main__":
    main()
"""
APPEND = """\
import sys
import lamindb as ln

ln.track()
table = ln.File.select(key="tables/log.txt").first()
before = table.stage(is_run_input=True).read_text() if table else "days:\\n"
row = ln.File.select(key=f"daily/{sys.argv[1]}.txt").one().stage(is_run_input=True).read_text()
ln.File((before + row).encode(), key="tables/log.txt").save()
"""
SLOW = """\
import sys, time
import lamindb as ln

ln.track()
ln.File.select(key="raw/plate.csv").one().stage(is_run_input=True)
print("it has read", flush=True)
time.sleep(3600)
"""
EXPLORE = """\
import units
layout = ln.File.select(key="KEY").one().stage(is_run_input=True).read_text()
text = ln.File.select(key="data/clean.csv").one().stage(is_run_input=True).read_text()
ln.File(f"units {units.VERSION}, {layout} of {text}".encode(), key="results/explore.txt").save()
"""
SNAKEFILE = """\
# edit {EDIT}
rule all:
    input: "counts/top.txt"

rule count:
    input: "mydata/data/clean.csv"
    output: "counts/count.txt"
    shell: "lamin run --transform count --in {input} --out {output} -- python count.py {input} {output}"

rule top:
    input: "counts/count.txt"
    output: "counts/top.txt"
    shell: "lamin run --transform top --in {input} --out {output} -- python top.py {input} {output}"
"""
RULE = """\
import sys
from pathlib import Path

Path(sys.argv[2]).write_text("NAME of " + Path(sys.argv[1]).read_text())
"""

WORKFLOW = "lamin run --transform workflow -- snakemake --cores 1 --forceall --quiet"


class Project:
    """The project: the real one, and the model of it; each event is played in both."""

    def __init__(self, folder: Path, packages: Path, cli: Cli) -> None:
        self.folder = folder
        self.packages = packages
        self.cli = cli
        self.model = Model()
        self.started = 0
        self.edits: dict[str, Any] = {}
        self.how = "mean"
        self.units = "1.0"
        self.install("1.0")
        self.edit(cleaning=1, clean=1, flow=1, rules=1, explore="raw/layout.csv")
        self.programs: dict[str, Callable[[str], None]] = {
            "python clean.py": self._clean,
            "python flow.py": self._flow,
            "notebook explore.ipynb": self._explore,
            WORKFLOW: self._workflow,
            "python append.py 1": self._append,
            "python append.py 2": self._append,
        }
        (folder / "append.py").write_text(APPEND)
        (folder / "slow.py").write_text(SLOW)
        for name in ("count", "top"):
            (folder / f"{name}.py").write_text(RULE.replace("NAME", name))

    # What a person does.

    def edit(self, **edits: Any) -> None:
        """Write the code of programs, as it is after so many edits."""
        self.edits |= edits
        (self.folder / "cleaning.py").write_text(CLEANING.replace("{RULE}", str(self.edits["cleaning"])))
        (self.folder / "clean.py").write_text(CLEAN.replace("{EDIT}", str(self.edits["clean"])))
        (self.folder / "flow.py").write_text(FLOW.replace("{EDIT}", str(self.edits["flow"])))
        (self.folder / "Snakefile").write_text(SNAKEFILE.replace("{EDIT}", str(self.edits["rules"])))
        if "explore" in edits:
            cells = ["import lamindb as ln\nln.track()", EXPLORE.replace("KEY", edits["explore"])]
            write_notebook(self.folder / "explore.ipynb", *cells, title="explore")

    def install(self, version: str) -> None:
        """Install a version of a small package."""
        for old in self.packages.glob("units-*"):
            (old / "METADATA").unlink()
            old.rmdir()
        self.packages.mkdir(exist_ok=True)
        (self.packages / "units.py").write_text(f'VERSION = "{version}"\n')
        info = self.packages / f"units-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: units\nVersion: {version}\n")
        self.units = version

    def save(self, key: str, text: str) -> None:
        """Save a file by hand."""
        ln.File(text.encode(), key=key).save()
        self.model.save(key, text)

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(HOW=self.how, PYTHONPATH=str(self.packages), PYTHONDONTWRITEBYTECODE="1")

    def start(self, process: str) -> None:
        """Start a program as the plan says it, and play it in the model."""
        self.started += 1
        kind, _, name = process.partition(" ")
        words = shlex.split(process)
        if kind == "notebook":
            words = ["jupyter", "nbconvert", "--to", "notebook", "--execute", name, "--output", f"out-{name}"]
        run_command(BIN_FOLDER / words[0], *words[1:], cwd=self.folder, env=self.environment)
        self.programs[process](process)

    def killed(self) -> None:
        """Start a program and kill it."""
        self.started += 1
        process = subprocess.Popen(
            [sys.executable, "slow.py"], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"it has read\n"
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        run = self._run("slow", "python slow.py", SLOW, ["raw/plate.csv"])
        run.status = "aborted"

    # What the programs do, in the model.

    def _run(self, program: str, process: str, source: Any, reads: list[str], **facts: Any) -> PlainRun:
        found = [version for key in reads if (version := self.model.get(key)) is not None]
        return self.model.run(program, process, source, found, package={"units": self.units}, **facts)

    def _clean(self, process: str) -> None:
        rule = self.edits["cleaning"]
        run = self._run("clean", process, self.edits["clean"], ["raw/plate.csv"], module={"cleaning.py": rule})
        plate = self.model["raw/plate.csv"].text.strip()
        self.model.save("data/clean.csv", f"clean {self.edits['clean']}: rule {rule} of {plate}", run)

    def _flow(self, process: str) -> None:
        self._run("main", process, self.edits["flow"], [])
        run = self._run("fit", process, 1, ["data/clean.csv"], parameter={"how": self.how})
        self.model.save("models/fit.txt", f"{self.how} of {self.model['data/clean.csv'].text}", run)
        run = self._run("draw", process, self.edits["flow"], ["models/fit.txt"])
        text = f"figure {self.edits['flow']} of {self.model['models/fit.txt'].text}"
        self.model.save("figures/fit.txt", text, run)

    def _explore(self, process: str) -> None:
        layout = self.edits["explore"]
        run = self._run("explore", process, layout, [layout, "data/clean.csv"])
        text = f"units {self.units}, {self.model[layout].text} of {self.model['data/clean.csv'].text}"
        self.model.save("results/explore.txt", text, run)

    def _workflow(self, process: str) -> None:
        self._run("workflow", process, self.edits["rules"], [])
        for program, read, written in (
            ("count", "data/clean.csv", "counts/count.txt"),
            ("top", "counts/count.txt", "counts/top.txt"),
        ):
            run = self._run(program, process, program, [read])
            self.model.save(written, f"{program} of {self.model[read].text}", run)

    def _append(self, process: str) -> None:
        day = f"daily/{process.rpartition(' ')[2]}.txt"
        table = self.model.get("tables/log.txt")
        run = self._run("append", process, 1, ["tables/log.txt", day], arguments=process)
        self.model.save("tables/log.txt", (table.text if table else "days:\n") + self.model[day].text, run)

    def follow(self, *, left: dict[str, str] | None = None) -> None:
        """Follow the plan by hand; what is stale after that is what is left out with a reason."""
        for unit in ln.lineage.plan():
            self.start(str(unit))
            self.ask()
        found = ln.lineage.plan()
        assert not found.units
        assert {file.key: one.kind for one in found.left_out for file in one.files} == (left or {})
        assert set(ln.lineage.stale().list("key")) == set(left or {})

    # Every question.

    def ask(self) -> None:
        """Ask every question, and compare the answers with those of the model."""
        self.files = {file.id: (file.key, file.version) for file in ln.File.objects.all()}
        self.current = {one.line.key: one for one in self.model.current()}
        self.ask_files()
        self.ask_stale()
        self.ask_plan()
        self.ask_why()
        self.ask_affected()
        self.ask_impact()
        self.ask_transforms()
        self.ask_status()

    def ask_files(self) -> None:
        shown = {file.key: (file.version, file.stage().read_text()) for file in ln.File.select()}
        assert shown == {key: (one.number, one.text) for key, one in self.current.items()}

    def ask_stale(self) -> None:
        wanted = {one.line.key: self.model.causes(one) for one in self.model.current()}
        stale = {key for key, reasons in wanted.items() if reasons}
        assert set(ln.lineage.stale().list("key")) == stale
        assert set(ln.File.select(is_stale=True).list("key")) == stale
        told = {one["key"]: one["reasons"] for one in self.cli("stale", "--json").json}
        assert set(told) == stale
        for file in ln.File.select():
            assert file.is_stale == bool(wanted[file.key])
            found = file.staleness().reasons
            assert {self.reason(one) for one in found} == wanted[file.key], file.key
            assert len(found) == len(told.get(file.key, ()))
            for one in found:
                assert one.chain[-1] == file and one.chain[0] == one.read
        assert set(ln.lineage.stale(*self.files).list("id")) == self.ids(
            version for version in self.model.versions() if self.model.is_stale(version)
        )

    @staticmethod
    def reason(one: Any) -> Reason:
        return one.kind, (one.read.key, one.read.version), one.current.version if one.current else None

    def ids(self, versions: Any) -> set[str]:
        wanted = {version.label for version in versions}
        return {file_id for file_id, label in self.files.items() if label in wanted}

    def ask_plan(self) -> None:
        units, left = self.model.plan()
        found = ln.lineage.plan()
        assert {str(unit) for unit in found} == set(units) and len(found) == len(units)
        assert bool(found) == bool(self.model.stale())
        assert {file.key: one.kind for one in found.left_out for file in one.files} == {
            one.line.key: kind for one, kind in left.items()
        }
        done: set[str] = set()
        for unit in found:
            assert units[str(unit)] <= done
            assert unit.reasons
            done.add(str(unit))
        plain = self.cli("plan", "--json").json
        assert [one["command"] or f"notebook {one['notebook']}" for one in plain["units"]] == list(map(str, found))

    def ask_why(self) -> None:
        for line in self.model.lines:
            kept = [version for version in line.versions if not version.is_trashed]
            for before, after in pairwise(kept):
                file = ln.File.select(key=line.key).one().versions.filter(version=after.number).one()
                found = ln.why(file)
                assert {self.cause(one) for one in found.causes} == {
                    self.plain_cause(one) for one in self.model.why(before, after)
                }, (line.key, after.number, found)
                assert found.same_bytes == (before.text == after.text)
                for cause in found.causes:
                    assert cause.way[-1].id == file.id

    @staticmethod
    def cause(one: Any) -> tuple[Any, ...]:
        """Return a cause as the model has it."""
        if one.kind == "saved":
            return (one.kind, one.files[1].key, one.before, one.after)
        if one.kind == "input":
            return (one.kind, (one.after is not None, one.name[:-4]))
        if one.kind in {"continued", "producer"}:
            return (one.kind, one.files[1].key)
        if one.kind == "module":
            return (one.kind, one.name)
        if one.kind == "code":
            return (one.kind, one.before, one.after)
        return (one.kind,) if one.kind == "arguments" else (one.kind, one.name, one.before, one.after)

    @staticmethod
    def plain_cause(one: tuple[Any, ...]) -> tuple[Any, ...]:
        kind, name, *values = one
        if kind == "input":
            return (kind, (values[0], ln.File.select(key=name).one().stem_id))
        if kind == "code":
            return (kind, *values)
        if kind in {"module", "continued", "producer"}:
            return (kind, name)
        return (kind,) if kind == "arguments" else one

    def ask_affected(self) -> None:
        wanted = self.model.affected()
        shown = set(self.model.current())
        assert set(ln.lineage.affected().list("id")) == self.ids(set(wanted) & shown)
        assert set(ln.lineage.affected(*self.files).list("id")) == self.ids(wanted)
        assert set(ln.File.objects.filter(is_flagged=True).list("id")) == self.ids(
            one for one in self.model.versions() if one.is_flagged
        )
        for version in shown:
            by = ln.File.select(key=version.line.key).one().affected_by()
            assert {self.files[one.flagged.id] for one in by.reasons} == {
                one.label for one in wanted.get(version, set())
            }

    def ask_impact(self) -> None:
        for version in self.model.current():
            found = ln.lineage.impact(version.line.key)
            assert {self.files[file.id] for file in found.files} == {
                one.label for one in self.model.derived(version) if one is not version
            }, version.label
            listed = self.cli("impact", version.line.key, "--files").out.splitlines()
            assert listed == sorted({one.key for one in found.files}) or len(listed) == len(found.files)

    def ask_transforms(self) -> None:
        for transform in ln.Transform.select():
            runs = [run for run in self.model.runs if run.program == transform.name]
            numbers = [run.facts.get(("code", "")) for run in runs]
            assert list(transform.runs.order_by("id").list("revision")) == numbers, transform.name
            assert [run.status for run in transform.runs.order_by("id")] == [run.status for run in runs]
            found = [(one.number, one.run_count) for one in transform.revisions]
            assert found == [(n, numbers.count(n)) for n in sorted({n for n in numbers if n})], transform.name
        assert {run.program for run in self.model.runs} == set(ln.Transform.select().list("name"))

    def ask_status(self, *edited: str) -> None:
        """Ask what needs attention: stale and affected files by their causes, failed runs, edited files."""
        found = ln.lineage.status()
        told = [(one, file.key) for one in found.stale for file in one.files]
        assert {key for _, key in told} == {one.line.key for one in self.model.stale()}
        for one, key in told:
            kind = "superseded" if one.current else "removed"
            cause = kind, (one.read.key, one.read.version), one.current.version if one.current else None
            assert cause in self.model.causes(self.model[str(key)])
        affected = self.model.affected()
        flagged = {(one.flagged.key, one.flagged.version): one.files for one in found.affected}
        assert set(flagged) == {one.label for one in self.model.versions() if one.is_flagged}
        listed = sorted(str(file.key) for files in flagged.values() for file in files)
        assert listed == sorted(one.line.key for one in self.model.current() if one in affected)
        for label, files in flagged.items():
            assert all(label in {one.label for one in affected[self.model[str(file.key)]]} for file in files)
        last = {run.program: run.status for run in self.model.runs}
        assert {run.transform.name for run in found.failed} == {name for name in last if last[name] != "completed"}
        assert (found.edited, found.uncommitted) == (edited, ())
        assert self.cli("status", "--json").json == found.as_dict()

    def ask_code(self, *edited: str) -> None:
        """Ask for what was made by code that is other code by now: the programs named, or a module that they import."""
        wanted = self.model.with_code(lambda run: run.program in edited)
        assert set(ln.lineage.stale(code=True).list("key")) == {one.line.key for one in wanted}


def begin(folder: Path, storage: str, database: str | None, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = folder / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    ln.setup.init(storage=storage, db=database, name="six-weeks")
    return Project(project, folder / "packages", cli)


@depth.on_one_database()
def test_six_weeks(tmp_path: Path, database: str | None, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("snakemake")
    project = begin(tmp_path, "./mydata", database, cli, monkeypatch)
    model = project.model

    # The first week: everything is made once.
    project.save("raw/plate.csv", "plate 1")
    project.save("raw/layout.csv", "layout 1")
    project.save("daily/1.txt", "day 1\n")
    for process in ("python clean.py", "notebook explore.ipynb", WORKFLOW, "python flow.py", "python append.py 1"):
        project.start(process)
    project.ask()
    project.ask_code()

    # A table is appended to.
    project.save("daily/2.txt", "day 2\n")
    project.start("python append.py 2")
    project.ask()

    # A run is killed.
    project.killed()
    project.ask()

    # The second week: code is edited, then parameters, then a package is upgraded.
    project.edit(flow=2)
    project.ask_code("draw")
    project.start("python flow.py")
    project.ask()
    project.how = "median"
    project.start("python flow.py")
    project.ask()
    project.install("2.0")
    project.start("notebook explore.ipynb")
    project.ask()
    # The rules of a workflow count for what its commands make; the code of these is the same.
    project.edit(rules=2)
    project.ask_code("count", "top")
    project.start(WORKFLOW)
    project.ask()
    project.ask_code()

    # The third week: a module is edited, and everything after it made again.
    project.edit(cleaning=2)
    project.ask_code("clean")
    project.start("python clean.py")
    project.ask()
    project.follow()

    # The fourth week: the raw data is replaced; later it is found to be bad.
    view = Path("mydata/raw/plate.csv")
    view.unlink()
    view.write_text("plate 2, contaminated")
    project.ask_status("raw/plate.csv")
    project.save("raw/plate.csv", "plate 2, contaminated")
    project.ask()
    project.follow()
    ln.File.select(key="raw/plate.csv").one().flag("contaminated")
    model["raw/plate.csv"].is_flagged = True
    project.ask()
    project.save("raw/layout.csv", "layout 2")
    project.ask()
    project.follow(left={"results/explore.txt": "flagged"})

    # The fifth week: the old raw data is brought back.
    cli("revert", "raw/plate.csv", "--to", "1")
    model.revert("raw/plate.csv", 1)
    project.ask()
    project.follow()
    cli("revert", "figures/fit.txt", "--to", "2")
    model.revert("figures/fit.txt", 2)
    project.ask()
    project.follow()

    # Other raw data that gives the same bytes: what was made of them is fresh again without being made.
    project.save("raw/plate.csv", "plate 1\n")
    project.ask()
    project.start("python clean.py")
    project.ask()
    assert not ln.lineage.plan()

    # The sixth week: a file is renamed, goes to the trash, and comes back; a row of the table is corrected.
    cli("mv", "raw/layout.csv", "raw/layout-96.csv")
    model.rename("raw/layout.csv", "raw/layout-96.csv")
    project.ask()
    project.follow()
    project.save("raw/layout-96.csv", "layout 3")
    project.ask()
    project.edit(explore="raw/layout-96.csv")
    project.ask_code("explore")
    project.follow()
    cli("rm", "raw/layout-96.csv")
    model.trash("raw/layout-96.csv", 3)
    project.ask()
    cli("rm", "raw/layout-96.csv", "--versions")
    model.trash("raw/layout-96.csv", 1, 2)
    project.ask()
    project.follow(left={"results/explore.txt": "removed"})
    cli("trash", "restore", *ln.File.objects.filter(key="raw/layout-96.csv").list("id"))
    model.restore("raw/layout-96.csv")
    project.ask()
    project.follow()
    project.save("daily/1.txt", "day 1, corrected\n")
    project.ask()
    project.follow(left={"tables/log.txt": "loop"})
    cli("revert", "daily/1.txt", "--to", "1")
    model.revert("daily/1.txt", 1)
    project.ask()
    project.follow()


def test_two_weeks_on_a_bucket(tmp_path: Path, seaweed_root: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    project = begin(tmp_path, seaweed_root, None, cli, monkeypatch)
    model = project.model
    project.save("raw/plate.csv", "plate 1")
    project.save("daily/1.txt", "day 1\n")
    for process in ("python clean.py", "python flow.py", "python append.py 1"):
        project.start(process)
    project.ask()
    project.edit(cleaning=2)
    project.ask_code("clean")
    project.start("python clean.py")
    project.ask()
    project.follow()
    project.save("raw/plate.csv", "plate 2, contaminated")
    project.ask()
    project.follow()
    ln.File.select(key="raw/plate.csv").one().flag("contaminated")
    model["raw/plate.csv"].is_flagged = True
    project.ask()
    cli("revert", "raw/plate.csv", "--to", "1")
    model.revert("raw/plate.csv", 1)
    project.ask()
    project.follow()
    # Other raw data that gives the same bytes: what was made of them is fresh again without being made.
    project.save("raw/plate.csv", "plate 1\n")
    project.ask()
    project.start("python clean.py")
    project.ask()
    assert not ln.lineage.plan()
    cli("mv", "daily/1.txt", "daily/first.txt")
    model.rename("daily/1.txt", "daily/first.txt")
    project.ask()
    cli("rm", "daily/first.txt")
    model.trash("daily/first.txt", 1)
    project.ask()
    project.follow(left={"tables/log.txt": "removed"})
