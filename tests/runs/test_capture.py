"""Capture: which files a run opened, by which layer each was seen, and how complete that is."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.environment.file_access import audit, strace
from tests.support import depth
from tests.support.processes import clean_environment, run_command, run_python, run_script
from tests.support.readers import READERS, Reader

PAGE = Path(__file__).parents[2] / "docs" / "capture.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"


def keys(files: Any) -> list[str]:
    return [file.key for file in files]


def only(**filters: Any) -> ln.Run:
    return ln.Run.select(**filters).one()


def told(run: ln.Run) -> dict[str, str]:
    assert run.capture is not None
    return {Path(one["path"]).name: one["as"] for one in run.capture["files"]}


def test_what_is_read_and_written_under_the_root_is_linked(instance: Path) -> None:
    ln.File(b"ACGT", key="in/a.txt").save()
    ln.File(b"unused", key="in/b.txt").save()
    Path("outside.txt").write_text("x")
    with ln.track(ln.Transform(name="Whole", type="pipeline"), capture=True) as run:
        text = (instance / "in/a.txt").read_text() + Path("outside.txt").read_text()
        (instance / "made.txt").write_text(text)
        Path("elsewhere.txt").write_text("y")
        ln.File(b"explicit", key="explicit.txt").save()
    assert keys(run.inputs) == ["in/a.txt"]
    assert sorted(keys(run.outputs)) == ["explicit.txt", "made.txt"]
    assert told(run) == {
        "a.txt": "input",
        "outside.txt": "observed",
        "made.txt": "output",
        "elsewhere.txt": "observed",
    }
    assert ln.File.select().count() == 4
    link = next(iter(run.inputs))
    assert link.input_of.one() == run
    stored = ln.Run.select(id=run.id).one().capture
    assert stored is not None
    assert stored["mode"] == "python"
    assert {one["path"]: one["layers"] for one in stored["files"]}[str(instance / "in/a.txt")] == ["audit"]


def test_without_capture_nothing_is_watched(instance: Path) -> None:
    ln.File(b"ACGT", key="a.txt").save()
    with ln.track(ln.Transform(name="Whole", type="pipeline")) as run:
        (instance / "a.txt").read_text()
    assert run.inputs.list() == []
    assert run.capture == {"mode": "off", "completeness": "off"}


def test_a_setting_turns_it_on(local_instance: Path) -> None:
    ln.settings.capture = True
    ln.File(b"ACGT", key="a.txt").save()
    with ln.track(ln.Transform(name="Whole", type="pipeline")) as run:
        (local_instance / "a.txt").read_text()
    assert keys(run.inputs) == ["a.txt"]


def test_what_the_run_made_is_not_its_input(local_instance: Path) -> None:
    with ln.track(ln.Transform(name="Whole", type="pipeline"), capture=True) as run:
        ln.File(b"made", key="made.txt").save()
        (local_instance / "made.txt").read_text()
        (local_instance / "own.txt").write_text("own")
        (local_instance / "own.txt").read_text()
    assert run.inputs.list() == []
    assert sorted(keys(run.outputs)) == ["made.txt", "own.txt"]


def test_a_temporary_name_is_not_an_output(local_instance: Path) -> None:
    with ln.track(ln.Transform(name="Whole", type="pipeline"), capture=True) as run:
        (local_instance / "part").write_text("x")
        (local_instance / "part").replace(local_instance / "final.txt")
        (local_instance / "gone.txt").write_text("x")
        (local_instance / "gone.txt").unlink()
    assert keys(run.outputs) == ["final.txt"]
    assert told(run) == {"final.txt": "output"}


def test_a_file_that_changed_after_it_was_read_is_only_told(local_instance: Path, tmp_path: Path) -> None:
    root = tmp_path / "further"
    root.mkdir()
    (root / "data.txt").write_text("first")
    ln.Storage(root=str(root)).save()
    ln.File(root / "data.txt").save()
    with ln.track(ln.Transform(name="Whole", type="pipeline"), capture=True) as run:
        (root / "data.txt").read_text()
        code = f"open({str(root / 'data.txt')!r}, 'w').write('second one')"
        subprocess.run([sys.executable, "-c", code], check=True)
    assert run.inputs.list() == []
    assert told(run) == {"data.txt": "observed"}
    assert run.capture is not None
    assert run.capture["completeness"] == "partial"


def test_members_of_a_saved_folder_are_that_folder(local_instance: Path) -> None:
    folder = Path("parts")
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    ln.File(folder, key="parts").save()
    with ln.track(ln.Transform(name="Whole", type="pipeline"), capture=True) as run:
        (local_instance / "parts/a.txt").read_text()
    assert keys(run.inputs) == ["parts"]


def test_other_processes_make_it_partial(local_instance: Path) -> None:
    with ln.track(ln.Transform(name="Whole", type="pipeline"), capture=True) as run:
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert run.capture is not None
    assert run.capture["completeness"] == "partial"
    assert "1 other programs" in run.capture["reasons"][0]


def test_complete_means_that_the_system_saw_nothing_else(local_instance: Path) -> None:
    """In a process of its own: libraries that other tests have loaded would be a reason for doubt."""
    ln.File(b"ACGT", key="a.txt").save()
    code = """
        import json
        import lamindb as ln
        with ln.track(ln.Transform(name="Whole", type="pipeline"), capture=True) as run:
            (ln.settings.storage / "a.txt").read_text()
        print(json.dumps(run.capture))
    """
    capture = json.loads(run_python(code, cwd=local_instance.parent).stdout.splitlines()[-1])
    if not capture["reasons"]:
        assert capture["completeness"] == "complete"
    else:
        assert sys.platform != "linux", capture["reasons"]


def test_two_runs_at_once_keep_to_their_own_files(local_instance: Path) -> None:
    code = """
import sys, time
import lamindb as ln
number = sys.argv[1]
ln.track(ln.Transform(name=f"run {number}", type="pipeline"), capture=True)
root = ln.settings.storage
open(f"ready{number}", "w").close()
import os
while not (os.path.exists("ready0") and os.path.exists("ready1")):
    time.sleep(0.01)
for position in range(10):
    (root / f"in{number}.txt").read_text()
    (root / f"made{number}_{position}.txt").write_text(f"{number} {position}")
    time.sleep(0.01)
"""
    for number in range(2):
        ln.File(f"in{number}".encode(), key=f"in{number}.txt").save()
    Path("work.py").write_text(code)
    processes = [
        subprocess.Popen([sys.executable, "work.py", str(number)], env=clean_environment(), stderr=subprocess.PIPE)
        for number in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
    for number in range(2):
        run = only(transform__name=f"run {number}")
        assert keys(run.inputs) == [f"in{number}.txt"]
        assert sorted(keys(run.outputs)) == sorted(f"made{number}_{position}.txt" for position in range(10))


def test_the_hook_never_raises_into_the_program(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: Any, **options: Any) -> None:
        raise RuntimeError("a fault of ours")

    with ln.track(ln.Transform(name="Whole", type="pipeline"), capture=True):
        monkeypatch.setattr(audit.Watch, "opened", failing)
        Path("a.txt").write_text("x")
        assert Path("a.txt").read_text() == "x"


def test_an_end_by_itself_records_what_was_seen(local_instance: Path) -> None:
    ln.File(b"ACGT", key="a.txt").save()
    code = """
import lamindb as ln
ln.track(capture=True)
(ln.settings.storage / "a.txt").read_text()
(ln.settings.storage / "b.txt").write_text("b")
"""
    run_script(Path("work.py"), code)
    assert (keys(only().inputs), keys(only().outputs)) == (["a.txt"], ["b.txt"])


MEASURE = """
import json, os, sys
path = os.environ["PREPARED"]
exec(os.environ["PREPARE"])
{imports}
import lamindb as ln
ln.settings.verbosity = 0
if {registers!r}:
    ln.File(path, key=os.environ["KEY"]).save()
path = os.environ["TARGET"]
run = ln.track(ln.Transform(name="measured", type="pipeline"), capture=True)
exec(os.environ["CODE"])
ln.finish()
run = ln.Run.select(id=run.id).one()
print(json.dumps({{"in": [f.key for f in run.inputs], "out": [f.key for f in run.outputs], "capture": run.capture}}))
"""


def measured(root: Path, reader: Reader, access: str, how: str) -> dict[str, Any]:
    """Run one library in a process of its own, and return what was recorded of it."""
    target = root / f"{access}-{how}{reader.suffix}"
    code, registers = (reader.read, True) if access == "read" else (reader.write, False)
    key = target.relative_to(ln.settings.storage).as_posix()
    prepared = Path(f"prepared-{key.replace('/', '-')}").absolute()
    environment = clean_environment(
        TARGET=str(target), KEY=key, PREPARED=str(prepared), CODE=code, PREPARE=reader.write if registers else ""
    )
    if how == "strace":
        program = "import os; path = os.environ['TARGET']; exec(os.environ['CODE'])"
        if registers:
            prepare = "import os; path = os.environ['PREPARED']; exec(os.environ['PREPARE'])"
            run_command(sys.executable, "-c", prepare, env=environment)
            ln.File(prepared, key=key).save()
        lamin = str(Path(sys.executable).with_name("lamin"))
        run_command(lamin, "run", "--capture", "--", sys.executable, "-c", program, env=environment)
        run = ln.Run.select().order_by("-created_at", "-id").first()
        assert run is not None
        return {"in": keys(run.inputs), "out": keys(run.outputs), "capture": run.capture}
    # A library may be loaded before or after the watch begins: both are measured, in turn.
    imports = f"import {reader.package}" if how == "loaded" else ""
    done = run_command(sys.executable, "-c", MEASURE.format(imports=imports, registers=registers), env=environment)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def outcome(root: Path, reader: Reader, access: str, how: str) -> str:
    found = measured(root, reader, access, how)
    key = (root / f"{access}-{how}{reader.suffix}").relative_to(ln.settings.storage).as_posix()
    right = found["in"] if access == "read" else found["out"]
    others = [one for one in (*found["in"], *found["out"]) if one != key]
    if others:
        return f"wrong: {others}"
    if key in right:
        layers = {layer for one in found["capture"]["files"] if key in one["path"] for layer in one["layers"]}
        return "+".join(sorted(layer.partition(":")[0] for layer in layers))
    return "missed, and said so" if found["capture"]["completeness"] == "partial" else "missed"


def table(root: Path, readers: tuple[Reader, ...]) -> str:
    """Measure all libraries; a line each, recall and false positives below."""
    hows = ["loaded", "later", *(["strace"] if strace.works() else [])]
    head = ["library", *(f"{access}, {how}" for how in hows for access in ("read", "write"))]
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    seen = {how: [0, 0, 0] for how in hows}
    for number, reader in enumerate(readers):
        folder = root / str(number)
        folder.mkdir()
        cells = [reader.name]
        for how in hows:
            for access in ("read", "write"):
                cell = outcome(folder, reader, access, how)
                seen[how][0] += 1
                seen[how][1] += not cell.startswith(("missed", "wrong"))
                seen[how][2] += cell.startswith("wrong")
                cells.append(cell)
        lines.append(" | ".join(cells))
    rows = "\n".join(f"| {line} |" for line in lines)
    sums = "\n".join(
        f"- {how}: {found} of {count} seen ({found / count:.0%}), {wrong} false"
        for how, (count, found, wrong) in seen.items()
    )
    return f"{rows}\n\n{sums}\n"


def installed() -> tuple[Reader, ...]:
    return tuple(reader for reader in READERS if importlib.util.find_spec(reader.package) is not None)


@pytest.mark.parametrize(
    ("access", "reader"),
    depth.spread(2, [(access, reader) for reader in installed() for access in ("read", "write")]),
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_each_library_is_seen_or_the_gap_is_said(local_instance: Path, reader: Reader, access: str) -> None:
    found = outcome(local_instance, reader, access, "later")
    assert not found.startswith("wrong")
    assert found != "missed"
    assert f"{reader.name}, {access}: {found}".startswith(f"{reader.name}, {access}")


def test_the_page_has_a_measured_table() -> None:
    """The table is written by `python -m tests.runs.test_capture`, as it is measured."""
    text = PAGE.read_text(encoding="utf-8")
    assert BEGIN in text
    assert END in text
    shown = text.split(BEGIN, 1)[1].split(END, 1)[0]
    for reader in READERS:
        assert f"| {reader.name} |" in shown, reader.name


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        os.environ |= {"LAMIN_SETTINGS_DIR": f"{place}/settings", "LAMIN_CACHE_DIR": f"{place}/cache"}
        os.chdir(place)
        ln.settings.verbosity = 0
        ln.setup.init(storage="./mydata")
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        drawn = table(ln.settings.storage, installed())
        PAGE.write_text(f"{before}{BEGIN}\n\n{drawn}\n{END}{rest.split(END)[1]}", encoding="utf-8")
        ln.disconnect()


@pytest.mark.parametrize("is_command", [False, True])
def test_files_whose_names_are_no_text_are_told_visibly(instance: Path, *, is_command: bool) -> None:
    if is_command and not strace.works():
        pytest.skip("needs strace")
    ln.File(b"ACGT", key="in.txt").save()
    odd = os.fsdecode(os.fsencode(instance) + b"/caf\xe9")
    with open(f"{odd}.txt", "wb") as stream:
        stream.write(b"odd")
    files = [(f"{odd}.txt", "r"), (str(instance / "in.txt"), "r"), (f"{odd}.csv", "w")]
    code = f"for name, mode in {files!r}:\n    with open(name, mode):\n        pass"
    if is_command:
        from lamindb.runs.commands.command import run_command as run_program

        run = only(id=run_program([sys.executable, "-c", code], capture=True).run_id)
    else:
        with ln.track(ln.Transform(name="Whole", type="pipeline"), capture=True) as run:
            exec(code)
    assert keys(run.inputs) == ["in.txt"]
    seen = told(only(id=run.id))
    assert (seen["caf\\udce9.txt"], seen["caf\\udce9.csv"], seen["in.txt"]) == ("observed", "observed", "input")
