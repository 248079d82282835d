"""Small file systems and failing servers for these tests."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lamindb.setup  # noqa: F401
from tests.storage import servers
from tests.storage.servers import S3Server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def mount() -> Iterator[Callable[..., Path]]:
    """Return what mounts a file system with these options of `mount`; the test is skipped where that is refused."""
    base = Path(tempfile.mkdtemp(prefix="lamindb-faults-", dir="/tmp"))
    mounted: list[Path] = []

    def make(*options: str, name: str = "disk") -> Path:
        if os.geteuid() != 0:
            pytest.skip("only root can mount")
        place = base / name
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting is refused here: {done.stderr.strip()[:200]}")
        mounted.append(place)
        return place

    yield make
    os.chdir("/")
    for place in reversed(mounted):
        subprocess.run(["umount", "-l", str(place)], check=True)
    subprocess.run(["rm", "-rf", str(base)], check=True)
