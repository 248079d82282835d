"""Create an instance: its folder, database, tables and first records."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from lamindb.core import filesystem, locks, messages, paths, storage_url
from lamindb.core.keys import DATABASE_FILE, GITIGNORE, GITIGNORE_TEXT, HIDDEN_FOLDER
from lamindb.db import database, migrate
from lamindb.errors import ConflictError, InvalidInputError, LaminError, StorageError
from lamindb.instance import config as folders
from lamindb.records.open_instance import ensure_user
from lamindb.storage import ownership
from lamindb.storage.ownership import Owner


def root_and_home(storage: str | os.PathLike[str]) -> tuple[str, Path]:
    """Return the root of a storage, and the folder of the instance that has it.

    Raises:
        InvalidInputError: It cannot be a storage.
        StorageError: There is no folder for the records of an instance on an object store.
    """
    text = os.fspath(storage)
    if not isinstance(text, str) or not text.strip():
        raise InvalidInputError("storage must be a folder such as './mydata' or an address such as 's3://bucket'")
    if "://" in text:
        root_url = storage_url.canonical(text)
        storage_url.split(root_url)
        if HIDDEN_FOLDER in root_url.split("/"):
            raise InvalidInputError(f"storage {root_url} lies inside another instance's own folder: pass another one")
        base = paths.data_folder()
        if base is None:
            raise StorageError("there is no folder for the database: set LAMIN_DATA_DIR")
        mark = hashlib.sha256(root_url.encode()).hexdigest()[:12]
        stem = re.sub(r"[^\w.-]", "-", root_url.rsplit("/", 1)[-1])
        return root_url, base / "instances" / f"{stem}-{mark}"
    try:
        root = Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidInputError(f"storage {text!a} cannot be a folder: {error}") from None
    if root.exists() and not root.is_dir():
        raise InvalidInputError(f"storage {root} is a file: pass a folder")
    if HIDDEN_FOLDER in root.parts:
        raise InvalidInputError(f"storage {root} lies inside another instance's own folder: pass another one")
    return str(root), root / HIDDEN_FOLDER


def default_name(root_url: str, db: str | None) -> str:
    """Return the name of an instance that the user gave none: that of its database, else the end of its storage."""
    if db is not None:
        return database.postgres_config(db)["NAME"]  # type: ignore[no-any-return]
    return root_url.rstrip("/").rsplit("/", 1)[-1] or "root"


def make(root_url: str, home: Path, name: str, db: str | None, view: str) -> None:
    """Make an instance where there is none; of several processes that try, one does.

    Args:
        root_url: The storage root.
        home: The folder that will hold `instance.toml`.
        name: What to call it.
        db: The address of its database, None for a SQLite file.
        view: How files appear in the folder.

    Raises:
        ConflictError: The bucket is another instance's. Nothing was changed in it. Nor in a database, unless the other
            one took the bucket at the same time: then tables and the user's record stay, but no storage.
        StorageError: The folder or bucket cannot be written.
        DatabaseError: The database cannot be reached.
    """
    from lamindb.storage.open_store import open_store

    is_local = home.name == HIDDEN_FOLDER
    mark = ownership.owner(root_url)
    if mark is not None and db is None and not (home / DATABASE_FILE).exists():
        raise ownership.owned_by_another(root_url, mark)
    if not is_local:
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make the folder {home}: {error.strerror}") from error
    open_store(root_url).prepare()
    if not is_local and db is None:
        messages.info(
            f"the records of {root_url} are kept in {home}, for one person on this machine: "
            "to share them pass --db postgresql://…"
        )
    try:
        with locks.held(home / "init.lock"):
            if not (home / folders.FILE_NAME).is_file():
                _make_records(root_url, home, name, db, view, mark)
        if is_local:
            _ignore_in_git(Path(root_url))
            filesystem.share_files(str(home), os.stat(root_url))
    except OSError as error:
        if isinstance(error, LaminError):
            raise
        raise StorageError(f"cannot make an instance in {home}: {error.strerror}") from error


def _ignore_in_git(root: Path) -> None:
    """Keep a new storage folder out of the git repository in which it lies; one with files of the user's is left."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return
    if any(entry != HIDDEN_FOLDER for entry in os.listdir(root)):
        return
    filesystem.write_text(root / GITIGNORE, GITIGNORE_TEXT)
    messages.info(f"git ignores what is in {root}: its {GITIGNORE} says so, and may be removed")


def _make_records(root_url: str, home: Path, name: str, db: str | None, view: str, mark: Owner | None) -> None:
    from lamindb.models import Storage
    from lamindb.setup import copy_tables

    alias = f"{database.ALIAS_PREFIX}new:{home}"
    if db is None:
        database.create_sqlite(home / DATABASE_FILE)
        database.register(alias, database.sqlite_config(home / DATABASE_FILE))
    else:
        database.register(alias, database.postgres_config(db))
    try:
        if mark is not None and not migrate.applied(alias):
            raise ownership.owned_by_another(root_url, mark)
        migrate.bring_up_to_date(alias, home=home)
        is_new = False
        with database.writing(alias) as connection:
            database.lock_key(connection, "storage")
            user = ensure_user(alias)
            known = list(Storage.objects.using(alias).order_by("created_at", "id"))
            location, kind = copy_tables.location_of(root_url, db)
            own = next((row for row in known if row.location == location), None)
            if mark is not None and (not known or known[0].id != mark.id):
                raise ownership.owned_by_another(root_url, mark)
            if own is None:
                is_new = True
                own = Storage.from_fields(location=location, type=kind, created_by_id=user)
                own.save_row(using=alias, force_insert=True)
        is_local = home.name == HIDDEN_FOLDER
        description = folders.Description(
            id=known[0].id if known else own.id,
            name=name,
            storage_id=own.id,
            storage="." if is_local else root_url,
            database=database.shown_url(db) if db else None,
            view=view if is_local else "none",
        )
        if mark is None and not known:
            ownership.warn_of_leftovers(root_url)
        try:
            ownership.claim(root_url, Owner(description.id, name), home)
        except ConflictError:
            if is_new:
                Storage.objects.using(alias).filter(id=own.id).order_by().delete_rows()
            raise
    finally:
        database.unregister(alias)
    folders.write(home, description)
