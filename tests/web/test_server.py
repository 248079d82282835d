"""`lamin ui` in a process of its own: the link, the note, and the end."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import lamindb as ln
from lamindb.core import context, running_page
from lamindb.errors import ConflictError, InvalidInputError, UnsupportedError
from lamindb.web import server
from tests.support import depth, showcase
from tests.support.processes import clean_environment, lamin
from tests.web.conftest import Made

pytest.importorskip("waitress", reason="the server needs waitress")


@contextmanager
def running(*words: str, program: str = "") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start `lamin ui`, or a program that does, with its output in a pipe; yield the process and the link it prints."""
    command = [sys.executable, *(["-c", program] if program else ["-m", "lamindb", "ui"]), *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().rstrip("\n")
        finally:
            process.kill()


@pytest.mark.usefixtures("local_instance")
def test_the_link_opens_the_pages_and_a_signal_ends_them() -> None:
    ln.File(b"1", key="a.txt").save()
    big = ln.File(b"0" * (30 << 20), key="big.bin").save()
    with running("--no-browser") as (process, link):
        assert link.startswith("http://127.0.0.1:") and "/?token=" in link
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with opener.open(link) as answer:
            assert answer.status == 200 and "token" not in answer.url and "big" in answer.read().decode()
        origin = link.partition("/?")[0]
        address = running_page.address(context.instance().id, "/files")
        assert address == f"{origin}/files"
        # A download that nobody reads to its end does not hold the end up.
        connection = http.client.HTTPConnection(urlsplit(origin).netloc)
        cookie = "; ".join(f"{c.name}={c.value}" for h in opener.handlers for c in getattr(h, "cookiejar", []))
        connection.request("GET", f"/raw/{big.id}/big.bin", headers={"Cookie": cookie})
        response = connection.getresponse()
        assert response.status == 200 and response.read(10) == b"0" * 10
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        connection.close()
    assert running_page.address(context.instance().id, "/files") is None


@pytest.mark.usefixtures("local_instance")
def test_an_interrupt_ends_it_without_a_traceback() -> None:
    with running("--no-browser", "--prefix", "/proxy/1") as (process, link):
        assert "/proxy/1/?token=" in link
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("local_instance")
def test_an_answer_that_never_ends_does_not_hold_the_end_up(number: int) -> None:
    program = """
import sys, threading
from lamindb.cli.application import lamin
from lamindb.web.views import theme

def keys(request):
    print("asked", flush=True)
    threading.Event().wait()

theme.keys = keys
lamin(["ui", *sys.argv[1:]])
"""
    with running("--no-browser", program=program) as (process, link):
        parts = urlsplit(link)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar := CookieJar()))
        opener.open(link).close()
        connection = http.client.HTTPConnection(parts.netloc)
        connection.request("GET", "/keys", headers={"Cookie": "; ".join(f"{one.name}={one.value}" for one in jar)})
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
        connection.close()


REQUESTS = 10_000 if depth.FULL else 250
MOST_MEGABYTES = 120


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")
@pytest.mark.usefixtures("local_instance")
def test_memory_stays_small() -> None:
    showcase.make()
    with running("--no-browser") as (process, link):
        parts = urlsplit(link)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar := CookieJar()))
        with opener.open(link) as answer:
            found = re.findall(r'href="(/[^"#?]+)"', answer.read().decode())
        pages = [one for one in dict.fromkeys(found) if not one.startswith(("/static", "/theme"))]
        pages += [f"{one}/lineage" for one in pages if one.startswith(("/files/", "/runs/"))]
        pages += [f"{one}/log" for one in pages if re.fullmatch(r"/runs/\w+", one)]
        connection = http.client.HTTPConnection(parts.netloc)
        for number in range(REQUESTS):
            page = pages[number % len(pages)]
            connection.request("GET", page, headers={"Cookie": "; ".join(f"{one.name}={one.value}" for one in jar)})
            response = connection.getresponse()
            response.read()
            assert response.status == 200, page
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) < MOST_MEGABYTES * 1024  # type: ignore[index]
        connection.close()


@pytest.mark.usefixtures("local_instance")
def test_wrong_options_are_one_line() -> None:
    done = lamin("ui", "--no-browser", "--prefix", "//evil", check=False)
    assert done.returncode == 2 and "prefix" in done.stderr
    assert lamin("ui", "--no-browser", "--port", "70000", check=False).returncode == 2


def test_without_an_instance_there_is_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = lamin("ui", "--no-browser", check=False)
    assert done.returncode == 3 and "lamin init" in done.stderr


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n in ("waitress", "pygments") else real(n))
    with pytest.raises(UnsupportedError, match=r"pip install .*waitress.* .*pygments"):
        server.check_installed()


def test_a_port_that_is_taken_is_an_error(client: Any) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConflictError, match="--port"):
        server.Server(client.site.instance, port=taken.getsockname()[1])
    with pytest.raises(InvalidInputError):
        server.Server(client.site.instance, hosts=("a b",))


def test_the_page_that_leads_a_browser_there_is_private_and_goes(client: Any) -> None:
    with server.opening_page(client.gate) as page:
        assert page is not None
        assert page.stat().st_mode & 0o077 == 0
        text = page.read_text()
        assert client.gate.link_once in text and client.gate.token not in text
    assert not page.exists()


def test_its_end_closes_the_connections_that_browsers_keep(usual: Made) -> None:
    from lamindb.setup.read_only import open_read_only

    opened = server.Server(open_read_only(usual.folder))
    thread = threading.Thread(target=opened.serve)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", opened.gate.port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read()
    kept = connection.sock
    assert kept is not None
    opened.close()
    thread.join(10)
    assert not thread.is_alive() and kept.recv(1) == b""
    connection.close()
