"""Files and folders of a bucket that are registered in place: read under their keys, never written.

A key may end in `?versionId=…`: then it means that version of an object, where the bucket keeps versions.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from lamindb.core import filesystem, keys, storage_url
from lamindb.core.hashing import Content, Hasher
from lamindb.errors import IntegrityError, InvalidKeyError, LaminError, SourceChangedError, SourceNotFoundError
from lamindb.storage import bucket_client, manifest
from lamindb.storage.base import Member, ObjectName
from lamindb.storage.bucket import READ_SIZE
from lamindb.storage.hash_cache import Known
from lamindb.storage.remote import RemoteStore, in_parallel, stat_of

_VERSION: Final = "?versionId="
_REFUSED: Final = re.compile(r"status code: 40[05]\b")
"""How servers answer for text that is no version, and for one that marks a removal."""
_GONE: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})


def check_key(key: str) -> str:
    """Return the key of an object that stays in its bucket, where nearly any text is one, such as `a//b`.

    Raises:
        InvalidKeyError: It is empty, too long, has a control character, or lies in the library's own folder.
    """
    unusual = keys.unusable_character(key)
    if unusual is not None:
        raise InvalidKeyError(f"key {key!a} has the character U+{ord(unusual):04X}, which no key may have")
    if not keys.basename(split_version(key)[0]) or len(key.encode()) > keys.MAX_KEY_BYTES:
        raise InvalidKeyError(f"key {key[:80]!a} names no object: it must have 1 to {keys.MAX_KEY_BYTES:,} bytes")
    if key.split("/", 1)[0].casefold() == keys.HIDDEN_FOLDER:
        raise InvalidKeyError(f"key {key!a} lies in {keys.HIDDEN_FOLDER}/, which belongs to lamindb")
    return key


def split_version(key: str) -> tuple[str, str | None]:
    """Split a key into the path of an object and the version that is meant; None for the current one."""
    path, separator, version = key.partition(_VERSION)
    return (path, version) if separator and version else (key, None)


def is_plain(key: str) -> bool:
    """Return True if paths of other packages can lead to a key: it means no version, and has no part `""` or `..`."""
    return split_version(key)[1] is None and _is_usual(key)


def _is_usual(path: str) -> bool:
    return not any(part in {"", ".", ".."} for part in path.split("/"))


def content_of_key(store: RemoteStore, key: str, *, trusted: bool = True) -> Content:
    """Return the hashes of a file in a bucket.

    Args:
        store: The bucket.
        key: The file.
        trusted: Do not read it again while its size and ETag stay.

    Raises:
        SourceNotFoundError: There is no such file, or no such version of it.
        SourceChangedError: It changed while it was read.
        StorageError: The bucket cannot be read.
    """
    url = f"{store.root_url}/{key}"
    size, tag = _head(store, key)
    stat = stat_of(size, tag)
    known = store.hash_cache.get(url, stat) if stat is not None and trusted else None
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


def members_of(store: RemoteStore, key: str, *, trusted: bool = True) -> tuple[Member, ...]:
    """Return the files below a key, as members of a folder; none if there is no such folder.

    Raises:
        InvalidKeyError: A file has a name that cannot be part of a folder, such as `a//b`.
        SourceChangedError, StorageError: As for `content_of_key`.
    """
    names = _list(store, key)

    def member(name: str) -> Member | None:
        try:
            content = content_of_key(store, f"{key}/{name}", trusted=trusted)
        except SourceNotFoundError:
            # The mark of an empty folder; or it was removed since it was listed.
            return None
        return Member(keys.check_key(name), content.digest, manifest.suffix_of_member(name), content.size)

    found = [one for one in in_parallel(member, names) if one is not None]
    return tuple(sorted(found, key=lambda one: one.path.encode()))


def keys_below(store: RemoteStore, key: str) -> list[str]:
    """Return the keys of all files below a key, sorted; those of the whole storage for an empty key."""
    return [f"{key}/{name}" if key else name for name in _list(store, key)]


def local_copy_of_key(store: RemoteStore, key: str, name: ObjectName, filename: str) -> Path:
    """Return a local file with the bytes that were registered, from the cache or the bucket.

    Raises:
        IntegrityError: The file in the bucket is missing, or has other bytes than were registered.
        StorageError: The bucket or the cache failed.
    """
    return store.cache.file(name, filename, lambda wanted, target: _download(store, key, wanted, target))


def local_copy_of_folder(store: RemoteStore, key: str, name: ObjectName, filename: str) -> Path:
    """Return a local folder with the files that were registered, from the cache or the bucket.

    Raises:
        IntegrityError: The folder in the bucket has other files, or files with other bytes, than were registered.
        StorageError: The bucket or the cache failed.
    """
    members = members_of(store, key)
    if manifest.folder_content(members).digest != name.digest:
        raise _changed(store, key)
    paths = {member.name: member.path for member in members}

    def download(wanted: ObjectName, target: int) -> None:
        _download(store, f"{key}/{paths[wanted]}", wanted, target)

    return store.cache.members(name, filename, members, download)


def _download(store: RemoteStore, key: str, wanted: ObjectName, target: int) -> None:
    hasher = blake3()
    try:
        size, _ = _head(store, key)
    except SourceNotFoundError as error:
        raise IntegrityError(f"{error}, and no other copy is kept") from error
    for piece in _pieces(store, key, size):
        hasher.update(piece)
        filesystem.write_all(target, piece)
    if hasher.hexdigest() != wanted.digest:
        raise _changed(store, key)


def _changed(store: RemoteStore, key: str) -> IntegrityError:
    return IntegrityError(
        f"'{store.root_url}/{key}' was changed since it was registered, and old bytes of files that stay in "
        "place are not kept: register it again as a new version"
    )


def _head(store: RemoteStore, key: str) -> tuple[int, str | None]:
    import obstore
    from obstore.exceptions import BaseError

    path, version = split_version(key)
    if not _is_usual(path):
        found = _ask_boto(store, "head_object", path, version)
        return found["ContentLength"], found.get("ETag")
    with store.translate_errors(f"read '{store.root_url}/{key}'"):
        try:
            if version is None:
                head = obstore.head(store.backend, path)
            else:
                head = obstore.get(store.backend, path, options={"version": version, "head": True}).meta
        except FileNotFoundError as error:
            raise _missing(store, path, version) from error
        except BaseError as error:
            if version is not None and _REFUSED.search(str(error)):
                raise _missing(store, path, version) from error
            raise
    return head["size"], head["e_tag"]


def _missing(store: RemoteStore, path: str, version: str | None) -> SourceNotFoundError:
    url = f"{store.root_url}/{path}"
    return SourceNotFoundError(
        f"there is no version {version!a} of '{url}' (any more)" if version else f"there is no file '{url}'"
    )


def _pieces(store: RemoteStore, key: str, size: int) -> Iterator[bytes]:
    import obstore

    path, version = split_version(key)
    for start in range(0, size, READ_SIZE):
        length = min(READ_SIZE, size - start)
        if not _is_usual(path):
            wanted = f"bytes={start}-{start + length - 1}"
            yield _ask_boto(store, "get_object", path, version, Range=wanted)["Body"].read()
            continue
        with store.translate_errors(f"read '{store.root_url}/{key}'"):
            if version is None:
                yield bytes(obstore.get_range(store.backend, path, start=start, length=length))
            else:
                ranged = obstore.get(
                    store.backend, path, options={"version": version, "range": (start, start + length)}
                )
                yield bytes(ranged.bytes())


def _list(store: RemoteStore, key: str) -> list[str]:
    """Return the names of all objects below a key, relative to it, sorted."""
    import obstore
    from obstore.exceptions import InvalidPathError

    if not key or _is_usual(key):
        with store.translate_errors(f"list '{store.root_url}/{key}'"):
            try:
                found = [one for chunk in obstore.list(store.backend, prefix=key or None) for one in chunk]
                folders = {folder for one in found for folder in _above(one["path"])}
                # Some programs mark a folder by an empty object whose name ends with a slash, which the client strips.
                paths = [one["path"] for one in found if one["size"] > 0 or one["path"] not in folders]
                return sorted(path.removeprefix(f"{key}/") if key else path for path in paths)
            except InvalidPathError:
                # A name such as `a//b`, which the client cannot even skip.
                pass
    _, bucket, prefix = storage_url.split(store.root_url)
    above = "".join(f"{part}/" for part in (prefix, key) if part)
    try:
        pages = store.boto.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=above)
        names = [one["Key"].removeprefix(above) for page in pages for one in page.get("Contents", [])]
    except LaminError:
        raise
    except Exception as error:
        raise bucket_client.translate(error, f"list '{store.root_url}/{key}'") from error
    return sorted(name for name in names if name and not name.endswith("/"))


def _above(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _ask_boto(store: RemoteStore, request: str, path: str, version: str | None, **options: Any) -> Any:
    """Ask for an object whose path the client of buckets cannot express."""
    _, bucket, prefix = storage_url.split(store.root_url)
    if version is not None:
        options["VersionId"] = version
    client = store.boto
    failed: Any = importlib.import_module("botocore.exceptions").ClientError
    try:
        return getattr(client, request)(Bucket=bucket, Key=f"{prefix}/{path}" if prefix else path, **options)
    except failed as error:
        if error.response.get("Error", {}).get("Code") in _GONE:
            raise _missing(store, path, version) from error
        raise bucket_client.translate(error, f"read '{store.root_url}/{path}'") from error
    except Exception as error:
        raise bucket_client.translate(error, f"read '{store.root_url}/{path}'") from error
