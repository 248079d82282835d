"""Making the library ready for a command."""

from __future__ import annotations


def prepare() -> None:
    """Set the database library up, so that models can be imported and an instance be found on first use."""
    from lamindb.db.database import setup

    setup()
    import lamindb.setup.lifecycle  # noqa: F401  says how an instance is found
