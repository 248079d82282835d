"""Saving files: bytes, then row, then view; each step leaves a state that is right.

1. bytes: the store makes every object durable; an object without a row is harmless.
2. row: one short transaction writes the file, its run's output edge and everything else that belongs to it.
3. view: the object appears under its key; it can be made anew from rows and objects at any time.

Whatever dies and whenever: a row never lacks its bytes, and running the program again completes the work.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lamindb.core import context, ids, messages
from lamindb.core import progress as progressing
from lamindb.core.progress import Progress
from lamindb.db import database
from lamindb.errors import InvalidInputError, InvalidTypeError, LaminError, ReadOnlyError, StorageError
from lamindb.files import plan, rename, source, unchanged, versions, view_sync
from lamindb.files.plan import Outcome, Plan
from lamindb.files.source import Pending
from lamindb.files.unchanged import UnchangedFile
from lamindb.files.view_sync import Change, Left
from lamindb.models import File, FolderMember, Record, Run, rows
from lamindb.models.base import now
from lamindb.records import edges, events, save
from lamindb.records.open_instance import Instance
from lamindb.storage.base import BATCH, ObjectName
from lamindb.storage.source_reader import changed

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from lamindb.records.open_instance import Instance

TOLD_ONE_BY_ONE: Final = 10

Told = tuple[Callable[[str], None], str]
"""What says a message, and the message."""


class Written:
    """What a save writes: inside its transaction `write`; after it `apply`, and let the view follow what is `shown`.

    What is kept of a file stands at its position in the list of files, unless a comment says otherwise.

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
        self._producers: dict[str, tuple[str | None, str | None]] = {}
        """Run and transform of rows that bring back the bytes of an older version, and have its producer."""
        self._gone: set[int] = set()
        """Positions of files whose row could not be read after the commit."""
        self._rows: dict[str, File] = {}
        """The rows that were inserted, and those that they replaced, if these are few: else they are read again."""
        self.edited: list[str] = []
        """What to say of stored versions that were written over; in no order."""

    @property
    def n_new(self) -> int:
        """How many rows were inserted; the other files were there already."""
        return sum(self._is_new)

    def row_ids(self) -> dict[int, str]:
        """Return the ids of the rows that the files became, by the `id()` of each file."""
        return dict(zip(map(id, self._files), self._ids, strict=True))

    def write(self, connection: Any) -> None:
        """Decide what the files become, and write it.

        Raises:
            KeyExistsError, HashExistsError, ConflictError: As `plan.decide` says; the transaction has to be rolled
                back.
        """
        for chunk in _cut(self._files):
            for file in chunk:
                save.save_origin(file, self._instance)
            start = len(self._ids)
            plans = [self._plan(start + index, file) for index, file in enumerate(chunk)]
            outcomes = plan.decide(self._instance.alias, plans)
            _insert(connection, outcomes)
            for outcome in outcomes:
                self._keep(outcome)
            renamed = [o.replaces.key for o in outcomes if o.renames is not None and o.replaces is not None]
            if renamed:
                # The newest version that is left has the key which a file has left.
                promoted = versions.promote(self._instance.alias, [], keys=renamed)
                plan.check_promoted(self._instance, promoted)

    def _plan(self, position: int, file: File) -> Plan:
        return Plan(file, file.pending, self._begun + datetime.timedelta(microseconds=position))

    def _keep(self, outcome: Outcome) -> None:
        before = outcome.replaces
        if outcome.is_new and outcome.row.run_id != outcome.plan.file.run_id:
            self._producers[outcome.row.id] = (outcome.row.run_id, outcome.row.transform_id)
        if outcome.is_new and len(self._files) <= database.AT_ONCE:
            self._rows.update((row.id, row) for row in (before, outcome.row) if row is not None)
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
        if outcome.plan.pending.source.take_over and view_sync.is_object_itself(self._instance, key, name):
            self.edited.append(_edited_in_place(key, before.version))

    def apply(self, *, tell: bool) -> list[Told]:
        """Turn the users' records into what was written. It is committed: a database that fails now is no failure.

        Args:
            tell: Return what is to be said of each file.
        """
        told: list[Told] = []
        for chunk in self._parts():
            read = self._read_safely(self._ids[position] for position in chunk if self._has_to_be_read(position))
            for position in chunk:
                notes = self._apply_one(position, read)
                if tell:
                    told += notes
        return told

    def _has_to_be_read(self, position: int) -> bool:
        """Return True if the row cannot be worked out: it was there before, or a later file may have changed it."""
        if not self._is_new[position]:
            return True
        moved = self._moved
        return bool(moved) and (
            self._ids[position][: ids.STEM_LENGTH] in moved or self._files[position].pending.key in moved
        )

    def _apply_one(self, position: int, read: dict[str, File]) -> list[Told]:
        file, row_id = self._files[position], self._ids[position]
        plan = self._plan(position, file)
        row = read.get(row_id)
        is_new = bool(self._is_new[position])
        if row is None and not is_new:
            unchanged.become(file, row_id, plan.content)
            self._gone.add(position)
            return []
        told: list[Told] = []
        run = file.related("run")
        if row is None:
            row = self._rows.get(row_id) or plan.new_row(self._instance.alias, row_id)
            row.run_id, row.transform_id = self._producers.get(row_id, (row.run_id, row.transform_id))
            row.is_latest = row_id not in self._superseded
            file.take_over(row)
        else:
            if not is_new:
                told += [(messages.warning, note) for note in _notes(plan, row)]
            file.adopt(row)
        file.loaded.pop("pending", None)
        if run is not None and run.id == file.run_id:
            file.set_related("run", run)
        if is_new:
            told.append((messages.hint, f"stored {file.key or file.name!r} (version {file.version})"))
        return told

    def shown(self) -> Iterator[list[Change]]:
        """Yield what the view has to follow, in parts; the files are what was written by now."""
        for chunk in self._parts():
            before = [row_id for position in chunk if (row_id := self._replaced[position]) is not None]
            replaced = self._rows | self._read(row_id for row_id in before if row_id not in self._rows)
            changes = []
            for position in chunk:
                if position not in self._gone:
                    row_id = self._replaced[position]
                    changes.append(Change(self._files[position], replaced.get(row_id) if row_id is not None else None))
            yield changes

    @property
    def left(self) -> Sequence[Left]:
        """What the view may still show under keys that files have left."""
        return self._left

    def _parts(self) -> Iterator[range]:
        for start in range(0, len(self._ids), database.AT_ONCE):
            yield range(start, min(start + database.AT_ONCE, len(self._ids)))

    def _read(self, wanted: Iterable[str]) -> dict[str, File]:
        alias = self._instance.alias
        return {
            row.id: row
            for chunk in database.chunks(dict.fromkeys(wanted))
            for row in rows.rows(File, alias, f"id IN ({rows.marks(chunk)})", chunk)
        }

    def _read_safely(self, wanted: Iterable[str]) -> dict[str, File]:
        try:
            return self._read(wanted)
        except LaminError as error:
            messages.debug(f"saved, but not read again: {error}")
            return {}


def _cut(files: Sequence[File]) -> Iterator[list[File]]:
    """Cut files into parts; one that moves its versions to another key stands alone."""
    chunk: list[File] = []
    for file in files:
        pending = file.pending
        moves = pending.stem_id is not None and pending.key != pending.seen_key
        if chunk and (moves or len(chunk) == database.AT_ONCE):
            yield chunk
            chunk = []
        chunk.append(file)
        if moves:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _edited_in_place(key: str, version: int) -> str:
    return (
        f"{key!r} was changed in place, which wrote over the stored bytes of version {version}: "
        "save those bytes again, from wherever they still are, to repair it"
    )


def _notes(plan: Plan, row: File) -> list[str]:
    if plan.file.name != row.name and plan.has_own_name:
        return [f"these bytes are stored already: the record keeps its name {row.name!r}"]
    if plan.file.id != row.id:
        return [_stored_already(row.key or row.name, row.id)]
    return []


def _stored_already(title: str | None, file_id: str) -> str:
    return f"these bytes are stored already: this is {title!r}, {file_id}"


def _insert(connection: Any, outcomes: Sequence[Outcome]) -> None:
    superseded = [o.replaces.id for o in outcomes if o.is_new and o.replaces is not None]
    adapt_time = connection.ops.adapt_datetimefield_value
    for chunk in database.chunks(superseded):
        statement = f"UPDATE lamindb_file SET is_latest = %s WHERE id IN ({rows.marks(chunk)})"
        connection.run(statement, [False, *chunk])
    for outcome in outcomes:
        if outcome.renames is not None:
            stem, key, name = outcome.renames
            events.renamed(connection, stem, key, _author(outcome.plan), outcome.row.updated_at)
            connection.run(
                "UPDATE lamindb_file SET key = %s, name = %s, updated_at = %s WHERE id BETWEEN %s AND %s",
                [key, name, adapt_time(outcome.row.updated_at), *ids.version_range(stem)],
            )
    database.insert_many(connection, [o.row for o in outcomes if o.is_new])
    database.insert_many(connection, [o.output for o in outcomes if o.output is not None], ignore_conflicts=True)
    made: dict[tuple[str, str | None], list[str]] = {}
    for outcome in outcomes:
        # Bytes without a key may be those of a file with one, which did not come from here.
        if outcome.output is not None and not outcome.is_new and outcome.row.key == outcome.plan.pending.key:
            file = outcome.plan.file
            made.setdefault((outcome.output.run_id, file.transform_id), []).append(outcome.row.id)
    for (run_id, transform_id), file_ids in made.items():
        edges.become_producer(connection, run_id, transform_id, file_ids)
    members = {
        (o.plan.content.digest, m.digest, m.suffix): None for o in outcomes if o.is_new for m in o.plan.pending.members
    }
    database.insert_many(
        connection,
        [
            FolderMember.from_columns({"folder_digest": f, "digest": d, "suffix": s}, connection.alias, is_new=True)
            for f, d, s in members
        ],
        ignore_conflicts=True,
    )
    _describe(connection, outcomes)


def _author(plan: Plan) -> events.Author:
    """Return who gives a file another key by a replacement; a run whose bytes are brought back does not do that."""
    return events.Author(plan.file.created_by_id, None if plan.pending.is_brought_back else plan.file.run_id)


def _describe(connection: Any, outcomes: Sequence[Outcome]) -> None:
    """Give rows that were there already the descriptions with which their files are saved again."""
    for outcome in outcomes:
        description = outcome.plan.file.description
        if not outcome.is_new and description and description != outcome.row.description:
            connection.run(
                "UPDATE lamindb_file SET description = %s, updated_at = %s WHERE id = %s",
                [description, connection.ops.adapt_datetimefield_value(outcome.plan.saved_at), outcome.row.id],
            )


_idle = threading.Condition()
_under_way: list[tuple[int, array[int]]] = []
"""The thread of each save, and the addresses of its records, which are their own as long as they are being saved."""


@contextlib.contextmanager
def saving(records: Sequence[object]) -> Iterator[None]:
    """Keep other threads from saving any of these records until the block ends; wait for those that do."""
    save = (threading.get_ident(), array("Q", map(id, records)))
    with _idle:
        _idle.wait_for(lambda: _is_free(save))
        _under_way.append(save)
    try:
        yield
    finally:
        with _idle:
            _under_way[:] = [one for one in _under_way if one is not save]
            _idle.notify_all()


def _is_free(save: tuple[int, array[int]]) -> bool:
    thread, wanted = save
    others = [busy for other, busy in _under_way if other != thread]
    return not others or set(wanted).isdisjoint(one for busy in others for one in busy)


def _after_fork_in_child() -> None:
    """The other threads, and what they were saving, stay behind in the parent."""
    global _idle
    _idle = threading.Condition()
    me = threading.get_ident()
    _under_way[:] = [one for one in _under_way if one[0] == me]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


_ATTEMPTS = 4


def save_files(
    files: Sequence[File],
    *,
    others: Sequence[Record] = (),
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> None:
    """Save files: all of them or none.

    New bytes are stored, then all rows are written in one transaction, with the changed fields of files that were
    saved before, then the view shows them.

    Args:
        files: Files of one instance.
        others: Records of other kinds, such as new runs, that are written in the same transaction.
        progress: Told how many files are stored, and how many there are.
        executor: Hashes and stores on other machines that see the same files and the same storage.

    Raises:
        SourceChangedError: A file changed since its record was made. Nothing was saved.
        KeyExistsError, HashExistsError: The settings forbid what the save would do. Nothing was saved.
        ViewConflictError: Something of the user's stands where the view would show a file. Nothing was saved.
        StorageError: The disk or bucket failed. Nothing was saved; calling again is safe.
    """
    if files:
        with saving(files):
            _save_all(files, others, progress, executor)


def _save_all(
    files: Sequence[File], others: Sequence[Record], progress: Progress | None, executor: Executor | None
) -> None:
    instance = _checked(files, others)
    waiting = [file for file in files if file.pending is not None]
    saved = [file for file in files if file.pending is None]
    for file in waiting:
        if file.key != file.pending.seen_key:
            source.take_changed_key(file)
    # Outside the transaction, whose failure would take the record of a new user with it.
    user_id = instance.user_id()
    for file in waiting:
        file.created_by_id = file.created_by_id or user_id
    leaving = _leaving(instance, waiting)
    changes = [rename.Change.of(file, instance) for file in saved]
    view_sync.announce(instance, leaving=[*leaving, *(one for change in changes for one in change.leaving)])
    if waiting:
        _save_new(instance, waiting, Beside(others, changes), leaving, progress, executor)
    else:
        made = [*others, *_runs_of(saved)]
        with save.undone_on_failure([*made, *saved]), database.writing(instance.alias) as connection:
            renamed = rename.renamed(changes)
            if renamed:
                plan.lock(connection, (), renamed)
            save.save_inside(others, connection)
            rename.write(changes, instance, connection)
            save.link_pending(made, connection)
    for change in changes:
        change.show(instance)


class Beside(NamedTuple):
    """What is written in the transaction of new files: records of other kinds, and changes of files saved before."""

    others: Sequence[Record]
    changes: Sequence[rename.Change]


def _runs_of(files: Iterable[File]) -> list[Run]:
    """Return the runs that files were given, each once; those that are new are saved with them."""
    runs = {id(run): run for file in files if (run := file.related("run")) is not None}
    return list(runs.values())


def _leaving(instance: Instance, files: Sequence[File]) -> list[Left]:
    """Find what the view shows of files whose replacement takes another key, by its other suffix."""
    found = []
    for file in files:
        pending: Pending = file.pending
        if pending.stem_id is not None:
            versions = File.objects.using(instance.alias).filter(id__range=ids.version_range(pending.stem_id))
            row = versions.filter(is_latest=True, trashed_at__isnull=True).first()
            if row is not None and row.key is not None and row.key != pending.key:
                found.append(Left(row.key, ObjectName(row.digest, row.suffix), row.is_folder))
    return found


def _checked(files: Sequence[File], others: Sequence[Record]) -> Instance:
    """Return the instance of files that can be saved, together with other records, as far as it can be known before."""
    first = files[0]
    for file in files:
        if file.alias != first.alias:
            named = [f"{one.key or one.name!r} ({one.id}) in {context.shown(one.alias)}" for one in (first, file)]
            raise InvalidInputError(
                f"these files belong to several instances, {named[0]}, and {named[1]}: save those of each one by itself"
            )
    instance = context.connected(first.alias)
    if instance is None:
        raise InvalidInputError("these files belong to an instance that was closed: connect it again")
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read: copy it to where it can be written")
    save.check_pending([*others, *_runs_of(files)], files)
    return instance


def _save_new(
    instance: Instance,
    files: Sequence[File],
    beside: Beside,
    leaving: Sequence[Left],
    progress: Progress | None,
    executor: Executor | None,
) -> None:
    known: list[UnchangedFile] = []
    rest = list(files)
    if plan.is_any_current(instance, files):
        known, rest = unchanged.find(instance, files)
    _check_keys(instance, rest, leaving)
    damaged = view_sync.check(instance, rest)
    view_sync.put_aside(instance, damaged)
    _store_bytes(instance, rest, progress, executor)
    for attempt in range(_ATTEMPTS):
        try:
            written = _write_rows(instance, rest, known, beside, leaving)
            break
        except plan.Swept:
            # Garbage collection removed an object between our look and our row: store the bytes again.
            _store_bytes(instance, rest, None, None)
        except plan.Raced:
            if attempt == _ATTEMPTS - 1:
                raise
            if known:
                known, rest = [], list(files)
                _store_bytes(instance, rest, None, None)
    else:
        raise StorageError("the bytes were removed by garbage collection again and again: try later")
    for file in rest:
        if file.pending.left_out:
            source.report_left_out(file.pending.shown, file.pending.left_out)
    for text in written.edited:
        messages.warning(text)
    is_told = len(files) <= TOLD_ONE_BY_ONE
    told = written.apply(tell=is_told)
    for one in known:
        one.apply()
        if is_told:
            told.append((messages.warning, _stored_already(one.file.key, one.row_id)))
    view_sync.show(instance, written.shown(), damaged, written.left)
    _tell(told, len(files), written.n_new)


def _check_keys(instance: Instance, files: Sequence[File], leaving: Sequence[Left]) -> None:
    waiting = (file.pending for file in files)
    own = ((one.key, one.is_folder) for one in waiting if one.key is not None and not one.is_in_place)
    plan.check_keys(instance, own, leaving=[one.key for one in leaving])


def _tell(told: Sequence[Told], total: int, new: int) -> None:
    """Report what was unexpected: one by one where there are few, else how many."""
    for say, text in told:
        say(text)
    if total > TOLD_ONE_BY_ONE:
        if new < total:
            messages.warning(f"{total - new:,} of {total:,} files are stored already with the same bytes")
        messages.hint(f"stored {new:,} files")


def _store_bytes(
    instance: Instance, files: Sequence[File], progress: Progress | None, executor: Executor | None
) -> None:
    """Make the bytes of all files durable, and let each know what they are; those in place are only hashed."""
    in_own = [file for file in files if not file.pending.is_in_place]
    store = instance.store
    done = 0
    for chunk in database.chunks(in_own, BATCH):
        so_far = progress and progressing.with_offset(progress, done, len(in_own))
        waiting = [file.pending.source for file in chunk]
        if executor is not None and len(in_own) > 1:
            from lamindb.files.parallel_store import store_by

            found = store_by(executor, instance, waiting, so_far)
        elif len(in_own) == 1:
            found = [store.put(waiting[0])]
        else:
            found = store.put_many(waiting, progress=so_far)
        for file, stored in zip(chunk, found, strict=True):
            pending: Pending = file.pending
            if stored.is_folder != pending.is_folder:
                raise changed(str(pending.source.path))
            pending.content, pending.members, pending.n_files = stored.content, stored.members, stored.n_files
            pending.left_out = stored.left_out
        done += len(chunk)
    for file in files:
        if file.pending.is_in_place:
            source.content_of(file)


def _write_rows(
    instance: Instance,
    files: Sequence[File],
    known: Sequence[UnchangedFile],
    beside: Beside,
    leaving: Sequence[Left],
) -> Written:
    """Write everything that belongs to these files in one transaction.

    Raises:
        plan.Swept: An object is marked and gone. Nothing was written.
        plan.Raced: Another process wrote the same key at the same time. Nothing was written.
        KeyExistsError: Another process saved a folder above a key, or a key below a folder. Nothing was written.
    """
    from django.db import IntegrityError

    alias = instance.alias
    changed = [change.file for change in beside.changes]
    made = [*beside.others, *_runs_of(itertools.chain(files, (one.file for one in known), changed))]
    try:
        with save.undone_on_failure([*made, *changed]), database.writing(alias) as connection:
            plan.lock(connection, files, rename.renamed(beside.changes) if changed else ())
            # Another process may have saved a folder above, or a key below, since we looked.
            _check_keys(instance, files, leaving)
            plan.claim(connection, instance, plan.objects_of(files))
            save.save_inside(beside.others, connection)
            written = Written(instance, files, leaving)
            written.write(connection)
            if known:
                for one in known:
                    save.save_origin(one.file, instance)
                unchanged.write_outputs(connection, alias, known)
            if changed:
                rename.write(beside.changes, instance, connection)
            new_ids = written.row_ids() | {id(one.file): one.row_id for one in known}
            save.link_pending(made, connection, new_ids)
    except IntegrityError as error:
        violated = database.violated_constraint(error)
        if "one_current_version" in violated or "storage_id" in violated or "file.id" in violated or "pkey" in violated:
            raise plan.Raced(str(error)) from error
        raise
    return written


def save_records(
    items: Record | Iterable[Record], *, progress: Progress | None = None, executor: Executor | None = None
) -> list[Record]:
    """Save records of any kind: all of them or none of them.

    Of several instances, all are checked before any is saved. What fails after that, such as a disk that is full or a
    database that ends just then, may leave the records of one instance saved without those of another.

    Args:
        items: A record, or several. A generator is read once.
        progress: Told how many files are stored, and how many there are.
        executor: See `save_files`.

    Returns:
        The records, saved, in the order given.

    Raises:
        InvalidTypeError: Something is no record. Nothing was saved.
    """
    found = [items] if isinstance(items, Record) else _listed(items)
    for item in found:
        if not isinstance(item, Record):
            raise InvalidTypeError(f"a {type(item).__name__} is no record and cannot be saved; nothing was saved")
    unique = list({id(item): item for item in found}.values())
    others = [item for item in unique if not isinstance(item, File)]
    files = [item for item in unique if isinstance(item, File)]
    if not files:
        save.save_all(others)
        return found
    home = _alias_of(files[0])
    apart = [item for item in others if _alias_of(item) != home]
    if apart:
        _checked(files, ())
        save.check_all(apart)
    here = [item for item in others if _alias_of(item) == home]
    save_files(files, others=here, progress=progress, executor=executor)
    if apart:
        save.save_all(apart)
    return found


def _alias_of(record: Record) -> str:
    return record.alias or context.instance().alias


def _listed(items: Any) -> list[Any]:
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise InvalidTypeError(f"a {type(items).__name__} is no record and cannot be saved: pass a record or a list")
    return list(items)
