"""A database that is damaged, cut, older than its folder or locked: clear errors, nothing removed, no wrong bytes."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.db import database
from lamindb.errors import LaminError
from lamindb.maintenance import gc, verify
from lamindb.setup import lifecycle

N_TRIALS = 12
N_FILES = 60
KEYS = [f"{number % 7}/{number}.txt" for number in range(N_FILES)]


@pytest.fixture
def path(local_instance: Path) -> Path:
    """Save files, half of them before the copy `older` of the database was made, and close it."""
    folder = local_instance / ".lamindb"
    for half in (KEYS[: N_FILES // 2], KEYS[N_FILES // 2 :]):
        ln.save([ln.File(key.encode(), key=key) for key in half])
        lifecycle.reset()
        if not (folder / "older").exists():
            shutil.copy(folder / "db.sqlite3", folder / "older")
    shutil.copy(folder / "db.sqlite3", folder / "good")
    return folder / "db.sqlite3"


def beside(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}-{ending}") for ending in ("wal", "shm")]


def put_back(path: Path, kept: str = "good") -> None:
    lifecycle.reset()
    for one in beside(path):
        one.unlink(missing_ok=True)
    shutil.copy(path.with_name(kept), path)


def objects(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in (path.parent / "objects").rglob("*") if one.is_file()}


def is_damaged(path: Path) -> bool:
    """Return what SQLite itself finds."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as raw:
            sound = raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return not sound or bool(raw.execute("PRAGMA foreign_key_check").fetchall())
    except sqlite3.DatabaseError:
        return True


def try_all(path: Path) -> bool:
    """Use the instance in every way; return True if `verify` was content. Anything but an error of ours fails."""
    before = objects(path)
    with contextlib.suppress(LaminError):
        ln.connect(path.parents[1])
        for file in ln.File.select():
            with contextlib.suppress(LaminError):
                assert file.stage().read_bytes() == str(file.key).encode()
    with contextlib.suppress(LaminError):
        gc.sweep(dry_run=False, grace_seconds=0)
    is_clean = False
    with contextlib.suppress(LaminError):
        is_clean = verify.verify().is_clean
    with contextlib.suppress(LaminError):
        ln.File(b"new", key="new.txt").save()
    after = objects(path)
    assert {name: after.get(name) for name in before} == before
    return is_clean


def overwrite(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    size = chance.choice([16, 4096])
    start = chance.randrange(0 if seed % 4 == 0 else 4096, len(data) - size, size)
    data[start : start + size] = chance.randbytes(size)
    path.write_bytes(data)


def test_a_database_with_wrong_bytes(path: Path, record_property: Callable[[str, object], None]) -> None:
    n_damaged = 0
    for seed in range(N_TRIALS):
        put_back(path)
        overwrite(path, seed)
        damaged = is_damaged(path)
        n_damaged += damaged
        for one in beside(path):
            one.unlink(missing_ok=True)
        assert not (try_all(path) and damaged), f"seed {seed}: verify misses what SQLite finds"
    assert n_damaged > N_TRIALS // 4
    put_back(path)
    ln.connect(path.parents[1])
    assert verify.verify().is_clean
    record_property("faults", N_TRIALS)


@pytest.mark.parametrize("size", [0, 100, 4096, 70_000])
def test_a_database_that_was_cut(path: Path, size: int, record_property: Callable[[str, object], None]) -> None:
    path.write_bytes(path.read_bytes()[:size])
    assert not try_all(path)
    put_back(path)
    ln.connect(path.parents[1])
    assert verify.verify().is_clean
    record_property("faults", 1)


def test_a_database_that_is_older_than_its_folder(path: Path, record_property: Callable[[str, object], None]) -> None:
    put_back(path, "older")
    assert not try_all(path)
    put_back(path)
    ln.connect(path.parents[1])
    assert verify.verify().is_clean and ln.File.select().count() == N_FILES
    record_property("faults", 1)


def test_an_old_log_beside_a_database(path: Path, record_property: Callable[[str, object], None]) -> None:
    put_back(path, "older")
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE lamindb_file SET name = 'old'")
        raw.commit()
        shutil.copy(beside(path)[0], path.with_name("log"))
    put_back(path)
    shutil.copy(path.with_name("log"), beside(path)[0])
    damaged = is_damaged(path)
    assert not (try_all(path) and damaged)
    put_back(path)
    ln.connect(path.parents[1])
    assert ln.File.select().count() == N_FILES and verify.verify().is_clean
    record_property("faults", 1)


@pytest.fixture
def locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Hold the lock of writers, for which this process does not wait."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        yield path
        raw.execute("ROLLBACK")


def test_a_locked_database(locked: Path, record_property: Callable[[str, object], None]) -> None:
    before = objects(locked)
    ln.connect(locked.parents[1])
    assert ln.File.select().count() == N_FILES
    assert verify.verify().is_clean
    file = ln.File.select(key=KEYS[0]).one()
    for act in (ln.File(b"new", key="new.txt").save, file.delete, lambda: gc.sweep(dry_run=False, grace_seconds=0)):
        with contextlib.suppress(LaminError):
            act()
    assert ln.File.select().count() == N_FILES and file.stage().read_bytes() == KEYS[0].encode()
    after = objects(locked)
    assert {name: after.get(name) for name in before} == before
    record_property("faults", 1)
