"""What is wrong with stored bytes, and whom it concerns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from lamindb.core.context import Instance
from lamindb.core.hashing import digest_file
from lamindb.errors import LaminError
from lamindb.models import File, FolderMember, Run
from lamindb.records import stores
from lamindb.storage.base import Damage, FileStat, Member, ObjectName
from lamindb.storage.manifest import folder_content, suffix_of_member, walk
from lamindb.storage.os_errors import cause

_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is missing or not what was saved.

    Attributes:
        name: The object; for a file that stays where it is, what it should be.
        kind: "missing", "size" or "bytes".
        detail: One line for a person.
        needed_by: Keys or names, with ids, of the files and runs that need it; at most 20.
    """

    name: str
    kind: str
    detail: str
    needed_by: tuple[str, ...]

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> Finding:
        """Make a finding from the values that `dataclasses.asdict` gave."""
        return cls(values["name"], values["kind"], values["detail"], tuple(values["needed_by"]))

    def __str__(self) -> str:
        return self.detail + (f", needed by {', '.join(self.needed_by)}" if self.needed_by else "")


def shown(file: File) -> str:
    """Say which file is meant, to a person and to a program."""
    return f"{file.key or file.name} version {file.version} ({file.id})"


def users_of(instance: Instance, name: ObjectName) -> tuple[str, ...]:
    """Return what needs an object: files, folders that hold it, runs."""
    alias = instance.alias
    files = File.objects.using(alias).filter(storage_id=instance.storage_id)
    found = [shown(file) for file in files.filter(digest=name.digest, suffix=name.suffix)[:_MOST_SHOWN]]
    members = FolderMember.objects.using(alias).filter(digest=name.digest, suffix=name.suffix)
    folders = files.filter(is_folder=True, digest__in=members.values("folder_digest"))
    found += [shown(file) for file in folders[:_MOST_SHOWN]]
    for field in Run.OBJECT_FIELDS:
        runs = Run.objects.using(alias).filter(**{field: name.digest + name.suffix})
        found += [f"run {run_id} ({field.removesuffix('_digest')})" for run_id in runs.values_list("id", flat=True)[:3]]
    return tuple(found[:_MOST_SHOWN])


def check_in_place(instance: Instance, file: File | None, *, quick: bool) -> Damage | None:
    """Compare a file that stays where it is with its record; None if all is right. Called by threads."""
    assert file is not None
    name = ObjectName(file.digest, file.suffix)
    root = stores.storage_row(instance.alias, file.storage_id).root
    where = f"{root.rstrip('/')}/{file.key}"
    try:
        if "://" in root:
            return _check_remote(instance, root, file, name, where)
        if not os.path.exists(where):
            return Damage(name, "missing", f"'{where}' is missing")
        if os.path.isdir(where):
            digest = _digest_of_folder(where)
        else:
            found = FileStat.of(os.stat(where))
            if found.size != file.size:
                return Damage(name, "size", f"'{where}' has {found.size:,} bytes instead of {file.size:,}")
            known = stores.hash_cache().digest(where, found) if quick else None
            digest = known or digest_file(where)
    except OSError as error:
        text = str(error) if isinstance(error, LaminError) else cause(error)
        return Damage(name, "bytes", f"'{where}' cannot be read: {text}")
    except LaminError as error:
        return Damage(name, "bytes", str(error))
    if digest != file.digest:
        return Damage(name, "bytes", f"'{where}' was changed since it was registered")
    return None


def _digest_of_folder(path: str) -> str:
    members = [
        Member(relative, digest_file(real), suffix_of_member(relative), os.stat(real).st_size)
        for relative, real in walk(path)
    ]
    return folder_content(tuple(members)).digest


def _check_remote(instance: Instance, root: str, file: File, name: ObjectName, where: str) -> Damage | None:
    store: Any = stores.open_root(root, instance)
    try:
        size, content = store.hash_key(str(file.key))
    except LookupError:
        return Damage(name, "missing", f"'{where}' is missing")
    if size != file.size:
        return Damage(name, "size", f"'{where}' has {size:,} bytes instead of {file.size:,}")
    return None if content.digest == file.digest else Damage(name, "bytes", f"'{where}' was changed")
