"""What is stored with a run: its code, log, patch, packages and report, read from the store of its instance."""

from __future__ import annotations

from typing import Final

from lamindb.core import context
from lamindb.errors import InvalidInputError
from lamindb.models import Run
from lamindb.storage.base import ObjectName

FIELDS: Final = {
    "code": "source_digest",
    "log": "log_digest",
    "patch": "diff_digest",
    "packages": "environment_digest",
    "report": "report_digest",
}
"""The field of a run that names each object."""


def stored_bytes(run: Run, kind: str) -> bytes | None:
    """Return one of the objects of `FIELDS` as it was stored; None if none was kept.

    Raises:
        InvalidInputError: The run belongs to an instance that was disconnected.
        IntegrityError: The stored bytes are missing or damaged.
    """
    name = ObjectName.parse(getattr(run, FIELDS[kind]) or "")
    if name is None:
        return None
    instance = context.connected(run.alias)
    if instance is None:
        raise InvalidInputError("this run belongs to an instance that was disconnected: connect and query it again")
    data: bytes = instance.store.read(name)
    return data


def stored_text(run: Run, kind: str) -> str | None:
    """Return one of the objects of `FIELDS` as text; bytes that are not UTF-8 become replacement characters."""
    data = stored_bytes(run, kind)
    return None if data is None else data.decode("utf-8", "replace")


def packages(run: Run) -> dict[str, str] | None:
    """Return the installed packages of a run with their versions, sorted by name; None if none were kept."""
    text = stored_text(run, "packages")
    if text is None:
        return None
    pairs = (line.partition("==") for line in text.splitlines())
    return {name: version for name, sign, version in pairs if sign}
