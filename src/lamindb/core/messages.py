"""What the library tells its user: one line each on standard error, as much as the verbosity asks for."""

from __future__ import annotations

import contextlib
import sys
from typing import Final

from lamindb.core import options
from lamindb.errors import InvalidInputError

ERROR: Final = 0
WARNING: Final = 1
INFO: Final = 2
HINT: Final = 3
DEBUG: Final = 4

_ICONS = {ERROR: "❌", WARNING: "🔶", INFO: "💬", HINT: "💡", DEBUG: "🐛"}

_verbosity: int | None = None
"""What this process set; None while the user's own choice counts."""


def verbosity() -> int:
    """Return how much is told: 0 errors, 1 warnings, 2 information, 3 hints, 4 all.

    Raises:
        InvalidInputError: `LAMIN_VERBOSITY` has no right value.
    """
    return int(options.chosen("verbosity")[0]) if _verbosity is None else _verbosity


def _level() -> int:
    try:
        return verbosity()
    except InvalidInputError:
        return INFO


def set_verbosity(level: int | None) -> None:
    """Set how much is told, None for what the user chose; the caller has checked the level."""
    global _verbosity
    _verbosity = level


def tell(level: int, text: str, *, icon: str | None = None) -> None:
    """Tell the user one line, if the verbosity asks for its level.

    Never raises: a closed or odd standard error must not break the program that is being tracked.
    """
    if level > _level() or sys.stderr is None:
        return
    line = f"{icon or _ICONS[level]} {text}\n"
    with contextlib.suppress(OSError, ValueError):
        try:
            sys.stderr.write(line)
        except UnicodeEncodeError:
            sys.stderr.write(line.encode("ascii", "backslashreplace").decode())


def warning(text: str) -> None:
    """Tell something that the user should look at."""
    tell(WARNING, text)


def info(text: str) -> None:
    """Tell what was done."""
    tell(INFO, text)


def success(text: str) -> None:
    """Tell what was done and worked."""
    tell(INFO, text, icon="✅")


def hint(text: str) -> None:
    """Tell what the user might do next."""
    tell(HINT, text)


def debug(text: str) -> None:
    """Tell what only somebody who looks for a fault wants to know."""
    tell(DEBUG, text)
