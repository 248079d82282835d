"""The files of a stored folder under their names, as a file system that other packages read, and nobody writes.

A folder in a bucket is a manifest and the objects of its members. Its address here is made of that of its manifest,
such as `lamindb://s3/bucket/prefix/.lamindb/objects/ab/abcd….zarr`; its members lie below.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, NoReturn

from blake3 import blake3

from lamindb.errors import ReadOnlyError
from lamindb.storage import bucket_client, manifest
from lamindb.storage.base import Member, ObjectName
from lamindb.storage.bucket import FOLDER, PIECE, Bucket

PROTOCOL: Final = "lamindb"
_KEPT: Final = 64
_ADDRESS: Final = re.compile(
    rf"(?P<scheme>[a-z0-9]+)/(?P<root>.+?)/{re.escape(FOLDER)}/[0-9a-f]{{2}}/(?P<name>[^/]+)(?:/(?P<member>.+))?"
)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A stored folder: what each of its folders holds, by relative path, "" being the folder itself."""

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
    """What an asynchronous file system of fsspec's needs to show stored folders; a base class of one.

    Bytes are read with the credentials of the environment. A whole file is checked by its digest; a part cannot be.
    Reading raises `IntegrityError` for a member whose object is missing or damaged, and `StorageError` where the bucket
    fails; what would change something raises `ReadOnlyError`.
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
        folder = self._folders.get((address, bucket_client.environment()))
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
        key = (address, bucket_client.environment())
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
    """Return the address of what is no stored folder under which only our own file systems serve it."""
    # Letters and digits only: some packages take no other scheme for one.
    return f"{PROTOCOL}{url}"


def unchangeable(path: str) -> ReadOnlyError:
    """Make the error for what would change stored bytes."""
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

    for first in range(start, end, PIECE):
        length = min(PIECE, end - first)
        with bucket.failing(f"read '{bucket.object_path(member.name)}'"):
            try:
                found = await obstore.get_range_async(
                    bucket.backend, bucket.path(member.name), start=first, length=length
                )
            except FileNotFoundError as error:
                # Not as a file that is missing: zarr takes these for chunks that nobody wrote.
                raise bucket.missing(member.name) from error
        yield bytes(found)
