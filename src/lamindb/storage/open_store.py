"""Open the store of a root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamindb.storage.local import LocalStore

if TYPE_CHECKING:
    from lamindb.storage.base import ObjectStore
    from lamindb.storage.cache import Cache
    from lamindb.storage.hash_cache import HashCache


def open_store(
    root_url: str, *, read_only: bool = False, cache: Cache | None = None, hash_cache: HashCache | None = None
) -> ObjectStore:
    """Open the store of a root; nothing is read or written, so that a missing root is noticed later.

    Args:
        root_url: An absolute path, or an address: `s3://bucket/prefix`, `gs://…`, `az://…`, `memory://name`.
        read_only: Refuse to write.
        cache: Keeps local copies of remote objects; None: as long as the process runs.
        hash_cache: Remembers unchanged files; None for none.

    Raises:
        InvalidInputError: The address is of no known kind.
        UnsupportedError: A package for this kind is not installed.
        StorageError: The credentials for it cannot be read.
    """
    if "://" not in root_url:
        return LocalStore(root_url, hash_cache=hash_cache, read_only=read_only)
    from lamindb.storage.remote import RemoteStore

    return RemoteStore(root_url, cache=cache, hash_cache=hash_cache, read_only=read_only)
