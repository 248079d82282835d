"""An S3 server for these tests, and the number of processes that were killed, told at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.storage import servers
from tests.storage.servers import S3Server


@pytest.fixture(scope="session")
def seaweed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with servers.seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many processes were killed, by all workers together."""
    reports = [report for found in terminalreporter.stats.values() for report in found if hasattr(report, "when")]
    kills = sum(
        value
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name == "kills"
    )
    if kills:
        terminalreporter.write_line(f"{kills:,} processes were killed, each at another step")
