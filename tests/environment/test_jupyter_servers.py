"""Answers of Jupyter servers, right and wrong; `test_detect_tools` has a real one."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamindb.environment import jupyter, kernels

KERNEL = "0123abcd-aaaa-bbbb-cccc-0123456789ab"


class Handler(http.server.BaseHTTPRequestHandler):
    answer: Any = b"[]"
    status = 200
    answers: threading.Event
    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        self.answers.wait(60)
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run a web server that plays a Jupyter server of this user, with one notebook in its folder."""
    handler = type("Playing", (Handler,), {"seen": [], "answers": threading.Event()})
    handler.answers.set()
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "sub" / "a.ipynb").touch()
    monkeypatch.setattr(kernels, "connection_file", lambda: runtime / f"kernel-{KERNEL}.json")
    # What answers is waited for, also by a machine that has other things to do.
    monkeypatch.setattr(jupyter, "TIMEOUT_SECONDS", 60)
    monkeypatch.setattr(jupyter, "_TOTAL_SECONDS", 120)
    describe(runtime, httpd.server_address[1], tmp_path / "root")
    yield handler
    handler.answers.set()
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def describe(runtime: Path, port: int, root: Path, name: str = "jpserver-1.json", **more: Any) -> None:
    info = {"url": f"http://127.0.0.1:{port}/base/", "base_url": "/base/", "port": port, "pid": 1, "token": "t1"}
    (runtime / name).write_text(json.dumps({**info, "root_dir": str(root), "sock": "", **more}))


def session(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "type": "notebook", "kernel": {"id": KERNEL}, **more}


def test_the_session_of_this_kernel_is_found(server: Any, tmp_path: Path) -> None:
    server.answer = [session("sub/b.ipynb", kernel={"id": "other"}), session("sub/a.ipynb")]
    assert jupyter.session_path() == tmp_path / "root/sub/a.ipynb"
    assert server.seen == [("/base/api/sessions", "token t1")]


@pytest.mark.parametrize(
    "answer",
    [
        [session("RTC:sub/a.ipynb")],
        [session("/sub/a.ipynb")],
        [session("sub/Console 1", type="console"), session("sub/a.ipynb")],
        [session("", notebook={"path": "sub/a.ipynb"})],
        [None, session("sub/gone.ipynb"), session("sub/a.ipynb", type="console")],
    ],
)
def test_paths_in_all_their_forms(server: Any, tmp_path: Path, answer: Any) -> None:
    server.answer = answer
    assert jupyter.session_path() == tmp_path / "root/sub/a.ipynb"


@pytest.mark.parametrize("answer", [b"<html>", b"", [], {"message": "no"}, [{}], [[]], [session("sub")], b"\xff"])
def test_odd_answers_are_no_answer(server: Any, answer: Any) -> None:
    server.answer = answer
    assert jupyter.session_path() is None


def test_refusals_and_slow_servers_are_passed_over(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer, server.status = [session("sub/a.ipynb")], 403
    assert jupyter.session_path() is None
    server.status = 200
    server.answers.clear()
    monkeypatch.setattr(jupyter, "TIMEOUT_SECONDS", 0.1)
    assert jupyter.session_path() is None


def test_dead_and_broken_servers_do_not_hide_the_living(server: Any, tmp_path: Path) -> None:
    server.answer = [session("sub/a.ipynb")]
    runtime = tmp_path / "runtime"
    (runtime / "jpserver-2.json").write_text("{")
    (runtime / "jpserver-3.json").write_text("[]")
    (runtime / "jpserver-4.json").write_text("{}")
    describe(runtime, 1, tmp_path, "nbserver-5.json")
    assert jupyter.session_path() == tmp_path / "root/sub/a.ipynb"


def test_the_parent_is_asked_first_and_then_no_other(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = [session("sub/a.ipynb")]
    port = json.loads((tmp_path / "runtime/jpserver-1.json").read_text())["port"]
    describe(tmp_path / "runtime", port, tmp_path / "root", "jpserver-2.json", pid=4242, token="t2")
    monkeypatch.setenv("JPY_PARENT_PID", "4242")
    os.utime(tmp_path / "runtime/jpserver-2.json", (1, 1))
    assert jupyter.session_path() == tmp_path / "root/sub/a.ipynb"
    assert [token for _, token in server.seen] == ["token t2"]


@pytest.mark.skipif(sys.platform == "win32", reason="sockets in the file system")
def test_a_server_on_a_socket_file(tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = [session("sub/a.ipynb")]
    monkeypatch.chdir(tmp_path)

    class Server(socketserver.UnixStreamServer):
        def get_request(self) -> tuple[Any, Any]:
            request, _ = super().get_request()
            return request, ("socket", 0)

    with Server("s", server) as listening:
        thread = threading.Thread(target=listening.handle_request)
        thread.start()
        describe(tmp_path / "runtime", 0, tmp_path / "root", url="http+unix://s/base/", sock="s")
        assert jupyter.session_path() == tmp_path / "root/sub/a.ipynb"
        thread.join()


def test_kernels_without_a_server_ask_none(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "connection_file", lambda: tmp_path / "runtime" / "tmpabc.json")
    assert jupyter.session_path() is None
    assert server.seen == []
