"""Addresses of objects as paths that pandas, zarr, anndata and others open."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from lamindb.core.errors import UnsupportedError
from lamindb.storage import backends


def universal_path(url: str) -> Any:
    """Return the `UPath` of an address, which reads with the credentials and the endpoint of the environment.

    Raises:
        UnsupportedError: A package is not installed, or the address is one in memory.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        raise UnsupportedError(f"'{url}' is in this process's memory, which other packages cannot open: use stage()")
    try:
        return _path_class(scheme).of(url)
    except ImportError as error:
        raise UnsupportedError(
            f"'{url}' needs a package that is not installed: pip install 'lamindb[objects]'"
        ) from error


@lru_cache(maxsize=4)
def _path_class(scheme: str) -> type[Any]:
    """Make the class of a path; it tells its address where a path is asked for, as pandas does."""
    from upath.registry import get_upath_class

    base: type[Any] | None = get_upath_class(scheme)
    if base is None:
        raise ImportError(f"no paths for {scheme}")

    def make(cls: type[Any], segments: Any) -> Any:
        # The class's own call would make an object of the class that is registered for the scheme.
        made = object.__new__(cls)
        made.__init__(*segments, protocol=scheme)
        made._fs_cached = _file_system(scheme)()
        return made

    class ObjectPath(base):  # type: ignore[valid-type,misc]
        __slots__ = ()

        @classmethod
        def of(cls, url: str) -> Any:
            return make(cls, (url,))

        def with_segments(self, *segments: Any) -> Any:
            return make(type(self), segments)

        def __fspath__(self) -> str:
            return str(self)

    def plainly(name: str) -> Any:
        """Let the base class do what would take the address for a path on this machine."""

        def method(self: Any, *arguments: Any, **options: Any) -> Any:
            return getattr(make(base, (str(self),)), name)(*arguments, **options)

        return method

    for name in ("read_bytes", "read_text", "write_bytes", "write_text", "copy", "copy_into", "move", "move_into"):
        setattr(ObjectPath, name, plainly(name))
    return ObjectPath


@lru_cache(maxsize=4)
def _file_system(scheme: str) -> type[Any]:
    """Make the class of a file system; it serves addresses as text too where no other package does."""
    import fsspec
    from obstore.fsspec import FsspecStore

    class LaminFileSystem(FsspecStore):
        protocol = scheme

        def _construct_store(self, bucket: str) -> Any:
            return backends.open_bucket(f"{scheme}://{bucket}")

    try:
        fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError):
        fsspec.register_implementation(scheme, LaminFileSystem, clobber=True)
    return LaminFileSystem
