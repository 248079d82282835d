"""The stores, views and caches of the connected instance: opened once per process and root."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, cast

from lamindb.core import context, paths
from lamindb.core.context import Instance
from lamindb.errors import InvalidInputError
from lamindb.models import Storage
from lamindb.models.storage import OWN_ROOT
from lamindb.storage.base import ObjectStore
from lamindb.storage.hash_cache import HashCache, NoHashCache
from lamindb.storage.local import LocalStore

if TYPE_CHECKING:
    from lamindb.storage.remote import RemoteStore
    from lamindb.storage.view import Mode
    from lamindb.storage.views import ViewLike

_lock = threading.RLock()
_stores: dict[tuple[str, str], ObjectStore] = {}
_views: dict[tuple[str, str], ViewLike] = {}
_rows: dict[tuple[str, str], Storage] = {}
_ROOTS_SECONDS = 5.0
_roots: dict[str, tuple[float, list[tuple[str, str]]]] = {}
_hash_cache: tuple[str, HashCache] | None = None


def hash_cache() -> HashCache:
    """Return what remembers hashes of unchanged files; where it cannot be kept, one that remembers nothing."""
    global _hash_cache
    folder = paths.cache_folder()
    key = str(folder)
    with _lock:
        if _hash_cache is None or _hash_cache[0] != key:
            _hash_cache = (key, HashCache(folder) if folder is not None else NoHashCache())
        return _hash_cache[1]


def own_store(instance: Instance | None = None) -> ObjectStore:
    """Return the store of an instance's own storage, the current instance's by default."""
    instance = instance or context.instance()
    return open_root(instance.root_url, instance)


def open_root(root_url: str, instance: Instance) -> ObjectStore:
    """Return the store of a root.

    Raises:
        UnsupportedError: Object stores need an extra that is not installed.
    """
    from lamindb.storage.open_store import open_store

    key = (instance.alias, root_url)
    with _lock:
        store = _stores.get(key)
        if store is None:
            cache = None
            if "://" in root_url:
                from lamindb.storage.cache import open_cache

                cache = open_cache(paths.cache_folder())
            store = open_store(root_url, read_only=instance.is_read_only, cache=cache, hash_cache=hash_cache())
            _stores[key] = store
        return store


def remote_root(root_url: str, instance: Instance) -> RemoteStore:
    """Return the store of a bucket that holds files which stay where they are."""
    store = open_root(root_url, instance)
    if isinstance(store, LocalStore):
        raise InvalidInputError(f"{root_url} is no bucket")
    return cast("RemoteStore", store)


def view(instance: Instance | None = None) -> ViewLike:
    """Return the view of an instance's own folder; on an object store, one that shows nothing."""
    from lamindb.storage.view import View
    from lamindb.storage.views import NoView

    instance = instance or context.instance()
    key = (instance.alias, instance.root_url)
    with _lock:
        found = _views.get(key)
        if found is None:
            store = own_store(instance)
            mode = cast("Mode", "none" if instance.is_read_only else instance.view_mode)
            found = View(store, mode) if isinstance(store, LocalStore) else NoView()
            _views[key] = found
        return found


def forget(alias: str) -> None:
    """Drop what was opened for an instance that is closed."""
    with _lock:
        for table in (_stores, _views, _rows):
            for key in [key for key in table if key[0] == alias]:
                table.pop(key)


def storage_row(alias: str, storage_id: str) -> Storage:
    """Return the record of a storage, remembered after the first look."""
    key = (alias, storage_id)
    found = _rows.get(key)
    if found is None:
        found = _rows[key] = Storage.objects.using(alias).get(id=storage_id)
    return found


def forget_row(alias: str, storage_id: str) -> None:
    """Look for the record of a storage anew."""
    _rows.pop((alias, storage_id), None)


def roots(instance: Instance) -> list[tuple[str, str]]:
    """Return the roots that an instance knows with the ids of their storages, the own one included."""
    known = _roots.get(instance.alias)
    if known is None or time.monotonic() - known[0] > _ROOTS_SECONDS:
        found = [(row.root, row.id) for row in Storage.objects.using(instance.alias)]
        known = _roots[instance.alias] = (time.monotonic(), found)
    return known[1]


def forget_roots(alias: str) -> None:
    """Look for storages anew at the next file."""
    _roots.pop(alias, None)


def root_of(storage: Storage) -> str:
    """Return where a storage is on this machine: an absolute folder or an address."""
    instance = instance_of(storage._state.db)
    if instance is not None and (storage.id == instance.storage_id or storage.location == OWN_ROOT):
        return instance.root_url
    return storage.location


def instance_of(alias: str | None) -> Instance | None:
    """Return the connected instance of an alias; the current one for None."""
    return context.connected(alias)


def is_own(storage_id: str, instance: Instance) -> bool:
    """Tell whether a storage is the instance's own, whose bytes are objects."""
    return storage_id == instance.storage_id


def _after_fork_in_child() -> None:
    """Let the child have a lock of its own: a thread that held the parent's does not exist here."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
