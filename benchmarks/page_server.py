"""Benchmarks of `lamin ui` as a process, and of its pages of records that are larger than a page."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.harness import Bench, Result, benchmark

_ROUNDS = 3
_DOWNLOAD = 64 << 20


@benchmark("pages of a run with 20,000 inputs and a log of 1 GB, and of a file with 20,000 readers", bound=300)
def large(bench: Bench) -> Result:
    """Return the slowest page in ms, by the median of the times of each."""
    from tests.support import large_records
    from tests.support.web import Client

    full = large_records.FULL
    sizes = large_records.Sizes(bench.count(full.many), bench.count(full.log_bytes))
    with bench.instance() as folder:
        import lamindb as ln

        made = large_records.make(sizes)
        ln.setup.disconnect()
        from lamindb.setup import lifecycle
        from lamindb.setup.read_only import open_read_only

        instance = open_read_only(folder)
        try:
            client = Client(instance)
            times = {address: _median(lambda: client.get(address)) for address in (*made.lists, *made.lineage)}  # noqa: B023
        finally:
            lifecycle.close_connections(instance)
    slowest = max(times, key=lambda address: times[address])
    return Result(times[slowest] * 1e3, unit="ms", note=slowest.partition("?")[0])


@benchmark("lamin ui until its first answer, s", bound=2)
def first_answer(bench: Bench) -> Result:
    """Return the seconds from the start of the process until the first page was read."""
    with bench.instance():
        found = []
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            with _running(bench) as (_, opener, link):
                opener.open(link).read()
                found.append(time.perf_counter() - began)
    return Result(sorted(found)[_ROUNDS // 2])


@benchmark("lamin ui until its end by SIGTERM while a file is downloaded, s", bound=1)
def end(bench: Bench) -> Result:
    """Return the seconds from the signal until the process has ended, with code 0."""
    with bench.instance():
        import lamindb as ln

        file = ln.File(b"0" * max(8 << 20, int(_DOWNLOAD * bench.scale)), key="large.bin").save()
        found = []
        for _ in range(_ROUNDS):
            with _running(bench) as (server, opener, link):
                opener.open(link).read()
                origin = "{0.scheme}://{0.netloc}".format(urlsplit(link))
                with opener.open(f"{origin}/raw/{file.id}/large.bin") as download:
                    download.read(10)
                    began = time.perf_counter()
                    server.send_signal(signal.SIGTERM)
                    code = server.wait(60)
                    found.append(time.perf_counter() - began)
            assert code == 0, code
    return Result(sorted(found)[_ROUNDS // 2])


@contextmanager
def _running(bench: Bench) -> Iterator[tuple[subprocess.Popen[str], urllib.request.OpenerDirector, str]]:
    """Yield the server in the current folder, what keeps its cookie, and the link that it prints."""
    command = [sys.executable, "-m", "lamindb", "ui", "--no-browser"]
    with subprocess.Popen(command, env=bench.environment(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            link = next(word for word in server.stdout.readline().split() if "token=" in word)
            yield server, urllib.request.build_opener(urllib.request.HTTPCookieProcessor()), link
        finally:
            server.terminate()


def _median(function: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return sorted(times)[_ROUNDS // 2]
