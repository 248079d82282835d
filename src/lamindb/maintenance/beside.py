"""What lies in the storage folder and is not what was saved: edited files, and files that no row accounts for."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Any

from lamindb.core import messages
from lamindb.core.context import Instance
from lamindb.core.keys import HIDDEN_FOLDER
from lamindb.errors import LaminError
from lamindb.maintenance import reachable
from lamindb.models import Storage
from lamindb.records import stores
from lamindb.storage.base import ObjectName


def edited(instance: Instance, prefix: str | None) -> list[str]:
    """Return keys whose file in the view is neither missing nor what was saved, sorted."""
    view = stores.view(instance)
    if view.mode == "none":
        return []
    query = _current(reachable.files(instance, prefix), instance.storage_id)
    found = []
    for key, digest, suffix, is_folder in query.values_list("key", "digest", "suffix", "is_folder").iterator():
        try:
            state = view.state(key, ObjectName(digest, suffix), is_folder=is_folder)
        except LaminError as error:
            messages.debug(f"{key!r} was not looked at in the folder: {error}")
            continue
        if state in {"edited", "foreign"}:
            found.append(key)
    return sorted(found)


def untracked(instance: Instance, prefix: str | None) -> list[str]:
    """Return the files in the storage folder that no current file accounts for, as keys, sorted.

    A folder that is stored as one accounts for all that lies in it, and what is registered in a further
    storage for itself, where that storage lies in this folder.
    """
    if not instance.is_local:
        return []
    files: set[str] = set()
    folders: set[str] = set()
    for key, is_folder in _recorded(instance, prefix):
        (folders if is_folder else files).add(key)
    if prefix is not None and not folders.isdisjoint(_with_those_above(prefix)):
        return []
    root = instance.root_url
    start = root if prefix is None else f"{root}/{prefix}"
    return sorted(relative for relative in _walk(root, start, folders) if relative not in files)


def _recorded(instance: Instance, prefix: str | None) -> Iterator[tuple[str, bool]]:
    """Yield the places below the root that rows account for, as keys, and whether each is a folder stored as one."""
    own = _current(reachable.files(instance, prefix), instance.storage_id)
    yield from own.values_list("key", "is_folder").iterator()
    if prefix is not None:
        above = _current(reachable.files(instance, None), instance.storage_id).filter(key__in=_with_those_above(prefix))
        yield from above.values_list("key", "is_folder")
    root = instance.root_url.rstrip("/")
    for storage in Storage.objects.using(instance.alias).exclude(id=instance.storage_id):
        if storage.root.startswith(f"{root}/"):
            query = _current(reachable.files(instance, None), storage.id)
            base = storage.root[len(root) + 1 :].rstrip("/")
            for key, is_folder in query.values_list("key", "is_folder").iterator():
                yield f"{base}/{key}", is_folder


def _current(query: Any, storage_id: str) -> Any:
    return query.filter(storage_id=storage_id, key__isnull=False, is_latest=True, trashed_at__isnull=True)


def _with_those_above(key: str) -> list[str]:
    """Return a key and the folders of keys above it."""
    parts = key.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _walk(root: str, start: str, folders: Collection[str]) -> Iterator[str]:
    """Yield the paths of files below the root, as keys; what is stored as one folder is passed over."""
    if os.path.isfile(start):
        yield os.path.relpath(start, root)
        return
    for folder, inner, names in os.walk(start):
        relative = os.path.relpath(folder, root)
        base = "" if relative == "." else f"{relative.replace(os.sep, '/')}/"
        inner[:] = [name for name in inner if f"{base}{name}" not in folders and f"{base}{name}" != HIDDEN_FOLDER]
        yield from (base + name for name in names)
