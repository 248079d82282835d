"""Programs of any language under `lamin run`: alone, many at once, from shells, Make and Snakemake."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

import lamindb as ln
from tests.support.processes import BIN_FOLDER, lamin, run_command, run_together
from tests.support.ways import check, keys, run_that_made, stored, work

LAMIN = BIN_FOLDER / "lamin"


@pytest.fixture
def project(local_instance: Path) -> Path:
    """Make a project with one registered input; return its folder."""
    ln.File(b"ACGT", key="in.txt").save()
    return local_instance.parent


# Each waits until all have begun, so that all of them really work at the same time.
MEET = """
import pathlib, sys, time
name, count = sys.argv[1], int(sys.argv[2])
pathlib.Path("begun", name).touch()
deadline = time.monotonic() + 60
while len(list(pathlib.Path("begun").iterdir())) < count:
    assert time.monotonic() < deadline
    time.sleep(0.01)
text = pathlib.Path(f"in-{name}.txt").read_text()
pathlib.Path("out", f"{name}.txt").write_text(text.upper())
pathlib.Path("out", f"{name}.log").write_text("log of " + name)
print("printed by", name)
if name == "5":
    sys.exit(5)
pathlib.Path("ended", name).touch()
while len(list(pathlib.Path("ended").iterdir())) < count - 1:
    assert time.monotonic() < deadline
    time.sleep(0.01)
"""


def prepare_eight(project: Path) -> None:
    for folder in ("begun", "ended", "out"):
        (project / folder).mkdir()
    (project / "meet.py").write_text(MEET)
    for number in range(8):
        (project / f"in-{number}.txt").write_text(f"input of {number}")


def test_eight_at_once_in_one_folder(project: Path) -> None:
    prepare_eight(project)
    commands = [
        [LAMIN, "run", "--transform", "meet", "--in", f"in-{number}.txt", "--out", f"out/{number}.*",
         "--param", f"number={number}", "--", sys.executable, "meet.py", str(number), "8"]
        for number in range(8)
    ]  # fmt: skip
    for number, done in enumerate(run_together(commands, cwd=project)):
        assert (done.returncode, done.stdout) == (5 if number == 5 else 0, f"printed by {number}\n"), done.stderr
    transform = ln.Transform.select(name="meet").one()
    assert transform.type == "command"
    assert transform.runs.count() == 8
    for number in range(8):
        run = ln.Run.select(params__number=number).one()
        assert keys(run.inputs) == [f"in-{number}.txt"]
        assert stored(run.log_digest) == f"printed by {number}\n"
        assert (run.status, run.exit_code) == (("failed", 5) if number == 5 else ("completed", 0))
        # A program that failed made nothing that is kept.
        assert keys(run.outputs) == ([] if number == 5 else [f"out/{number}.log", f"out/{number}.txt"])
        if number != 5:
            with ln.File.select(key=f"out/{number}.txt").one().open() as stream:
                assert stream.read() == f"INPUT OF {number}".encode()
        assert run.arguments is not None
        assert run.arguments[1:] == ["meet.py", str(number), "8"]
        assert stored(run.source_digest) == MEET


@pytest.mark.parametrize("watched", [False, True])
def test_eight_at_once_whose_patterns_say_nothing(project: Path, watched: bool) -> None:
    if watched and (shutil.which("strace") is None or run_command("strace", "true", check=False).returncode != 0):
        pytest.skip("strace is not installed, or not allowed")
    prepare_eight(project)
    option = ["--capture"] if watched else []
    commands = [
        [LAMIN, "run", "--transform", "meet", "--out", "out/*.txt", "--param", f"number={number}", *option, "--",
         sys.executable, "meet.py", str(number), "8"]
        for number in range(8)
    ]  # fmt: skip
    ended = run_together(commands, cwd=project)
    assert [done.returncode for done in ended] == [5 if number == 5 else 0 for number in range(8)]
    for number in range(8):
        run = ln.Run.select(params__number=number).one()
        # Its own or none: what cannot be told apart is not guessed, and a message says so.
        assert keys(run.outputs) in ([], [f"out/{number}.txt"]), number
        if not keys(run.outputs) and number != 5:
            assert not watched, (run.capture, ended[number].stderr)
            assert "not saved" in ended[number].stderr
    assert all(file.run is not None for file in ln.File.select(key__startswith="out/"))


def test_a_shell_script_from_begin_to_end(project: Path) -> None:
    (project / "child.py").write_text(work("child"))
    script = project / "nightly.sh"
    script.write_text(
        "set -e\n"
        "export LAMIN_RUN_ID=$(lamin track --transform nightly --param day=3)\n"
        "trap 'lamin finish --exit-code $?' EXIT\n"
        "lamin get in.txt -o copy.txt\n"
        "tr A-Z a-z < copy.txt > small.txt\n"
        "lamin save small.txt --key small.txt\n"
        f"{shlex.quote(sys.executable)} child.py\n"
        "lamin run --transform inner --in small.txt --out inner.txt -- sh -c 'wc -c < small.txt > inner.txt'\n"
        'echo done\n[ -z "$1" ] || exit "$1"\n'
    )
    assert run_command("sh", "nightly.sh", cwd=project).stdout.endswith("done\n")
    whole = run_that_made("small")
    assert (whole.transform.name, whole.transform.type, whole.params) == ("nightly", "command", {"day": 3})
    assert (whole.status, whole.exit_code, keys(whole.inputs)) == ("completed", 0, ["in.txt"])
    assert (keys(whole.outputs), stored(whole.source_digest)) == (["small.txt"], script.read_text())
    check("child", "script", "child.py", "child", source=work("child"), parent=whole)
    inner = run_that_made("inner")
    assert (inner.parent, inner.transform.name, keys(inner.inputs)) == (whole, "inner", ["small.txt"])
    failed = run_command("sh", "nightly.sh", "4", cwd=project, check=False)
    assert failed.returncode == 4
    again = ln.Run.select(transform=whole.transform).order_by("-created_at").first()
    assert again is not None
    assert (again.status, again.exit_code, keys(again.inputs)) == ("failed", 4, ["in.txt"])
    assert whole.transform.runs.count() == 2


def test_make_and_what_it_starts(project: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    (project / "reads.txt").write_text("acgt\n")
    (project / "child.py").write_text(work("made"))
    (project / "Makefile").write_text(
        "all: count.txt upper.txt\n\n"
        "%.txt: reads.txt\n"
        f"\t{LAMIN} run --transform $* --in reads.txt --out $@ -- sh -c '$(do_$*) < reads.txt > $@'\n"
        "do_count = wc -c\ndo_upper = tr a-z A-Z\n"
    )
    run_command(LAMIN, "run", "--transform", "all of it", "--", "make", "-j2", cwd=project)
    whole = ln.Run.select(transform__name="all of it").one()
    for name in ("count", "upper"):
        run = run_that_made(name)
        assert (run.transform.name, run.transform.type, run.status, run.exit_code) == (name, "command", "completed", 0)
        assert (run.parent, keys(run.inputs), keys(run.outputs)) == (whole, ["reads.txt"], [f"{name}.txt"])
    assert (whole.status, keys(whole.outputs)) == ("completed", [])
    assert ln.File.select(key="reads.txt").count() == 1


SNAKEFILE = """
rule report:
    input: expand("count-{name}.txt", name=["a", "b", "c"]), "upper.txt"
    output: "report.txt"
    shell: "LAMIN run --transform {rule} --in count-a.txt --in count-b.txt --in count-c.txt --in upper.txt "
           "--out {output} -- sh -c 'cat {input} > {output}'"

rule count:
    input: "{name}.reads"
    output: "count-{name}.txt"
    shell: "LAMIN run --transform {rule} --in {input} --out {output} --param name={wildcards.name} -- "
           "sh -c 'wc -c < {input} > {output}'"

rule upper:
    input: "a.reads"
    output: "upper.txt"
    shell: "LAMIN run --transform {rule} --in {input} --out {output} -- PYTHON child.py {input} {output}"
"""
CHILD = """\
import sys
import lamindb as ln
ln.track()
text = open(sys.argv[1]).read().upper()
open(sys.argv[2], "w").write(text)
ln.File(text.encode(), key="by-child.txt").save()
"""


def test_a_workflow_whose_rules_are_runs(project: Path) -> None:
    pytest.importorskip("snakemake")
    for name in "abc":
        (project / f"{name}.reads").write_text(name * 10)
    (project / "child.py").write_text(CHILD)
    (project / "Snakefile").write_text(SNAKEFILE.replace("LAMIN", str(LAMIN)).replace("PYTHON", sys.executable))
    workflow = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet"]
    run_command(LAMIN, "run", "--transform", "workflow", "--", *workflow, cwd=project)
    whole = ln.Run.select(transform__name="workflow").one()
    assert (whole.status, whole.parent, keys(whole.outputs)) == ("completed", None, [])
    for name in "abc":
        run = run_that_made(f"count-{name}")
        assert (run.transform.name, run.params, run.parent) == ("count", {"name": name}, whole)
        assert (run.status, keys(run.inputs), keys(run.outputs)) == (
            "completed",
            [f"{name}.reads"],
            [f"count-{name}.txt"],
        )
    assert ln.Transform.select(name="count").one().runs.count() == 3
    upper = run_that_made("upper")
    child = run_that_made("by-child")
    assert (child.transform.type, child.transform.reference, child.parent) == ("script", "child.py", upper)
    assert (child.status, child.arguments, stored(child.source_digest)) == (
        "completed",
        ["a.reads", "upper.txt"],
        CHILD,
    )
    report = run_that_made("report")
    assert keys(report.inputs) == ["count-a.txt", "count-b.txt", "count-c.txt", "upper.txt"]
    assert {file.key for file in report.ancestors()} >= {"a.reads", "b.reads", "c.reads", "upper.txt", "count-a.txt"}
    # What is up to date is not run, and nothing new is recorded of it.
    lamin("run", "--transform", "workflow", "--", *workflow, cwd=project)
    assert ln.Run.select().count() == 8
    assert json.loads(lamin("runs", "--json", cwd=project).stdout)[0]["transform"] == "workflow"
