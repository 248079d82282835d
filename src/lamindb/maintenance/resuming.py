"""Notes of how far a verification is, so that a later one can go on."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from lamindb.core import atomic, messages, paths
from lamindb.core.context import Instance

_FORMAT = 1


def _places(instance: Instance) -> list[Path]:
    """Return where a note may lie: with the instance, or in the user's cache where that cannot be written."""
    found = [] if instance.is_read_only else [instance.home_path / "verify.json"]
    cache = paths.cache_folder()
    if cache is not None:
        found.append(cache / f"verify-{instance.id}.json")
    return found


def store(instance: Instance, prefix: str | None, quick: bool, work: dict[str, Any]) -> bool:
    """Remember how far a verification is; False where that cannot be written."""
    text = json.dumps({"format": _FORMAT, "prefix": prefix, "quick": quick, "work": work}, ensure_ascii=False)
    for place in _places(instance):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(place, text + "\n")
        except OSError as error:
            messages.debug(f"cannot write {place}: {error}")
        else:
            return True
    return False


def load(instance: Instance, prefix: str | None, quick: bool) -> dict[str, Any] | None:
    """Return what was remembered of a verification with these arguments; None if there is nothing, or it is damaged."""
    for place in _places(instance):
        try:
            values = json.loads(place.read_text(encoding="utf-8"))
            if (values["format"], values["prefix"], values["quick"]) == (_FORMAT, prefix, quick):
                work = values["work"]
                return work if isinstance(work, dict) else None
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def forget(instance: Instance) -> None:
    """Drop what was remembered."""
    for place in _places(instance):
        with contextlib.suppress(OSError):
            os.unlink(place)
