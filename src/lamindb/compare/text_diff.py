"""Compare text by lines: Myers' algorithm, with a bound on its work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from lamindb.compare.result import Line, Sign

MAX_EDITS: Final = 1000
"""The maximum number of lines that differ for the lines to be shown."""
_MAX_STEPS: Final = 20_000_000
_CONTEXT: Final = 3
_NO_NEWLINE: Final = " (no newline at the end)"

_Block = tuple[int, int, int, int]
"""Lines `a[i:j]` were replaced by lines `b[k:l]`."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that differ, with some equal lines around them.

    Attributes:
        before_start: The number of the first line in the earlier text, from 1.
        before_count: The number of its lines.
        after_start: The number of the first line in the later text.
        after_count: The number of its lines.
        lines: The lines, each after ` `, `-` or `+`.
    """

    before_start: int
    before_count: int
    after_start: int
    after_count: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextDifference:
    """What differs between two texts.

    Attributes:
        removed: The number of lines that only the earlier text has.
        added: The number of lines that only the later text has.
        hunks: The lines. Empty if more than `MAX_EDITS` differ; the numbers then ignore the order of lines.
    """

    removed: int
    added: int
    hunks: tuple[Hunk, ...]
    kind: Literal["text"] = "text"

    @property
    def is_equal(self) -> bool:
        """Return True if the texts are equal."""
        return not (self.removed or self.added or self.hunks)

    def lines(self) -> Iterator[Line]:
        """Yield the lines of a report, as they are."""
        if not self.hunks:
            yield Line(" ", f" too many lines differ to list them: {self.removed:,} removed, {self.added:,} added")
        for hunk in self.hunks:
            before, after = f"{hunk.before_start},{hunk.before_count}", f"{hunk.after_start},{hunk.after_count}"
            yield Line("@", f"@ -{before} +{after} @@")
            for text in hunk.lines:
                yield Line(_sign(text), text[1:].expandtabs())


def _sign(text: str) -> Sign:
    return "+" if text[0] == "+" else "-" if text[0] == "-" else " "


def compare_text(before: str, after: str) -> TextDifference:
    """Compare two texts by lines.

    The time is bounded: if more than `MAX_EDITS` lines differ, or long texts differ in less, lines are only counted.
    """
    a, b = _lines(before), _lines(after)
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    inner_a, inner_b = a[start : len(a) - end], b[start : len(b) - end]
    blocks = _blocks(inner_a, inner_b)
    if blocks is None:
        ours, theirs = Counter(inner_a), Counter(inner_b)
        return TextDifference((ours - theirs).total(), (theirs - ours).total() or 1, ())
    moved = [(i + start, j + start, k + start, m + start) for i, j, k, m in blocks]
    removed, added = sum(j - i for i, j, _, _ in moved), sum(m - k for _, _, k, m in moved)
    return TextDifference(removed, added, tuple(_hunks(a, b, moved)))


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += _NO_NEWLINE
        return lines
    return lines[:-1]


def _blocks(a: list[str], b: list[str]) -> list[_Block] | None:
    """Return what to replace in `a` to get `b`; None if it takes too many edits."""
    n, m = len(a), len(b)
    if not n and not m:
        return []
    if not n or not m:
        return [(0, n, 0, m)] if n + m <= MAX_EDITS else None
    limit = min(MAX_EDITS, _MAX_STEPS // (n + m))
    furthest = {1: 0}
    trace: list[dict[int, int]] = []
    for edits in range(limit + 1):
        trace.append(dict(furthest))
        for diagonal in range(-edits, edits + 1, 2):
            x = _step(furthest, diagonal, edits)
            while x < n and x - diagonal < m and a[x] == b[x - diagonal]:
                x += 1
            furthest[diagonal] = x
            if x >= n and x - diagonal >= m:
                return _backtrack(trace, n, m)
    return None


def _step(furthest: dict[int, int], diagonal: int, edits: int) -> int:
    """Return where one more edit leads on a diagonal: down, which adds a line, or right, which removes one."""
    is_down = diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])
    return furthest[diagonal + 1] if is_down else furthest[diagonal - 1] + 1


def _backtrack(trace: list[dict[int, int]], x: int, y: int) -> list[_Block]:
    blocks: list[_Block] = []
    for edits in range(len(trace) - 1, 0, -1):
        furthest, diagonal = trace[edits], x - y
        is_down = diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])
        previous = diagonal + 1 if is_down else diagonal - 1
        x, y = furthest[previous], furthest[previous] - previous
        block = (x, x, y, y + 1) if is_down else (x, x + 1, y, y)
        if blocks and (block[1], block[3]) == (blocks[-1][0], blocks[-1][2]):
            block = (block[0], blocks[-1][1], block[2], blocks.pop()[3])
        blocks.append(block)
    return blocks[::-1]


def _hunks(a: list[str], b: list[str], blocks: list[_Block]) -> Iterator[Hunk]:
    group: list[_Block] = []
    for block in blocks:
        if group and block[0] - group[-1][1] > 2 * _CONTEXT:
            yield _hunk(a, b, group)
            group = []
        group.append(block)
    if group:
        yield _hunk(a, b, group)


def _hunk(a: list[str], b: list[str], group: list[_Block]) -> Hunk:
    first, last = group[0], group[-1]
    before = min(_CONTEXT, first[0], first[2])
    after = min(_CONTEXT, len(a) - last[1])
    lines: list[str] = []
    position = first[0] - before
    for i, j, k, m in group:
        lines += [f" {line}" for line in a[position:i]]
        lines += [f"-{line}" for line in a[i:j]]
        lines += [f"+{line}" for line in b[k:m]]
        position = j
    lines += [f" {line}" for line in a[position : position + after]]
    start_a, start_b = first[0] - before, first[2] - before
    count_a, count_b = last[1] + after - start_a, last[3] + after - start_b
    return Hunk(start_a + (count_a > 0), count_a, start_b + (count_b > 0), count_b, tuple(lines))
