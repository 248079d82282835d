"""A sample of the names of a table, which tells how many of all names have a text."""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Iterable, Sequence
from itertools import compress, repeat
from typing import Final

_KEPT_SECONDS: Final = 60
"""For so long a sample tells enough of a table: it decides how names are found, and not which."""

_FEWEST_PAGES: Final = 5
"""A text in fewer pages of a sample may be in many names there and in few of all: names of one time are alike."""

_MOST_KNOWN: Final = 500


class Sample:
    """Names of some pages of a table.

    Args:
        total: How many names the table has, by its statistics; also an attribute.
        names: The names, normalised, each after the number of its page; none of a small table.
    """

    def __init__(self, total: float, names: Sequence[tuple[int, str]]) -> None:
        self.total = total
        self._pages = [page for page, _ in names]
        self._names = [name for _, name in names]
        self._known: dict[str, bytes] = {}

    def share(self, texts: Iterable[str]) -> float:
        """Return the share of names that have all these texts; 0 if nothing is known."""
        if not self._names:
            return 0
        in_all = functools.reduce(operator.and_, (int.from_bytes(self._having(text)) for text in texts))
        return in_all.bit_count() / len(self._names)

    def is_in_more(self, text: str, count: int) -> bool:
        """Return True if a text surely is in more names than a count; False if it is not, or nothing is known."""
        having = self._having(text)
        is_more = sum(having) * self.total > count * len(self._names)
        return is_more and len(set(compress(self._pages, having))) >= _FEWEST_PAGES

    def _having(self, text: str) -> bytes:
        """Return a byte for each name: 1 if it has a text, else 0."""
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[text] = bytes(map(operator.contains, self._names, repeat(text)))
        return found


class Samples:
    """The samples of the tables of one database."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Sample]] = {}

    def of(self, table: str) -> Sample | None:
        """Return the sample of a table, None if there is none that is young enough."""
        begun, sample = self._kept.get(table, (0.0, None))
        return sample if time.monotonic() < begun + _KEPT_SECONDS else None

    def keep(self, table: str, sample: Sample) -> None:
        """Keep the sample of a table."""
        self._kept[table] = (time.monotonic(), sample)
