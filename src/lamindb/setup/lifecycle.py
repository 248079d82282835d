"""Create, connect and disconnect instances."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamindb.core import context, messages, paths
from lamindb.core import database_url as db_url
from lamindb.core.keys import DATABASE_FILE, HIDDEN_FOLDER
from lamindb.db import database, migrate
from lamindb.errors import (
    ConflictError,
    DatabaseError,
    InvalidInputError,
    LaminError,
    NoInstanceError,
    ReadOnlyError,
    StorageError,
)
from lamindb.instance import config as folders
from lamindb.instance import discovery, move_note, registry
from lamindb.records.open_instance import Instance, Outage

if TYPE_CHECKING:
    from lamindb.setup.finish_move import Moved

_opening = threading.RLock()


class LostRecordsError(NoInstanceError):
    """The folder of an instance is there, and its records are gone."""


def init(
    *,
    storage: str | os.PathLike[str],
    name: str | None = None,
    db: str | None = None,
    view: str = "auto",
) -> Instance:
    """Make an instance, and make it the current one here and for the working folder. An existing one is connected.

    Args:
        storage: A folder, made if it does not exist, or an address such as `s3://bucket/prefix`.
        name: What to call it; by default the name of the database, without `db` the last part of the storage.
        db: `postgresql://user:password@host/name`; None keeps records in a SQLite file.
        view: How files appear under their keys in the folder: "auto", "copy" or "none".

    Returns:
        The instance.

    Raises:
        InvalidInputError: An argument cannot be right. Nothing was made.
        ConflictError: The bucket is another instance's, or the instance has another database. No instance was made.
        StorageError: The folder or bucket cannot be written.
        DatabaseError: The database cannot be reached.
    """
    from lamindb.setup.create import default_name, make, root_and_home
    from lamindb.storage import ownership

    root_url, home = root_and_home(storage)
    if view not in folders.VIEW_MODES:
        raise InvalidInputError(f"view must be one of {', '.join(folders.VIEW_MODES)}, not {view!r}")
    if db is not None:
        database.postgres_config(db)
    name = folders.check_name(name or default_name(root_url, db))
    if not (home / folders.FILE_NAME).is_file():
        make(root_url, home, name, db, view)
        messages.success(f"made the instance {name!r} in {root_url}")
    else:
        existing = folders.read(home)
        if db is not None and not db_url.is_same(existing.database or "", db):
            raise ConflictError(
                f"there is an instance with another database in {root_url}: "
                "use `lamin migrate-to` to move it, or another storage folder"
            )
        ownership.claim_if_reachable(root_url, ownership.Owner(existing.id, existing.name), home)
    return connect(home.parent if home.name == HIDDEN_FOLDER else home, database_url=db)


def connect(
    identifier: str | os.PathLike[str] | None = None, *, database_url: str | None = None, storage: str | None = None
) -> Instance:
    """Make an existing instance the current one, here and for the working folder.

    An instance whose records are on a server is opened only at an address that was passed here or to `init`, now or
    before for the same folder: a password never goes to a server that only the folder names.

    Args:
        identifier: A storage folder, a project folder that contains one, a registered name, or the address of a
            PostgreSQL database; None: the one that belongs to the working folder.
        database_url: The database's address with its password, where it is not registered here.
        storage: Where the folder was moved to, with a registered name; where its storage is, with a database.

    Raises:
        NoInstanceError: There is none, or its server is not registered here; the message has the command to use.
        NotUniqueError: Several fit; their paths are listed.
        DatabaseError: The database cannot be reached.
    """
    from lamindb.setup import named
    from lamindb.storage import ownership

    if identifier is not None and str(identifier).startswith(("postgresql://", "postgres://")):
        database_url = str(identifier)
        found = named.on_server(database_url, storage)
    else:
        found = named.of(storage if storage is not None else identifier)
    is_named = identifier is not None or storage is not None
    project = (named.working_folder() or found.project) if is_named else found.project
    instance = open_at(found.home, project, database_url or found.database_url or registry.database_url_of(found.home))
    registry.register(instance, str(project))
    ownership.claim_on_connect(instance)
    make_current(instance)
    context.set_disconnected(False)
    messages.debug(f"connected {instance.name!r}")
    return instance


def open_current() -> Instance:
    """Open the instance of the working folder on first use.

    Raises:
        NoInstanceError: There is none, or this process disconnected from it.
    """
    if context.is_disconnected():
        raise NoInstanceError("this process disconnected from the instance: connect one by ln.connect(PATH)")
    with _opening:
        # Another thread may have opened it while this one waited.
        opened = context.instance_or_none()
        if opened is not None:
            return opened
        found = discovery.find()
        instance = open_at(found.home, found.project, found.database_url)
        make_current(instance)
    return instance


def open_to_track(patience: float) -> tuple[Instance, LaminError | None]:
    """Return the current instance for what is tracked, opened if it is not; where that fails, also the reason.

    An instance that cannot be opened is described by its folder. It is not the current one: the next use of the
    instance opens it anew, and takes over what runs.

    Args:
        patience: How many seconds to wait for a locked database or a server.

    Raises:
        NoInstanceError: There is none, its server is not registered here, or this process disconnected from it.
    """
    opened = context.instance_or_none()
    if opened is not None or context.is_disconnected():
        return opened or open_current(), None
    with _opening:
        found = discovery.find()
        away = _away_at(found.home)
        problem = away.part(Outage).now() if away is not None else None
        if away is not None and problem is not None:
            return away, problem
        try:
            return _open_within(found.home, found.project, found.database_url, patience), None
        except (DatabaseError, ReadOnlyError, LostRecordsError) as error:
            away = _away_at(found.home) or described(found.home, found.project, found.database_url, is_away=True)
            away.part(Outage).note(error)
            context.add_connected(away)
            return away, error


def _away_at(home: Path) -> Instance | None:
    """Return the instance of a folder whose database could not be opened before."""
    return next((known for known in context.all_connected() if known.home_path == home and known.is_away), None)


def reopen(away: Instance, patience: float) -> Instance:
    """Open an instance whose database could not be opened before, with what runs in it.

    Raises:
        LaminError: It cannot be opened now either; what runs in it goes on.
    """
    with _opening:
        there = context.connected(away.alias)
        if there is not None and not there.is_away:
            return there
        is_wanted = context.instance_or_none() is None and not context.is_disconnected()
        return _open_within(away.home_path, away.project_path, away.database_url, patience, is_current=is_wanted)


def _open_within(
    home: Path, project: Path | None, database_url: str | None, patience: float, *, is_current: bool = True
) -> Instance:
    """Open the instance of a folder anew, and make it the current one; all waits take so many seconds together.

    Raises:
        LaminError: It cannot be opened.
    """
    gives_up_at = time.monotonic() + patience
    instance = open_at(home, project, database_url, patience)
    if is_current:
        with database.waiting_at_most(instance.alias, max(0.0, gives_up_at - time.monotonic())):
            make_current(instance)
    return instance


def open_at(home: Path, project: Path | None, database_url: str | None, patience: float | None = None) -> Instance:
    """Open the instance of a folder anew; does not make it the current one.

    If a move of the instance was interrupted at its end, the move is finished, and the new place is opened.

    Args:
        home: The folder that holds `instance.toml`.
        project: The folder to which references of notebooks and scripts are relative.
        database_url: The database's address with its password, if it is on a server.
        patience: How many seconds to wait for a locked database or a server; None: as long as ever.

    Raises:
        NoInstanceError: The folder or its database is gone.
        DatabaseError: The database cannot be reached, or a newer version made it.
    """
    import lamindb.models  # noqa: F401  configures Django

    database.configure_django()
    before, kept = _close_at(home)
    try:
        moved = _finish_move(home)
        if moved is not None:
            _close_parts(kept)
            home, database_url = moved.home, moved.database_url or database_url
            before, kept = _close_at(home)
        instance = open_instance(home, project=project, database_url=database_url, patience=patience)
    except BaseException:
        if before is not None and before.is_away:
            # What is tracked there goes on, and is recorded later.
            before = replace(before)
            before.take_over(kept)
            context.add_connected(before)
        else:
            _close_parts(kept)
        raise
    instance.take_over(kept)
    if moved is not None:
        _correct_location(instance)
        messages.info(f"the instance {instance.name!r} had moved to {instance.root_url}")
    context.add_connected(instance)
    return instance


def _finish_move(home: Path) -> Moved | None:
    """Finish a move that a note in the folder of an instance tells of, see `finish_move.finish`."""
    if not os.path.lexists(home / move_note.FILE_NAME):
        return None
    from lamindb.setup import finish_move

    return finish_move.finish(home)


def open_instance(
    home: Path, *, project: Path | None, database_url: str | None = None, patience: float | None = None
) -> Instance:
    """Connect the database of an instance folder, migrating an older one; does not make it the current one.

    Args:
        home: The folder that holds `instance.toml`.
        project: The folder to which references of notebooks and scripts are relative.
        database_url: The database's address with its password, if it is on a server; never that of `instance.toml`.
        patience: How many seconds to wait for a locked database or a server; None: as long as ever.

    Raises:
        NoInstanceError: The folder or its database is gone, or the database is on a server and no address was passed.
        NewerDatabaseError: A newer version of the library made it.
        DatabaseError: The database cannot be reached.
    """
    instance = described(home, project, database_url)
    alias, url = instance.alias, instance.database_url
    if url:
        config = database.postgres_config(url)
        if patience is not None:
            config["OPTIONS"]["connect_timeout"] = str(min(int(config["OPTIONS"]["connect_timeout"]), int(patience)))
        database.register(alias, config)
        database.check_reachable(alias)
    elif _register_sqlite(alias, home):
        instance = replace(instance, is_read_only=True)
    waiting = database.waiting_at_most(alias, patience) if patience is not None else contextlib.nullcontext()
    try:
        with waiting:
            shown = database.shown_url(url) if url else str(home / DATABASE_FILE)
            check_records(alias, folders.read(home), shown)
            migrate.bring_up_to_date(alias, home=home, is_read_only=instance.is_read_only)
    except BaseException:
        database.unregister(alias)
        raise
    return instance


def described(home: Path, project: Path | None, database_url: str | None, *, is_away: bool = False) -> Instance:
    """Return an instance as its folder describes it; opens nothing.

    Raises:
        NoInstanceError: Its database is on a server, and no address was passed.
    """
    description = folders.read(home)
    url = database_url if description.database is not None else None
    if description.database is not None and url is None:
        raise unregistered(description, home)
    return Instance(
        id=description.id,
        name=description.name,
        alias=f"{database.ALIAS_PREFIX}{description.id}:{home}",
        root_url=str(home.parent) if description.storage == "." else description.storage,
        home_path=home,
        database_url=url,
        project_path=project,
        view_mode=description.view,
        storage_id=description.storage_id,
        is_away=is_away,
    )


def check_records(alias: str, description: folders.Description, shown: str) -> None:
    """Refuse a database that was emptied or replaced: `instance.toml` exists, so the instance once had its records.

    Raises:
        NoInstanceError: It has no tables, or no record of the instance's own storage. Nothing was changed.
    """
    if migrate.applied(alias):
        with database.connection(alias).cursor() as cursor:
            cursor.execute("SELECT 1 FROM lamindb_storage WHERE id = %s", [description.storage_id])
            if cursor.fetchone() is not None:
                return
        reason = "holds no record of this instance's storage: move it away"
    else:
        reason = "is empty, although the instance exists: its records were lost"
    raise LostRecordsError(f"the database {shown} {reason}, and run `lamin restore {description.name}`")


def unregistered(description: folders.Description, home: Path) -> NoInstanceError:
    """Return the error about a server that only an instance folder names, with the command that connects it.

    Nothing of the folder's address is used but what the user may read and type: see `database_url.suggested`.
    """
    import shlex

    root_url = str(home.parent) if description.storage == "." else description.storage
    try:
        address = db_url.suggested(description.database or "")
        host = db_url.parse(address).host or "this machine"
    except InvalidInputError:
        address, host = "postgresql://USER@HOST/NAME", "a server whose address cannot be read"
    return NoInstanceError(
        f"the instance {description.name!r} in {root_url} has its records on a database server ({host}) that is not "
        "registered here: if you trust it, run "
        f"`lamin connect {shlex.quote(address)} --storage {shlex.quote(root_url)}`"
    )


def _register_sqlite(alias: str, home: Path) -> bool:
    path = home / DATABASE_FILE
    if not path.is_file():
        raise LostRecordsError(
            f"the database {path} is gone: bring it back by `lamin restore NAME`, or move {home} away and start anew "
            "by `lamin init`"
        )
    wal = path.with_name(path.name + "-wal")
    writable = os.access(path, os.W_OK) and os.access(home, os.W_OK)
    database.register(alias, database.sqlite_config(path))
    if writable:
        database.check_reachable(alias)
        return False
    try:
        with database.connection(alias).cursor() as cursor:
            cursor.execute("SELECT count(*) FROM sqlite_master")
    except (DatabaseError, ReadOnlyError, NoInstanceError):
        database.unregister(alias)
        if wal.exists() and wal.stat().st_size:
            raise ReadOnlyError(
                f"{path} cannot be written and has changes that were not merged into it ({wal.name}): "
                "open it once where it can be written"
            ) from None
        database.register(alias, database.sqlite_config(path, is_read_only=True))
        database.check_reachable(alias)
    messages.info(f"the instance in {home.parent} can only be read")
    return True


def _close_at(home: Path) -> tuple[Instance | None, list[Any]]:
    """Close the instance of a folder if it is open; return it and the parts that go on when it is opened anew."""
    for known in context.all_connected():
        if known.home_path == home:
            kept = known.hand_over()
            close_connections(known)
            return known, kept
    return None, []


def _close_parts(parts: list[Any]) -> None:
    for part in parts:
        part.close()


def _correct_location(instance: Instance) -> None:
    """Update the location in the record of the own storage: an interrupted move may not have done that."""
    from lamindb.models import Storage
    from lamindb.setup import copy_tables

    location, kind = copy_tables.location_of(instance.root_url, instance.database_url)
    query = Storage.objects.using(instance.alias).filter(id=instance.storage_id).order_by()
    query.update_rows({"location": location, "type": kind})


def make_current(instance: Instance) -> None:
    """Make an opened instance the current one of this process, and repair what dead processes left in it."""
    before = context.instance_or_none()
    if before is not None and before.alias != instance.alias:
        from lamindb.runs import track

        track.leave(before)
    context.set_instance(instance)
    # Repairs are imported only if there is something to repair, so that a query starts quickly.
    try:
        if _has_writers(instance):
            from lamindb.files import view_sync

            view_sync.repair_after_crash(instance)
        if _has_running(instance):
            from lamindb.runs import liveness

            liveness.notice_dead_runs(instance)
        if _has_unrecorded(instance):
            from lamindb.runs import journal

            journal.take_in(instance)
    except (DatabaseError, ReadOnlyError) as error:
        messages.debug(f"what dead processes left in {instance.name!r} could not be looked for: {error}")


def _has_unrecorded(instance: Instance) -> bool:
    """Return True if runs wait that could not be recorded: `runs.journal` has them."""
    base = paths.data_folder()
    try:
        return base is not None and any(
            name.endswith(".json") for name in os.listdir(base / "unrecorded" / instance.id)
        )
    except OSError:
        return False


def _has_writers(instance: Instance) -> bool:
    """Return True if a process left its marker of a running write."""
    try:
        return any(name.endswith(".writer") for name in os.listdir(instance.home_path / "incoming"))
    except FileNotFoundError:
        if instance.is_local and not instance.is_read_only:
            _complete(instance)
    except OSError as error:
        messages.debug(f"cannot look into {instance.home_path}: {error}")
    return False


def _complete(instance: Instance) -> None:
    """Make the folders that a copy lacks: many tools leave empty ones out."""
    from lamindb.storage.open_store import open_store

    try:
        open_store(instance.root_url).prepare()
    except StorageError as error:
        messages.debug(f"the folders of {instance.root_url} are not complete: {error}")


def _has_running(instance: Instance) -> bool:
    with database.connection(instance.alias).cursor() as cursor:
        cursor.execute("SELECT 1 FROM lamindb_run WHERE status = 'running' LIMIT 1")
        return cursor.fetchone() is not None


def disconnect() -> str | None:
    """End the current run, disconnect from the current instance and unregister it for the working folder.

    Returns:
        The instance's name, or None if none was connected.

    Raises:
        StorageError, InvalidInputError, NewerDatabaseError: The folder of an instance that was not open cannot be
            read. It is disconnected all the same.
    """
    from lamindb.runs import track

    instance = context.instance_or_none()
    if instance is None:
        try:
            found = discovery.find()
        except (NoInstanceError, LookupError):
            return None
        registry.forget(project=str(found.project))
        context.set_disconnected(True)
        return folders.read(found.home).name
    track.leave(instance)
    if instance.project_path is not None:
        registry.forget(project=str(instance.project_path))
    close_connections(instance)
    context.set_instance(None)
    context.set_disconnected(True)
    return instance.name


close = disconnect
"""The older name of `disconnect`."""


def reset() -> None:
    """Disconnect all instances, as in a new process; runs are not ended, and what is registered stays."""
    for instance in context.all_connected():
        close_connections(instance)
    context.open_blocks().clear()
    context.set_run(None)
    context.set_instance(None)
    context.set_disconnected(False)


def close_connections(instance: Instance) -> None:
    """Close all stores and connections that this process has open for an instance."""
    instance.close()
    database.unregister(instance.alias)
    context.drop_connected(instance.alias)


__all__ = [
    "close",
    "close_connections",
    "connect",
    "disconnect",
    "init",
    "make_current",
    "open_at",
    "open_current",
    "reset",
]
