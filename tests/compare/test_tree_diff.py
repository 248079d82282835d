"""Nested values by path."""

from __future__ import annotations

from typing import Any

import pytest

from lamindb.compare.tree_diff import MAX_CHANGES, compare_trees


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}, [("b.c", "changed", 2, 3)]),
        ({"a": 1}, {"b": 1}, [("a", "removed", 1, None), ("b", "added", None, 1)]),
        ({"a b": [1, {"x": 1}]}, {"a b": [1, {"x": 2}]}, [('["a b"][1].x', "changed", 1, 2)]),
        ([1, 2, 3], [1, 9, 2, 3], [("[1]", "added", None, 9)]),
        ([1, 2, 3], [2, 3], [("[0]", "removed", 1, None)]),
        ([1, 2], [3, 2, 4], [("[0]", "changed", 1, 3), ("[2]", "added", None, 4)]),
        ([1, 2, 5], [3, 2, 4, 5], [("[0]", "changed", 1, 3), ("[2]", "added", None, 4)]),
        (1, True, [("value", "changed", 1, True)]),
        ({"a": []}, {"a": {}}, [("a", "changed", [], {})]),
        (1, 1.0, []),
        (float("nan"), float("nan"), []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
    ],
)
def test_changes_are_named_by_path(before: Any, after: Any, expected: list[Any]) -> None:
    found = compare_trees(before, after)
    assert [(one.name, one.kind, one.before, one.after) for one in found.changes] == expected
    assert found.is_equal is (not expected) and found.count == len(expected)


def test_all_changes_are_counted_and_the_first_are_listed() -> None:
    found = compare_trees(list(range(5000)), [-1 - i for i in range(5000)])
    assert (found.count, len(found.changes)) == (5000, MAX_CHANGES)
    assert "4,000 more" in list(found.lines())[-1].text


def test_nesting_of_any_depth() -> None:
    before: Any = 1
    after: Any = 2
    for _ in range(5_000):
        before, after = [before], [after]
    found = compare_trees(before, after)
    assert found.count == 1 and found.changes[0].name == "[0]" * 5_000
