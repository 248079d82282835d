"""S3 servers, started once for each test process that needs them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.storage import servers
from tests.storage.servers import S3Server

_roots = itertools.count()
_BUCKET = "test-bucket"


@pytest.fixture(scope="session")
def seaweed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with servers.seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        server.make_bucket(_BUCKET)
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as server:
        server.make_bucket(_BUCKET)
        yield server


def new_root(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a root that no other test uses, and let the environment lead to its server."""
    for variable, value in server.environment.items():
        monkeypatch.setenv(variable, value)
    return f"s3://{_BUCKET}/{next(_roots)}/some/prefix"


@pytest.fixture
def seaweed_root(seaweed_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    return new_root(seaweed_server, monkeypatch)


@pytest.fixture
def moto_root(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    return new_root(moto_server, monkeypatch)
