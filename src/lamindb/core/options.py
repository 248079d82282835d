"""What a user chose for every process: read when it is first needed, never at import.

Of several answers the nearest counts: what this process set (`ln.settings`), the environment (`LAMIN_VERBOSITY` and
the like), what was stored by `lamin settings set`, the default.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lamindb.errors import InvalidInputError, UnknownFieldError

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class Preference:
    """A setting that can be kept for every process.

    Attributes:
        name: As in `ln.settings`.
        default: What counts where nobody chose.
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
            "verbosity", 2, (0, 1, 2, 3, 4), "How much is told: 0 errors, 1 warnings, 2 information, 3 hints, 4 all."
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
        Preference("capture", False, (False, True), "Whether tracked runs watch which files are read and written."),
    )
}

_source: Callable[[], Mapping[str, Any]] | None = None


def plug_source(source: Callable[[], Mapping[str, Any]]) -> None:
    """Say what returns the stored choices; values in it are right."""
    global _source
    _source = source


def named(name: str) -> Preference:
    """Return a preference by its name.

    Raises:
        UnknownFieldError: There is none; the message names the nearest one.
    """
    if name not in PREFERENCES:
        near = difflib.get_close_matches(name, PREFERENCES, 1)
        raise UnknownFieldError(
            f"there is no setting {name!a}"
            + (f": did you mean {near[0]!r}?" if near else f": {', '.join(PREFERENCES)}")
        )
    return PREFERENCES[name]


def chosen(name: str) -> tuple[Any, str]:
    """Return what counts in a new process, and who says so: a variable's name, `stored` or `default`.

    Raises:
        InvalidInputError: The environment variable has no right value.
    """
    preference = named(name)
    text = os.environ.get(preference.variable)
    if text:
        return preference.parsed(text, preference.variable), preference.variable
    stored = _source() if _source is not None else {}
    if name in stored:
        return stored[name], "stored"
    return preference.default, "default"
