"""The ownership marker of a storage: an object in a bucket, `instance.toml` in a folder. It holds no secret."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from lamindb.core import documents, ids, messages
from lamindb.errors import ConflictError, InvalidInputError, NoInstanceError, StorageError, UnsupportedError
from lamindb.storage.object_folder import refuse_links
from lamindb.storage.os_errors import storage_failed

if TYPE_CHECKING:
    from lamindb.records.open_instance import Instance
    from lamindb.storage.remote import RemoteStore

PATH: Final = ".lamindb/instance.toml"
"""The path of the marker below the root."""

_FORMAT: Final = 1


class Owner(NamedTuple):
    """The instance that owns a storage.

    Attributes:
        id: The instance's id.
        name: Its name when it claimed the storage.
    """

    id: str
    name: str


def read(store: RemoteStore) -> Owner | None:
    """Return the owner of a bucket's root, None if it has no marker.

    Raises:
        InvalidInputError: The marker is damaged.
        StorageError: The bucket cannot be read.
    """
    import obstore

    with store.translate_errors(f"read '{store.root_url}/{PATH}'"):
        try:
            data = bytes(obstore.get(store.backend, PATH).bytes())
        except FileNotFoundError:
            return None
    return _parse(f"{store.root_url}/{PATH}", data)


def _parse(where: str, data: bytes) -> Owner:
    try:
        values = documents.parse_toml(data.decode())
        found = Owner(values["id"], values["name"])
        if not ids.is_id(found.id) or not isinstance(found.name, str):
            raise ValueError("its id or its name cannot be one")
    except (ValueError, KeyError) as error:
        raise InvalidInputError(f"'{where}' is damaged, so that the owner is not known: {error}") from error
    return found


def create(store: RemoteStore, claimant: Owner) -> bool:
    """Write the marker of a root atomically; of several instances at once, one succeeds.

    A server without conditional writes gets it by a plain write, and is read afterwards: two instances that write at
    the same time may both succeed there, which is shown as a warning.

    Returns:
        False if there is a marker already, of any instance.

    Raises:
        StorageError: The bucket cannot be written.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    store.check_writable()
    lines = [
        "# What lies below .lamindb/ belongs to this instance of lamindb, and only it may remove anything here.",
        f"format = {_FORMAT}",
        f"id = {json.dumps(claimant.id)}",
        f"name = {json.dumps(claimant.name, ensure_ascii=False)}",
    ]
    text = "\n".join(lines) + "\n"
    with store.translate_errors(f"write to '{store.root_url}'", writing=True):
        try:
            if store.create(PATH, text.encode()) is not None:
                return True
        except (AlreadyExistsError, PreconditionError):
            return False
    if read(store) is not None:
        return False
    with store.translate_errors(f"write to '{store.root_url}'", writing=True):
        obstore.put(store.backend, PATH, text.encode())
    messages.warning(
        f"the server of {store.root_url} cannot keep two instances from claiming it at the same time: "
        "make them there one after another"
    )
    return read(store) == claimant


def remove(store: RemoteStore) -> None:
    """Remove the marker; idempotent.

    Raises:
        StorageError: The bucket cannot be written.
    """
    import obstore

    store.check_writable()
    with store.translate_errors(f"write to '{store.root_url}'", writing=True), contextlib.suppress(FileNotFoundError):
        obstore.delete(store.backend, PATH)


_TRIES: Final = 10
_NOTE: Final = "marked"
"""A file in the instance's folder: its marker was seen in the bucket, so that connecting needs no request."""


def owner(root_url: str) -> Owner | None:
    """Return the owner of a bucket; None if it has none, and for a folder.

    Raises:
        InvalidInputError: Its marker is damaged.
        StorageError: The bucket cannot be read.
    """
    return read(_store(root_url)) if "://" in root_url else None


def claim(root_url: str, claimant: Owner, home: Path | None = None) -> None:
    """Make an instance the owner of a bucket; idempotent. For a folder, do nothing.

    Args:
        root_url: The storage root.
        claimant: The instance.
        home: The instance's folder, where a note of it is kept.

    Raises:
        ConflictError: It is another instance's, also if that came first just now. Nothing was changed.
        StorageError: The bucket cannot be read or written.
    """
    if "://" not in root_url:
        return
    store = _store(root_url)
    _claim(store, claimant)
    if home is not None:
        with contextlib.suppress(OSError):
            (home / _NOTE).touch()


def _claim(store: RemoteStore, claimant: Owner) -> None:
    for _ in range(_TRIES):
        found = read(store)
        if found is not None and found.id != claimant.id:
            raise owned_by_another(store.root_url, found)
        if found is not None or create(store, claimant):
            return
        # Another instance was first; if its marker was removed since, try again.
    raise StorageError(
        f"{store.root_url}/{PATH} keeps appearing and disappearing: wait until no other process works there, then call "
        "again"
    )


def owned_by_another(root_url: str, other: Owner) -> ConflictError:
    """Return the error for a bucket of another instance."""
    return ConflictError(
        f"{root_url} belongs to another instance, {other.name!r} (id {other.id}): choose another prefix, or work in "
        f"that instance with its own database; if it is gone for good, remove {root_url}/{PATH}"
    )


def check(instance: Instance) -> None:
    """Refuse to look for what can be removed from a storage that is another instance's; writes nothing.

    Raises:
        NoInstanceError: The folder holds no instance any more.
        ConflictError: It is another instance's.
        InvalidInputError: The ownership marker is damaged, or a folder of the library's is a symbolic link.
        StorageError: The storage cannot be read.
    """
    if instance.is_local:
        _check_folder(instance)
        return
    found = owner(instance.root_url)
    if found is not None and found.id != instance.id:
        raise owned_by_another(instance.root_url, found)


def claim_for_removal(instance: Instance) -> None:
    """Make sure that the storage is this instance's, before anything is removed from it.

    Raises:
        LaminError: As for `check` in a folder, and for `claim` in a bucket.
    """
    if instance.is_local:
        _check_folder(instance)
        return
    claim(instance.root_url, Owner(instance.id, instance.name), instance.home_path)


def _check_folder(instance: Instance) -> None:
    """Refuse a folder in which another instance was made since this one was opened, or whose own folders are links."""
    path = f"{instance.root_url}/{PATH}"
    try:
        with open(path, "rb") as stream:
            found = _parse(path, stream.read(documents.MAX_BYTES))
    except FileNotFoundError as error:
        raise NoInstanceError(f"'{path}' is gone: nothing was removed") from error
    except OSError as error:
        raise storage_failed("read", path, error) from error
    if found.id != instance.id:
        raise ConflictError(
            f"{instance.root_url} belongs to another instance by now, {found.name!r} (id {found.id}): nothing was "
            "removed; connect it anew"
        )
    refuse_links(instance.root_url)


def claim_on_connect(instance: Instance) -> None:
    """Claim the bucket of a connected instance if that was never done; warn if it is another instance's.

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
        messages.debug(f"{instance.root_url} was not claimed: {error}")


def claim_if_reachable(root_url: str, claimant: Owner, home: Path) -> None:
    """Claim the bucket of an existing instance as `claim` does; one that cannot be reached is left.

    Raises:
        ConflictError: It is another instance's.
    """
    try:
        claim(root_url, claimant, home)
    except (StorageError, UnsupportedError) as error:
        messages.debug(f"{root_url} was not claimed: {error}")


def release(root_url: str, instance_id: str, home: Path) -> None:
    """Remove an instance's marker from a bucket that it no longer uses; another's stays. For a folder, do nothing."""
    if "://" not in root_url:
        return
    with contextlib.suppress(OSError):
        (home / _NOTE).unlink(missing_ok=True)
    try:
        store = _store(root_url)
        found = read(store)
        if found is not None and found.id == instance_id:
            remove(store)
    except (StorageError, InvalidInputError, UnsupportedError) as error:
        messages.warning(f"{root_url}/{PATH} stays, which keeps other instances from this prefix: {error}")


def warn_of_leftovers(root_url: str) -> None:
    """Warn if a bucket without an owner holds objects: a new instance's garbage collection would remove them.

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
