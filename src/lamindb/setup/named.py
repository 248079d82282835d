"""The instance that a user names to connect it: by a folder, an address of a storage or database, or a name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from lamindb.db import database, migrate
from lamindb.errors import LaminError, NoInstanceError, NotUniqueError
from lamindb.instance import config as folders
from lamindb.instance import discovery, registry
from lamindb.setup.create import default_name, make, root_and_home


def of(identifier: str | os.PathLike[str] | None) -> discovery.Found:
    """Find the instance of a folder, storage address or name.

    Raises:
        NoInstanceError: There is none.
        NotUniqueError: Several fit; their paths are listed.
    """
    if identifier is None:
        return discovery.find()
    if "://" not in str(identifier):
        return discovery.locate(os.fspath(identifier))
    home = root_and_home(str(identifier))[1]
    if not (home / folders.FILE_NAME).is_file():
        raise NoInstanceError(
            f"{identifier} was not connected here: run `lamin init --storage {identifier}`, or, if its records are in "
            f"PostgreSQL, `lamin connect postgresql://USER@HOST/NAME --storage {identifier}`"
        )
    return discovery.Found(home, working_folder() or home.parent)


def on_server(url: str, storage: str | None) -> discovery.Found:
    """Find the folder of an instance whose records are in a database that the user named, or make it for a bucket.

    Raises:
        InvalidInputError: The address cannot be read.
        NoInstanceError: The database has no instance, or its storage is not here.
        DatabaseError: The database cannot be reached.
    """
    roots = _roots(url)
    project = working_folder()
    if storage is not None:
        root_url, home = root_and_home(storage)
        if "://" not in root_url:
            return discovery.Found(discovery.locate(root_url).home, project or home.parent)
        if root_url not in roots:
            raise NoInstanceError(f"{root_url} is not a storage of the instance in {database.shown_url(url)}")
    else:
        for home in _homes(url, roots, project):
            if _has_storage(home, set(roots.values())):
                return discovery.Found(home, project or home.parent)
        root_url = next(iter(roots))
        if "://" not in root_url:
            raise NoInstanceError(
                f"the storage of the instance in {database.shown_url(url)} is {root_url}, where no instance folder is: "
                "add --storage PATH, where it is on this machine"
            )
        home = root_and_home(root_url)[1]
    if not (home / folders.FILE_NAME).is_file():
        make(root_url, home, folders.check_name(default_name(root_url, url)), url, "none")
    return discovery.Found(home, project or home.parent)


def _roots(url: str) -> dict[str, str]:
    """Return the ids of the storages that the instance in a database has, by their roots; the first is its own.

    Raises:
        NoInstanceError: The database has no instance.
        DatabaseError: It cannot be reached.
    """
    import lamindb.models  # noqa: F401  configures Django

    alias = f"{database.ALIAS_PREFIX}asked:{hashlib.sha256(url.encode()).hexdigest()}"
    database.register(alias, database.postgres_config(url))
    try:
        found = {}
        if migrate.applied(alias):
            with database.connection(alias).cursor() as cursor:
                cursor.execute("SELECT location, id FROM lamindb_storage ORDER BY created_at, id")
                found = dict(cursor.fetchall())
    finally:
        database.unregister(alias)
    if not found:
        shown = shlex.quote(database.shown_url(url))
        raise NoInstanceError(
            f"that database has no instance: make one by `lamin init --storage ./mydata --db {shown}`"
        )
    return found


def _homes(url: str, roots: Iterable[str], project: Path | None) -> Iterator[Path]:
    """Yield the instance folders that may be meant: those around the working folder first."""
    if project is not None:
        with contextlib.suppress(NoInstanceError, NotUniqueError):
            yield discovery.find(project).home
    yield from registry.homes_on(url)
    for root_url in roots:
        if "://" in root_url or os.path.isabs(root_url):
            yield root_and_home(root_url)[1]


def _has_storage(home: Path, ids: Iterable[str]) -> bool:
    """Return True if a folder belongs to an instance on a server that has one of some storages."""
    try:
        there = folders.read(home)
    except LaminError:
        return False
    return there.database is not None and there.storage_id in ids


def working_folder() -> Path | None:
    """Return the working folder, or None if it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None
