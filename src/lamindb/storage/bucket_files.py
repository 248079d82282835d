"""A bucket as a file system that other packages use, in which nobody changes what is stored."""

from __future__ import annotations

from typing import Any

from lamindb.storage import bucket_client, forking
from lamindb.storage.folder_files import own_address, unchangeable

# The base class is heavy; that of obstore takes its place where a class is made of this one.
_Base: Any = object


class BucketFiles(_Base):  # type: ignore[misc]
    """What is ours in a file system of a bucket; a base class beside that of obstore.

    It serves plain addresses and our own ones. Credentials, endpoint and time limits come from the environment, and are
    no part of it when it is sent to another process. What would change something under `.lamindb/` raises
    `ReadOnlyError`.
    """

    protocol: str

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._opened: dict[tuple[str, int], Any] = {}
        # The inherited cache would keep using a server that the environment no longer names.
        super().__init__(*arguments, **{**options, "max_cache_size": 0})

    def _construct_store(self, bucket: str) -> Any:
        key = (bucket, bucket_client.environment())
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
        forking.use()
        return super()._split_path(path.removeprefix(own_address(f"{self.protocol}://")))

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
