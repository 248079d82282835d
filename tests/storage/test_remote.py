"""Stores of buckets: the contract on real servers, and what happens when the server or the way to it fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from lamindb.core.hashing import hash_bytes
from lamindb.errors import InvalidInputError, SourceChangedError, StorageError
from lamindb.storage import bucket_client, remote
from lamindb.storage.base import ObjectName, ObjectStore, Source
from lamindb.storage.cache import Cache
from lamindb.storage.hash_cache import HashCache, NoHashCache
from lamindb.storage.open_store import open_store
from lamindb.storage.remote import RemoteStore
from tests.storage.contract import StoreContract, write
from tests.storage.servers import S3Server


class RemoteContract(StoreContract):
    """What the kinds of buckets have in common."""

    has_caches: ClassVar[bool] = False

    @pytest.fixture
    def store(self, root_url: str, tmp_path: Path) -> Iterator[ObjectStore]:
        hashes = HashCache(tmp_path / "hashes") if self.has_caches else NoHashCache()
        cache = Cache(tmp_path / "cache", hash_cache=hashes) if self.has_caches else None
        store = open_store(root_url, cache=cache, hash_cache=hashes)
        store.prepare()
        yield store
        hashes.close()

    def overwrite(self, store: ObjectStore, name: ObjectName, data: bytes) -> None:
        import obstore

        assert isinstance(store, RemoteStore)
        obstore.put(store.backend, store.path(name), data)

    def leftovers(self, store: ObjectStore) -> list[str]:
        import obstore

        assert isinstance(store, RemoteStore)
        there = [found["path"] for chunk in obstore.list(store.backend) for found in chunk]
        objects = {store.path(name) for name, _ in store.list()}
        return sorted(set(there) - objects - {".lamindb/README"})

    def reopened(self, store: ObjectStore, *, read_only: bool = False) -> ObjectStore:
        assert isinstance(store, RemoteStore)
        return open_store(store.root_url, cache=store.cache, hash_cache=store.hash_cache, read_only=read_only)


class TestMemory(RemoteContract):
    @pytest.fixture
    def root_url(self, tmp_path: Path) -> str:
        return f"memory://test{tmp_path}"


class TestMemoryWithCaches(TestMemory):
    has_caches = True


class TestSeaweed(RemoteContract):
    @pytest.fixture
    def root_url(self, seaweed_root: str) -> str:
        return seaweed_root


class TestMoto(RemoteContract):
    has_caches = True

    @pytest.fixture
    def root_url(self, moto_root: str) -> str:
        return moto_root


def test_a_whole_bucket_can_be_the_root(moto_server: S3Server, moto_root: str) -> None:
    moto_server.make_bucket("whole")
    store = open_store("s3://whole")
    store.prepare()
    name = store.put(Source(".csv", data=b"x")).name
    assert store.object_path(name) == f"s3://whole/.lamindb/objects/{name.path}"
    assert [found for found, _ in store.list()] == [name]


@pytest.fixture
def seaweed_store(seaweed_root: str, tmp_path: Path) -> RemoteStore:
    store = RemoteStore(seaweed_root, cache=Cache(tmp_path / "cache"))
    store.prepare()
    return store


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "IN_MEMORY", 1 << 20)


@pytest.mark.usefixtures("small_limits")
def test_large_files_go_in_parts(seaweed_store: RemoteStore, tmp_path: Path) -> None:
    data = os.urandom((20 << 20) + 17)
    source = write(tmp_path / "large.bin", data)
    stored = seaweed_store.put(source)
    assert stored.content == hash_bytes(data)
    assert seaweed_store.read(stored.name) == data
    assert seaweed_store.put(source).reused
    assert seaweed_store.local_path(stored.name, "large.bin").read_bytes() == data


@pytest.mark.usefixtures("small_limits")
def test_a_large_file_that_changes_between_hash_and_upload_is_refused(
    seaweed_store: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.bin"
    source = write(path, bytes(9 << 20))
    before = path.stat()
    is_there = remote._is_there

    def change(*arguments: object) -> bool:
        with path.open("r+b") as stream:
            stream.seek(8 << 20)
            stream.write(b"x")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return is_there(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(remote, "_is_there", change)
    with pytest.raises(SourceChangedError):
        seaweed_store.put(source)
    assert list(seaweed_store.list()) == []


def test_one_file_after_another_within_the_budget(
    seaweed_store: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BUDGET", 1_000)
    sources = [write(tmp_path / f"{number}.bin", os.urandom(700 + 100 * number)) for number in range(10)]
    assert [stored.content.size for stored in seaweed_store.put_many(sources)] == [700 + 100 * n for n in range(10)]


@pytest.mark.usefixtures("moto_root")
def test_a_bucket_that_is_not_there() -> None:
    store = open_store("s3://no-such-bucket-here")
    with pytest.raises(StorageError, match="no-such-bucket-here"):
        store.prepare()
    with pytest.raises(StorageError, match="no such bucket"):
        store.put(Source("", data=b"x"))


def test_wrong_credentials(seaweed_root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(StorageError, match="credentials were refused") as caught:
        open_store(seaweed_root).put(Source("", data=b"x"))
    assert "wrong-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv(bucket_client.TIMEOUT_VARIABLE, "1")
    with pytest.raises(StorageError, match="refused the connection") as caught:
        open_store("s3://bucket").put(Source("", data=b"x"))
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "nan", "inf"])
def test_a_wrong_time_limit(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bucket_client.TIMEOUT_VARIABLE, text)
    with pytest.raises(InvalidInputError, match=bucket_client.TIMEOUT_VARIABLE):
        bucket_client.timeout_seconds()


@pytest.mark.parametrize(
    "url",
    ["ftp://x/y", "s3://", "s3:///x", "s3://key:secret@bucket", "s3://bucket/a//b", "s3://bucket/../x", "s3://b?x=1"],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)
