"""The rows of a save: written in parts inside one transaction, then taken over by the users' records, also in parts.

In between little more than an id is kept of each file, so that a save of very many needs no more memory than its list.
What is needed later is worked out once more, or asked for again.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from lamindb.core import ids, messages
from lamindb.core.current import Instance
from lamindb.instance import rows
from lamindb.models import File, FolderMember
from lamindb.models.base import now
from lamindb.storage.protocol import ObjectName
from lamindb.usecases.files import appearing, deciding, families, records
from lamindb.usecases.files.appearing import Change
from lamindb.usecases.files.deciding import Outcome, Plan

AT_ONCE: Final = 2_000
"""So many files are decided, written, taken over and shown at once."""

TOLD_ONE_BY_ONE: Final = 10

Told = tuple[Callable[[str], None], str]
"""A message, and the way in which it is said."""


class Written:
    """What a save writes: inside its transaction `write`; after it `apply`, and let the view follow what is `shown`.

    Args:
        instance: Where to write.
        files: All files of the save, which know what their bytes are.
    """

    def __init__(self, instance: Instance, files: Sequence[File]) -> None:
        self.files = files
        self._instance = instance
        self._begun = now()
        self._ids: list[str] = []
        self._is_new = bytearray()
        self._replaced: list[str | None] = []
        self._superseded: set[str] = set()
        self._left: dict[int, str] = {}
        self._edited: list[tuple[str, int]] = []

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
        for part in rows.chunks(self.files, AT_ONCE):
            self._write_some(link, part)
        if self._left:
            # The newest version that is left has the key which a file has left.
            families.promote(self._instance.alias, [], keys=self._left.values())

    def _write_some(self, link: Any, files: Sequence[File]) -> None:
        for file in files:
            records.save_origin(file, self._instance)
        start = len(self._ids)
        plans = [self._plan(start + index, file) for index, file in enumerate(files)]
        outcomes = deciding.decide(self._instance.alias, plans)
        _insert(link, outcomes)
        for outcome in outcomes:
            self._keep(outcome)

    def _plan(self, position: int, file: File) -> Plan:
        return Plan.of(file, self._begun + datetime.timedelta(microseconds=position))

    def _keep(self, outcome: Outcome) -> None:
        before = outcome.replaces
        self._ids.append(outcome.row.id)
        self._is_new.append(outcome.is_new)
        self._replaced.append(before.id if before is not None else None)
        if before is None:
            return
        if before.created_at >= self._begun:
            # At most those that this save wrote itself: their records are not of the latest version either.
            self._superseded.add(before.id)
        if before.key is None:
            return
        if outcome.renames is not None:
            self._left[len(self._ids) - 1] = before.key
        name = ObjectName(before.digest, before.suffix)
        if outcome.plan.file._source.source.take_over and appearing.is_object_itself(self._instance, before.key, name):
            self._edited.append((before.key, before.version))

    def apply(self) -> list[Told]:
        """Let the users' records become what was written.

        Returns:
            What is to be said about it, and how: one by one where the files are few.
        """
        told: list[Told] = [(messages.warning, _edited_in_place(*one)) for one in self._edited]
        for part in self._parts():
            existing = self._rows(self._ids[position] for position in part if not self._is_new[position])
            for position in part:
                notes = self._apply_one(position, existing)
                if len(self.files) <= TOLD_ONE_BY_ONE:
                    told += notes
        return told

    def _apply_one(self, position: int, existing: dict[str, File]) -> list[Told]:
        file, row_id = self.files[position], self._ids[position]
        plan = self._plan(position, file)
        run = file._state.fields_cache.get("run")
        told: list[Told] = []
        if self._is_new[position]:
            row = plan.new_row(self._instance.alias, row_id)
            row.is_latest = row_id not in self._superseded
            del file._source
            file._take_over(row)
            told.append((messages.hint, f"stored {file.key or file.name!r} (version {file.version})"))
        else:
            found = existing.get(row_id)
            if found is not None:
                told += [(messages.warning, note) for note in _notes(plan, found)]
            _adopt(file, found, row_id)
        if run is not None and run.id == file.run_id:
            file._state.fields_cache["run"] = run
        return told

    def shown(self) -> Iterator[list[Change]]:
        """Yield what the view has to follow, in parts; the records are what was written by now."""
        for part in self._parts():
            replaced = self._rows(one for position in part if (one := self._replaced[position]) is not None)
            yield [
                Change(self.files[position], replaced.get(self._replaced[position] or ""), self._left.get(position))
                for position in part
            ]

    def _parts(self) -> Iterator[range]:
        for start in range(0, len(self._ids), AT_ONCE):
            yield range(start, min(start + AT_ONCE, len(self._ids)))

    def _rows(self, wanted: Iterable[str]) -> dict[str, File]:
        query = File.objects.using(self._instance.alias).order_by()
        return {row.id: row for part in rows.chunks(dict.fromkeys(wanted)) for row in query.filter(id__in=part)}


def _adopt(file: File, row: File | None, row_id: str) -> None:
    """Let a record become a row that exists; one that is gone again is only named."""
    description = file.description
    del file._source
    file.adopt(row if row is not None else File._filled({"id": row_id}, file._state.db, is_new=False))
    if description and row is not None and description != row.description:
        file.description = description
        file.save_row()


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
        for part in rows.chunks(superseded):
            marks = ", ".join(["%s"] * len(part))
            cursor.execute(f"UPDATE lamindb_file SET is_latest = %s WHERE id IN ({marks})", [False, *part])
        for outcome in outcomes:
            if outcome.renames is not None:
                stem, key, name = outcome.renames
                cursor.execute(
                    "UPDATE lamindb_file SET key = %s, name = %s, updated_at = %s WHERE id BETWEEN %s AND %s",
                    [key, name, link.ops.adapt_datetimefield_value(outcome.row.updated_at), *ids.versions_of(stem)],
                )
    rows.insert_many(link, [o.row for o in outcomes if o.is_new])
    rows.insert_many(link, [o.output for o in outcomes if o.output is not None], ignore_conflicts=True)
    members = {(o.plan.content.digest, m.digest, m.suffix): None for o in outcomes if o.is_new for m in o.plan.members}
    rows.insert_many(
        link,
        [FolderMember._blank(folder_digest=f, digest=d, suffix=s) for f, d, s in members],
        ignore_conflicts=True,
    )
