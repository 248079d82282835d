"""The user of this process: the handle under which records are made. There are no accounts."""

from __future__ import annotations

import getpass
import json
import os
import re
import unicodedata
from typing import NamedTuple

from lamindb.core import documents, filesystem, ids, messages, paths
from lamindb.errors import InvalidInputError, StorageError


class Person(NamedTuple):
    """A user as known on this machine."""

    handle: str
    name: str
    email: str

    @property
    def id(self) -> str:
        """The id of the user's record: the same on every machine."""
        return ids.user_id(self.handle)


def current() -> Person:
    """Return the user: `LAMIN_USER`, else the one of `lamin login`, else the operating system's."""
    handle = os.environ.get("LAMIN_USER")
    if handle:
        return person(handle)
    folder = paths.settings_folder()
    if folder is not None:
        try:
            values = documents.parse_toml(documents.read(folder / "user.toml"))
            return person(values["handle"], name=values.get("name"), email=values.get("email"))
        except FileNotFoundError:
            pass
        except (OSError, KeyError, ValueError) as error:
            messages.warning(f"{folder / 'user.toml'} cannot be read and is ignored: {error}")
    try:
        return person(getpass.getuser())
    except (OSError, KeyError, InvalidInputError):
        return person("user")


def person(handle: str, *, name: str | None = None, email: str | None = None) -> Person:
    """Return a person from a handle or an email address.

    Raises:
        InvalidInputError: The handle is empty, too long, or has spaces or control characters, or name or email is
            no line of text.
    """
    for label, value in (("name", name), ("email", email)):
        if value is not None and not (isinstance(value, str) and value.isprintable()):
            raise InvalidInputError(f"{label} must be one line of text, not {value!r}")
    text = unicodedata.normalize("NFC", handle.strip()) if isinstance(handle, str) else ""
    if "@" in text and email is None:
        email, text = text, text.split("@", 1)[0]
    if not text or len(text) > 100 or re.search(r"[\s/\\]", text) or not text.isprintable():
        raise InvalidInputError(
            f"{handle!r} cannot be a handle: it needs 1 to 100 characters without spaces or slashes, as in 'ada'"
        )
    words = re.sub(r"[._-]+", " ", text).split()
    return Person(text, name or " ".join(word[:1].upper() + word[1:] for word in words), email or f"{text}@localhost")


def login(handle: str, *, name: str | None = None, email: str | None = None) -> Person:
    """Store the handle of this user of this machine. Needs no network and no password.

    Raises:
        InvalidInputError: The handle cannot be one, or name or email is not a line of text. Nothing was changed.
        StorageError: The settings folder cannot be written.
    """
    new = person(handle, name=name, email=email)
    folder = paths.settings_folder()
    if folder is None:
        raise StorageError("there is no folder for settings: set LAMIN_SETTINGS_DIR, or LAMIN_USER instead")
    lines = [f"{key} = {json.dumps(getattr(new, key), ensure_ascii=False)}" for key in ("handle", "name", "email")]
    try:
        paths.make_private_folder(folder)
        filesystem.write_text(folder / "user.toml", "\n".join(lines) + "\n", mode=0o600)
    except OSError as error:
        raise StorageError(f"cannot write {folder / 'user.toml'}: {error.strerror}") from error
    return new


def logout() -> None:
    """Remove the stored handle; the operating system's user counts again.

    Raises:
        StorageError: The settings folder cannot be written.
    """
    folder = paths.settings_folder()
    if folder is None:
        return
    try:
        (folder / "user.toml").unlink(missing_ok=True)
    except NotADirectoryError:
        return
    except OSError as error:
        raise StorageError(f"cannot remove {folder / 'user.toml'}: {error.strerror}") from error
