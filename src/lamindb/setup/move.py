"""Move an instance to PostgreSQL, to another storage, or to both, with all records and objects.

1. Objects are copied while others may work, and compared byte by byte.
2. Other processes are kept from writing; what was saved meanwhile is copied, too.
3. Rows are copied in one transaction of the new database, and compared before it commits.
4. The description of the new place is written; from now on the project points there, and the old place is retired.

Whatever dies before step 4 leaves the old instance as it was, and one can work on in it. Calling again goes on: objects
that are there are not copied again, and rows are copied anew. An interrupted step 4 is finished by the process that
opens the old place or the new one next (`finish_move`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lamindb.core import context, filesystem, messages
from lamindb.core import database_url as db_url
from lamindb.core.hashing import Content
from lamindb.core.keys import DATABASE_FILE
from lamindb.core.progress import Progress
from lamindb.db import database, migrate
from lamindb.errors import (
    ConflictError,
    DatabaseError,
    IntegrityError,
    InvalidInputError,
    ReadOnlyError,
    SourceChangedError,
    StorageError,
)
from lamindb.files import view_sync
from lamindb.instance import config as folders
from lamindb.instance import move_note
from lamindb.maintenance import reachable
from lamindb.models import Storage
from lamindb.records.open_instance import Instance
from lamindb.setup import copy_tables, create, finish_move, lifecycle
from lamindb.setup.copy_tables import Place, Table
from lamindb.storage import ownership
from lamindb.storage.base import ObjectName, ObjectStore, Source
from lamindb.storage.ownership import Owner

_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What was moved.

    Attributes:
        tables: The tables, with their numbers of rows and digests; the same in both databases.
        objects: How many objects were compared in the new storage; 0 where the storage stayed.
        n_bytes: Their size in bytes.
        database: The new database, without a password.
        storage: The new storage root.
        home: The folder that describes the instance now.
    """

    tables: tuple[Table, ...]
    objects: int
    n_bytes: int
    database: str
    storage: str
    home: str

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        n_rows = sum(table.n_rows for table in self.tables)
        there = f"{_counted(n_rows, 'row')} in {_counted(len(self.tables), 'table')}"
        if self.objects:
            there += f", {_counted(self.objects, 'object')} with {_counted(self.n_bytes, 'byte')}, all compared"
        return f"the instance is in {self.database} and {self.storage}: {there}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


@dataclass(frozen=True, slots=True)
class _Target:
    """Where an instance moves to."""

    root_url: str
    home: Path
    database_url: str | None
    place: Place
    moves_objects: bool
    moves_rows: bool

    @property
    def is_local(self) -> bool:
        return "://" not in self.root_url


def migrate_to(
    db: str | None = None, storage: str | os.PathLike[str] | None = None, progress: Progress | None = None
) -> MigrationReport:
    """Move the current instance to another database, another storage, or both; ids, history and lineage stay.

    Everything is compared before the project points to the new place. The old files stay where they are, and the old
    SQLite file goes to `backups/` beside them. Other programs that have the instance open have to connect it again:
    what they write to the old place is refused.

    Args:
        db: `postgresql://user:password@host/name`, a database without records; None keeps the present one.
        storage: A folder or an address such as `s3://bucket/prefix`; None keeps the present one.
        progress: Told how many objects or rows are done, and how many there are.

    Raises:
        InvalidInputError: Neither is given, or one cannot be right. Nothing was changed.
        ConflictError: There are other records in that database, or another instance in that storage.
        IntegrityError: An object is missing or damaged: heal it first. The old instance stays as it was.
        StorageError, DatabaseError: Something failed. The old instance stays as it was; calling again goes on.
    """
    if db is None and storage is None:
        raise InvalidInputError("pass the database or the storage to move to")
    instance = _present()
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read: copy it to where it can be written")
    target = _plan(instance, db, storage)
    if not target.moves_objects and not target.moves_rows:
        return _end(instance, target, copy_tables.described(instance.alias, progress=progress), {}, progress)
    old = instance.store
    new = old
    compared: dict[ObjectName, int] = {}
    if target.moves_objects:
        ownership.claim(target.root_url, Owner(instance.id, instance.name))
        new = _open_store(instance, target.root_url)
        new.prepare()
        _copy_objects(instance, old, new, set(), progress)
    with _target_database(instance, target) as alias, database.writing(instance.alias):
        copy_tables.block_writers(instance.alias)
        if target.moves_objects:
            _copy_objects(instance, old, new, _compare_objects(instance, new, compared, progress), progress)
            _compare_objects(instance, new, compared, progress)
        with database.writing(alias):
            found = _move_rows(instance, alias, target, progress)
        _switch(instance, target)
        if target.moves_rows:
            _close(instance, target)
    lifecycle.close_connections(instance)
    finish_move.finish(instance.home_path)
    moved = lifecycle.open_at(target.home, instance.project_path, target.database_url)
    lifecycle.make_current(moved)
    return _end(moved, target, found, compared, progress)


def _present() -> Instance:
    """Return the current instance; if it was moved by a call that failed at its last steps, where it is now."""
    instance = context.instance()
    if move_note.noted(instance.home_path, instance.id) is None:
        return instance
    found = lifecycle.open_at(instance.home_path, instance.project_path, instance.database_url)
    lifecycle.make_current(found)
    return found


def _end(
    instance: Instance,
    target: _Target,
    found: list[Table],
    compared: dict[ObjectName, int],
    progress: Progress | None,
) -> MigrationReport:
    """Rebuild the view of the moved instance, and report."""
    if instance.is_local:
        view_sync.rebuild_view(instance, progress=progress)
    return MigrationReport(
        tables=tuple(found),
        objects=len(compared),
        n_bytes=sum(compared.values()),
        database=_shown_database(target),
        storage=target.root_url,
        home=str(target.home),
    )


def _plan(instance: Instance, db: str | None, storage: str | os.PathLike[str] | None) -> _Target:
    """Return where everything goes.

    Raises:
        InvalidInputError: The database's address cannot be read.
        ConflictError: Another instance, or a copy of this one, is there.
    """
    if db is not None:
        database.postgres_config(db)
    root_url, home = instance.root_url, instance.home_path
    if storage is not None:
        root_url, home = create.root_and_home(storage)
    url = db if db is not None else instance.database_url
    moves_objects = root_url != instance.root_url
    moves_rows = (db is not None and not db_url.is_same(db, instance.database_url or "")) or (
        moves_objects and url is None
    )
    if moves_objects and (home / folders.FILE_NAME).is_file():
        there = folders.read(home)
        what = "another instance" if there.id != instance.id else "a copy of this instance"
        raise ConflictError(f"there is {what}, {there.name!r}, in {root_url}: choose another storage")
    location, kind = copy_tables.location_of(root_url, url)
    taken = Storage.objects.using(instance.alias).filter(location=location).exclude(id=instance.storage_id)
    if taken.exists():
        raise ConflictError(f"{root_url} is registered as a further storage of this instance: choose another one")
    place = Place(instance.storage_id, location, kind)
    return _Target(root_url, home, url, place, moves_objects, moves_rows)


def _open_store(instance: Instance, root_url: str) -> ObjectStore:
    from lamindb.storage.open_store import open_store

    return open_store(root_url, hash_cache=instance.hash_cache)


def _needed(instance: Instance) -> Iterator[tuple[ObjectName, int | None]]:
    for one in reachable.objects(instance, None, ("", "")):
        yield one.name, one.size
    for one in reachable.objects_of_runs(instance, None, ""):
        yield one.name, one.size


def _copy_objects(
    instance: Instance, old: ObjectStore, new: ObjectStore, there: Iterable[ObjectName], progress: Progress | None
) -> None:
    """Copy the objects that rows need, except those that are known to be there.

    Raises:
        IntegrityError: One is missing or damaged.
    """
    known = set(there)
    done = 0
    wanted = [(name, size) for name, size in _needed(instance) if name not in known]
    for chunk in database.chunks(wanted, _AT_ONCE):
        sources = []
        for name, _ in chunk:
            size = old.size(name)
            if size is None:
                raise IntegrityError(
                    f"object {name.path} is missing: `lamin verify` shows what needs it; repair it first"
                )
            path = old.object_path(name) if old.is_local else str(old.local_path(name, name.digest + name.suffix))
            sources.append(Source(suffix=name.suffix, path=path, content=Content("", name.digest, size)))
        try:
            new.put_many(sources)
        except SourceChangedError as error:
            for name, size in chunk:
                damage = old.check(name, size)
                if damage is not None:
                    raise IntegrityError(f"{damage.detail}: repair it first, then call again") from error
            raise
        done += len(chunk)
        if progress is not None:
            progress(done, len(wanted))


def _compare_objects(
    instance: Instance, new: ObjectStore, compared: dict[ObjectName, int], progress: Progress | None
) -> set[ObjectName]:
    """Compare every byte of the new objects that were not compared yet; return those that are right.

    Raises:
        IntegrityError: One arrived damaged.
    """
    from concurrent.futures import ThreadPoolExecutor

    wanted = [(name, size) for name, size in _needed(instance) if name not in compared]
    with ThreadPoolExecutor(4 if new.is_local else 8, thread_name_prefix="lamindb-compare") as pool:
        checks = pool.map(lambda one: (one[0], new.size(one[0]), new.check(*one)), wanted)
        for done, (name, size, damage) in enumerate(checks, 1):
            if damage is not None and damage.kind != "missing":
                raise IntegrityError(f"{damage.detail}: it differs from its source after the copy; call again")
            if damage is None:
                compared[name] = size or 0
            if progress is not None:
                progress(done, len(wanted))
    return set(compared)


@contextlib.contextmanager
def _target_database(instance: Instance, target: _Target) -> Iterator[str]:
    """Yield the alias of the database to move to; it has the tables."""
    if not target.moves_rows:
        yield instance.alias
        return
    alias = f"{database.ALIAS_PREFIX}moving:{target.home}"
    target.home.mkdir(parents=True, exist_ok=True)
    if target.database_url is None:
        database.create_sqlite(target.home / DATABASE_FILE)
        database.register(alias, database.sqlite_config(target.home / DATABASE_FILE))
    else:
        database.register(alias, database.postgres_config(target.database_url))
    try:
        database.check_reachable(alias)
        migrate.bring_up_to_date(alias, home=target.home)
        yield alias
    finally:
        database.unregister(alias)


def _move_rows(instance: Instance, alias: str, target: _Target, progress: Progress | None) -> list[Table]:
    """Copy all rows inside the open transactions, and compare them; return what there is.

    Raises:
        ConflictError: The database holds other records.
        DatabaseError: The copied rows differ from their source.
    """
    wanted = copy_tables.described(instance.alias, place=target.place, progress=progress)
    if not target.moves_rows:
        move_note.write(instance.home_path, _move(instance, target))
        query = Storage.objects.using(alias).filter(id=target.place.storage_id).order_by()
        query.update_rows({"location": target.place.location, "type": target.place.type})
    else:
        n_rows = copy_tables.count(alias)
        differ = n_rows > 0 and copy_tables.differing(wanted, copy_tables.described(alias, place=target.place)) != []
        if differ:
            _make_room(instance, alias, target)
        move_note.write(instance.home_path, _move(instance, target))
        if differ or n_rows == 0:
            copy_tables.copy(instance.alias, alias, place=target.place, progress=progress)
    found = copy_tables.described(alias, progress=progress)
    wrong = copy_tables.differing(wanted, found)
    if wrong:
        raise DatabaseError(f"{', '.join(wrong)} differ from their source: nothing was moved; call again")
    return found


def _make_room(instance: Instance, alias: str, target: _Target) -> None:
    """Remove the rows that an earlier move of this instance brought there before it died; they are kept in a file.

    Raises:
        ConflictError: They are of another instance, or this one did not begin to move there.
    """
    first = Storage.objects.using(alias).order_by("created_at", "id").values_list("id", flat=True).first()
    if first != instance.id:
        raise ConflictError("that database holds other records already: name one without, or drop its tables first")
    earlier = move_note.noted(instance.home_path, instance.id)
    here = _move(instance, target)
    if earlier is None or (earlier.home, earlier.database) != (here.home, here.database):
        raise ConflictError(
            "that database holds other records of this instance already, so that it may be in use: "
            "connect that one, or drop its tables first"
        )
    if target.database_url is not None:
        kept = finish_move.new_backup(instance.home_path, "before-replacing")
        with contextlib.suppress(OSError):
            kept.parent.mkdir(exist_ok=True)
        dump_to_sqlite(instance.home_path, target.database_url, kept)
        messages.info(
            f"an earlier move stopped after its rows arrived: they are copied anew; the old ones are in {kept}"
        )
    copy_tables.clear(alias)


def _close(instance: Instance, target: _Target) -> None:
    """Make the old database refuse writes of processes that still have it open: they would be lost."""
    try:
        copy_tables.close(instance.alias, f"{move_note.MOVED} to {_shown_database(target)}: connect it there")
    except DatabaseError as error:
        messages.warning(f"the old database can still be written to, and such writes are lost: {error}")


def _shown_database(target: _Target) -> str:
    return database.shown_url(target.database_url) if target.database_url else str(target.home / DATABASE_FILE)


def _move(instance: Instance, target: _Target) -> move_note.Move:
    return move_note.Move(
        id=instance.id,
        old_home=str(instance.home_path),
        home=str(target.home),
        root_url=target.root_url,
        database=database.shown_url(target.database_url) if target.database_url else None,
        old_root_url=instance.root_url,
        project=str(instance.project_path) if instance.project_path is not None else None,
    )


def _switch(instance: Instance, target: _Target) -> None:
    """Describe the new place: when that is there, the instance has moved. Writers are still kept out."""
    old = folders.read(instance.home_path)
    view = old.view if target.is_local == instance.is_local else ("auto" if target.is_local else "none")
    move = _move(instance, target)
    description = folders.Description(
        id=old.id,
        name=old.name,
        storage_id=old.storage_id,
        storage="." if target.is_local else target.root_url,
        database=move.database,
        view=view,
    )
    finish_move.switch(instance.home_path, move, description, target.database_url)


def dump_to_sqlite(home: Path, database_url: str, target: Path) -> None:
    """Copy all records of a PostgreSQL database to a new SQLite file, in one consistent step, and compare them.

    Args:
        home: The instance's folder.
        database_url: The database's address with its password.
        target: The file; it must not exist.

    Raises:
        DatabaseError: The database cannot be read, or the file cannot be written. Nothing is left of it.
    """
    source, copied = f"{database.ALIAS_PREFIX}dumped:{home}", f"{database.ALIAS_PREFIX}dump:{target}"
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    database.register(source, database.postgres_config(database_url))
    try:
        database.create_sqlite(temporary)
        database.register(copied, database.sqlite_config(temporary))
        migrate.bring_up_to_date(copied, home=home)
        with database.writing(source) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            with database.writing(copied):
                copy_tables.copy(source, copied)
                wrong = copy_tables.differing(copy_tables.described(source), copy_tables.described(copied))
                if wrong:
                    raise DatabaseError(f"{', '.join(wrong)} differ from their source: call again")
        with database.connection(copied).cursor() as cursor:
            cursor.execute("PRAGMA journal_mode=DELETE")
        database.unregister(copied)
        filesystem.replace(temporary, target)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise DatabaseError(f"cannot write {target}: {error.strerror}") from error
    finally:
        database.unregister(copied)
        database.unregister(source)
        with contextlib.suppress(OSError):
            database.remove_sqlite(temporary)


def drop_tables(home: Path, url: str) -> None:
    """Remove the tables of an instance from its PostgreSQL database; other tables stay.

    Raises:
        DatabaseError: The database cannot be reached, or refuses. Nothing was removed.
    """
    alias = f"{database.ALIAS_PREFIX}dropped:{home}"
    database.register(alias, database.postgres_config(url))
    try:
        copy_tables.drop(alias)
    finally:
        database.unregister(alias)
