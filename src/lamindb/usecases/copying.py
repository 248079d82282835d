"""Growing up: an instance moves to PostgreSQL, to another storage, or to both, with everything that it knows.

1. Objects are copied while others may work, and compared byte by byte.
2. Everybody else is kept from writing; what was saved meanwhile is copied, too.
3. Rows are copied in one transaction of the new database, and compared before it commits.
4. The description of the new place is written; from now on the project points there, and the old place is retired.

Whatever dies before step 4 leaves the old instance as it was. Calling again goes on: objects that are there are not
copied again, and rows are copied anew.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from lamindb.core import current, messages
from lamindb.core.current import Instance
from lamindb.core.errors import (
    ConflictError,
    DatabaseError,
    IntegrityError,
    InvalidInputError,
    ReadOnlyError,
    SourceChangedError,
    StorageError,
)
from lamindb.core.hashing import Content
from lamindb.core.keys import DATABASE_FILE, HIDDEN_FOLDER
from lamindb.core.progress import Progress
from lamindb.instance import database, migrating, opening, registry
from lamindb.instance import folder as folders
from lamindb.models import Storage
from lamindb.models.storage import OWN_ROOT
from lamindb.storage.protocol import ObjectName, ObjectStore, Source
from lamindb.usecases import instances, needing, repairing, rows, stores, tables
from lamindb.usecases.tables import Place, Table

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
        moved = f"{n_rows:,} rows in {len(self.tables)} tables"
        if self.objects:
            moved += f", {self.objects:,} objects with {self.n_bytes:,} bytes"
        return f"moved and compared {moved}; the instance is in {self.database} and {self.storage} now"


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
    SQLite file goes to `backups/` beside them. Other programs that use the instance have to connect it again; while a
    storage moves, nobody else should save.

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
    instance = current.instance()
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read: copy it to where it can be written")
    target = _plan(instance, db, storage)
    old = stores.own_store(instance)
    new = old
    objects, n_bytes = 0, 0
    if target.moves_objects:
        new = _open_store(target.root_url)
        new.prepare()
        _copy_objects(instance, old, new, set(), progress)
    with _target_database(instance, target) as alias, database.writing(instance.alias):
        tables.hold_still(instance.alias)
        if target.moves_objects:
            compared: dict[ObjectName, int] = {}
            _copy_objects(instance, old, new, _compare_objects(instance, new, compared, progress), progress)
            _compare_objects(instance, new, compared, progress)
            objects, n_bytes = len(compared), sum(compared.values())
        with database.writing(alias):
            found = _move_rows(instance, alias, target, progress)
        _switch(instance, target)
    _retire(instance, target)
    report = MigrationReport(
        tables=tuple(found),
        objects=objects,
        n_bytes=n_bytes,
        database=database.shown_url(target.database_url) if target.database_url else str(target.home / DATABASE_FILE),
        storage=target.root_url,
        home=str(target.home),
    )
    _reconnect(instance, target)
    messages.success(str(report))
    return report


def _plan(instance: Instance, db: str | None, storage: str | os.PathLike[str] | None) -> _Target:
    """Work out where everything goes, and refuse what cannot be right.

    Raises:
        InvalidInputError: Neither database nor storage changes.
        ConflictError: Another instance is there.
    """
    if db is not None:
        database.postgres_config(db)
    root_url, home = instance.root_url, instance.home_path
    if storage is not None:
        root_url, home = instances.place_of(storage)
    url = db if db is not None else instance.database_url
    moves_objects = root_url != instance.root_url
    moves_rows = (db is not None and db != instance.database_url) or (moves_objects and url is None)
    if not moves_objects and not moves_rows:
        raise InvalidInputError("the instance is there already: pass another database or another storage")
    if moves_objects and (home / folders.FILE_NAME).is_file():
        there = folders.read(home)
        if there.id != instance.id:
            raise ConflictError(f"there is another instance, {there.name!r}, in {root_url}: choose another storage")
    is_local = home.name == HIDDEN_FOLDER
    location = OWN_ROOT if is_local and url is None else root_url
    kind = root_url.split("://", 1)[0] if "://" in root_url else "local"
    taken = Storage.objects.using(instance.alias).filter(location=location).exclude(id=instance.storage_id)
    if taken.exists():
        raise ConflictError(f"{root_url} is registered as a further storage of this instance: choose another one")
    place = Place(instance.storage_id, location, kind)
    return _Target(root_url, home, url, place, moves_objects, moves_rows)


def _open_store(root_url: str) -> ObjectStore:
    from lamindb.storage.opening import open_store

    return open_store(root_url, hash_cache=stores.hash_cache())


def _needed(instance: Instance) -> Iterator[tuple[ObjectName, int | None]]:
    for one in needing.objects(instance, None, ("", "")):
        yield one.name, one.size
    for one in needing.objects_of_runs(instance, None, ""):
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
    for part in rows.chunks(wanted, _AT_ONCE):
        sources = []
        for name, _ in part:
            size = old.size(name)
            if size is None:
                raise IntegrityError(
                    f"object {name.path} is missing: `lamin verify` tells what needs it, heal it first"
                )
            path = old.object_path(name) if old.is_local else str(old.local_path(name, name.digest + name.suffix))
            sources.append(Source(suffix=name.suffix, path=path, content=Content("", name.digest, size)))
        try:
            new.put_many(sources)
        except SourceChangedError as error:
            for name, size in part:
                damage = old.check(name, size)
                if damage is not None:
                    raise IntegrityError(f"{damage.detail}: heal it first, then call again") from error
            raise
        done += len(part)
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
                raise IntegrityError(f"{damage.detail}: it did not arrive as it left; call again")
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
        opening.create_sqlite(target.home / DATABASE_FILE)
        database.register(alias, database.sqlite_config(target.home / DATABASE_FILE))
    else:
        database.register(alias, database.postgres_config(target.database_url))
    try:
        database.check_reachable(alias)
        migrating.bring_up_to_date(alias, home=target.home)
        yield alias
    finally:
        database.unregister(alias)


def _move_rows(instance: Instance, alias: str, target: _Target, progress: Progress | None) -> list[Table]:
    """Copy all rows inside the open transactions, and compare them; return what there is.

    Raises:
        ConflictError: The database holds other records.
        DatabaseError: What arrived is not what left.
    """
    wanted = tables.described(instance.alias, place=target.place)
    if not target.moves_rows:
        query = Storage.objects.using(alias).filter(id=target.place.storage_id).order_by()
        query._update_rows({"location": target.place.location, "type": target.place.type})
    elif tables.count(alias) == 0:
        tables.copy(instance.alias, alias, place=target.place, progress=progress)
    elif tables.differing(wanted, tables.described(alias, place=target.place)):
        raise ConflictError("that database holds other records already: name one without, or drop its tables first")
    found = tables.described(alias)
    wrong = tables.differing(wanted, found)
    if wrong:
        raise DatabaseError(f"{', '.join(wrong)} did not arrive as they left: nothing was moved; call again")
    return found


def _switch(instance: Instance, target: _Target) -> None:
    """Describe the new place: when this file is there, the instance has moved. Writers are still kept out."""
    old = folders.read(instance.home_path)
    view = old.view if target.is_local == instance.is_local else ("auto" if target.is_local else "none")
    description = folders.Description(
        id=old.id,
        name=old.name,
        storage_id=old.storage_id,
        storage="." if target.is_local else target.root_url,
        database=database.shown_url(target.database_url) if target.database_url else None,
        view=view,
    )
    target.home.mkdir(parents=True, exist_ok=True)
    folders.write(target.home, description)
    known = [entry for entry in registry.entries() if entry.home == str(instance.home_path)]
    projects = {entry.project for entry in known}
    if instance.project_path is not None:
        projects.add(str(instance.project_path))
    moved = replace(instance, home_path=target.home, root_url=target.root_url, database_url=target.database_url)
    for project in sorted(projects):
        registry.register(moved, project)


def _retire(instance: Instance, target: _Target) -> None:
    """Take the old place out of use, and keep everything that it holds."""
    instances.close_connections(instance)
    home = instance.home_path
    try:
        if target.home != home:
            os.replace(home / folders.FILE_NAME, home / f"moved-{folders.FILE_NAME}")
        if instance.database_url is None and (home / DATABASE_FILE).exists():
            kept = home / "backups"
            kept.mkdir(exist_ok=True)
            migrating.back_up_sqlite(home / DATABASE_FILE, kept / "before-moving.sqlite3")
            opening.remove_sqlite(home / DATABASE_FILE)
    except OSError as error:
        messages.warning(f"the instance has moved, but {home} could not be taken out of use: {error.strerror}")


def _reconnect(instance: Instance, target: _Target) -> None:
    """Connect the instance where it is now, and let its view show everything."""
    moved = instances._open(target.home, instance.project_path, target.database_url)
    instances._make_current(moved)
    if target.moves_objects:
        repairing.rebuild_view(moved)


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
        opening.create_sqlite(temporary)
        database.register(copied, database.sqlite_config(temporary))
        migrating.bring_up_to_date(copied, home=home)
        with database.writing(source) as link:
            with link.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            with database.writing(copied):
                tables.copy(source, copied)
                wrong = tables.differing(tables.described(source), tables.described(copied))
                if wrong:
                    raise DatabaseError(f"{', '.join(wrong)} did not arrive as they left: call again")
        with database.connection(copied).cursor() as cursor:
            cursor.execute("PRAGMA journal_mode=DELETE")
        database.unregister(copied)
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise DatabaseError(f"cannot write {target}: {error.strerror}") from error
    finally:
        database.unregister(copied)
        database.unregister(source)
        with contextlib.suppress(OSError):
            opening.remove_sqlite(temporary)


def drop_tables(home: Path, url: str) -> None:
    """Remove the tables of an instance from its PostgreSQL database; other tables stay.

    Raises:
        DatabaseError: The database cannot be reached, or refuses. Nothing was removed.
    """
    alias = f"{database.ALIAS_PREFIX}dropped:{home}"
    database.register(alias, database.postgres_config(url))
    try:
        tables.drop(alias)
    finally:
        database.unregister(alias)
