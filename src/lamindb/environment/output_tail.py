"""The last lines that this process printed, kept while they pass on to the terminal or file.

`sys.stdout` and `sys.stderr` stay the objects that they are: only their `write` is wrapped. What is written past it
(file descriptors, child processes) is not seen; `lamin run` sees that, too.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from lamindb.environment.redaction import redact_text

LIMIT: Final = 64 * 1024
"""The most characters of output that are kept of a run."""


class Tail:
    """The end of a text that grows."""

    __slots__ = ("_limit", "_parts", "_size", "_streams", "_total", "sink")

    def __init__(self, limit: int = LIMIT, sink: Callable[[str], None] | None = None) -> None:
        self._limit = limit
        self.sink = sink
        """Gets every text, too."""
        self._parts: deque[str] = deque()
        self._size = 0
        self._total = 0
        self._streams: list[Any] = []

    def add(self, text: str) -> None:
        """Add what was printed; safe in any thread."""
        self._parts.append(text[-self._limit :])
        self._size += min(len(text), self._limit)
        self._total += len(text)
        while self._size > 2 * self._limit and self._parts:
            self._size -= len(self._parts.popleft())
        if self.sink is not None:
            self.sink(text)

    def attach(self) -> None:
        """Add what this process prints from now on; another tail that is attached is detached."""
        both: tuple[Any, Any] = (sys.stdout, sys.stderr)
        streams = [stream for stream in both if getattr(stream, "write", None) is not None]
        for stream in streams:
            wrapped = getattr(stream, "__dict__", {}).get("write")
            if isinstance(wrapped, _Write):
                wrapped.tail.detach()
        for stream in streams:
            if "write" in getattr(stream, "__dict__", {"write": None}):
                continue
            try:
                stream.write = _Write(stream.write, self)
            except (AttributeError, TypeError):
                continue
            self._streams.append(stream)

    def detach(self) -> None:
        """Leave the streams as they were found; idempotent."""
        while self._streams:
            stream = self._streams.pop()
            write = getattr(stream, "__dict__", {}).get("write")
            if isinstance(write, _Write) and write.tail is self:
                del stream.write

    def text(self) -> str:
        """Return the last lines without secrets; a first line says how much was cut off before them."""
        whole = "".join(self._parts)
        if self._total <= self._limit and len(whole) == self._total:
            return redact_text(whole)
        return cut(whole, self._limit, self._total)


def cut(text: str, limit: int, total: int | None) -> str:
    """Return the last whole lines of a text, at most `limit` characters, without secrets.

    Args:
        text: The end of a longer text.
        limit: The most characters to return.
        total: Length of the whole text, for a first line that says how much is missing; None for no such line.
    """
    if total is None and len(text) <= limit:
        return redact_text(text)
    # The rest must not begin inside a secret of several lines: its beginning is what identifies it.
    end = text.rfind("PRIVATE KEY-----")
    if end >= 0 and "-----BEGIN" not in text[:end]:
        text = text[end + len("PRIVATE KEY-----") :]
    text = redact_text(text)
    if len(text) > limit:
        text = text[-limit:]
    head, newline, rest = text.partition("\n")
    text = rest if newline else head
    return text if total is None else f"[{total - len(text):,} characters before this are not kept]\n{text}"


class _Write:
    """The `write` of a stream, which also adds to a tail."""

    __slots__ = ("_write", "tail")

    def __init__(self, write: Callable[[str], int], tail: Tail) -> None:
        self._write = write
        self.tail = tail

    def __call__(self, text: str, /) -> int:
        written = self._write(text)
        self.tail.add(text)
        return written
