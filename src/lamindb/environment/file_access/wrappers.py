"""Wrappers around the entry points of libraries that open files in compiled code.

A wrapper notes the path and calls what it wraps, with the same arguments and the same result. Libraries that are
loaded already are wrapped in place, others when they are imported. Nothing is imported here.
"""

from __future__ import annotations

import functools
import glob
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from lamindb.environment.file_access import audit

Access = Literal["read", "write", "mode"]


@dataclass(frozen=True, slots=True)
class Target:
    """A function that opens files.

    Attributes:
        name: Its name in the module, `Class.method` for a method; a `*` at the end matches any ending.
        access: `read`, `write`, or `mode`: what the argument `mode` says.
        position: Index of the path among the arguments, `self` not counted.
        keyword: Name of the path's parameter.
    """

    name: str
    access: Access
    position: int = 0
    keyword: str = "source"


_TARGETS: Final[dict[str, tuple[Target, ...]]] = {
    "h5py._hl.files": (Target("File.__init__", "mode", 0, "name"),),
    "pyarrow": (
        Target("memory_map", "mode", 0, "path"),
        Target("input_stream", "read"),
        Target("output_stream", "write"),
        Target("create_memory_map", "write", 0, "path"),
    ),
    "pyarrow.parquet.core": (
        Target("ParquetFile.__init__", "read"),
        Target("ParquetDataset.__init__", "read", 0, "path_or_paths"),
        Target("read_table", "read"),
        Target("read_pandas", "read"),
        Target("read_metadata", "read", 0, "where"),
        Target("read_schema", "read", 0, "where"),
        Target("ParquetWriter.__init__", "write", 0, "where"),
        Target("write_table", "write", 1, "where"),
        Target("write_to_dataset", "write", 1, "root_path"),
        Target("write_metadata", "write", 1, "where"),
    ),
    "pyarrow.csv": (
        Target("read_csv", "read", 0, "input_file"),
        Target("open_csv", "read", 0, "input_file"),
        Target("write_csv", "write", 1, "output_file"),
    ),
    "pyarrow.json": (Target("read_json", "read", 0, "input_file"),),
    "pyarrow.feather": (
        Target("read_table", "read"),
        Target("read_feather", "read"),
        Target("write_feather", "write", 1, "dest"),
    ),
    "pyarrow.orc": (
        Target("ORCFile.__init__", "read"),
        Target("read_table", "read"),
        Target("write_table", "write", 1, "where"),
    ),
    "pyarrow.dataset": (
        Target("dataset", "read"),
        Target("parquet_dataset", "read", 0, "metadata_path"),
        Target("write_dataset", "write", 1, "base_dir"),
    ),
    "polars": (Target("read_*", "read"), Target("scan_*", "read")),
    "polars.dataframe.frame": (Target("DataFrame.write_*", "write", 0, "file"),),
    "polars.lazyframe.frame": (Target("LazyFrame.sink_*", "write", 0, "path"),),
    "duckdb": (
        Target("read_csv", "read", 0, "path_or_buffer"),
        Target("from_csv_auto", "read", 0, "path_or_buffer"),
        Target("read_parquet", "read", 0, "file_glob"),
        Target("from_parquet", "read", 0, "file_glob"),
        Target("read_json", "read", 0, "path_or_buffer"),
    ),
}
# Packages that re-export a function need the wrapper, too.
_ALSO: Final = {"pyarrow.parquet.core": ("pyarrow.parquet",), "h5py._hl.files": (), "polars.dataframe.frame": ()}
_NOT_FILES: Final = frozenset(
    {"read_clipboard", "read_database", "read_database_uri", "write_clipboard", "write_database", "sink_batches"}
)
_MARK: Final = "__lamindb_wraps__"

UNSEEN: Final = {
    "cv2": "OpenCV",
    "duckdb": "DuckDB's SQL",
    "fastparquet.cencoding": "",
    "netCDF4": "netCDF4",
    "osgeo": "GDAL",
    "pysam": "pysam",
    "rasterio": "rasterio",
    "tables": "PyTables",
    "tiledb": "TileDB",
    "torch": "",
}
"""Libraries that open files in compiled code and are not wrapped, or not wholly; an empty name: Python sees them."""


def install() -> None:
    """Wrap libraries that are loaded, and others when they are imported; idempotent."""
    for name in _TARGETS:
        module = sys.modules.get(name)
        if module is not None:
            wrap(name, module)
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def unseen() -> list[str]:
    """Return the names of loaded libraries whose files may not be seen."""
    return sorted(name for module, name in UNSEEN.items() if name and module in sys.modules)


def wrap(name: str, module: Any) -> None:
    """Wrap the entry points of one module; those that it does not have are left out."""
    library = name.partition(".")[0]
    for target in _TARGETS[name]:
        for owner, attribute in _found(module, target.name):
            original = getattr(owner, attribute, None)
            if not callable(original) or hasattr(original, _MARK) or attribute in _NOT_FILES:
                continue
            replaced = _wrapper(original, target, library, is_method=owner is not module)
            try:
                setattr(owner, attribute, replaced)
            except (AttributeError, TypeError):
                continue
            for alias in _ALSO.get(name, ()):
                other = sys.modules.get(alias)
                if owner is module and getattr(other, attribute, None) is original:
                    setattr(other, attribute, replaced)


def _found(module: Any, name: str) -> Iterator[tuple[Any, str]]:
    owner_name, _, attribute = name.rpartition(".")
    owner = getattr(module, owner_name, None) if owner_name else module
    if owner is None:
        return
    if attribute.endswith("*"):
        yield from ((owner, found) for found in list(vars(owner)) if found.startswith(attribute[:-1]))
    elif hasattr(owner, attribute):
        yield owner, attribute


def _wrapper(original: Any, target: Target, library: str, *, is_method: bool) -> Callable[..., Any]:
    layer = f"wrapper:{library}"
    position = target.position + is_method

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        given = args[position] if len(args) > position else kwargs.get(target.keyword)
        if given is None and kwargs:
            given = next(
                (kwargs[name] for name in ("source", "path", "where", "file", "target") if name in kwargs), None
            )
        reads, writes = _access(target, args, kwargs, position)
        paths = _paths(given, looks_inside=reads)
        if paths:
            audit.note(paths, reads=reads, writes=writes, layer=layer)
        return original(*args, **kwargs)

    setattr(wrapped, _MARK, True)
    return wrapped


def _access(target: Target, args: Sequence[Any], kwargs: dict[str, Any], position: int) -> tuple[bool, bool]:
    if target.access != "mode":
        return target.access == "read", target.access == "write"
    mode = kwargs.get("mode", args[position + 1] if len(args) > position + 1 else "r")
    writes = isinstance(mode, str) and mode not in {"r", "rb"}
    return not (isinstance(mode, str) and mode.startswith(("w", "x"))), writes


def _paths(given: Any, *, looks_inside: bool) -> list[str]:
    """Return the files that an argument names: a path, several, a pattern; nothing for what is already open."""
    if isinstance(given, (list, tuple)):
        return [path for one in given for path in _paths(one, looks_inside=looks_inside)]
    if not isinstance(given, (str, bytes, os.PathLike)):
        return []
    text = os.fsdecode(given)
    if not text or "\n" in text or len(text) > 4096:
        return []
    if any(mark in text for mark in "*?[") and not os.path.lexists(text):
        return sorted(glob.glob(text, recursive=True))
    if looks_inside and os.path.isdir(text):
        return [os.path.join(folder, name) for folder, _, names in os.walk(text) for name in names] or [text]
    return [text]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules as the other finders do, and wraps those in `_TARGETS` once they are loaded."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a wanted module, with a loader that wraps it; None for all others."""
        if fullname not in _TARGETS:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: importlib.machinery.ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                loader = spec.loader
                if loader is not None and hasattr(loader, "exec_module"):
                    _wrap_after(loader, fullname)
                return spec
        return None


def _wrap_after(loader: Any, fullname: str) -> None:
    execute = loader.exec_module

    def exec_module(module: Any) -> None:
        execute(module)
        wrap(fullname, module)

    try:
        loader.exec_module = exec_module
    except AttributeError:
        return
