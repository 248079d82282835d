"""The settings that a user keeps for every process: `settings.toml` in the settings folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lamindb.core import atomic, messages, options, paths
from lamindb.core.settings import settings as settings
from lamindb.errors import InvalidInputError, StorageError
from lamindb.instance import registry

FILE_NAME = "settings.toml"

_PLACED_BY = ("LAMIN_SETTINGS_DIR", "XDG_CONFIG_HOME", "HOME")
"""What decides where the file lies; asking the platform at each look would cost more than the rest."""

_known: tuple[list[str | None], dict[str, Any]] | None = None


def stored() -> dict[str, Any]:
    """Return the choices that are stored; read once per process.

    What cannot be right is left out with a warning, so that a damaged file breaks nobody's work.
    """
    global _known
    placed = [os.environ.get(name) for name in _PLACED_BY]
    if _known is None or _known[0] != placed:
        # Telling the warnings asks for the verbosity, and so for what is stored.
        _known = (placed, {})
        folder = paths.settings_folder()
        values = _right(folder / FILE_NAME) if folder is not None else {}
        _known = (placed, values)
    return _known[1]


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        messages.warning(f"{path} cannot be read and is ignored: {error}")
        return {}
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        messages.warning(f"{path} cannot be read and is ignored: {error}")
        return {}


def _right(path: Path) -> dict[str, Any]:
    values = {}
    for name, value in _read(path).items():
        try:
            values[name] = options.named(name).checked(value)
        except InvalidInputError as error:
            messages.warning(f"a setting in {path} is ignored: {error}")
    return values


def store(name: str, text: str) -> Any:
    """Keep a setting for every process that begins from now on.

    Args:
        name: As in `ln.settings`.
        text: The value as people write it.

    Returns:
        The value.

    Raises:
        UnknownFieldError: There is no such setting.
        InvalidInputError: It cannot have this value. Nothing was changed.
        StorageError: The settings folder cannot be written. Nothing was changed.
    """
    value = options.named(name).parsed(text)
    _change(name, value)
    return value


def forget(name: str) -> None:
    """Let the default of a setting count again.

    Raises:
        UnknownFieldError: There is no such setting.
        StorageError: The settings folder cannot be written. Nothing was changed.
    """
    options.named(name)
    _change(name, None)


def _change(name: str, value: Any) -> None:
    global _known
    folder = paths.settings_folder()
    if folder is None:
        raise StorageError("there is no folder for settings: set LAMIN_SETTINGS_DIR")
    path = folder / FILE_NAME
    try:
        paths.make_private(folder)
        with registry.locked(folder):
            values = {key: old for key, old in _read(path).items() if isinstance(old, (bool, int, str))}
            values.pop(name, None)
            if value is not None:
                values[name] = value
            lines = [f"{key} = {json.dumps(kept, ensure_ascii=False)}\n" for key, kept in sorted(values.items())]
            atomic.write_text(path, "".join(lines), mode=0o600)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    _known = None


options.plug_source(stored)
