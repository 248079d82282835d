"""Servers that fail, hang up, or never answer: one clear error within the time limit, and a retry that succeeds."""

from __future__ import annotations

import datetime
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamindb.errors import StorageError
from lamindb.storage import bucket_client, remote
from lamindb.storage.base import Source
from lamindb.storage.remote import RemoteStore
from tests.storage.contract import write
from tests.storage.servers import S3Server


class Proxy:
    """Stands between a store and its server, and misbehaves as told."""

    def __init__(self, server: S3Server) -> None:
        host, port = server.endpoint_url.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.endpoint_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.behaviour = "pass"
        self.passes = 0
        self.pass_bytes = 1 << 62
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            if self.behaviour == "hang":
                return
            if self.behaviour == "500":
                client.recv(65536)
                client.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                client.close()
                return
            if self.behaviour == "cut":
                client.recv(4096)
                client.close()
                return
            server = socket.create_connection(self._target)
            self._open.append(server)
            threading.Thread(target=self._copy, args=(server, client, None), daemon=True).start()
            self._copy(client, server, self.pass_bytes)
        except OSError:
            client.close()

    def _copy(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        try:
            while data := source.recv(65536):
                passed += len(data)
                if limit is not None and passed > limit:
                    break
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            each.close()


@pytest.fixture
def proxy(seaweed_server: S3Server) -> Iterator[Proxy]:
    proxy = Proxy(seaweed_server)
    yield proxy
    proxy.close()


@pytest.fixture
def make_store(proxy: Proxy, seaweed_root: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], RemoteStore]:
    """Open the root with a time limit, in seconds."""

    def make(seconds: int) -> RemoteStore:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint_url)
        monkeypatch.setenv(bucket_client.TIMEOUT_VARIABLE, str(seconds))
        return RemoteStore(seaweed_root)

    return make


@pytest.mark.parametrize(
    ("behaviour", "said"), [("500", "server failed"), ("cut", "connection"), ("hang", "did not answer in time")]
)
def test_one_error_and_a_retry_that_succeeds(
    proxy: Proxy,
    make_store: Callable[[int], RemoteStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: str,
    said: str,
) -> None:
    sources = [write(tmp_path / f"{number}.bin", b"%d" % number) for number in range(10)]
    proxy.behaviour = behaviour
    # What fails is tried twice, however long that takes here; only what is silent is given up.
    retries = {"max_retries": 1, "retry_timeout": datetime.timedelta(seconds=60)}
    monkeypatch.setattr(bucket_client, "_retry_config", lambda: retries)
    store = make_store(1 if behaviour == "hang" else 60)
    for act in (
        lambda: store.put(sources[0]),
        lambda: store.put_many(sources),
        lambda: list(store.list()),
        store.prepare,
    ):
        with pytest.raises(StorageError, match=said) as caught:
            act()
        assert "\n" not in str(caught.value)
    proxy.behaviour = "pass"
    store = make_store(30)
    assert [store.read(stored.name) for stored in store.put_many(sources)] == [b"%d" % n for n in range(10)]


@pytest.mark.parametrize("large", [False, True])
def test_a_connection_cut_in_the_middle_leaves_no_object(
    proxy: Proxy,
    make_store: Callable[[int], RemoteStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    large: bool,
) -> None:
    if large:
        monkeypatch.setattr(remote, "IN_MEMORY", 1 << 20)
    source = write(tmp_path / "a.bin", bytes(range(256)) * (40 << 10))
    proxy.pass_bytes = 3 << 20
    store = make_store(2)
    with pytest.raises(StorageError):
        store.put(source)
    proxy.pass_bytes = 1 << 62
    store = make_store(30)
    assert list(store.list()) == []
    assert store.read(store.put(source).name) == Path(source.path or "").read_bytes()
    assert isinstance(source, Source)
