"""Runs that could not be recorded because the database failed: kept in the user's data folder until it can be written.

An entry is one file that only its owner can read. It holds what tracking itself knows of a run: its beginning and end,
what it read, and where the outputs are that a command was asked for; without secrets. The next process of this
user that can write the database takes it in. What can never be written is set apart, with the reason.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from django.db import Error

from lamindb.core import locks, messages, paths
from lamindb.core.hashing import digest_file
from lamindb.core.plain import plain
from lamindb.environment.redaction import redact_text
from lamindb.errors import ConflictError, DatabaseError, InvalidInputError, LaminError, ReadOnlyError, StorageError
from lamindb.files import save as files_save
from lamindb.files import source
from lamindb.files.locate import with_key
from lamindb.models import File, Run, Transform
from lamindb.records import edges, save
from lamindb.records.open_instance import Instance
from lamindb.runs import capture, identify, metadata, parent
from lamindb.runs.commands import declared
from lamindb.storage.hash_cache import NoHashCache

_MOST_ENTRIES: Final = 1000
_MOST_BYTES: Final = 1024 * 1024
MOST_FILES: Final = 1000
_SET_APART: Final = "never"
_TRANSFORM_FIELDS: Final = ("type", "name", "reference", "version", "short_name", "code_hash")
_RUN_FIELDS: Final = (
    *("name", "params", "status", "exit_code", "error", "host", "process", "arguments", "python_version", "capture"),
    *("git_repository", "git_commit", "git_is_dirty", "code_path"),
)
_ENDING: Final = ("status", "finished_at", "exit_code", "error", "capture")
_TIME_FIELDS: Final = ("started_at", "finished_at", "heartbeat_at")
_WAITING_ERRORS: Final = (DatabaseError, ReadOnlyError, Error, OSError)


def folder_of(instance_id: str) -> Path | None:
    """Return the folder of the entries of an instance; None where there is no place for it."""
    base = paths.data_folder()
    return base / "unrecorded" / instance_id if base is not None else None


def waiting(instance_id: str) -> list[Path]:
    """Return the entries that wait to be written."""
    return _entries(folder_of(instance_id))


def set_apart(instance_id: str) -> list[Path]:
    """Return the entries that can never be written; a text file beside each has the reason."""
    folder = folder_of(instance_id)
    return _entries(folder / _SET_APART) if folder is not None else []


def _entries(folder: Path | None) -> list[Path]:
    return sorted(folder.glob("*.json")) if folder is not None and folder.is_dir() else []


def entry_of(instance: Instance, run: Run, data: metadata.Data, *, is_new: bool | None = None) -> dict[str, Any]:
    """Return what is to be kept of a run.

    Args:
        instance: Its instance.
        run: The run, with the fields of its end.
        data: What is to be stored of it.
        is_new: Whether it has no row; None: as the run says.
    """
    is_new = not run.is_saved if is_new is None else is_new
    transform = run.related("transform") if is_new else None
    pending = run.loaded.get("_pending", {}).get("input", []) if is_new else []
    unlinked = instance.part(edges.Unlinked).by_run.pop(run.id, [])
    values = {name: run.loaded.get(name) for name in (*_RUN_FIELDS, *_TIME_FIELDS, "transform_id", "parent_id")}
    if is_new and values["parent_id"] is None:
        values["parent_id"] = parent.inherited_id(instance)
    return {
        "run": {"id": run.id, "is_new": is_new, **values},
        "transform": {name: getattr(transform, name, None) for name in _TRANSFORM_FIELDS} if transform else None,
        "data": {
            name: [redact_text(content.decode("utf-8", "replace")), suffix]
            for name, (content, suffix) in data.items()
            if content
        },
        "read": [file.id for file in dict.fromkeys([*pending, *unlinked])][:MOST_FILES],
        "inputs": [],
        "outputs": [],
    }


def place_of(path: str, key: str | None) -> dict[str, Any] | None:
    """Return where a file or folder is and what it holds, for an entry; None if it cannot be read."""
    try:
        return {"path": path, "key": key, "digest": _digest_of(path)}
    except (LaminError, OSError) as error:
        messages.debug(f"{path} cannot be kept for later: {error}")
        return None


def _digest_of(path: str) -> str:
    if os.path.isdir(path):
        return source.read_folder(path, None, NoHashCache())[0].digest
    return digest_file(path)


def add(instance: Instance, entry: dict[str, Any]) -> bool:
    """Keep an entry until it can be written; return False if that cannot be done either."""
    folder = folder_of(instance.id)
    data = _fitting(entry)
    if folder is None or data is None or len(waiting(instance.id)) >= _MOST_ENTRIES:
        return False
    path = folder / f"{entry['run']['id']}.json"
    try:
        paths.make_private_folder(folder)
        descriptor = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(path.with_suffix(".new"), path)
    except OSError as error:
        messages.debug(f"run {entry['run']['id']} cannot be kept: {error}")
        return False
    return True


def add_end(instance: Instance, run_id: str, ending: dict[str, Any], *, is_waiting: bool = False) -> bool:
    """Keep the end of a run until it can be written, with its beginning if that waits; return False if that fails.

    Args:
        instance: Its instance.
        run_id: The run.
        ending: Fields of its end.
        is_waiting: Only where its beginning waits; else also where that may have been recorded.
    """
    folder = folder_of(instance.id)
    if folder is None:
        return False
    path = folder / f"{run_id}.json"
    if is_waiting and not path.exists():
        return False
    try:
        paths.make_private_folder(folder)
        # Another process may be about to record the beginning, and would then remove the end with it.
        with locks.held(folder / "lock"):
            if path.exists():
                entry = json.loads(path.read_bytes())
                entry["run"].update(ending)
            elif is_waiting:
                return False
            else:
                entry = {"run": {"id": run_id, "is_new": False, **ending}, "transform": None, "data": {}}
                entry |= {"read": [], "inputs": [], "outputs": []}
            return add(instance, entry)
    except (OSError, ValueError, LookupError) as error:
        messages.debug(f"the end of run {run_id} cannot be kept: {error}")
        return False


def _fitting(entry: dict[str, Any]) -> bytes | None:
    """Return an entry as JSON, without the largest of its texts if it is too large; None if it still is."""
    while True:
        text = json.dumps(plain(entry, str), ensure_ascii=True)
        if len(text) <= _MOST_BYTES:
            return text.encode("ascii")
        if not entry["data"]:
            return None
        largest = max(entry["data"], key=lambda name: len(entry["data"][name][0]))
        entry = {**entry, "data": {name: one for name, one in entry["data"].items() if name != largest}}


def take_in(instance: Instance) -> None:
    """Write what waits, as far as it can be, and set apart what never can; never raises."""
    folder = folder_of(instance.id)
    if instance.is_read_only or folder is None:
        return
    try:
        with locks.held(folder / "lock", wait=False) as is_ours:
            # By their ids, which are in the order of time: the run that another one belongs to is recorded before that.
            for path in waiting(instance.id) if is_ours else []:
                _take_in(instance, path)
    except OSError as error:
        messages.debug(f"what waits in {folder} cannot be recorded yet: {error}")


def _take_in(instance: Instance, path: Path) -> None:
    """Write one entry.

    Raises:
        OSError: It has to wait, and so have the others.
    """
    try:
        _write(instance, json.loads(path.read_bytes()))
    except Exception as error:
        if isinstance(error, _WAITING_ERRORS) and not isinstance(error, (ConflictError, InvalidInputError)):
            raise StorageError(str(error)) from error
        # Whatever is wrong with it: it cannot become right by waiting, and nothing is dropped.
        apart = path.parent / _SET_APART
        paths.make_private_folder(apart)
        reason = redact_text(f"{type(error).__name__}: {error}\n")
        (apart / f"{path.stem}.txt").write_text(reason, encoding="utf-8", errors="backslashreplace")
        os.replace(path, apart / path.name)
        messages.warning(f"a run cannot be recorded, and is kept in {apart / path.name}: {reason.strip()}")
        return
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _write(instance: Instance, entry: dict[str, Any]) -> None:
    """Write an entry: its row, what belongs to it, and what it read and made; idempotent."""
    given = entry["run"]
    values = {name: given.get(name) for name in _RUN_FIELDS}
    for name in _TIME_FIELDS:
        values[name] = datetime.datetime.fromisoformat(given[name]) if given.get(name) else None
    found: Run | None = Run.objects.using(instance.alias).filter(id=given["id"]).first()
    if found is None and not given["is_new"]:
        messages.debug(f"run {given['id']} was deleted before its end could be recorded")
        return
    run = found or _new_run(instance, entry, values)
    if found is None or found.loaded["status"] in {"running", "aborted"}:
        data: metadata.Data = {name: (text.encode(), suffix) for name, (text, suffix) in entry["data"].items()}
        ended = {name: values[name] for name in _ENDING if values[name] is not None}
        metadata.write(instance, run.id, {**ended, **metadata.stored(instance, data)}, data)
    _link_inputs(instance, run, entry)
    unsaved = _save_outputs(instance, run, entry["outputs"]) if entry["outputs"] else []
    if unsaved:
        capture = values["capture"] or {}
        capture = {**capture, "unsaved": [*capture.get("unsaved", []), *unsaved]}
        metadata.write(instance, run.id, {"capture": capture})
    messages.info(f"recorded run {run.id}, which could not be recorded when it ended")


def _new_run(instance: Instance, entry: dict[str, Any], values: dict[str, Any]) -> Run:
    given = entry["run"]
    run = Run.from_fields(id=given["id"], **values)
    run.alias = instance.alias
    parent_id = given.get("parent_id")
    if parent_id is not None and Run.objects.using(instance.alias).filter(id=parent_id).exists():
        run.loaded["parent_id"] = parent_id
    if entry["transform"] is not None and entry["transform"].get("is_named"):
        run.transform = identify.named_transform(instance, entry["transform"]["name"])
    elif entry["transform"] is not None:
        transform = Transform.from_fields(**{name: entry["transform"][name] for name in _TRANSFORM_FIELDS})
        transform.alias = instance.alias
        run.transform = transform
    else:
        run.loaded["transform_id"] = given["transform_id"]
    save.save(run)
    return run


def _link_inputs(instance: Instance, run: Run, entry: dict[str, Any]) -> None:
    query = File.objects.using(instance.alias)
    wanted = list(query.filter(id__in=entry["read"]))
    for one in entry["inputs"]:
        same = query.filter(trashed_at__isnull=True, digest=one["digest"]).order_by("-created_at")
        found = same.filter(key=one["key"]).first() or same.first() if one["digest"] else with_key(instance, one["key"])
        if found is None and one["digest"] and _is_same(one):
            found = File(one["path"], key=one["key"])
            found.run, found.transform_id = None, None
            files_save.save_files([found])
        if found is not None:
            wanted.append(found)
    edges.link(run, wanted, kind="input", seen_by="declared")


def _save_outputs(instance: Instance, run: Run, outputs: Sequence[dict[str, Any]]) -> list[str]:
    """Save what a command made, where it is as it was then; return what is not, and why."""
    unsaved = []
    theirs = _named_by_others(instance, run)
    ours = declared.ours_later(instance, run, [one["path"] for one in outputs], theirs, capture.written_by)
    for one in outputs:
        shown, path = one["key"] or one["path"], one["path"]
        if not ours[path]:
            unsaved.append(f"{shown}: another run worked here at the same time and may have made it")
            continue
        try:
            if not _is_same(one):
                unsaved.append(f"{shown}: it changed before it could be saved")
                continue
            file = File(path, key=one["key"], run=run)
            files_save.save_files([file])
        except (DatabaseError, ReadOnlyError, Error):
            raise
        except (LaminError, OSError) as error:
            unsaved.append(f"{shown}: {error}")
    for reason in unsaved:
        messages.warning(f"an output of run {run.id} is not saved: {reason}")
    return [redact_text(reason) for reason in unsaved]


def _named_by_others(instance: Instance, run: Run) -> set[str]:
    """Return the paths of outputs of other runs that wait."""
    named: set[str] = set()
    for path in waiting(instance.id):
        if path.stem != run.id:
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                named.update(one["path"] for one in json.loads(path.read_bytes())["outputs"])
    return named


def _is_same(place: dict[str, Any]) -> bool:
    try:
        return bool(place["digest"]) and _digest_of(place["path"]) == place["digest"]
    except (LaminError, OSError):
        return False
