"""Addresses of storages in buckets, taken literally: percent signs, `?` and `#` are part of the names there."""

from __future__ import annotations

import re
from typing import Final

from lamindb.core import keys
from lamindb.core.text import public_address
from lamindb.errors import InvalidInputError

SCHEMES: Final = ("s3", "gs", "az", "memory")

_BUCKET: Final = re.compile(r"[A-Za-z0-9._$-]+", re.ASCII)
_OTHER_SCHEMES: Final = {"s3a": "s3", "s3n": "s3"}
"""The names that Hadoop has for S3."""


def canonical(url: str) -> str:
    """Return the one way to write an address that may be written in several: `s3a://b/x/` is `s3://b/x`.

    Nothing else changes: percent signs, `?` and `#` are part of the names in a bucket.
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    return f"{_OTHER_SCHEMES.get(scheme, scheme)}{separator}{rest.rstrip('/')}"


def split(url: str) -> tuple[str, str, str]:
    """Split the address of a root, taken literally, into scheme, bucket and prefix without slashes at the ends.

    Raises:
        InvalidInputError: The address is of no known kind, names no bucket, holds a secret, or has a prefix that cannot
            be one.
    """
    scheme, _, rest = canonical(url).partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme not in SCHEMES or not _BUCKET.fullmatch(bucket) or public_address(url) != url:
        raise InvalidInputError(
            f"'{public_address(url)}' is not a storage address: pass a folder, or s3://bucket/prefix, "
            "gs://bucket/prefix or az://container/prefix; put credentials in the environment"
        )
    if prefix and any(part in {"", ".", ".."} for part in prefix.split("/")):
        raise InvalidInputError(f"{url!a} has an empty part, '.' or '..': name each folder plainly")
    unusual = keys.unusable_character(prefix)
    if unusual is not None:
        raise InvalidInputError(f"{url!a} has the character U+{ord(unusual):04X}, which no address may have: remove it")
    return scheme, bucket, prefix
