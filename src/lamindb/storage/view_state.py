"""What is where the view would show a file, and the proof that it is ours: the object itself, or its bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Literal

from lamindb.core.hashing import digest_file
from lamindb.errors import IntegrityError
from lamindb.storage.base import FileStat, Member, ObjectName
from lamindb.storage.local import LocalStore
from lamindb.storage.manifest import read_manifest, starts_as_manifest

State = Literal["ours", "missing", "edited", "foreign"]


class ViewInspector:
    """Compares files in the root of a store with objects; changes nothing."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def members(self, name: ObjectName | None) -> dict[str, Member]:
        """Return the members of the folder that was shown before; none if it was a file, or is not known."""
        if name is None:
            return {}
        try:
            with self._store.open(name) as stream:
                if not starts_as_manifest(stream):
                    return {}
            return {member.path: member for member in read_manifest(self._store, name)}
        except IntegrityError:
            return {}

    def bad_parent(self, key: str) -> str | None:
        """Return why a key cannot be in its folders: one is a file, or a link that could lead out of the root."""
        path = self._store.root_url
        for part in key.split("/")[:-1]:
            path = f"{path}/{part}"
            found = lstat(path)
            if found is None:
                return None
            if not stat.S_ISDIR(found.st_mode):
                return f"'{path}' is not a folder: choose another key, or move it away"
        return None

    def state_of_folder(self, path: str, found: os.stat_result, name: ObjectName) -> State:
        """Return whether a folder holds the members of a manifest and nothing else."""
        if not stat.S_ISDIR(found.st_mode):
            return "foreign"
        members = {f"{path}/{member.path}": member for member in read_manifest(self._store, name)}
        there = set(files_below(path))
        if members and not there:
            return "missing"
        if there != set(members):
            return "edited"
        for target, member in members.items():
            file = os.lstat(target)
            if not stat.S_ISREG(file.st_mode) or self.digest(target, file, member.name) != member.digest:
                return "edited"
        return "ours"

    def is_ours_or_empty(self, path: str, digests: set[str]) -> bool:
        """Return True if a folder holds no file at all, or just the members of a manifest among `digests`."""
        if next(files_below(path), None) is None:
            return True
        for digest in digests:
            for name in self._store.objects.with_digest(digest):
                members = self.members(name)
                if members and self.state_of_folder(path, os.lstat(path), name) == "ours":
                    return True
        return False

    def digest(self, path: str, found: os.stat_result, name: ObjectName | None) -> str:
        """Return the digest of a file, read only if neither the object nor the cache has it."""
        known = FileStat.of(found)
        cache = self._store.hash_cache
        if name is not None and is_object(found, self._store.objects.path(name)):
            if self._store.objects.is_good(name, None):
                return name.digest
            return digest_file(path)
        digest = cache.digest(path, known)
        return digest if digest is not None else digest_file(path)


def files_below(path: str) -> Iterator[str]:
    """Yield the paths of all files below a folder; links are not followed."""
    for folder, folders, files in os.walk(path):
        yield from (f"{folder}/{file}" for file in files)
        yield from (f"{folder}/{inner}" for inner in folders if os.path.islink(f"{folder}/{inner}"))


def lstat(path: str) -> os.stat_result | None:
    """Return the stat of a path, of a link itself; None if there is none."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def is_object(found: os.stat_result, path: str) -> bool:
    """Return True if a file is the object itself, under another name."""
    object_stat = lstat(path)
    return object_stat is not None and (found.st_ino, found.st_dev) == (object_stat.st_ino, object_stat.st_dev)
