"""Whose a bucket is: one instance at a time stores its objects under a prefix, and only it removes any.

A folder says by its `instance.toml` whose it is. A bucket does by a mark of the same name, written when an instance is
made or moves there; one that has none gets it when it is next connected, or before anything is removed.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lamindb.core import messages
from lamindb.core.context import Instance
from lamindb.errors import ConflictError, InvalidInputError, StorageError, UnsupportedError
from lamindb.storage import ownership
from lamindb.storage.ownership import Mark

if TYPE_CHECKING:
    from lamindb.storage.remote import RemoteStore

_TRIES: Final = 10
_NOTE: Final = "marked"
"""A file in the instance's folder: its mark was seen in the bucket, so that connecting needs no look there."""


def owner(root_url: str) -> Mark | None:
    """Return whose a bucket is; None if it is nobody's, and for a folder.

    Raises:
        InvalidInputError: Its mark is damaged.
        StorageError: The bucket cannot be read.
    """
    return ownership.read(_store(root_url)) if "://" in root_url else None


def claim(root_url: str, mark: Mark, home: Path | None = None) -> None:
    """Mark a bucket as an instance's, unless it is so already; for a folder, do nothing.

    Args:
        root_url: The storage root.
        mark: Whose it shall be.
        home: The instance's folder, where it is noted that this was done.

    Raises:
        ConflictError: It is another instance's, also if that came first just now. Nothing was changed.
        StorageError: The bucket cannot be read or written.
    """
    if "://" not in root_url:
        return
    store = _store(root_url)
    _take(store, mark)
    if home is not None:
        with contextlib.suppress(OSError):
            (home / _NOTE).touch()


def _take(store: RemoteStore, mark: Mark) -> None:
    for _ in range(_TRIES):
        found = ownership.read(store)
        if found is not None and found.id != mark.id:
            raise taken(store.root_url, found)
        if found is not None or ownership.create(store, mark):
            return
        # Somebody was first; whoever released it since leaves a place that has to be taken anew.
    raise StorageError(
        f"{store.root_url}/{ownership.PATH} comes and goes: wait until nobody works there, then call again"
    )


def taken(root_url: str, mark: Mark) -> ConflictError:
    """Return the error that says whose a bucket is, and what to do."""
    return ConflictError(
        f"{root_url} belongs to another instance, {mark.name!r} (id {mark.id}): choose another prefix, or work in that "
        f"instance with its own database; if it is gone for good, remove {root_url}/{ownership.PATH}"
    )


def check(instance: Instance) -> None:
    """Refuse to look for what can be removed from a bucket that is another instance's; writes nothing.

    Raises:
        ConflictError: It is another instance's.
        StorageError: The bucket cannot be read.
    """
    found = owner(instance.root_url)
    if found is not None and found.id != instance.id:
        raise taken(instance.root_url, found)


def claim_for_removal(instance: Instance) -> None:
    """Make sure that the bucket is this instance's, before anything is removed from it; errors are those of `claim`."""
    claim(instance.root_url, Mark(instance.id, instance.name), instance.home_path)


def notice(instance: Instance) -> None:
    """Mark the bucket of an instance that was connected if that was never done; warn if it is another instance's.

    A bucket that cannot be reached is left for the next time: records can be read without it.
    """
    if instance.is_local or instance.is_read_only or (instance.home_path / _NOTE).exists():
        return
    try:
        claim_for_removal(instance)
    except ConflictError as error:
        messages.warning(
            f"{error}; until then the other one may remove what is saved here: "
            "move this instance by `lamin migrate-to --storage …`"
        )
    except (StorageError, InvalidInputError, UnsupportedError) as error:
        messages.debug(f"{instance.root_url} was not marked: {error}")


def renew(root_url: str, mark: Mark, home: Path) -> None:
    """Mark the bucket of an instance that was there before, as `claim` does; one that cannot be reached is left.

    Raises:
        ConflictError: It is another instance's.
    """
    try:
        claim(root_url, mark, home)
    except (StorageError, UnsupportedError) as error:
        messages.debug(f"{root_url} was not marked: {error}")


def release(root_url: str, instance_id: str, home: Path) -> None:
    """Take an instance's mark from a bucket that it does not use any more; another's stays, and a folder has none."""
    if "://" not in root_url:
        return
    with contextlib.suppress(OSError):
        (home / _NOTE).unlink(missing_ok=True)
    try:
        store = _store(root_url)
        found = ownership.read(store)
        if found is not None and found.id == instance_id:
            ownership.remove(store)
    except (StorageError, InvalidInputError, UnsupportedError) as error:
        messages.warning(f"{root_url}/{ownership.PATH} stays, which keeps other instances from this prefix: {error}")


def warn_of_leftovers(root_url: str) -> None:
    """Say so if a bucket that is nobody's holds stored bytes: to a new instance they are what nothing needs.

    Raises:
        StorageError: The bucket cannot be read.
    """
    if "://" in root_url and next(_store(root_url).list(), None) is not None:
        messages.warning(
            f"{root_url} holds stored bytes of an instance that is gone, or was made before instances marked their "
            "buckets: the new one's `lamin gc` would remove them"
        )


def _store(root_url: str) -> RemoteStore:
    from lamindb.storage.remote import RemoteStore

    return RemoteStore(root_url)
