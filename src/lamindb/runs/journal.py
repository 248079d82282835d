"""Runs that could not be recorded because the database failed: kept in the user's data folder until it can be written.

An entry is one file that only its owner can read. It holds what tracking itself knows of a run, without secrets; the
next process that can write the database takes it in. What can never be written stays, and is counted by `waiting`.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from pathlib import Path
from typing import Any, Final

from django.db import Error

from lamindb.core import messages, paths
from lamindb.core.plain import plain
from lamindb.errors import DatabaseError, LaminError
from lamindb.models import Run, Transform
from lamindb.records import save
from lamindb.records.open_instance import Instance
from lamindb.runs import metadata

_MOST_ENTRIES: Final = 1000
_MOST_BYTES: Final = 1024 * 1024
_TRANSFORM_FIELDS: Final = ("type", "name", "reference", "version", "short_name", "code_hash")
_RUN_FIELDS: Final = (
    *("name", "params", "status", "exit_code", "error", "host", "process", "arguments", "python_version"),
    *("git_repository", "git_commit", "git_is_dirty"),
)
_TIME_FIELDS: Final = ("started_at", "finished_at", "heartbeat_at")


def folder_of(instance: Instance) -> Path | None:
    """Return the folder of the entries of an instance; None where there is no place for it."""
    base = paths.data_folder()
    return base / "unrecorded" / instance.id if base is not None else None


def waiting(instance: Instance) -> list[Path]:
    """Return the entries that wait to be written."""
    folder = folder_of(instance)
    return sorted(folder.glob("*.json")) if folder is not None and folder.is_dir() else []


def add(instance: Instance, run: Run, log: bytes | None) -> bool:
    """Keep a run until it can be written; return False if that cannot be done either."""
    folder = folder_of(instance)
    transform = run.related("transform")
    values = {name: run.loaded.get(name) for name in (*_RUN_FIELDS, *_TIME_FIELDS)}
    entry = {
        "run": plain({"id": run.id, "is_new": not run.is_saved, "transform_id": run.transform_id, **values}, str),
        "transform": {name: getattr(transform, name, None) for name in _TRANSFORM_FIELDS} if transform else None,
        "log": log.decode("utf-8", "replace") if log else None,
    }
    data = json.dumps(entry).encode("utf-8", "backslashreplace")
    if folder is None or len(data) > _MOST_BYTES or len(waiting(instance)) >= _MOST_ENTRIES:
        return False
    try:
        paths.make_private_folder(folder)
        descriptor = os.open(folder / f"{run.id}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(folder / f"{run.id}.new", folder / f"{run.id}.json")
    except OSError as error:
        messages.debug(f"run {run.id} cannot be kept: {error}")
        return False
    return True


def take_in(instance: Instance) -> None:
    """Write what waits, as far as it can be; never raises."""
    if instance.is_read_only:
        return
    for path in waiting(instance):
        try:
            _write(instance, json.loads(path.read_bytes()))
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        except (DatabaseError, Error, OSError) as error:
            messages.debug(f"{path} cannot be recorded yet: {error}")
            return
        except (LaminError, ValueError, TypeError, KeyError, AttributeError) as error:
            messages.debug(f"{path} cannot be recorded: {error}")


def _write(instance: Instance, entry: dict[str, Any]) -> None:
    given = entry["run"]
    values = {name: given.get(name) for name in _RUN_FIELDS}
    for name in _TIME_FIELDS:
        values[name] = datetime.datetime.fromisoformat(given[name]) if given.get(name) else None
    run = Run.objects.using(instance.alias).filter(id=given["id"]).first()
    if run is None and given["is_new"]:
        run = Run.from_fields(id=given["id"], **values)
        run.alias = instance.alias
        if entry["transform"] is not None:
            transform = Transform.from_fields(**{name: entry["transform"][name] for name in _TRANSFORM_FIELDS})
            transform.alias = instance.alias
            run.transform = transform
        save.save(run)
        messages.info(f"recorded run {run.id}, which could not be recorded when it ended")
    elif run is None or run.loaded["status"] not in {"running", "aborted"}:
        return
    data: metadata.Data = {"log_digest": (entry["log"].encode() if entry.get("log") else None, ".log")}
    ended = {name: values[name] for name in ("status", "finished_at", "exit_code", "error")}
    metadata.write(instance, run.id, {**ended, **metadata.kept(instance, data)}, data)
