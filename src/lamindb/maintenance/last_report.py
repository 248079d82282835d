"""The last results of `verify` and `gc`, left beside the instance for pages that show and never compute them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from lamindb.core import documents, filesystem, messages, paths
from lamindb.models.base import now
from lamindb.records.open_instance import Instance

Kind = Literal["verify", "gc"]

_FORMAT: Final = 1
_MOST_LISTED: Final = 50
"""Of each list of a result, so many entries are kept, and the number of all."""
_MOST_BYTES: Final = 1 << 20


def _paths(instance: Instance, kind: Kind) -> list[Path]:
    """Return where a result may lie: with the instance, or in the user's cache where that cannot be written."""
    found = [instance.home_path / f"last-{kind}.json"]
    cache = paths.cache_folder()
    if cache is not None:
        found.append(cache / f"last-{kind}-{instance.id}.json")
    return found


def leave(instance: Instance, kind: Kind, report: Mapping[str, Any]) -> None:
    """Leave a result, in place of the one before; one that cannot be written is no error.

    Args:
        instance: The instance.
        kind: What it is the result of.
        report: The result as plain values.
    """
    counts = {name: len(value) for name, value in report.items() if isinstance(value, list | tuple)}
    kept = {name: list(value[:_MOST_LISTED]) if name in counts else value for name, value in report.items()}
    text = json.dumps({"format": _FORMAT, "at": now().isoformat(), "report": kept, "counts": counts})
    for path in _paths(instance, kind)[1 if instance.is_read_only else 0 :]:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            filesystem.write_text(path, text + "\n")
        except OSError as error:
            messages.debug(f"cannot write {path}: {error}")
        else:
            return


def read(instance: Instance, kind: Kind) -> dict[str, Any] | None:
    """Return the last result: `at` (ISO 8601), `report` and `counts` of its lists; None if there is none.

    Another person may have written it: values have the types of JSON, and may be anything.
    """
    found = [one for path in _paths(instance, kind) if (one := _read(path)) is not None]
    return max(found, key=lambda one: str(one["at"]), default=None)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        values = documents.parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(values, dict) or values.get("format") != _FORMAT or not isinstance(values.get("at"), str):
        return None
    is_whole = isinstance(values.get("report"), dict) and isinstance(values.get("counts"), dict)
    return values if is_whole else None
