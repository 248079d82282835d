"""The programs that run notebooks, each in real processes.

A cell of each notebook looks for its own file and appends what it found, and later how the kernel ended, to the file
that `PROBE_OUT` names.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.storage.servers import free_ports
from tests.support.jupyter import MARIMO, Server, wait_for
from tests.support.jupyter import server as server
from tests.support.processes import clean_environment, run_command, write_notebook

PROBE = """\
import json, os
from lamindb.environment import notebooks, process_exit
from lamindb.environment.detect import detect, fallback_notebook, in_notebook

def write(**facts):
    with open(os.environ["PROBE_OUT"], "a") as stream:
        stream.write(json.dumps(facts) + "\\n")

def look():
    found, fallback = detect(), fallback_notebook()
    write(
        kind=found and found.kind, path=found and str(found.path), how=found and found.how, in_notebook=in_notebook(),
        name=fallback and fallback.name, cells=fallback and len(fallback.cells),
        differs=bool(found) and notebooks.differs_from_disk(found.path), parameters=notebooks.injected_parameters(),
    )

look()
watched = process_exit.watch(lambda ending: write(**ending._asdict()))
"""
COMPLETED = {"status": "completed", "exit_code": None, "error": None}


class Probe:
    """A folder with a notebook two levels down, and what its kernel wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "probe.jsonl"
        (folder / "sub").mkdir()
        self.notebook = write_notebook(folder / "sub" / "a b.ipynb", PROBE, "y = 2", title="Title")
        self.environment = clean_environment(PROBE_OUT=str(self.out), JUPYTER_PLATFORM_DIRS="1")

    def run(self, *command: str | Path, cwd: Path | None = None, check: bool = True) -> list[dict[str, Any]]:
        """Run a command to its end and return what the kernel wrote; the notebook must stay as it is."""
        before = self.notebook.read_bytes()
        run_command(sys.executable, *command, cwd=cwd or self.folder, env=self.environment, check=check)
        assert self.notebook.read_bytes() == before
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text().splitlines()] if self.out.exists() else []

    def expected(self, how: str, **changes: Any) -> dict[str, Any]:
        return {
            "kind": "notebook",
            "path": str(self.notebook),
            "how": how,
            "in_notebook": True,
            "differs": False,
        } | changes


def facts(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in ("kind", "path", "how", "in_notebook", "differs")}


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    return Probe(tmp_path)


def test_nbconvert(probe: Probe) -> None:
    command = ("-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "sub/a b.ipynb", "--output", "out.ipynb")
    found, ending = probe.run(*command)
    assert facts(found) == probe.expected("command-line")
    assert ending == COMPLETED


def test_nbconvert_of_several_notebooks_and_one_that_fails(probe: Probe) -> None:
    failing = write_notebook(probe.folder / "sub" / "z.ipynb", "z = 1", PROBE, "raise ValueError('password=hunter2')")
    probe.notebook.write_text(probe.notebook.read_text())
    command = ("-m", "nbconvert", "--to", "notebook", "--execute", "sub/a b.ipynb", "sub/z.ipynb")
    found, first_ending, second, ending = probe.run(*command, check=False)
    assert facts(found) == probe.expected("command-line")
    assert first_ending == COMPLETED
    assert facts(second) == probe.expected("command-line", path=str(failing))
    assert ending["status"] == "failed"
    assert "ValueError: password=***" in ending["error"] and "hunter2" not in ending["error"]


def test_a_kernel_that_is_stopped_in_a_cell_has_failed(probe: Probe) -> None:
    stop = "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(30)"
    write_notebook(probe.notebook, PROBE, stop)
    _, ending = probe.run("-m", "jupyter", "execute", probe.notebook, check=False)
    assert ending == {"status": "failed", "exit_code": 143, "error": "stopped by signal SIGTERM"}


def test_jupyter_execute(probe: Probe) -> None:
    found, ending = probe.run("-m", "jupyter", "execute", "sub/a b.ipynb", "--output=out.ipynb")
    assert facts(found) == probe.expected("command-line")
    assert ending == COMPLETED


def test_papermill_with_parameters(probe: Probe) -> None:
    command = ("-m", "papermill", "sub/a b.ipynb", "sub/out.ipynb", "-p", "alpha", "0.5", "-p", "name", "x")
    found, ending = probe.run(*command, "--no-progress-bar")
    assert facts(found) == probe.expected("command-line")
    assert found["parameters"] == {"alpha": 0.5, "name": "x"}
    assert ending == COMPLETED


@pytest.mark.parametrize("folder", ["", "sub", "elsewhere"])
def test_nbclient_in_a_program(probe: Probe, folder: str) -> None:
    (probe.folder / "elsewhere").mkdir()
    program = """
import sys, nbformat
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], as_version=4), kernel_name="python3").execute()
"""
    found, ending = probe.run("-c", program, probe.notebook, cwd=probe.folder / folder)
    if folder == "elsewhere":
        assert facts(found) == {"kind": None, "path": None, "how": None, "in_notebook": True, "differs": False}
        assert found["name"].startswith("notebook in elsewhere (") and found["cells"] == 1
    else:
        assert facts(found) == probe.expected("cells")
    assert ending == COMPLETED


def test_papermill_in_a_program(probe: Probe) -> None:
    program = (
        "import sys, papermill\npapermill.execute_notebook(sys.argv[1], 'out.ipynb', {'alpha': 1}, progress_bar=False)"
    )
    found, _ = probe.run("-c", program, "sub/a b.ipynb")
    assert facts(found) == probe.expected("cells")
    assert found["parameters"] == {"alpha": 1}


def test_nbmake(probe: Probe) -> None:
    pytest.importorskip("nbmake")
    found, _ = probe.run("-m", "pytest", "--nbmake", "-p", "no:cacheprovider", "sub")
    assert facts(found) == probe.expected("command-line")


def test_scripts_that_a_notebook_starts_are_scripts(probe: Probe) -> None:
    script = probe.folder / "child.py"
    script.write_text(PROBE)
    write_notebook(
        probe.notebook, "import subprocess, sys", f"subprocess.run([sys.executable, {str(script)!r}], check=True)"
    )
    found, ending = probe.run("-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", probe.notebook)
    assert (found["path"], found["how"], found["in_notebook"]) == (str(script), "main", False)
    assert ending == {**COMPLETED, "exit_code": 0}


@pytest.mark.parametrize(
    ("command", "how", "in_notebook"),
    [
        (("-m", "marimo", "export", "html", "m.py", "-o", "out.html"), "marimo", True),
        (("m.py",), "main", False),
    ],
)
def test_marimo(probe: Probe, command: tuple[str, ...], how: str, in_notebook: bool) -> None:
    path = probe.folder / "m.py"
    path.write_text(MARIMO.format(body="\n".join(f"    {line}" for line in PROBE.splitlines() if "watch" not in line)))
    (found,) = probe.run(*command)
    assert facts(found) == probe.expected(how, path=str(path), in_notebook=in_notebook)


def test_marimo_as_an_application(probe: Probe) -> None:
    import websocket

    path = probe.folder / "m.py"
    path.write_text(MARIMO.format(body="\n".join(f"    {line}" for line in PROBE.splitlines() if "watch" not in line)))
    [port] = free_ports(1)
    command = [sys.executable, "-m", "marimo", "run", "m.py", "--headless", "--no-token", "--port", str(port)]
    with (probe.folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=probe.folder, env=probe.environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                connection = websocket.create_connection(f"ws://127.0.0.1:{port}/ws?session_id=s_abcdef", timeout=60)
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (probe.folder / "log").read_text()
                time.sleep(0.05)
        try:
            (found,) = [json.loads(line) for line in wait_for(probe.out, 1)]
        finally:
            connection.close()
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert facts(found) == probe.expected("marimo", path=str(path))


def test_jupyterlab_follows_a_rename(server: Server) -> None:
    folder = server.root / "project"
    folder.mkdir()
    notebook = write_notebook(folder / "first name.ipynb", PROBE)
    out = server.root.parent / "probe.jsonl"
    out.unlink(missing_ok=True)
    session = server.session("project/first name.ipynb")
    kernel = session["kernel"]["id"]
    server.execute(kernel, PROBE)
    server.call("PATCH", "contents/project/first%20name.ipynb", path="project/second.ipynb")
    server.call("PATCH", f"sessions/{session['id']}", path="project/second.ipynb")
    server.execute(kernel, "look()")
    server.call("DELETE", f"sessions/{session['id']}")
    lines = [json.loads(line) for line in wait_for(out, 3)]
    assert (lines[0]["path"], lines[0]["how"], lines[0]["differs"]) == (str(notebook), "jupyter-session", False)
    assert (lines[1]["path"], lines[1]["how"]) == (str(folder / "second.ipynb"), "jupyter-session")
    assert lines[1]["differs"] is True, "a cell ran that is not saved"
    assert lines[2] == COMPLETED


def test_consoles_and_kernels_without_a_notebook(server: Server) -> None:
    write_notebook(server.root / "same beginning.ipynb", PROBE)
    out = server.root.parent / "probe.jsonl"
    out.unlink(missing_ok=True)
    console = server.session("Console 1", kind="console")
    server.execute(console["kernel"]["id"], PROBE)
    bare = server.call("POST", "kernels", name="python3")
    server.execute(bare["id"], PROBE)
    notebook = write_notebook(server.root / "of an editor.ipynb", "1")
    server.execute(bare["id"], f"__vsc_ipynb_file__ = {str(notebook)!r}\nlook()")
    server.call("DELETE", f"sessions/{console['id']}")
    server.call("DELETE", f"kernels/{bare['id']}")
    lines = [json.loads(line) for line in wait_for(out, 5)]
    for line in lines[:2]:
        assert (line["path"], line["in_notebook"]) == (None, True)
        assert line["name"].startswith("notebook in root (")
    assert (lines[2]["path"], lines[2]["how"]) == (str(notebook), "vscode")


def test_an_error_in_a_cell_is_not_the_end_at_a_browser(server: Server) -> None:
    out = server.root.parent / "probe.jsonl"
    out.unlink(missing_ok=True)
    write_notebook(server.root / "errors.ipynb", PROBE)
    session = server.session("errors.ipynb")
    server.execute(session["kernel"]["id"], PROBE)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        server.execute(session["kernel"]["id"], "1 / 0")
    server.call("DELETE", f"sessions/{session['id']}")
    assert json.loads(wait_for(out, 2)[1]) == COMPLETED
