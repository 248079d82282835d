"""Folders by their members."""

from __future__ import annotations

from lamindb.compare.folder_diff import compare_folders
from lamindb.storage.base import Member


def member(path: str, content: str) -> Member:
    return Member(path, content * 64, "", int(content, 16))


def test_members_are_changed_added_removed_or_moved() -> None:
    before = [member("a", "1"), member("b", "2"), member("c", "3"), member("d", "4"), member("e", "4")]
    after = [member("a", "1"), member("b", "5"), member("new/d", "4"), member("x\n", "6")]
    found = compare_folders(before, after)
    assert [(one.kind, one.path, one.moved_from) for one in found.members] == [
        ("changed", "b", None),
        ("removed", "c", None),
        ("removed", "e", None),
        ("moved", "new/d", "d"),
        ("added", "x\n", None),
    ]
    assert (found.files_before, found.files_after, found.is_equal) == (5, 4, False)
    assert [line.sign + line.text for line in found.lines()] == [
        "~ files: 5 → 4",
        "~ b: 2 B → 5 B",
        "- c: 3 B",
        "- e: 4 B",
        "~ d → new/d, the same bytes",
        "+ x\\n: 6 B",
    ]
    assert compare_folders(before, before).is_equal
