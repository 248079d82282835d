"""Here databases are the subject: each is migrated, none is a copy."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def copied_tables() -> None:
    """Take the place of the fixture that copies tables."""
