"""Why there is no preview."""

from __future__ import annotations


class RefusedError(Exception):
    """A file has no preview; the text says why, to any reader."""
