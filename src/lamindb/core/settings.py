"""Settings of this process: what `ln.settings` shows and takes."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

from lamindb.core import context, filesystem, messages, options, paths
from lamindb.errors import InvalidInputError, StorageError, UnknownFieldError


class Settings:
    """How this process behaves. Each setting checks its value; a refused value leaves the old one.

    What this process did not set is what the user chose for all processes: see `lamindb.core.options`. Attributes
    that do not exist cannot be set, so that a misspelt setting is an error rather than silence.
    """

    __slots__ = ("_chosen",)

    def __init__(self) -> None:
        self._chosen: dict[str, Any] = {}

    @property
    def verbosity(self) -> int:
        """How much is told on standard error: 0 errors, 1 warnings, 2 information, 3 hints, 4 everything."""
        return messages.verbosity()

    @verbosity.setter
    def verbosity(self, value: int) -> None:
        messages.set_verbosity(options.PREFERENCES["verbosity"].checked(value))

    @property
    def track_run_inputs(self) -> bool:
        """Whether every file that is staged, loaded or opened becomes an input of the current run."""
        return bool(self._value("track_run_inputs"))

    @track_run_inputs.setter
    def track_run_inputs(self, value: bool) -> None:
        self._set("track_run_inputs", value)

    @property
    def track_run_inputs_upon_load(self) -> bool:
        """The older name of `track_run_inputs`."""
        return self.track_run_inputs

    @track_run_inputs_upon_load.setter
    def track_run_inputs_upon_load(self, value: bool) -> None:
        self.track_run_inputs = value

    @property
    def if_key_exists(self) -> str:
        """What saving other bytes under a taken key does: `new_version` (default) or `error`."""
        return str(self._value("if_key_exists"))

    @if_key_exists.setter
    def if_key_exists(self, value: str) -> None:
        self._set("if_key_exists", value)

    @property
    def upon_file_create_if_hash_exists(self) -> str:
        """What saving bytes that are stored already does.

        `warn_return_existing` (default): under the same key, or without one, the record becomes the existing one;
        `error`: refuse; `warn_create_new`: another record that shares the stored bytes.
        """
        return str(self._value("upon_file_create_if_hash_exists"))

    @upon_file_create_if_hash_exists.setter
    def upon_file_create_if_hash_exists(self, value: str) -> None:
        self._set("upon_file_create_if_hash_exists", value)

    @property
    def error_on_file_hash_exists(self) -> bool:
        """The older form of `upon_file_create_if_hash_exists`: True means `error`."""
        return self.upon_file_create_if_hash_exists == "error"

    @error_on_file_hash_exists.setter
    def error_on_file_hash_exists(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise InvalidInputError(f"settings.error_on_file_hash_exists must be True or False, not {value!r}")
        self.upon_file_create_if_hash_exists = "error" if value else "warn_create_new"

    @property
    def capture(self) -> bool:
        """Whether `ln.track()` watches which files are read and written, unless told otherwise."""
        return bool(self._value("capture"))

    @capture.setter
    def capture(self, value: bool) -> None:
        self._set("capture", value)

    @property
    def storage(self) -> Any:
        """Where new files go: the folder of the current instance as a `Path`, or the address of its object store.

        It cannot be set: `ln.Storage(root=…).save()` registers files of another folder where they are, and
        `lamin migrate-to` moves an instance.
        """
        instance = context.instance()
        return Path(instance.root_url) if instance.is_local else instance.root_url

    def reset(self) -> None:
        """Forget what this process set: what the user chose for all processes counts again."""
        self._chosen.clear()
        messages.set_verbosity(None)

    def _value(self, name: str) -> Any:
        return self._chosen[name] if name in self._chosen else options.chosen(name)[0]

    def _set(self, name: str, value: object) -> None:
        self._chosen[name] = options.PREFERENCES[name].checked(value)

    def names(self) -> list[str]:
        """Return the names of all settings, sorted."""
        return sorted(name for name, value in vars(type(self)).items() if isinstance(value, property))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "storage":
            raise InvalidInputError(
                "settings.storage cannot be set: register another folder by ln.Storage(root=…).save(), or move the "
                "instance by `lamin migrate-to`"
            )
        if name.startswith("_") or name in self.names():
            object.__setattr__(self, name, value)
            return
        near = difflib.get_close_matches(name, self.names(), 1)
        raise UnknownFieldError(
            f"there is no setting {name!r}"
            + (f": did you mean {near[0]!r}?" if near else f": {', '.join(self.names())}")
        )

    def __repr__(self) -> str:
        shown = [name for name in self.names() if name not in {"storage", "track_run_inputs_upon_load"}]
        return "Settings(" + ", ".join(f"{name}={getattr(self, name)!r}" for name in shown) + ")"


settings = Settings()
"""The settings of this process, as `ln.settings`."""


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
    from lamindb.core import documents

    try:
        return documents.parse_toml(documents.read(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
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
        with paths.locked(folder):
            values = {key: old for key, old in _read(path).items() if isinstance(old, (bool, int, str))}
            values.pop(name, None)
            if value is not None:
                values[name] = value
            lines = [f"{key} = {json.dumps(kept, ensure_ascii=False)}\n" for key, kept in sorted(values.items())]
            filesystem.write_text(path, "".join(lines), mode=0o600)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    _known = None


options.plug_source(stored)
