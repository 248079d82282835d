"""Objects that rows are about to name stay: garbage collection does not take them, and their storage has not moved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lamindb.db import bulk
from lamindb.errors import ConflictError, LaminError
from lamindb.instance import config as folders
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName, ObjectStore


class Swept(Exception):
    """An object that a row needs was removed by garbage collection meanwhile."""


def claim(link: Any, instance: Instance, names: Iterable[ObjectName]) -> None:
    """Inside a transaction that holds a lock of writers: take objects out of garbage collection.

    Raises:
        Swept: One is gone already: roll back, store it again, and write again.
        ConflictError: The storage has moved since this process opened the instance: the objects lie in the old one.
    """
    _check_place(link, instance)
    with link.cursor() as cursor:
        cursor.execute("SELECT 1 FROM lamindb_sweepmark LIMIT 1")
        if cursor.fetchone() is not None:
            _clear_marks(link, cursor, _marked(cursor, names), instance.store)


def _check_place(link: Any, instance: Instance) -> None:
    """Refuse to name objects in a storage that the instance has left.

    With SQLite the whole instance leaves, so that nothing can be written any more. A folder may be called otherwise on
    each machine that shares it; but who leaves it takes away what describes the instance there.
    """
    if link.vendor == "sqlite":
        return
    with link.cursor() as cursor:
        cursor.execute("SELECT location FROM lamindb_storage WHERE id = %s", [instance.storage_id])
        found = cursor.fetchone()
    location = found[0] if found is not None else instance.root_url
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


def _marked(cursor: Any, names: Iterable[ObjectName]) -> dict[str, set[ObjectName]]:
    """Return those of these objects whose digest is marked. No mark is added while writers hold their lock."""
    found: dict[str, set[ObjectName]] = {}
    for part in bulk.chunks(names):
        marks = ", ".join(["%s"] * len(part))
        cursor.execute(
            f"SELECT digest FROM lamindb_sweepmark WHERE digest IN ({marks})", [name.digest for name in part]
        )
        marked = {digest for (digest,) in cursor.fetchall()}
        for name in part:
            if name.digest in marked:
                found.setdefault(name.digest, set()).add(name)
    return found


def _clear_marks(link: Any, cursor: Any, marked: dict[str, set[ObjectName]], store: ObjectStore) -> None:
    """Remove marks, in the order of their digests, so that two writers never wait for each other in a circle."""
    ending = " FOR UPDATE" if link.vendor == "postgresql" else ""
    for digest in sorted(marked):
        cursor.execute(f"SELECT 1 FROM lamindb_sweepmark WHERE digest = %s{ending}", [digest])
        if cursor.fetchone() is None:
            continue
        for name in marked[digest]:
            if not store.exists(name):
                raise Swept(digest)
        cursor.execute("DELETE FROM lamindb_sweepmark WHERE digest = %s", [digest])
