"""Local files with the user's file names, for objects that are not in the view: hard links in `.lamindb/staged/`."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from lamindb.core import filesystem
from lamindb.errors import InvalidInputError
from lamindb.storage import reflink
from lamindb.storage.base import Member, ObjectName
from lamindb.storage.object_folder import ObjectFolder, new_temp_path


def check_filename(filename: str) -> str:
    """Return a name that can stand in a folder.

    Raises:
        InvalidInputError: It is empty, or could lead elsewhere.
    """
    if filename in {"", ".", ".."} or "/" in filename or "\\" in filename or "\0" in filename:
        raise InvalidInputError(f"{filename!a} is not a file name: pass a name without folders")
    return filename


def stage_file(objects: ObjectFolder, name: ObjectName, filename: str) -> Path:
    """Return a link with this name to an object that is right.

    Raises:
        OSError: It could not be made.
    """
    path = f"{_folder_of(objects, name)}/{check_filename(filename)}"
    if not _is_same(path, objects.path(name)):
        _make_parents(objects, path)
        _replace(objects, objects.path(name), path)
    return Path(path)


def stage_folder(objects: ObjectFolder, name: ObjectName, filename: str, members: Sequence[Member]) -> Path:
    """Return a folder of links with this name to objects that are right.

    A folder in which something was changed is replaced.

    Raises:
        OSError: It could not be made.
    """
    path = f"{_folder_of(objects, name)}/{check_filename(filename)}"
    wanted = {member.path: objects.path(member.name) for member in members}
    if os.path.lexists(path):
        if _holds_exactly(path, wanted):
            return Path(path)
        old = new_temp_path(objects.temp_folder)
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, old)
            shutil.rmtree(old, ignore_errors=True)
    _make_parents(objects, path)
    entry = new_temp_path(objects.temp_folder)
    try:
        filesystem.make_folder(entry, objects.root_stat)
        made = {""}
        for relative, target in wanted.items():
            _make_folders_in(entry, relative, made, objects)
            reflink.duplicate(target, f"{entry}/{relative}", allow_clone=objects.can_clone)
        with contextlib.suppress(FileExistsError, OSError):
            os.rename(entry, path)
    finally:
        shutil.rmtree(entry, ignore_errors=True)
    return Path(path)


def _make_folders_in(folder: str, relative: str, made: set[str], objects: ObjectFolder) -> None:
    parts = relative.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        inner = "/".join(parts[:count])
        if inner not in made:
            filesystem.make_folder(f"{folder}/{inner}", objects.root_stat)
            made.add(inner)


def _folder_of(objects: ObjectFolder, name: ObjectName) -> str:
    return f"{objects.root}/.lamindb/staged/{name.digest[:2]}/{name.digest}"


def _make_parents(objects: ObjectFolder, path: str) -> None:
    folder = os.path.dirname(path)
    for made in (os.path.dirname(os.path.dirname(folder)), os.path.dirname(folder), folder):
        filesystem.make_folder(made, objects.root_stat)


def _replace(objects: ObjectFolder, source: str, path: str) -> None:
    entry = new_temp_path(objects.temp_folder)
    try:
        reflink.duplicate(source, entry, allow_clone=objects.can_clone)
        os.replace(entry, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(entry)


def _is_same(path: str, target: str) -> bool:
    """Return True if a staged file is a hard link to the object; a copy is made again, as it may have changed."""
    try:
        staged, found = os.lstat(path), os.lstat(target)
    except OSError:
        return False
    return (staged.st_ino, staged.st_dev) == (found.st_ino, found.st_dev)


def _holds_exactly(path: str, wanted: dict[str, str]) -> bool:
    there: set[str] = set()
    for folder, _, files in os.walk(path):
        inner = os.path.relpath(folder, path)
        there.update(name if inner == "." else f"{inner}/{name}" for name in files)
    return there == set(wanted) and all(_is_same(f"{path}/{relative}", wanted[relative]) for relative in wanted)


def drop_staged(objects: ObjectFolder, name: ObjectName) -> None:
    """Remove what was staged for an object."""
    shutil.rmtree(_folder_of(objects, name), ignore_errors=True)
