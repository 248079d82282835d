"""Which process, and whether it lives."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lamindb.core import processes
from lamindb.core.processes import boot_id, host, is_alive, process_start, this_process

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_this_process_lives() -> None:
    this = this_process()
    assert (this.pid, this.host, this.boot_id) == (os.getpid(), host(), boot_id())
    assert this is this_process()
    assert is_alive(this) is True


@linux
def test_ended_processes_and_zombies_are_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        other = this_process()._replace(pid=child.pid, started=process_start(child.pid))
        assert other.started is not None
        assert is_alive(other) is True
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_alive(other) is False, "a zombie is dead"
        child.communicate()
        assert is_alive(other) is False
        assert process_start(child.pid) is None


@linux
def test_a_reused_process_id_does_not_deceive() -> None:
    this = this_process()
    assert is_alive(this._replace(started="1")) is False
    assert is_alive(this._replace(started=None)) is True


def test_other_boots_machines_and_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    this = this_process()._replace(host="node7", boot_id="b", namespace="n")
    monkeypatch.setattr(processes, "this_process", lambda: this)
    assert is_alive(this._replace(boot_id="earlier")) is False
    assert is_alive(this._replace(boot_id="earlier", host="other")) is None
    assert is_alive(this._replace(host="renamed since")) is True
    assert is_alive(this._replace(namespace="pid:[1]")) is None
    assert is_alive(this._replace(boot_id="")) is True
    monkeypatch.setattr(processes, "this_process", lambda: this._replace(host="localhost"))
    assert is_alive(this._replace(boot_id="earlier", host="localhost")) is None


@pytest.mark.parametrize("pid", [0, -1, 2**40])
def test_impossible_process_ids_are_dead(pid: int) -> None:
    assert process_start(pid) is None
    assert is_alive(this_process()._replace(pid=pid)) is not True


@linux
def test_names_of_commands_do_not_confuse() -> None:
    code = "open('/proc/self/comm', 'w').write('a) Z (b'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        other = this_process()._replace(pid=child.pid, started=process_start(child.pid))
        assert is_alive(other) is True
        child.communicate("\n")


def test_a_forked_child_is_another_process() -> None:
    code = """
import os
from lamindb.core.processes import is_alive, this_process
parent = this_process()
child = os.fork()
if child == 0:
    this = this_process()
    ok = this.pid == os.getpid() != parent.pid and is_alive(this) and is_alive(parent)
    os._exit(0 if ok else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_portable_way_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    # It is kept for later tests: the way of this platform has to find it.
    this = this_process()
    monkeypatch.setattr(sys, "platform", "freebsd")
    assert process_start(2**30) is None
    try:
        subprocess.run(["ps", "-o", "stat=,lstart=", "-p", "1"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no ps with lstart here")
    started = process_start(os.getpid())
    assert started
    assert is_alive(this._replace(started=started)) is True


def test_a_host_whose_name_is_no_text_is_known_by_how_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    names = os.uname()
    odd = os.uname_result((names.sysname, "caf\udce9", names.release, names.version, names.machine))
    monkeypatch.setattr(os, "uname", lambda: odd)
    assert host() == "caf\\udce9"
