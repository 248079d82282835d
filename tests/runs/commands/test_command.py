"""Commands as runs: real programs, run in real processes, with their exit codes, output, signals and files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.environment.file_access import strace
from lamindb.environment.run_program import launch
from lamindb.errors import InvalidInputError, NoResultFound
from lamindb.runs.commands.command import command_name, run_command
from lamindb.runs.commands.shell import begin_shell, end_shell
from lamindb.storage.base import ObjectName
from tests.support.processes import BIN_FOLDER, clean_environment, lamin, run_python, run_together
from tests.support.processes import run_command as run_program

LAMIN = BIN_FOLDER / "lamin"


def newest() -> ln.Run:
    found = ln.Run.select().order_by("-created_at", "-id").first()
    assert found is not None
    return found


def stored(name: str | None) -> str:
    assert name is not None
    parsed = ObjectName.parse(name)
    assert parsed is not None
    return context.instance().store.read(parsed).decode()


def keys(files: Any) -> list[str]:
    return [file.key for file in files]


def sh(code: str, **options: Any) -> Any:
    return run_command(["sh", "-c", code], **options)


def test_outputs_that_are_links_have_the_names_of_the_links(
    local_instance: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    (scratch / "deep").mkdir()
    Path("results").symlink_to(scratch)
    code = f"""
        mkdir out && echo 1 > out/run1.txt && ln -s run1.txt out/latest.txt
        echo 2 > {scratch}/far.dat && ln -s {scratch}/far.dat out/far.txt
        echo 3 > results/n.txt && echo 4 > results/deep/n.txt
    """
    sh(code, outputs=["out/*.txt", "results/**/*.txt"])
    found = {file.key: file.load() for file in newest().outputs}
    assert found == {
        "out/run1.txt": "1\n",
        "out/latest.txt": "1\n",
        "out/far.txt": "2\n",
        "results/n.txt": "3\n",
        "results/deep/n.txt": "4\n",
    }


def test_a_command_is_a_run(instance: Path) -> None:
    done = sh("exit 0", params={"lr": 0.5})
    run = newest()
    assert (done.run_id, done.exit_code, done.status) == (run.id, 0, "completed")
    assert (run.status, run.exit_code, run.params) == ("completed", 0, {"lr": 0.5})
    assert (run.transform.type, run.transform.name) == ("command", "sh")
    assert run.arguments == ["sh", "-c", "exit 0"]
    assert stored(run.source_digest) == "sh -c 'exit 0'\n"
    assert run.capture == {"mode": "off", "completeness": "off"}
    assert ln.context.run is None


@pytest.mark.parametrize(
    ("code", "exit_code", "error"),
    [
        ("exit 3", 3, "exit code 3"),
        ("echo the disk is full >&2; exit 4", 4, "the disk is full\nexit code 4"),
        ("kill -9 $$", 137, "stopped by signal SIGKILL"),
        ("kill -TERM $$", 143, "stopped by signal SIGTERM"),
    ],
)
def test_a_failure_is_recorded_as_it_was(local_instance: Path, code: str, exit_code: int, error: str) -> None:
    done = sh(code)
    assert (done.exit_code, done.status) == (exit_code, "failed")
    assert (newest().status, newest().exit_code, newest().error) == ("failed", exit_code, error)


def test_a_program_that_is_not_there_has_failed(local_instance: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["no-such-program"]).exit_code == 127
    assert "no-such-program" in capfd.readouterr().err
    Path("data.txt").write_text("x")
    assert run_command(["./data.txt"]).exit_code == 126
    assert newest().status == "failed"


def test_output_passes_through_and_its_end_is_kept(local_instance: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(range(256))); sys.stdout.flush(); print('err', file=sys.stderr)"
    process = subprocess.run(
        [LAMIN, "run", "--", sys.executable, "-c", code], capture_output=True, env=clean_environment(), check=True
    )
    assert process.stdout == bytes(range(256))
    assert b"err\n" in process.stderr
    assert stored(newest().log_digest).endswith("err\n")


def test_a_long_log_keeps_its_end(local_instance: Path) -> None:
    sh("i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done")
    log = stored(newest().log_digest)
    assert log.startswith("[")
    assert log.endswith("line 29999\n")
    assert len(log) < 70_000


def test_who_stops_listening_does_not_stop_the_record(local_instance: Path) -> None:
    code = f"{LAMIN} run -- sh -c 'while echo y; do :; done' | head -n 1"
    done = run_program("bash", "-c", code)
    assert done.stdout == "y\n"
    deadline = time.monotonic() + 60
    while newest().status == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert newest().status in {"completed", "failed"}


def test_declared_files_are_linked(instance: Path) -> None:
    Path("reads.txt").write_text("ACGT")
    Path("other.txt").write_text("other")
    known = ln.File("other.txt", key="raw/other.txt").save()
    done = sh(
        "cat reads.txt > out.csv; mkdir -p more; echo 1 > more/a.txt; echo 2 > more/b.log",
        inputs=["reads.txt", "raw/other.txt"],
        outputs=["out.csv", "more/*.txt"],
    )
    run = newest()
    assert sorted(keys(run.inputs)) == ["raw/other.txt", "reads.txt"]
    assert sorted(keys(run.outputs)) == ["more/a.txt", "out.csv"]
    assert known in run.inputs
    assert ln.File.select(key="reads.txt").one().run is None
    assert ln.File.select(key="out.csv").one().run == run
    assert sorted(done.inputs) == ["raw/other.txt", "reads.txt"]
    assert sorted(done.outputs) == ["more/a.txt", "out.csv"]
    assert (instance / "out.csv").read_text() == "ACGT"


def test_the_same_input_is_the_same_record(local_instance: Path) -> None:
    Path("reads.txt").write_text("ACGT")
    ln.File("reads.txt", key="raw/reads.txt").save()
    sh("true", inputs=["reads.txt"])
    sh("true", inputs=["reads.txt", "mydata/raw/reads.txt"])
    assert keys(newest().inputs) == ["raw/reads.txt"]
    assert ln.File.select().count() == 1
    Path("reads.txt").write_text("TTTT")
    sh("true", inputs=["reads.txt"])
    assert keys(newest().inputs) == ["reads.txt"]


def test_an_input_that_is_not_there_stops_it_before_it_starts(local_instance: Path) -> None:
    with pytest.raises(NoResultFound, match="missing"):
        sh("touch started", inputs=["missing.txt"])
    assert not Path("started").exists()
    assert not ln.Run.select().exists()


@pytest.mark.parametrize("argv", [[], [1]])
def test_nothing_to_run_is_an_error(local_instance: Path, argv: list[Any]) -> None:
    with pytest.raises(InvalidInputError):
        run_command(argv)


def test_what_stood_there_before_is_no_output(local_instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("old.txt").write_text("old")
    Path("again.txt").write_text("old")
    sh("echo new > again.txt", outputs=["*.txt", "never.csv"])
    assert keys(newest().outputs) == ["again.txt"]
    assert "never.csv was not made" in capsys.readouterr().err


def test_outputs_of_a_failure_are_not_saved(local_instance: Path) -> None:
    sh("echo half > out.txt; exit 1", outputs=["out.txt"])
    assert not ln.File.select().exists()
    assert Path("out.txt").exists()


def test_a_folder_is_one_output(local_instance: Path) -> None:
    sh("mkdir -p report; echo 1 > report/a; echo 2 > report/b", outputs=["report"])
    file = newest().outputs[0]
    assert (file.key, file.is_folder, file.n_files) == ("report", True, 2)


def test_outputs_in_the_storage_are_taken_over(local_instance: Path) -> None:
    sh("echo 1 > mydata/result.txt", outputs=["mydata/result.txt"])
    assert keys(newest().outputs) == ["result.txt"]


def test_commands_are_called_by_program_and_script(local_instance: Path) -> None:
    project = Path.cwd()
    (project / "scripts").mkdir()
    for name in ("scripts/a.py", "scripts/b.sh", "data.csv"):
        (project / name).write_text("")
    (project / "tool").write_text("")
    for argv, name in [
        (["python3", "-u", "scripts/a.py", "--lr", "1"], "python3 scripts/a.py"),
        (["bash", "scripts/b.sh"], "bash scripts/b.sh"),
        (["/usr/bin/env"], "/usr/bin/env"),
        (["./tool", "data.csv"], "tool"),
        (["wc", "-l", "data.csv"], "wc"),
        (["python", "-m", "http.server"], "python -m http.server"),
        (["Rscript", "missing.R"], "Rscript"),
    ]:
        assert command_name(argv, project, project) == name
    assert command_name(["bash", "b.sh"], project / "scripts", project) == "bash scripts/b.sh"


def test_a_script_is_kept(local_instance: Path) -> None:
    Path("work.sh").write_text("echo working\n")
    run_command(["sh", "work.sh"])
    assert stored(newest().source_digest) == "echo working\n"


def test_a_declared_transform_is_found_by_its_name(local_instance: Path) -> None:
    pipeline = ln.Transform(name="Cell Ranger", type="pipeline", version="7").save()
    sh("true", transform="Cell Ranger")
    assert newest().transform == pipeline
    sh("true", transform="something new")
    assert (newest().transform.type, newest().transform.name) == ("command", "something new")


def test_what_a_command_starts_belongs_to_it(local_instance: Path) -> None:
    code = "import lamindb as ln; ln.File(b'1', key='saved.txt').save()"
    Path("step.py").write_text(
        "import lamindb as ln\nln.track()\nln.File(b'2', key='step.txt').save()\nln.finish()\n"
        "ln.File(b'3', key='after.txt').save()\n"
    )
    script = f'{sys.executable} -c "{code}" && {sys.executable} step.py && {LAMIN} run -- true'
    run_program(LAMIN, "run", "--out", "*.txt", "--", "sh", "-c", script)
    outer = ln.Run.select(parent=None).one()
    assert sorted(keys(outer.outputs)) == ["after.txt", "saved.txt"]
    steps = list(ln.Run.select(parent=outer).order_by("created_at"))
    assert [step.transform.name for step in steps] == ["step", "true"]
    assert keys(steps[0].outputs) == ["step.txt"]
    assert [step.status for step in steps] == ["completed", "completed"]


def test_what_a_step_made_is_not_the_commands(local_instance: Path) -> None:
    inner = f"{LAMIN} run --out inner.txt -- sh -c 'echo 1 > inner.txt'"
    run_program(LAMIN, "run", "--out", "*.txt", "--", "sh", "-c", f"{inner}; echo 2 > outer.txt")
    outer = ln.Run.select(parent=None).one()
    assert keys(outer.outputs) == ["outer.txt"]
    assert keys(ln.Run.select(parent=outer).one().outputs) == ["inner.txt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_program(local_instance: Path, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    code = f"trap 'echo got; exit 9' {name}; touch ready; while :; do sleep 0.02; done"
    # A shell cannot trap what was ignored when it began, as SIGINT is in what another shell runs in the background.
    process = subprocess.Popen(
        [LAMIN, "run", "--", "sh", "-c", code],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    while not Path("ready").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (9, b"got\n")
    assert newest().exit_code == 9


def test_a_signal_while_the_program_starts_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def slow_start(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = start(*args, **options)
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)
        return process

    monkeypatch.setattr(subprocess, "Popen", slow_start)
    code = f"trap 'exit 9' USR1; touch {tmp_path}/ready; while :; do sleep 0.02; done"
    assert launch(["sh", "-c", code], environment=os.environ, cwd=None).exit_code == 9


def test_a_killed_recorder_leaves_an_aborted_run(local_instance: Path) -> None:
    process = subprocess.Popen(
        [LAMIN, "run", "--", "sh", "-c", "touch ready; while [ -e ready ]; do sleep 0.05; done"],
        env=clean_environment(),
        stderr=subprocess.DEVNULL,
    )
    while not Path("ready").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert newest().status == "aborted"
    Path("ready").unlink()


@pytest.mark.parametrize("pattern", ["out_{}.txt", "out_*.txt"])
def test_eight_at_once_keep_to_their_own_files(local_instance: Path, pattern: str) -> None:
    if "*" in pattern and not strace.works():
        pytest.skip("without strace nobody can tell who wrote a file that several patterns name")
    commands = [
        [LAMIN, "run", "--out", pattern.format(n), "--", "sh", "-c", f"sleep 0.1; echo {n} > out_{n}.txt; sleep 0.1"]
        for n in range(8)
    ]
    for done in run_together(commands):
        assert done.returncode == 0, done.stderr
    runs = list(ln.Run.select())
    assert len(runs) == 8
    made = {run.arguments[2].split("> ")[1].split(";")[0]: keys(run.outputs) for run in runs if run.arguments}
    assert made == {f"out_{n}.txt": [f"out_{n}.txt"] for n in range(8)}


def test_without_a_tracer_doubtful_files_are_left_alone(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(strace, "works", lambda: False)
    other = subprocess.Popen(
        [
            LAMIN,
            "run",
            "--out",
            "*.txt",
            "--",
            "sh",
            "-c",
            "touch ready; while :; do sleep 0.05; done; echo 1 > theirs.txt",
        ],
        env=clean_environment(PATH=str(Path("/nowhere"))) | {"PATH": os.environ["PATH"]},
        stderr=subprocess.DEVNULL,
    )
    while not Path("ready").exists():
        time.sleep(0.01)
    sh("echo 2 > mine.txt; echo 3 > exact.txt", outputs=["*.txt", "exact.txt"])
    assert "mine.txt" in capsys.readouterr().err
    assert keys(newest().outputs) == ["exact.txt"]
    other.terminate()
    other.wait()


def test_captured_commands_link_what_they_open(local_instance: Path) -> None:
    if not strace.works():
        pytest.skip("strace is not there or not allowed")
    ln.File(b"ACGT", key="in.txt").save()
    ln.File(b"unused", key="unused.txt").save()
    Path("outside.txt").write_text("x")
    sh("cat mydata/in.txt outside.txt > mydata/out.txt.tmp && mv mydata/out.txt.tmp mydata/out.txt", capture=True)
    run = newest()
    assert keys(run.inputs) == ["in.txt"]
    assert keys(run.outputs) == ["out.txt"]
    assert run.capture is not None
    assert (run.capture["mode"], run.capture["completeness"]) == ("strace", "complete")
    shown = {Path(one["path"]).name: one["as"] for one in run.capture["files"]}
    assert shown == {"in.txt": "input", "outside.txt": "observed", "out.txt": "output"}
    assert run.exit_code == 0
    assert sh("exit 5", capture=True).exit_code == 5


def test_a_shell_script_tracks_itself(local_instance: Path) -> None:
    script = Path("nightly.sh")
    script.write_text(
        "set -e\n"
        f"export LAMIN_RUN_ID=$({LAMIN} track --transform nightly --param day=3)\n"
        "echo data > result.txt\n"
        f"{LAMIN} save result.txt\n"
        f"{LAMIN} run -- true\n"
        f"{LAMIN} finish\n"
    )
    run_program("bash", script)
    run = ln.Run.select(parent=None).one()
    assert (run.transform.name, run.transform.type) == ("nightly", "command")
    assert (run.status, run.params) == ("completed", {"day": 3})
    assert keys(run.outputs) == ["result.txt"]
    assert ln.Run.select(parent=run).one().transform.name == "true"


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_shell_script_that_dies_is_aborted(local_instance: Path, shell: str) -> None:
    wait = "while [ ! -e go ]; do sleep 0.02; done"
    Path("dies.sh").write_text(f"RUN=$({LAMIN} track --transform dies | cat)\necho $RUN\n{wait}\nkill -9 $$\n")
    process = subprocess.Popen([shell, "dies.sh"], env=clean_environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    assert ln.Run.select(id=run_id).one().status == "running"
    Path("go").touch()
    process.wait()
    process.stdout.close()
    assert ln.Run.select(id=run_id).one().status == "aborted"


def test_ending_a_shell_run(local_instance: Path) -> None:
    run_id = begin_shell("work")
    end_shell(run_id, "failed", exit_code=2)
    run = ln.Run.select(id=run_id).one()
    assert (run.status, run.exit_code) == ("failed", 2)
    end_shell(run_id)
    assert ln.Run.select(id=run_id).one().status == "failed"
    with pytest.raises(NoResultFound):
        end_shell("nope")
    with pytest.raises(InvalidInputError):
        end_shell(run_id, "great")


def test_json_of_runs_is_readable(local_instance: Path) -> None:
    sh("true")
    shown = json.loads(lamin("runs", "--json").stdout)
    assert shown


def test_what_a_failed_command_wrote_is_not_taken_by_another(local_instance: Path) -> None:
    if not strace.works():
        pytest.skip("without strace nobody can tell who wrote a file that several patterns name")
    Path("out").mkdir()
    first = subprocess.Popen(
        [LAMIN, "run", "--out", "out/*.txt", "--", "sh", "-c", "touch ready; while [ ! -e go ]; do sleep 0.02; done"],
        env=clean_environment(),
        stderr=subprocess.DEVNULL,
    )
    while not Path("ready").exists():
        time.sleep(0.01)
    failed = sh("echo 2 > out/2.txt; exit 5", outputs=["out/*.txt"])
    assert failed.exit_code == 5
    assert {"path": str(Path("out/2.txt").resolve()), "access": "write"}.items() <= (newest().capture or {})["files"][
        -1
    ].items()
    Path("go").touch()
    first.wait()
    assert list(ln.File.select()) == []


def test_a_command_that_has_not_started_takes_no_part(local_instance: Path) -> None:
    began = sh("true", outputs=["*.txt"])
    # As its row is between its beginning and the start of its program.
    capture = {"mode": "off", "declared": [str(Path("*.txt").resolve())]}
    running: Any = ln.Run.objects.filter(id=began.run_id)
    running.update_rows({"capture": capture, "finished_at": None, "status": "running"})
    sh("echo 1 > mine.txt", outputs=["*.txt"])
    assert keys(newest().outputs) == ["mine.txt"]


ODD = os.fsdecode(b"caf\xe9")


def test_arguments_that_are_no_text_are_recorded_visibly(instance: Path) -> None:
    lamin("run", "--param", f"{ODD}={ODD}.csv", "--", "/bin/sh", "-c", 'test "$1" = "$(printf "caf\\351")"', "x", ODD)
    run = newest()
    assert (run.status, run.exit_code, run.error) == ("completed", 0, None)
    assert run.arguments is not None
    assert run.arguments[-1] == "caf\\udce9"
    assert run.params == {"caf\\udce9": "caf\\udce9.csv"}
    source = ObjectName.parse(str(run.source_digest))
    assert source is not None
    assert context.instance().store.read(source).rstrip().endswith(b"'caf\xe9'")
    lamin("describe", run.id)


def test_programs_folders_and_names_that_are_no_text_are_recorded_visibly(instance: Path, tmp_path: Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    (folder / f"{ODD}.sh").write_text("echo broken >&2; touch out.txt; exit $1")
    (folder / f"{ODD}.sh").chmod(0o755)
    names = []
    for words in ([f"./{ODD}.sh", "3"], ["sh", f"{ODD}.sh", "3"], [f"./no-{ODD}"]):
        done = lamin("run", "--out", "out.txt", "--out", f"{ODD}*", "--", *words, cwd=folder, check=False)
        assert done.returncode in {3, 126, 127}, done.stderr
        run = newest()
        assert (run.status, run.exit_code) == ("failed", done.returncode)
        assert "could not be recorded" not in done.stderr
        names.append(run.transform.reference)
    assert names[1:] == ["sh caf\\udce9/caf\\udce9.sh", "./no-caf\\udce9"]
    assert "no-caf\\udce9" in str(run.error)
    assert run.capture is not None
    assert run.capture["cwd"] == f"{tmp_path}/caf\\udce9"
    done = lamin("run", "--transform", ODD, "--out", "out.txt", "--", "sh", f"{ODD}.sh", "0", cwd=folder, check=False)
    assert done.returncode == 4
    assert "not saved: out.txt: key 'caf\\udce9/out.txt' has the character U+DCE9" in done.stderr
    assert (newest().transform.name, newest().status) == ("caf\\udce9", "completed")
    begun = lamin("track", "--transform", ODD, "--param", f"a={ODD}").stdout.strip()
    assert ln.Run.select(id=begun).one().params == {"a": "caf\\udce9"}
    lamin("finish", begun)


def test_a_run_inherited_by_a_name_that_is_no_text_is_none(instance: Path) -> None:
    lamin("run", "true", env=clean_environment(LAMIN_RUN_ID=ODD))
    assert newest().parent is None
    code = "import lamindb as ln; print(ln.track(ln.Transform(name='n')).id)"
    done = run_python(code, env=clean_environment(LAMIN_RUN_ID=ODD))
    assert ln.Run.select(id=done.stdout.strip()).one().parent is None


@pytest.mark.parametrize("word", ["a\0b", "\ud800"])
def test_words_that_no_program_can_get_are_refused(local_instance: Path, word: str) -> None:
    with pytest.raises(InvalidInputError, match="no program can be passed"):
        run_command(["echo", word])
    assert not ln.Run.select().exists()


def test_of_two_commands_in_a_folder_that_is_no_text_each_keeps_its_own(instance: Path, tmp_path: Path) -> None:
    from lamindb.runs.commands import declared

    folder = tmp_path / ODD
    folder.mkdir()
    run = ln.track(ln.Transform(name="other", type="pipeline"))
    run.capture = {"declared": [f"{folder}/*.csv"], declared.LAUNCHED_AT: 0.0}
    run.save()
    assert run.capture["declared"] == [f"{tmp_path}/caf\\udce9/*.csv"]
    (folder / "a.csv").write_text("a")
    seen = frozenset({f"{tmp_path}/caf\\udce9/a.csv"})
    assert declared._is_ours(f"{folder}/a.csv", [run], lambda other: None) is None
    assert declared._is_ours(f"{folder}/a.csv", [run], lambda other: seen) is False
    assert declared._is_ours(f"{folder}/a.txt", [run], lambda other: None) is False
    ln.finish()
