"""Addresses of objects as paths that pandas, zarr, anndata and others open.

The packages that they build upon are loaded when the first path is made. A pickled path holds its address only:
another process opens it with the credentials of its own environment.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from lamindb.errors import InvalidInputError, UnsupportedError
from lamindb.storage import bucket_client
from lamindb.storage.bucket_files import BucketFiles
from lamindb.storage.folder_files import PROTOCOL, FolderFiles, folder_address, own_address

_PROTOCOLS: Final = {
    "S3Files": "s3",
    "GSFiles": "gs",
    "AZFiles": "az",
    "Folders": PROTOCOL,
}
"""The names of the classes of file systems, which other processes find them by, and their protocols."""


def universal_path(url: str, *, is_folder: bool = False) -> Any:
    """Return the `UPath` of an address, which reads with the credentials and the endpoint of the environment.

    Args:
        url: The address of an object or of another place in a bucket; of a manifest if it is a folder.
        is_folder: Let the path be that of a stored folder, below which its members are.

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
            f"'{url}' needs a package that is not installed: pip install 'lamindb[objects]'"
        ) from error


def file_system(protocol: str) -> Any:
    """Return the file system of a protocol, such as `s3`, or `lamindb` for stored folders."""
    return _file_system_class(protocol)()


def __getattr__(name: str) -> Any:
    """Make a class when it is asked for by name, as unpickling does."""
    if name == "ObjectPath":
        return _path_class()
    if name in _PROTOCOLS:
        return _file_system_class(_PROTOCOLS[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@lru_cache(maxsize=1)
def _path_class() -> type[Any]:
    """Make the class of a path; it tells its address where a path is asked for, as pandas does.

    Where the plain address would lead a package that has a client of its own elsewhere, it tells one of our own.
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
        """Let the base class do what would take the address for a path on this machine."""

        def method(self: Any, *arguments: Any, **options: Any) -> Any:
            return getattr(PlainPath(str(self)), name)(*arguments, **options)

        return method

    for name in ("read_bytes", "read_text", "write_bytes", "write_text", "copy", "copy_into", "move", "move_into"):
        setattr(ObjectPath, name, plainly(name))
    return ObjectPath


@lru_cache(maxsize=8)
def _file_system_class(protocol: str) -> type[Any]:
    """Make the class of a file system; it serves our own addresses as text, and plain ones where nobody else does."""
    import fsspec

    names = [name for name, found in _PROTOCOLS.items() if found == protocol]
    if not names:
        raise InvalidInputError(
            f"'{protocol}' is no kind of object store: pass one of {', '.join(bucket_client.SCHEMES)}"
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
