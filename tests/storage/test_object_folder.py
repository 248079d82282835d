"""Sweeping removes what dead writers left, at once or by age, and never what a living one writes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lamindb.core import processes
from lamindb.storage import object_folder
from lamindb.storage.object_folder import Writer, new_temp_path, remove_abandoned, this_writer

WEEK = 7 * 86_400


def make(folder: Path, name: str, age: float = 0) -> Path:
    path = folder / name
    path.write_bytes(b"x")
    os.utime(path, (time.time() - age,) * 2)
    return path


def a_dead_writer() -> Writer:
    code = "from lamindb.storage.object_folder import this_writer as w; print(*[w().machine, w().pid, w().start])"
    machine, pid, start = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    return Writer(machine, int(pid), int(start))


def test_entries_are_never_the_same(tmp_path: Path) -> None:
    assert len({new_temp_path(str(tmp_path)) for _ in range(100)}) == 100


def test_a_child_is_another_writer(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, this_writer().prefix.encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1000).decode() not in {"", this_writer().prefix}
    os.close(reading)
    os.close(writing)


def test_a_dead_writers_entries_go_at_once(tmp_path: Path) -> None:
    dead = make(tmp_path, f"{a_dead_writer().prefix}.0")
    folder = tmp_path / f"{a_dead_writer().prefix}.1"
    folder.mkdir()
    (folder / "member").write_bytes(b"")
    assert set(remove_abandoned(str(tmp_path), older_than_seconds=WEEK)) == {dead.name, folder.name}
    assert list(tmp_path.iterdir()) == []


def test_a_living_writers_entries_stay_whatever_their_age(tmp_path: Path) -> None:
    mine = make(tmp_path, os.path.basename(new_temp_path(str(tmp_path))), age=10 * WEEK)
    code = "import sys, lamindb.storage.object_folder as i; print(i.this_writer().prefix, flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None and child.stdin is not None
        other = make(tmp_path, f"{child.stdout.readline().strip()}.0", age=10 * WEEK)
        assert remove_abandoned(str(tmp_path), older_than_seconds=0) == []
    finally:
        child.communicate("")
    assert remove_abandoned(str(tmp_path), older_than_seconds=WEEK) == [other.name]
    assert list(tmp_path.iterdir()) == [mine]


def test_a_process_number_given_anew_is_not_the_writer(tmp_path: Path) -> None:
    me = this_writer()
    other = make(tmp_path, f"{Writer(me.machine, os.getppid(), 1).prefix}.0")
    former = make(tmp_path, f"{Writer(me.machine, me.pid, me.start - 1).prefix}.0")
    assert set(remove_abandoned(str(tmp_path), older_than_seconds=WEEK)) == {other.name, former.name}


@pytest.mark.parametrize("name", ["elsewhere.0123456789ab.1.1.0", "litter", ".nfs0001", "a" * 64])
def test_what_others_left_goes_by_age(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path, name)
    assert remove_abandoned(str(tmp_path), older_than_seconds=WEEK) == []
    now = time.time()
    monkeypatch.setattr(object_folder.time, "time", lambda: now + WEEK + 60)
    assert remove_abandoned(str(tmp_path), older_than_seconds=WEEK) == [name]
    assert not path.exists()


def test_what_has_no_writer_goes_sooner_than_what_a_writer_elsewhere_may_complete(tmp_path: Path) -> None:
    litter, elsewhere = make(tmp_path, "litter"), make(tmp_path, "elsewhere.0123456789ab.1.1.0")
    (tmp_path / "folder").mkdir()
    make(tmp_path / "folder", "inside")
    assert remove_abandoned(str(tmp_path), older_than_seconds=WEEK, foreign_seconds=3600) == []
    assert remove_abandoned(str(tmp_path), older_than_seconds=WEEK, foreign_seconds=0) == ["folder", "litter"]
    assert elsewhere.exists() and not litter.exists()


def test_a_time_in_the_future_keeps_nothing(tmp_path: Path) -> None:
    path = make(tmp_path, "litter", age=-100 * WEEK)
    assert remove_abandoned(str(tmp_path), older_than_seconds=0) == ["litter"]
    assert not path.exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert remove_abandoned(str(tmp_path / "absent"), older_than_seconds=0) == []


def test_a_name_identifies_its_writer(tmp_path: Path) -> None:
    entry = os.path.basename(new_temp_path(str(tmp_path)))
    assert object_folder.writer_of(entry) == object_folder.writer_of(f"{entry}.writer") == this_writer()
    assert object_folder.writer_of("litter") is None


def test_a_living_process_that_hides_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    me = this_writer()
    monkeypatch.setattr(processes, "_status", lambda pid: None)
    assert object_folder.is_alive(Writer(me.machine, os.getppid(), 1)) is None
