"""`python -m lamindb` is `lamin`."""

from __future__ import annotations

import sys

from lamindb.cli import main

if __name__ == "__main__":
    sys.exit(main())
