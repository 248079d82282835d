"""The last lines that a program printed, remembered while they pass to where they go anyway.

The streams stay the objects that they are: only their `write` gets a companion, which first does what it always did.
What is written past it (file descriptors, child processes) is not seen; `lamin run` sees that, too.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from lamindb.environment.redaction import redact_text

LIMIT: Final = 64 * 1024
"""The most characters of output that are kept of a run."""

_attached: list[tuple[Any, Callable[[str], int]]] = []


class Tail:
    """The end of a text that grows."""

    __slots__ = ("_limit", "_parts", "_size", "_total")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._parts: deque[str] = deque()
        self._size = 0
        self._total = 0

    def add(self, text: str) -> None:
        """Take in what was printed; called by any thread."""
        self._parts.append(text[-self._limit :])
        self._size += min(len(text), self._limit)
        self._total += len(text)
        while self._size > 2 * self._limit and self._parts:
            self._size -= len(self._parts.popleft())

    def text(self) -> str:
        """Return the last lines without secrets; what was cut off at the beginning is said."""
        whole = "".join(self._parts)
        if self._total <= self._limit and len(whole) == self._total:
            return redact_text(whole)
        return cut(whole, self._limit, self._total)


def cut(text: str, limit: int, total: int | None) -> str:
    """Return the last whole lines of a text, at most `limit` characters, without secrets.

    Args:
        text: The end of a longer text.
        limit: The most characters to return.
        total: How long the whole text was, to be said in a first line; None to say nothing.
    """
    if total is None and len(text) <= limit:
        return redact_text(text)
    # What is cut must not begin inside a secret of several lines, which nothing would recognise any more.
    end = text.rfind("PRIVATE KEY-----")
    if end >= 0 and "-----BEGIN" not in text[:end]:
        text = text[end + len("PRIVATE KEY-----") :]
    text = redact_text(text)
    if len(text) > limit:
        text = text[-limit:]
    head, newline, rest = text.partition("\n")
    text = rest if newline else head
    return text if total is None else f"[{total - len(text):,} characters before this are not kept]\n{text}"


def attach(tail: Tail | None = None) -> Tail:
    """Begin to remember what this process prints, or go on with it; whatever else was remembered ends."""
    detach()
    tail = tail or Tail()
    for stream in {id(one): one for one in (sys.stdout, sys.stderr) if one is not None}.values():
        _listen(stream, tail)
    return tail


def detach() -> None:
    """Leave the streams as they were found."""
    while _attached:
        stream, ours = _attached.pop()
        if getattr(stream, "__dict__", {}).get("write") is ours:
            del stream.write


def _listen(stream: Any, tail: Tail) -> None:
    write = getattr(stream, "write", None)
    if write is None or "write" in getattr(stream, "__dict__", {"write": None}):
        return

    def noted(text: str, /) -> int:
        written: int = write(text)
        tail.add(text)
        return written

    try:
        stream.write = noted
    except (AttributeError, TypeError):
        return
    _attached.append((stream, noted))
