"""What is wrong with stored bytes, and whom it concerns."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from lamindb.core import filesystem
from lamindb.core.hashing import digest_file
from lamindb.core.keys import GITIGNORE, HIDDEN_FOLDER, check_key
from lamindb.db import database
from lamindb.errors import DatabaseError, LaminError, SourceNotFoundError
from lamindb.files.view_sync import is_own_gitignore
from lamindb.maintenance import reachable
from lamindb.models import File, FolderMember, ImportedModule, Run, Storage
from lamindb.records.open_instance import Instance
from lamindb.storage.base import Damage, FileStat, Member, ObjectName
from lamindb.storage.local import LocalStore
from lamindb.storage.manifest import folder_content, suffix_of_member, walk
from lamindb.storage.os_errors import cause

_MOST_SHOWN = 20
_MOST_LINES = 100
MANY_LOST: Final = 10
"""So many objects that are shown but not recorded are a damaged database; fewer may be one save that was killed."""


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


def of_database(instance: Instance) -> list[str]:
    """Return what is wrong with the database itself, one line each: its file, references, and impossible rows.

    SQLite is asked about its file and its foreign keys, PostgreSQL about its foreign keys and indexes; at most 100
    lines of each kind.
    """
    found: list[str] = []
    for check in (_sqlite_problems if instance.dialect == "sqlite" else _postgres_problems, _impossible_rows):
        try:
            found += check(instance)
        except DatabaseError as error:
            found.append(f"it cannot be read as a whole: {error}")
    return found


def _sqlite_problems(instance: Instance) -> list[str]:
    with database.connection(instance.alias).cursor() as cursor:
        cursor.execute("PRAGMA integrity_check(100)")
        found = [line for (text,) in cursor.fetchall() if text != "ok" for line in str(text).splitlines()]
        cursor.execute("PRAGMA foreign_key_check")
        for table, row, parent, _ in islice(cursor.fetchall(), _MOST_LINES):
            found.append(f"row {row} of {table} refers to a row of {parent} that is not there")
    return found


def _postgres_problems(instance: Instance) -> list[str]:
    found: list[str] = []
    with database.connection(instance.alias).cursor() as cursor:
        cursor.execute(
            "SELECT c.conrelid::regclass::text, a.attname, c.confrelid::regclass::text, b.attname FROM pg_constraint c "
            "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
            "JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1] "
            "WHERE c.contype = 'f' AND c.conrelid::regclass::text LIKE %s ORDER BY 1, 2",
            [r"lamindb\_%"],
        )
        for table, column, parent, target in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM {table} t LEFT JOIN {parent} p ON p."{target}" = t."{column}" '
                f'WHERE t."{column}" IS NOT NULL AND p."{target}" IS NULL'
            )
            (count,) = cursor.fetchone()
            if count:
                found.append(f"{count:,} rows of {table} refer by {column} to rows of {parent} that are not there")
        cursor.execute(
            "SELECT indexrelid::regclass::text FROM pg_index "
            "WHERE NOT indisvalid AND indrelid::regclass::text LIKE %s ORDER BY 1",
            [r"lamindb\_%"],
        )
        found += [f"the index {name} is not valid: REINDEX INDEX {name}" for (name,) in cursor.fetchall()]
    return found


def _impossible_rows(instance: Instance) -> list[str]:
    """Return the rows that name no object, or a key that no file can have."""
    found: list[str] = []
    own = File.objects.using(instance.alias).filter(storage_id=instance.storage_id).order_by()
    for file_id, key, digest, suffix in own.values_list("id", "key", "digest", "suffix").iterator():
        if not _names_object(digest, suffix):
            found.append(f"file {file_id} ({_quoted(key)}) names no object: {_quoted(f'{digest}{suffix}')}")
        elif key is not None and not _is_key(key):
            found.append(f"file {file_id} has a key that no file can have: {_quoted(key)}")
    members = FolderMember.objects.using(instance.alias).order_by()
    for row, digest, suffix in members.values_list("id", "digest", "suffix").iterator():
        if not _names_object(digest, suffix):
            found.append(f"row {row} of lamindb_foldermember names no object: {_quoted(f'{digest}{suffix}')}")
    modules = ImportedModule.objects.using(instance.alias).order_by()
    for row, digest, suffix in modules.values_list("id", "digest", "suffix").iterator():
        if not _names_object(digest, suffix):
            found.append(f"row {row} of lamindb_importedmodule names no object: {_quoted(f'{digest}{suffix}')}")
    for field in Run.OBJECT_FIELDS:
        runs = Run.objects.using(instance.alias).filter(**{f"{field}__isnull": False}).order_by()
        for run_id, value in runs.values_list("id", field).iterator():
            if ObjectName.parse(str(value)) is None:
                found.append(f"run {run_id} names no object as its {field.removesuffix('_digest')}: {_quoted(value)}")
    return found[:_MOST_LINES]


def _names_object(digest: object, suffix: object) -> bool:
    return isinstance(digest, str) and len(digest) == 64 and ObjectName.parse(f"{digest}{suffix}") is not None


def _is_key(key: str) -> bool:
    try:
        return check_key(key) == key
    except LaminError:
        return False


def _quoted(value: object) -> str:
    return ascii(value)[:120]


def shown(file: File) -> str:
    """Return which file is meant, for a person and for a program."""
    return f"{file.key or file.name} version {file.version} ({file.id})"


def users_of(instance: Instance, name: ObjectName) -> tuple[str, ...]:
    """Return what needs an object: files, folders that hold it, runs."""
    alias = instance.alias
    files = File.objects.using(alias).filter(storage_id=instance.storage_id)
    found = [shown(file) for file in files.filter(digest=name.digest, suffix=name.suffix)[:_MOST_SHOWN]]
    members = FolderMember.objects.using(alias).filter(digest=name.digest, suffix=name.suffix)
    folders = files.filter(is_folder=True, digest__in=members.values("folder_digest"))
    found += [shown(file) for file in folders[:_MOST_SHOWN]]
    sets = ImportedModule.objects.using(alias).filter(digest=name.digest, suffix=name.suffix).order_by()
    importers = Run.objects.using(alias).filter(modules_digest__in=sets.values("set_digest"))
    found += [f"run {run_id} (module)" for run_id in importers.values_list("id", flat=True)[:3]]
    for field in Run.OBJECT_FIELDS:
        runs = Run.objects.using(alias).filter(**{field: name.digest + name.suffix})
        found += [f"run {run_id} ({field.removesuffix('_digest')})" for run_id in runs.values_list("id", flat=True)[:3]]
    return tuple(found[:_MOST_SHOWN])


def check_in_place(instance: Instance, file: File | None, *, quick: bool) -> Damage | None:
    """Compare a file that stays where it is with its record; None if all is right. Called by threads."""
    assert file is not None
    name = ObjectName(file.digest, file.suffix)
    root = instance.root_of(instance.storage(file.storage_id))
    where = f"{root.rstrip('/')}/{file.key}"
    try:
        if "://" in root:
            return _check_remote(instance, root, file, where, quick=quick)
        where = filesystem.path_of_key(root, str(file.key))
        if not os.path.exists(where):
            return Damage(name, "missing", f"'{where}' is missing")
        if os.path.isdir(where):
            digest = _digest_of_folder(where)
        else:
            found = FileStat.of(os.stat(where))
            if found.size != file.size:
                return Damage(name, "size", f"'{where}' has {found.size:,} bytes instead of {file.size:,}")
            known = instance.hash_cache.digest(where, found) if quick else None
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


def _check_remote(instance: Instance, root: str, file: File, where: str, *, quick: bool) -> Damage | None:
    from lamindb.storage import in_place

    name = ObjectName(file.digest, file.suffix)
    store = instance.remote_root(root)
    try:
        if file.is_folder:
            content = folder_content(in_place.members_of(store, str(file.key), trusted=quick))
        else:
            content = in_place.content_of_key(store, str(file.key), trusted=quick)
    except SourceNotFoundError as error:
        return Damage(name, "missing", str(error))
    if content.size != file.size:
        return Damage(name, "size", f"'{where}' has {content.size:,} bytes instead of {file.size:,}")
    return None if content.digest == file.digest else Damage(name, "bytes", f"'{where}' was changed")


def edited(instance: Instance, prefix: str | None) -> list[str]:
    """Return keys whose file in the view is neither missing nor what was saved, sorted."""
    query = _current(reachable.files(instance, prefix), instance.storage_id)
    return sorted(instance.view.changed(query.values_list("key", "digest", "suffix", "is_folder").iterator()))


def untracked(instance: Instance, prefix: str | None) -> list[str]:
    """Return the files in the storage folder that no current file accounts for, as keys, sorted.

    A folder that is stored as one accounts for all that lies in it, and what is registered in a further
    storage for itself, where that storage lies in this folder.
    """
    if not instance.is_local:
        return []
    places = list(_places(instance))
    folders = set(_folders(instance, places, prefix))
    if prefix is not None and not folders.isdisjoint(_with_those_above(prefix)):
        return []
    root = instance.root_url
    start = root if prefix is None else f"{root}/{prefix}"
    found: list[str] = []
    for chunk in database.chunks(_walk(root, start, folders)):
        known = _recorded(instance, places, chunk)
        found += (relative for relative in chunk if relative not in known)
    return sorted(relative for relative in found if not (relative == GITIGNORE and is_own_gitignore(root)))


def describe_lost(count: int) -> str:
    """Return what to tell a user of objects that `shown_orphans` found."""
    return (
        f"{count:,} stored objects are shown in the folder but not recorded: the database is older than the folder, or "
        "a save was cut short; bring back a newer database, or save these files again"
    )


def shown_orphans(instance: Instance, orphans: Iterable[ObjectName]) -> list[ObjectName]:
    """Return those of these unneeded objects that the folder still shows under a key.

    Whatever removes a row takes its file out of the view first, so the database lost the rows of these. Files that
    merely equal such an object count only where there are many of them: a user may have copied a few back.
    """
    store = instance.store
    by_digest = {name.digest: name for name in orphans}
    if not by_digest or not isinstance(store, LocalStore) or instance.view.mode == "none":
        return []
    by_inode: dict[tuple[int, int], ObjectName] = {}
    sizes: set[int] = set()
    for name in by_digest.values():
        with contextlib.suppress(OSError):
            found = os.lstat(store.object_path(name))
            by_inode[found.st_dev, found.st_ino] = name
            sizes.add(found.st_size)
    linked: set[ObjectName] = set()
    equal: set[ObjectName] = set()
    for relative in _walk(instance.root_url, instance.root_url, ()):
        path = f"{instance.root_url}/{relative}"
        with contextlib.suppress(OSError):
            found = os.lstat(path)
            if not stat.S_ISREG(found.st_mode):
                continue
            name_of_link = by_inode.get((found.st_dev, found.st_ino))
            if name_of_link is not None:
                linked.add(name_of_link)
            elif found.st_size in sizes:
                digest = instance.hash_cache.digest(path, FileStat.of(found)) or digest_file(path)
                if digest in by_digest:
                    equal.add(by_digest[digest])
    lost = linked | equal if len(equal) >= MANY_LOST else linked
    return sorted(lost, key=lambda name: name.path)


def _places(instance: Instance) -> Iterator[tuple[str, str]]:
    """Yield the instance's own storage and those that lie in its folder: where in it, with a slash, and the id."""
    yield "", instance.storage_id
    root = instance.root_url.rstrip("/")
    for storage in Storage.objects.using(instance.alias).exclude(id=instance.storage_id):
        if storage.root.startswith(f"{root}/"):
            yield f"{storage.root[len(root) + 1 :].rstrip('/')}/", storage.id


def _folders(instance: Instance, places: Sequence[tuple[str, str]], prefix: str | None) -> Iterator[str]:
    """Yield what is stored as one folder, below the root."""
    for base, storage_id in places:
        below = None if base else prefix
        query = _current(reachable.files(instance, below), storage_id).filter(is_folder=True)
        yield from (base + key for key in query.values_list("key", flat=True).iterator())
        if below is not None:
            above = _current(reachable.files(instance, None), storage_id).filter(key__in=_with_those_above(below))
            yield from above.filter(is_folder=True).values_list("key", flat=True)


def _recorded(instance: Instance, places: Sequence[tuple[str, str]], paths: Sequence[str]) -> set[str]:
    """Return those of some paths below the root that are the keys of files."""
    known: set[str] = set()
    for base, storage_id in places:
        keys = [path[len(base) :] for path in paths if path.startswith(base) and _is_text(path)]
        if keys:
            query = _current(reachable.files(instance, None), storage_id).filter(key__in=keys)
            known.update(base + key for key in query.values_list("key", flat=True))
    return known


def _is_text(path: str) -> bool:
    """Return True unless the bytes of a name are no UTF-8, as a file system allows; no database holds such a key."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


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
