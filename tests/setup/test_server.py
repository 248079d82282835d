"""Instances on a server: connected by one command, and never opened where only a folder names the server."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import database_url
from lamindb.core.context import instance
from lamindb.errors import LaminError, NoInstanceError
from lamindb.instance import config
from lamindb.setup import lifecycle
from tests.cli.conftest import Cli, cli

__all__ = ["cli"]


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """Listen as a server of another person would; nothing may ever connect to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def shared(migrated_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make an instance on a server, with a file, as another project of this machine; return the address."""
    (tmp_path / "first").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    ln.setup.init(storage=tmp_path / "data" / "shared", name="lab", db=migrated_postgres_url)
    ln.File(b"x", key="x.txt").save()
    lifecycle.reset()
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "second")
    return migrated_postgres_url


def named_command(error: LaminError) -> list[str]:
    found = re.search("`lamin ([^`]*)`", str(error))
    assert found is not None, error
    return shlex.split(found[1])


@pytest.mark.parametrize("address", ["ada@{}", "ada:pw@{}", "{}"])
def test_a_server_that_only_a_folder_names_is_never_contacted(
    address: str, listening: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolated_home: Path
) -> None:
    host = f"127.0.0.1:{listening.getsockname()[1]}"
    (isolated_home / ".pgpass").write_text("*:*:*:*:s3cret\n")
    (isolated_home / ".pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    home = tmp_path / "evil" / "mydata" / ".lamindb"
    home.mkdir(parents=True)
    url = f"postgresql://{address.format(host)}/lab?sslmode=disable&passfile=/x"
    config.write(home, config.Description("a" * 8, "evil", "b" * 8, ".", url))
    monkeypatch.chdir(tmp_path / "evil")
    uses = (
        lambda: ln.File.select().count(),
        lambda: ln.connect("mydata"),
        ln.connect,
        lambda: ln.setup.init(storage="mydata"),
        lambda: ln.setup.delete("mydata", drop_tables=True),
    )
    for use in uses:
        with pytest.raises(NoInstanceError, match=re.escape("127.0.0.1")) as caught:
            use()
        command = named_command(caught.value)
        assert (command[0], command[2:]) == ("connect", ["--storage", str(home.parent)])
        assert command[1].removeprefix("postgresql://").removeprefix("ada@") == f"{host}/lab"
    with pytest.raises(BlockingIOError):
        listening.accept()
    assert (home / "instance.toml").exists()


def test_a_colleague_connects_by_the_command_that_the_message_names(
    shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "settings of a colleague"))
    with pytest.raises(NoInstanceError) as caught:
        ln.connect(tmp_path / "data" / "shared")
    cli(*named_command(caught.value))
    lifecycle.reset()
    assert ln.File.select().one().key == "x.txt"
    assert instance().root_url == str(tmp_path / "data" / "shared")


@pytest.mark.parametrize("known", ["here", "elsewhere"])
def test_a_second_folder_needs_only_the_address(
    known: str, shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    if known == "elsewhere":
        monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "settings of a colleague"))
    cli("connect", shared)
    lifecycle.reset()
    assert ln.File.select().one().key == "x.txt"
    assert ln.setup.info().project == str(tmp_path / "second")


def test_a_copy_of_the_folder_is_connected_by_the_address(
    shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tmp_path / "data" / "shared", tmp_path / "second" / "shared")
    with pytest.raises(NoInstanceError, match="lamin connect"):
        ln.File.select().count()
    ln.connect(shared)
    assert instance().root_url == str(tmp_path / "second" / "shared")
    lifecycle.reset()
    assert ln.File.select().one().key == "x.txt"


def test_the_address_is_known_after_disconnecting_and_forgotten_after_deleting(shared: str, tmp_path: Path) -> None:
    ln.connect(tmp_path / "data" / "shared")
    ln.setup.init(storage="./other")
    ln.disconnect()
    ln.connect(tmp_path / "data" / "shared")
    assert ln.File.select().one().key == "x.txt"
    ln.disconnect()
    text = (tmp_path / "data" / "shared" / ".lamindb" / "instance.toml").read_text()
    ln.setup.delete(tmp_path / "data" / "shared")
    (tmp_path / "data" / "shared" / ".lamindb" / "instance.toml").write_text(text)
    with pytest.raises(NoInstanceError, match=r"lamin connect '?postgresql"):
        ln.connect(tmp_path / "data" / "shared")


def test_a_folder_that_names_another_server_later_is_not_opened(shared: str, tmp_path: Path) -> None:
    path = tmp_path / "data" / "shared" / ".lamindb" / "instance.toml"
    path.write_text(re.sub('database = ".*"', 'database = "postgresql://db.example.org/lab"', path.read_text()))
    with pytest.raises(NoInstanceError, match=r"db\.example\.org"):
        ln.connect(tmp_path / "data" / "shared")


def test_a_database_with_other_records_is_refused(shared: str, tmp_path: Path, postgres_url: str) -> None:
    with pytest.raises(NoInstanceError, match="lamin init"):
        ln.connect(postgres_url)
    ln.setup.init(storage="./other", db=postgres_url)
    lifecycle.reset()
    with pytest.raises(NoInstanceError, match="no record of this instance"):
        ln.connect(postgres_url, storage=str(tmp_path / "data" / "shared"))


def test_a_storage_that_is_not_here_is_asked_for(shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(tmp_path / "settings of a colleague"))
    (tmp_path / "data").rename(tmp_path / "mounted")
    with pytest.raises(NoInstanceError, match="--storage PATH"):
        ln.connect(shared)
    ln.connect(shared, storage=str(tmp_path / "mounted" / "shared"))
    assert ln.File.select().one().load() == "x"


@pytest.mark.parametrize(
    ("written", "suggested"),
    [
        ("postgresql://ada:s3cret@h:77/lab?sslmode=disable&passfile=/x&service=y", "postgresql://ada@h:77/lab"),
        ("postgresql://h/lab?sslmode=verify-full&options=-c%20x", "postgresql://h/lab?sslmode=verify-full"),
        ("postgresql://a%1bb@[::1]:5/l%1b%20b", "postgresql://a%1Bb@[::1]:5/l%1B%20b"),
        ("postgresql://ada@/lab?host=/run/pg&sslmode=allow", "postgresql://ada@/lab?host=/run/pg"),
    ],
)
def test_an_address_of_a_folder_is_suggested_without_options_that_weaken_it(written: str, suggested: str) -> None:
    assert database_url.suggested(written) == suggested
    assert database_url.is_same(written, suggested)
