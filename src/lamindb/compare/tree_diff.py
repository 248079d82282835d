"""Compare nested values, such as parsed JSON, by path."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from lamindb.compare.result import Change, Line, change_lines, more

MAX_CHANGES: Final = 1000
"""The maximum number of changes that a result lists."""
_PLAIN_NAME: Final = re.compile(r"[^\W\d][\w-]*")

_Step = Change | tuple[str, Any, Any]
"""A change, or a path with two values that are still to be compared."""


@dataclass(frozen=True, slots=True)
class TreeDifference:
    """What differs between two nested values.

    Attributes:
        changes: The first `MAX_CHANGES` changes, named by path, such as `model.layers[2].size`.
        count: The number of all changes.
    """

    changes: tuple[Change, ...]
    count: int
    kind: Literal["tree"] = "tree"

    @property
    def is_equal(self) -> bool:
        """Return True if the values are equal."""
        return self.count == 0

    def lines(self) -> Iterator[Line]:
        """Yield the lines of a report."""
        yield from change_lines(self.changes)
        yield from more(self.count - len(self.changes))


def compare_trees(before: Any, after: Any) -> TreeDifference:
    """Compare two values of dictionaries, lists, text, numbers, true, false and None.

    Lists are compared by position after their common start and end. A value of another type differs, but 1 equals 1.0.
    """
    changes: list[Change] = []
    count = 0
    for change in tree_changes(before, after):
        count += 1
        if count <= MAX_CHANGES:
            changes.append(change)
    return TreeDifference(tuple(changes), count)


def tree_changes(before: Any, after: Any) -> Iterator[Change]:
    """Yield the changes between two nested values, in their order. The values can be nested to any depth."""
    waiting: list[_Step] = [("", before, after)]
    while waiting:
        step = waiting.pop()
        if isinstance(step, Change):
            yield step
            continue
        path, old, new = step
        if isinstance(old, dict) and isinstance(new, dict):
            waiting += reversed(list(_of_dictionaries(path, old, new)))
        elif isinstance(old, list) and isinstance(new, list):
            waiting += reversed(list(_of_lists(path, old, new)))
        elif not _is_same(old, new):
            yield Change(path or "value", "changed", old, new)


def _is_same(old: Any, new: Any) -> bool:
    if isinstance(old, dict | list) or isinstance(new, dict | list):
        return False
    if isinstance(old, bool) is not isinstance(new, bool):
        return False
    return bool(old == new or (_is_nan(old) and _is_nan(new)))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _of_dictionaries(path: str, old: dict[Any, Any], new: dict[Any, Any]) -> Iterator[_Step]:
    for name, value in old.items():
        if name in new:
            yield _joined(path, name), value, new[name]
        else:
            yield Change(_joined(path, name), "removed", before=value)
    for name, value in new.items():
        if name not in old:
            yield Change(_joined(path, name), "added", after=value)


def _joined(path: str, name: Any) -> str:
    if isinstance(name, str) and _PLAIN_NAME.fullmatch(name):
        return f"{path}.{name}" if path else name
    return f"{path}[{json.dumps(name, ensure_ascii=False, default=str)}]"


def _of_lists(path: str, old: list[Any], new: list[Any]) -> Iterator[_Step]:
    if len(old) == len(new):
        yield from ((f"{path}[{i}]", one, other) for i, (one, other) in enumerate(zip(old, new, strict=True)))
        return
    shorter = min(len(old), len(new))
    start = 0
    while start < shorter and _is_equal_tree(old[start], new[start]):
        start += 1
    end = 0
    while end < shorter - start and _is_equal_tree(old[-1 - end], new[-1 - end]):
        end += 1
    paired = shorter - end
    yield from ((f"{path}[{i}]", old[i], new[i]) for i in range(start, paired))
    yield from (Change(f"{path}[{i}]", "removed", before=old[i]) for i in range(paired, len(old) - end))
    yield from (Change(f"{path}[{i}]", "added", after=new[i]) for i in range(paired, len(new) - end))


def _is_equal_tree(old: Any, new: Any) -> bool:
    return next(tree_changes(old, new), None) is None
