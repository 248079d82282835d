"""One level of the tree of keys: its folders with counts and sizes, and its files.

It is read by skip scan: after a folder comes the first key behind all those in it. So a level costs what it shows, not
what lies below. What is counted below is limited, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from lamindb.db import database
from lamindb.errors import InvalidInputError
from lamindb.models import File, RecordQuery, rows

MOST: Final = 1_000
"""The maximum number of entries of a level that are read at once, and sorted as people read them."""

_BUDGET: Final = 20_000
_COUNTED: Final = (1_000, 100, 10)
"""How many files are counted in each folder: the first number by which all folders need at most the budget."""

_BATCH: Final = 200
_NUMBERS: Final = re.compile(r"(\d+)", re.ASCII)


class Folder(NamedTuple):
    """A part of the keys: all that begin with `key`.

    Attributes:
        name: The last part of it.
        key: The whole of it, with a slash at the end.
        n_files: The number of files below; at least so many if not `is_counted`.
        size: The bytes of the files that were counted.
        is_counted: All files below were counted.
    """

    name: str
    key: str
    n_files: int
    size: int
    is_counted: bool


class Level(NamedTuple):
    """A level of the tree of keys.

    Attributes:
        prefix: What all its keys begin with: "" or a folder, with a slash at the end.
        folders: The folders in it.
        files: The files in it, whose keys have no further slash; stored folders, too.
        next: What to pass as `after` for what follows; None if this is all. Then names are sorted as people read them,
            `x2` before `x10`, and else by the bytes of their keys, folders among files.
    """

    prefix: str
    folders: tuple[Folder, ...]
    files: tuple[Any, ...]
    next: str | None


def key_range(query: Any, prefix: str) -> Any:
    """Return a query for the files whose keys begin with a prefix, as a range of the index of keys."""
    end = _end(prefix)
    return query.filter(key__gte=prefix) if end is None else query.filter(key__gte=prefix, key__lt=end)


def _end(prefix: str) -> str | None:
    """Return the first text, in the order of UTF-8, behind all that begin with a prefix; None if there is none."""
    for position in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[position]) + 1
        if code <= 0x10FFFF:
            # Surrogates are no characters, and no text in a database has one.
            return prefix[:position] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)
    return None


def level(query: RecordQuery[File], prefix: str = "", *, after: str | None = None, limit: int = MOST) -> Level:
    """Return the folders and files of one level.

    Args:
        query: The files that are asked for, such as `File.select()`. Conditions that its indexes do not serve are
            checked file by file.
        prefix: The folder, such as `raw/2024`; "" for the top.
        after: `next` of the level before, if that was not all.
        limit: The maximum number of folders and files, at most 1,000.

    Raises:
        InvalidInputError: The limit is not a number from 1 to 1,000, or `after` lies in another folder.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
        raise InvalidInputError(f"limit must be a number from 1 to {MOST:,}, not {limit!r}")
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    if after is not None and not after.startswith(prefix):
        raise InvalidInputError(f"{ascii(after)} is not in {ascii(prefix)}: pass `next` of the level before")
    ranges = _Ranges(query)
    entries = list(_entries(ranges, prefix, after, limit))
    following = entries[limit - 1].key if len(entries) > limit else None
    del entries[limit:]
    names = [one.key for one in entries if one.file_id is None]
    most = next((many for many in _COUNTED if many * len(names) <= _BUDGET), _COUNTED[-1])
    folders = [_folder(ranges, key, prefix, most) for key in names]
    ids = [one.file_id for one in entries if one.file_id is not None]
    by_id: dict[str, Any] = {}
    for chunk in database.chunks(ids):
        found = rows.rows(File, query.db, f"id IN ({rows.marks(chunk)})", chunk)
        by_id |= {file.id: file for file in found}
    files = [by_id[file_id] for file_id in ids if file_id in by_id]
    if following is None:
        folders.sort(key=lambda folder: natural_order(folder.name))
        files.sort(key=lambda file: natural_order(file.key or ""))
    return Level(prefix, tuple(folders), tuple(files), following)


def natural_order(text: str) -> Any:
    """Return what sorts texts as people read them: numbers in them by their value, and letters whatever their case."""
    parts = _NUMBERS.split(text.casefold())
    return [(int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts)], text


class _Entry(NamedTuple):
    """A folder, or a file with its id."""

    key: str
    file_id: str | None = None


class _Ranges:
    """Reads ranges of keys of a query: SQL is made once, as making it takes longer than a step of a skip scan.

    Of two lower bounds SQLite would search the index by one only, so each range has one.
    """

    _START, _END = "start of a range", "end of a range"

    def __init__(self, query: Any) -> None:
        self._query = query.order_by().filter(key__gte=self._START)
        self._connection = database.connection(query.db)
        self._made: dict[Any, tuple[str, tuple[Any, ...]]] = {}

    def keys(self, start: str, end: str | None, count: int) -> list[tuple[str, str]]:
        """Return the first keys of a range, each with the id of its file."""
        return self._rows(("key", "id"), start, end, count)

    def sizes(self, start: str, end: str | None, count: int) -> list[int]:
        """Return the sizes of some files of a range."""
        return [size for (size,) in self._rows(("size",), start, end, count)]

    def _rows(self, fields: tuple[str, ...], start: str, end: str | None, count: int) -> list[Any]:
        shape = (fields, end is None, count)
        made = self._made.get(shape)
        if made is None:
            query = self._query if end is None else self._query.filter(key__lt=self._END)
            query = query.order_by("key", "id") if "key" in fields else query
            made = query.values_list(*fields)[:count].query.get_compiler(self._query.db).as_sql()
            self._made[shape] = made
        sql, params = made
        values = {self._START: start, self._END: end}
        with self._connection.cursor() as cursor:
            cursor.execute(sql, [values.get(one, one) if isinstance(one, str) else one for one in params])
            return list(cursor.fetchall())


def _entries(ranges: _Ranges, prefix: str, after: str | None, limit: int) -> Iterator[_Entry]:
    """Yield the files and folders of a level by key, one more than the limit at most."""
    start, end = prefix if after is None else _behind(after), _end(prefix)
    at_once, found = 1, 0
    while found <= limit:
        keys = ranges.keys(start, end, at_once)
        is_full = len(keys) == at_once
        for key, file_id in keys:
            folder, slash, _ = key[len(prefix) :].partition("/")
            if not slash and is_full and key == keys[-1][0] and (at_once == 1 or key != keys[0][0]):
                # Files in a row are read in batches. Further ones may have the same key, in another storage.
                start, at_once = key, _BATCH
                break
            found += 1
            if slash:
                yield _Entry(f"{prefix}{folder}/")
                start, at_once = _behind(f"{prefix}{folder}/"), 1
                break
            yield _Entry(key, file_id)
        else:
            if not is_full:
                return
            start = _behind(keys[-1][0])


def _behind(key: str) -> str:
    """Return the lowest key that follows a file, or a folder with all that is in it."""
    return f"{key[:-1]}0" if key.endswith("/") else f"{key}\x01"


def _folder(ranges: _Ranges, key: str, prefix: str, most: int) -> Folder:
    """Count the files of a folder, as far as that is cheap."""
    sizes = ranges.sizes(key, _end(key), most + 1)
    return Folder(key[len(prefix) : -1], key, min(len(sizes), most), sum(sizes[:most]), len(sizes) <= most)
