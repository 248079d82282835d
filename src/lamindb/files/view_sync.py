"""The view follows the rows: conflicts are checked before a save, files published after it, repaired after a crash.

Two processes that save one key may show it in another order than they committed: the last one to show would win, not
the last one to commit. So a process that shows a key looks at its row once more afterwards.

A process that writes leaves its name in `incoming/` while it lives, and beside it what it is about to take out of the
view. The next process that opens the instance and finds the name of a dead process checks both: what was written since
that one announced itself, and what it noted.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime
import json
import os
import stat
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from lamindb.core import documents, messages
from lamindb.core.hashing import digest_file
from lamindb.core.keys import GITIGNORE, GITIGNORE_TEXT
from lamindb.core.progress import Progress
from lamindb.db import database
from lamindb.errors import IntegrityError, InvalidInputError, LaminError, ViewConflictError
from lamindb.files import source
from lamindb.files.source import Pending
from lamindb.models import File, rows
from lamindb.records.open_instance import Instance
from lamindb.storage import object_folder
from lamindb.storage.base import FileStat, ObjectName
from lamindb.storage.manifest import read_manifest, walk
from lamindb.storage.view import Shown

_ROUNDS = 20


class Left(NamedTuple):
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
    for chunk in database.chunks(dict.fromkeys(keys)):
        conflicts += _follow_some(instance, view, chunk, left)
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
    for chunk in database.chunks(shown):
        current = _current_ids_under(instance, chunk)
        found += [key for key in chunk if current.get(key) != shown[key]]
    return found


def _query(instance: Instance, keys: Sequence[str]) -> Any:
    return File.objects.using(instance.alias).filter(storage_id=instance.storage_id, key__in=keys).order_by()


def _current_under(instance: Instance, keys: Sequence[str]) -> dict[str, File]:
    query = _query(instance, keys).filter(is_latest=True, trashed_at__isnull=True)
    return {str(file.key): file for file in query}


def _current_ids_under(instance: Instance, keys: Sequence[str]) -> dict[str, str]:
    found = rows.values(
        instance.alias,
        "SELECT key, id FROM lamindb_file WHERE storage_id = %s AND is_latest AND trashed_at IS NULL "
        f"AND key IN ({rows.marks(keys)})",
        [instance.storage_id, *keys],
    )
    return dict(found)


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
        _check_whole(instance, file)
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


def _check_whole(instance: Instance, file: File) -> None:
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


class Change(NamedTuple):
    """A file that was saved, and the version that was current before, as it is now."""

    file: File
    before: File | None


def check(instance: Instance, files: Sequence[File]) -> dict[str, list[str]]:
    """Refuse keys that the view could not show, before anything is written.

    Returns:
        Keys under which damaged bytes stand, each with the paths below the root where they do: see `put_aside`.

    Raises:
        ViewConflictError: Something of the user's stands there, or one key is the folder of another.
    """
    damaged: dict[str, list[str]] = {}
    if instance.view.mode == "none":
        return damaged
    folders = _folders_of(files)
    asked: set[str] = set()
    for chunk in database.chunks(filter(_appears, files), database.AT_ONCE):
        waiting: dict[str, Pending] = {file.pending.key: file.pending for file in chunk}
        occupied: list[str] = []
        for key, pending in waiting.items():
            below = folders.get(key)
            if below is not None:
                raise ViewConflictError(f"cannot save both {key!r} and {below!r}: a file cannot be a folder too")
            folder = key.rpartition("/")[0]
            # Of each folder one key tells whether it can be made; one that is taken is asked about itself, which tells
            # of its folder, too.
            if os.path.lexists(f"{instance.root_url}/{key}"):
                occupied.append(key)
            elif folder not in asked:
                _check_one(instance, key, set(), pending)
            asked.add(folder)
        # Nearly always the view shows the current version; only where it does not, all others are asked for.
        known = _names_under(instance, occupied, only_current=True)
        for key in occupied:
            found = _check_one(instance, key, known.get(key, set()), waiting[key])
            if found:
                damaged[key] = found
    return damaged


def put_aside(instance: Instance, damaged: dict[str, list[str]]) -> None:
    """Move damaged bytes out of the view, beside their key, before the right bytes replace the damaged object.

    Afterwards nothing would tell them from a user's edit: what stands in the view is known to be damaged only as long
    as it is the object, or as the object is missing. A save that dies in between finds the key free.

    Raises:
        StorageError: The disk failed. What was moved stays beside its key.
    """
    for key, paths in damaged.items():
        if key == GITIGNORE and is_own_gitignore(instance.root_url):
            os.unlink(f"{instance.root_url}/{key}")
            continue
        for path in paths:
            instance.view.move_aside(path, beside=key)


def _appears(file: File) -> bool:
    pending: Pending = file.pending
    return pending.key is not None and not pending.is_in_place and not pending.lies_at_key


def _folders_of(files: Iterable[File]) -> dict[str, str]:
    """Return the folders in which files will appear, and those above them, each with a key in it."""
    folders: dict[str, str] = {}
    for file in files:
        if _appears(file):
            key: str = file.pending.key
            above = key.rpartition("/")[0]
            while above and above not in folders:
                folders[above] = key
                above = above.rpartition("/")[0]
    return folders


def is_own_gitignore(root: str) -> bool:
    """Return True if the `.gitignore` of a storage folder is the one that was written when it was made."""
    try:
        with open(f"{root}/{GITIGNORE}", encoding="utf-8") as stream:
            return stream.read(len(GITIGNORE_TEXT) + 1) == GITIGNORE_TEXT
    except (OSError, ValueError):
        return False


def _check_one(instance: Instance, key: str, known: set[ObjectName], pending: Pending) -> list[str]:
    """Refuse a key that the view could not show; return the paths under it where damaged bytes stand.

    Args:
        instance: The instance.
        key: The key.
        known: Objects of its versions: the others are looked up if these do not stand there.
        pending: What is to be shown there.
    """
    view = instance.view
    reason = view.conflict(key, None, [name.digest for name in known])
    # It may be an older version, or one that another process saved after we asked for the versions.
    while reason is not None and known != (known_now := _names_under(instance, [key]).get(key, set())):
        known = known_now
        reason = view.conflict(key, None, [name.digest for name in known])
    if reason is None:
        return []
    if key == GITIGNORE and is_own_gitignore(instance.root_url):
        # Ours gives way to a file of the user's.
        return [key]
    damaged = {path: None for name in known for path in _damaged(instance, key, name)}
    if not damaged and not is_ours(instance, key) and not _shows_already(instance, key, pending):
        raise ViewConflictError(f"cannot save {pending.shown} as {key!r}: {reason}")
    return list(damaged)


def _damaged(instance: Instance, key: str, name: ObjectName) -> list[str]:
    """Return the paths of the view where other bytes stand than a version's, which it could be repaired from no more.

    That is so where the file is the object itself, or where the object is missing.
    """
    store = instance.store
    if not os.path.isdir(f"{instance.root_url}/{key}"):
        is_file = os.path.isfile(f"{instance.root_url}/{key}")
        return [key] if is_file and (is_object_itself(instance, key, name) or not store.exists(name)) else []
    try:
        members = read_manifest(store, name)
    except LaminError:
        return []
    found = []
    for member in members:
        path = f"{key}/{member.path}"
        damage = store.check(member.name, member.size, quick=True)
        if damage is not None and os.path.isfile(f"{instance.root_url}/{path}"):
            is_missing = damage.kind == "missing" and instance.view.state(path, member.name) == "edited"
            if is_missing or is_object_itself(instance, path, member.name):
                found.append(path)
    return found


def _shows_already(instance: Instance, key: str, pending: Pending) -> bool:
    """Return True if what stands there is what is to be saved, or a folder with nothing but files that it has, too.

    The manifest of a folder may be what is damaged, or the row of a file lost: then nothing else shows that it is ours.
    """
    cache = instance.hash_cache
    try:
        if not pending.is_folder:
            path = f"{instance.root_url}/{key}"
            if os.path.islink(path) or not os.path.isfile(path):
                return False
            content = pending.content or source.read_content(pending, cache)[0]
            return source.hash_local(path, None, cache).digest == content.digest
        wanted = dict(walk(str(pending.source.path), pending.source.links))
        return all(
            relative in wanted
            and source.hash_local(path, None, cache).digest == source.hash_local(wanted[relative], None, cache).digest
            for relative, path in walk(f"{instance.root_url}/{key}")
        )
    except (LaminError, OSError):
        return False


def _names_under(instance: Instance, keys: Sequence[str], *, only_current: bool = False) -> dict[str, set[ObjectName]]:
    """Return the objects of all versions under each of some keys, or only of the current ones."""
    found: dict[str, set[ObjectName]] = {}
    condition = " AND is_latest AND trashed_at IS NULL" if only_current else ""
    for chunk in database.chunks(keys):
        named = rows.values(
            instance.alias,
            "SELECT key, digest, suffix FROM lamindb_file "
            f"WHERE storage_id = %s{condition} AND key IN ({rows.marks(chunk)})",
            [instance.storage_id, *chunk],
        )
        for key, digest, suffix in named:
            found.setdefault(str(key), set()).add(ObjectName(digest, suffix))
    return found


def is_object_itself(instance: Instance, key: str, name: ObjectName) -> bool:
    """Return True if the view's file is the object itself, so that what was written into it damaged the object."""
    try:
        return os.path.samefile(f"{instance.root_url}/{key}", instance.store.object_path(name))
    except OSError:
        return False


def show(
    instance: Instance, changes: Iterable[Sequence[Change]], damaged: Collection[str], leaving: Sequence[Left] = ()
) -> None:
    """Show in the view what is current now. The rows are right already, so nothing here can undo the save.

    Args:
        instance: The instance.
        changes: The files that were saved, in parts.
        damaged: Keys whose file is to be moved aside.
        leaving: What the view may still show under keys that files have left.
    """
    if instance.view.mode == "none":
        return
    left = list(leaving)
    again: list[str] = []
    try:
        for chunk in changes:
            _show_some(instance, chunk, damaged, left, again)
        again += [one.key for one in left]
        conflicts = follow(instance, again, left=left) if again else []
    except LaminError as error:
        conflicts = [error]
    leave_unfinished(instance, conflicts)
    for conflict in conflicts:
        messages.warning(f"saved, but the folder does not show it: {conflict}")


def _show_some(
    instance: Instance, changes: Sequence[Change], damaged: Collection[str], left: list[Left], again: list[str]
) -> None:
    """Show some of the files; notes what was left behind, and keys that have to be looked at once more."""
    view = instance.view
    wanted: dict[str, Shown] = {}
    shown: dict[str, str] = {}
    for change in changes:
        file, before = change.file, change.before
        old = ObjectName(before.digest, before.suffix) if before is not None else None
        if file.key is not None and file.storage_id == instance.storage_id and file.is_latest:
            wanted[file.key] = Shown(file.key, ObjectName(file.digest, file.suffix), file.is_folder, old)
            shown[file.key] = file.id
    if view.show_many([one for key, one in wanted.items() if key not in damaged]):
        again += wanted
    if damaged:
        view.show_many([one for key, one in wanted.items() if key in damaged], move_aside=True)
    moved = moved_on(instance, shown)
    left += [Left(key, wanted[key].name, wanted[key].is_folder) for key in moved]


FOREIGN_SECONDS: Final = 7 * 86_400
"""How old something must be that a process of another machine left before that process counts as dead."""

_ENDING = ".writer"
_NOTES_ENDING = ".leaving"
_MARGIN = datetime.timedelta(minutes=2)
_announced: dict[tuple[str, int], str] = {}
_unfinished: set[tuple[str, int]] = set()


def announce(instance: Instance, *, leaving: Iterable[Left] = ()) -> None:
    """Leave the name of this process in the instance's folder, once, until the process ends.

    Args:
        instance: The instance that is about to be written to.
        leaving: What the view shows under keys that no row will tell after the transaction that follows.
    """
    if not instance.is_local:
        return
    key = (instance.alias, os.getpid())
    path = _announced.get(key)
    try:
        if path is None:
            path = object_folder.new_temp_path(f"{instance.home_path}/incoming") + _ENDING
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
            _announced[key] = path
            atexit.register(_withdraw, key)
        _note(_notes_of(path), leaving)
    except OSError as error:
        messages.debug(f"cannot write {path}: {error}")


def _notes_of(path: str) -> str:
    return path.removesuffix(_ENDING) + _NOTES_ENDING


def _note(path: str, leaving: Iterable[Left]) -> None:
    """Write down what is about to leave the view, before the transaction after which nothing else tells it."""
    lines = [json.dumps([one.key, one.name.digest, one.name.suffix, one.is_folder]) + "\n" for one in leaving]
    if not lines:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, "".join(lines).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _noted(path: str) -> list[Left]:
    """Read what a process noted; a line that it did not finish is passed over."""
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, InvalidInputError):
            key, digest, suffix, is_folder = documents.parse_json(line)
            found.append(Left(str(key), ObjectName(digest, suffix), bool(is_folder)))
    return found


def leave_unfinished(instance: Instance, conflicts: Iterable[LaminError]) -> None:
    """Leave the repair of the view to the next process that opens the instance, if the disk failed here."""
    if any(not isinstance(conflict, ViewConflictError) for conflict in conflicts):
        _unfinished.add((instance.alias, os.getpid()))


def _withdraw(key: tuple[str, int]) -> None:
    path = _announced.pop(key, None)
    if path is not None and key[1] == os.getpid() and key not in _unfinished:
        for each in (_notes_of(path), path):
            with contextlib.suppress(OSError):
                os.unlink(each)


def left_behind(instance: Instance) -> list[str]:
    """Return the entries in `incoming/` whose writers are dead, sorted."""
    if not instance.is_local:
        return []
    try:
        return object_folder.list_abandoned(f"{instance.home_path}/incoming", older_than_seconds=FOREIGN_SECONDS)
    except OSError:
        return []


def repair_after_crash(instance: Instance) -> int:
    """Look for dead writers and let the view show what the rows say; returns how many keys were looked at."""
    if not instance.is_local or instance.is_read_only:
        return 0
    folder = f"{instance.home_path}/incoming"
    dead = [name for name in left_behind(instance) if name.endswith(_ENDING)]
    since = None
    left: list[Left] = []
    for name in dead:
        left += _noted(_notes_of(f"{folder}/{name}"))
        with contextlib.suppress(OSError):
            announced = os.stat(f"{folder}/{name}").st_mtime
            began = datetime.datetime.fromtimestamp(announced, datetime.UTC) - _MARGIN
            since = began if since is None else min(since, began)
    count = rebuild_view(instance, since=since, left=left) if since is not None else 0
    for name in dead:
        for path in (_notes_of(f"{folder}/{name}"), f"{folder}/{name}"):
            with contextlib.suppress(OSError):
                os.unlink(path)
    return count


def rebuild_view(
    instance: Instance,
    *,
    since: datetime.datetime | None = None,
    left: Iterable[Left] = (),
    progress: Progress | None = None,
) -> int:
    """Show in the view every current file, and nothing that is not current; edits of users are left alone.

    Args:
        instance: The instance.
        since: Only look at keys whose files changed since then; None for all.
        left: What the view may still show under keys that their files left.
        progress: Called with the numbers of keys that are done and of all keys.

    Returns:
        How many keys were looked at.
    """
    if instance.view.mode == "none":
        return 0
    query = File.objects.using(instance.alias).filter(storage_id=instance.storage_id, key__isnull=False)
    if since is not None:
        query = query.filter(updated_at__gte=since)
    gone = list(left)
    keys = dict.fromkeys(one.key for one in gone)
    keys |= dict.fromkeys(query.values_list("key", flat=True).order_by("key").distinct())
    done = 0
    for chunk in database.chunks(keys):
        for conflict in follow(instance, chunk, left=gone):
            messages.warning(str(conflict))
        done += len(chunk)
        if progress is not None:
            progress(done, len(keys))
    return len(keys)
