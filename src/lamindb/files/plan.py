"""What a save becomes: a new record, a new version, or a record that exists already.

It is decided inside the row's transaction, where nothing that was read can change any more. There the objects that rows
are about to name are claimed, too: garbage collection does not take them, and their storage has not moved.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Q

from lamindb.core import ids
from lamindb.core.hashing import Content
from lamindb.core.keys import basename
from lamindb.core.settings import settings
from lamindb.db import database
from lamindb.errors import ConflictError, HashExistsError, KeyExistsError, LaminError
from lamindb.files import versions
from lamindb.files.source import Pending
from lamindb.instance import config as folders
from lamindb.models import File, RunOutput, rows
from lamindb.models.base import now
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName, ObjectStore


class Raced(ConflictError):
    """Another process wrote the same key at the same time."""


class Plan(NamedTuple):
    """A file to be saved, whose bytes are stored.

    Attributes:
        file: The user's record.
        pending: What is waiting to be saved; it knows its content.
        saved_at: When it is saved: each file of a save is a microsecond later than the one before.
    """

    file: File
    pending: Pending
    saved_at: datetime.datetime

    @property
    def content(self) -> Content:
        """What the bytes are."""
        assert self.pending.content is not None
        return self.pending.content

    @property
    def has_own_name(self) -> bool:
        """Whether the name is not just what the key says."""
        pending = self.pending
        return pending.has_own_name or (
            pending.stem_id is None and pending.key is not None and self.file.name != basename(pending.key)
        )

    def new_row(self, alias: str, row_id: str) -> File:
        """Make the record that is inserted for this file, as its current version.

        As long as the file waits to be saved, every call makes an equal one.
        """
        file, pending, content = self.file, self.pending, self.content
        values = {
            "id": row_id,
            "name": basename(pending.key) if pending.key is not None and not self.has_own_name else file.name,
            "key": pending.key,
            "suffix": file.suffix if pending.is_in_place else pending.source.suffix,
            "description": file.description,
            "size": content.size,
            "hash": content.hash,
            "digest": content.digest,
            "is_folder": pending.is_folder,
            "n_files": pending.n_files,
            "version": ids.version_of(row_id),
            "is_latest": True,
            "trashed_at": None,
            "trashed_by_id": None,
            "storage_id": pending.storage_id,
            "transform_id": file.run.transform_id if file.run_id is not None and file.run is not None else None,
            "run_id": file.run_id,
            "created_at": self.saved_at,
            "updated_at": self.saved_at,
            "created_by_id": file.created_by_id,
        }
        return File.from_columns(values, alias, is_new=True)


@dataclass(slots=True)
class Outcome:
    """What becomes of a plan.

    Attributes:
        plan: The plan.
        row: The record to be inserted, or the existing one that the file becomes.
        is_new: The row is to be inserted.
        replaces: The version that was current until now.
        output: The edge to the run that produced it.
        renames: Stem, key and name of a family of versions that moves to another key.
    """

    plan: Plan
    row: File
    is_new: bool
    replaces: File | None = None
    output: RunOutput | None = None
    renames: tuple[str, str | None, str] | None = None


def is_any_current(instance: Instance, files: Iterable[File]) -> bool:
    """Return True if there is a current record under the key of one of these files."""
    keys = [file.pending.key for file in files if file.pending.key is not None]
    return any(
        rows.values(
            instance.alias,
            "SELECT 1 FROM lamindb_file WHERE storage_id = %s AND is_latest AND trashed_at IS NULL "
            f"AND key IN ({rows.marks(chunk)}) LIMIT 1",
            [instance.storage_id, *chunk],
        )
        for chunk in database.chunks(keys)
    )


def lock(connection: Any, files: Iterable[File], renamed: Iterable[tuple[File, Iterable[str]]] = ()) -> None:
    """Make writers of the same keys, versions, or keyless bytes wait for each other; see `database.take`.

    A folder waits for all writers: any of them may write a key in it.

    Args:
        connection: The database.
        files: New files.
        renamed: Saved files, each with the keys that it leaves.
    """
    names: set[str] = set()
    for file, keys in renamed:
        if file.is_folder:
            database.take_all(connection)
            return
        names.update(database.of_file(file.stem_id, file.storage_id, [file.key, *keys]))
    for file in files:
        if file.pending.is_folder:
            database.take_all(connection)
            return
        names.update(_lock_names(file.pending))
        if len(names) > database.MANY:
            break
    database.take(connection, names)


def lock_saved(connection: Any, files: Iterable[File]) -> None:
    """Do for saved files what `lock` does for new ones."""
    names: list[str] = []
    for file in files:
        if file.is_folder:
            database.take_all(connection)
            return
        names += database.of_file(file.stem_id, file.storage_id, [file.key])
    database.take(connection, names)


def _lock_names(pending: Pending) -> list[str]:
    if pending.stem_id is not None:
        return database.of_file(pending.stem_id, pending.storage_id, [pending.key])
    if pending.key is not None:
        return [database.of_key(pending.storage_id, pending.key)]
    assert pending.content is not None
    return [f"bytes {pending.content.digest}"]


def objects_of(files: Iterable[File]) -> Iterator[ObjectName]:
    """Yield the objects of the own storage that the rows of these files will name, those of folders' members too."""
    for file in files:
        pending: Pending = file.pending
        assert pending.content is not None
        if not pending.is_in_place:
            yield ObjectName(pending.content.digest, pending.source.suffix)
            for member in pending.members:
                yield member.name


def decide(alias: str, plans: Sequence[Plan]) -> list[Outcome]:
    """Decide what each file becomes, in the order given, as if each were saved by itself; nothing is written.

    Plans may come in parts, each after the outcomes of the one before were written. One that moves its versions to
    another key has to come alone: it changes what those before it became.

    Raises:
        KeyExistsError, HashExistsError: The settings forbid it.
    """
    known = _Known(alias, plans)
    return [_decide_one(plan, known) for plan in plans]


class _Known:
    """What the database holds that these plans could meet, kept up to date as they are decided."""

    def __init__(self, alias: str, plans: Sequence[Plan]) -> None:
        self.alias = alias
        self._rows: dict[str, File] = {}
        self.current: dict[tuple[str, str], File] = {}
        self.by_digest: dict[tuple[str, str, bool], list[File]] = {}
        self.families: dict[str, tuple[File | None, int]] = {}
        self._highest: dict[str, int] = {}
        self._producers: dict[tuple[str, str, str], tuple[str, str | None]] = {}
        keys = {plan.pending.key for plan in plans if plan.pending.key is not None}
        for chunk in database.chunks(sorted(keys)):
            condition = f"is_latest AND trashed_at IS NULL AND key IN ({rows.marks(chunk)})"
            for row in rows.rows(File, alias, condition, chunk):
                self.current[row.storage_id, str(row.key)] = self._one(row)
        self.policy = settings.upon_file_create_if_hash_exists
        digests = {plan.content.digest for plan in plans if plan.pending.key is None or self.policy == "error"}
        for chunk in database.chunks(sorted(digests)):
            same = File.objects.using(alias).filter(trashed_at__isnull=True, digest__in=chunk)
            for row in same.order_by("created_at", "id"):
                self.by_digest.setdefault((row.digest, row.suffix, row.is_folder), []).append(self._one(row))

        there = {key for _, key in self.current}
        unknown = [plan for plan in plans if plan.file.run_id is None and plan.pending.key in there]
        for chunk in database.chunks(unknown):
            marks = rows.marks(chunk)
            found = rows.values(
                alias,
                "SELECT storage_id, key, digest, run_id, transform_id FROM lamindb_file WHERE trashed_at IS NULL "
                f"AND run_id IS NOT NULL AND key IN ({marks}) AND digest IN ({marks}) ORDER BY version",
                [*(plan.pending.key for plan in chunk), *(plan.content.digest for plan in chunk)],
            )
            for storage_id, key, digest, *producer in found:
                self._producers[storage_id, key, digest] = (producer[0], producer[1])

    def producer(self, plan: Plan) -> tuple[str, str | None] | None:
        """Return run and transform that made these bytes for an earlier version of the key, None if none is known."""
        pending = plan.pending
        if plan.file.run_id is not None or pending.key is None:
            return None
        return self._producers.get((pending.storage_id, pending.key, plan.content.digest))

    def _one(self, row: File) -> File:
        """Return the one record that stands for a row here, however it was found: what becomes of it is seen by all."""
        return self._rows.setdefault(row.id, row)

    def family(self, stem: str) -> tuple[File | None, int]:
        """Return the current version of a family and the highest version number that it has had."""
        found = self.families.get(stem)
        if found is None:
            rows_ = list(File.objects.using(self.alias).filter(id__range=ids.version_range(stem)).order_by("version"))
            latest = next((row for row in reversed(rows_) if row.is_latest and row.trashed_at is None), None)
            given = versions.last_versions(self.alias, [stem]).get(stem, 0)
            latest = self._one(latest) if latest is not None else None
            found = (latest, max(given, rows_[-1].version if rows_ else 0))
        return found

    def highest(self, stem: str) -> int:
        """Return the highest version number that a family has had; those of all keys are asked for at once."""
        if stem in self.families:
            return self.families[stem][1]
        if not self._highest:
            for chunk in database.chunks(sorted({key for _, key in self.current})):
                start = f"substr(id, 1, {ids.STEM_LENGTH})"
                statement = f"SELECT {start}, max(version) FROM lamindb_file WHERE key IN ({rows.marks(chunk)})"
                self._highest.update(rows.values(self.alias, f"{statement} GROUP BY {start}", chunk))
            stems = {row.stem_id for row in self.current.values()}
            for one, given in versions.last_versions(self.alias, stems).items():
                self._highest[one] = max(given, self._highest.get(one, 0))
        return self._highest.get(stem) or self.family(stem)[1]

    def add(self, row: File) -> None:
        """Take in a row that is about to be inserted."""
        if row.key is not None:
            self.current[row.storage_id, row.key] = row
        self.by_digest.setdefault((row.digest, row.suffix, row.is_folder), []).append(row)
        self.families[row.stem_id] = (row, row.version)


def _decide_one(plan: Plan, known: _Known) -> Outcome:
    policy = known.policy
    content, pending = plan.content, plan.pending
    same = known.by_digest.get((content.digest, plan.file.suffix, pending.is_folder), [])
    if pending.is_brought_back:
        same = [row for row in same if row.stem_id != pending.stem_id]
    if policy == "error" and same:
        raise HashExistsError(f"these bytes are stored already, as {same[-1]!r}; the settings ask for an error")
    if pending.stem_id is not None:
        return _continue_family(plan, known, pending.stem_id)
    if pending.key is not None:
        current = known.current.get((pending.storage_id, pending.key))
        if current is None:
            return _new(plan, known, None)
        if current.digest == content.digest and current.is_folder == pending.is_folder:
            if policy != "warn_create_new":
                return _existing(plan, current)
        elif settings.if_key_exists == "error":
            raise KeyExistsError(
                f"the key {pending.key!r} holds other bytes, as {current!r}: choose another key, use replace(), "
                "or set ln.settings.if_key_exists = 'new_version'"
            )
        return _new(plan, known, current)
    if policy == "warn_create_new" or not same:
        return _new(plan, known, None)
    keyless = [row for row in same if row.key is None]
    current_ones = [row for row in same if row.is_latest]
    candidates = keyless or current_ones
    return _existing(plan, candidates[-1]) if candidates else _new(plan, known, None)


def _existing(plan: Plan, row: File) -> Outcome:
    return Outcome(plan, row, is_new=False, output=_output(row, plan.file.run_id) if plan.file.run_id else None)


def _new(
    plan: Plan, known: _Known, current: File | None, renames: tuple[str, str | None, str] | None = None
) -> Outcome:
    if current is not None:
        # It may be a row of this very save, which then has to be inserted as the older version that it is.
        current.is_latest = False
        new_id = ids.file_id(current.stem_id, known.highest(current.stem_id) + 1)
    else:
        new_id = plan.file.id if not plan.file.is_saved else ids.file_id()
    row = plan.new_row(known.alias, new_id)
    producer = known.producer(plan) if current is not None else None
    if producer is not None:
        # Bytes that are brought back come from where they came from.
        row.run_id, row.transform_id = producer
    known.add(row)
    return Outcome(plan, row, True, current, _output(row), renames)


def _continue_family(plan: Plan, known: _Known, stem: str) -> Outcome:
    """Add a version to a family by `replace()`; its key may take another suffix on the way."""
    current, _ = known.family(stem)
    if current is None:
        raise ConflictError(
            f"cannot replace {plan.file.id}, which has no current version: its versions are in the trash, or another "
            "file has its key; restore it, or give it another key, first"
        )
    if current.key == plan.pending.key:
        if current.digest == plan.content.digest:
            return _existing(plan, current)
        return _new(plan, known, current)
    key = plan.pending.key
    taken = known.current.get((plan.pending.storage_id, key)) if key is not None else None
    if taken is not None and taken.stem_id != stem:
        raise KeyExistsError(f"the replaced file would be {key!r}, which is {taken!r}: rename one of them first")
    name = plan.file.name if key is None or plan.has_own_name else basename(key)
    return _new(plan, known, current, (stem, key, name))


def _output(row: File, run_id: str | None = None) -> RunOutput | None:
    run_id = run_id or row.run_id
    if run_id is None:
        return None
    values = {"run_id": run_id, "file_id": row.id, "seen_by": "call", "created_at": now()}
    return RunOutput.from_columns(values, row.alias, is_new=True)


class Swept(Exception):
    """An object that a row needs was removed by garbage collection meanwhile."""


def claim(connection: Any, instance: Instance, names: Iterable[ObjectName]) -> None:
    """Inside a transaction that holds a lock of writers: take objects out of garbage collection.

    Raises:
        Swept: One is gone already: roll back, store it again, and write again.
        ConflictError: The storage has moved since this process opened the instance: the objects lie in the old one.
    """
    _check_storage(connection, instance)
    if connection.fetch("SELECT 1 FROM lamindb_sweepmark LIMIT 1"):
        _clear_marks(connection, _marked(connection, names), instance.store)


def _check_storage(connection: Any, instance: Instance) -> None:
    """Refuse to name objects in a storage that the instance has left.

    With SQLite the whole instance leaves, so that nothing can be written any more. A folder may be called otherwise on
    each machine that shares it; but who leaves it takes away what describes the instance there.
    """
    if connection.vendor == "sqlite":
        return
    found = connection.fetch("SELECT location FROM lamindb_storage WHERE id = %s", [instance.storage_id])
    location = found[0][0] if found else instance.root_url
    if location == instance.root_url or (instance.is_local and "://" not in location and _is_described(instance)):
        return
    raise ConflictError(
        f"the storage of the instance {instance.name!r} has moved to {location}: nothing was saved; connect it anew, "
        "and save again"
    )


def _is_described(instance: Instance) -> bool:
    try:
        there = folders.read(instance.home_path)
    except LaminError:
        return False
    return (there.id, there.storage) == (instance.id, ".")


def _marked(connection: Any, names: Iterable[ObjectName]) -> dict[str, set[ObjectName]]:
    """Return those of these objects whose digest is marked. No mark is added while writers hold their lock."""
    found: dict[str, set[ObjectName]] = {}
    for chunk in database.chunks(names):
        statement = f"SELECT digest FROM lamindb_sweepmark WHERE digest IN ({rows.marks(chunk)})"
        marked = {digest for (digest,) in connection.fetch(statement, [name.digest for name in chunk])}
        for name in chunk:
            if name.digest in marked:
                found.setdefault(name.digest, set()).add(name)
    return found


def _clear_marks(connection: Any, marked: dict[str, set[ObjectName]], store: ObjectStore) -> None:
    """Remove marks, in the order of their digests, so that two writers never wait for each other in a circle."""
    ending = " FOR UPDATE" if connection.vendor == "postgresql" else ""
    for digest in sorted(marked):
        if not connection.fetch(f"SELECT 1 FROM lamindb_sweepmark WHERE digest = %s{ending}", [digest]):
            continue
        for name in marked[digest]:
            if not store.exists(name):
                raise Swept(digest)
        connection.run("DELETE FROM lamindb_sweepmark WHERE digest = %s", [digest])


def check_keys(instance: Instance, wanted: Iterable[tuple[str, bool]], *, leaving: Collection[str] = ()) -> None:
    """Refuse keys of the own storage that lie in a current folder file, or contain current keys.

    Args:
        instance: The instance.
        wanted: The keys that files are about to have, each with whether it is a folder.
        leaving: Keys that these files have now, and leave.

    Raises:
        KeyExistsError: There is one. Nothing was written.
    """
    folders: list[str] = []
    above: dict[str, str] = {}
    for key, is_folder in wanted:
        if is_folder:
            folders.append(key)
        for folder in _above(key):
            above.setdefault(folder, key)
    for folder in folders:
        if folder in above:
            raise KeyExistsError(f"cannot save both {folder!r} as one folder and {above[folder]!r}, which lies in it")
    for chunk in database.chunks(above.keys() - set(leaving)):
        taken = _a_folder(instance, chunk)
        if taken is not None:
            raise KeyExistsError(
                f"{above[taken]!r} lies in the folder {taken!r}, which is stored as one: "
                "save that folder again with what is new in it, or choose another key"
            )
    for folder in folders:
        inside = _current(instance).filter(Q(key__startswith=f"{folder}/")).exclude(key__in=leaving)
        found = inside.order_by("key").values_list("key", flat=True).first()
        if found is not None:
            raise KeyExistsError(
                f"{folder!r} cannot be stored as one folder: {found!r} lies in it and is a file of its own; "
                "choose another key, or move that one to the trash first"
            )


def check_promoted(instance: Instance, promoted: Collection[str]) -> None:
    """Inside a transaction: refuse versions that became current by a change of others, as `check_keys` does.

    Args:
        instance: The instance.
        promoted: The ids of the versions.

    Raises:
        KeyExistsError: As for `check_keys`; the transaction has to be rolled back.
    """
    for chunk in database.chunks(promoted):
        check_keys(instance, _current(instance).filter(id__in=chunk).order_by().values_list("key", "is_folder"))


def overlapping(instance: Instance) -> list[str]:
    """Return the current keys of the own storage that lie in a folder which is stored as one, sorted."""
    found: set[str] = set()
    for folder in _current(instance).filter(is_folder=True).order_by().values_list("key", flat=True).iterator():
        inside = _current(instance).filter(Q(key__startswith=f"{folder}/"))
        found.update(inside.order_by().values_list("key", flat=True))
    return sorted(found)


def _current(instance: Instance) -> Any:
    query = File.objects.using(instance.alias)
    return query.filter(storage_id=instance.storage_id, key__isnull=False, is_latest=True, trashed_at__isnull=True)


def _a_folder(instance: Instance, keys: Sequence[str]) -> str | None:
    """Return the key of a current folder that is among these, None if none is."""
    found = rows.values(
        instance.alias,
        f"SELECT key FROM lamindb_file WHERE storage_id = %s AND key IN ({rows.marks(keys)}) AND is_latest "
        "AND trashed_at IS NULL AND is_folder LIMIT 1",
        [instance.storage_id, *keys],
    )
    return str(found[0][0]) if found else None


def _above(key: str) -> list[str]:
    parts = key.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
