"""How to install what is missing: packages by their own names, with the version bounds of this package's extras."""

from __future__ import annotations

import functools
import re
from typing import Final

_DISTRIBUTIONS: Final = {"PIL": "pillow", "upath": "universal-pathlib", "yaml": "pyyaml"}
"""Distributions that have another name than what they are imported as."""


def pip_install(*modules: str) -> str:
    """Return the command that installs what these modules come from.

    Examples:
        >>> pip_install("psycopg")
        "pip install 'psycopg[binary]>=3.2'"
    """
    wanted = [_DISTRIBUTIONS.get(name.partition(".")[0], name.partition(".")[0]) for name in modules]
    return "pip install " + " ".join(
        f"'{found}'" if re.search(r"[^\w.-]", found) else found
        for found in (_bounds().get(name, name) for name in wanted)
    )


@functools.cache
def _bounds() -> dict[str, str]:
    """Return what the extras need, each by its name without extras and bounds; nothing if this is not installed."""
    # Imported here: it takes as long as a query, and only an error needs it.
    from importlib import metadata

    try:
        lines = metadata.requires("lamindb") or []
    except metadata.PackageNotFoundError:
        return {}
    specified = (line.partition(";")[0].strip() for line in lines)
    return {match.group(): spec for spec in specified if (match := re.match(r"[\w.-]+", spec)) is not None}
