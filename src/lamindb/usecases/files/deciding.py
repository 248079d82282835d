"""What a save becomes: a new record, a new version, or a record that exists already.

Decided inside the row's transaction, where nothing that was read can change any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lamindb.core import ids, messages
from lamindb.core.errors import ConflictError, HashExistsError, KeyExistsError
from lamindb.core.keys import basename
from lamindb.core.settings import settings
from lamindb.instance import rows
from lamindb.models import File, RunOutput
from lamindb.models.base import now
from lamindb.storage.protocol import ObjectName, ObjectStore, Stored
from lamindb.usecases.files import families

_WRITERS: Final = "lamindb writers"
"""The lock that every writer of files shares, and garbage collection has for itself."""

_MANY: Final = 50


class Swept(Exception):
    """An object that a row needs was removed by garbage collection meanwhile."""


class Raced(ConflictError):
    """Another process wrote the same key at the same moment."""


@dataclass(slots=True)
class Plan:
    """A file to be saved, and its bytes as they are stored."""

    file: File
    stored: Stored
    storage_id: str
    key: str | None
    stem_id: str | None
    is_in_place: bool
    has_own_name: bool

    @classmethod
    def of(cls, file: File, stored: Stored) -> Plan:
        """Make a plan from a file that waits to be saved."""
        pending = file._source
        is_named = pending.has_own_name or (
            pending.stem_id is None and pending.key is not None and file.name != basename(pending.key)
        )
        return cls(file, stored, pending.storage_id, pending.key, pending.stem_id, pending.is_in_place, is_named)


@dataclass(slots=True)
class Outcome:
    """What becomes of a plan.

    Attributes:
        plan: The plan.
        row: The record to be inserted, or the existing one that the file becomes.
        is_new: The row is to be inserted.
        replaces: The version that was current until now.
        output: The link to the run that produced it.
        renames: Stem, key and name of a family of versions that moves to another key.
    """

    plan: Plan
    row: File
    is_new: bool
    replaces: File | None = None
    output: RunOutput | None = None
    renames: tuple[str, str | None, str] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def file(self) -> File:
        """The user's record."""
        return self.plan.file

    def apply(self) -> None:
        """Let the user's record become what was written."""
        description = self.file.description
        run = self.file._state.fields_cache.get("run")
        self.file.__dict__.pop("_source", None)
        if self.is_new:
            self.file._take_over(self.row)
            self.row = self.file
        else:
            self.file.adopt(self.row)
        if run is not None and run.id == self.row.run_id:
            self.file._state.fields_cache["run"] = run
        if not self.is_new and description and description != self.row.description:
            self.file.description = description
            self.file.save_row()

    def tell(self) -> None:
        """Say what was unexpected about it."""
        for note in self.notes:
            messages.warning(note)
        if self.is_new:
            messages.hint(f"stored {self.row.key or self.row.name!r} (version {self.row.version})")


def lock(link: Any, plans: Sequence[Plan]) -> None:
    """Make writers of the same keys, versions, or keyless bytes wait for each other; see `lock_names`."""
    lock_names(link, {name for plan in plans for name in _lock_names(plan)})


def lock_names(link: Any, names: Iterable[str]) -> None:
    """Make writers of the same things wait for each other until the end of this transaction.

    A writer of few locks those; a writer of many locks all. Garbage collection excludes both. Names are locked in one
    order, so that two writers never wait for each other in a circle. SQLite has one writer at a time anyway.
    """
    wanted = sorted(set(names))
    if len(wanted) > _MANY:
        lock_all(link)
        return
    lock_shared(link)
    if link.vendor == "postgresql":
        with link.cursor() as cursor:
            for name in wanted:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def lock_shared(link: Any) -> None:
    """Keep garbage collection out, beside other writers, until the end of this transaction."""
    if link.vendor == "postgresql":
        with link.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [_WRITERS])


def lock_all(link: Any) -> None:
    """Wait until no writer is in the midst of a transaction, and keep them all out until the end of this one."""
    if link.vendor == "postgresql":
        with link.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_WRITERS])


def file_locks(stem: str, storage_id: str, keys: Iterable[str | None]) -> list[str]:
    """Name the locks of a file's versions and of the keys that it has, leaves or takes."""
    return [f"versions {stem}", *(_key_lock(storage_id, key) for key in keys if key is not None)]


def _key_lock(storage_id: str, key: str) -> str:
    return f"key {storage_id} {key}"


def _lock_names(plan: Plan) -> list[str]:
    if plan.stem_id is not None:
        return file_locks(plan.stem_id, plan.storage_id, [plan.key])
    return [_key_lock(plan.storage_id, plan.key) if plan.key is not None else f"bytes {plan.stored.content.digest}"]


def clear_marks(link: Any, plans: Sequence[Plan], store: ObjectStore) -> None:
    """Take objects that this save needs out of garbage collection.

    Raises:
        Swept: One is gone already.
    """
    names = {plan.stored.name for plan in plans if not plan.is_in_place}
    names.update(member.name for plan in plans for member in plan.stored.members)
    clear_marks_of(link, names, store)


def clear_marks_of(link: Any, names: set[ObjectName], store: ObjectStore) -> None:
    """Take objects out of garbage collection.

    Raises:
        Swept: One is gone already.
    """
    with link.cursor() as cursor:
        cursor.execute("SELECT 1 FROM lamindb_sweepmark LIMIT 1")
        if cursor.fetchone() is None:
            return
        by_digest: dict[str, list[ObjectName]] = {}
        for name in names:
            by_digest.setdefault(name.digest, []).append(name)
        for part in rows.chunks(sorted(by_digest)):
            marks = ", ".join(["%s"] * len(part))
            ending = " FOR UPDATE" if link.vendor == "postgresql" else ""
            cursor.execute(f"SELECT digest FROM lamindb_sweepmark WHERE digest IN ({marks}){ending}", part)
            for (digest,) in cursor.fetchall():
                for name in by_digest[digest]:
                    if not store.exists(name):
                        raise Swept(digest)
                cursor.execute("DELETE FROM lamindb_sweepmark WHERE digest = %s", [digest])


def decide(alias: str, plans: Sequence[Plan]) -> list[Outcome]:
    """Decide what each file becomes, in the order given, as if each were saved by itself.

    Raises:
        KeyExistsError, HashExistsError: The settings forbid it.
    """
    known = _Known(alias, plans)
    return [_decide_one(plan, known) for plan in plans]


class _Known:
    """What the database holds that these plans could meet, kept up to date as they are decided."""

    def __init__(self, alias: str, plans: Sequence[Plan]) -> None:
        self.alias = alias
        self.current: dict[tuple[str, str], File] = {}
        self.by_digest: dict[tuple[str, str, bool], list[File]] = {}
        self.families: dict[str, tuple[File | None, int]] = {}
        self._highest: dict[str, int] = {}
        keys = {plan.key for plan in plans if plan.key is not None}
        query = File.objects.using(alias).filter(trashed_at__isnull=True)
        for part in rows.chunks(sorted(keys)):
            for row in query.filter(key__in=part, is_latest=True).order_by():
                self.current[row.storage_id, str(row.key)] = row
        self.policy = settings.upon_file_create_if_hash_exists
        digests = {plan.stored.content.digest for plan in plans if plan.key is None or self.policy == "error"}
        for part in rows.chunks(sorted(digests)):
            for row in query.filter(digest__in=part).order_by("created_at", "id"):
                self.by_digest.setdefault((row.digest, row.suffix, row.is_folder), []).append(row)

    def family(self, stem: str) -> tuple[File | None, int]:
        """Return the current version of a family and the highest version number that it has had."""
        found = self.families.get(stem)
        if found is None:
            rows_ = list(File.objects.using(self.alias).filter(id__range=ids.versions_of(stem)).order_by("version"))
            latest = next((row for row in reversed(rows_) if row.is_latest and row.trashed_at is None), None)
            given = families.last_versions(self.alias, [stem]).get(stem, 0)
            found = (latest, max(given, rows_[-1].version if rows_ else 0))
        return found

    def highest(self, stem: str) -> int:
        """Return the highest version number that a family has had; those of all keys are asked for at once."""
        if stem in self.families:
            return self.families[stem][1]
        if not self._highest:
            query = File.objects.using(self.alias).order_by("version").values_list("id", "version")
            for part in rows.chunks(sorted({key for _, key in self.current})):
                self._highest.update((row_id[: ids.STEM_LENGTH], found) for row_id, found in query.filter(key__in=part))
            stems = {row.stem_id for row in self.current.values()}
            for one, given in families.last_versions(self.alias, stems).items():
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
    content = plan.stored.content
    same = known.by_digest.get((content.digest, plan.file.suffix, plan.stored.is_folder), [])
    if policy == "error" and same:
        raise HashExistsError(f"these bytes are stored already, as {same[-1]!r}; the settings ask for an error")
    if plan.stem_id is not None:
        return _continue_family(plan, known, plan.stem_id)
    if plan.key is not None:
        current = known.current.get((plan.storage_id, plan.key))
        if current is None:
            return _new(plan, known, None)
        if current.digest == content.digest and current.is_folder == plan.stored.is_folder:
            if policy != "warn_create_new":
                return _existing(plan, current)
        elif settings.if_key_exists == "error":
            raise KeyExistsError(
                f"the key {plan.key!r} holds other bytes, as {current!r}: choose another key, use replace(), "
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
    outcome = Outcome(plan, row, is_new=False, output=_output(plan, row))
    if plan.file.name != row.name and plan.has_own_name:
        outcome.notes.append(f"these bytes are stored already: the record keeps its name {row.name!r}")
    elif plan.file.id != row.id:
        outcome.notes.append(f"these bytes are stored already: this is {row.key or row.name!r}, {row.id}")
    return outcome


def _new(
    plan: Plan, known: _Known, current: File | None, renames: tuple[str, str | None, str] | None = None
) -> Outcome:
    file, stored = plan.file, plan.stored
    if current is not None:
        # It may be a row of this very save, which then has to be inserted as the older version that it is.
        current.is_latest = False
        highest = known.highest(current.stem_id)
        version, new_id = highest + 1, ids.file_id(current.stem_id, highest + 1)
    else:
        version, new_id = 1, file.id if file._state.adding else ids.file_id()
    moment = now()
    values = {
        "id": new_id,
        "name": (basename(plan.key) if plan.key is not None and not plan.has_own_name else file.name),
        "key": plan.key,
        "suffix": stored.name.suffix if not plan.is_in_place else file.suffix,
        "description": file.description,
        "size": stored.content.size,
        "hash": stored.content.hash,
        "digest": stored.content.digest,
        "is_folder": stored.is_folder,
        "n_files": stored.n_files,
        "version": version,
        "is_latest": True,
        "trashed_at": None,
        "trashed_by_id": None,
        "storage_id": plan.storage_id,
        "transform_id": file.run.transform_id if file.run_id is not None and file.run is not None else None,
        "run_id": file.run_id,
        "created_at": moment,
        "updated_at": moment,
        "created_by_id": file.created_by_id,
    }
    row = File._filled(values, known.alias, is_new=True)
    known.add(row)
    return Outcome(plan, row, True, current, _output(plan, row), renames)


def _continue_family(plan: Plan, known: _Known, stem: str) -> Outcome:
    """Add a version to a family by `replace()`; its key may take another suffix on the way."""
    current, _ = known.family(stem)
    if current is None:
        raise ConflictError(
            f"cannot replace {plan.file.id}, which has no current version: its versions are in the trash, or another "
            "file has its key; restore it, or give it another key, first"
        )
    if current.key == plan.key:
        if current.digest == plan.stored.content.digest:
            return _existing(plan, current)
        return _new(plan, known, current)
    key = plan.key
    taken = known.current.get((plan.storage_id, key)) if key is not None else None
    if taken is not None and taken.stem_id != stem:
        raise KeyExistsError(f"the replaced file would be {key!r}, which is {taken!r}: rename one of them first")
    name = plan.file.name if key is None or plan.has_own_name else basename(key)
    return _new(plan, known, current, (stem, key, name))


def _output(plan: Plan, row: File) -> RunOutput | None:
    if plan.file.run_id is None:
        return None
    values = {"run_id": plan.file.run_id, "file_id": row.id, "seen_by": "call", "created_at": now()}
    return RunOutput._filled(values, row._state.db, is_new=True)
