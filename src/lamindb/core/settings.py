"""Settings of this process: what `ln.settings` shows and takes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from lamindb.core import context, messages, options
from lamindb.errors import InvalidInputError, UnknownFieldError


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
