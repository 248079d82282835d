"""Parameters as plain JSON values: what programs pass around, written so that it can be stored and found again."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import io
import math
import os
import sys
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

_MOST_DEPTH: Final = 50
_NAMED: Final = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def plain(value: Any, unknown: Callable[[Any], Any] | None = None) -> Any:
    """Return a value as text, numbers, lists and dictionaries.

    Enum members are their names, those of `StrEnum` and `IntEnum` their values; decimals, UUIDs and paths are text,
    dates and times ISO 8601, time spans seconds; dataclasses are dictionaries of their fields, functions and classes
    their names, open files their paths. NaN and infinity are text.

    Args:
        value: Anything.
        unknown: Returns what stands for a value that has no such form; None: it is an error.

    Raises:
        TypeError: A value has no such form, and there is no `unknown`.
    """
    return _plain(value, unknown or _refuse, 0)


def scalar(value: Any) -> Any:
    """Return a single value as text or a number, as `plain` does.

    Raises:
        TypeError: It is a container, or has no such form.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        is_mixed = isinstance(value, (str, int, float)) and not isinstance(value, enum.Flag)
        return scalar(value.value) if is_mixed else value.name or repr(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, (decimal.Decimal, uuid.UUID, complex)) or _is_of(value, "fractions", "Fraction"):
        return str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, _NAMED):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, io.IOBase) and isinstance(getattr(value, "name", None), (str, bytes)):
        return os.fsdecode(value.name)  # type: ignore[attr-defined]
    if _is_of_numpy(value) and not getattr(value, "shape", (1,)):
        found = value.item()
        if not _is_of_numpy(found):
            return scalar(found)
        return str(value)
    return _refuse(value)


def _plain(value: Any, unknown: Callable[[Any], Any], depth: int) -> Any:
    try:
        return scalar(value)
    except TypeError:
        if depth > _MOST_DEPTH:
            return unknown(value)
    if _is_of(value, "argparse", "Namespace"):
        value = vars(value)
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_name(name): _plain(inner, unknown, depth + 1) for name, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=repr)
    if isinstance(value, (list, tuple)):
        return [_plain(inner, unknown, depth + 1) for inner in value]
    if _is_of_numpy(value) and hasattr(value, "tolist"):
        return _plain(value.tolist(), unknown, depth + 1)
    return unknown(value)


def _is_of(value: Any, module: str, name: str) -> bool:
    """Return True if a value is of a class of a module, which is not imported for that: else nothing can be."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name, ()))


def _name(name: Any) -> str:
    """Return the name of a dictionary's entry; JSON has text only."""
    if isinstance(name, str):
        return str(scalar(name))
    try:
        found = scalar(name)
    except TypeError:
        return repr(name)
    if found is None or isinstance(found, bool):
        return "null" if found is None else str(found).lower()
    return str(found)


def _is_of_numpy(value: Any) -> bool:
    return type(value).__module__ == "numpy"


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} has no plain form")
