"""The hash cache tells only what is still true, and never gets in the way."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lamindb.core.hashing import Content
from lamindb.storage.base import FileStat
from lamindb.storage.hash_cache import RACY_NS, HashCache, Known, NoHashCache

CONTENT = Content("h" * 22, "d" * 64, 3)
STAT = FileStat(3, 1_000, 2_000, 3, 4)
LATER = STAT.mtime_ns + RACY_NS + 1


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[HashCache]:
    cache = HashCache(tmp_path / "not yet made" / "cache")
    yield cache
    cache.close()


def test_remembers_what_is_unchanged(cache: HashCache) -> None:
    assert cache.get("/a", STAT) is None
    cache.put(Known("/a", STAT, CONTENT, LATER))
    assert cache.get("/a", STAT) == CONTENT
    assert cache.digest("/a", STAT) == CONTENT.digest
    assert cache.get("/b", STAT) is None


@pytest.mark.parametrize(
    "changed",
    [
        FileStat(4, 1_000, 2_000, 3, 4),
        FileStat(3, 1_001, 2_000, 3, 4),
        FileStat(3, 1_000, 2_001, 3, 4),
        FileStat(3, 1_000, 2_000, 4, 4),
        FileStat(3, 1_000, 2_000, 3, 5),
    ],
)
def test_any_change_of_the_stat_counts(cache: HashCache, changed: FileStat) -> None:
    cache.put(Known("/a", STAT, CONTENT, LATER))
    assert cache.get("/a", changed) is None


def test_a_file_that_had_just_changed_is_not_trusted(cache: HashCache) -> None:
    cache.put(Known("/a", STAT, CONTENT, STAT.mtime_ns + RACY_NS))
    cache.put(Known("/future", STAT, CONTENT, STAT.mtime_ns - RACY_NS))
    assert cache.get("/a", STAT) is None
    assert cache.get("/future", STAT) is None
    cache.put(Known("/object", STAT, CONTENT, None))
    assert cache.get("/object", STAT) == CONTENT


def test_a_digest_alone_is_no_content(cache: HashCache) -> None:
    cache.put(Known("/a", STAT, Content("", "d" * 64, 3)))
    assert cache.get("/a", STAT) is None
    assert cache.digest("/a", STAT) == "d" * 64


def test_many_at_once_keep_their_order(cache: HashCache) -> None:
    contents = [Content("h", f"{number:064}", 3) for number in range(2_000)]
    cache.put_many(Known(f"/{number}", STAT, content, LATER) for number, content in enumerate(contents))
    asked = [(f"/{number}", STAT) for number in range(2_100)]
    assert cache.get_many(asked) == [*contents, *[None] * 100]
    assert cache.get_many([]) == []
    cache.forget(["/0", "/1"])
    assert cache.get_many(asked[:3]) == [None, None, contents[2]]


def test_odd_names_and_numbers(cache: HashCache) -> None:
    stat = FileStat(3, -5, 2**62, 2**64 - 1, 2**63)
    name = os.fsdecode(b"/\xff\xfe'\"")
    cache.put(Known(name, stat, CONTENT, None))
    assert cache.get(name, stat) == CONTENT


def test_another_process_sees_it(cache: HashCache, tmp_path: Path) -> None:
    cache.put(Known("/a", STAT, CONTENT, LATER))
    other = HashCache(tmp_path / "not yet made" / "cache")
    assert other.get("/a", STAT) == CONTENT
    other.close()


@pytest.mark.parametrize("damage", [b"", b"no database at all", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_cache_is_begun_anew(cache: HashCache, tmp_path: Path, damage: bytes) -> None:
    cache.put(Known("/a", STAT, CONTENT, LATER))
    cache.close()
    [path] = (tmp_path / "not yet made" / "cache").glob("*.sqlite3")
    path.write_bytes(damage)
    assert cache.get("/a", STAT) is None
    cache.put(Known("/a", STAT, CONTENT, LATER))
    assert cache.get("/a", STAT) == CONTENT


def test_a_table_of_another_shape_is_no_obstacle(tmp_path: Path) -> None:
    cache = HashCache(tmp_path)
    cache.put(Known("/a", STAT, CONTENT, LATER))
    cache.close()
    [path] = tmp_path.glob("*.sqlite3")
    with sqlite3.connect(path) as connection:
        connection.execute("drop table known")
        connection.execute("create table known (x)")
    connection.close()
    assert cache.get("/a", STAT) is None
    cache.put(Known("/a", STAT, CONTENT, LATER))
    cache.close()


def test_a_folder_that_cannot_be_made_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = HashCache(tmp_path / "file" / "cache")
    cache.put(Known("/a", STAT, CONTENT, LATER))
    assert cache.get("/a", STAT) is None


def test_a_locked_cache_stays(tmp_path: Path) -> None:
    cache = HashCache(tmp_path)
    cache.put(Known("/a", STAT, CONTENT, LATER))
    [path] = tmp_path.glob("*.sqlite3")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin exclusive")
    cache.put(Known("/b", STAT, CONTENT, LATER))
    holder.execute("rollback")
    holder.close()
    assert cache.get("/a", STAT) == CONTENT
    cache.close()


def test_threads_share_it(cache: HashCache) -> None:
    def work(number: int) -> Content | None:
        content = Content("h", f"{number:064}", 3)
        cache.put(Known(f"/{number}", STAT, content, LATER))
        return cache.get(f"/{number}", STAT)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(200))) == [Content("h", f"{number:064}", 3) for number in range(200)]


def test_a_forked_child_uses_its_own_connection(cache: HashCache) -> None:
    cache.put(Known("/a", STAT, CONTENT, LATER))
    child = os.fork()
    if child == 0:
        cache.put(Known("/b", STAT, CONTENT, LATER))
        os._exit(0 if cache.get("/a", STAT) == CONTENT else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert cache.get_many([("/a", STAT), ("/b", STAT)]) == [CONTENT, CONTENT]


def test_what_is_put_soon_is_known_at_once_and_by_others_at_the_end(cache: HashCache, tmp_path: Path) -> None:
    other = HashCache(tmp_path / "not yet made" / "cache")
    cache.put_soon([Known("/a", STAT, CONTENT, LATER), Known("/racy", STAT, CONTENT, STAT.mtime_ns)])
    assert other.get("/a", STAT) is None
    cache.close()
    assert other.get_many([("/a", STAT), ("/racy", STAT)]) == [CONTENT, None]
    cache.put_soon([Known("/b", STAT, CONTENT, LATER)])
    assert (cache.get("/b", STAT), other.get("/b", STAT)) == (CONTENT, None)
    cache.close()
    assert other.get("/b", STAT) == CONTENT
    other.close()


def test_what_took_long_or_is_much_is_written_at_once(cache: HashCache, tmp_path: Path) -> None:
    other = HashCache(tmp_path / "not yet made" / "cache")
    large = STAT._replace(size=1 << 20)
    cache.put_soon([Known("/large", large, Content("h", "d", 1 << 20), LATER)])
    assert other.digest("/large", large) == "d"
    for number in range(200):
        cache.put_soon([Known(f"/{number}", STAT, CONTENT, LATER)])
    assert other.get("/199", STAT) == CONTENT
    other.close()


def test_a_forked_child_leaves_what_waits_to_its_parent(cache: HashCache, tmp_path: Path) -> None:
    cache.put_soon([Known("/a", STAT, CONTENT, LATER)])
    child = os.fork()
    if child == 0:
        known = cache.get("/a", STAT)
        cache.close()
        os._exit(0 if known is None else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert cache.get("/a", STAT) == CONTENT


def test_a_list_of_right_files_is_remembered_by_its_first(cache: HashCache) -> None:
    assert not cache.is_right("/a", "one")
    cache.put_right("/a", "one", STAT.mtime_ns, LATER)
    assert cache.is_right("/a", "one") and not cache.is_right("/a", "two") and not cache.is_right("/b", "one")
    cache.put_right("/a", "two", STAT.mtime_ns, LATER)
    assert cache.is_right("/a", "two") and not cache.is_right("/a", "one")
    cache.put_right("/b", "one", STAT.mtime_ns, STAT.mtime_ns + RACY_NS)
    assert not cache.is_right("/b", "one")


def test_no_cache_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache = NoHashCache()
    cache.put(Known("/a", STAT, CONTENT, LATER))
    cache.put_soon([Known("/a", STAT, CONTENT, LATER)])
    cache.forget(["/a"])
    cache.put_right("/a", "one", STAT.mtime_ns, LATER)
    assert not cache.is_right("/a", "one")
    assert cache.get("/a", STAT) is None
    assert cache.digests([("/a", STAT)]) == [None]
    cache.close()
    assert list(tmp_path.iterdir()) == []
    assert time.time_ns() > RACY_NS


def test_what_waits_is_known_while_another_process_writes(tmp_path: Path) -> None:
    cache = HashCache(tmp_path)
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    stats = [FileStat.of(os.lstat(path)) for path in (first, second)]
    cache.put(Known(str(first), stats[0], Content("h", "one", 1)))
    cache.put_soon([Known(str(second), stats[1], Content("h", "two", 1))])
    with contextlib.closing(sqlite3.connect(cache._path, isolation_level=None)) as other:
        other.execute("begin immediate")
        assert cache.digests([(str(first), stats[0]), (str(second), stats[1])]) == ["one", "two"]
        other.execute("rollback")
    cache.close()
    assert HashCache(tmp_path).digest(str(second), stats[1]) == "two"


@pytest.mark.parametrize("in_fork", [False, True])
def test_what_waits_does_not_bring_back_what_another_process_forgot(tmp_path: Path, in_fork: bool) -> None:
    cache, other = HashCache(tmp_path), HashCache(tmp_path)
    cache.put_soon([Known("/a", STAT, CONTENT, LATER)])
    if in_fork:
        child = os.fork()
        if child == 0:
            cache.forget(["/a"])
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    else:
        other.forget(["/a"])
    assert cache.get("/a", STAT) is None
    cache.put_soon([Known("/b", STAT, CONTENT, LATER)])
    cache.close()
    assert other.get_many([("/a", STAT), ("/b", STAT)]) == [None, CONTENT]
    other.close()


def test_what_was_forgotten_is_not_written_at_the_end(tmp_path: Path) -> None:
    cache, other = HashCache(tmp_path), HashCache(tmp_path)
    cache.put_soon([Known("/a", STAT, CONTENT, LATER)])
    other.forget(["/a"])
    other.put(Known("/b", STAT, CONTENT, LATER))
    cache.close()
    assert other.get_many([("/a", STAT), ("/b", STAT)]) == [None, CONTENT]
    cache.put_soon([Known("/a", STAT, CONTENT, LATER)])
    cache.forget(["/a"])
    cache.close()
    assert other.get("/a", STAT) is None
    other.close()
