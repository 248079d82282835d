"""Local copies of remote objects."""

from __future__ import annotations


class Cache:
    """Keeps local copies of remote objects."""
