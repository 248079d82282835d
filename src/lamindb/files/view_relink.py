"""Giving back the space that a copied folder takes twice.

A tool that copies folders makes two files of a file with two names. Where a file of the view still has the bytes of
its object, it becomes a link to it again. Correctness never depends on it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from lamindb.core import context, filesystem, messages
from lamindb.core.progress import Progress
from lamindb.errors import InvalidInputError, LaminError, ReadOnlyError
from lamindb.files import view_sync
from lamindb.models import File
from lamindb.records.open_instance import Instance
from lamindb.storage import reflink
from lamindb.storage.base import ObjectName, Source
from lamindb.storage.local import LocalStore
from lamindb.storage.manifest import read_manifest
from lamindb.storage.object_folder import new_temp_path
from lamindb.storage.os_errors import storage_failed

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class RelinkReport:
    """What became of the view.

    Attributes:
        checked: How many files were looked at.
        relinked: How many became links to their objects again.
        n_bytes: Their size in bytes: what the disk gets back.
        healed: Names of damaged or missing objects that the view still had the right bytes of.
        edited: Keys whose file is not what was saved; they were left as they are.
    """

    checked: int
    relinked: int
    n_bytes: int
    healed: tuple[str, ...]
    edited: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.checked:,} files looked at, {self.relinked:,} linked again, {self.n_bytes:,} bytes given back"]
        lines += [f"healed: {name}" for name in self.healed]
        lines += [f"changed since it was saved, left as it is: {key}" for key in self.edited]
        return "\n".join(lines)


def relink(progress: Progress | None = None) -> RelinkReport:
    """Make the files of the view links to their objects again, and the view complete.

    A file is replaced only if it and its object have the bytes that were saved. An object that is damaged while its
    file in the view is right is healed from it. Objects that the copying left writable are read-only afterwards.

    Args:
        progress: Told how many files are done, and how many there are.

    Raises:
        InvalidInputError: The instance has no view of links.
        ReadOnlyError: It can only be read.
        StorageError: The disk failed; what is done is done, and calling again is safe.
    """
    instance = context.instance()
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read: nothing can be linked in it")
    view = instance.view
    if view.mode != "auto":
        raise InvalidInputError(f"{instance.root_url} shows its files as {view.mode!r}, without links: nothing to link")
    view_sync.rebuild_view(instance)
    work = _Work(instance)
    query = File.objects.using(instance.alias).filter(
        storage_id=instance.storage_id, key__isnull=False, is_latest=True, trashed_at__isnull=True
    )
    total = query.count()
    for done, file in enumerate(_in_pages(query), 1):
        try:
            work.look_at(file)
        except LaminError as error:
            messages.warning(f"{file.key!r} cannot be linked: {error}")
        except OSError as error:
            raise storage_failed("link", f"{instance.root_url}/{file.key}", error) from error
        if progress is not None:
            progress(done, total)
    _drop_copies(work.store)
    return RelinkReport(work.checked, work.relinked, work.n_bytes, tuple(work.healed), tuple(work.edited))


def _in_pages(query: Any) -> Iterator[File]:
    cursor = ""
    while page := list(query.filter(id__gt=cursor).order_by("id")[:_PAGE]):
        yield from page
        cursor = page[-1].id


class _Work:
    """One pass over the view."""

    def __init__(self, instance: Instance) -> None:
        store = instance.store
        assert isinstance(store, LocalStore)
        self.store = store
        self.view = instance.view
        self.root = instance.root_url
        self.checked = 0
        self.relinked = 0
        self.n_bytes = 0
        self.healed: list[str] = []
        self.edited: list[str] = []

    def look_at(self, file: File) -> None:
        """Link one file or folder again where it is right."""
        name, key = ObjectName(file.digest, file.suffix), str(file.key)
        if file.is_folder:
            members = [(f"{key}/{member.path}", member.name) for member in read_manifest(self.store, name)]
        else:
            members = [(key, name)]
        linked = []
        for member_key, member in members:
            self.checked += 1
            if self._link(member_key, member):
                linked.append(member)
        self.store.remember(linked)

    def _link(self, key: str, name: ObjectName) -> bool:
        target, source = f"{self.root}/{key}", self.store.object_path(name)
        found, found_object = _lstat(target), _lstat(source)
        if found is None:
            return False
        if found_object is not None and os.path.samestat(found, found_object):
            _protect(source, found_object)
            return False
        if self.view.state(key, name) != "ours":
            self.edited.append(key)
            return False
        if not stat.S_ISREG(found.st_mode):
            return False
        # Before its bytes are compared: no process opens it for writing after that.
        is_protected = found_object is None or _protect(source, found_object)
        if self.store.check(name, found.st_size, quick=True) is not None:
            self.store.put(Source(suffix=name.suffix, path=target))
            self.healed.append(name.digest + name.suffix)
        elif not is_protected:
            messages.warning(f"'{source}' can be written to, and is not linked: take the permission to write from it")
            return False
        entry = new_temp_path(self.store.objects.temp_folder)
        try:
            method = reflink.duplicate(source, entry, allow_clone=self.store.objects.can_clone)
            if method == "copy":
                return False
            os.replace(entry, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry)
        self.relinked += 1
        self.n_bytes += found.st_size
        return True


def _protect(path: str, found: os.stat_result) -> bool:
    """Make an object read-only, so that no link lets other users write it; False if that can't be done."""
    wanted = filesystem.without_write_permissions(found.st_mode)
    if wanted != stat.S_IMODE(found.st_mode):
        try:
            os.chmod(path, wanted)
        except OSError as error:
            messages.debug(f"the permissions of '{path}' cannot be changed: {error}")
            return False
    return True


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _drop_copies(store: LocalStore) -> None:
    """Remove what was staged and is no link to an object any more: it is made anew at its next use."""
    base = f"{store.root_url}/.lamindb/staged"
    for shard in _names(base):
        for digest in _names(f"{base}/{shard}"):
            folder = f"{base}/{shard}/{digest}"
            files = (_lstat(f"{inner}/{name}") for inner, _, names in os.walk(folder) for name in names)
            if any(found is not None and found.st_nlink == 1 for found in files):
                shutil.rmtree(folder, ignore_errors=True)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
