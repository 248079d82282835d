"""The pages of an installed wheel, in a network that reaches nothing: everything is there, and nothing is asked for."""

from __future__ import annotations

import json
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import lamindb.web
from tests.support import showcase
from tests.support.offline import run_offline
from tests.support.processes import clean_environment, run_command

ROOT = Path(__file__).parents[2]

SERVER = """
import sys
names = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request")

def watch(name, given):
    # waitress resolves the address that it would listen on by default.
    if name in names and given[0] != "0.0.0.0":
        print(name, given, file=sys.stderr)

sys.addaudithook(watch)
from lamindb.cli.application import lamin
lamin(["ui", "--no-browser"])
"""

BROWSER = """
import json, re, signal, subprocess, sys, urllib.request
from html import unescape
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urljoin, urlsplit

command, pipe = [sys.executable, "-I", "-c", sys.argv[1]], subprocess.PIPE
server = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
link = server.stdout.readline().strip()
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
statuses, todo, kinds = {}, [link], {}
while todo:
    address = todo.pop(0)
    kind = re.sub(r"[0-9A-Za-z]{8,20}(?=/|$)", "*", urlsplit(address).path)
    if address in statuses or kinds.get(kind, 0) >= 2:
        continue
    kinds[kind] = kinds.get(kind, 0) + 1
    try:
        with opener.open(address) as answer:
            statuses[address], form = answer.status, answer.headers["Content-Type"]
            text = answer.read().decode("utf-8", "replace")
    except HTTPError as error:
        statuses[address], text, form = error.code, "", ""
    if form.startswith("text/html"):
        found = re.findall(r'(?:href|src|hx-get)="([^"#]+)', text)
        todo += [urljoin(link, unescape(one)) for one in found]
server.send_signal(signal.SIGTERM)
asked = server.communicate(timeout=120)[1]
import lamindb
print(json.dumps({"statuses": statuses, "asked": asked, "file": lamindb.__file__, "code": server.returncode}))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return the Python of an environment that has the wheel, and the packages that the wheel needs."""
    wheels = tmp_path / "wheels"
    run_command(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT)
    run_command(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    site = Path(run_command(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # The packages are those of the tests' environment, but for this one, which is there by a file that is not read.
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.mark.usefixtures("local_instance")
def test_the_wheel_has_all_pages_and_they_leave_this_machine_alone(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("waitress", reason="the server needs waitress")
    showcase.make()
    done = run_offline(
        [installed, "-I", "-c", BROWSER, SERVER],
        user=None,
        cwd=Path.cwd(),
        env=clean_environment(),
        timeout_seconds=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert str(tmp_path / "venv") in found["file"] and found["code"] == 0
    assert found["asked"] == ""
    assert {address: status for address, status in found["statuses"].items() if status != 200} == {}
    assert len(found["statuses"]) > 50
    origin = "/".join(next(iter(found["statuses"])).split("/")[:3])
    assert all(address.startswith(f"{origin}/") for address in found["statuses"])
    own = {path.name for path in (Path(lamindb.web.__file__).parent / "static").iterdir() if path.suffix != ".txt"}
    assert {address.rpartition("/")[2] for address in found["statuses"] if "/static/" in address} == own
