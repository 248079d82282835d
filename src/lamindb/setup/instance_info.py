"""What an instance is, and which ones are registered here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lamindb.core import context
from lamindb.core.text import printable
from lamindb.db import database
from lamindb.errors import LaminError
from lamindb.instance import config as folders
from lamindb.instance import discovery, registry
from lamindb.instance import user as instance_user


@dataclass(frozen=True, slots=True)
class InstanceInfo:
    """The connected instance and its user."""

    name: str
    id: str
    storage: str
    database: str
    project: str | None
    view: str
    is_read_only: bool
    user: str

    def __str__(self) -> str:
        rows = [(name.replace("_", " "), value) for name, value in asdict(self).items() if value]
        return "\n".join(f"{name + ':':<12} {printable(str(value))}" for name, value in rows)


def info() -> InstanceInfo:
    """Describe the current instance.

    Raises:
        NoInstanceError: There is none.
    """
    instance = context.instance()
    where = database.shown_url(instance.database_url) if instance.database_url else str(instance.database_path)
    return InstanceInfo(
        name=instance.name,
        id=instance.id,
        storage=instance.root_url,
        database=where,
        project=str(instance.project_path) if instance.project_path else None,
        view=instance.view_mode,
        is_read_only=instance.is_read_only,
        user=instance_user.current().handle,
    )


def listed() -> list[dict[str, Any]]:
    """Return the instances that are registered on this machine for this user."""
    return [
        {"name": e.name, "id": e.id, "storage": e.root_url, "project": e.project, "exists": e.exists}
        for e in registry.entries()
    ]


def id_here() -> str | None:
    """Return the id of the instance of the working folder, which may not be open; None where there is none."""
    try:
        opened = context.instance_or_none()
        return opened.id if opened is not None else folders.read(discovery.find().home).id
    except LaminError:
        return None
