"""Keys below the key of a folder that is stored as one, or above such keys: they would be one thing twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Q

from lamindb.db import bulk
from lamindb.errors import KeyExistsError
from lamindb.models import File
from lamindb.records.open_instance import Instance


def check(instance: Instance, wanted: Iterable[tuple[str, bool]], *, leaving: Collection[str] = ()) -> None:
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
    current = _current(instance).filter(is_folder=True)
    for part in bulk.chunks(set(above) - set(leaving)):
        taken = current.filter(key__in=part).order_by().values_list("key", flat=True).first()
        if taken is not None:
            raise KeyExistsError(
                f"{above[taken]!r} lies in the folder {taken!r}, which is stored as one: "
                "save that folder again with what is new in it, or choose another key"
            )
    for folder in folders:
        inside = _current(instance).filter(_below(instance, folder)).exclude(key__in=leaving)
        found = inside.order_by("key").values_list("key", flat=True).first()
        if found is not None:
            raise KeyExistsError(
                f"{folder!r} cannot be stored as one folder: {found!r} lies in it and is a file of its own; "
                "choose another key, or move that one to the trash first"
            )


def overlapping(instance: Instance) -> list[str]:
    """Return the current keys of the own storage that lie in a folder which is stored as one, sorted."""
    found: set[str] = set()
    for folder in _current(instance).filter(is_folder=True).order_by().values_list("key", flat=True).iterator():
        inside = _current(instance).filter(_below(instance, folder))
        found.update(inside.order_by().values_list("key", flat=True))
    return sorted(found)


def _current(instance: Instance) -> Any:
    query = File.objects.using(instance.alias)
    return query.filter(storage_id=instance.storage_id, key__isnull=False, is_latest=True, trashed_at__isnull=True)


def _above(key: str) -> list[str]:
    parts = key.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _below(instance: Instance, folder: str) -> Q:
    if instance.dialect == "sqlite":
        # A range of the index; LIKE takes upper and lower case for the same. "0" comes just after "/".
        return Q(key__gt=f"{folder}/", key__lt=f"{folder}0")
    return Q(key__startswith=f"{folder}/")
