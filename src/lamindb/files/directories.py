"""One file a record for a whole folder."""

from __future__ import annotations

import os
from typing import Any

from lamindb.core import context
from lamindb.core.keys import check_key
from lamindb.errors import InvalidInputError, SourceNotFoundError
from lamindb.files import source
from lamindb.models import File, Run
from lamindb.storage.manifest import walk


def from_dir(path: Any, key: str | None, run: Run | None) -> list[File]:
    """Make one unsaved file for each file of a folder, recursively, in the order of their paths.

    Args:
        path: The folder.
        key: The folder under which their keys start. None: the relative path, where the folder lies in a storage
            root; else the folder's own name.
        run: The run that produces them; the current run by default.

    Raises:
        SourceNotFoundError: There is no such folder.
        InvalidInputError: It is a file, or holds pipes, sockets, devices or links that lead out of it, or contains the
            instance's own storage.
    """
    folder = os.path.abspath(os.path.expanduser(os.fspath(path)))
    if not os.path.exists(folder):
        raise SourceNotFoundError(f"there is no folder {folder!r}")
    if not os.path.isdir(folder):
        raise InvalidInputError(f"{folder!r} is a file: pass a folder, or use ln.File(path)")
    real = os.path.realpath(folder)
    if source.holds_instance(real, context.instance()):
        raise InvalidInputError(
            f"{folder!r} contains the storage of this instance itself: name the files and folders that are to be saved"
        )
    in_root = any(
        "://" not in root and (real + "/").startswith(root.rstrip("/") + "/")
        for root, _ in source.roots(context.instance())
    )
    prefix = check_key(key.rstrip("/")) if key else (None if in_root else check_key(os.path.basename(folder)))
    files = []
    for relative, found in walk(real):
        place = f"{real}/{relative}"
        data = source.ResolvedPath(found) if found == place else place
        files.append(File(data, key=f"{prefix}/{relative}" if prefix is not None else None, run=run))
    return files
