"""The folder of an instance and its `instance.toml`, which describes it wherever it is copied."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from lamindb.core import database_url, documents, filesystem, ids, paths, storage_url
from lamindb.core.keys import HIDDEN_FOLDER
from lamindb.errors import InvalidInputError, NewerDatabaseError, StorageError

FORMAT = 1
FILE_NAME = "instance.toml"
OBJECT_STORES = "instances"
"""Folder among the user's data with a folder for each instance in a bucket."""
OWN_FOLDER = "."
"""The storage of an instance whose files are in the folder that holds its `.lamindb`."""

VIEW_MODES = ("auto", "copy", "none")


class Description(NamedTuple):
    """The content of `instance.toml`. Nothing in it is absolute where the storage is a folder."""

    id: str
    name: str
    storage_id: str
    storage: str
    """`.` for the folder that holds it, else an address."""
    database: str | None = None
    """None for SQLite beside it, else an address without a password."""
    view: str = "auto"


def read(home: Path) -> Description:
    """Read the description in an instance folder; every value is checked, as another person may have written it.

    Raises:
        StorageError: The file cannot be read.
        InvalidInputError: It is damaged, or names another storage than the folder itself.
        NewerDatabaseError: A newer version of this library made it.
    """
    path = home / FILE_NAME
    try:
        values = documents.parse_toml(documents.read(path))
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInputError(f"{path} is damaged: {error}") from error
    version = values.get("format", 0)
    if type(version) is not int or version < 0:
        raise InvalidInputError(f"{path} is damaged: its 'format' is not a number")
    if version > FORMAT:
        raise NewerDatabaseError(f"{path} was made by a newer lamindb (format {version}): upgrade lamindb")
    values = {name: values[name] for name in Description._fields if name in values}
    for name in ("id", "name", "storage_id", "storage"):
        if name not in values:
            raise InvalidInputError(f"{path} is damaged: it has no {name!r}")
    for name, value in values.items():
        if not isinstance(value, str):
            raise InvalidInputError(f"{path} is damaged: its {name!r} is not text")
    if values.get("view", "auto") not in VIEW_MODES:
        raise InvalidInputError(f"{path} is damaged: its 'view' is none of {', '.join(VIEW_MODES)}")
    for name in ("id", "storage_id"):
        # Both become parts of paths and of the names of database connections.
        if not ids.is_id(values[name]):
            raise InvalidInputError(f"{path} is damaged: its {name!r} is not an id")
    try:
        check_name(values["name"])
        if values["storage"] != OWN_FOLDER:
            storage_url.split(values["storage"])
        if "database" in values:
            database_url.parse(values["database"])
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} is damaged: {error}") from error
    if home.name == HIDDEN_FOLDER and values["storage"] != OWN_FOLDER:
        raise InvalidInputError(
            f"{path} names the storage {values['storage']}: a folder holds its own files, and "
            "garbage collection would remove those of another instance; do not use this folder"
        )
    return Description(**values)


def check_name(name: str) -> str:
    """Return the name of an instance.

    Raises:
        InvalidInputError: It cannot be one.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or "/" in name or len(name) > 200:
        raise InvalidInputError(f"{name!a} cannot name an instance: use 1 to 200 printable characters without slashes")
    return name


def write(home: Path, description: Description) -> None:
    """Write the description of an instance folder, in one step.

    Raises:
        StorageError: It cannot be written.
    """
    lines = [
        "# This folder belongs to lamindb: it holds the records and stored files of one instance.",
        f"format = {FORMAT}",
        f"id = {json.dumps(description.id)}",
        f"name = {json.dumps(description.name, ensure_ascii=False)}",
        f"storage_id = {json.dumps(description.storage_id)}",
        f"storage = {json.dumps(description.storage, ensure_ascii=False)}",
    ]
    if description.database:
        lines.append(f"database = {json.dumps(description.database, ensure_ascii=False)}")
    lines.append(f"view = {json.dumps(description.view)}")
    try:
        filesystem.write_text(home / FILE_NAME, "\n".join(lines) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {home / FILE_NAME}: {error.strerror}") from error


def home_of(folder: Path) -> Path | None:
    """Return the instance folder that a folder is: itself, or its `.lamindb`. A backup is not one."""
    if (folder / FILE_NAME).is_file() and (folder.name == HIDDEN_FOLDER or _is_of_object_store(folder)):
        return folder
    home = folder / HIDDEN_FOLDER
    return home if (home / FILE_NAME).is_file() else None


def _is_of_object_store(folder: Path) -> bool:
    """Return True if a folder is one of those for the records of instances in buckets."""
    data = paths.data_folder()
    return data is not None and folder.parent == data.resolve() / OBJECT_STORES


def homes_in(folder: Path) -> list[Path]:
    """Return the instance folders that a folder directly contains, sorted."""
    found: dict[str, Path] = {}
    try:
        with os.scandir(folder) as entries:
            # Links last: a link to a sibling folder is not a second instance.
            for entry in sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name)):
                candidate = f"{entry.path}/{HIDDEN_FOLDER}/{FILE_NAME}"
                if entry.is_dir() and os.path.isfile(candidate):
                    found.setdefault(os.path.realpath(entry.path), Path(entry.path) / HIDDEN_FOLDER)
    except OSError:
        return []
    return sorted(found.values())
