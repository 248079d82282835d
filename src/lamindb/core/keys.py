"""Keys and suffixes: the user's path-like names of files, checked before anything is written."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from typing import Final

from lamindb.errors import InvalidKeyError

GITIGNORE: Final = ".gitignore"
GITIGNORE_TEXT: Final = "# Written by lamindb: data and records do not belong into a git repository.\n*\n"
"""What keeps a storage folder out of the git repository in which it lies."""

OWN_ROOT: Final = "."
"""What stands for the instance's own local folder, so that the folder can be moved or copied."""

HIDDEN_FOLDER = ".lamindb"
"""The folder of a storage root that belongs to this library alone."""

DATABASE_FILE = "db.sqlite3"
"""The file in the folder of an instance that holds its records, unless a server does."""

MAX_PART_BYTES = 255
MAX_KEY_BYTES = 1024

COMPOSITE_ENDINGS = frozenset(
    {".gz", ".bz2", ".xz", ".zst", ".lz4", ".br", ".z", ".zip", ".bgz", ".gpg", ".zarr", ".tar", ".7z"}
)
"""Endings of containers and compression; the ending before them is the format of the content."""

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
"""Fast path: keys that need no other check."""
_DRIVE = re.compile(r"[A-Za-z]:/")
"""How absolute paths on Windows begin. A colon elsewhere is common, as in `X:100-200.bed`."""

_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_MAX_SUFFIX = 30


def check_key(key: str) -> str:
    """Return the key in its canonical form (NFC).

    Keys are POSIX paths relative to the storage root. Nothing that this function returns can leave the root or
    touch the library's own folder.

    Raises:
        InvalidKeyError: The key is empty, absolute, has `.` or `..` or empty parts, is under `.lamindb/`, has
            control characters, line separators or lone surrogates, a backslash, or is too long: 255 bytes a part,
            1,024 in all. Or this process cannot encode it in the name of a file.
    """
    if isinstance(key, str) and len(key) <= MAX_PART_BYTES and _PLAIN.fullmatch(key):
        return key
    if not isinstance(key, str):
        raise InvalidKeyError(f"a key must be text such as 'folder/name.csv', not {type(key).__name__}")
    shown = ascii(key) if len(key) <= 80 else f"{ascii(key[:60])}… ({len(key):,} characters)"
    if not key:
        raise InvalidKeyError("a key must not be empty: pass for example key='folder/name.csv'")
    character = unusable_character(key)
    if character is not None:
        raise InvalidKeyError(f"key {shown} has the character U+{ord(character):04X}, which no key may have: remove it")
    key = unicodedata.normalize("NFC", key)
    if key.startswith("/") or _DRIVE.match(key):
        raise InvalidKeyError(f"key {shown} is absolute: pass it relative to the storage root")
    if "\\" in key:
        raise InvalidKeyError(f"key {shown} has a backslash: separate folders by '/'")
    parts = key.split("/")
    for part in parts:
        if part in {"", ".", ".."}:
            reason = "an empty part" if part == "" else f"the part {part!r}"
            raise InvalidKeyError(f"key {shown} has {reason}: name each folder plainly, as in 'folder/name.csv'")
        if len(part) * 4 > MAX_PART_BYTES and len(part.encode()) > MAX_PART_BYTES:
            raise InvalidKeyError(f"key {shown} has a part of more than {MAX_PART_BYTES} bytes: shorten it")
    if parts[0].casefold() == HIDDEN_FOLDER:
        raise InvalidKeyError(f"key {shown} lies in {HIDDEN_FOLDER}/, which belongs to lamindb: choose another folder")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidKeyError(f"key {shown} has more than {MAX_KEY_BYTES:,} bytes: shorten it")
    try:
        os.fsencode(key)
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        raise InvalidKeyError(
            f"key {shown} cannot be a file name in this process, which writes them as {encoding}: set PYTHONUTF8=1"
        ) from None
    return key


def unusable_character(text: str) -> str | None:
    """Return the first control character, line separator or lone surrogate of a text, None if it has none."""
    if text.isascii() and text.isprintable():
        return None
    return next((one for one in text if unicodedata.category(one) in _REFUSED_CATEGORIES), None)


def suffix_of(name: str) -> str:
    """Return the suffix of a file name, with all dots only before compression or container endings.

    Examples:
        >>> suffix_of("input.fastq.gz"), suffix_of("sample.v1.2.csv"), suffix_of(".bashrc"), suffix_of("README")
        ('.fastq.gz', '.csv', '', '')
    """
    _, *endings = name.lstrip(".").split(".")
    if not endings or name.endswith("."):
        return ""
    last = "." + endings[-1]
    if len(last) > _MAX_SUFFIX or not last[1:].strip() or " " in last:
        return ""
    if last.casefold() in COMPOSITE_ENDINGS and len(endings) > 1:
        before = "." + endings[-2]
        if 1 < len(before) <= _MAX_SUFFIX - len(last) and " " not in before and not before[1:].isdigit():
            return before + last
    return last


def basename(key: str) -> str:
    """Return the last part of a key."""
    return key.rsplit("/", 1)[-1]


def split_version(text: str) -> tuple[str, int] | None:
    """Return the parts of `KEY@N`, as a version of a file is written where no key has this very text; else None."""
    key, _, number = text.rpartition("@")
    return (key, int(number)) if key and re.fullmatch(r"[0-9]{1,9}", number) else None


def with_suffix(key: str, suffix: str) -> str:
    """Return the key with its suffix replaced; folder and stem stay."""
    old = suffix_of(basename(key))
    return (key[: -len(old)] if old else key) + suffix
