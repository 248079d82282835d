"""From the address of a root to its store."""

from __future__ import annotations

from lamindb.core.errors import InvalidInputError
from lamindb.storage.cache import Cache
from lamindb.storage.hash_cache import HashCache
from lamindb.storage.local import LocalStore
from lamindb.storage.protocol import ObjectStore


def open_store(
    root_url: str, *, read_only: bool = False, cache: Cache | None = None, hash_cache: HashCache | None = None
) -> ObjectStore:
    """Open the store of a root; nothing is read or written, so a root that is not there is found later.

    Args:
        root_url: An absolute path, or an address: `s3://bucket/prefix`, `gs://…`, `az://…`, `memory://name`.
        read_only: Refuse to write.
        cache: Keeps local copies of remote objects; None for none.
        hash_cache: Remembers unchanged files; None for none.

    Raises:
        InvalidInputError: The address is of no known kind.
        UnsupportedError: A package for this kind is not installed.
    """
    if "://" not in root_url:
        return LocalStore(root_url, hash_cache=hash_cache, read_only=read_only)
    raise InvalidInputError(f"'{root_url}' is of no known kind: pass a folder, s3://…, gs://… or az://…")
