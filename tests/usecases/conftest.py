"""Lets the tests of this room import its modules directly: records need the library to be set up first."""

from __future__ import annotations

from lamindb.instance.database import setup

setup()

import lamindb.usecases.setup.instances  # noqa: E402, F401
