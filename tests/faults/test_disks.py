"""A disk that is full, fails, or cannot be written: one clear error, the state as before, and a retry that succeeds."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.errors import LaminError, ReadOnlyError, StorageError
from lamindb.maintenance import verify
from lamindb.models import File
from lamindb.setup import lifecycle
from lamindb.storage.base import Source
from lamindb.storage.cache import open_cache
from lamindb.storage.hash_cache import HashCache
from lamindb.storage.local import LocalStore
from lamindb.storage.remote import RemoteStore
from lamindb.storage.view import View
from tests.kills.scenarios import SCENARIOS, SPARSE
from tests.kills.warm import Warm
from tests.support import depth, memory
from tests.support.processes import run_command, run_python

REPOSITORY = Path(__file__).parents[2]
ALL = [name for name in SCENARIOS if name != "init"]
FEW = ["save", "save_large", "replace", "new_folder_version", "purge", "sweep"]
OTHERS = [name for name in ALL if name not in FEW]


def left(root: Path) -> list[str]:
    return [p.name for p in (root / ".lamindb/incoming").iterdir() if p.suffix not in {".writer", ".leaving"}]


def failure_of(act: Callable[[], object]) -> LaminError | None:
    """Return the error of ours that something raises, None if it works."""
    try:
        act()
    except LaminError as error:
        return error
    return None


# --- every call of the system fails once ---


@pytest.fixture
def fail(warm: Warm, record_property: Callable[[str, object], None]) -> Iterator[Callable[..., Any]]:
    """Return what lets each step of a scenario fail with an error number, in a program of its own."""
    folder = tempfile.mkdtemp(prefix="lamindb-fails-", dir=memory.folder())

    def run(scenario: str, number: int, **config: Any) -> Any:
        answer = warm.run(scenario, work=f"{folder}/work", fault=number, **config)
        record_property("faults", answer["times"])
        return answer

    yield run
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("scenario", ALL if depth.FULL else [*FEW, OTHERS[depth.SEED % len(OTHERS)]])
def test_each_call_may_fail(scenario: str, number: int, fail: Any) -> None:
    answer = fail(scenario, number, **depth.one_in(SPARSE.get(scenario, 4), shift=2 * (number == errno.EIO)))
    assert answer["problems"] == []
    assert answer["steps"] >= 3
    assert answer["times"] >= 1


# --- a disk that is really full ---


def fill(disk: Path, leave: int = 0) -> Path:
    """Take all space of a disk but some bytes."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, b"x" * 65536)
    os.close(descriptor)
    os.truncate(ballast, max(0, ballast.stat().st_size - leave))
    return ballast


@pytest.fixture
def small_disk(mount: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    disk = mount("-t", "tmpfs", "-o", "size=16m", "tmpfs")
    monkeypatch.chdir(disk)
    ln.setup.init(storage="./mydata")
    return disk


@pytest.mark.parametrize("size", [1_000, 3 << 20])
@pytest.mark.parametrize("leave", [0, 200 << 10])
def test_a_full_disk(small_disk: Path, tmp_path: Path, size: int, leave: int) -> None:
    root = small_disk / "mydata"
    before = ln.File(b"before", key="before.txt").save()
    source = tmp_path / "large.bin"
    source.write_bytes(os.urandom(size))
    ballast = fill(small_disk, leave)
    free = shutil.disk_usage(small_disk).free
    error = failure_of(lambda: ln.File(source, key="large.bin").save())
    assert error is not None or size < leave
    if error is not None:
        assert "\n" not in str(error)
        assert "space" in str(error) or "full" in str(error)
        assert not ln.File.select(key="large.bin").exists()
        assert not (root / "large.bin").exists()
        assert shutil.disk_usage(small_disk).free >= free - (64 << 10)
    assert left(root) == []
    assert before.stage().read_bytes() == b"before"
    ballast.unlink()
    file = ln.File(source, key="large.bin").save()
    assert file.stage().read_bytes() == source.read_bytes()
    assert verify.verify().is_clean


def test_a_full_disk_can_be_read_and_freed(small_disk: Path) -> None:
    root = str(small_disk / "full")
    store = LocalStore(root)
    store.prepare()
    kept, gone = (store.put(Source(".bin", data=os.urandom(1 << 20))).name for _ in range(2))
    view = View(store)
    view.show("kept.bin", kept)
    view.show("gone.bin", gone)
    abandoned = Path(root, ".lamindb", "incoming", "litter")
    abandoned.write_bytes(b"x" * 100_000)
    fill(small_disk)
    assert {name for name, _ in store.list()} == {kept, gone}
    assert view.state("kept.bin", kept) == "ours"
    assert store.check(kept, 1 << 20) is None
    store.prepare()
    assert store.remove_abandoned(older_than_seconds=0) == ["litter"]
    assert view.hide("gone.bin", gone)
    assert store.delete(gone)
    assert shutil.disk_usage(small_disk).free >= 1 << 20
    assert store.read(store.put(Source(".bin", data=b"fits again")).name) == b"fits again"


def test_records_on_a_full_disk_are_read_and_not_written(small_disk: Path) -> None:
    file = ln.File(b"before", key="before.txt").save()
    lifecycle.reset()
    ballast = fill(small_disk)
    # The files beside a database that is not open have to be made, for which there is no space.
    assert [found.load() for found in ln.File.select()] == ["before"]
    assert verify.verify().is_clean
    for act in (lambda: ln.File(b"after", key="after.txt").save(), ln.File.select().one().delete):
        with pytest.raises(LaminError, match="free some space"):
            act()
    assert ln.File.select().list() == [file]
    lifecycle.reset()
    ballast.unlink()
    assert ln.File(b"after", key="after.txt").save().is_latest
    assert verify.verify().is_clean


def test_many_files_on_a_full_disk_are_all_or_none(small_disk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.bin").write_bytes(os.urandom(100_000))
    ballast = fill(small_disk, leave=1 << 20)
    with pytest.raises(StorageError, match="space"):
        ln.save(ln.File.from_dir(folder))
    assert File.objects.count() == 0
    assert left(small_disk / "mydata") == []
    ballast.unlink()
    ln.save(ln.File.from_dir(folder))
    assert File.objects.count() == 30
    assert verify.verify().is_clean


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_small_disk_with_the_cache_of_a_bucket(mount: Callable[..., Path], tmp_path: Path, is_folder: bool) -> None:
    disk = mount("-t", "tmpfs", "-o", "size=8m", "tmpfs")
    store = RemoteStore("memory://small-disk", cache=open_cache(disk, HashCache(disk)))
    files = []
    for number in range(20):
        source = tmp_path / f"{number}"
        members = [source / "x", source / "y"] if is_folder else [source]
        for path in members:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(os.urandom((2 << 20) // len(members)))
        files.append((store.put(Source("", str(source))).name, source))
    for name, source in files:
        copy = store.local_path(name, "copy", is_folder=is_folder)
        for path in source.iterdir() if is_folder else [source]:
            assert (copy / path.relative_to(source)).read_bytes() == path.read_bytes()
        # As when its process ends.
        store.cache._entries._folders.clear()
    shutil.rmtree(disk / "objects")
    ballast = fill(disk)
    with pytest.raises(StorageError, match="space") as caught:
        store.local_path(files[0][0], "copy", is_folder=is_folder)
    assert "\n" not in str(caught.value)
    ballast.unlink()
    store.local_path(files[0][0], "copy", is_folder=is_folder)


def test_a_limit_of_the_file_size(local_instance: Path) -> None:
    source = Path("large.bin").absolute()
    source.write_bytes(os.urandom(4 << 20))
    code = """
    import resource, sys
    import lamindb as ln
    ln.File(b"first", key="first.txt").save()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    try:
        ln.File("large.bin", key="large.bin").save()
    except ln.LaminError as error:
        print(type(error).__name__, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(ln.File.select().count(), ln.File("large.bin", key="large.bin").save().size)
    """
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    lines = run_python(code).stdout.splitlines()
    assert lines[0].startswith("StorageError cannot store") and "file too large" in lines[0]
    assert lines[1] == f"1 {4 << 20}"
    assert left(local_instance) == []


# --- disks that cannot be written ---


def test_a_folder_on_read_only_media_is_read(
    mount: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    monkeypatch.chdir(real)
    ln.setup.init(storage="./mydata")
    Path("src").mkdir()
    Path("src/member").write_bytes(b"member")
    ln.File(b"one", key="one.txt").save()
    ln.File(b"two", key="one.txt").save()
    ln.File("src", key="folder").save()
    lifecycle.close()
    place = mount("--bind", str(real), name="readonly")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
    monkeypatch.chdir(place)
    lifecycle.connect(place / "mydata")
    file = ln.File.select(key="one.txt").one()
    assert [version.stage().read_bytes() for version in file.versions] == [b"one", b"two"]
    assert verify.verify().is_clean
    with pytest.raises(ReadOnlyError):
        ln.File(b"new", key="new.txt").save()
    with pytest.raises(ReadOnlyError):
        file.delete()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_of_another_user_is_read_and_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Path(tempfile.mkdtemp(prefix="lamindb-other-", dir="/tmp"))
    try:
        base.chmod(0o755)
        monkeypatch.chdir(base)
        ln.setup.init(storage="./mydata")
        ln.File(b"one", key="one.txt").save()
        lifecycle.close()
        home = base / "home"
        home.mkdir()
        os.chown(home, 65534, 65534)
        code = f"""
import os, tempfile
import lamindb as ln
# Everything is imported before this process becomes a user that may not reach the interpreter.
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    ln.setup.init(storage="./warm")
    ln.File(b"warm", key="warm.txt").save().open().close()
    ln.File(b"warm", key="warm.txt").save().delete()
    ln.disconnect()
    os.chdir({str(base)!r})
os.setgid(65534); os.setuid(65534)
os.environ.update(HOME={str(home)!r}, LAMIN_SETTINGS_DIR={str(home / "s")!r}, LAMIN_CACHE_DIR={str(home / "c")!r})
ln.connect({str(base / "mydata")!r})
print(ln.File.select(key="one.txt").one().open().read())
for act in (lambda: ln.File(b"two", key="two.txt").save(), ln.File.select(key="one.txt").one().delete):
    try:
        act()
    except ln.LaminError as error:
        print(type(error).__name__)
"""
        done = run_command(sys.executable, "-W", "ignore", "-c", code, cwd=base)
        assert done.stdout.splitlines() == ["b'one'", "ReadOnlyError", "ReadOnlyError"], done.stderr[-2000:]
    finally:
        os.chdir("/")
        shutil.rmtree(base)


def test_a_storage_folder_that_disappears(local_instance: Path) -> None:
    ln.File(b"one", key="one.txt").save()
    local_instance.rename(local_instance.with_name("elsewhere"))
    with pytest.raises(LaminError) as caught:
        ln.File(b"two", key="two.txt").save()
    assert "\n" not in str(caught.value)
    assert not local_instance.exists()
    local_instance.with_name("elsewhere").rename(local_instance)
    lifecycle.connect(local_instance)
    assert ln.File(b"two", key="two.txt").save().stage().read_bytes() == b"two"
    assert verify.verify().is_clean
