"""Removing objects that nothing needs, beside writers that may be about to need them: marks decide, not clocks.

1. Garbage collection marks what no row needs, and commits.
2. In a transaction of its own it looks again: what is still marked and still needed by no row is removed; what a row
   needs by now loses its mark.
3. A writer that finds one of its objects marked takes the mark away in the transaction of its row, if the bytes are
   still there; else it stores them again (`plan.claim`).

Both kinds of transaction exclude each other: SQLite has one writer, and PostgreSQL writers share a lock that garbage
collection takes for itself. A mark stays after its object is removed, so that a process that dies between the removal
and the commit leaves nothing wrong.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from django.db.models import Exists, OuterRef

from lamindb.core import context, locks
from lamindb.core.progress import Progress
from lamindb.db import database
from lamindb.errors import ConflictError, IntegrityError, InvalidInputError, ReadOnlyError
from lamindb.files import view_sync
from lamindb.maintenance import findings, last_report, reachable
from lamindb.models import File, FolderMember, ImportedModule, Run, Storage, SweepMark
from lamindb.models.base import now
from lamindb.records.open_instance import Instance
from lamindb.storage import ownership
from lamindb.storage.base import ObjectName, ObjectStore
from lamindb.storage.manifest import read_manifest
from lamindb.storage.os_errors import storage_failed

DAY_SECONDS: Final = 86_400.0
_AT_ONCE: Final = 100
_LOOK_AT_ONCE: Final = 500
_LOCK = "lamindb sweep"


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What garbage collection removed, or would remove.

    Attributes:
        objects: Names of objects that nothing needed, in the order of their digests.
        n_bytes: Their size, in bytes.
        n_young: How many objects that nothing needs were left because they are younger than the grace.
        incoming: What dead writers had left in `incoming/`; in a bucket, keys of uploads that never ended.
        is_dry_run: Nothing was removed.
        lost: Objects that nothing needed and that were left all the same, as the folder still shows files that the
            database does not know: see `VerifyReport.lost`. Empty where nothing is wrong.
    """

    objects: tuple[str, ...]
    n_bytes: int
    n_young: int
    incoming: tuple[str, ...]
    is_dry_run: bool
    lost: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        would = "would be removed" if self.is_dry_run else "removed"
        young = f"; {self.n_young:,} too young to be removed" if self.n_young else ""
        left = f"; {len(self.incoming):,} unfinished writes of dead processes {would}" if self.incoming else ""
        lost = f"\n{findings.describe_lost(len(self.lost))}; no object was removed" if self.lost else ""
        return f"{len(self.objects):,} objects with {self.n_bytes:,} bytes {would}{young}{left}{lost}"


def sweep(*, dry_run: bool = True, grace_seconds: float = DAY_SECONDS, progress: Progress | None = None) -> SweepReport:
    """Remove the objects of the current instance that no file, folder or run needs, and what dead writers left.

    What is in the trash is needed. Safe beside writers, on this and other machines.

    Args:
        dry_run: Only return what would be removed.
        grace_seconds: Keep objects that were stored or linked within this time: a courtesy to a process that is about
            to use them; nothing depends on it.
        progress: Told how many of the objects that may go have been looked at, and how many there are.

    Returns:
        What was removed, or would be.

    Raises:
        ConflictError: Another garbage collection of this instance runs, or its bucket is another instance's.
        IntegrityError: The database was emptied, replaced or damaged. Nothing was removed.
        ReadOnlyError: The instance can only be read.
        StorageError, DatabaseError: Something failed; what is removed was needed by nothing. Calling again is safe.
    """
    if not grace_seconds >= 0:
        raise InvalidInputError(f"grace_seconds must be a number of seconds from 0, not {grace_seconds!r}")
    instance = context.instance()
    report = _sweep(instance, grace_seconds, progress, dry_run=dry_run)
    last_report.leave(instance, "gc", report.to_dict())
    return report


def _sweep(instance: Instance, grace_seconds: float, progress: Progress | None, *, dry_run: bool) -> SweepReport:
    store = instance.store
    if dry_run:
        ownership.check(instance)
        _check_own_row(instance)
        found, n_young, lost = _removable(instance, grace_seconds)
        left = tuple(store.list_abandoned(older_than_seconds=view_sync.FOREIGN_SECONDS, foreign_seconds=grace_seconds))
        return _report(found, n_young, left, lost, dry_run=True)
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read: nothing can be removed")
    ownership.claim_for_removal(instance)
    _check_own_row(instance)
    damages = findings.of_database(instance)
    if damages:
        raise IntegrityError(f"nothing can be removed, as the database is damaged ({damages[0]}): see `lamin verify`")
    with _alone(instance):
        view_sync.repair_after_crash(instance)
        left = tuple(
            store.remove_abandoned(older_than_seconds=view_sync.FOREIGN_SECONDS, foreign_seconds=grace_seconds)
        )
        found, n_young, lost = _removable(instance, grace_seconds)
        removed = _remove(instance, dict(found), progress)
        if not lost:
            _forget_folders(instance)
    database.update_statistics(instance.alias)
    return _report([one for one in found if one[0] in removed], n_young, left, lost, dry_run=False)


def sweep_objects(instance: Instance, names: Iterable[ObjectName]) -> list[ObjectName]:
    """Remove those of these objects that nothing needs any more, at once; returns what was removed.

    Raises:
        ConflictError: The bucket is another instance's.
        StorageError, DatabaseError: As for `sweep`.
    """
    store = instance.store
    sizes = {name: size for name in names if (size := store.size(name)) is not None}
    if sizes:
        ownership.claim_for_removal(instance)
    return sorted(_remove(instance, sizes, None), key=lambda name: name.path)


def objects_of(instance: Instance, file: File) -> list[ObjectName]:
    """Return the objects that a file of the own storage consists of."""
    name = ObjectName(file.digest, file.suffix)
    if not file.is_folder:
        return [name]
    return [name, *(member.name for member in read_manifest(instance.store, name))]


def unneeded(instance: Instance) -> Iterator[tuple[ObjectName, int]]:
    """Yield the objects that no row needs now, with their sizes."""
    store = instance.store
    runs = reachable.run_objects(instance.alias)
    for chunk in database.chunks(store.list(), _LOOK_AT_ONCE):
        needed = _needed(instance, [name for name, _ in chunk], runs)
        yield from (one for one in chunk if one[0] not in needed)


def _needed(instance: Instance, names: Sequence[ObjectName], runs: set[ObjectName] | None = None) -> set[ObjectName]:
    """Return those of these objects that a row needs; `runs` is what runs need, None to ask for that, too."""
    alias = instance.alias
    digests = list(dict.fromkeys(name.digest for name in names))
    own = File.objects.using(alias).filter(storage_id=instance.storage_id).order_by()
    found = set(own.filter(digest__in=digests).values_list("digest", "suffix"))
    members = FolderMember.objects.using(alias).filter(digest__in=digests).order_by()
    # Asked for each member: the list of all folders would be made anew for each batch.
    folders = own.filter(is_folder=True, digest=OuterRef("folder_digest"))
    found.update(members.filter(Exists(folders)).values_list("digest", "suffix"))
    if runs is None:
        runs = set()
        values = [name.digest + name.suffix for name in names]
        for field in Run.OBJECT_FIELDS:
            query = Run.objects.using(alias).filter(**{f"{field}__in": values}).order_by()
            parsed = (ObjectName.parse(value) for value in query.values_list(field, flat=True).distinct())
            runs.update(name for name in parsed if name is not None)
        modules = reachable.imported_modules(alias).filter(digest__in=digests)
        found.update(modules.values_list("digest", "suffix"))
    return {name for name in names if (name.digest, name.suffix) in found or name in runs}


def _old_enough(
    store: ObjectStore, objects: Iterable[tuple[ObjectName, int]], grace_seconds: float
) -> tuple[list[tuple[ObjectName, int]], int]:
    """Leave out what was stored or linked within the grace; return the others, and how many were left out."""
    limit = time.time() - grace_seconds
    kept, n_young = [], 0
    for name, size in objects:
        if grace_seconds > 0 and (store.changed_at(name) or 0.0) > limit:
            n_young += 1
        else:
            kept.append((name, size))
    return kept, n_young


def _removable(instance: Instance, grace_seconds: float) -> tuple[list[tuple[ObjectName, int]], int, list[ObjectName]]:
    """Return what may be removed, how much is too young, and what the database lost: then nothing may be removed.

    What the folder shows stays in any case: its row may have been lost.
    """
    found, n_young = _old_enough(instance.store, unneeded(instance), grace_seconds)
    shown = findings.shown_orphans(instance, [name for name, _ in found])
    if len(shown) >= findings.MANY_LOST:
        return [], n_young, shown
    return [one for one in found if one[0] not in shown], n_young, []


def _check_own_row(instance: Instance) -> None:
    """Refuse to remove anything by a database that does not know the storage: it was emptied or replaced.

    Raises:
        IntegrityError: It has no record of the instance's own storage. Nothing was removed.
    """
    if not Storage.objects.using(instance.alias).filter(id=instance.storage_id).exists():
        raise IntegrityError(
            f"the database of {instance.name!r} has no record of its own storage: nothing can be removed by it; "
            f"move it away, and run `lamin restore {instance.name}`"
        )


def _remove(instance: Instance, sizes: dict[ObjectName, int], progress: Progress | None) -> set[ObjectName]:
    """Mark objects and remove them, as far as nothing needs them; return what was removed."""
    removed: set[ObjectName] = set()
    done = 0
    for chunk in database.chunks(sorted(sizes, key=lambda name: name.path), _AT_ONCE):
        _mark(instance, chunk)
        removed.update(_remove_marked(instance, chunk))
        done += len(chunk)
        if progress is not None:
            progress(done, len(sizes))
    return removed


def _mark(instance: Instance, names: Sequence[ObjectName]) -> None:
    with database.writing(instance.alias) as connection:
        database.take_all(connection)
        needed = _needed(instance, names)
        digests = sorted({name.digest for name in names if name not in needed})
        marks = [SweepMark.from_fields(digest=digest, created_at=now()) for digest in digests]
        database.insert_many(connection, marks, ignore_conflicts=True)


def _remove_marked(instance: Instance, names: Sequence[ObjectName]) -> list[ObjectName]:
    """Remove what is still marked and needed by no row; what a row needs by now loses its mark.

    The bytes go while the transaction keeps writers out. If it fails afterwards, the marks of the first transaction
    tell writers that they may be gone.
    """
    store = instance.store
    with database.writing(instance.alias) as connection:
        database.take_all(connection)
        _check_own_row(instance)
        query = SweepMark.objects.using(instance.alias).filter(digest__in=[name.digest for name in names]).order_by()
        marked = set(query.values_list("digest", flat=True))
        needed = _needed(instance, names)
        removed = [name for name in names if name.digest in marked and name not in needed]
        for name in removed:
            store.delete(name)
        kept = {name.digest for name in needed} - {name.digest for name in removed}
        if kept:
            SweepMark.objects.using(instance.alias).filter(digest__in=kept).order_by().delete_rows()
    return removed


def _forget_folders(instance: Instance) -> None:
    """Drop the lists of what was in folders that no file is any more, and of modules that no run imported."""
    with database.writing(instance.alias) as connection:
        database.take_all(connection)
        folders = File.objects.using(instance.alias).filter(is_folder=True).values("digest")
        members = FolderMember.objects.using(instance.alias).exclude(folder_digest__in=folders)
        members.order_by().delete_rows()
        used = Run.objects.using(instance.alias).filter(modules_digest__isnull=False).order_by()
        modules = ImportedModule.objects.using(instance.alias).exclude(set_digest__in=used.values("modules_digest"))
        modules.order_by().delete_rows()


def _report(
    found: Iterable[tuple[ObjectName, int]],
    n_young: int,
    left: tuple[str, ...],
    lost: Iterable[ObjectName],
    *,
    dry_run: bool,
) -> SweepReport:
    listed = sorted(found, key=lambda one: one[0].path)
    names = tuple(name.digest + name.suffix for name, _ in listed)
    kept = tuple(name.digest + name.suffix for name in lost)
    return SweepReport(names, sum(size for _, size in listed), n_young, left, dry_run, kept)


@contextlib.contextmanager
def _alone(instance: Instance) -> Iterator[None]:
    """Keep other garbage collections of this instance out, on all machines that share its database.

    Raises:
        ConflictError: There is one.
    """
    busy = ConflictError(f"another garbage collection of {instance.name!r} runs: wait until it is done")
    if instance.database_url is not None:
        connection = database.connection(instance.alias)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [_LOCK])
            if not cursor.fetchone()[0]:
                raise busy
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [_LOCK])
        return
    path = f"{instance.home_path}/sweep.lock"
    with contextlib.ExitStack() as stack:
        try:
            # Where there are no locks two may run at once: the marks keep them right, and one does what the other left.
            is_alone = stack.enter_context(locks.held(path, wait=False))
        except OSError as error:
            raise storage_failed("write to", path, error) from error
        if not is_alone:
            raise busy
        yield
