"""Notebooks that people run cell by cell: in JupyterLab, over its own interface, and as an application of marimo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lamindb as ln
from tests.storage.servers import free_ports
from tests.support.jupyter import MARIMO, Server
from tests.support.jupyter import server as server
from tests.support.processes import clean_environment, write_notebook
from tests.support.ways import TRACK, WORK, cells_kept, keys, stored

TELL = "import json; open('/TOLD', 'a').write(json.dumps([run.id, run.transform.id, run.transform.reference]) + '\\n')"


def ended(run_id: str) -> ln.Run:
    """Wait until a kernel's run has ended: kernels end a moment after the server says so."""
    deadline = time.monotonic() + 60
    while True:
        run = ln.Run.select(id=run_id).one()
        if run.status != "running":
            return run
        assert time.monotonic() < deadline, "the kernel did not end its run"
        time.sleep(0.05)


def test_jupyterlab(server: Server) -> None:
    folder = server.root / "lab project"
    (folder / "notebooks").mkdir(parents=True)
    ln.setup.init(storage=folder / "mydata")
    ln.File(b"ACGT", key="in.txt").save()
    told = folder / "told.jsonl"
    tell = TELL.replace("/TOLD", str(told))
    cells = [TRACK, WORK.replace("WAY", "lab").strip(), tell]
    written = write_notebook(folder / "notebooks/first name.ipynb", *cells, title="In the lab")
    before = written.read_bytes()

    session = server.session("lab project/notebooks/first name.ipynb")
    kernel = session["kernel"]["id"]
    for cell in cells:
        server.execute(kernel, cell)
    run = ln.File.select(key="lab.txt").one().run
    assert run is not None
    assert (run.transform.type, run.transform.reference) == ("notebook", "notebooks/first name.ipynb")
    assert (run.transform.name, run.status) == ("In the lab", "running")
    assert written.read_bytes() == before

    # Renamed while the kernel lives, edited, and tracked again: the same run, which knows the new place.
    server.call("PATCH", "contents/lab%20project/notebooks/first%20name.ipynb", path="lab project/second.ipynb")
    server.call("PATCH", f"sessions/{session['id']}", path="lab project/second.ipynb", name="second.ipynb")
    renamed = write_notebook(folder / "second.ipynb", *cells, "x = 1", title="Another title")
    for cell in (TRACK, tell, "password = 'hunter2hunter2'"):
        server.execute(kernel, cell)
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert lines == [
        [run.id, run.transform.id, "notebooks/first name.ipynb"],
        [run.id, run.transform.id, "second.ipynb"],
    ]

    # An error in a cell is not the end of the notebook; a restarted kernel is.
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        server.execute(kernel, "1 / 0")
    server.call("POST", f"kernels/{kernel}/restart", _="")
    first = ended(run.id)
    assert (first.status, first.error) == ("completed", None)
    assert (first.transform.reference, first.transform.name) == ("second.ipynb", "Another title")
    # The file had other cells than those that ran: these are kept, without the secret among them.
    assert cells_kept(first) == [*cells, TRACK, tell, "password = '***'", "1 / 0"]
    for cell in cells:
        server.execute(kernel, cell.replace('"lab', '"again').replace('b"lab"', 'b"again"'))
    server.call("DELETE", f"sessions/{session['id']}")
    second = ended(json.loads(told.read_text().splitlines()[-1])[0])
    assert second.id != first.id
    assert (second.transform, second.status, keys(second.inputs)) == (first.transform, "completed", ["in.txt"])
    assert ln.Transform.select().one().runs.count() == 2
    assert renamed.is_file()

    # A console has no file: it is a notebook of its own, and says so rather than to guess.
    console = server.session("lab project/Console 1", kind="console")
    server.execute(console["kernel"]["id"], f"import os; os.chdir({str(folder)!r})")
    server.execute(console["kernel"]["id"], f"{TRACK}\n{tell}")
    server.call("DELETE", f"sessions/{console['id']}")
    third = ended(json.loads(told.read_text().splitlines()[-1])[0])
    assert (third.transform.type, third.transform.id != first.transform.id) == ("notebook", True)
    assert "Console" not in third.transform.reference


def test_an_application_of_marimo(local_instance: Path) -> None:
    websocket = pytest.importorskip("websocket")
    project = local_instance.parent
    ln.File(b"ACGT", key="in.txt").save()
    body = "\n".join(f"    {line}" for line in f"{TRACK}\n{WORK.replace('WAY', 'app')}".splitlines())
    source = MARIMO.format(body=body)
    (project / "app.py").write_text(source)
    [port] = free_ports(1)
    command = [sys.executable, "-m", "marimo", "run", "app.py", "--headless", "--no-token", "--port", str(port)]
    environment = clean_environment(HOME=os.environ["HOME"])
    with (project / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                connection = websocket.create_connection(f"ws://127.0.0.1:{port}/ws?session_id=s_abcdef", timeout=60)
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (project / "log").read_text()
                time.sleep(0.05)
        try:
            while not ln.File.select(key="app.txt").exists():
                assert process.poll() is None and time.monotonic() < deadline, (project / "log").read_text()
                time.sleep(0.05)
        finally:
            connection.close()
        run = ln.File.select(key="app.txt").one().run
        assert run is not None
        assert (run.transform.type, run.transform.reference) == ("notebook", "app.py")
        assert (run.status, keys(run.inputs), stored(run.source_digest)) == ("running", ["in.txt"], source)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert ended(run.id).status == "completed"
    assert (project / "app.py").read_text() == source
