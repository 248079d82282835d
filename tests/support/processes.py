"""Real child processes: a snippet, a script, a notebook, or several programs at the same moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

TIMEOUT_SECONDS = 240
BIN_FOLDER = Path(sys.executable).parent

_FORWARDED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV")


def clean_environment(**changes: str | None) -> dict[str, str]:
    """Return this test's own isolated environment, without what pytest and its runner add to it.

    Commands of the interpreter's environment (`lamin`, `jupyter`) come first on the path. A change to None removes
    the variable.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _FORWARDED or name.startswith(("LAMIN_", "XDG_", "JUPYTER_", "AWS_", "IPYTHON"))
    }
    kept["PATH"] = f"{BIN_FOLDER}{os.pathsep}{kept.get('PATH', os.defpath)}"
    kept["PYTHONUTF8"] = "1"
    kept |= {name: value for name, value in changes.items() if value is not None}
    return {name: value for name, value in kept.items() if not (name in changes and changes[name] is None)}


def run_command(
    *command: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; with `check`, a failure shows what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment() if env is None else dict(env),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    if check:
        assert done.returncode == 0, (
            f"{[str(part) for part in command]} exited {done.returncode}\n"
            f"--- stdout\n{done.stdout[-4000:]}\n--- stderr\n{done.stderr[-4000:]}"
        )
    return done


def run_python(
    code: str,
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a snippet with `python -c`; its common indentation is removed."""
    return run_command(sys.executable, "-c", textwrap.dedent(code), *arguments, cwd=cwd, env=env, check=check)


def run_script(
    path: Path,
    code: str,
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Write a script and run it from its folder, or from `cwd`."""
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    return run_command(sys.executable, path, *arguments, cwd=cwd or path.parent, env=env, check=check)


def lamin(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run the installed `lamin` command."""
    return run_command(BIN_FOLDER / "lamin", *arguments, cwd=cwd, env=env, check=check)


def write_notebook(path: Path, *cells: str, title: str | None = None) -> Path:
    """Write a notebook of code cells, after a heading where a title is given."""
    content: list[dict[str, object]] = []
    if title is not None:
        content.append({"cell_type": "markdown", "id": "title", "metadata": {}, "source": f"# {title}"})
    for number, source in enumerate(cells):
        content.append(
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": textwrap.dedent(source).strip("\n"),
            }
        )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {"cells": content, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def run_notebook(
    path: Path,
    *,
    driver: str = "nbconvert",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Execute a notebook by `nbconvert`, `papermill` or `jupyter-execute`; `out-NAME` beside it is what came out."""
    output = path.with_name(f"out-{path.name}")
    commands: dict[str, list[str | Path]] = {
        "nbconvert": ["-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", path, "--output", output.name],
        "papermill": ["-m", "papermill", path, output, "--no-progress-bar"],
        "jupyter-execute": ["-m", "jupyter", "execute", path, f"--output={output}"],
    }
    return run_command(sys.executable, *commands[driver], cwd=cwd or path.parent, env=env, check=check)


def outputs_text(path: Path) -> str:
    """Return everything that the cells of an executed notebook printed or showed, as text."""
    texts: list[str] = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            value = output.get("text") or output.get("data", {}).get("text/plain") or ""
            texts.append(value if isinstance(value, str) else "".join(value))
    return "\n".join(texts)


def run_together(
    commands: Sequence[Sequence[str | Path]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> list[subprocess.CompletedProcess[str]]:
    """Run programs at the same time and return how each ended, in the order given; nothing is left running."""
    started: list[subprocess.Popen[str]] = []
    try:
        for command in commands:
            started.append(
                subprocess.Popen(
                    [str(part) for part in command],
                    cwd=cwd,
                    env=clean_environment() if env is None else dict(env),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        ended = []
        for process in started:
            out, err = process.communicate(timeout=TIMEOUT_SECONDS)
            ended.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
        return ended
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.communicate()


_TOGETHER = f"""
import json, os, signal, sys
import lamindb.models

place, code, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
children = []
for number in range(count):
    child = os.fork()
    if not child:
        break
    children.append(child)
else:
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))
    sys.exit()
signal.alarm({TIMEOUT_SECONDS})
for stream, name in ((1, "out"), (2, "err")):
    os.dup2(os.open(f"{{place}}/{{number}}.{{name}}", os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
sys.argv[:] = ["-c", str(number)]
sys.orig_argv[:] = [sys.executable, "-c", code, str(number)]
exec(compile(code, "<string>", "exec"), {{"__name__": "__main__"}})
"""
"""A process that has imported the library and forks so many others, which end as each program ends."""


def run_python_together(
    code: str, count: int, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> list[subprocess.CompletedProcess[str]]:
    """Run a snippet in `count` processes at once, forked from one; each finds its number in `sys.argv[1]`."""
    text = textwrap.dedent(code)
    with tempfile.TemporaryDirectory() as place:
        done = run_command(sys.executable, "-c", _TOGETHER, place, text, str(count), cwd=cwd, env=env)
        return [
            subprocess.CompletedProcess(
                [sys.executable, "-c", text, str(number)],
                ended,
                *(Path(place, f"{number}.{name}").read_text(encoding="utf-8") for name in ("out", "err")),
            )
            for number, ended in enumerate(json.loads(done.stdout))
        ]
