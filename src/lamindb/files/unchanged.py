"""Fast path of a save: files that are stored already under their keys and have not changed.

A folder that is saved again is mostly unchanged. Such a file is not read: its stat is as when it was last hashed, the
current record of its key has these bytes, the object is there and as when it was last checked, and the view shows it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from lamindb.core.hashing import Content
from lamindb.core.settings import settings
from lamindb.db import database
from lamindb.files.plan import Raced
from lamindb.files.source import Pending
from lamindb.models import File, rows
from lamindb.models.base import now
from lamindb.records import edges
from lamindb.records.open_instance import Instance
from lamindb.storage.base import FileStat, ObjectName
from lamindb.storage.local import LocalStore

_DROPPED = (
    "name", "description", "is_folder", "n_files", "version", "is_latest", "trashed_at", "trashed_by_id",
    "transform_id", "run_id", "created_at", "updated_at", "created_by_id",
)  # fmt: skip


class UnchangedFile(NamedTuple):
    """A file, and the record that it is.

    Attributes:
        file: The user's record.
        row_id: The id of the record that exists.
        content: What the bytes are.
    """

    file: File
    row_id: str
    content: Content

    def apply(self) -> None:
        """Turn the user's record into the existing one."""
        become(self.file, self.row_id, self.content)


def become(file: File, row_id: str, content: Content) -> None:
    """Turn a record into an existing one with these bytes; what it does not know of it is loaded when it is read."""
    values = file.loaded
    for name in _DROPPED:
        values.pop(name, None)
    values.update(id=row_id, hash=content.hash, digest=content.digest, size=content.size)
    file.forget_related()
    file.is_saved = True
    values.pop("pending", None)


def find(instance: Instance, files: Sequence[File]) -> tuple[list[UnchangedFile], list[File]]:
    """Split files into those that are stored already, and the rest; reads no file."""
    store = instance.store
    if not isinstance(store, LocalStore) or settings.upon_file_create_if_hash_exists != "warn_return_existing":
        return [], list(files)
    once = _keys_met_once(files)
    sure: list[UnchangedFile] = []
    rest: list[File] = []
    for chunk in database.chunks(files, database.AT_ONCE):
        found = _find_some(instance, store, chunk, once)
        sure += found
        known = {id(one.file) for one in found}
        rest += [file for file in chunk if id(file) not in known]
    return sure, rest


def _keys_met_once(files: Sequence[File]) -> set[str]:
    once: set[str] = set()
    more: set[str] = set()
    for file in files:
        key = file.pending.key
        if key is not None:
            (more if key in once else once).add(key)
    return once - more if more else once


def _find_some(instance: Instance, store: LocalStore, files: Sequence[File], once: set[str]) -> list[UnchangedFile]:
    current = _current_rows(instance, [file.pending.key for file in files if file.pending.key in once])
    candidates = [file for file in files if file.pending.key in current]
    likely: list[UnchangedFile] = []
    for file, content in zip(candidates, _contents(instance, candidates), strict=True):
        row_id, *stored = current[file.pending.key]
        if content is not None and stored == [content.digest, file.suffix, False]:
            likely.append(UnchangedFile(file, row_id, content))
    return _shown_and_whole(instance, store, likely)


def _contents(instance: Instance, files: Sequence[File]) -> list[Content | None]:
    """Return what each file is known to hold now; None where that would have to be read, or does not matter."""
    asked: list[tuple[str, FileStat]] = []
    positions: list[int] = []
    for index, file in enumerate(files):
        pending: Pending = file.pending
        source = pending.source
        if (
            pending.key is None
            or source.path is None
            or source.stat is None
            or pending.is_in_place
            or pending.stem_id is not None
            or pending.has_own_name
            or file.loaded["description"]
        ):
            continue
        try:
            if FileStat.of(os.stat(source.path)) == source.stat:
                asked.append((source.path, source.stat))
                positions.append(index)
        except OSError:
            continue
    found: list[Content | None] = [None] * len(files)
    for index, content in zip(positions, instance.hash_cache.get_many(asked), strict=True):
        found[index] = content
    return found


def _current_rows(instance: Instance, keys: Sequence[str]) -> dict[str, tuple[str, str, str, bool]]:
    found: dict[str, tuple[str, str, str, bool]] = {}
    for chunk in database.chunks(keys):
        chosen = rows.values(
            instance.alias,
            "SELECT key, id, digest, suffix, is_folder FROM lamindb_file WHERE storage_id = %s AND is_latest "
            f"AND trashed_at IS NULL AND key IN ({rows.marks(chunk)})",
            [instance.storage_id, *chunk],
        )
        found.update((key, (row_id, digest, suffix, bool(folder))) for key, row_id, digest, suffix, folder in chosen)
    return found


def _shown_and_whole(instance: Instance, store: LocalStore, likely: Sequence[UnchangedFile]) -> list[UnchangedFile]:
    """Keep those whose object is as when it was last checked, and whose file in the view is the object or equals it."""
    objects = [store.object_path(ObjectName(one.content.digest, one.file.suffix)) for one in likely]
    shows = instance.view.mode != "none"
    seen = [_stat(f"{instance.root_url}/{one.file.key}") if shows else None for one in likely]
    cache = instance.hash_cache
    # One look is enough at a file of the view with several links and the stat that the object had when it was checked:
    # a link that is made or removed changes the ctime of all.
    linked = [(path, found[1]) for path, found in zip(objects, seen, strict=True) if found is not None and found[0] > 1]
    answers = iter(cache.digests(linked))
    sure: list[UnchangedFile] = []
    rest: list[tuple[UnchangedFile, str, FileStat | None]] = []
    for one, path, found in zip(likely, objects, seen, strict=True):
        is_right = found is not None and found[0] > 1 and next(answers) == one.content.digest
        if is_right and found is not None and found[1].size == one.content.size:
            sure.append(one)
        elif found is not None or not shows:
            rest.append((one, path, found[1] if found is not None else None))
    return sure + _compared_apart(instance, rest)


def _compared_apart(
    instance: Instance, likely: Sequence[tuple[UnchangedFile, str, FileStat | None]]
) -> list[UnchangedFile]:
    """Do the same for files whose object, at a path, has to be looked at beside what the view shows, if it shows it."""
    cache = instance.hash_cache
    stats = [looked[1] if (looked := _stat(path)) is not None else None for _, path, _ in likely]
    asked = [(path, found) for (_, path, _), found in zip(likely, stats, strict=True) if found is not None]
    good = iter(cache.digests(asked))
    sure: list[UnchangedFile] = []
    copies: list[tuple[UnchangedFile, str, FileStat]] = []
    for (one, _, shown), found in zip(likely, stats, strict=True):
        if found is None or next(good) != one.content.digest or found.size != one.content.size:
            continue
        if shown is None or (shown.inode, shown.device) == (found.inode, found.device):
            sure.append(one)
        else:
            copies.append((one, f"{instance.root_url}/{one.file.key}", shown))
    answers = cache.digests([(path, shown) for _, path, shown in copies])
    sure.extend(one for (one, _, _), digest in zip(copies, answers, strict=True) if digest == one.content.digest)
    return sure


def _stat(path: str) -> tuple[int, FileStat] | None:
    """Return how many links a file has, and its stat; None if it cannot be looked at."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_nlink, FileStat.of(found)


def write_outputs(connection: Any, alias: str, known: Sequence[UnchangedFile]) -> None:
    """Inside the transaction: make sure that these records are still the current ones, and link them to their runs.

    Raises:
        Raced: One was superseded or removed meanwhile. Nothing may be written.
    """
    by_run: dict[tuple[str | None, str | None], list[str]] = {}
    for one in known:
        by_run.setdefault((one.file.run_id, one.file.transform_id), []).append(one.row_id)
    timestamp = connection.ops.adapt_datetimefield_value(now())
    for (run_id, transform_id), ids in by_run.items():
        for chunk in database.chunks(ids):
            found = f"FROM lamindb_file WHERE is_latest AND trashed_at IS NULL AND id IN ({rows.marks(chunk)})"
            if connection.fetch(f"SELECT count(*) {found}", chunk) != [(len(chunk),)]:
                raise Raced("a file was superseded or removed while it was saved again: try once more")
            if run_id is not None:
                connection.run(
                    "INSERT INTO lamindb_runoutput (run_id, file_id, seen_by, created_at) "
                    f"SELECT %s, id, 'call', %s {found} ON CONFLICT DO NOTHING",
                    [run_id, timestamp, *chunk],
                )
                edges.become_producer(connection, run_id, transform_id, chunk)
