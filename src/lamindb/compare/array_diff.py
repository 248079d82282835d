"""Compare files of arrays, HDF5 and zarr: groups, arrays, shapes, types, attributes, and values block by block."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from lamindb.compare.result import LISTED, Change, Line, change_lines, more, shown, value_change
from lamindb.core.requirements import pip_install
from lamindb.core.text import isolated, printable

HDF5: Final = frozenset({".h5", ".hdf5", ".h5ad"})
ZARR: Final = ".zarr"
_BLOCK_BYTES: Final = 16 << 20
_TEXT_BYTES: Final = 256
"""What a value of variable length is assumed to take."""
_MOST_NODES: Final = 100_000
_Index = tuple[int, ...]


class NotArraysError(Exception):
    """The bytes cannot be read as a file of arrays; the message says why."""


@dataclass(frozen=True, slots=True)
class ArrayChange:
    """An array whose values differ.

    Attributes:
        path: Its path in the file.
        count: How many values differ.
        index: The position of the first of them.
        before: The earlier value there.
        after: The later value.
    """

    path: str
    count: int
    index: tuple[int, ...]
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ArraysDifference:
    """What differs between two files of arrays.

    Attributes:
        added: Groups and arrays that only the later file has, by path.
        removed: Groups and arrays that only the earlier file has.
        changes: Kinds, shapes, types and attributes that differ, such as `X: shape` or `obs: attribute "version"`.
        arrays: Arrays of equal shape whose values differ.
        not_compared: Arrays whose values were not read: they lie in other files, or reading them could run code.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changes: tuple[Change, ...]
    arrays: tuple[ArrayChange, ...]
    not_compared: tuple[str, ...] = ()
    kind: Literal["arrays"] = "arrays"

    @property
    def is_equal(self) -> bool:
        """Return True if everything was compared and nothing differs."""
        return not (self.added or self.removed or self.changes or self.arrays or self.not_compared)

    def lines(self) -> Iterator[Line]:
        """Yield the lines of a report."""
        for sign, paths in (("-", self.removed), ("+", self.added)):
            yield from (Line(sign, f" {isolated(printable(path))}") for path in paths[:LISTED])  # type: ignore[arg-type]
            yield from more(len(paths) - LISTED)
        yield from change_lines(self.changes)
        for one in self.arrays[:LISTED]:
            values = f"{one.count:,} {'value differs' if one.count == 1 else 'values differ'}"
            yield Line("~", f" {isolated(printable(one.path))}: {values}")
            yield Line(" ", f"   {list(one.index)}: {shown(one.before)} → {shown(one.after)}")
        yield from more(len(self.arrays) - LISTED)
        for path in self.not_compared[:LISTED]:
            yield Line(" ", f" {isolated(printable(path))}: the values were not compared")
        yield from more(len(self.not_compared) - LISTED)


@dataclass(slots=True)
class _Node:
    """A group or an array; `data` is None for a group, and for an array whose values are not to be read."""

    kind: str
    attributes: dict[str, Any]
    shape: tuple[int, ...] | None = None
    dtype: Any = None
    data: Any = None


def compare_arrays(before: Path, after: Path, suffix: str, *, rtol: float = 0.0) -> ArraysDifference:
    """Compare two files of arrays in bounded memory.

    Args:
        before: The earlier file, or folder of zarr.
        after: The later one.
        suffix: One of `HDF5`, or `ZARR`.
        rtol: Numbers are equal if they differ by at most this part of the larger one.

    Raises:
        NotArraysError: They cannot be read as such, or the package that reads them is not installed.
    """
    reader = _zarr_nodes if suffix == ZARR else _hdf5_nodes
    with _failures(), reader(before) as old, reader(after) as new:
        return _compare(old, new, rtol)


def _compare(old: dict[str, _Node], new: dict[str, _Node], rtol: float) -> ArraysDifference:
    changes: list[Change] = []
    arrays: list[ArrayChange] = []
    not_compared: list[str] = []
    for path in (path for path in old if path in new):
        one, other = old[path], new[path]
        changes += value_change(f"{path}: kind", one.kind, other.kind)
        for name in sorted(one.attributes.keys() | other.attributes.keys()):
            label = f"{path}: attribute {json.dumps(name, ensure_ascii=False)}"
            changes += value_change(label, one.attributes.get(name), other.attributes.get(name))
        if one.shape is None or other.shape is None:
            continue
        changes += value_change(f"{path}: shape", str(one.shape), str(other.shape))
        changes += value_change(f"{path}: type", str(one.dtype), str(other.dtype))
        if one.shape != other.shape:
            continue
        if one.data is None or other.data is None:
            not_compared.append(path)
        elif (found := _first_difference(path, one, other, rtol)) is not None:
            arrays.append(found)
    return ArraysDifference(
        tuple(path for path in new if path not in old),
        tuple(path for path in old if path not in new),
        tuple(changes),
        tuple(arrays),
        tuple(not_compared),
    )


def _first_difference(path: str, old: _Node, new: _Node, rtol: float) -> ArrayChange | None:
    """Compare the values of two arrays block by block; return how many differ, and the first."""
    import numpy as np

    assert old.shape is not None
    count, first = 0, None
    for block in _blocks(old.shape, old.dtype):
        one, other = np.asarray(old.data[block]), np.asarray(new.data[block])
        found = _unequal(one, other, rtol)
        count += int(np.count_nonzero(found))
        if first is None and found.any():
            place = tuple(int(i) for i in np.unravel_index(int(np.argmax(found)), found.shape))
            index = tuple(i + part.start for i, part in zip(place, block, strict=True))
            first = (index, _plain(one[place]), _plain(other[place]))
    return ArrayChange(path, count, *first) if first is not None else None


def _blocks(shape: Sequence[int], dtype: Any) -> Iterator[tuple[slice, ...]]:
    """Yield slices that cover an array, in its order, none larger than the limit."""
    size = dtype.itemsize if dtype.kind not in "OT" else _TEXT_BYTES
    block = [max(1, length) for length in shape]
    for axis in range(len(block)):
        rest = math.prod(block[axis + 1 :]) * size
        block[axis] = max(1, min(block[axis], _BLOCK_BYTES // max(1, rest)))
        if block[axis] > 1:
            break
    yield from itertools.product(
        *(
            [slice(start, min(start + step, length)) for start in range(0, length, step)]
            for length, step in zip(shape, block, strict=True)
        )
    )


def _unequal(old: Any, new: Any, rtol: float) -> Any:
    """Return where two arrays of one shape differ; NaN equals NaN."""
    import numpy as np

    if "O" in (old.dtype.kind, new.dtype.kind):
        differs = [not np.array_equal(one, other) for one, other in zip(old.flat, new.flat, strict=True)]
        return np.array(differs, dtype=bool).reshape(old.shape)
    if old.dtype.names or new.dtype.names:
        if old.dtype != new.dtype:
            return np.ones(old.shape, dtype=bool)
        parts = (_unequal(old[name], new[name], rtol) for name in old.dtype.names)
        return np.logical_or.reduce([part.reshape(*old.shape, -1).any(axis=-1) for part in parts])
    found = np.asarray(old != new)
    if old.dtype.kind in "fc" and new.dtype.kind in "fc":
        found = found & ~(np.isnan(old) & np.isnan(new))
    if rtol and old.dtype.kind in "iuf" and new.dtype.kind in "iuf":
        with np.errstate(all="ignore"):
            one, other = old.astype("f8"), new.astype("f8")
            is_close = np.abs(one - other) <= rtol * np.maximum(np.abs(one), np.abs(other))
            found = found & ~(is_close & np.isfinite(one) & np.isfinite(other))
    return found


def _plain(value: Any) -> Any:
    """Return a value, or an array of them, as Python objects."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


@dataclass(slots=True)
class _Nodes:
    """The nodes of a file by path, as they are found."""

    found: dict[str, _Node] = field(default_factory=dict)

    def add(self, path: str, node: _Node) -> None:
        if len(self.found) == _MOST_NODES:
            raise NotArraysError(f"it has more than {_MOST_NODES:,} groups and arrays")
        self.found[path or "/"] = node


@contextmanager
def _hdf5_nodes(path: Path) -> Iterator[dict[str, _Node]]:
    """Yield the nodes of an HDF5 file; links to other places are nodes, and are not followed."""
    try:
        import h5py
    except ImportError as error:
        raise NotArraysError(f"HDF5 needs h5py: {pip_install('h5py')}") from error
    with h5py.File(path, "r") as file:
        nodes, seen = _Nodes(), set()
        waiting: list[tuple[str, Any]] = [("", file["/"])]
        while waiting:
            name, item = waiting.pop()
            attributes = {key: _plain(item.attrs[key]) for key in item.attrs}
            address = h5py.h5o.get_info(item.id).addr
            if isinstance(item, h5py.Dataset):
                # Values that lie in other files are none of this one.
                is_here = not item.is_virtual and item.external is None and h5py.check_ref_dtype(item.dtype) is None
                data = item if is_here and item.shape is not None else None
                nodes.add(name, _Node("array", attributes, item.shape, item.dtype, data))
                continue
            nodes.add(name, _Node("group" if isinstance(item, h5py.Group) else "type", attributes))
            if isinstance(item, h5py.Group) and address not in seen:
                seen.add(address)
                for key in reversed(list(item)):
                    link = item.get(key, getlink=True)
                    if isinstance(link, h5py.HardLink):
                        waiting.append((f"{name}/{key}", item[key]))
                    else:
                        target = f"{getattr(link, 'filename', '')}:{getattr(link, 'path', '')}"
                        nodes.add(f"{name}/{key}", _Node("link", {"target": target}))
        yield nodes.found


@contextmanager
def _zarr_nodes(path: Path) -> Iterator[dict[str, _Node]]:
    """Yield the nodes of a zarr folder."""
    try:
        import zarr
    except ImportError as error:
        raise NotArraysError(f"zarr needs zarr: {pip_install('zarr')}") from error
    nodes = _Nodes()
    top: Any = zarr.open(str(path), mode="r")
    waiting: list[tuple[str, Any]] = [("", top)]
    while waiting:
        name, item = waiting.pop()
        attributes = dict(item.attrs)
        if isinstance(item, zarr.Array):
            # Pickled values run code when they are read.
            is_safe = "pickle" not in json.dumps(item.metadata.to_dict(), default=str)
            nodes.add(name, _Node("array", attributes, item.shape, item.dtype, item if is_safe else None))
        else:
            nodes.add(name, _Node("group", attributes))
            waiting += sorted(((f"{name}/{key}", inner) for key, inner in item.members()), reverse=True)
    yield nodes.found


@contextmanager
def _failures() -> Iterator[None]:
    """Turn whatever a reader raises on bytes that are not of its format into one error."""
    try:
        yield
    except (NotArraysError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise NotArraysError(f"it cannot be read ({reason})") from error
