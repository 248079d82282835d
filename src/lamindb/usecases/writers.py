"""On whose behalf this process writes: one small look-up, remembered."""

from __future__ import annotations

import os

from lamindb.instance import people, places
from lamindb.usecases import instances

_known: dict[str, tuple[object, str]] = {}


def user_id(alias: str) -> str:
    """Return the id of the record of the user who works here, in one instance; makes the record when it is missing.

    Notices at once when another user logs in.
    """
    stamp = _stamp()
    found = _known.get(alias)
    if found is None or found[0] != stamp:
        found = _known[alias] = (stamp, instances.ensure_user(alias))
    return found[1]


def forget(alias: str) -> None:
    """Look for the user's record anew at the next write."""
    _known.pop(alias, None)


def handle() -> str:
    """Return the handle of the user who works here."""
    return people.current().handle


def _stamp() -> object:
    override = os.environ.get("LAMIN_USER")
    if override:
        return override
    folder = places.settings_folder()
    try:
        return folder, os.stat(f"{folder}/user.toml").st_mtime_ns
    except OSError:
        return folder
