"""On whose behalf this process writes: one small look-up, remembered."""

from __future__ import annotations

import os

from lamindb.core import ids, paths
from lamindb.instance import user

_known: dict[str, tuple[object, str]] = {}


def user_id(alias: str) -> str:
    """Return the id of the record of the user who works here, in one instance; makes the record when it is missing.

    Notices at once when another user logs in.
    """
    stamp = _stamp()
    found = _known.get(alias)
    if found is None or found[0] != stamp:
        found = _known[alias] = (stamp, ensure_user(alias))
    return found[1]


def _stamp() -> object:
    override = os.environ.get("LAMIN_USER")
    if override:
        return override
    folder = paths.settings_folder()
    try:
        return folder, os.stat(f"{folder}/user.toml").st_mtime_ns
    except OSError:
        return folder


def ensure_user(alias: str) -> str:
    """Return the id of the user who works here, making the record if the instance does not know them."""
    from django.db import IntegrityError as DuplicateError
    from django.db import transaction

    from lamindb.models import User

    who = user.current()
    found = User.objects.using(alias).filter(handle=who.handle).values_list("id", flat=True).first()
    if found is not None:
        return str(found)
    try:
        with transaction.atomic(using=alias):
            row = User._blank(id=who.id, handle=who.handle, name=who.name, email=who.email)
            row.save_row(using=alias, force_insert=True)
    except DuplicateError:
        existing = User.objects.using(alias).filter(handle=who.handle).values_list("id", flat=True).first()
        if existing is not None:
            return str(existing)
        row = User._blank(id=ids.random_id(8), handle=who.handle, name=who.name, email=who.email)
        row.save_row(using=alias, force_insert=True)
    return row.id
