"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how much is done and how much there is: bytes, files or whatever the work goes through."""


def further(progress: Progress, before: int, total: int) -> Progress:
    """Return what to tell the progress of a part of the work: so much was done before it, of so much in all."""
    return lambda done, _: progress(before + done, total)
