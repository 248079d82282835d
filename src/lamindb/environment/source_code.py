"""What tells one source from another: the bytes of a script or function, the code cells of a notebook."""

from __future__ import annotations

import json

from lamindb.core.hashing import hash_bytes
from lamindb.environment import notebooks


def code_digest(source: bytes) -> str:
    """Return 64 hexadecimal digits that are equal for equal code.

    Of a notebook's JSON, the code cells count, without empty ones and those that papermill injected: text, results
    and the order of keys do not. Of anything else, all bytes count.

    Args:
        source: The source as it is stored with a run, without secrets.
    """
    if source[:1] == b"{":
        try:
            document = json.loads(source)
            if isinstance(document, dict) and isinstance(document.get("cells"), list):
                return notebooks.hash_cells(notebooks.code_of(document))
        except (ValueError, RecursionError):
            pass
    return hash_bytes(source).digest
