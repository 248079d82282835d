"""The store of a local folder: objects under `.lamindb/objects/`, written so that no name is ever without its bytes.

1. Each source is read once; what is hashed is written to a temporary file, from the same buffer.
2. The data is fsynced: file by file if there are few, the whole file system at once if there are many.
3. The files are renamed into `objects/`.
4. The folders of the names are fsynced, also where the object was there already: the process that renamed it may have
   died before its fsync.

A rename before its data is fsynced could survive a power cut as an empty file under the name of its content.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from lamindb.core import filesystem
from lamindb.core.filesystem import fsync_descriptor, fsync_folder, sync_file_system
from lamindb.core.hashing import CHUNK_SIZE, Content, digest_file
from lamindb.core.progress import Progress
from lamindb.core.text import counted
from lamindb.errors import IntegrityError, LaminError, SourceChangedError, StorageError
from lamindb.storage import manifest, object_folder, reflink, source_reader
from lamindb.storage import staged as storage_staged
from lamindb.storage.base import BATCH, Damage, FileStat, Member, ObjectName, Source, Stored
from lamindb.storage.hash_cache import HashCache, Known, NoHashCache
from lamindb.storage.object_folder import SHARDS, ObjectFolder, new_temp_path, refuse_links
from lamindb.storage.os_errors import cause, read_only, storage_failed, write_failed

FSYNC_EACH_UP_TO: Final = 8
"""Up to so many files are fsynced one by one: syncing the file system waits for the data of other processes, too."""

_NEW: Final = os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class Batch:
    """Sources that are stored together: `add` each, then `finish`, or `abandon` after an error.

    Args:
        objects: The folder.
        hash_cache: Remembers what was read.
        expected: How many files are to come; decides how they are fsynced.

    Raises:
        StorageError: The folder is not there.
    """

    def __init__(self, objects: ObjectFolder, hash_cache: HashCache, expected: int) -> None:
        self._objects = objects
        self._cache = hash_cache
        self._pending: dict[str, str] = {}
        self._shards: set[str] = set()
        self._good: set[str] = set()
        self._read: list[Known] = []
        self._taken: list[tuple[str, ObjectName, Content, int]] = []
        self._linked: dict[str, tuple[str, int]] = {}
        self._whole: int | None = None
        with self._writing("files"):
            self._shared = objects.is_shared
            objects.restore_temp_folder()
        self._expect(expected)

    def look_up(self, sources: Sequence[Source]) -> None:
        """Look up at once which of the expected objects are there and intact."""
        self._good.update(
            self._objects.known_good(
                ObjectName(source.content.digest, source.suffix) for source in sources if source.content is not None
            )
        )

    def add(self, source: Source) -> Stored:
        """Write one source to where `finish` will name it, if it is not there already.

        Raises:
            LaminError: As for `ObjectStore.put`. Nothing of this source is left.
        """
        if source.data is not None:
            content = source_reader.content_of(source.data, source)
            name = ObjectName(content.digest, source.suffix)
            return Stored(name, content, self._add_bytes(source, name, source.data))
        path = source.path or ""
        if source.content is not None and source_reader.is_unchanged_file(source):
            name = ObjectName(source.content.digest, source.suffix)
            if self._is_there(name, source.content.size):
                return Stored(name, source.content, reused=True)
        hashed_at_ns = time.time_ns()
        descriptor = source_reader.open_source(path)
        try:
            before = os.fstat(descriptor)
            if stat.S_ISREG(before.st_mode):
                return self._add_file(source, descriptor, before, hashed_at_ns)
        except SourceChangedError:
            self._cache.forget([path])
            raise
        finally:
            os.close(descriptor)
        if not stat.S_ISDIR(before.st_mode):
            raise source_reader.not_a_file(path)
        return self._add_folder(source)

    def finish(self) -> None:
        """Make everything that was added durable and visible.

        Raises:
            StorageError: Nothing that is visible is incomplete; call `abandon`, and add everything again.
        """
        with self._writing("files"):
            if self._whole is not None and self._pending:
                sync_file_system(self._whole)
            for target in list(self._pending):
                entry = self._pending[target]
                self._objects.move_in(entry, target)
                del self._pending[target]
                if self._linked.pop(entry, None):
                    # A rename between two links to one file does nothing, and leaves both names.
                    _drop(entry)
            if self._whole is not None and len(self._shards) > FSYNC_EACH_UP_TO:
                sync_file_system(self._whole)
            else:
                for shard in sorted(self._shards):
                    fsync_folder(shard)
        for path, name, content, hashed_at_ns in self._taken:
            with contextlib.suppress(OSError):
                self._read.append(Known(path, FileStat.of(os.stat(path)), content, hashed_at_ns))
                target = self._objects.path(name)
                self._read.append(Known(target, FileStat.of(os.stat(target)), Content("", name.digest, content.size)))
        self._cache.put_many(self._read)
        self._close()

    def abandon(self) -> None:
        """Remove the temporary files; objects that have their names already stay, which is harmless."""
        for entry in self._pending.values():
            _drop(entry)
        for path, mode in self._linked.values():
            with contextlib.suppress(OSError):
                os.chmod(path, mode)
        self._pending.clear()
        self._linked.clear()
        self._close()

    def _expect(self, files: int) -> None:
        """Open the descriptor on which the system reports failures; only those after this are reported."""
        if self._whole is None and files > FSYNC_EACH_UP_TO and self._objects.can_sync_whole:
            with self._writing("files"):
                self._whole = os.open(self._objects.folder, os.O_RDONLY)

    def _close(self) -> None:
        if self._whole is not None:
            os.close(self._whole)
            self._whole = None

    def _writing(self, what: str, *entries: str) -> _Writing:
        """Translate errors of the disk, and remove the temporary files when something fails."""
        return _Writing(what, self._objects.root, entries)

    def _is_there(self, name: ObjectName, size: int) -> bool:
        """Return True if the object is intact, or being written; its folder is fsynced at the end in any case."""
        target = self._objects.path(name)
        if target in self._pending:
            return True
        if target in self._good or self._objects.is_good(name, size):
            self._good.add(target)
            self._shards.add(target.rpartition("/")[0])
            return True
        return False

    def _add_file(self, source: Source, descriptor: int, before: os.stat_result, hashed_at_ns: int) -> Stored:
        source_reader.check_recorded(source, before)
        shares_blocks = False
        if source.take_over:
            with self._writing(source.shown):
                shares_blocks = self._objects.can_clone
        if before.st_size >= CHUNK_SIZE or shares_blocks:
            content, after, reused = self._add_large(source, descriptor, before)
            name = ObjectName(content.digest, source.suffix)
        else:
            data, content, after = source_reader.read_small(source, descriptor, before)
            name = ObjectName(content.digest, source.suffix)
            reused = self._is_there(name, content.size)
            if not reused and not (source.take_over and self._take_over(source, descriptor, before, name)):
                self._write(source, name, data)
        if source.take_over:
            self._taken.append((source.path or "", name, content, hashed_at_ns))
        else:
            self._read.append(Known(source.path or "", FileStat.of(after), content, hashed_at_ns))
        return Stored(name, content, reused)

    def _add_bytes(self, source: Source, name: ObjectName, data: bytes) -> bool:
        """Write bytes to a temporary file unless the object is there; return True if it was."""
        if self._is_there(name, len(data)):
            return True
        self._write(source, name, data)
        return False

    def _write(self, source: Source, name: ObjectName, data: bytes) -> None:
        entry = new_temp_path(self._objects.temp_folder)
        try:
            writing = os.open(entry, os.O_WRONLY | _NEW, 0o444)
            try:
                if data:
                    filesystem.write_all(writing, data)
                self._fsync(writing)
            finally:
                os.close(writing)
        except BaseException as error:
            _drop(entry)
            if isinstance(error, OSError):
                raise write_failed(source.shown, self._objects.root, error) from error
            raise
        self._name(entry, name)

    def _add_large(
        self, source: Source, descriptor: int, before: os.stat_result
    ) -> tuple[Content, os.stat_result, bool]:
        """Copy and hash a file in one read; or link to it, or share its blocks, and hash what is there."""
        if source.take_over and not self._objects.can_clone and before.st_nlink == 1:
            content, after = source_reader.read_large(source, descriptor, before)
            name = ObjectName(content.digest, source.suffix)
            if self._is_there(name, content.size):
                return content, after, True
            if self._take_over(source, descriptor, before, name):
                return content, after, False
            os.lseek(descriptor, 0, os.SEEK_SET)
        entry = new_temp_path(self._objects.temp_folder)
        with self._writing(source.shown, entry):
            writing = os.open(entry, os.O_RDWR | _NEW, 0o444)
            try:
                cloned = self._objects.can_clone and reflink.clone(descriptor, writing)
                content, after = source_reader.read_large(source, descriptor, before, writing=writing, cloned=cloned)
                name = ObjectName(content.digest, source.suffix)
                reused = self._is_there(name, content.size)
                if not reused:
                    self._fsync(writing)
            finally:
                os.close(writing)
        if reused:
            _drop(entry)
        else:
            self._name(entry, name)
        return content, after, reused

    def _take_over(self, source: Source, descriptor: int, hashed: os.stat_result, name: ObjectName) -> bool:
        """Make the file itself the object, by a second link to it; False where only a copy is safe or possible.

        A file that has other hard links, or is open for writing, is copied: a write could change the object.
        """
        path = source.path or ""
        if hashed.st_nlink != 1 or os.path.islink(path) or reflink.is_being_written(descriptor):
            return False
        entry = new_temp_path(self._objects.temp_folder)
        mode = stat.S_IMODE(hashed.st_mode)
        try:
            with self._writing(source.shown, entry):
                os.link(path, entry)
                source_reader.check_same(path, hashed, os.stat(entry, follow_symlinks=False))
                os.chmod(entry, filesystem.without_write_permissions(mode))
                self._linked[entry] = (path, mode)
                if self._whole is None:
                    fsync_descriptor(descriptor)
                # A process that had the file open may have written to it since it was hashed.
                source_reader.check_same(path, hashed, os.fstat(descriptor))
        except StorageError as error:
            if error.errno in reflink.NO_LINK:
                return False
            raise
        self._name(entry, name)
        return True

    def _add_folder(self, source: Source) -> Stored:
        """Store each file of a folder, then the manifest that lists them."""
        left_out: list[str] = []
        listed = manifest.walk(source.path or "", source.links, left_out=left_out)
        self._expect(len(listed) + 1)
        members = []
        all_reused = True
        for relative, path in listed:
            suffix = manifest.suffix_of_member(relative)
            stored = self.add(Source(suffix=suffix, path=path, take_over=source.take_over))
            all_reused = all_reused and stored.reused
            members.append(Member(relative, stored.name.digest, suffix, stored.content.size))
        found = tuple(members)
        data = manifest.write_manifest(found)
        content = manifest.content_of(data, found)
        if source.content is not None and source.content != content:
            raise source_reader.changed(source.path or "")
        name = ObjectName(content.digest, source.suffix)
        reused = self._add_bytes(source, name, data) and all_reused
        return Stored(name, content, reused, found, is_folder=True, n_files=len(found), left_out=tuple(left_out))

    def _fsync(self, descriptor: int) -> None:
        """Fsync a complete file, unless all are synced at the end, and let the group read it in a shared root."""
        if self._shared:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if not mode & stat.S_IRGRP:
                os.fchmod(descriptor, mode | stat.S_IRGRP)
        if self._whole is None:
            fsync_descriptor(descriptor)

    def _name(self, entry: str, name: ObjectName) -> None:
        target = self._objects.path(name)
        self._pending[target] = entry
        self._shards.add(target.rpartition("/")[0])


class _Writing:
    """A `with` block that writes; its errors are translated, and its temporary files removed after one."""

    __slots__ = ("_entries", "_root", "_what")

    def __init__(self, what: str, root: str, entries: Sequence[str]) -> None:
        self._what = what
        self._root = root
        self._entries = entries

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        for entry in self._entries:
            _drop(entry)
        if isinstance(error, OSError) and not isinstance(error, LaminError):
            raise write_failed(self._what, self._root, error) from error


def _drop(entry: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(entry)


_README: Final = """\
This folder holds the files of a lamindb instance. It can be read without lamindb:

objects/ab/abcd….csv   the bytes of a file, never changed. The name is their BLAKE3 digest and a suffix; `b3sum`
                       computes it. A folder that was saved as one is an object that lists its files, one a line,
                       with path, size, digest and suffix, after a first line that says "lamindb-folder".
db.sqlite3             what is known of each file: key, digest, suffix, size, the run that made it, and much more.
                       Table and column names speak for themselves; any SQLite program opens it.
incoming/              writes under way.
staged/                links to objects; may be deleted.

The files outside this folder are the current versions under their keys, as links or copies of objects.
"""


class LocalStore:
    """Objects in a folder on this machine. See `ObjectStore` for the promises of its methods.

    Args:
        root: The storage root, absolute.
        hash_cache: Remembers which objects and sources are as when they were last read.
        read_only: Refuse to write.
    """

    is_local: Final = True

    def __init__(self, root: str, *, hash_cache: HashCache | None = None, read_only: bool = False) -> None:
        self.root_url = os.path.abspath(root)
        self.read_only = read_only
        self.hash_cache = hash_cache if hash_cache is not None else NoHashCache()
        self.objects = ObjectFolder(self.root_url, self.hash_cache)

    def prepare(self) -> None:
        """Make the folders of objects and the README.

        Raises:
            InvalidInputError: `.lamindb` or a folder in it is a symbolic link, which could lead elsewhere.
            StorageError: They could not be made.
        """
        self._check_writable()
        hidden = f"{self.root_url}/.lamindb"
        with self._translate_errors("make"):
            os.makedirs(self.root_url, exist_ok=True)
            root = self.objects.root_stat
            refuse_links(self.root_url)
            for folder in (hidden, self.objects.folder, self.objects.temp_folder):
                filesystem.make_folder(folder, root)
            made = [filesystem.make_folder(f"{self.objects.folder}/{shard}", root) for shard in SHARDS]
            readme = Path(hidden, "README")
            if not readme.exists():
                filesystem.write_text(readme, _README)
            if any(made):
                for folder in (self.objects.folder, hidden, self.root_url):
                    fsync_folder(folder)
                with contextlib.suppress(PermissionError):
                    fsync_folder(os.path.dirname(self.root_url))

    def put(self, source: Source) -> Stored:
        """Store a source, all of it or none of it; durable when it returns."""
        return self.put_many([source])[0]

    def put_many(self, sources: Sequence[Source], *, progress: Progress | None = None) -> builtins.list[Stored]:
        """Store many sources, with two syncs for each 10,000 of them."""
        self._check_writable()
        stored: builtins.list[Stored] = []
        for start in range(0, len(sources), BATCH):
            part = sources[start : start + BATCH]
            batch = Batch(self.objects, self.hash_cache, len(part))
            try:
                batch.look_up(part)
                for source in part:
                    stored.append(batch.add(source))
                    if progress is not None:
                        progress(len(stored), len(sources))
                batch.finish()
            except BaseException:
                batch.abandon()
                raise
        return stored

    def exists(self, name: ObjectName) -> bool:
        """Return True if there is an object of this name."""
        return self.size(name) is not None

    def size(self, name: ObjectName) -> int | None:
        """Return the number of bytes that are stored, None if there is no such object."""
        with self._translate_errors("read"):
            try:
                return os.stat(self.objects.path(name)).st_size
            except FileNotFoundError:
                return None

    def open(self, name: ObjectName) -> BinaryIO:
        """Open an object for reading, unchecked."""
        with self._translate_errors("read"):
            try:
                return open(self.objects.path(name), "rb")
            except FileNotFoundError as error:
                raise self._missing(name) from error

    def read(self, name: ObjectName) -> bytes:
        """Return the bytes of an object, checked."""
        from blake3 import blake3

        with self.open(name) as stream, self._translate_errors("read"):
            data = stream.read()
        if blake3(data).hexdigest() != name.digest:
            raise IntegrityError(f"object '{self.objects.path(name)}' is damaged: save the right file again")
        return data

    def delete(self, name: ObjectName) -> bool:
        """Remove an object for good, with the links that were staged for it; False if there was none."""
        self._check_writable()
        with self._translate_errors("remove"):
            storage_staged.drop_staged(self.objects, name)
            try:
                os.unlink(self.objects.path(name))
            except FileNotFoundError:
                return False
        return True

    def list(self) -> Iterator[tuple[ObjectName, int]]:
        """Yield all objects with their sizes."""
        with self._translate_errors("list"):
            yield from self.objects.entries()

    def local_path(self, name: ObjectName, filename: str, *, is_folder: bool = False) -> Path:
        """Return a hard link to a checked object, made under `.lamindb/staged/` with this file name.

        In a root that cannot be written, a file is the object itself, whatever its name.
        """
        storage_staged.check_filename(filename)
        members = manifest.read_manifest(self, name) if is_folder else ()
        wanted = [(member.name, member.size) for member in members] if is_folder else [(name, None)]
        good = self.objects.known_good(wanted_name for wanted_name, _ in wanted)
        for wanted_name, size in wanted:
            if self.objects.path(wanted_name) not in good:
                damage = self.check(wanted_name, size)
                if damage is not None:
                    raise IntegrityError(f"{damage.detail}: save the right file again")
        if not is_folder and self.read_only:
            return Path(self.objects.path(name))
        self._check_writable()
        with self._translate_errors("link to"):
            if is_folder:
                staged = storage_staged.stage_folder(self.objects, name, filename, members)
            else:
                staged = storage_staged.stage_file(self.objects, name, filename)
        self.remember([wanted_name for wanted_name, _ in wanted])
        return staged

    def check(self, name: ObjectName, size: int | None, *, quick: bool = False) -> Damage | None:
        """Compare an object with its name; None if all is right."""
        path = self.objects.path(name)
        try:
            found = FileStat.of(os.stat(path, follow_symlinks=False))
            if size is not None and found.size != size:
                return Damage(name, "size", f"object '{path}' has {counted(found.size, 'byte')} instead of {size:,}")
            if quick and self.hash_cache.digest(path, found) == name.digest:
                return None
            digest = digest_file(path)
        except FileNotFoundError:
            return Damage(name, "missing", f"object '{path}' is missing")
        except OSError as error:
            return Damage(name, "bytes", f"object '{path}' cannot be read: {cause(error)}")
        if digest != name.digest:
            return Damage(name, "bytes", f"object '{path}' has other bytes than were saved")
        self.objects.remember([(name, found)])
        return None

    def remember(self, names: Sequence[ObjectName]) -> None:
        """Remember the stats of objects that are right, after a link to them changed their ctime."""
        known = []
        for name in names:
            with contextlib.suppress(OSError):
                known.append((name, FileStat.of(os.stat(self.objects.path(name), follow_symlinks=False))))
        self.objects.remember(known)

    def list_abandoned(self, *, older_than_seconds: float, foreign_seconds: float | None = None) -> builtins.list[str]:
        """Return the names in `incoming/` of what no writer will complete."""
        with self._translate_errors("read"):
            return object_folder.list_abandoned(
                self.objects.temp_folder, older_than_seconds=older_than_seconds, foreign_seconds=foreign_seconds
            )

    def remove_abandoned(
        self, *, older_than_seconds: float, foreign_seconds: float | None = None
    ) -> builtins.list[str]:
        """Remove what no writer will complete; return the names of what was removed."""
        self._check_writable()
        with self._translate_errors("clean"):
            return object_folder.remove_abandoned(
                self.objects.temp_folder, older_than_seconds=older_than_seconds, foreign_seconds=foreign_seconds
            )

    def changed_at(self, name: ObjectName) -> float | None:
        """Return when an object was last stored or linked, in seconds of the epoch; None if there is none."""
        with self._translate_errors("read"):
            try:
                found = os.lstat(self.objects.path(name))
            except FileNotFoundError:
                return None
        # A file that was taken over keeps its own, older mtime; a link to it changes the ctime.
        return max(found.st_mtime, found.st_ctime)

    def object_path(self, name: ObjectName) -> str:
        """Return the path of an object."""
        return self.objects.path(name)

    def upath(self, name: ObjectName, filename: str, *, is_folder: bool = False) -> Path:
        """Return the path of an object; for a manifest, that of a folder of links to its members."""
        if is_folder:
            return self.local_path(name, filename, is_folder=True)
        return Path(self.objects.path(name))

    def upath_of_key(self, key: str) -> Path:
        """Return the path of a key, of the root itself for an empty one."""
        return Path(self.root_url, key)

    def _missing(self, name: ObjectName) -> IntegrityError:
        path = self.objects.path(name)
        return IntegrityError(f"object '{path}' is missing: save the file again, or restore a backup")

    def _check_writable(self) -> None:
        if self.read_only:
            raise read_only(self.root_url)

    @contextlib.contextmanager
    def _translate_errors(self, doing: str) -> Iterator[None]:
        """Translate errors of the disk."""
        try:
            yield
        except OSError as error:
            if isinstance(error, LaminError):
                raise
            raise storage_failed(doing, str(error.filename or self.root_url), error) from error
