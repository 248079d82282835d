"""Parameters of runs: plain values that can be queried, without secrets."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from typing import Any

from lamindb.core.text import storable
from lamindb.environment.redaction import HIDDEN, is_secret_name, redact_text
from lamindb.errors import InvalidInputError, InvalidTypeError


def checked(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as they are stored.

    Numbers of numpy become Python's. Whatever has a secret-looking name is replaced, and so are secrets in texts. What
    no database can hold is written visibly, in names and values.

    Raises:
        InvalidTypeError: They are no dictionary with text as names.
        InvalidInputError: A value is not plain.
    """
    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise InvalidTypeError("params must be a dictionary with text as names")
    try:
        plain = json.loads(json.dumps(dict(params), allow_nan=False, default=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"params must be plain values (text, numbers, lists, dictionaries): {error}") from None
    return storable(without_secrets(plain))  # type: ignore[no-any-return]


def without_secrets(value: Any, name: str = "") -> Any:
    """Return a JSON value with its secrets replaced."""
    if isinstance(value, dict):
        return {key: without_secrets(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_secrets(inner, name) for inner in value]
    if name and value not in (None, "", True, False) and is_secret_name(name):
        return HIDDEN
    return redact_text(value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Turn what is nearly plain into what is: numpy's numbers, paths, sets, dates."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is not plain")
