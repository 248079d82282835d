"""The suite's own helpers do what they promise."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.offline import NOBODY, _can_cut_off, run_offline
from tests.support.processes import (
    clean_environment,
    outputs_text,
    run_notebook,
    run_python,
    run_python_together,
    write_notebook,
)

NETWORK = """
import os, socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), timeout=60).close()
try:
    socket.create_connection(("192.0.2.1", 80), timeout=60)
except OSError as error:
    print(os.getuid(), error.errno)
"""


def test_a_program_runs_without_a_network_but_reaches_itself(tmp_path: Path) -> None:
    if not _can_cut_off():
        pytest.skip("this kernel or container does not let a process leave the network")
    done = run_offline(
        [sys.executable, "-c", NETWORK], user=None, cwd=tmp_path, env=clean_environment(), timeout_seconds=60
    )
    assert done.stdout == f"{os.getuid()} 101\n", done.stderr  # 101: network is unreachable


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_program_runs_as_another_user() -> None:
    done = run_offline(["/usr/bin/id", "-u"], user=NOBODY, cwd=Path("/"), env={}, timeout_seconds=60)
    assert done.stdout == f"{NOBODY}\n"


def test_tests_have_a_home_of_their_own_and_no_network(isolated_home: Path) -> None:
    assert Path.home() == isolated_home
    with pytest.raises(OSError, match="do not use the network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(OSError, match="do not use the network"):
        socket.getaddrinfo("example.org", 80)


def test_child_processes_see_the_isolated_home_and_nothing_of_pytest(isolated_home: Path) -> None:
    done = run_python("import os; print(os.environ['HOME'], 'PYTEST_CURRENT_TEST' in os.environ)")
    assert done.stdout == f"{isolated_home} False\n"


def test_a_failing_child_shows_what_it_printed() -> None:
    with pytest.raises(AssertionError, match="the reason"):
        run_python("raise SystemExit('the reason')")
    assert run_python("raise SystemExit(3)", check=False).returncode == 3


def test_several_processes_run_at_once(tmp_path: Path) -> None:
    code = """
    import pathlib, sys, time
    pathlib.Path(sys.argv[1]).touch()
    while len(list(pathlib.Path().iterdir())) < 3:
        time.sleep(0.01)
    print(sys.argv[1])
    """
    assert [done.stdout.strip() for done in run_python_together(code, 3, cwd=tmp_path)] == ["0", "1", "2"]


@pytest.mark.parametrize("driver", ["nbconvert", "papermill", "jupyter-execute"])
def test_a_notebook_is_really_executed(driver: str, tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "x = 20", "print(x + 1)\nx + 2", title="A title")
    run_notebook(path, driver=driver)
    assert outputs_text(tmp_path / "out-a.ipynb").split() == ["21", "22"]


def test_the_data_of_a_kept_server_outlive_it() -> None:
    import psycopg

    # The path of a socket has at most 107 bytes, and the server's user has to reach it.
    folder = Path(tempfile.mkdtemp(prefix="kept-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        assert postgres.can_keep(folder / "data")
        for is_first in (True, False):
            with postgres.running(folder / "server") as server:
                name = server.create(name="kept") if is_first else "kept"
                with psycopg.connect(server.url(name), autocommit=True) as connection:
                    if is_first:
                        connection.execute("CREATE TABLE one AS SELECT 1 AS number")
                    assert connection.execute("SELECT number FROM one").fetchall() == [(1,)]
    finally:
        shutil.rmtree(folder)


def test_databases_are_fresh_and_compare_bytes(postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
        order = connection.execute("select string_agg(x, '' order by x) from unnest(array['b', 'B', 'a']) x").fetchone()
    assert (tables, order) == ((0,), ("Bab",))
