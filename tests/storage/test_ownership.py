"""A mark says whose a bucket is, also where the server knows no step that both asks and writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lamindb.errors import StorageError
from lamindb.storage import ownership
from lamindb.storage.base import Source
from lamindb.storage.ownership import Owner
from lamindb.storage.remote import RemoteStore

NOT_IMPLEMENTED = b"<Error><Code>NotImplemented</Code><Message>A header is not implemented.</Message></Error>"


class Plain(ThreadingHTTPServer):
    """Keeps objects in memory, and refuses every write that has a condition."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.objects: dict[str, bytes] = {}
        self.answer = 501, NOT_IMPLEMENTED
        self.refused = 0


class Requests(BaseHTTPRequestHandler):
    server: Plain
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("If-None-Match"):
            self.server.refused += 1
            self._answer(*self.server.answer)
            return
        self.server.objects[self.path] = data
        self._answer(200, b"")

    def do_GET(self) -> None:
        data = self.server.objects.get(self.path)
        self._answer(404 if data is None else 200, data or b"")

    do_HEAD = do_GET

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("ETag", '"tag"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plain]:
    with Plain() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("code", [501, 400])
def test_without_conditional_writes_the_mark_is_put_and_read_back(
    server: Plain, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answer = code, NOT_IMPLEMENTED
    store = RemoteStore("s3://bucket/prefix")
    assert ownership.create(store, Owner("one", "first"))
    assert capsys.readouterr().err.count("cannot keep two instances from claiming it at the same time") == 1
    assert ownership.read(store) == Owner("one", "first")
    assert not ownership.create(RemoteStore("s3://bucket/prefix"), Owner("two", "second"))
    assert ownership.read(store) == Owner("one", "first")
    assert capsys.readouterr().err == ""


def test_without_conditional_writes_objects_are_stored(server: Plain) -> None:
    store = RemoteStore("s3://bucket/prefix")
    store.prepare()
    store.prepare()
    assert "/bucket/prefix/.lamindb/README" in server.objects
    asked = server.refused
    name = store.put(Source(suffix=".txt", data=b"kept")).name
    assert server.objects[f"/bucket/prefix/{store.path(name)}"] == b"kept"
    assert server.refused == asked, "what the server refused once is not asked again"


def test_a_write_that_fails_otherwise_is_an_error(server: Plain) -> None:
    server.answer = 400, b"<Error><Code>InvalidArgument</Code></Error>"
    with pytest.raises(StorageError, match="cannot write"):
        ownership.create(RemoteStore("s3://bucket/prefix"), Owner("one", "first"))
    assert server.objects == {}
