"""An object store for the pages that need one, with the bucket that they name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.storage import servers


@pytest.fixture
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the environment variables that lead to the server with the pages' bucket."""
    with servers.moto(tmp_path_factory.mktemp("moto")) as server:
        server.make_bucket("lab-bucket")
        yield server.environment
