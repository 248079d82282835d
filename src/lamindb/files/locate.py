"""Which record a path on this disk, or a key, belongs to: found by its place and its bytes, never by guess."""

from __future__ import annotations

import os
from typing import Any

from lamindb.core.keys import HIDDEN_FOLDER, split_version
from lamindb.core.text import storable
from lamindb.errors import LaminError
from lamindb.files import source
from lamindb.models import File
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName, Source


def location_of(instance: Instance, path: str) -> tuple[str, str] | None:
    """Return the storage and the key that a path has by its place, the deepest root first; None outside all roots.

    A name that is no text gets a key that no file can have.
    """
    real = os.path.realpath(path)
    best: tuple[str, str] | None = None
    depth = -1
    for root, storage_id in instance.roots():
        prefix = root.rstrip("/") + "/"
        if "://" not in root and real.startswith(prefix) and len(prefix) > depth:
            best, depth = (storage_id, real[len(prefix) :]), len(prefix)
    return (best[0], storable(best[1])) if best is not None else None


def with_key(instance: Instance, text: str) -> File | None:
    """Return the current file with a key, or, where none has this very text, the version that `KEY@N` names."""
    query: Any = File.objects.using(instance.alias).filter(trashed_at__isnull=True)
    found = query.filter(key=text, is_latest=True).first()
    if found is None and (split := split_version(text)) is not None:
        found = query.filter(key=split[0], version=split[1]).first()
    return found  # type: ignore[no-any-return]


def registered_at(instance: Instance, path: str, *, by_bytes: bool = True) -> File | None:
    """Return the saved file that a path shows, with the bytes that it has now; None where these bytes were not saved.

    Inside a storage root the path is a key (or an object of the library), and the version with these bytes is meant.
    Elsewhere a current file with the same bytes and the same name is meant.

    Args:
        instance: Where to look.
        path: A file or folder.
        by_bytes: Also look for the bytes of files outside all roots; reads them once.
    """
    location = location_of(instance, path)
    query = File.objects.using(instance.alias).filter(trashed_at__isnull=True)
    if location is not None:
        storage_id, key = location
        if key.startswith(f"{HIDDEN_FOLDER}/"):
            return _object_at(instance, query, path, key)
        found: list[File] = list(query.filter(storage_id=storage_id, key=key).order_by("-is_latest", "-version"))
        if found and _is_shown(instance, found[0]):
            return found[0]
        digest_now = _digest(instance, path) if found else None
        matching = [file for file in found if file.digest == digest_now]
        return matching[0] if matching else None
    if not by_bytes or not os.path.isfile(path):
        return None
    found_digest = _digest(instance, path)
    if found_digest is None:
        return None
    same = query.filter(digest=found_digest, is_folder=False, is_latest=True)
    return _one_of(same, os.path.basename(path), strictly=True)


def _object_at(instance: Instance, query: Any, path: str, key: str) -> File | None:
    """Return a file whose object, or a link that was staged to it, is read by its own path."""
    if key.startswith(f"{HIDDEN_FOLDER}/objects/"):
        digest: str | None = os.path.basename(key)[:64]
    elif key.startswith(f"{HIDDEN_FOLDER}/staged/"):
        digest = _digest(instance, path)
    else:
        return None
    return _one_of(query.filter(digest=digest), os.path.basename(path)) if digest else None


def is_shown_at(instance: Instance, path: str) -> bool:
    """Return True if a path is provably what the view shows, put there by the library alone."""
    location = location_of(instance, path)
    if location is None or location[0] != instance.storage_id:
        return False
    query = File.objects.using(instance.alias).filter(storage_id=location[0], key=location[1], is_latest=True)
    file = query.filter(trashed_at__isnull=True).first()
    return file is not None and _is_shown(instance, file)


def _one_of(query: Any, name: str, *, strictly: bool = False) -> File | None:
    found: list[File] = list(query.order_by("-created_at", "-id")[:100])
    named = [file for file in found if os.path.basename(file.key or file.name) == name]
    chosen = named if strictly else named or found
    return chosen[0] if chosen else None


def _is_shown(instance: Instance, file: File) -> bool:
    """Return True if the view provably shows this version under its key, which spares reading it."""
    if file.storage_id != instance.storage_id or not file.is_latest:
        return False
    name = ObjectName(file.digest, file.suffix)
    return bool(instance.view.state(str(file.key), name, is_folder=file.is_folder) == "ours")


def _digest(instance: Instance, path: str) -> str | None:
    """Return the digest of a file or folder as it is now, remembered from before where it did not change since."""
    real = os.path.realpath(path)
    try:
        if os.path.isdir(real):
            pending = source.Pending(source=Source(suffix="", path=real), storage_id="", is_folder=True)
            return source.read_content(pending, instance.hash_cache)[0].digest
        return source.hash_local(real, None, instance.hash_cache).digest
    except (LaminError, OSError):
        return None
