"""Identifiers: base62 text, safe in paths, addresses and shells."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from typing import Final

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""In the order of their code points, so that ids sort as text as they sort as numbers."""

_PAIRS = tuple(high + low for high in ALPHABET for low in ALPHABET)

STEM_LENGTH = 16
"""Of the 20 characters of a File's id, those that all its versions share; the other 4 are the version number."""

TRANSFORM_STEM_LENGTH = 12
_TIME_LENGTH = 8
_ID = re.compile(r"[0-9A-Za-z]{1,20}", re.ASCII)
_UNFAIR = bytes(range(248, 256))
_DIGITS = bytes(ord(ALPHABET[byte % 62]) for byte in range(256))


class _RandomPool:
    """Random digits of base 62, read ahead from the system's source of randomness."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Drop the digits, which a forked child shares with its parent, and a lock that a thread may hold there."""
        self._digits = ""
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, length: int) -> str:
        """Return so many digits, which are given out only once."""
        with self._lock:
            while len(self._digits) < self._taken + length:
                # A byte below 248 is four times 0 to 61 with equal chances; reading many at once spares system calls.
                read = os.urandom(1024).translate(_DIGITS, _UNFAIR).decode()
                self._digits, self._taken = self._digits[self._taken :] + read, 0
            self._taken += length
            return self._digits[self._taken - length : self._taken]


_pool: Final = _RandomPool()
# One per process, as the randomness that it reads ahead.
os.register_at_fork(after_in_child=_pool.reset)


def encode(number: int, length: int) -> str:
    """Write a number in base 62, padded with zeros to `length` characters.

    Raises:
        ValueError: The number is negative or needs more characters.

    Examples:
        >>> encode(61, 2)
        '0z'
    """
    if 0 <= number < 62 and length > 0:
        return ALPHABET[number].rjust(length, "0")
    if not 0 <= number < 62**length:
        raise ValueError(f"{number} does not fit into {length} characters of base 62")
    text = ""
    while number:
        number, pair = divmod(number, 3844)
        text = _PAIRS[pair] + text
    return text.lstrip("0").rjust(length, "0")


def decode(text: str) -> int:
    """Read a number written by `encode`.

    Raises:
        ValueError: A character is not of the alphabet.
    """
    number = 0
    for character in text:
        number = number * 62 + ALPHABET.index(character)
    return number


def is_id(text: object) -> bool:
    """Return True if a value can be the id of a record: 1 to 20 characters of the alphabet."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def random_id(length: int) -> str:
    """Make an id without meaning, from the system's source of randomness."""
    return _pool.take(length)


def timed_id(length: int) -> str:
    """Make an id whose first 8 characters are the time in steps of 10 µs, so that new rows are neighbours in an index.

    Two ids made by one process in one step differ in their random part.
    """
    return encode(time.time_ns() // 10_000 % 62**_TIME_LENGTH, _TIME_LENGTH) + random_id(length - _TIME_LENGTH)


def run_id() -> str:
    """Make the id of a run: 20 characters, ordered by time."""
    return timed_id(20)


def file_id(stem: str | None = None, version: int = 1) -> str:
    """Make the id of a file: a stem of 16 characters, ordered by time, and 4 for the version number."""
    return (stem or timed_id(STEM_LENGTH)) + encode(version, 4)


def version_of(file_id: str) -> int:
    """Read the version number from the id of a file."""
    return decode(file_id[STEM_LENGTH:])


def version_range(stem: str) -> tuple[str, str]:
    """Return the lowest and the highest id that a version of a file can have: both ends of an SQL `BETWEEN`."""
    return stem, stem + ALPHABET[-1] * 4


def transform_id(stem: str | None = None, revision: int = 1) -> str:
    """Make the id of a transform: a stem of 12 characters and 4 that count its versions."""
    return (stem or random_id(TRANSFORM_STEM_LENGTH)) + encode(revision, 4)


_WELL_KNOWN_USERS = {"testuser1": "DzTjkKse", "testuser2": "bKeW4T6E"}
"""The ids under which the test users of the original documents are known there."""


def user_id(handle: str) -> str:
    """Make the id of a user, 8 characters, the same on every machine for the same handle."""
    known = _WELL_KNOWN_USERS.get(handle)
    if known:
        return known
    number = int.from_bytes(hashlib.sha256(handle.encode()).digest()[:16], "big")
    return encode(number % 62**8, 8)
