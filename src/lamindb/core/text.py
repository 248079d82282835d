"""What comes from outside may be no text: names of files and arguments are bytes, and JSON knows halves of characters.

PostgreSQL stores neither a NUL nor half of a surrogate pair, in text and in JSON; SQLite takes some of it, in some
places. Whatever a run records of its surroundings goes through here, so that every database stores the same.
"""

from __future__ import annotations

import math
from typing import Any


def storable(value: Any) -> Any:
    r"""Return a text or JSON value in which what no database can hold is written visibly.

    Half of a surrogate pair, which stands for a byte that was no UTF-8, becomes its escape (`\udce9`), a NUL `\0`, and
    a number that is none its name (`nan`, `inf`). All else stays as it is, and so does what went through here already.

    Examples:
        >>> storable({"caf\udce9": ["a\0b", 1, float("inf")]})
        {'caf\\udce9': ['a\\0b', 1, 'inf']}
    """
    if isinstance(value, str):
        # Neither is printable, and nearly all text is: one quick look is enough for that.
        return value if value.isprintable() else value.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(float(value))
    if isinstance(value, dict):
        return _with_names(value)
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    if isinstance(value, tuple):
        return tuple(storable(inner) for inner in value)
    return value


def _with_names(values: dict[Any, Any]) -> dict[Any, Any]:
    """Return a dictionary with storable names; none takes the place of another that looks the same by now."""
    found: dict[Any, Any] = {}
    for name, value in values.items():
        shown = storable(name)
        while shown != name and (shown in values or shown in found):
            shown += "_"
        found[shown] = storable(value)
    return found
