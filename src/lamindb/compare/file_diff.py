"""Compare two versions of a file, or two folders, by what their format says."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lamindb.compare.array_diff import HDF5, ZARR, ArraysDifference, NotArraysError, compare_arrays
from lamindb.compare.folder_diff import FolderDifference, compare_folders
from lamindb.compare.result import Difference, Line, Section, Side
from lamindb.compare.table_diff import TableDifference, compare_tables
from lamindb.compare.table_reader import SUFFIXES, NotATableError, open_table
from lamindb.compare.text_diff import TextDifference, compare_text
from lamindb.compare.tree_diff import TreeDifference, compare_trees
from lamindb.compare.workbook_diff import SUFFIX as XLSX
from lamindb.compare.workbook_diff import WorkbookDifference, compare_workbooks
from lamindb.core import context
from lamindb.core.requirements import pip_install
from lamindb.core.text import printable, size_text
from lamindb.errors import IntegrityError, InvalidInputError, ReadOnlyError
from lamindb.files.read import checked_path
from lamindb.models import File
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName
from lamindb.storage.manifest import read_manifest

MAX_TEXT_BYTES: Final = 4 << 20
"""The largest file that is compared by lines or by path, in bytes."""
_MAX_YAML_BYTES: Final = 1 << 20
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class BytesDifference:
    """What differs between two files of another format.

    Attributes:
        size_before: Bytes before.
        size_after: Bytes after.
        first_offset: The offset of the first byte that differs; the smaller size if one begins with the other.
    """

    size_before: int
    size_after: int
    first_offset: int
    kind: Literal["bytes"] = "bytes"

    @property
    def is_equal(self) -> bool:
        """Return False: files with equal bytes are not compared."""
        return False

    def lines(self) -> Iterator[Line]:
        """Yield the lines of a report."""
        if self.size_before != self.size_after:
            yield Line("~", f" size: {size_text(self.size_before)} → {size_text(self.size_after)}")
        yield Line("~", f" the first byte that differs is at offset {self.first_offset:,}")


Content = (
    TableDifference
    | WorkbookDifference
    | ArraysDifference
    | TextDifference
    | TreeDifference
    | FolderDifference
    | BytesDifference
)


@dataclass(frozen=True, slots=True, repr=False)
class FileDifference(Difference):
    """What differs between two versions of a file.

    Attributes:
        before: The earlier version.
        after: The later version.
        same_bytes: Whether their bytes are equal.
        content: What differs in the content; None if the bytes are equal.
        notes: Why a format was not compared as such.
    """

    before: Side
    after: Side
    same_bytes: bool
    content: Content | None
    notes: tuple[str, ...] = ()
    kind: Literal["file"] = "file"

    @property
    def is_equal(self) -> bool:
        """Return True if the content is equal: other bytes with the same values are, within the tolerance."""
        return self.content is None or self.content.is_equal

    def sections(self) -> Iterator[Section]:
        """Yield the parts of the report."""
        notes = tuple(Line(" ", f" {printable(note)}") for note in self.notes)
        if self.content is not None and not self.content.is_equal:
            yield Section(self.content.kind, (*notes, *self.content.lines()))
        elif not self.same_bytes:
            yield Section("bytes", (*notes, Line(" ", " the bytes differ, the values do not")))


def compare_files(before: File, after: File, *, on: Sequence[str] = (), rtol: float = 0.0) -> FileDifference:
    """Compare two saved files.

    Args:
        before: The earlier one.
        after: The later one.
        on: Columns whose values identify a row of a table.
        rtol: The relative tolerance for numbers in a table or an array.

    Raises:
        InvalidInputError: `on` or `rtol` was passed and does not fit the format, or one of the files is a folder.
        IntegrityError: Stored bytes are missing or damaged.
    """
    same = before.digest == after.digest
    notes: list[str] = []
    content: Content | None = None
    if before.is_folder is not after.is_folder:
        raise InvalidInputError(
            f"{before.key or before.name!r} and {after.key or after.name!r} cannot be compared: only one is a folder"
        )
    if not same and before.is_folder:
        content = _compare_zarr(before, after, notes, rtol) or _compare_folders(before, after)
    elif not same:
        content = _compare_content(before, after, notes, on, rtol)
    has_rows = isinstance(content, TableDifference | WorkbookDifference)
    if (on or rtol) and not (same or has_rows or (not on and isinstance(content, ArraysDifference))):
        why = f": {notes[0]}" if notes else ""
        raise InvalidInputError(f"on and rtol are for tables, and {before.key or before.name!r} is not one{why}")
    return FileDifference(side(before), side(after), same, content, tuple(notes))


def side(file: File) -> Side:
    """Return a file as a side of a comparison."""
    return Side("file", file.id, file.key or file.name, file.version)


def _instance(file: File) -> Instance:
    found = context.connected(file.alias)
    if found is None:
        raise InvalidInputError("this file belongs to an instance that was disconnected: connect and query it again")
    return found


def _compare_zarr(before: File, after: File, notes: list[str], rtol: float) -> ArraysDifference | None:
    """Compare two folders of zarr by their arrays; return None if they are others, or cannot be read."""
    if {before.suffix.lower(), after.suffix.lower()} != {ZARR}:
        return None
    try:
        return compare_arrays(checked_path(before), checked_path(after), ZARR, rtol=rtol)
    except (NotArraysError, ReadOnlyError) as error:
        notes.append(f"not compared by arrays: {error}")
    return None


def _compare_folders(before: File, after: File) -> FolderDifference:
    members = []
    for file in (before, after):
        instance = _instance(file)
        if not instance.is_own(file.storage_id):
            raise InvalidInputError(
                f"{file.key or file.name!r} stays where it is, and the list of its files is not stored: "
                "such folders cannot be compared"
            )
        members.append(read_manifest(instance.store, ObjectName(file.digest, file.suffix)))
    return compare_folders(*members)


def _local_path(file: File) -> Path:
    """Return a local path with the checked bytes of a file, which no newer version replaces.

    Raises:
        IntegrityError: The bytes are missing or damaged.
    """
    instance = _instance(file)
    if not instance.is_own(file.storage_id):
        return checked_path(file)
    name, store = ObjectName(file.digest, file.suffix), instance.store
    if not store.is_local:
        local: Path = store.local_path(name, file.id + file.suffix)
        return local
    damage = store.check(name, file.size, quick=True)
    if damage is not None:
        raise IntegrityError(f"{damage.detail}: save the right file again")
    return Path(store.object_path(name))


def _compare_content(before: File, after: File, notes: list[str], on: Sequence[str], rtol: float) -> Content:
    """Compare by format; where the bytes do not have it, as text, and else as bytes. `notes` gets the reasons."""
    paths = _local_path(before), _local_path(after)
    suffix = after.suffix.lower() if before.suffix.lower() == after.suffix.lower() else ""
    if suffix in SUFFIXES:
        try:
            return compare_tables(open_table(paths[0], suffix), open_table(paths[1], suffix), on=on, rtol=rtol)
        except NotATableError as error:
            notes.append(f"not compared as a table: {error}")
    if suffix == XLSX:
        try:
            return compare_workbooks(*paths, on=on, rtol=rtol)
        except NotATableError as error:
            notes.append(f"not compared by sheets: {error}")
    if suffix in HDF5:
        try:
            return compare_arrays(*paths, suffix, rtol=rtol)
        except NotArraysError as error:
            notes.append(f"not compared by arrays: {error}")
    is_short = all(os.path.getsize(path) <= MAX_TEXT_BYTES for path in paths)
    if not is_short:
        return _compare_bytes(*paths)
    data = [path.read_bytes() for path in paths]
    if (parse := _PARSERS.get(suffix)) is not None:
        try:
            return compare_trees(parse(data[0]), parse(data[1]))
        except (_NotATreeError, ValueError, RecursionError) as error:
            notes.append(f"not compared by path: {' '.join(str(error).split())[:200]}")
    texts = [_text(one) for one in data]
    if texts[0] is None or texts[1] is None:
        return _compare_bytes(*paths)
    return compare_text(texts[0], texts[1])


def _text(data: bytes) -> str | None:
    if b"\0" in data:
        return None
    with contextlib.suppress(UnicodeDecodeError):
        return data.decode("utf-8")
    return None


class _NotATreeError(Exception):
    """The bytes cannot be read as a nested value."""


def _parse_yaml(data: bytes) -> Any:
    """Return parsed YAML.

    Raises:
        _NotATreeError: It is not YAML, is large, has aliases, or no package reads it.
    """
    try:
        import yaml
    except ImportError as error:
        raise _NotATreeError(f"yaml needs PyYAML: {pip_install('yaml')}") from error
    if len(data) > _MAX_YAML_BYTES:
        raise _NotATreeError("it is larger than 1 MB")
    try:
        # A few aliases can stand for billions of values.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(data, Loader=yaml.SafeLoader)):
            raise _NotATreeError("it has aliases")
        return yaml.safe_load(data)
    except (_NotATreeError, MemoryError):
        raise
    except Exception as error:
        # Constructors of timestamps and numbers raise errors of other kinds, too.
        raise _NotATreeError(str(error)) from error


_PARSERS: Final[dict[str, Callable[[bytes], Any]]] = {".json": json.loads, ".yaml": _parse_yaml, ".yml": _parse_yaml}


def _compare_bytes(before: Path, after: Path) -> BytesDifference:
    offset = 0
    with before.open("rb") as one, after.open("rb") as other:
        while True:
            old, new = one.read(_CHUNK), other.read(_CHUNK)
            if old != new or not old:
                break
            offset += len(old)
    pairs = zip(old, new, strict=False)
    first = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))
    return BytesDifference(os.path.getsize(before), os.path.getsize(after), offset + first)
