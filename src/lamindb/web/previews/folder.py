"""What is in a stored folder: its first files, and for a Zarr store the shapes of its arrays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lamindb.core import context
from lamindb.storage.base import Member, ObjectName
from lamindb.storage.manifest import read_manifest
from lamindb.web.previews.refused import RefusedError
from lamindb.web.previews.tables import cell

if TYPE_CHECKING:
    from lamindb.models import File

_MOST_LISTED: Final = 200
_MOST_ARRAYS: Final = 60
_MOST_META: Final = 64 * 1024
_MOST_FILES: Final = 200_000


def content(file: File) -> dict[str, Any]:
    """Return the first members of a folder, and the arrays of a Zarr store.

    Raises:
        RefusedError: It is not in the instance's own storage, or has too many files.
    """
    instance = context.connected(file.alias)
    if instance is None or not instance.is_own(file.storage_id):
        raise RefusedError("This folder stays where it is, and is not looked into.")
    if file.n_files > _MOST_FILES:
        raise RefusedError("This folder has too many files for a preview.")
    members = read_manifest(instance.store, ObjectName(file.digest, file.suffix))
    return {
        "members": [{"path": cell(one.path), "size": one.size} for one in members[:_MOST_LISTED]],
        "more": max(0, len(members) - _MOST_LISTED),
        "arrays": [found for one in _meta(members) if (found := _array(instance.store, one)) is not None],
    }


def _meta(members: tuple[Member, ...]) -> list[Member]:
    """Return the small files that describe the arrays of a Zarr store, of its versions 2 and 3."""
    names = (".zarray", "zarr.json")
    return [one for one in members if one.path.rpartition("/")[2] in names and one.size <= _MOST_META][:_MOST_ARRAYS]


def _array(store: Any, member: Member) -> dict[str, str] | None:
    try:
        found = json.loads(store.read(member.name))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("shape"), list):
        return None
    kind = found.get("dtype", found.get("data_type", ""))
    shape = " × ".join(cell(one) for one in found["shape"][:8])
    return {"name": cell(member.path.rpartition("/")[0] or "/"), "shape": shape, "type": cell(kind)}
