"""The store of a local folder: objects under `.lamindb/objects/`, made durable by `local_writer.py`."""

from __future__ import annotations

import builtins
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from lamindb.core import filesystem
from lamindb.core.filesystem import fsync_folder
from lamindb.core.hashing import digest_file
from lamindb.core.progress import Progress
from lamindb.core.text import counted
from lamindb.errors import IntegrityError, LaminError
from lamindb.storage import manifest, temp_files
from lamindb.storage import staged as storage_staged
from lamindb.storage.base import BATCH, Damage, FileStat, ObjectName, Source, Stored
from lamindb.storage.hash_cache import HashCache, NoHashCache
from lamindb.storage.local_writer import Batch
from lamindb.storage.object_folder import SHARDS, ObjectFolder, refuse_links
from lamindb.storage.os_errors import cause, read_only, storage_failed

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
            return temp_files.list_abandoned(
                self.objects.temp_folder, older_than_seconds=older_than_seconds, foreign_seconds=foreign_seconds
            )

    def remove_abandoned(
        self, *, older_than_seconds: float, foreign_seconds: float | None = None
    ) -> builtins.list[str]:
        """Remove what no writer will complete; return the names of what was removed."""
        self._check_writable()
        with self._translate_errors("clean"):
            return temp_files.remove_abandoned(
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
