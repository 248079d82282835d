"""The rows of a save: written in parts inside one transaction, then taken over by the users' records, also in parts.

In between little more than an id is kept of each file, so that a save of very many needs no more memory than its list.
What is needed later is worked out once more, or asked for again.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from lamindb.core import ids, messages
from lamindb.core.context import Instance
from lamindb.db import bulk
from lamindb.errors import LaminError
from lamindb.files import plan as files_plan
from lamindb.files import unchanged, versions, view_publish
from lamindb.files.plan import Outcome, Plan
from lamindb.files.view_publish import Change
from lamindb.files.view_sync import Left
from lamindb.models import File, FolderMember
from lamindb.models.base import now
from lamindb.records import save
from lamindb.storage.base import ObjectName

TOLD_ONE_BY_ONE: Final = 10

Told = tuple[Callable[[str], None], str]
"""What says a message, and the message."""


class Written:
    """What a save writes: inside its transaction `write`; after it `apply`, and let the view follow what is `shown`.

    What is kept of a file stands at its place in the list of files, as long as nothing else is said.

    Args:
        instance: Where to write.
        files: All files of the save, which know what their bytes are.
        leaving: What the view showed, before the save, of files that `replace()` lets take another key.
    """

    def __init__(self, instance: Instance, files: Sequence[File], leaving: Sequence[Left] = ()) -> None:
        self._instance = instance
        self._files = files
        self._begun = now()
        self._ids: list[str] = []
        """The rows that the files became."""
        self._is_new = bytearray()
        """Whether the row was inserted; else it was there already."""
        self._replaced: list[str | None] = []
        """The versions that were current before."""
        self._superseded: set[str] = set()
        """Ids of rows that this save inserted, and that it superseded, too."""
        self._left = list(leaving)
        """What the view may still show under keys that files have left; in no order."""
        self._moved: set[str] = set()
        """Keys and stems where a later file of the save may have changed what an earlier one became."""
        self._gone: set[int] = set()
        """Places of files whose row nobody could read after the commit."""
        self.edited: list[str] = []
        """What to say of stored versions that were written over; in no order."""

    @property
    def n_new(self) -> int:
        """How many rows were inserted; the other files were there already."""
        return sum(self._is_new)

    def write(self, link: Any) -> None:
        """Decide what the files become, and write it.

        Raises:
            KeyExistsError, HashExistsError, ConflictError: As `deciding.decide` says; the transaction has to be rolled
                back.
        """
        for part in _cut(self._files):
            for file in part:
                save.save_origin(file, self._instance)
            start = len(self._ids)
            plans = [self._plan(start + index, file) for index, file in enumerate(part)]
            outcomes = files_plan.decide(self._instance.alias, plans)
            _insert(link, outcomes)
            for outcome in outcomes:
                self._keep(outcome)
            renamed = [o.replaces.key for o in outcomes if o.renames is not None and o.replaces is not None]
            if renamed:
                # The newest version that is left has the key which a file has left.
                versions.promote(self._instance.alias, [], keys=renamed)

    def _plan(self, place: int, file: File) -> Plan:
        return Plan(file, file._source, self._begun + datetime.timedelta(microseconds=place))

    def _keep(self, outcome: Outcome) -> None:
        before = outcome.replaces
        self._ids.append(outcome.row.id)
        self._is_new.append(outcome.is_new)
        self._replaced.append(before.id if before is not None else None)
        if not outcome.is_new and outcome.row.created_at >= self._begun:
            self._moved.add(outcome.row.stem_id)
        if before is not None:
            if before.created_at >= self._begun:
                # Perhaps of another writer, whose clock is ahead: to know its id, too, does no harm.
                self._superseded.add(before.id)
            if outcome.renames is not None:
                stem, key, _ = outcome.renames
                self._moved |= {one for one in (stem, key, before.key) if one is not None}
            if before.key is not None:
                self._look_at(outcome, before, before.key)

    def _look_at(self, outcome: Outcome, before: File, key: str) -> None:
        """Note what happens to the file that the view shows of the version before."""
        name = ObjectName(before.digest, before.suffix)
        if outcome.renames is not None:
            self._left.append(Left(key, name, before.is_folder))
        if outcome.plan.pending.source.take_over and view_publish.is_object_itself(self._instance, key, name):
            self.edited.append(_edited_in_place(key, before.version))

    def apply(self, *, tell: bool) -> list[Told]:
        """Let the users' records become what was written. It is committed: a database that fails now is no failure.

        Args:
            tell: Return what is to be said of each file.
        """
        told: list[Told] = []
        for part in self._parts():
            read = self._read_safely(self._ids[place] for place in part if self._has_to_be_read(place))
            for place in part:
                notes = self._apply_one(place, read)
                if tell:
                    told += notes
        return told

    def _has_to_be_read(self, place: int) -> bool:
        """Tell whether the row cannot be worked out: it was there before, or a later file may have changed it."""
        if not self._is_new[place]:
            return True
        moved = self._moved
        return bool(moved) and (self._ids[place][: ids.STEM_LENGTH] in moved or self._files[place]._source.key in moved)

    def _apply_one(self, place: int, read: dict[str, File]) -> list[Told]:
        file, row_id = self._files[place], self._ids[place]
        plan = self._plan(place, file)
        row = read.get(row_id)
        is_new = bool(self._is_new[place])
        if row is None and not is_new:
            unchanged.become(file, row_id, plan.content)
            self._gone.add(place)
            return []
        told: list[Told] = []
        run = file._state.fields_cache.get("run")
        if row is None:
            row = plan.new_row(self._instance.alias, row_id)
            row.is_latest = row_id not in self._superseded
            file._take_over(row)
        else:
            if not is_new:
                told += [(messages.warning, note) for note in _notes(plan, row)]
            file.adopt(row)
        file.__dict__.pop("_source", None)
        if run is not None and run.id == file.run_id:
            file._state.fields_cache["run"] = run
        if is_new:
            told.append((messages.hint, f"stored {file.key or file.name!r} (version {file.version})"))
        return told

    def shown(self) -> Iterator[list[Change]]:
        """Yield what the view has to follow, in parts; the files are what was written by now."""
        for part in self._parts():
            replaced = self._read(row_id for place in part if (row_id := self._replaced[place]) is not None)
            changes = []
            for place in part:
                if place not in self._gone:
                    row_id = self._replaced[place]
                    changes.append(Change(self._files[place], replaced.get(row_id) if row_id is not None else None))
            yield changes

    @property
    def left(self) -> Sequence[Left]:
        """What the view may still show under keys that files have left."""
        return self._left

    def _parts(self) -> Iterator[range]:
        for start in range(0, len(self._ids), bulk.AT_ONCE):
            yield range(start, min(start + bulk.AT_ONCE, len(self._ids)))

    def _read(self, wanted: Iterable[str]) -> dict[str, File]:
        query = File.objects.using(self._instance.alias).order_by()
        return {row.id: row for part in bulk.chunks(dict.fromkeys(wanted)) for row in query.filter(id__in=part)}

    def _read_safely(self, wanted: Iterable[str]) -> dict[str, File]:
        try:
            return self._read(wanted)
        except LaminError as error:
            messages.debug(f"saved, but not read again: {error}")
            return {}


def _cut(files: Sequence[File]) -> Iterator[list[File]]:
    """Cut files into parts; one that moves its versions to another key stands alone."""
    part: list[File] = []
    for file in files:
        pending = file._source
        moves = pending.stem_id is not None and pending.key != pending.seen_key
        if part and (moves or len(part) == bulk.AT_ONCE):
            yield part
            part = []
        part.append(file)
        if moves:
            yield part
            part = []
    if part:
        yield part


def _edited_in_place(key: str, version: int) -> str:
    return (
        f"{key!r} was changed in place, which wrote over the stored bytes of version {version}: "
        "save those bytes again, from wherever they still are, to repair it"
    )


def _notes(plan: Plan, row: File) -> list[str]:
    if plan.file.name != row.name and plan.has_own_name:
        return [f"these bytes are stored already: the record keeps its name {row.name!r}"]
    if plan.file.id != row.id:
        return [f"these bytes are stored already: this is {row.key or row.name!r}, {row.id}"]
    return []


def _insert(link: Any, outcomes: Sequence[Outcome]) -> None:
    superseded = [o.replaces.id for o in outcomes if o.is_new and o.replaces is not None]
    with link.cursor() as cursor:
        for part in bulk.chunks(superseded):
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(f"UPDATE lamindb_file SET is_latest = %s WHERE id IN ({marks})", [False, *part])
        for outcome in outcomes:
            if outcome.renames is not None:
                stem, key, name = outcome.renames
                cursor.execute(
                    "UPDATE lamindb_file SET key = %s, name = %s, updated_at = %s WHERE id BETWEEN %s AND %s",
                    [key, name, link.ops.adapt_datetimefield_value(outcome.row.updated_at), *ids.versions_of(stem)],
                )
    bulk.insert_many(link, [o.row for o in outcomes if o.is_new])
    bulk.insert_many(link, [o.output for o in outcomes if o.output is not None], ignore_conflicts=True)
    members = {
        (o.plan.content.digest, m.digest, m.suffix): None for o in outcomes if o.is_new for m in o.plan.pending.members
    }
    bulk.insert_many(
        link,
        [FolderMember._blank(folder_digest=f, digest=d, suffix=s) for f, d, s in members],
        ignore_conflicts=True,
    )
    _describe(link, outcomes)


def _describe(link: Any, outcomes: Sequence[Outcome]) -> None:
    """Give rows that were there already the descriptions with which their files are saved again."""
    with link.cursor() as cursor:
        for outcome in outcomes:
            description = outcome.plan.file.description
            if not outcome.is_new and description and description != outcome.row.description:
                cursor.execute(
                    "UPDATE lamindb_file SET description = %s, updated_at = %s WHERE id = %s",
                    [description, link.ops.adapt_datetimefield_value(outcome.plan.moment), outcome.row.id],
                )
