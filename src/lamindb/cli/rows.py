"""Records as JSON objects: the keys that `--json` promises."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from lamindb.models import File, Run, Transform, User


class FileRow(NamedTuple):
    """What a list shows of a file; made without its record, since lists are long."""

    id: str
    key: str | None
    name: str
    suffix: str
    size: int
    hash: str
    version: int
    is_latest: bool
    is_folder: bool
    n_files: int
    description: str | None
    storage: str
    run: str | None
    transform: str | None
    created_by: str | None
    created_at: datetime.datetime
    trashed_at: datetime.datetime | None
    trashed_by: str | None


_COLUMNS = {
    "storage": "storage_id",
    "run": "run_id",
    "transform": "transform__name",
    "created_by": "created_by__handle",
    "trashed_by": "trashed_by__handle",
}


def file_rows(query: Any) -> Iterator[FileRow]:
    """Yield what a list shows of the files of a query, in its order."""
    from lamindb.models import Storage

    roots = {storage.id: storage.root for storage in Storage.objects.using(query.db)}
    place = FileRow._fields.index("storage")
    for values in query.values_list(*(_COLUMNS.get(name, name) for name in FileRow._fields)).iterator():
        yield FileRow._make((*values[:place], roots[values[place]], *values[place + 1 :]))


def file_as_dict(file: File) -> dict[str, Any]:
    """Return what `--json` shows of a file: the names of a `FileRow`."""
    return {
        "id": file.id,
        "key": file.key,
        "name": file.name,
        "suffix": file.suffix,
        "size": file.size,
        "hash": file.hash,
        "version": file.version,
        "is_latest": file.is_latest,
        "is_folder": file.is_folder,
        "n_files": file.n_files,
        "description": file.description,
        "storage": file.storage.root,
        "run": file.run_id,
        "transform": file.transform.name if file.transform is not None else None,
        "created_by": file.created_by.handle if file.created_by is not None else None,
        "created_at": file.created_at,
        "trashed_at": file.trashed_at,
        "trashed_by": file.trashed_by.handle if file.trashed_by is not None else None,
    }


def run_as_dict(run: Run) -> dict[str, Any]:
    """Return what `--json` shows of a run."""
    return {
        "id": run.id,
        "name": run.name,
        "transform": run.transform.name,
        "transform_id": run.transform_id,
        "transform_type": run.transform.type,
        "transform_version": run.transform.version,
        "status": run.status,
        "exit_code": run.exit_code,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "created_by": run.created_by.handle if run.created_by is not None else None,
        "created_at": run.created_at,
        "parent": run.parent_id,
        "params": run.params,
    }


def transform_as_dict(transform: Transform) -> dict[str, Any]:
    """Return what `--json` shows of a transform."""
    return {
        "id": transform.id,
        "name": transform.name,
        "type": transform.type,
        "version": transform.version,
        "reference": transform.reference,
        "description": transform.description,
        "created_by": transform.created_by.handle if transform.created_by is not None else None,
        "created_at": transform.created_at,
    }


def user_as_dict(user: User) -> dict[str, Any]:
    """Return what `--json` shows of a user."""
    return {"id": user.id, "handle": user.handle, "name": user.name, "email": user.email}


AS_DICT: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "file": file_as_dict,
    "run": run_as_dict,
    "transform": transform_as_dict,
    "user": user_as_dict,
}
"""How records of each kind are shown."""
