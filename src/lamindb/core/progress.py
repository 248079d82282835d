"""How long work tells how far it is."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

Progress = Callable[[int, int], None]
"""Told how much is done and how much there is: bytes, files or whatever the work goes through."""


def further(progress: Progress, before: int, total: int) -> Progress:
    """Return what to tell the progress of a part of the work: so much was done before it, of so much in all."""
    return lambda done, _: progress(before + done, total)


_SHOW_FROM = 20
_SHOW_AFTER_SECONDS = 0.5
_EVERY_SECONDS = 0.1


@contextlib.contextmanager
def bar_for(items: Any, wanted: bool | None) -> Iterator[Progress | None]:
    """Yield what to tell progress to, or None where nobody would see it.

    Args:
        items: What is worked on.
        wanted: True shows it always, False never, None when there are many and somebody looks.
    """
    many = isinstance(items, list) and len(items) >= _SHOW_FROM
    looks = sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    if wanted is False or (wanted is None and not (many and looks)):
        yield None
        return
    bar = Bar(at_once=wanted is True)
    try:
        yield bar.tell
    finally:
        bar.end()


class Bar:
    """One line that is rewritten: done, in all, a bar."""

    def __init__(self, *, at_once: bool, unit: str = "files") -> None:
        self._began = time.monotonic()
        self._last = 0.0
        self._at_once = at_once
        self._unit = unit
        self._is_shown = False

    def tell(self, done: int, total: int) -> None:
        """Show how far it is; quick work shows nothing."""
        moment = time.monotonic()
        if not self._at_once and moment - self._began < _SHOW_AFTER_SECONDS:
            return
        if done < total and moment - self._last < _EVERY_SECONDS:
            return
        self._last = moment
        self._is_shown = True
        filled = int(24 * done / total) if total else 24
        rate = done / max(moment - self._began, 1e-6)
        line = f"\r{'█' * filled}{'░' * (24 - filled)} {done:,} of {total:,} {self._unit}, {rate:,.0f} a second"
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line)
            sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._is_shown:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write("\n")
