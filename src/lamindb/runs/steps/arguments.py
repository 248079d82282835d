"""What a call says about itself: its arguments as small plain values, and the files among them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lamindb.core.context import Instance
from lamindb.core.text import storable
from lamindb.environment.redaction import HIDDEN, is_secret_name, redact_text
from lamindb.files import locate
from lamindb.models import File

_MOST_TEXT: Final = 500
_MOST_ITEMS: Final = 50
_MOST_DEPTH: Final = 4
_MOST_PATHS: Final = 100
_QUICK: Final = frozenset({"builtins", "datetime", "decimal", "fractions", "pathlib", "uuid", "enum", "re"})


def described(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as plain values of bounded size that can be queried; secrets are replaced.

    Numbers and short texts are themselves, files their keys. Of other objects the type is told, and the shape where
    there is one: nobody's `repr` is called that could take long.
    """
    return {storable(name): _plain(value, name, 0) for name, value in arguments.items()}


def _plain(value: Any, name: str, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if name and is_secret_name(name):
        return HIDDEN
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else _short(str(value))
    if isinstance(value, float):
        return float(value) if value - value == 0 else repr(float(value))
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, File):
        return value.key or value.name if value._state.adding else value.key or value.id
    if isinstance(value, os.PathLike):
        return _short(os.fsdecode(value))
    if depth < _MOST_DEPTH and isinstance(value, Mapping):
        some = list(value.items())[:_MOST_ITEMS]
        return {_short(str(key)): _plain(inner, str(key), depth + 1) for key, inner in some} | _more(value)
    if depth < _MOST_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
        some_items: list[Any] = [_plain(inner, "", depth + 1) for inner in list(value)[:_MOST_ITEMS]]
        return some_items + ([f"… {len(value)} in all"] if len(value) > _MOST_ITEMS else [])
    return _other(value)


def _more(value: Mapping[Any, Any]) -> dict[str, str]:
    return {"…": f"{len(value)} in all"} if len(value) > _MOST_ITEMS else {}


def _other(value: Any) -> Any:
    kind = type(value)
    try:
        if kind.__module__ == "numpy" and not getattr(value, "shape", (1,)):
            return _plain(value.item(), "", _MOST_DEPTH)
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape):
            return f"<{kind.__name__} {'×'.join(map(str, shape))}>"
        if kind.__module__ in _QUICK and not isinstance(value, (bytes, bytearray)):
            return _short(repr(value))
        if isinstance(value, (bytes, bytearray)):
            return f"<{kind.__name__} of {len(value)}>"
    except Exception as error:
        return f"<{kind.__name__}: {type(error).__name__}>"
    return f"<{kind.__name__}>"


def _short(text: str) -> str:
    whole = storable(redact_text(text[: 4 * _MOST_TEXT]))
    return whole if len(whole) <= _MOST_TEXT else f"{whole[:_MOST_TEXT]}…"


def files_in(instance: Instance, *values: Any) -> list[File]:
    """Return the saved files among values: records, and paths under registered roots that show registered bytes.

    A path that nobody registered is passed over.
    """
    found: dict[str, File] = {}
    paths = 0
    for value in _leaves(values, 0):
        if isinstance(value, File):
            if not value._state.adding and value._state.db == instance.alias:
                found.setdefault(value.id, value)
            continue
        paths += 1
        if paths > _MOST_PATHS:
            break
        text = os.fspath(value)
        if not isinstance(text, str) or locate.place_of(instance, text) is None or not os.path.exists(text):
            continue
        file = locate.registered_at(instance, text, by_bytes=False)
        if file is not None:
            found.setdefault(file.id, file)
    return list(found.values())


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    """Yield records and what looks like paths, also from inside lists and dictionaries."""
    if isinstance(value, (File, os.PathLike)):
        yield value
    elif isinstance(value, str):
        if 0 < len(value) < 4096 and ("/" in value or "." in value) and "\n" not in value and "\0" not in value:
            yield value
    elif depth <= _MOST_DEPTH:
        if isinstance(value, Mapping):
            value = list(value.values())
        if isinstance(value, (list, tuple, set, frozenset)):
            for inner in list(value)[: 20 * _MOST_ITEMS]:
                yield from _leaves(inner, depth + 1)
