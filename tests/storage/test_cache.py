"""The local cache hands out right bytes only, keeps its limit, and is shared by processes."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3

from lamindb.errors import IntegrityError, InvalidInputError, StorageError
from lamindb.storage import cache as cache_module
from lamindb.storage import cache_eviction
from lamindb.storage.base import Member, ObjectName
from lamindb.storage.cache import Cache, NoCache, open_cache
from lamindb.storage.hash_cache import HashCache, NoHashCache


class Server:
    """Objects to download, and how often each was."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.downloads: Counter[str] = Counter()

    def add(self, data: bytes) -> ObjectName:
        name = ObjectName(blake3(data).hexdigest(), ".bin")
        self.data[name.digest] = data
        return name

    def download(self, name: ObjectName, descriptor: int) -> None:
        self.downloads[name.digest] += 1
        os.write(descriptor, self.data[name.digest])


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(params=["hash cache", "none"])
def hashes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HashCache]:
    hashes = HashCache(tmp_path / "hashes") if request.param == "hash cache" else NoHashCache()
    yield hashes
    hashes.close()


@pytest.fixture
def cache(tmp_path: Path, hashes: HashCache) -> Cache:
    return Cache(tmp_path / "cache", limit_bytes=1_000, hash_cache=hashes)


def kept(cache: Cache) -> int:
    return sum({inode: size for entry in cache._entries.entries() for inode, size in entry.sizes.items()}.values())


def test_downloads_once(cache: Cache, server: Server) -> None:
    name = server.add(b"data")
    for filename in ("a.bin", "a.bin", "b.bin"):
        path = cache.file(name, filename, server.download)
        assert path.name == filename
        assert path.read_bytes() == b"data"
    assert server.downloads[name.digest] == 1


@pytest.mark.parametrize("damage", [b"", b"wrong", b"dat"])
def test_a_damaged_copy_is_fetched_again(cache: Cache, server: Server, damage: bytes) -> None:
    name = server.add(b"right")
    path = cache.file(name, "a.bin", server.download)
    path.chmod(0o600)
    path.write_bytes(damage)
    assert cache.file(name, "a.bin", server.download).read_bytes() == b"right"
    assert server.downloads[name.digest] == 2


def test_a_changed_file_beside_the_copy_is_replaced(cache: Cache, server: Server) -> None:
    name = server.add(b"right")
    path = cache.file(name, "a.bin", server.download)
    path.unlink()
    path.write_bytes(b"other")
    assert cache.file(name, "a.bin", server.download).read_bytes() == b"right"
    assert server.downloads[name.digest] == 1


def test_the_least_recently_used_go_first(cache: Cache, server: Server) -> None:
    names = [server.add(bytes([number]) * 300) for number in range(4)]
    for age, name in enumerate(names[:3]):
        cache.file(name, "a", server.download)
        old = time.time() - 1_000 + age
        os.utime(cache._entry(name), (old, old))
    cache.file(names[0], "a", server.download)
    cache.file(names[3], "a", server.download)
    assert kept(cache) <= 1_000
    assert [Path(cache._entry(name)).exists() for name in names] == [True, False, True, True]


def test_what_a_thread_was_handed_out_last_stays(cache: Cache, server: Server) -> None:
    last = cache.file(server.add(b"mine" * 100), "a", server.download)

    def others() -> list[bool]:
        paths = [cache.file(server.add(bytes([number]) * 400), "a", server.download) for number in range(6)]
        return [path.exists() for path in paths]

    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(others).result()
    assert last.read_bytes() == b"mine" * 100
    assert there[-1] and not all(there)
    assert kept(cache) <= 1_000


def test_what_is_open_can_be_read_to_its_end(cache: Cache, server: Server) -> None:
    path = cache.file(server.add(b"x" * 900), "a", server.download)
    with path.open("rb") as stream:
        cache.file(server.add(b"y" * 900), "a", server.download)
        assert not path.exists()
        assert stream.read() == b"x" * 900


def test_one_larger_than_the_limit_can_be_read(cache: Cache, server: Server) -> None:
    path = cache.file(server.add(b"x" * 5_000), "a", server.download)
    assert path.stat().st_size == 5_000
    cache.file(server.add(b"y"), "a", server.download)
    assert kept(cache) == 1


def test_reading_what_is_there_makes_room_too(tmp_path: Path, server: Server) -> None:
    names = [server.add(bytes([number]) * 400) for number in range(10)]
    large = Cache(tmp_path / "cache", limit_bytes=10_000)
    for name in names:
        large.file(name, "a", server.download)
    assert kept(large) == 4_000
    small = Cache(tmp_path / "cache", limit_bytes=1_000)
    assert small.file(names[5], "a", server.download).read_bytes() == server.data[names[5].digest]
    assert kept(small) <= 1_000
    assert set(server.downloads.values()) == {1}


def test_a_folder_stays_whole_while_its_process_runs(cache: Cache, server: Server) -> None:
    members = tuple(Member(f"{n}", server.add(bytes([n]) * 300).digest, ".bin", 300) for n in range(5))
    path = cache.members(server.add(b"manifest"), "g.zarr", members, server.download)
    for number in range(100, 110):
        cache.file(server.add(bytes([number]) * 400), "a", server.download)
    assert [(path / member.path).read_bytes() for member in members] == [bytes([n]) * 300 for n in range(5)]
    assert kept(cache) <= 1_500 + 400
    # As when its process ends.
    cache._entries._folders.clear()
    cache.file(server.add(b"other" * 100), "a", server.download)
    assert not path.exists()
    assert kept(cache) <= 1_000


def test_a_failed_download_leaves_nothing(cache: Cache, server: Server, tmp_path: Path) -> None:
    name = server.add(b"data")

    def fail(name: ObjectName, descriptor: int) -> None:
        os.write(descriptor, b"da")
        raise IntegrityError("cut")

    with pytest.raises(IntegrityError, match="cut"):
        cache.file(name, "a", fail)
    assert os.listdir(tmp_path / "cache" / "incoming") == []
    assert kept(cache) == 0
    assert cache.file(name, "a", server.download).read_bytes() == b"data"


def test_a_full_disk_is_an_error_of_storage(cache: Cache, server: Server, tmp_path: Path) -> None:
    def fail(name: ObjectName, descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="no space left") as caught:
        cache.file(server.add(b"x"), "a", fail)
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path / "cache" / "incoming") == []


class FullDisk:
    """A disk of which the entries of a cache leave so much, and that is full for every further download."""

    def __init__(self, cache: Cache, server: Server, size: int) -> None:
        self.cache, self.server, self.size = cache, server, size

    def download(self, name: ObjectName, descriptor: int) -> None:
        self.server.download(name, descriptor)
        if kept(self.cache) + os.fstat(descriptor).st_size > self.size:
            raise OSError(errno.ENOSPC, "No space left on device")


def fill(cache: Cache, server: Server, count: int, size: int) -> list[ObjectName]:
    """Put copies into a cache, each of which was used a second after the one before."""
    names = [server.add(bytes([number]) * size) for number in range(count)]
    for age, name in enumerate(names):
        cache.file(name, "a", server.download)
        old = time.time() - 1_000 + age
        os.utime(cache._entry(name), (old, old))
    return names


def test_on_a_full_disk_the_least_recently_used_go(cache: Cache, server: Server, tmp_path: Path) -> None:
    names = fill(cache, server, 9, 100)
    full = FullDisk(cache, server, 950)
    path = cache.file(server.add(b"x" * 150), "new", full.download)
    assert path.read_bytes() == b"x" * 150
    assert [Path(cache._entry(name)).exists() for name in names] == [False] + [True] * 8
    large = cache.file(server.add(b"y" * 800), "large", full.download)
    assert large.read_bytes() == b"y" * 800
    assert os.listdir(tmp_path / "cache" / "incoming") == []


def test_on_a_full_disk_what_is_in_use_stays(cache: Cache, server: Server, tmp_path: Path) -> None:
    members = tuple(Member(f"{n}", server.add(bytes([n]) * 100).digest, ".bin", 100) for n in range(3))
    folder = cache.members(server.add(b"manifest"), "g.zarr", members, server.download)
    fill(cache, server, 5, 99)
    name = server.add(b"x" * 900)
    with pytest.raises(StorageError, match="no space left") as caught:
        cache.file(name, "new", FullDisk(cache, server, 1_000).download)
    assert caught.value.errno == errno.ENOSPC and "free some space" in str(caught.value)
    assert [(folder / member.path).read_bytes() for member in members] == [bytes([n]) * 100 for n in range(3)]
    assert kept(cache) == 300
    assert os.listdir(tmp_path / "cache" / "incoming") == []
    # As when its process ends.
    cache._entries._folders.clear()
    assert cache.file(name, "new", FullDisk(cache, server, 1_000).download).read_bytes() == b"x" * 900


def test_a_folder_is_fetched_to_a_full_disk(cache: Cache, server: Server) -> None:
    fill(cache, server, 9, 100)
    full = FullDisk(cache, server, 950)
    members = tuple(Member(f"{n}/x", server.add(bytes([n]) * 200).digest, ".bin", 200) for n in range(3))
    folder = cache.members(server.add(b"manifest"), "g.zarr", members, full.download)
    assert [(folder / member.path).read_bytes() for member in members] == [bytes([n]) * 200 for n in range(3)]


def test_what_another_failure_meets_stays(cache: Cache, server: Server) -> None:
    fill(cache, server, 5, 100)

    def fail(name: ObjectName, descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(StorageError, match="input/output"):
        cache.file(server.add(b"x"), "a", fail)
    assert kept(cache) == 500


def test_folders(cache: Cache, server: Server) -> None:
    files = {"a": b"a", "sub/b": b"b", "sub/c": b"a"}
    members = tuple(Member(path, server.add(data).digest, ".bin", len(data)) for path, data in files.items())
    name = server.add(b"manifest")
    for _ in range(2):
        path = cache.members(name, "results", members, server.download)
        assert {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()} == files
    (path / "litter").write_bytes(b"")
    (path / "a").unlink()
    assert not (cache.members(name, "results", members, server.download) / "litter").exists()
    assert (path / "a").read_bytes() == b"a"
    assert set(server.downloads.values()) == {1}


def test_dropped_copies_are_gone(cache: Cache, server: Server) -> None:
    name = server.add(b"data")
    path = cache.file(name, "a", server.download)
    cache.drop(name)
    cache.drop(name)
    assert not path.exists()


def race(work: Callable[[int], bytes], count: int) -> list[bytes]:
    start = threading.Barrier(count)

    def run(number: int) -> bytes:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_threads_download_the_same_once(cache: Cache, server: Server) -> None:
    name = server.add(b"data" * 10)
    assert set(race(lambda _: cache.file(name, "a", server.download).read_bytes(), 8)) == {b"data" * 10}
    assert server.downloads[name.digest] == 1


def test_processes_share_it(tmp_path: Path, server: Server) -> None:
    names = [server.add(bytes([number]) * 400) for number in range(10)]
    children = []
    for _ in range(6):
        child = os.fork()
        if child == 0:
            cache = Cache(tmp_path / "cache", limit_bytes=2_000)
            right = all(
                cache.file(name, "a", server.download).read_bytes() == server.data[name.digest] for name in names
            )
            os._exit(0 if right else 1)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 6
    assert os.listdir(tmp_path / "cache" / "incoming") == []


def test_many_processes_keep_the_limit_together(tmp_path: Path, server: Server) -> None:
    names = [server.add(bytes([number]) * 1_000) for number in range(40)]
    children = []
    for child in range(6):
        pid = os.fork()
        if pid == 0:
            right, most = True, 0
            try:
                cache = Cache(tmp_path / "cache", limit_bytes=10_000)
                for number in range(40):
                    name = names[(number * 7 + child * 5) % 40]
                    right &= cache.file(name, "a", server.download).read_bytes() == server.data[name.digest]
                    most = max(most, kept(cache))
            finally:
                # What the six are just adding comes on top, until it is counted.
                os._exit(0 if right and most <= 16_000 else 1)
        children.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0] * 6
    assert kept(Cache(tmp_path / "cache")) <= 10_000


def test_without_a_cache_copies_go_with_the_store(server: Server) -> None:
    cache = NoCache()
    name = server.add(b"data")
    path = cache.file(name, "a.bin", server.download)
    assert path.read_bytes() == b"data"
    del cache
    assert not path.exists()


def test_the_environment_sets_the_limit(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache_module.LIMIT_VARIABLE, "0.000001")
    cache = open_cache(tmp_path / "cache")
    for number in range(4):
        cache.file(server.add(bytes([number]) * 400), "a", server.download)
    assert kept(cache) <= 1_000
    assert isinstance(open_cache(None), NoCache)


@pytest.mark.parametrize("text", ["", "much", "0", "-1", "nan", "inf"])
def test_a_wrong_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(cache_module.LIMIT_VARIABLE, text)
    with pytest.raises(InvalidInputError, match=cache_module.LIMIT_VARIABLE):
        open_cache(tmp_path)


def test_a_forked_process_keeps_nothing_of_what_its_parent_used(tmp_path: Path, server: Server) -> None:
    cache = Cache(tmp_path / "cache", limit_bytes=1_000)
    members = (Member("a", server.add(b"a" * 600).digest, ".bin", 600),)
    folder = cache.members(server.add(b"manifest"), "g.zarr", members, server.download)
    read, write = os.pipe()
    is_there, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(tell, b".")
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.read(is_there, 1)
    try:
        cache.file(server.add(b"b" * 600), "a", server.download)
        assert folder.exists()
        # As when the parent ends.
        cache._entries._folders.clear()
        cache.file(server.add(b"c" * 600), "a", server.download)
        assert not folder.exists()
    finally:
        os.write(write, b".")
        for descriptor in (write, read, is_there, tell):
            os.close(descriptor)
        os.waitpid(pid, 0)


def test_a_file_in_the_place_of_a_folder_is_removed_for_good(cache: Cache, server: Server, tmp_path: Path) -> None:
    members = (Member("a", server.add(b"a").digest, ".bin", 1),)
    name = server.add(b"manifest")
    path = cache.members(name, "g.zarr", members, server.download)
    shutil.rmtree(path)
    path.write_bytes(b"in the way")
    assert (cache.members(name, "g.zarr", members, server.download) / "a").read_bytes() == b"a"
    assert os.listdir(tmp_path / "cache" / "incoming") == []


@pytest.mark.parametrize("by_another", [True, False])
def test_a_folder_that_cannot_take_its_place_is_an_error(
    cache: Cache, server: Server, monkeypatch: pytest.MonkeyPatch, *, by_another: bool
) -> None:
    members = (Member("a", server.add(b"a").digest, ".bin", 1),)
    rename = os.rename

    def refuse(source: str, target: str) -> None:
        if by_another:
            rename(source, target)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", refuse)
    if by_another:
        assert (cache.members(server.add(b"m"), "g", members, server.download) / "a").read_bytes() == b"a"
    else:
        with pytest.raises(StorageError, match="no space left"):
            cache.members(server.add(b"m"), "g", members, server.download)


def test_where_there_are_no_locks_nothing_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    assert cache_eviction._pin(str(tmp_path / "entry")) is not None
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert cache_eviction._pin(str(tmp_path / "entry")) is None
