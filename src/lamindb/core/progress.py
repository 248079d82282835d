"""Progress callbacks."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is, in bytes or files."""


def with_offset(progress: Progress, before: int, total: int) -> Progress:
    """Return a callback for a part of the work, which reports to that of the whole: `before` was done of `total`."""
    return lambda done, _: progress(before + done, total)


_SHOW_FROM = 20
_SHOW_AFTER_SECONDS = 0.5
_EVERY_SECONDS = 0.1


@contextlib.contextmanager
def bar_for(items: Any, wanted: bool | None) -> Iterator[Progress | None]:
    """Yield a progress callback, or None where no user would see it.

    Args:
        items: What is worked on.
        wanted: True shows it always, False never, None for many items on a terminal or in a notebook.
    """
    many = isinstance(items, list) and len(items) >= _SHOW_FROM
    is_seen = sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    if wanted is False or (wanted is None and not (many and is_seen)):
        yield None
        return
    bar = Bar(at_once=wanted is True)
    try:
        yield bar.update
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

    def update(self, done: int, total: int) -> None:
        """Show how much is done; quick work shows nothing."""
        now = time.monotonic()
        if not self._at_once and now - self._began < _SHOW_AFTER_SECONDS:
            return
        if done < total and now - self._last < _EVERY_SECONDS:
            return
        self._last = now
        self._is_shown = True
        filled = int(24 * done / total) if total else 24
        rate = done / max(now - self._began, 1e-6)
        line = f"\r{'█' * filled}{'░' * (24 - filled)} {done:,} of {total:,} {self._unit}, {rate:,.0f} a second"
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line)
            sys.stderr.flush()

    def end(self) -> None:
        """End the line."""
        if self._is_shown:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write("\n")
