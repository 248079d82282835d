"""Real S3 servers on the loopback interface, as child processes with folders of their own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ACCESS_KEY, SECRET_KEY = "lamin-test-key", "lamin-test-secret"


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server; `pid` is for tests that stop and continue it."""

    kind: str
    endpoint_url: str
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }

    def make_bucket(self, name: str) -> None:
        """Make a bucket, by a signed request."""
        import boto3
        from botocore.config import Config

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 5}, s3={"addressing_style": "path"}),
        )
        try:
            client.create_bucket(Bucket=name)
        finally:
            client.close()


def free_ports(count: int) -> list[int]:
    """Return free ports, which are also free 10,000 above, where some servers open a second one.

    Both lie below those that the system gives to connections, which would take a port before its server does.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = secrets.SystemRandom().randrange(10_000, 20_000)
            with contextlib.suppress(OSError):
                for each in (port, port + 10_000):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", each))
                found.append(port)
    return found


def program(name: str) -> str:
    """Return the path of a program of this environment, or skip the test."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


@contextlib.contextmanager
def seaweed(folder: Path) -> Iterator[S3Server]:
    """Run SeaweedFS, which behaves like S3 in every way that matters here."""
    names = ["master.port", "volume.port", "filer.port", "s3.port", "admin.port"]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    data = folder / "data"
    data.mkdir(parents=True)
    command = [program("weed"), "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false"]
    command += ["-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.localSocket={folder}/s3.sock"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    environment = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with _running(command, folder, environment, stop=signal.SIGINT) as process:
        endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        _wait(process, endpoint, folder)
        yield S3Server("seaweedfs", endpoint, process.pid)


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[S3Server]:
    """Run moto's server, which takes any credentials."""
    [port] = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    with _running([program("moto_server"), "-H", "127.0.0.1", "-p", str(port)], folder, {}) as process:
        endpoint = f"http://127.0.0.1:{port}"
        _wait(process, endpoint, folder)
        yield S3Server("moto", endpoint, process.pid)


@contextlib.contextmanager
def _running(
    command: list[str], folder: Path, environment: dict[str, str], stop: signal.Signals = signal.SIGTERM
) -> Iterator[subprocess.Popen[bytes]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_", "WEED_"))}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**kept, **environment, "HOME": str(folder)}, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.send_signal(stop)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], endpoint: str, folder: Path) -> None:
    """Wait until the server answers, whatever it answers."""
    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(endpoint, timeout=30).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            if answer.code < 500:
                return
        except OSError:
            pass
        else:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{endpoint} does not answer: {(folder / 'log').read_text(errors='replace')[-2000:]}")
