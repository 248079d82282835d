"""Update of the view from the rows, beside other writers of the same keys.

Two processes that save one key may show it in another order than they committed: the last one to show would win, not
the last one to commit. So a process that shows a key looks at its row once more afterwards.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lamindb.core.hashing import digest_file
from lamindb.db import bulk
from lamindb.errors import IntegrityError, LaminError, ViewConflictError
from lamindb.models import File
from lamindb.records.open_instance import Instance
from lamindb.storage.base import FileStat, ObjectName
from lamindb.storage.manifest import read_manifest

_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Left:
    """What the view shows under a key that a file is about to leave: no row will tell it any more."""

    key: str
    name: ObjectName
    is_folder: bool


def left_by(file: File) -> Left:
    """Return what the view shows under the key of a file."""
    return Left(str(file.key), ObjectName(file.digest, file.suffix), file.is_folder)


def follow(instance: Instance, keys: Iterable[str], *, left: Sequence[Left] = ()) -> list[LaminError]:
    """Show in the view what is current under each key, and nothing where nothing is.

    A user's own file is left as it is.

    Args:
        instance: The instance.
        keys: The keys.
        left: What files left behind that moved to another key or were removed for good.

    Returns:
        Why some keys are not shown.
    """
    view = instance.view
    conflicts: list[LaminError] = []
    if view.mode == "none":
        return conflicts
    for part in bulk.chunks(dict.fromkeys(keys)):
        conflicts += _follow_some(instance, view, part, left)
    return conflicts


def _follow_some(instance: Instance, view: Any, keys: list[str], left: Sequence[Left]) -> list[LaminError]:
    conflicts: dict[str, LaminError] = {}
    wanted = keys
    shown: dict[str, str | None] = {}
    left = list(left)
    for _ in range(_ROUNDS):
        current = _current_under(instance, wanted)
        versions = _Versions(instance, wanted, left)
        for key in wanted:
            conflicts.pop(key, None)
            try:
                _follow_one(instance, view, key, current.get(key), versions)
            except LaminError as error:
                conflicts[key] = error
            shown[key] = current[key].id if key in current else None
        again = _current_under(instance, wanted)
        wanted = [key for key in wanted if shown[key] != (again[key].id if key in again else None)]
        if not wanted:
            break
        # What was just shown may have moved to another key meanwhile, or be removed for good.
        left += [left_by(current[key]) for key in wanted if key in current]
    return list(conflicts.values())


def moved_on(instance: Instance, shown: dict[str, str]) -> list[str]:
    """Return those keys that have another current file by now than the one shown, given by its id."""
    found = []
    for part in bulk.chunks(shown):
        current = _current_ids_under(instance, part)
        found += [key for key in part if current.get(key) != shown[key]]
    return found


def _query(instance: Instance, keys: Sequence[str]) -> Any:
    return File.objects.using(instance.alias).filter(storage_id=instance.storage_id, key__in=keys).order_by()


def _current_under(instance: Instance, keys: Sequence[str]) -> dict[str, File]:
    query = _query(instance, keys).filter(is_latest=True, trashed_at__isnull=True)
    return {str(file.key): file for file in query}


def _current_ids_under(instance: Instance, keys: Sequence[str]) -> dict[str, str]:
    query = _query(instance, keys).filter(is_latest=True, trashed_at__isnull=True)
    return dict(query.values_list("key", "id"))


class _Versions:
    """All that the view may show under some keys, the newest first: asked for when it is first needed, all at once."""

    def __init__(self, instance: Instance, keys: Sequence[str], left: Sequence[Left] = ()) -> None:
        self._instance = instance
        self._keys = keys
        self._left = left
        self._by_key: dict[str, list[Left]] | None = None

    def of(self, key: str) -> list[Left]:
        """Return what was left behind under a key, and its versions."""
        if self._by_key is None:
            found: dict[str, list[Left]] = {}
            for one in self._left:
                found.setdefault(one.key, []).append(one)
            query = _query(self._instance, self._keys).order_by("-created_at", "-id")
            for named, digest, suffix, is_folder in query.values_list("key", "digest", "suffix", "is_folder"):
                found.setdefault(named, []).append(Left(named, ObjectName(digest, suffix), is_folder))
            self._by_key = found
        return self._by_key.get(key, [])


def _follow_one(instance: Instance, view: Any, key: str, file: File | None, versions: _Versions) -> None:
    """Bring one key of the view in line with its row.

    Raises:
        ViewConflictError: Something of a user's stands there; it was left as it was.
        LaminError: The disk failed, or the object is missing.
    """
    name = ObjectName(file.digest, file.suffix) if file is not None else None
    if file is not None and name is not None:
        state = view.state(key, name, is_folder=file.is_folder)
        if state == "ours":
            return
        _check(instance, file)
        if state == "missing":
            view.show(key, name, is_folder=file.is_folder)
            return
    wanted = Left(key, name, file.is_folder) if file is not None and name is not None else None
    before = _shown_now(instance, view, key, wanted, versions.of(key))
    if before is None:
        if os.path.lexists(view.path(key)):
            raise ViewConflictError(f"{key!r} in the folder is not what was saved, and is left as it is")
        return
    if wanted is None or (before.is_folder and not wanted.is_folder):
        view.hide(key, before.name, is_folder=before.is_folder)
    if wanted is not None:
        view.show(key, wanted.name, is_folder=wanted.is_folder, replaces=before.name)


def _check(instance: Instance, file: File) -> None:
    """Make sure that what is to be shown is whole: from then on the view's link to it counts as right.

    Raises:
        IntegrityError: An object is missing or damaged.
    """
    store = instance.store
    name = ObjectName(file.digest, file.suffix)
    names = [name, *(member.name for member in read_manifest(store, name))] if file.is_folder else [name]
    for one in names:
        damage = store.check(one, None, quick=True)
        if damage is not None:
            raise IntegrityError(f"{damage.detail}: save the right file again")


def is_ours(instance: Instance, key: str) -> bool:
    """Return True if all that stands under a key is of its versions: whole, or half made by a process that died."""
    view = instance.view
    file = _current_under(instance, [key]).get(key)
    wanted = Left(key, ObjectName(file.digest, file.suffix), file.is_folder) if file is not None else None
    return _shown_now(instance, view, key, wanted, _Versions(instance, [key]).of(key)) is not None


def _shown_now(instance: Instance, view: Any, key: str, wanted: Left | None, versions: Sequence[Left]) -> Left | None:
    """Find which version of a key the view shows: the newest are compared first; None if it is none of them.

    A folder may be on its way from one version to the wanted one.
    """
    path = str(view.path(key))
    if os.path.isdir(path) and not os.path.islink(path):
        return _folder_shown(instance, path, wanted, [one for one in versions if one.is_folder])
    files = [one for one in versions if not one.is_folder]
    found = _Found(path)
    return next((one for one in files if found.holds(instance, one.name)), None)


def _folder_shown(instance: Instance, path: str, wanted: Left | None, versions: Sequence[Left]) -> Left | None:
    """Find the version of which a folder shows parts, and nothing else but parts of the wanted one."""
    there = {
        os.path.relpath(f"{folder}/{name}", path).replace(os.sep, "/"): _Found(f"{folder}/{name}")
        for folder, _, names in os.walk(path)
        for name in names
    }
    aimed_at = _members(instance, wanted) if wanted is not None and wanted.is_folder else {}
    for one in versions:
        members = _members(instance, one)
        if members is not None and all(
            found.holds(instance, *(kind[relative] for kind in (members, aimed_at or {}) if relative in kind))
            for relative, found in there.items()
        ):
            return one
    return None


def _members(instance: Instance, folder: Left) -> dict[str, ObjectName] | None:
    """Return what a folder holds; None if its list is gone."""
    try:
        members = read_manifest(instance.store, folder.name)
    except IntegrityError:
        return None
    return {member.path: member.name for member in members}


class _Found:
    """A file that stands in the view; it is read at most once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._digest: str | None = None

    def holds(self, instance: Instance, *names: ObjectName) -> bool:
        """Return True if it is one of these objects, or a copy of one."""
        store = instance.store
        try:
            found = os.lstat(self._path)
            if not stat.S_ISREG(found.st_mode):
                return False
            if any(_is_same(found, store.object_path(name)) for name in names):
                return True
            if self._digest is None:
                known = instance.hash_cache.digest(self._path, FileStat.of(found))
                self._digest = known or digest_file(self._path)
        except OSError:
            return False
        return any(name.digest == self._digest for name in names)


def _is_same(found: os.stat_result, path: str) -> bool:
    try:
        return os.path.samestat(found, os.lstat(path))
    except OSError:
        return False
