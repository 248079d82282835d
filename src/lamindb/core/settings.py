"""Settings: what this process set (`ln.settings`), and what the user chose for every process.

Of several values the nearest counts: what this process set, the environment (`LAMIN_VERBOSITY` and the like), what
`lamin settings set` stored, the default. Nothing is read before it is needed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

from lamindb.core import context, filesystem, messages, paths
from lamindb.core.keys import check_key
from lamindb.errors import InvalidInputError, StorageError, UnknownFieldError

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})

FILE_NAME: Final = "settings.toml"

_PLACED_BY = ("LAMIN_SETTINGS_DIR", "XDG_CONFIG_HOME", "HOME")
"""What decides where the file is; asking the platform at each look would cost more than the rest."""


class Preference(NamedTuple):
    """A setting that can be kept for every process.

    Attributes:
        name: As in `ln.settings`.
        default: What counts where nothing was chosen.
        choices: Every value that it can have.
        help: What it decides, in one line.
    """

    name: str
    default: bool | int | str
    choices: tuple[bool | int | str, ...]
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return f"LAMIN_{self.name.upper()}"

    def checked(self, value: object, called: str | None = None) -> Any:
        """Return a value that it can have.

        Raises:
            InvalidInputError: It cannot have this one.
        """
        for choice in self.choices:
            if type(choice) is type(value) and choice == value:
                return choice
        allowed = ", ".join(str(choice) for choice in self.choices)
        raise InvalidInputError(f"{called or f'settings.{self.name}'} must be one of {allowed}, not {value!r}")

    def parsed(self, text: str, called: str | None = None) -> Any:
        """Read a value as people write it; `true`, `yes`, `on` and `1` are the same.

        Raises:
            InvalidInputError: It cannot have this value.
        """
        word: Any = text.strip()
        if isinstance(self.default, bool):
            if word.lower() in _TRUE | _FALSE:
                return word.lower() in _TRUE
        elif isinstance(self.default, int):
            if word.isascii() and word.isdigit():
                word = int(word)
        else:
            word = word.lower()
        return self.checked(word, called)


PREFERENCES: Final[dict[str, Preference]] = {
    one.name: one
    for one in (
        Preference(
            "verbosity", 2, (0, 1, 2, 3, 4), "Messages to show: 0 errors, 1 warnings, 2 information, 3 hints, 4 all."
        ),
        Preference(
            "track_run_inputs", False, (False, True), "Whether every file that is read becomes an input of the run."
        ),
        Preference(
            "if_key_exists",
            "new_version",
            ("new_version", "error"),
            "What saving other bytes under a taken key does.",
        ),
        Preference(
            "upon_file_create_if_hash_exists",
            "warn_return_existing",
            ("warn_return_existing", "error", "warn_create_new"),
            "What saving bytes that are stored already does.",
        ),
        Preference(
            "tracking_failure", "warn", ("warn", "error"), "What a run that cannot be recorded does: warn, or stop."
        ),
        Preference(
            "if_flagged",
            "warn",
            ("warn", "error"),
            "What reading a flagged file, or one derived from it, does: warn, or fail.",
        ),
        Preference("capture", False, (False, True), "Whether tracked runs watch which files are read and written."),
    )
}


def named(name: str) -> Preference:
    """Return a preference by its name.

    Raises:
        UnknownFieldError: There is none; the message names the nearest one.
    """
    if name not in PREFERENCES:
        import difflib

        near = difflib.get_close_matches(name, PREFERENCES, 1)
        raise UnknownFieldError(
            f"there is no setting {name!a}"
            + (f": did you mean {near[0]!r}?" if near else f": {', '.join(PREFERENCES)}")
        )
    return PREFERENCES[name]


class StorageSettings(os.PathLike[str]):
    """The storage of the connected instance: also its root as a path, with all that a `Path` or `UPath` has."""

    @property
    def root(self) -> Any:
        """The root: a `Path`, or a `UPath` on an object store."""
        return context.instance().store.upath_of_key("")

    @property
    def root_as_str(self) -> str:
        """The root as text."""
        return context.instance().root_url

    @property
    def type(self) -> str:
        """`local`, or the kind of object store, such as `s3`."""
        root = context.instance().root_url
        return root.split("://", 1)[0] if "://" in root else "local"

    @property
    def is_cloud(self) -> bool:
        """Whether it is an object store."""
        return not context.instance().is_local

    @property
    def id(self) -> str:
        """The id of its record."""
        return context.instance().storage_id

    def key_to_filepath(self, key: str) -> Any:
        """Return the path of a key under the root."""
        return self.root / check_key(key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.root, name)

    def __fspath__(self) -> str:
        return self.root_as_str

    def __truediv__(self, key: str | os.PathLike[str]) -> Any:
        return self.root / key

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (str, os.PathLike)):
            return self.root_as_str == os.fspath(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.root_as_str)

    def __str__(self) -> str:
        return self.root_as_str

    def __repr__(self) -> str:
        return f"Storage(root={self.root_as_str!r}, type={self.type!r})"


class SettingsFile:
    """What the user stored for every process, in `settings.toml` in the settings folder; read once per process."""

    def __init__(self) -> None:
        self._read_for: list[str | None] | None = None
        self._values: dict[str, Any] = {}

    def values(self) -> dict[str, Any]:
        """Return the stored values. What cannot be right is left out with a warning, and stops nothing."""
        placed = [os.environ.get(name) for name in _PLACED_BY]
        if self._read_for != placed:
            # Set first: a warning asks for the verbosity, which would recurse.
            self._read_for, self._values = placed, {}
            folder = paths.settings_folder()
            if folder is not None:
                self._values = _checked(folder / FILE_NAME)
        return self._values

    def store(self, name: str, text: str) -> Any:
        """Store a setting for every process that begins from now on.

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
        value = named(name).parsed(text)
        self._change(name, value)
        return value

    def forget(self, name: str) -> None:
        """Remove a setting from the file, so that its default counts again.

        Raises:
            UnknownFieldError: There is no such setting.
            StorageError: The settings folder cannot be written. Nothing was changed.
        """
        named(name)
        self._change(name, None)

    def _change(self, name: str, value: Any) -> None:
        folder = paths.settings_folder()
        if folder is None:
            raise StorageError("there is no folder for settings: set LAMIN_SETTINGS_DIR")
        path = folder / FILE_NAME
        try:
            paths.make_private_folder(folder)
            with paths.settings_lock(folder):
                values = {key: old for key, old in _read(path).items() if isinstance(old, (bool, int, str))}
                values.pop(name, None)
                if value is not None:
                    values[name] = value
                lines = [f"{key} = {json.dumps(kept, ensure_ascii=False)}\n" for key, kept in sorted(values.items())]
                filesystem.write_text(path, "".join(lines), mode=0o600)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error
        self._read_for = None


def _read(path: Path) -> dict[str, Any]:
    # Imported here: most processes have no such file, and start sooner without the parser.
    from lamindb.core import documents

    try:
        return documents.parse_toml(documents.read(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        messages.warning(f"{path} cannot be read and is ignored: {error}")
        return {}


def _checked(path: Path) -> dict[str, Any]:
    values = {}
    for name, value in _read(path).items():
        try:
            values[name] = named(name).checked(value)
        except InvalidInputError as error:
            messages.warning(f"a setting in {path} is ignored: {error}")
    return values


settings_file: Final = SettingsFile()
# One per process: all settings of a process read the same file.


def chosen(name: str) -> tuple[Any, str]:
    """Return what counts in a new process, and where it comes from: a variable's name, `stored` or `default`.

    Raises:
        InvalidInputError: The environment variable has no right value.
    """
    preference = named(name)
    text = os.environ.get(preference.variable)
    if text:
        return preference.parsed(text, preference.variable), preference.variable
    stored = settings_file.values()
    if name in stored:
        return stored[name], "stored"
    return preference.default, "default"


class Settings:
    """How this process behaves. Each setting checks its value; a refused value leaves the old one.

    What this process did not set is what the user chose for all processes: see `chosen`. Attributes
    that do not exist cannot be set, so that a misspelt setting is an error rather than silence.
    """

    __slots__ = ("_chosen",)

    def __init__(self) -> None:
        self._chosen: dict[str, Any] = {}

    @property
    def verbosity(self) -> int:
        """Messages to show on standard error: 0 errors, 1 warnings, 2 information, 3 hints, 4 all."""
        return int(self._value("verbosity"))

    @verbosity.setter
    def verbosity(self, value: int) -> None:
        self._set("verbosity", value)

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
    def tracking_failure(self) -> str:
        """What `ln.track()`, a step or `lamin run` does where the database fails: `warn` and go on, or `error`."""
        return str(self._value("tracking_failure"))

    @tracking_failure.setter
    def tracking_failure(self, value: str) -> None:
        self._set("tracking_failure", value)

    @property
    def if_flagged(self) -> str:
        """What reading a flagged file, or one derived from a flagged one, does: `warn` (default) or `error`."""
        return str(self._value("if_flagged"))

    @if_flagged.setter
    def if_flagged(self, value: str) -> None:
        self._set("if_flagged", value)

    @property
    def capture(self) -> bool:
        """Whether `ln.track()` watches which files are read and written, where it is not given `capture`."""
        return bool(self._value("capture"))

    @capture.setter
    def capture(self, value: bool) -> None:
        self._set("capture", value)

    @property
    def storage(self) -> StorageSettings:
        """Where new files go: the storage of the current instance, which is also a path, and has its root as `.root`.

        It cannot be set: `ln.Storage(root=…).save()` registers files of another folder where they are, and
        `lamin migrate-to` moves an instance.
        """
        context.instance()
        return StorageSettings()

    def reset(self) -> None:
        """Forget what this process set: what the user chose for all processes counts again."""
        self._chosen.clear()

    def _value(self, name: str) -> Any:
        return self._chosen[name] if name in self._chosen else chosen(name)[0]

    def _set(self, name: str, value: object) -> None:
        self._chosen[name] = PREFERENCES[name].checked(value)

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
        import difflib

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

# Messages know no settings, which warn by them: they ask here how much to show.
messages.output.verbosity = lambda: settings.verbosity
