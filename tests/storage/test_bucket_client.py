"""Roots of buckets are taken literally, by the store and by the paths for other packages."""

from __future__ import annotations

import os
from typing import Any

import obstore
import pytest

from lamindb.core import storage_url
from lamindb.storage import bucket_client
from lamindb.storage.base import Source
from lamindb.storage.remote import RemoteStore

ODD_PREFIXES = ["run%203", "run 3", "run#3", "run?3", "run?", "run#", "50%", "a:b", "é~[x]{y}^|", "a;b=c&d"]


def stored_keys(root: str) -> set[str]:
    """Return what another client finds in the bucket of a root."""
    _, name, _ = storage_url.split(root)
    pages = bucket_client.boto_client(root).get_paginator("list_objects_v2").paginate(Bucket=name)
    return {one["Key"] for page in pages for one in page.get("Contents", [])}


@pytest.mark.parametrize("prefix", ODD_PREFIXES)
def test_a_root_is_taken_literally(moto_root: str, prefix: str) -> None:
    store = RemoteStore(f"{moto_root}/{prefix}")
    assert store.root_url == f"{moto_root}/{prefix}"
    stored = store.put(Source(".csv", data=prefix.encode()))
    inner = moto_root.split("/", 3)[3]
    assert f"{inner}/{prefix}/.lamindb/objects/{stored.name.path}" in stored_keys(moto_root)
    assert store.read(stored.name) == prefix.encode()
    assert [name for name, _ in store.list()] == [stored.name]


@pytest.mark.parametrize("prefix", ODD_PREFIXES)
def test_paths_for_other_packages_lead_to_the_same_bytes(moto_root: str, prefix: str) -> None:
    store = RemoteStore(f"{moto_root}/{prefix}")
    name = store.put(Source(".csv", data=b"of the root")).name
    obstore.put(store.backend, "a#b?c/50%25.csv", b"of the key")
    assert store.upath(name, "x.csv").read_bytes() == b"of the root"
    assert store.upath_of_key("a#b?c/50%25.csv").read_bytes() == b"of the key"
    assert [path.name for path in store.upath_of_key("a#b?c").iterdir()] == ["50%25.csv"]


def test_folders_for_other_packages_lead_to_the_same_bytes(moto_root: str, tmp_path: Any) -> None:
    (tmp_path / "a#b?c").mkdir()
    (tmp_path / "a#b?c" / "50%25.csv").write_bytes(b"of a member")
    store = RemoteStore(f"{moto_root}/run%203 #?x")
    folder = store.upath(store.put(Source("", str(tmp_path))).name, "x", is_folder=True)
    assert (folder / "a#b?c" / "50%25.csv").read_bytes() == b"of a member"


def test_roots_that_differ_hold_different_objects(moto_root: str) -> None:
    stores = [
        RemoteStore(f"{moto_root}/{prefix}") for prefix in ("study 1", "study%201", "study", "study?1", "study#1")
    ]
    for number, store in enumerate(stores):
        store.put(Source("", data=bytes([number])))
    assert [len(list(store.list())) for store in stores] == [1] * len(stores)


def test_an_environment_in_which_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    assert bucket_client.open_bucket("s3://bucket/run%203#?") is not None
    assert bucket_client.open_bucket("gs://bucket/run%203#?") is not None
