"""A forked process says at once that it cannot use a bucket, instead of waiting for ever."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from typing import Any

import pytest

from lamindb.errors import UnsupportedError
from lamindb.storage import bucket
from lamindb.storage.base import Source
from lamindb.storage.remote import RemoteStore


def in_a_fork(function: Callable[[], Any]) -> Any:
    """Return what a function gives, or raises, in a forked process; None if it did not end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            try:
                result = function()
            except BaseException as error:
                result = error
            os.write(writing, pickle.dumps(result))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    return pickle.loads(data) if data else None


@pytest.fixture
def store(seaweed_root: str) -> RemoteStore:
    store = RemoteStore(seaweed_root)
    store.prepare()
    return store


def test_a_forked_process_is_refused_at_once(store: RemoteStore) -> None:
    name = store.put(Source("", data=b"x")).name
    error = in_a_fork(lambda: store.put(Source("", data=b"y")))
    assert isinstance(error, UnsupportedError)
    assert "spawn" in str(error)
    assert isinstance(in_a_fork(lambda: store.read(name)), UnsupportedError)
    assert isinstance(in_a_fork(lambda: RemoteStore(store.root_url).size(name)), UnsupportedError)
    assert store.read(name) == b"x"


def test_a_fork_before_the_first_use_works(seaweed_root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "fork_guard", bucket.ForkGuard())
    bucket.fork_guard.check()
    bucket.fork_guard.check()
    assert bucket.fork_guard.is_used
    assert isinstance(in_a_fork(bucket.fork_guard.check), UnsupportedError)
    monkeypatch.setattr(bucket, "fork_guard", bucket.ForkGuard())
    RemoteStore(seaweed_root)
    assert not bucket.fork_guard.is_used
    assert in_a_fork(lambda: bucket.fork_guard.check() or "fine") == "fine"
