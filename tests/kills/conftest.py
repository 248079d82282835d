"""An S3 server for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.storage import servers
from tests.storage.servers import S3Server


@pytest.fixture(scope="session")
def seaweed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with servers.seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server
