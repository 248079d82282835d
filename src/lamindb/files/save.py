"""Saving files: bytes, then row, then view; each step leaves a state that is right.

1. bytes: the store makes every object durable; an object without a row is harmless.
2. row: one short transaction writes the file, its run's output link and everything else that belongs to it.
3. view: the object appears under its key; it can be made anew from rows and objects at any time.

Whatever dies and whenever: a row never lacks its bytes, and running the program again completes the work.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lamindb.core import context, ids, messages
from lamindb.core import progress as progressing
from lamindb.core.progress import Progress
from lamindb.db import bulk, database
from lamindb.errors import InvalidInputError, InvalidTypeError, ReadOnlyError, StorageError
from lamindb.files import gc_marks, plan, source, taking_turns, unchanged, view_publish, view_repair
from lamindb.files.source import Pending
from lamindb.files.unchanged import Recognised
from lamindb.files.view_sync import Left
from lamindb.files.written import TOLD_ONE_BY_ONE, Told, Written
from lamindb.models import File, Record
from lamindb.records import author, save, stores
from lamindb.storage.base import BATCH, ObjectName
from lamindb.storage.source_reader import changed

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from lamindb.core.context import Instance

_ATTEMPTS = 4


def save_files(
    files: Sequence[File],
    *,
    others: Sequence[Record] = (),
    progress: Progress | None = None,
    executor: Executor | None = None,
) -> None:
    """Save files: all of them or none.

    New bytes are stored, then all rows are written in one transaction, then the view shows them. Files that were
    saved before have changed fields written afterwards, each by itself.

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
        with taking_turns.saving(files):
            _save_all(files, others, progress, executor)


def _save_all(
    files: Sequence[File], others: Sequence[Record], progress: Progress | None, executor: Executor | None
) -> None:
    instance = _one_instance(files)
    if instance.is_read_only:
        raise ReadOnlyError(f"the instance in {instance.root_url} can only be read: copy it to where it can be written")
    waiting = [file for file in files if file._source is not None]
    saved = [file for file in files if file._source is None]
    for file in waiting:
        source.take_changed_key(file)
    # Outside the transaction, whose failure would take the record of a new user with it.
    user_id = author.user_id(instance.alias)
    for file in waiting:
        file.created_by_id = file.created_by_id or user_id
    leaving = _leaving(instance, waiting)
    view_repair.announce(instance, leaving=leaving)
    if waiting:
        _save_new(instance, waiting, others, leaving, progress, executor)
    elif others:
        save.save_all(others)
    for file in saved:
        save.save_changes(file, instance)


def _leaving(instance: Instance, files: Sequence[File]) -> list[Left]:
    """Find what the view shows of files whose replacement takes another key, by its other suffix."""
    found = []
    for file in files:
        pending: Pending = file._source
        if pending.stem_id is not None:
            versions = File.objects.using(instance.alias).filter(id__range=ids.versions_of(pending.stem_id))
            row = versions.filter(is_latest=True, trashed_at__isnull=True).first()
            if row is not None and row.key is not None and row.key != pending.key:
                found.append(Left(row.key, ObjectName(row.digest, row.suffix), row.is_folder))
    return found


def _one_instance(files: Sequence[File]) -> Instance:
    aliases = {file._state.db for file in files}
    if len(aliases) > 1:
        raise InvalidInputError("these files belong to several instances: save those of each one by itself")
    instance = stores.instance_of(aliases.pop())
    if instance is None:
        raise InvalidInputError("these files belong to an instance that was closed: connect it again")
    return instance


def _save_new(
    instance: Instance,
    files: Sequence[File],
    others: Sequence[Record],
    leaving: Sequence[Left],
    progress: Progress | None,
    executor: Executor | None,
) -> None:
    known, rest = unchanged.recognise(instance, files)
    damaged = view_publish.check(instance, rest)
    _store_bytes(instance, rest, progress, executor)
    for attempt in range(_ATTEMPTS):
        try:
            written = _write_rows(instance, rest, known, others, leaving)
            break
        except gc_marks.Swept:
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
    for text in written.edited:
        messages.warning(text)
    told = written.apply(tell=len(files) <= TOLD_ONE_BY_ONE)
    for one in known:
        one.apply()
    save.link_pending(others)
    view_publish.show(instance, written.shown(), damaged, written.left)
    _tell(told, len(files), written.n_new)


def _tell(told: Sequence[Told], total: int, new: int) -> None:
    """Say what was unexpected: one by one where there are few, else how many."""
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
    in_own = [file for file in files if not file._source.is_in_place]
    store = stores.own_store(instance)
    done = 0
    for part in bulk.chunks(in_own, BATCH):
        so_far = progress and progressing.further(progress, done, len(in_own))
        waiting = [file._source.source for file in part]
        if executor is not None and len(in_own) > 1:
            from lamindb.files.parallel_store import store_by

            found = store_by(executor, instance, waiting, so_far)
        elif len(in_own) == 1:
            found = [store.put(waiting[0])]
        else:
            found = store.put_many(waiting, progress=so_far)
        for file, stored in zip(part, found, strict=True):
            pending: Pending = file._source
            if stored.is_folder != pending.is_folder:
                raise changed(str(pending.source.path))
            pending.content, pending.members, pending.n_files = stored.content, stored.members, stored.n_files
        done += len(part)
    for file in files:
        if file._source.is_in_place:
            source.content_of(file)


def _write_rows(
    instance: Instance,
    files: Sequence[File],
    known: Sequence[Recognised],
    others: Sequence[Record],
    leaving: Sequence[Left],
) -> Written:
    """Write everything that belongs to these files in one transaction.

    Raises:
        keeping.Swept: An object is marked and gone. Nothing was written.
        deciding.Raced: Another process wrote the same key at the same moment. Nothing was written.
    """
    from django.db import IntegrityError

    alias = instance.alias
    runs = {
        id(run): run
        for file in itertools.chain(files, (one.file for one in known))
        if (run := file._state.fields_cache.get("run")) is not None
    }
    made = [*others, *runs.values(), *(run.transform for run in runs.values() if run._state.adding)]
    try:
        with save.undone_on_failure(made), database.writing(alias) as link:
            plan.lock(link, files)
            gc_marks.claim(link, instance, plan.objects_of(files))
            save.save_inside(others, instance)
            written = Written(instance, files, leaving)
            written.write(link)
            if known:
                for one in known:
                    save.save_origin(one.file, instance)
                unchanged.write_outputs(link, alias, known)
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
    if not files or len({item._state.db or context.instance().alias for item in unique}) > 1:
        save.save_all(others)
        others = []
    save_files(files, others=others, progress=progress, executor=executor)
    return found


def _listed(items: Any) -> list[Any]:
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise InvalidTypeError(f"a {type(items).__name__} is no record and cannot be saved: pass a record or a list")
    return list(items)
