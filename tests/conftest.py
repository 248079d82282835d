"""Every test gets a home, settings and a library state of its own; databases are made for it and thrown away."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.support import depth, memory

_REMOVED_PREFIXES = ("LAMIN_", "XDG_", "GIT_", "AWS_", "JUPYTER_", "JPY_", "NBPRJ_", "QUARTO_", "DJANGO_")

_LONG = ("acceptance", "kills", "journeys", "faults", "docs", "files", "environment")

_ON_DISK = ("tests/docs/", "tests/environment/", "tests/journeys/", "tests/runs/", "tests/cli/test_run")

# A shell's background job, or nohup, begins with these ignored, and so would every program that the tests start.
if threading.current_thread() is threading.main_thread():
    for _number, _handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(_number) == signal.SIG_IGN:
            signal.signal(_number, _handler)


# How fast a machine is decides about nothing: neither about an example that takes long nor about making one.
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")

# Where pytest makes the folders of tests, if it is not told otherwise; their number, not their size, takes the time.
if (_memory := memory.folder()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_memory))


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test an empty home folder, and take away what the user's environment says to the library."""
    home = Path(tempfile.mkdtemp(prefix="home-", dir=tmp_path_factory.getbasetemp()))
    for name in list(os.environ):
        if name.startswith(_REMOVED_PREFIXES):
            monkeypatch.delenv(name)
    folders = {
        "HOME": "",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
        "XDG_CACHE_HOME": ".cache",
        "XDG_RUNTIME_DIR": "runtime",
        "LAMIN_SETTINGS_DIR": "lamin-settings",
        "LAMIN_CACHE_DIR": "lamin-cache",
    }
    for name, folder in folders.items():
        monkeypatch.setenv(name, str(home / folder))
    (home / "runtime").mkdir(mode=0o700)
    # Without it, Jupyter's own start-up warns, and here warnings are errors.
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    # The user of a container may have no name; git and the library ask for one.
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def tmp_path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return the folder of the test: in memory, or on a disk where the test is of watched programs.

    What a run opens below `/dev` is not recorded, and memory is mounted there.
    """
    if memory.folder() is None or not request.node.nodeid.startswith(_ON_DISK):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix=f"{tmp_path.name}-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that would leave this machine, and questions after names of others."""
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_local(address[0]):
            raise OSError(f"tests do not use the network: {address!r}")
        connect(self, address)

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_local(host):
            raise socket.gaierror(f"tests do not use the network: {host!r}")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_resolve)


def _is_local(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    return name in {None, "", "0.0.0.0", "127.0.0.1", "::", "::1", socket.gethostname()} or name.endswith("localhost")


@pytest.fixture(autouse=True)
def fresh_library_state(isolated_home: Path, no_network: None) -> Iterator[None]:
    """Leave no instance connected, no run current and no setting changed for the next test."""
    yield
    _disconnect()
    settings = sys.modules.get("lamindb.core.settings")
    if settings is not None:
        settings.settings.reset()


@pytest.fixture(autouse=True, scope="session")
def no_modules_of_the_suite() -> Iterator[None]:
    """Keep the suite's own modules out of what runs record: each run would read and redact hundreds of them."""
    from lamindb.environment import own_modules

    found, repository = own_modules._module_files, f"{Path(__file__).parents[1]}{os.sep}"

    def others(left_out: tuple[str, ...]) -> Iterator[str]:
        return (file for file in found(left_out) if not file.startswith(repository))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_modules, "_module_files", others)
        yield


def _disconnect() -> None:
    """Disconnect this process from its instances, as if it had just begun; what is registered stays."""
    lifecycle = sys.modules.get("lamindb.setup.lifecycle")
    if lifecycle is not None:
        lifecycle.reset()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """Run a PostgreSQL server of this worker's own until the session ends."""
    from tests.support import postgres

    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def warm() -> Iterator[Any]:
    """Run a process of this worker's own that forks programs which are killed."""
    from tests.kills import warm

    with warm.running() as process:
        yield process


@pytest.fixture
def postgres_url(postgres_server: Any) -> Iterator[str]:
    """Make an empty database for this test; whatever is still connected to it afterwards is cut off."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    _disconnect()
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a database with all tables and no row, from which others are copied."""
    import lamindb.models  # noqa: F401  configures Django
    from lamindb.db import database as databases
    from lamindb.db import migrate

    name: str = postgres_server.create()
    alias = f"{databases.ALIAS_PREFIX}template"
    databases.register(alias, databases.postgres_config(postgres_server.url(name)))
    try:
        migrate.bring_up_to_date(alias, home=tmp_path_factory.mktemp("template"))
    finally:
        databases.unregister(alias)
    return name


@pytest.fixture
def migrated_postgres_url(postgres_server: Any, migrated_template: str) -> Iterator[str]:
    """Make a database that has its tables but no row."""
    name = postgres_server.create(migrated_template)
    yield postgres_server.url(name)
    _disconnect()
    postgres_server.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Run the test on both databases; the value is what `init` takes as `db`."""
    return None if request.param == "sqlite" else request.getfixturevalue("migrated_postgres_url")


@pytest.fixture
def instance(
    tmp_path: Path,
    database: str | None,
    sqlite_tables: Any,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Path:
    """Make an instance with storage `./mydata` in the test's folder, on both databases; return its storage root."""
    return _init(tmp_path, database, sqlite_tables, monkeypatch, request)


@pytest.fixture
def local_instance(
    tmp_path: Path, sqlite_tables: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """Make an instance with storage `./mydata` in the test's folder, on SQLite only; return its storage root."""
    return _init(tmp_path, None, sqlite_tables, monkeypatch, request)


@pytest.fixture(scope="session")
def sqlite_tables() -> Callable[[str], None]:
    """Return what makes the tables of a SQLite database: the first time as `init` does, then as a copy of those."""
    from lamindb.db import database, migrate

    create, template = migrate._create, sqlite3.connect(":memory:")
    has_tables = False

    def make(alias: str) -> None:
        nonlocal has_tables
        connection = database.connection(alias)
        if not has_tables:
            create(alias)
            connection.connection.backup(template)
            has_tables = True
        else:
            connection.ensure_connection()
            template.backup(connection.connection)

    return make


def _init(
    folder: Path,
    database: str | None,
    sqlite_tables: Any,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Path:
    import lamindb as ln
    from lamindb.db import migrate
    from lamindb.models.query import RecordQuery

    if depth.asks_django(request.node.nodeid):
        monkeypatch.setattr(RecordQuery, "COMPILES_ONCE", False)
    monkeypatch.chdir(folder)
    with monkeypatch.context() as patch:
        if database is None:
            patch.setattr(migrate, "_create", sqlite_tables)
        ln.setup.init(storage="./mydata", db=database)
    return folder / "mydata"


def pytest_report_header() -> str:
    """Tell which part of the steps is tried, and how to try the same part again."""
    return depth.description()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the rooms whose tests take long: at the end, no worker waits for one long test of another."""
    items.sort(key=lambda item: _LONG.index(room) if (room := _room(item)) in _LONG else len(_LONG))


def _room(item: pytest.Item) -> str:
    return item.nodeid.split("/")[1]


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
