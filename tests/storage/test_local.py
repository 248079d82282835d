"""The store of a local folder: the contract, taking over, permissions, failures of the disk, and the order of steps."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lamindb.core.hashing import CHUNK_SIZE, hash_bytes
from lamindb.errors import InvalidInputError, LaminError, ReadOnlyError, SourceChangedError, StorageError
from lamindb.storage import local
from lamindb.storage.base import FileStat, ObjectName, ObjectStore, Source
from lamindb.storage.hash_cache import HashCache
from lamindb.storage.local import LocalStore
from lamindb.storage.open_store import open_store
from lamindb.storage.view import View
from tests.storage.contract import StoreContract, write
from tests.storage.test_reflink import sparse


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    cache = HashCache(tmp_path / "cache")
    store = open_store(str(tmp_path / "root"), hash_cache=cache)
    assert isinstance(store, LocalStore)
    store.prepare()
    yield store
    cache.close()


def incoming(store: LocalStore) -> list[str]:
    return os.listdir(store.objects.temp_folder)


class TestContract(StoreContract):
    def overwrite(self, store: ObjectStore, name: ObjectName, data: bytes) -> None:
        path = Path(store.object_path(name))
        path.chmod(0o644)
        path.write_bytes(data)
        path.chmod(0o444)

    def leftovers(self, store: ObjectStore) -> list[str]:
        assert isinstance(store, LocalStore)
        return incoming(store)

    def reopened(self, store: ObjectStore, *, read_only: bool = False) -> ObjectStore:
        assert isinstance(store, LocalStore)
        return open_store(store.root_url, hash_cache=store.hash_cache, read_only=read_only)


@pytest.mark.parametrize("size", [0, 10, CHUNK_SIZE + 1])
def test_taking_over_makes_no_second_copy(store: LocalStore, size: int) -> None:
    data = os.urandom(size)
    path = Path(store.root_url, "data", "a.csv")
    source = write(path, data)
    stored = store.put(Source(".csv", source.path, take_over=True))
    assert not stored.reused
    assert store.read(stored.name) == data
    assert path.read_bytes() == data
    if not store.objects.can_clone:
        assert path.stat().st_ino == Path(store.object_path(stored.name)).stat().st_ino
        assert not path.stat().st_mode & 0o222
    assert store.put(Source(".csv", source.path, take_over=True)).reused
    assert incoming(store) == []


def test_taking_over_keeps_the_right_to_run(store: LocalStore) -> None:
    path = Path(store.root_url, "run.sh")
    source = write(path, b"#!/bin/sh\n")
    path.chmod(0o755)
    store.put(Source(".sh", source.path, take_over=True))
    assert path.stat().st_mode & 0o111


def test_a_file_with_other_links_is_copied(store: LocalStore, tmp_path: Path) -> None:
    source = write(tmp_path / "mine.csv", b"mine")
    os.link(tmp_path / "mine.csv", Path(store.root_url, "a.csv"))
    stored = store.put(Source(".csv", str(Path(store.root_url, "a.csv")), take_over=True))
    (tmp_path / "mine.csv").write_bytes(b"edit")
    assert store.read(stored.name) == b"mine"
    assert source.path is not None


@pytest.mark.parametrize(
    "number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES]
)
@pytest.mark.parametrize("size", [10, CHUNK_SIZE + 1])
def test_where_links_cannot_be_made_files_are_copied(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int, size: int
) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", no_link)
    source = write(Path(store.root_url, "a.csv"), bytes(size))
    stored = store.put(Source(".csv", source.path, take_over=True))
    assert store.read(stored.name) == bytes(size)
    assert store.local_path(stored.name, "b.csv").read_bytes() == bytes(size)
    assert incoming(store) == []


def test_a_failed_take_over_leaves_the_file_as_it_was(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(store.root_url, "a.csv")
    source = write(path, b"mine")
    before = stat.S_IMODE(path.stat().st_mode)

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(StorageError):
        store.put(Source(".csv", source.path, take_over=True))
    assert stat.S_IMODE(path.stat().st_mode) == before
    assert path.stat().st_nlink == 1


def test_one_record_saved_does_not_spoil_another_of_the_same_file(store: LocalStore) -> None:
    path = Path(store.root_url, "a.csv")
    source = write(path, b"mine")
    seen = FileStat.of(path.stat())
    for _ in range(2):
        store.put(Source(".csv", source.path, stat=seen, content=hash_bytes(b"mine"), take_over=True))
        store.put(Source(".csv", source.path, stat=seen, take_over=True))


def test_objects_cannot_be_written_and_folders_follow_the_group(tmp_path: Path) -> None:
    root = tmp_path / "shared"
    root.mkdir()
    root.chmod(0o2775)
    before = os.umask(0o077)
    try:
        store = LocalStore(str(root))
        store.prepare()
        name = store.put(Source(".csv", data=b"x")).name
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(store.object_path(name)).st_mode) == 0o440
    assert stat.S_IMODE(os.stat(store.objects.temp_folder).st_mode) == 0o2770


def test_private_roots_stay_private(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        store = LocalStore(str(tmp_path / "root"))
        store.prepare()
        name = store.put(Source(".csv", data=b"x")).name
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(store.object_path(name)).st_mode) == 0o400
    assert stat.S_IMODE(os.stat(store.objects.folder).st_mode) == 0o700


def test_folders_that_a_copy_left_out_are_made_again(store: LocalStore) -> None:
    for shard in Path(store.objects.folder).iterdir():
        shard.rmdir()
    stored = store.put(Source("", data=b"x"))
    assert store.read(stored.name) == b"x"


def test_a_linked_hidden_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".lamindb").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInputError, match="symbolic link"):
        LocalStore(str(tmp_path / "root")).prepare()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_changed_copy_in_staged_is_replaced(store: LocalStore, tmp_path: Path) -> None:
    write(tmp_path / "results" / "a.txt", b"a")
    stored = store.put(Source("", str(tmp_path / "results")))
    folder = store.local_path(stored.name, "results", is_folder=True)
    assert store.local_path(stored.name, "results", is_folder=True).stat().st_ino == folder.stat().st_ino
    (folder / "litter").write_bytes(b"")
    (folder / "a.txt").unlink()
    assert os.listdir(store.local_path(stored.name, "results", is_folder=True)) == ["a.txt"]


FAILURES = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT]
STEPS = ["open", "write", "fsync", "replace"]


@pytest.mark.parametrize("number", FAILURES)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("sizes", [[100], [CHUNK_SIZE + 1], [100] * 20])
def test_a_failing_disk_gives_one_error_and_leaves_nothing(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, number: int, step: str, sizes: list[int]
) -> None:
    sources = [write(tmp_path / f"{index}.csv", os.urandom(size)) for index, size in enumerate(sizes)]
    real: Callable[..., object] = getattr(os, step)
    folder = f"{store.root_url}/.lamindb"

    def fail(first: object, *rest: object, **options: object) -> object:
        path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
        if path.startswith(folder) and not (step == "open" and path == store.objects.folder):
            raise OSError(number, os.strerror(number), path)
        return real(first, *rest, **options)

    monkeypatch.setattr(os, step, fail)
    flushed_at_once = step == "fsync" and len(sizes) > local.FSYNC_EACH_UP_TO
    if flushed_at_once:
        monkeypatch.setattr(local, "sync_file_system", fail)
    with pytest.raises(StorageError, match=os.strerror(number).lower()) as caught:
        store.put_many(sources)
    monkeypatch.undo()
    assert caught.value.errno == number
    assert isinstance(caught.value, ReadOnlyError) == (number in {errno.EROFS, errno.EACCES})
    assert "\n" not in str(caught.value)
    assert incoming(store) == []
    for name, size in store.list():
        assert store.check(name, size) is None
    assert [stored.content.size for stored in store.put_many(sources)] == sizes


def test_an_interrupt_leaves_nothing_under_way(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.bin", bytes(CHUNK_SIZE * 4))
    real, calls = os.read, iter(range(100))

    def interrupted(descriptor: int, count: int) -> bytes:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return real(descriptor, count)

    monkeypatch.setattr(os, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.put(source)
    monkeypatch.undo()
    assert incoming(store) == []
    assert list(store.list()) == []


def test_short_writes_are_continued(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(5000)
    source = write(tmp_path / "a.bin", data)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, piece: real(descriptor, bytes(piece)[:777]))
    assert store.read(store.put(source).name) == data


def steps_of(store: LocalStore, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[tuple[str, str]]:
    """Record what is done to the folder, in order."""
    steps: list[tuple[str, str]] = []

    def record(name: str) -> None:
        real: Callable[..., object] = getattr(os, name)

        def wrapped(first: object, *rest: object, **options: object) -> object:
            path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            done = real(first, *rest, **options)
            if path.startswith(store.root_url):
                steps.append((name, path.removeprefix(f"{store.root_url}/.lamindb/").split("/")[0]))
            return done

        monkeypatch.setattr(os, name, wrapped)

    for name in ("write", "fsync", "replace"):
        record(name)
    whole = local.sync_file_system

    def flush_all(descriptor: int) -> None:
        whole(descriptor)
        steps.append(("syncfs", ""))

    monkeypatch.setattr(local, "sync_file_system", flush_all)
    act()
    monkeypatch.undo()
    return steps


@pytest.mark.parametrize("size", [10, CHUNK_SIZE - 1, CHUNK_SIZE])
def test_data_is_fsynced_before_its_name_and_the_folder_after(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    source = write(tmp_path / "a.bin", bytes(size))
    steps = steps_of(store, monkeypatch, lambda: store.put(source))
    assert [step for step in steps if step[0] != "write" or step[1] != "incoming"] == [
        ("fsync", "incoming"),
        ("replace", "incoming"),
        ("fsync", "objects"),
    ]
    assert steps[0] == ("write", "incoming")


def test_the_folder_is_fsynced_also_when_the_object_was_there(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.bin", b"x")
    known = store.put(source).content
    assert steps_of(store, monkeypatch, lambda: store.put(source)) == [("fsync", "objects")]
    trusting = Source(".bin", source.path, content=known)
    assert steps_of(store, monkeypatch, lambda: store.put(trusting)) == [("fsync", "objects")]


def test_many_files_are_synced_twice_in_all(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not store.objects.can_sync_whole:
        pytest.skip("this file system is flushed file by file")
    sources = [write(tmp_path / f"{number}.bin", b"%d" % number) for number in range(50)]
    steps = [name for name, _ in steps_of(store, monkeypatch, lambda: store.put_many(sources))]
    assert steps == ["write"] * 50 + ["syncfs"] + ["replace"] * 50 + ["syncfs"]
    steps = [name for name, _ in steps_of(store, monkeypatch, lambda: store.put_many(sources))]
    assert steps == ["syncfs"]


def test_without_a_sync_of_all_each_file_is_fsynced(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.objects, "_whole", False)
    sources = [write(tmp_path / f"{number}.bin", b"%d" % number) for number in range(20)]
    steps = [name for name, _ in steps_of(store, monkeypatch, lambda: store.put_many(sources))]
    assert steps[:40] == ["write", "fsync"] * 20
    assert steps[40:60] == ["replace"] * 20
    assert set(steps[60:]) == {"fsync"}


def test_memory_holds_no_contents_and_batches_are_bounded(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "BATCH", 10)
    sources = [write(tmp_path / f"{number}.bin", b"%d" % number) for number in range(25)]
    stored = store.put_many(sources)
    assert [store.read(each.name) for each in stored] == [b"%d" % number for number in range(25)]
    assert incoming(store) == []


def test_a_root_that_is_gone(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path / "gone"))
    with pytest.raises(LaminError, match="gone"):
        store.put(Source("", data=b"x"))
    assert not (tmp_path / "gone").exists()


def test_a_changed_file_is_forgotten_by_the_cache(store: LocalStore, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    source = write(path, b"old")
    os.utime(path, ns=(10**18, 10**18))
    content = store.put(source).content
    seen = FileStat.of(path.stat())
    assert store.hash_cache.get(str(path), seen) == content
    with pytest.raises(SourceChangedError):
        store.put(Source(".csv", source.path, content=hash_bytes(b"xyz")))
    assert store.hash_cache.get(str(path), seen) is None


def test_the_readme_explains_the_folder(store: LocalStore) -> None:
    assert "objects/ab/" in Path(store.root_url, ".lamindb", "README").read_text(encoding="utf-8")


def test_the_folder_of_writes_under_way_comes_back(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "root/.lamindb/incoming").rmdir()
    assert store.read(store.put(Source(".txt", data=b"bytes")).name) == b"bytes"
    shutil.rmtree(tmp_path / "root")
    with pytest.raises(StorageError):
        store.put(Source(".txt", data=b"others"))
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("known", [False, True])
def test_an_object_has_the_holes_of_its_file(store: LocalStore, tmp_path: Path, known: bool) -> None:
    path = tmp_path / "sparse.bin"
    data = sparse(path)
    content = hash_bytes(data)
    stored = store.put(Source(".bin", str(path), content=content if known else None))
    assert (stored.content, stored.name.digest) == (content, content.digest)
    assert store.read(stored.name) == data
    assert os.stat(store.object_path(stored.name)).st_blocks * 512 < 1 << 20


def test_an_object_in_the_view_has_the_holes_of_its_file(store: LocalStore, tmp_path: Path) -> None:
    path = tmp_path / "sparse.bin"
    data = sparse(path)
    name = store.put(Source(".bin", str(path))).name
    view = View(store, "copy")
    view.show("a/sparse.bin", name)
    assert view.path("a/sparse.bin").read_bytes() == data
    assert view.path("a/sparse.bin").stat().st_blocks * 512 < 1 << 20
