"""Messages for the user: one line each on standard error, as many as the verbosity asks for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Final

from lamindb.core.text import printable
from lamindb.errors import InvalidInputError

ERROR: Final = 0
WARNING: Final = 1
INFO: Final = 2
HINT: Final = 3
DEBUG: Final = 4

_ICONS: Final = {ERROR: "❌", WARNING: "🔶", INFO: "💬", HINT: "💡", DEBUG: "🐛"}


class Output:
    """Where messages go.

    Attributes:
        verbosity: Returns the highest level that is shown; may raise `InvalidInputError`, which counts as information,
            and is shown once.
    """

    def __init__(self) -> None:
        self.verbosity: Callable[[], int] = lambda: INFO
        self._refused = ""

    def write(self, level: int, text: str, *, icon: str | None = None) -> None:
        """Write one line, if the verbosity asks for its level.

        Control characters are escaped, since another person may have given a name. Never raises: a closed or odd
        standard error must not break the program that is being tracked.
        """
        if level > self._level() or sys.stderr is None:
            return
        line = f"{icon or _ICONS[level]} {printable(text)}\n"
        with contextlib.suppress(OSError, ValueError):
            try:
                sys.stderr.write(line)
            except UnicodeEncodeError:
                sys.stderr.write(line.encode("ascii", "backslashreplace").decode())

    def _level(self) -> int:
        try:
            return self.verbosity()
        except InvalidInputError as error:
            # Set first: the warning asks for the level, too.
            is_new, self._refused = self._refused != str(error), str(error)
            if is_new:
                self.write(WARNING, f"{error}: {INFO} (information) is used")
            return INFO


output: Final = Output()
# One per process, as standard error is.


def error(text: str) -> None:
    """Show what failed."""
    output.write(ERROR, text)


def warning(text: str) -> None:
    """Show something that the user should look at."""
    output.write(WARNING, text)


def info(text: str) -> None:
    """Show what was done."""
    output.write(INFO, text)


def success(text: str) -> None:
    """Show what was done and worked."""
    output.write(INFO, text, icon="✅")


def hint(text: str) -> None:
    """Show what the user might do next."""
    output.write(HINT, text)


def debug(text: str) -> None:
    """Show what helps to look for a fault."""
    output.write(DEBUG, text)
