"""Records can only be imported once Django is set up."""

from __future__ import annotations

import lamindb.setup  # noqa: F401
