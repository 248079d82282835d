"""TOML and JSON from files that another person may have written: of limited size, with one error for all damage."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 1 << 20
"""More than any file that this library writes in one of these forms, apart from manifests."""


def read(path: Path) -> str:
    """Return the text of a small file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger than 1 MiB, or not UTF-8.
    """
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    return data.decode()


def parse_toml(text: str) -> dict[str, Any]:
    """Return the values of a TOML document.

    Raises:
        ValueError: It is not TOML, or nested too deeply.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_json(text: str) -> Any:
    """Return the value of a JSON document.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
