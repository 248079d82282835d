"""Files of a bucket that are registered in place: read under their keys, never written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from lamindb.core import filesystem
from lamindb.core.hashing import Content, Hasher
from lamindb.errors import IntegrityError, SourceChangedError, SourceNotFoundError
from lamindb.storage.base import ObjectName
from lamindb.storage.bucket import READ_SIZE
from lamindb.storage.hash_cache import Known
from lamindb.storage.remote import RemoteStore, stat_of


def content_of_key(store: RemoteStore, key: str) -> Content:
    """Return the hashes of a file in a bucket; it is not read again while its size and ETag stay.

    Raises:
        SourceNotFoundError: There is no such file.
        SourceChangedError: It changed while it was read.
        StorageError: The bucket cannot be read.
    """
    url = f"{store.root_url}/{key}"
    size, tag = _head(store, key)
    stat = stat_of(size, tag)
    known = store.hash_cache.get(url, stat) if stat is not None else None
    if known is not None:
        return known
    hasher = Hasher()
    for piece in _pieces(store, key, size):
        hasher.update(piece)
    if _head(store, key) != (size, tag):
        raise SourceChangedError(f"'{url}' changed while it was read: nothing was saved; try again")
    content = hasher.content()
    if stat is not None:
        store.hash_cache.put(Known(url, stat, content))
    return content


def local_copy_of_key(store: RemoteStore, key: str, name: ObjectName, filename: str) -> Path:
    """Return a local file with the bytes that were registered, from the cache or the bucket.

    Raises:
        IntegrityError: The file in the bucket is missing, or has other bytes than were registered.
        StorageError: The bucket or the cache failed.
    """

    def download(wanted: ObjectName, descriptor: int) -> None:
        hasher = blake3()
        try:
            size, _ = _head(store, key)
        except SourceNotFoundError as error:
            raise IntegrityError(f"'{store.root_url}/{key}' is gone, and no other copy is kept") from error
        for piece in _pieces(store, key, size):
            hasher.update(piece)
            filesystem.write_all(descriptor, piece)
        if hasher.hexdigest() != wanted.digest:
            raise IntegrityError(
                f"'{store.root_url}/{key}' was changed since it was registered, and old bytes of files that stay in "
                "place are not kept: register it again as a new version"
            )

    return store.cache.file(name, filename, download)


def _head(store: RemoteStore, key: str) -> tuple[int, str | None]:
    import obstore

    with store.translate_errors(f"read '{store.root_url}/{key}'"):
        try:
            found = obstore.head(store.backend, key)
        except FileNotFoundError as error:
            raise SourceNotFoundError(f"there is no file '{store.root_url}/{key}'") from error
    return found["size"], found["e_tag"]


def _pieces(store: RemoteStore, key: str, size: int) -> Iterator[bytes]:
    import obstore

    for start in range(0, size, READ_SIZE):
        with store.translate_errors(f"read '{store.root_url}/{key}'"):
            yield bytes(obstore.get_range(store.backend, key, start=start, length=min(READ_SIZE, size - start)))
