"""Sizes of what folders consist of are known, wherever they are stored and however many there are."""

from __future__ import annotations

from pathlib import Path

import obstore
import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import StorageError
from lamindb.maintenance import reachable, verify
from lamindb.maintenance.reachable import FolderSizes
from lamindb.models import File, FolderMember
from lamindb.storage.base import ObjectName
from lamindb.storage.local import LocalStore
from lamindb.storage.remote import RemoteStore
from tests.storage.conftest import moto_root as moto_root
from tests.storage.conftest import moto_server as moto_server


@pytest.fixture
def bucket(moto_root: str, database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteStore:
    """Make an instance in a bucket."""
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage=moto_root, db=database)
    store = context.instance().store
    assert isinstance(store, RemoteStore)
    return store


def save_folder(key: str = "folder", **members: bytes) -> File:
    folder = Path("sources", key)
    folder.mkdir(parents=True)
    for name, data in members.items():
        (folder / name).write_bytes(data)
    return ln.File(folder, key=key).save()


def manifest_of(file: File) -> ObjectName:
    return ObjectName(file.digest, file.suffix)


def members_of(file: File) -> list[ObjectName]:
    return [ObjectName(one.digest, one.suffix) for one in FolderMember.objects.filter(folder_digest=file.digest)]


def put(store: RemoteStore, name: ObjectName, data: bytes) -> None:
    obstore.put(store.backend, store.path(name), data)


def test_a_quick_look_at_a_bucket_finds_wrong_sizes_in_folders(bucket: RemoteStore) -> None:
    folder = save_folder(a=b"member")
    assert verify.verify(quick=True).is_clean
    [member] = members_of(folder)
    put(bucket, member, b"mem")
    [finding] = verify.verify(quick=True).corrupt
    assert (finding.name, finding.kind) == (member.digest, "size")
    assert finding.needed_by == (f"folder version 1 ({folder.id})",)


@pytest.mark.parametrize("data", [b"", b"not the list", None])
def test_a_quick_look_at_a_bucket_finds_a_damaged_list(bucket: RemoteStore, data: bytes | None) -> None:
    folder = save_folder(a=b"member")
    if data is None:
        bucket.delete(manifest_of(folder))
    else:
        put(bucket, manifest_of(folder), data)
    report = verify.verify(quick=True)
    assert [one.name for one in (*report.missing, *report.corrupt)] == [folder.digest]


def test_the_bytes_of_folders_are_counted(instance: Path) -> None:
    folder = save_folder(a=b"x" * 100_000, b=b"y")
    size = context.instance().store.size(manifest_of(folder))
    assert size is not None
    report = verify.verify()
    assert (report.checked, report.n_bytes) == (3, 100_001 + size)
    assert verify.verify("folder").n_bytes == report.n_bytes


def test_a_list_is_read_once(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "_PAGE", 3)
    shared = {f"shared{number}": f"shared {number}".encode() for number in range(10)}
    first = save_folder("first", **shared, own=b"first")
    second = save_folder("second", **shared, own=b"the second")
    ln.File(first.stage(), key="third").save()
    read: list[ObjectName] = []
    real = LocalStore.read
    monkeypatch.setattr(LocalStore, "read", lambda store, name: read.append(name) or real(store, name))
    with FolderSizes(context.instance()) as sizes:
        found = {one.name: one.size for one in reachable.objects(context.instance(), None, ("", ""), sizes)}
    assert sorted(name.digest for name in read) == sorted([first.digest, second.digest])
    store = context.instance().store
    assert len(found) == 14 and found == {name: store.size(name) for name in found}


def test_of_members_whose_list_is_gone_nothing_is_known(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "_PAGE", 1)
    folder = save_folder(a=b"one", b=b"two")
    context.instance().store.delete(manifest_of(folder))
    read: list[ObjectName] = []
    real = LocalStore.read
    monkeypatch.setattr(LocalStore, "read", lambda store, name: read.append(name) or real(store, name))
    with FolderSizes(context.instance()) as sizes:
        found = list(reachable.objects(context.instance(), None, ("", ""), sizes))
    assert [one.size for one in found] == [None] * 3
    assert [one.is_manifest for one in found].count(True) == 1
    assert read == [manifest_of(folder)]


def test_a_full_disk_for_temporary_files_is_told(local_instance: Path) -> None:
    save_folder(a=b"one")
    with FolderSizes(context.instance()) as sizes:
        sizes._kept.execute("PRAGMA query_only = ON")
        with pytest.raises(StorageError, match="TMPDIR"):
            list(reachable.objects(context.instance(), None, ("", ""), sizes))


def test_an_index_finds_what_needs_an_object(instance: Path) -> None:
    connection = database.connection(context.instance().alias)
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, File._meta.db_table)
    assert ["digest", "suffix"] in [one["columns"] for one in found.values() if one["index"]]
