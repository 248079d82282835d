"""The view: each current file under its key in the storage root, as a reflink, a hard link or a copy of its object.

It holds nothing that rows and objects don't, and can be made again at any time. It must never lose an edit of the user:
a file is replaced or removed only if it is proved to be ours, by being the object itself or by having the bytes of one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

from lamindb.core import filesystem, keys, messages
from lamindb.core.hashing import Content, digest_bytes, digest_file
from lamindb.errors import IntegrityError, LaminError, ViewConflictError
from lamindb.storage import reflink
from lamindb.storage.base import FileStat, Member, ObjectName, ObjectStore
from lamindb.storage.hash_cache import Known
from lamindb.storage.local import LocalStore
from lamindb.storage.manifest import read_manifest, starts_as_manifest
from lamindb.storage.object_folder import ObjectFolder, new_temp_path
from lamindb.storage.os_errors import cause, read_only, write_failed

State = Literal["ours", "missing", "edited", "foreign"]

_Row = tuple[str, str, str, bool]
"""The key, digest and suffix of a file, and whether it is a folder."""


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

    def unknown(self, files: Sequence[tuple[_Row, os.stat_result]]) -> list[_Row]:
        """Return those of these files of which the cache does not know that they have the right bytes.

        One look-up is enough if they are all as when they were last found right. Else each file is looked up: a hard
        link has the stat of its object, and is known by the path of that.
        """
        if not files:
            return []
        cache, root, objects = self._store.hash_cache, self._store.root_url, self._store.objects.folder
        begun_at_ns = time.time_ns()
        text = "\n".join(
            [
                f"{key}\0{digest}{suffix}\0{f.st_size} {f.st_mtime_ns} {f.st_ctime_ns} {f.st_ino} {f.st_dev}"
                for (key, digest, suffix, _), f in files
            ]
        )
        first, fingerprint = f"{root}/{files[0][0][0]}", digest_bytes(text.encode("utf-8", "surrogatepass"))
        if cache.is_right(first, fingerprint):
            return []
        asked = [
            (f"{objects}/{digest[:2]}/{digest}{suffix}" if found.st_nlink > 1 else f"{root}/{key}", FileStat.of(found))
            for (key, digest, suffix, _), found in files
        ]
        digests = cache.digests(asked)
        unknown = [row for (row, _), digest in zip(files, digests, strict=True) if digest != row[1]]
        if not unknown:
            cache.put_right(first, fingerprint, max(found.st_mtime_ns for _, found in files), begun_at_ns)
        return unknown

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


Mode = Literal["auto", "copy", "none"]

_ATTEMPTS: Final = 20
_AT_ONCE: Final = 2_000
COPY_BELOW: Final = 64 << 20
"""Size in bytes up to which "auto" copies a file where the disk can neither share blocks nor link."""


class Shown(NamedTuple):
    """A file that the view is to show: the current object of a key, and the one that it replaces."""

    key: str
    name: ObjectName
    is_folder: bool = False
    replaces: ObjectName | None = None


def _parts(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Yield rows in lists of about 256, most of which stay the same when a row is added or removed.

    Digests are random: a list ends with one that begins with two zeros.
    """
    part: list[_Row] = []
    for row in rows:
        part.append(row)
        if row[1][:2] == "00" or len(part) == _AT_ONCE:
            yield part
            part = []
    if part:
        yield part


class View:
    """The files of a local root under their keys.

    Args:
        store: Where their objects are. A bucket has no folder to show files in: its view shows nothing, finds nothing,
            and nothing is in its way.
        mode: "auto" links, and copies where links can't be made; "copy" never links, so that writing into a file of
            the view leaves its object alone; "none" shows nothing.
    """

    def __init__(self, store: ObjectStore, mode: Mode = "auto") -> None:
        self._has_folder = store.is_local
        self.mode: Mode = mode if self._has_folder else "none"
        # The methods below use what only a local store has, and return before that for a bucket.
        self.store = cast("LocalStore", store)
        self._inspector = ViewInspector(self.store)
        self._root = os.path.realpath(store.root_url)
        self._has_warned = False

    @property
    def _objects(self) -> ObjectFolder:
        return self.store.objects

    def path(self, key: str) -> Path:
        """Return where the view shows a key, whether it does or not."""
        return Path(f"{self.store.root_url}/{keys.check_key(key)}")

    def conflict(self, key: str, name: ObjectName | None, known: Iterable[str] = ()) -> str | None:
        """Return why the view cannot show a key, None if it can. Nothing is written.

        Args:
            key: The key.
            name: The object that it is to show, None if that is not known yet.
            known: Digests of what the view may show there now: the versions of this key.
        """
        if self.mode == "none":
            return None
        path = f"{self.store.root_url}/{keys.check_key(key)}"
        try:
            above = self._inspector.bad_parent(key)
            if above is not None:
                return above
            found = os.lstat(path)
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return f"a folder of '{path}' is a file: choose another key"
        except OSError as error:
            return f"'{path}' cannot be made ({cause(error)}): choose another key"
        digests = {*known, *([name.digest] if name is not None else [])}
        try:
            if stat.S_ISDIR(found.st_mode):
                if self._inspector.is_ours_or_empty(path, digests):
                    return None
                return f"'{path}' is a folder with files: choose another key, or move the folder away"
            if stat.S_ISREG(found.st_mode) and self._inspector.digest(path, found, name) in digests:
                return None
        except FileNotFoundError:
            # Another process just hid it, or showed another one.
            return self.conflict(key, name, known)
        except OSError as error:
            return f"'{path}' cannot be read ({cause(error)}): choose another key"
        return f"'{path}' holds something that is not saved: save it, or move it away"

    def show(
        self,
        key: str,
        name: ObjectName,
        *,
        is_folder: bool = False,
        replaces: ObjectName | None = None,
        move_aside: bool = False,
    ) -> None:
        """Show an object under a key, at once where one of ours is replaced.

        Args:
            key: The key.
            name: The object, or the manifest of a folder.
            is_folder: `name` is a manifest.
            replaces: What the view showed under this key before.
            move_aside: Move what is not ours to a new name next to it, instead of refusing.

        Raises:
            ViewConflictError: What is there is not provably ours; it was left as it was.
            IntegrityError: The object is missing.
            StorageError: The disk failed or is full; the key shows what it did.
        """
        shown = Shown(key, name, is_folder, replaces)
        self._show_all([shown], move_aside=move_aside)

    def show_many(self, files: Sequence[Shown], *, move_aside: bool = False) -> list[ViewConflictError]:
        """Show many files as `show` does; return the conflicts, whose files were left as they were."""
        return self._show_all(files, move_aside=move_aside, collect=True)

    def move_aside(self, path: str, *, beside: str) -> None:
        """Move a file out of the view, to a new name beside a key at which it stands, or below which; durably.

        Raises:
            StorageError: The disk failed.
        """
        self._check_writable()
        with self._translate_errors(path):
            self._move_aside(path, beside)
            filesystem.fsync_folder(os.path.dirname(f"{self.store.root_url}/{path}"))

    def hide(self, key: str, name: ObjectName, *, is_folder: bool = False) -> bool:
        """Remove what the view shows under a key, and folders left empty by that, if it is provably ours.

        Returns:
            True if nothing of ours is there any more; False if what is there is not ours, and was left.

        Raises:
            StorageError: The disk failed.
        """
        if not self._has_folder:
            return True
        self._check_writable()
        path = str(self.path(key))
        with self._translate_errors(key):
            if self._inspector.bad_parent(key) is not None:
                return False
            removed = self._hide_folder(key, name) if is_folder else self._hide_file(path, {name.digest}, name)
            if removed:
                self._remove_empty(os.path.dirname(path))
        if not removed:
            messages.warning(f"'{path}' was changed since it was saved, and is left as it is")
        return removed

    def state(self, key: str, name: ObjectName, *, is_folder: bool = False) -> State:
        """Return what is under a key: the object, nothing, other bytes, or something else than a file.

        A file whose stat says that it may have changed is read.
        """
        if not self._has_folder:
            return "missing"
        path = f"{self.store.root_url}/{keys.check_key(key)}"
        if self._inspector.bad_parent(key) is not None:
            return "foreign"
        try:
            found = os.lstat(path)
            if is_folder:
                return self._inspector.state_of_folder(path, found, name)
            if not stat.S_ISREG(found.st_mode):
                return "foreign"
            return "ours" if self._inspector.digest(path, found, name) == name.digest else "edited"
        except (FileNotFoundError, NotADirectoryError):
            return "missing"
        except OSError as error:
            messages.debug(f"'{path}' cannot be read: {cause(error)}")
            return "foreign"

    def changed(self, rows: Iterable[_Row]) -> Iterator[str]:
        """Yield the keys of files of the view that are there and are not what was saved.

        Each is looked at by one stat; one that may have changed since it was last compared is read. A row that no file
        can have is left out.
        """
        if not self._has_folder or self.mode == "none":
            return
        root, bad_folders = self.store.root_url, dict[str, bool]()
        for part in _parts(rows):
            unknown: list[_Row] = []
            stats: list[tuple[_Row, os.stat_result]] = []
            for row in part:
                key = row[0]
                folder = key.rpartition("/")[0]
                if folder not in bad_folders:
                    bad_folders[folder] = self._inspector.bad_parent(key) is not None
                try:
                    found = None if bad_folders[folder] else os.lstat(f"{root}/{key}")
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except (OSError, ValueError):
                    found = None
                if found is None or row[3] or not stat.S_ISREG(found.st_mode):
                    unknown.append(row)
                else:
                    stats.append((row, found))
            for key, digest, suffix, is_folder in (*unknown, *self._inspector.unknown(stats)):
                try:
                    if self.state(key, ObjectName(digest, suffix), is_folder=is_folder) in ("edited", "foreign"):
                        yield key
                except LaminError as error:
                    messages.debug(f"{key!r} was not looked at in the folder: {error}")

    def _show_all(self, files: Sequence[Shown], *, move_aside: bool, collect: bool = False) -> list[ViewConflictError]:
        conflicts: list[ViewConflictError] = []
        linked: list[ObjectName] = []
        copied: list[tuple[str, ObjectName]] = []
        if self.mode != "none":
            self._check_writable()
            made: set[str] = set()
            try:
                for shown in files:
                    try:
                        with self._translate_errors(shown.key):
                            for key, name, replaces in self._files_of(shown):
                                method = self._show_file(key, name, replaces, made, shown.key if move_aside else None)
                                if method == "link":
                                    linked.append(name)
                                elif method is not None:
                                    copied.append((f"{self.store.root_url}/{key}", name))
                    except ViewConflictError as error:
                        if not collect:
                            raise
                        conflicts.append(error)
            finally:
                self._remember(linked, copied)
        elif self._has_folder:
            self.store.remember([shown.name for shown in files])
        return conflicts

    def _files_of(self, shown: Shown) -> Iterator[tuple[str, ObjectName, ObjectName | None]]:
        """Yield the files to be made for one key, after removing former members."""
        key = keys.check_key(shown.key)
        if not shown.is_folder:
            yield key, shown.name, shown.replaces
            return
        members = read_manifest(self.store, shown.name)
        before = self._inspector.members(shown.replaces)
        if shown.replaces is not None and not before:
            self._hide_file(f"{self.store.root_url}/{key}", {shown.replaces.digest}, shown.replaces)
        wanted = {member.path for member in members}
        for path, member in before.items():
            if path not in wanted:
                target = f"{self.store.root_url}/{key}/{path}"
                if self._hide_file(target, {member.digest}, member.name):
                    self._remove_empty(os.path.dirname(target))
        if not members:
            self._make_parents(f"{key}/x", set())
        for member in members:
            old = before.get(member.path)
            yield f"{key}/{member.path}", member.name, old.name if old is not None else None

    def _show_file(
        self, key: str, name: ObjectName, replaces: ObjectName | None, made: set[str], aside: str | None
    ) -> str | None:
        """Show one file under its key; return how it was made, None if there was nothing to make.

        What is there and not ours is moved next to the file or folder `aside`; refused where that is None.
        """
        for attempt in range(_ATTEMPTS):
            try:
                self._make_parents(key, made)
                return self._publish(key, name, replaces, aside)
            except FileNotFoundError:
                # Another process that hides a file in this folder may have removed it while it was empty.
                if attempt == _ATTEMPTS - 1 or not os.path.lexists(self._objects.path(name)):
                    raise
                made.clear()
        return None

    def _publish(self, key: str, name: ObjectName, replaces: ObjectName | None, aside: str | None) -> str | None:
        source, target = self._objects.path(name), f"{self.store.root_url}/{key}"
        if self.mode == "auto" and not self._objects.can_clone:
            try:
                # Fast path: one call, which fails where something exists.
                os.link(source, target)
            except OSError as error:
                if error.errno not in reflink.NO_LINK and error.errno != errno.EEXIST:
                    if error.errno == errno.ENOENT and not os.path.lexists(source):
                        raise _missing(key, source) from error
                    raise
            else:
                return "link"
        found = lstat(target)
        if found is not None:
            if is_object(found, source):
                return None
            digests = {name.digest} | ({replaces.digest} if replaces is not None else set())
            if stat.S_ISDIR(found.st_mode) and self._inspector.is_ours_or_empty(target, digests):
                if replaces is not None:
                    self._hide_folder(key, replaces)
                _remove_empty_tree(target)
            elif not stat.S_ISREG(found.st_mode):
                self._move_aside(key, aside)
            else:
                digest = self._inspector.digest(target, found, replaces or name)
                if digest == name.digest and (self._objects.can_clone or (self.mode == "copy" and found.st_nlink == 1)):
                    return None
                if digest not in digests:
                    self._move_aside(key, aside)
                elif digest == name.digest and _is_being_written(target):
                    # Open for writing elsewhere: replacing it would detach that writer.
                    return None
        if not self._may_copy(key, source):
            return None
        entry = new_temp_path(self._objects.temp_folder)
        try:
            method = reflink.duplicate(
                source, entry, allow_link=self.mode == "auto", allow_clone=self._objects.can_clone
            )
            os.replace(entry, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry)
        return method

    def _may_copy(self, key: str, source: str) -> bool:
        """Return True if a file may be copied where it can't be linked; large ones are not duplicated by default."""
        found = lstat(source)
        if found is None:
            raise _missing(key, source)
        if self.mode == "copy" or self._objects.can_clone or found.st_size <= COPY_BELOW:
            return True
        if self._links_work(source):
            return True
        if not self._has_warned:
            self._has_warned = True
            messages.info(
                f"large files are not shown in '{self._root}', whose disk has no links: read them by file.path()"
            )
        return False

    def _links_work(self, source: str) -> bool:
        entry = new_temp_path(self._objects.temp_folder)
        try:
            os.link(source, entry)
        except OSError:
            return False
        os.unlink(entry)
        return True

    def _move_aside(self, key: str, aside: str | None) -> None:
        """Move what is not ours to a new name, or refuse; members of a folder are moved to a new folder next to it."""
        target = f"{self.store.root_url}/{key}"
        if aside is None:
            raise ViewConflictError(f"'{target}' holds something that is not saved: save it, or move it away")
        number = 1
        while os.path.lexists(kept := f"{self.store.root_url}/{aside}.edited-{number}{key.removeprefix(aside)}"):
            number += 1
        self._make_parents(kept.removeprefix(f"{self.store.root_url}/"), set())
        os.rename(target, kept)
        messages.warning(f"'{target}' was changed since it was saved; what it held is now '{kept}'")

    def _make_parents(self, key: str, made: set[str]) -> None:
        """Make the folders of a key, none of which may be a symbolic link: it could lead out of the root."""
        folder = key.rpartition("/")[0]
        if folder in made:
            return
        parts = folder.split("/") if folder else []
        path = self.store.root_url
        root = None
        for part in parts:
            path = f"{path}/{part}"
            found = lstat(path)
            if found is None:
                root = root or self._objects.root_stat
                filesystem.make_folder(path, root)
            elif not stat.S_ISDIR(found.st_mode):
                raise ViewConflictError(f"'{path}' is not a folder, so that '{key}' cannot be shown: move it away")
        made.add(folder)

    def _hide_file(self, path: str, digests: set[str], name: ObjectName) -> bool:
        found = lstat(path)
        if found is None:
            return True
        if not stat.S_ISREG(found.st_mode) or self._inspector.digest(path, found, name) not in digests:
            return False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        return True

    def _hide_folder(self, key: str, name: ObjectName) -> bool:
        path = f"{self.store.root_url}/{key}"
        for member in self._inspector.members(name).values():
            target = f"{path}/{member.path}"
            if self._inspector.bad_parent(f"{key}/{member.path}") is None:
                self._hide_file(target, {member.digest}, member.name)
                self._remove_empty(os.path.dirname(target))
        if os.path.isdir(path) and self._inspector.is_ours_or_empty(path, set()):
            _remove_empty_tree(path)
        return not os.path.lexists(path)

    def _remove_empty(self, folder: str) -> None:
        """Remove folders that are empty, upwards, and never the root."""
        while folder.startswith(f"{self.store.root_url}/"):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError:
                return
            folder = os.path.dirname(folder)

    def _remember(self, linked: list[ObjectName], copied: list[tuple[str, ObjectName]]) -> None:
        """Remember the stats of what was made, taken after linking, which changes the ctime."""
        self.store.remember(linked)
        entries = []
        for path, name in copied:
            with contextlib.suppress(OSError):
                found = FileStat.of(os.lstat(path))
                entries.append(Known(path, found, Content("", name.digest, found.size)))
        self.store.hash_cache.put_soon(entries)

    def _check_writable(self) -> None:
        if self.store.read_only:
            raise read_only(self.store.root_url)

    @contextlib.contextmanager
    def _translate_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except LaminError:
            raise
        except OSError as error:
            raise write_failed(f"'{key}'", self._root, error) from error


def _is_being_written(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return reflink.is_being_written(descriptor)
    finally:
        os.close(descriptor)


def _remove_empty_tree(path: str) -> None:
    """Remove a folder that holds only folders."""
    for folder, _, _ in os.walk(path, topdown=False):
        os.rmdir(folder)


def _missing(key: str, path: str) -> IntegrityError:
    return IntegrityError(f"object '{path}' of '{key}' is missing: save the file again, or restore a backup")
