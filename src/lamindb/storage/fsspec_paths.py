"""Addresses of objects as paths that pandas, zarr, anndata and others open.

The packages that they build upon are imported when the first path is made. A pickled path holds its address only:
another process opens it with the credentials of its own environment.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO, Final, NoReturn
from urllib.parse import urlsplit

from blake3 import blake3

from lamindb.core import storage_url
from lamindb.core.requirements import pip_install
from lamindb.errors import InvalidInputError, ReadOnlyError, UnsupportedError
from lamindb.storage import bucket_client, manifest
from lamindb.storage.base import Member, ObjectName
from lamindb.storage.bucket import FOLDER, READ_SIZE, Bucket, fork_guard

PROTOCOL: Final = "lamindb"
_KEPT: Final = 64
_ADDRESS: Final = re.compile(
    rf"(?P<scheme>[a-z0-9]+)/(?P<root>.+?)/{re.escape(FOLDER)}/[0-9a-f]{{2}}/(?P<name>[^/]+)(?:/(?P<member>.+))?"
)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A stored folder: the entries of each folder in it, by relative path; "" is the folder itself."""

    bucket: Bucket
    entries: dict[str, dict[str, Member | None]]

    def find(self, relative: str) -> Member | None:
        """Return a member; None for a folder.

        Raises:
            FileNotFoundError: There is neither.
        """
        if relative in self.entries:
            return None
        above, _, name = relative.rpartition("/")
        member = self.entries.get(above, {}).get(name)
        if member is None:
            raise FileNotFoundError(relative)
        return member


class FolderFiles:
    """Stored folders as an asynchronous file system of fsspec; a base class of one.

    Bytes are read with the credentials of the environment. A whole file is checked by its digest; a range cannot be.
    Reading raises `IntegrityError` for a member whose object is missing or damaged, and `StorageError` where the bucket
    fails; a write raises `ReadOnlyError`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._folders: OrderedDict[tuple[str, int], _Folder] = OrderedDict()

    async def _info(self, path: str, **options: Any) -> dict[str, Any]:
        del options
        folder, relative, path = await self._look_up(path)
        return _info(path, folder.find(relative))

    async def _ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        del options
        folder, relative, path = await self._look_up(path)
        member = folder.find(relative)
        entries = [(path, member)] if member is not None else _below(path, folder.entries[relative])
        return [_info(found, member) if detail else found for found, member in entries]

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        del options
        folder, member = await self._member(path)
        first, last = _bounds(start, end, member.size)
        data = b"".join([piece async for piece in _pieces(folder.bucket, member, first, last)])
        if len(data) == member.size and blake3(data).hexdigest() != member.digest:
            raise folder.bucket.damaged(member.name)
        return data

    async def _get_file(self, rpath: str, lpath: str, **options: Any) -> None:
        del options
        folder, relative, _ = await self._look_up(rpath)
        member = folder.find(relative)
        if member is None:
            os.makedirs(lpath, exist_ok=True)
            return
        os.makedirs(os.path.dirname(lpath) or ".", exist_ok=True)
        hasher = blake3()
        with open(lpath, "wb") as stream:
            async for piece in _pieces(folder.bucket, member, 0, member.size):
                hasher.update(piece)
                stream.write(piece)
        if hasher.hexdigest() != member.digest:
            os.unlink(lpath)
            raise folder.bucket.damaged(member.name)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> BinaryIO:
        del options
        if mode != "rb":
            self._refuse(path)
        address, relative, _ = self._split(path)
        folder = self._load(address)
        member = folder.find(relative)
        if member is None:
            raise IsADirectoryError(path)
        return folder.bucket.open(member.name)

    async def _look_up(self, path: str) -> tuple[_Folder, str, str]:
        address, relative, path = self._split(path)
        folder = self._folders.get((address, bucket_client.environment_hash()))
        if folder is None:
            import asyncio

            folder = await asyncio.to_thread(self._load, address)
        return folder, relative, path

    async def _member(self, path: str) -> tuple[_Folder, Member]:
        folder, relative, path = await self._look_up(path)
        member = folder.find(relative)
        if member is None:
            raise IsADirectoryError(path)
        return folder, member

    def _split(self, path: str) -> tuple[str, str, str]:
        """Split a path into that of the manifest and that of a member, "" for none; also return it without protocol."""
        path = path.removeprefix(f"{PROTOCOL}://").strip("/")
        found = _ADDRESS.fullmatch(path)
        if found is None or ObjectName.parse(found["name"]) is None:
            raise FileNotFoundError(path)
        relative = found["member"] or ""
        return path.removesuffix(f"/{relative}") if relative else path, relative, path

    def _load(self, address: str) -> _Folder:
        key = (address, bucket_client.environment_hash())
        folder = self._folders.get(key)
        if folder is None:
            found = _ADDRESS.fullmatch(address)
            name = ObjectName.parse(found["name"]) if found is not None else None
            if found is None or name is None:
                raise FileNotFoundError(address)
            bucket = Bucket(f"{found['scheme']}://{found['root']}")
            members = manifest.parse_manifest(name, bucket.read(name))
            folder = self._folders[key] = _Folder(bucket, _tree(members))
            while len(self._folders) > _KEPT:
                self._folders.popitem(last=False)
        return folder

    def _refuse(self, path: str, *others: Any, **options: Any) -> NoReturn:
        del others, options
        raise unchangeable(path)

    async def _refuse_later(self, path: str, *others: Any, **options: Any) -> NoReturn:
        self._refuse(path, *others, **options)

    async def _refuse_second(self, first: str, path: str, *others: Any, **options: Any) -> NoReturn:
        self._refuse(path, first, *others, **options)

    mkdir = makedirs = rmdir = touch = _refuse
    _pipe_file = _rm_file = _rm = _mkdir = _makedirs = _touch = _refuse_later
    _put_file = _cp_file = _refuse_second


def folder_address(url: str) -> str:
    """Return the address of a folder from that of its manifest."""
    return f"{PROTOCOL}://{url.replace('://', '/', 1)}"


def own_address(url: str) -> str:
    """Return the address of an object under which only our own file systems serve it."""
    # Letters and digits only: some packages recognise no other scheme.
    return f"{PROTOCOL}{url}"


def unchangeable(path: str) -> ReadOnlyError:
    """Return the error for a write to stored bytes."""
    return ReadOnlyError(f"'{path}' cannot be changed: stored bytes never are; save a new version instead")


def _tree(members: tuple[Member, ...]) -> dict[str, dict[str, Member | None]]:
    entries: dict[str, dict[str, Member | None]] = {"": {}}
    for member in members:
        above, _, name = member.path.rpartition("/")
        entries.setdefault(above, {})[name] = member
        while above:
            below = above
            above, _, name = above.rpartition("/")
            if name in entries.setdefault(above, {}):
                break
            entries[above][name] = None
            entries.setdefault(below, {})
    return entries


def _below(path: str, entries: dict[str, Member | None]) -> list[tuple[str, Member | None]]:
    return [(f"{path}/{name}", member) for name, member in sorted(entries.items())]


def _info(path: str, member: Member | None) -> dict[str, Any]:
    if member is None:
        return {"name": path, "size": 0, "type": "directory"}
    return {"name": path, "size": member.size, "type": "file", "digest": member.digest}


def _bounds(start: int | None, end: int | None, size: int) -> tuple[int, int]:
    first, last, _ = slice(start, end).indices(size)
    return first, max(first, last)


async def _pieces(bucket: Bucket, member: Member, start: int, end: int) -> AsyncIterator[bytes]:
    import obstore

    for first in range(start, end, READ_SIZE):
        length = min(READ_SIZE, end - first)
        with bucket.translate_errors(f"read '{bucket.object_path(member.name)}'"):
            try:
                found = await obstore.get_range_async(
                    bucket.backend, bucket.path(member.name), start=first, length=length
                )
            except FileNotFoundError as error:
                # Not FileNotFoundError: zarr takes it for a chunk that was never written.
                raise bucket.missing(member.name) from error
        yield bytes(found)


# Importing obstore's class takes long: it becomes the base when a class is made of this one.
_Base: Any = object


class BucketFiles(_Base):  # type: ignore[misc]
    """Our part of the file system of a bucket; a base class beside obstore's.

    It serves plain addresses and our own ones. Credentials, endpoint and time limits come from the environment, and are
    no part of it when it is sent to another process. A write under `.lamindb/` raises `ReadOnlyError`.
    """

    protocol: str

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._opened: dict[tuple[str, int], Any] = {}
        # The inherited cache would keep a server that the environment no longer names.
        super().__init__(*arguments, **{**options, "max_cache_size": 0})

    def _construct_store(self, bucket: str) -> Any:
        key = (bucket, bucket_client.environment_hash())
        found = self._opened.get(key)
        if found is None:
            found = self._opened[key] = bucket_client.open_bucket(f"{self.protocol}://{bucket}")
        return found

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        from fsspec.utils import stringify_path

        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return super()._strip_protocol(stringify_path(path).removeprefix(own_address(f"{cls.protocol}://")))

    def _split_path(self, path: str) -> Any:
        fork_guard.check()
        # The inherited method takes a `?` or `#` in the name of an object for the end of it.
        bucket, _, inside = self._strip_protocol(path).partition("/")
        return bucket, inside

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> Any:
        if (start is None) != (end is None):
            size = (await self._info(path))["size"]
            start, end, _ = slice(start, end).indices(size)
        if start is not None and end is not None and start >= end:
            return b""
        return await super()._cat_file(path, start, end, **options)

    async def _rm_file(self, path: str, **options: Any) -> None:
        _check(path)
        await super()._rm_file(path, **options)

    async def _cp_file(self, path1: str, path2: str, **options: Any) -> None:
        _check(path2)
        await super()._cp_file(path1, path2, **options)

    async def _pipe_file(self, path: str, value: Any, **options: Any) -> Any:
        _check(path)
        return await super()._pipe_file(path, value, **options)

    async def _put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        _check(rpath)
        await super()._put_file(lpath, rpath, **options)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode != "rb":
            _check(path)
        return super()._open(path, mode, **options)


def _check(path: str) -> None:
    if ".lamindb" in path.split("/"):
        raise unchangeable(path)


_PROTOCOLS: Final = {
    "S3Files": "s3",
    "GSFiles": "gs",
    "AZFiles": "az",
    "Folders": PROTOCOL,
}
"""The names of the classes of file systems, by which pickle finds them, and their protocols."""


def universal_path(url: str, *, is_folder: bool = False) -> Any:
    """Return the `UPath` of an address, which reads with the credentials and the endpoint of the environment.

    Args:
        url: The address of an object or another key of a bucket; of a manifest if it is a folder.
        is_folder: Return the path of a stored folder, below which its members are.

    Raises:
        UnsupportedError: A package is not installed, or the address is one in memory.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        raise UnsupportedError(f"'{url}' is in this process's memory, which other packages cannot open: use stage()")
    try:
        return _path_class()(folder_address(url) if is_folder else url)
    except ImportError as error:
        raise UnsupportedError(
            f"'{url}' needs packages that are not installed: {pip_install('obstore', 'upath', 'fsspec')}"
        ) from error


def file_system(protocol: str) -> Any:
    """Return the file system of a protocol, such as `s3`, or `lamindb` for stored folders."""
    return _file_system_class(protocol)()


def __getattr__(name: str) -> Any:
    """Return a class by its name, as unpickling asks for it."""
    if name == "ObjectPath":
        return _path_class()
    if name in _PROTOCOLS:
        return _file_system_class(_PROTOCOLS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@lru_cache(maxsize=1)
def _path_class() -> type[Any]:
    """Return the class of paths. `os.fspath`, which pandas calls, gives its address.

    Where a package with a client of its own would not reach the plain address, it gives one of our own.
    """
    from upath.implementations.cloud import CloudPath

    class PlainPath(CloudPath):
        __slots__ = ()

        def __new__(cls, *segments: Any, **options: Any) -> Any:
            # The inherited method would make an object of the class that is registered for the protocol.
            del segments, options
            return object.__new__(cls)

        def __init__(self, *segments: Any, protocol: str | None = None, **options: Any) -> None:
            _file_system_class(protocol or urlsplit(str(segments[0])).scheme)
            super().__init__(*segments, protocol=protocol, **options)

        @classmethod
        def _fs_factory(cls, urlpath: str, protocol: str, storage_options: Any) -> Any:
            del urlpath, storage_options
            return file_system(protocol)

    class ObjectPath(PlainPath):
        __slots__ = ()
        __qualname__ = "ObjectPath"

        def __fspath__(self) -> str:
            url = str(self)
            # What begins otherwise is a relative path.
            if not url.startswith(f"{self.protocol}://") or self.protocol == PROTOCOL:
                return url
            return url if bucket_client.is_plain(self.protocol) else own_address(url)

    def plainly(name: str) -> Any:
        """Return a method of the base class, for one that would take the address for a path on this machine."""

        def method(self: Any, *arguments: Any, **options: Any) -> Any:
            return getattr(PlainPath(str(self)), name)(*arguments, **options)

        return method

    for name in ("read_bytes", "read_text", "write_bytes", "write_text", "copy", "copy_into", "move", "move_into"):
        setattr(ObjectPath, name, plainly(name))
    return ObjectPath


@lru_cache(maxsize=8)
def _file_system_class(protocol: str) -> type[Any]:
    """Return the class of a file system. It serves our own addresses, and plain ones where no other package does."""
    import fsspec

    names = [name for name, found in _PROTOCOLS.items() if found == protocol]
    if not names:
        raise InvalidInputError(
            f"'{protocol}' is not a kind of object store: pass one of {', '.join(storage_url.SCHEMES)}"
        )
    bases: tuple[type[Any], ...]
    if protocol == PROTOCOL:
        from fsspec.asyn import AsyncFileSystem

        bases = (FolderFiles, AsyncFileSystem)
    else:
        from obstore.fsspec import FsspecStore

        bases = (BucketFiles, FsspecStore)
    made = type(names[0], bases, {"__module__": __name__, "protocol": protocol, "async_impl": True, "root_marker": ""})
    if protocol == PROTOCOL or not _is_served(protocol):
        fsspec.register_implementation(protocol, made, clobber=True)
    if protocol != PROTOCOL:
        fsspec.register_implementation(own_address(protocol), made, clobber=True)
    return made


def _is_served(protocol: str) -> bool:
    import fsspec

    try:
        fsspec.get_filesystem_class(protocol)
    except (ImportError, ValueError):
        return False
    return True
