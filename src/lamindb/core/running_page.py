"""Where a page of an instance runs on this machine, so that Python can name its address: a note without the token."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Any, Final

from lamindb.core import context, messages, paths, processes
from lamindb.core.processes import Process

_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]{1,100}){0,10}", re.ASCII)
_MOST_BYTES: Final = 4_096


def _path(instance_id: str) -> Path | None:
    base = paths.data_folder()
    return base / "ui" / f"{instance_id}.json" if base is not None and _ID.fullmatch(instance_id) else None


def write(instance_id: str, port: int, prefix: str) -> Path | None:
    """Note that this process serves the page of an instance; None where the note cannot be written."""
    path = _path(instance_id)
    if path is None:
        return None
    note = {"port": port, "prefix": prefix, "process": processes.this_process()._asdict()}
    try:
        paths.make_private_folder(path.parent)
        descriptor, temporary = tempfile.mkstemp(".tmp", f"{instance_id}-", path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(note, stream)
        os.replace(temporary, path)
    except OSError as error:
        messages.debug(f"the address of the page is not noted: {error}")
        return None
    return path


def remove(path: Path) -> None:
    """Remove the note of this process; that of another one stays."""
    note = _read(path)
    if note is not None and _process(note) == processes.this_process():
        with contextlib.suppress(OSError):
            path.unlink()


def address(instance_id: str, path: str) -> str | None:
    """Return the address of a page of an instance, if a process of this machine serves it now; it has no token.

    Args:
        instance_id: The instance.
        path: The path of the page, such as `/files/ID`.
    """
    where = _path(instance_id)
    note = _read(where) if where is not None else None
    if note is None:
        return None
    port, prefix, process = note.get("port"), note.get("prefix"), _process(note)
    is_port = isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65_536
    if not is_port or not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix) or process is None:
        return None
    return f"http://127.0.0.1:{port}{prefix}{path}" if processes.is_alive(process) else None


def tell(record: Any, page: str = "") -> None:
    """Tell the user the address of the page of a saved record, if a page of its instance runs.

    Args:
        record: A file, run or transform.
        page: The page of the record, such as `/lineage`; "" for its first one.
    """
    instance = context.connected(record.alias)
    kind = record._meta.concrete_model._meta.model_name
    found = address(instance.id, f"/{kind}s/{record.id}{page}") if instance is not None else None
    if found is not None:
        messages.info(f"this is also at {found}")


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a note says; None if it is no plain file of this user."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
            return None
        try:
            found = json.loads(stream.read(_MOST_BYTES))
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def _process(note: dict[str, Any]) -> Process | None:
    given = note.get("process")
    kinds = {"host": str, "boot_id": str, "pid": int, "started": str | None, "namespace": str}
    if not isinstance(given, dict) or set(given) != set(kinds):
        return None
    if not all(isinstance(given[name], kind) for name, kind in kinds.items()):
        return None
    return Process(**given)
