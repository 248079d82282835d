"""Notebook servers of the tests' own, and what a browser would tell them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import BIN_FOLDER

MARIMO = """\
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    return (mo,)


@app.cell
def _(mo):
    mo.md("# Title of `it`")
    return


@app.cell
def _():
{body}
    return


if __name__ == "__main__":
    app.run()
"""


_PATIENCE = "import lamindb.environment.jupyter as _j; _j.TIMEOUT_SECONDS, _j._TOTAL_SECONDS = 60, 120; del _j"


class Server:
    """A JupyterLab server of this test, and the part of its interface that a browser uses."""

    def __init__(self, url: str, token: str, root: Path) -> None:
        self.url, self.token, self.root = url, token, root

    def call(self, method: str, address: str, /, **body: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}api/{address}",
            data=json.dumps(body).encode() if body else None,
            method=method,
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            data = answer.read()
        return json.loads(data) if data else None

    def session(self, path: str, kind: str = "notebook") -> Any:
        """Open a document with a new kernel, in which the library waits for the server as long as that takes."""
        session = self.call("POST", "sessions", path=path, name=path, type=kind, kernel={"name": "python3"})
        self.execute(session["kernel"]["id"], _PATIENCE, is_cell=False)
        return session

    def execute(self, kernel: str, code: str, *, is_cell: bool = True) -> None:
        """Run a cell as the browser does, or code that is none, and wait until the kernel has answered."""
        import websocket

        address = f"{self.url}api/kernels/{kernel}/channels?session_id=s1".replace("http://", "ws://")
        connection = websocket.create_connection(address, header=[f"Authorization: token {self.token}"], timeout=60)
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "session": "s1", "username": "u", "version": "5.3"}
        content = {
            "code": code,
            "silent": not is_cell,
            "store_history": is_cell,
            "allow_stdin": True,
            "stop_on_error": True,
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "buffers": []}
        try:
            connection.send(json.dumps({**message, "channel": "shell"}))
            while True:
                answer = json.loads(connection.recv())
                if answer["parent_header"].get("msg_id") == number and answer["msg_type"] == "execute_reply":
                    assert answer["content"]["status"] == "ok", answer["content"]
                    return
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one JupyterLab server for the tests of this module; its kernels end with it."""
    base = tmp_path_factory.mktemp("server")
    root, home = base / "root", base / "home"
    for folder in (root, home, base / "runtime"):
        folder.mkdir(mode=0o700)
    token = "token-of-this-test"
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "JPY", "LAMIN", "PYTEST"))
        },
        "HOME": str(home),
        "JUPYTER_RUNTIME_DIR": str(base / "runtime"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "PROBE_OUT": str(base / "probe.jsonl"),
        "PATH": f"{BIN_FOLDER}{os.pathsep}{os.environ['PATH']}",
    }
    options = ["--no-browser", "--ip=127.0.0.1", f"--ServerApp.root_dir={root}", "--ServerApp.port=0"]
    options += ["--allow-root", f"--IdentityProvider.token={token}", "--ServerApp.base_url=/lab-of/me/"]
    log = (base / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options], cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + 60
        while not (found := list((base / "runtime").glob("jpserver-*.json"))):
            assert process.poll() is None and time.monotonic() < deadline, (base / "log").read_text()
            time.sleep(0.05)
        info = json.loads(found[0].read_text())
        running = Server(info["url"], token, root)
        while True:
            with contextlib.suppress(OSError):
                running.call("GET", "status")
                break
            assert process.poll() is None and time.monotonic() < deadline, (base / "log").read_text()
            time.sleep(0.05)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def wait_for(path: Path, count: int) -> list[str]:
    """Wait until a file has as many lines; kernels end a moment after the server says so."""
    deadline = time.monotonic() + 60
    while True:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return lines
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)
