"""Saving files: bytes, then row, then view; each step leaves a state that is right.

1. bytes: the store makes every object durable; an object without a row is harmless.
2. row: one short transaction writes the file, its run's output link and everything else that belongs to it.
3. view: the object appears under its key; it can be made anew from rows and objects at any time.

Whatever dies and whenever: a row never lacks its bytes, and running the program again completes the work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lamindb.core import current, ids, messages
from lamindb.core.errors import (
    InvalidInputError,
    InvalidTypeError,
    LaminError,
    ReadOnlyError,
    StorageError,
    ViewConflictError,
)
from lamindb.core.progress import Progress
from lamindb.instance import database, rows
from lamindb.models import File, FolderMember, Record
from lamindb.storage.protocol import ObjectName, Stored
from lamindb.storage.reading import changed
from lamindb.usecases import stores, writers
from lamindb.usecases.files import deciding, families, recognising, records, sources, taking_turns
from lamindb.usecases.files.deciding import Outcome, Plan
from lamindb.usecases.files.recognising import Recognised
from lamindb.usecases.files.sources import Pending
from lamindb.usecases.view import repairing, showing
from lamindb.usecases.view.showing import Left

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from lamindb.core.current import Instance

_ATTEMPTS = 4
_SHOWN_AT_ONCE = 2_000
_TOLD_ONE_BY_ONE = 10


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
        sources.take_changed_key(file)
    # Outside the transaction, whose failure would take the record of a new user with it.
    user_id = writers.user_id(instance.alias)
    for file in waiting:
        file.created_by_id = file.created_by_id or user_id
    repairing.announce(instance, leaving=_leaving(instance, waiting))
    if waiting:
        _save_new(instance, waiting, others, progress, executor)
    elif others:
        records.save_all(others)
    for file in saved:
        records.save_changes(file, instance)


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
    progress: Progress | None,
    executor: Executor | None,
) -> None:
    known, rest = recognising.recognise(instance, files)
    damaged = _check_view(instance, rest)
    stored = _store_bytes(instance, rest, progress, executor)
    for attempt in range(_ATTEMPTS):
        plans = [Plan.of(file, one) for file, one in zip(rest, stored, strict=True)]
        try:
            outcomes = _write_rows(instance, plans, known, others)
            break
        except deciding.Swept:
            # Garbage collection removed an object between our look and our row: store the bytes again.
            stored = _store_bytes(instance, rest, None, None)
        except deciding.Raced:
            if attempt == _ATTEMPTS - 1:
                raise
            if known:
                known, rest = [], list(files)
                stored = _store_bytes(instance, rest, None, None)
    else:
        raise StorageError("the bytes were removed by garbage collection again and again: try later")
    _tell_edited_in_place(instance, outcomes)
    for outcome in outcomes:
        outcome.apply()
    for one in known:
        one.apply()
    records.link_pending(others)
    _show(instance, outcomes, damaged)
    _tell(outcomes, len(known))


def _tell_edited_in_place(instance: Instance, outcomes: Sequence[Outcome]) -> None:
    """Warn where the new bytes were written over the object of the version before, through its link in the view."""
    for outcome in outcomes:
        before = outcome.replaces
        if before is None or before.key is None or not outcome.plan.file._source.source.take_over:
            continue
        if _is_damaged_object(instance, before.key, ObjectName(before.digest, before.suffix)):
            messages.warning(
                f"{before.key!r} was changed in place, which wrote over the stored bytes of version {before.version}: "
                "save those bytes again, from wherever they still are, to repair it"
            )


def _tell(outcomes: Sequence[Outcome], recognised: int) -> None:
    """Say what was unexpected: one by one where there are few, else how many."""
    total = len(outcomes) + recognised
    if total <= _TOLD_ONE_BY_ONE:
        for outcome in outcomes:
            outcome.tell()
        return
    known = recognised + sum(not outcome.is_new for outcome in outcomes)
    if known:
        messages.warning(f"{known:,} of {total:,} files are stored already with the same bytes")
    messages.hint(f"stored {total - known:,} files")


def _check_view(instance: Instance, files: Sequence[File]) -> set[str]:
    """Refuse keys that the view could not show, before anything is written.

    Returns:
        Keys whose file in the view is a damaged object; it is moved aside when the right bytes are back.
    """
    damaged: set[str] = set()
    view = stores.view(instance)
    if view.mode == "none":
        return damaged
    pendings: list[Pending] = [file._source for file in files]
    keys = {p.key: p for p in pendings if p.key is not None and not p.is_in_place and not p.source.take_over}
    occupied = [key for key in keys if os.path.lexists(f"{instance.root_url}/{key}")]
    shown = _names_under(instance, occupied)
    for key, pending in _worth_asking(keys, occupied).items():
        known = shown.get(key, set())
        reason = view.conflict(key, None, [name.digest for name in known])
        # Another process may show a version that it saved after we asked for the versions.
        while reason is not None and known != (now_known := _names_under(instance, [key]).get(key, set())):
            known = now_known
            reason = view.conflict(key, None, [name.digest for name in known])
        if reason is not None and any(_is_damaged_object(instance, key, name) for name in known):
            damaged.add(key)
        elif reason is not None and not showing.is_ours(instance, key):
            raise ViewConflictError(f"cannot save {pending.shown} as {key!r}: {reason}")
    return damaged


def _worth_asking(keys: dict[str, Pending], occupied: Sequence[str]) -> dict[str, Pending]:
    """Return the keys about which the view has to be asked: those that are taken, and one of each folder.

    Raises:
        ViewConflictError: A key is the folder of another one.
    """
    folders: dict[str, str] = {}
    for key in keys:
        folder = key.rpartition("/")[0]
        if folder not in folders:
            folders[folder] = key
    for folder, key in folders.items():
        above = folder
        while above:
            if above in keys:
                raise ViewConflictError(f"cannot save both {above!r} and {key!r}: a file cannot be a folder too")
            above = above.rpartition("/")[0]
    return {key: keys[key] for key in {**dict.fromkeys(folders.values()), **dict.fromkeys(occupied)}}


def _names_under(instance: Instance, keys: Sequence[str]) -> dict[str, set[ObjectName]]:
    """Return the objects of all versions under each of some keys."""
    found: dict[str, set[ObjectName]] = {}
    query = File.objects.using(instance.alias).filter(storage_id=instance.storage_id)
    for part in rows.chunks(keys):
        for key, digest, suffix in query.filter(key__in=part).values_list("key", "digest", "suffix").order_by():
            found.setdefault(str(key), set()).add(ObjectName(digest, suffix))
    return found


def _is_damaged_object(instance: Instance, key: str, name: ObjectName) -> bool:
    """Tell whether the view's file is the object itself, so that what was written into it damaged the object."""
    try:
        return os.path.samefile(f"{instance.root_url}/{key}", stores.own_store(instance).object_path(name))
    except OSError:
        return False


def _store_bytes(
    instance: Instance, files: Sequence[File], progress: Progress | None, executor: Executor | None
) -> list[Stored]:
    """Make the bytes of all files durable; those registered in place are only hashed."""
    in_own = [file for file in files if not file._source.is_in_place]
    store = stores.own_store(instance)
    if executor is not None and len(in_own) > 1:
        from lamindb.usecases.files.spreading import store_by

        done = store_by(executor, instance, [file._source.source for file in in_own], progress)
    elif len(in_own) == 1:
        done = [store.put(in_own[0]._source.source)]
    else:
        done = store.put_many([file._source.source for file in in_own], progress=progress)
    by_file: dict[int, Stored] = {}
    for file, one in zip(in_own, done, strict=True):
        if one.is_folder != file._source.is_folder:
            raise changed(str(file._source.source.path))
        by_file[id(file)] = one
    return [by_file.get(id(file)) or _left_in_place(file) for file in files]


def _left_in_place(file: File) -> Stored:
    content = sources.content_of(file)
    return Stored(ObjectName(content.digest, file.suffix), content, reused=True, is_folder=file._source.is_folder)


def _write_rows(
    instance: Instance, plans: list[Plan], known: Sequence[Recognised], others: Sequence[Record]
) -> list[Outcome]:
    """Write everything that belongs to these files in one transaction.

    Raises:
        deciding.Swept: An object is marked and gone. Nothing was written.
        deciding.Raced: Another process wrote the same key at the same moment. Nothing was written.
    """
    from django.db import IntegrityError

    alias = instance.alias
    files = [*(plan.file for plan in plans), *(one.file for one in known)]
    runs = {id(run): run for file in files if (run := file._state.fields_cache.get("run")) is not None}
    made = [*others, *runs.values(), *(run.transform for run in runs.values() if run._state.adding)]
    try:
        with records.undone_on_failure(made), database.writing(alias) as link:
            deciding.lock(link, plans)
            deciding.clear_marks(link, plans, stores.own_store(instance))
            records.save_inside(others, instance)
            for file in files:
                records.save_origin(file, instance)
            outcomes = deciding.decide(alias, plans)
            _insert(link, outcomes)
            left = [o.replaces.key for o in outcomes if o.renames is not None and o.replaces is not None]
            if left:
                families.promote(alias, [], keys=left)
            if known:
                recognising.write_outputs(link, alias, known)
    except IntegrityError as error:
        violated = database.violated_constraint(error)
        if "one_current_version" in violated or "storage_id" in violated or "file.id" in violated or "pkey" in violated:
            raise deciding.Raced(str(error)) from error
        raise
    return outcomes


def _insert(link: Any, outcomes: Iterable[Outcome]) -> None:
    outcomes = list(outcomes)
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
    members = {
        (o.plan.stored.name.digest, m.digest, m.suffix): None
        for o in outcomes
        for m in o.plan.stored.members
        if o.is_new
    }
    rows.insert_many(
        link,
        [FolderMember._blank(folder_digest=f, digest=d, suffix=s) for f, d, s in members],
        ignore_conflicts=True,
    )


def _show(instance: Instance, outcomes: Sequence[Outcome], damaged: set[str]) -> None:
    """Let the view show what is current now. The rows are right already, so nothing here can undo the save."""
    if stores.view(instance).mode == "none":
        return
    left: list[Left] = []
    again: list[str] = []
    try:
        for part in rows.chunks(outcomes, _SHOWN_AT_ONCE):
            _show_some(instance, part, damaged, left, again)
        again += [one.key for one in left]
        conflicts = showing.follow(instance, again, left=left) if again else []
    except LaminError as error:
        conflicts = [error]
    repairing.leave_unfinished(instance, conflicts)
    for conflict in conflicts:
        messages.warning(f"saved, but the folder does not show it: {conflict}")


def _show_some(
    instance: Instance, outcomes: Sequence[Outcome], damaged: set[str], left: list[Left], again: list[str]
) -> None:
    """Show some of the files; notes what was left behind, and keys that have to be looked at once more."""
    from lamindb.storage.view import Shown

    view = stores.view(instance)
    wanted: dict[str, Shown] = {}
    shown: dict[str, str] = {}
    for outcome in outcomes:
        file, before = outcome.file, outcome.replaces
        old = ObjectName(before.digest, before.suffix) if before is not None else None
        if file.key is not None and file.storage_id == instance.storage_id and file.is_latest:
            wanted[file.key] = Shown(file.key, ObjectName(file.digest, file.suffix), file.is_folder, old)
            shown[file.key] = file.id
        if outcome.renames is not None and before is not None and old is not None and before.key is not None:
            left.append(Left(before.key, old, before.is_folder))
    if view.show_many([one for key, one in wanted.items() if key not in damaged]):
        again += wanted
    view.show_many([one for key, one in wanted.items() if key in damaged], move_aside=True)
    moved = showing.moved_on(instance, shown)
    left += [Left(key, wanted[key].name, wanted[key].is_folder) for key in moved]


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
    if not files or len({item._state.db or current.instance().alias for item in unique}) > 1:
        records.save_all(others)
        others = []
    save_files(files, others=others, progress=progress, executor=executor)
    return found


def _listed(items: Any) -> list[Any]:
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
        raise InvalidTypeError(f"a {type(items).__name__} is no record and cannot be saved: pass a record or a list")
    return list(items)
