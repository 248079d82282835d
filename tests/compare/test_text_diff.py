"""Text by lines."""

from __future__ import annotations

import random

from lamindb.compare.text_diff import MAX_EDITS, TextDifference, compare_text


def apply(before: str, found: TextDifference) -> str:
    """Return the later text, made from the earlier one and the hunks."""
    lines = before.split("\n")[:-1]
    result: list[str] = []
    position = 0
    for hunk in found.hunks:
        start = hunk.before_start - (hunk.before_count > 0)
        result += lines[position:start]
        kept = [text for text in hunk.lines if text[0] != "+"]
        assert [text[1:] for text in kept] == lines[start : start + hunk.before_count]
        result += [text[1:] for text in hunk.lines if text[0] != "-"]
        assert len(result) == hunk.after_start - (hunk.after_count > 0) + hunk.after_count
        position = start + hunk.before_count
    return "".join(f"{line}\n" for line in result + lines[position:])


def test_hunks_turn_the_earlier_text_into_the_later_one() -> None:
    chance = random.Random(7)
    for _ in range(300):
        before, after = ("".join(f"{chance.choice('abcd')}\n" for _ in range(chance.randrange(30))) for _ in range(2))
        found = compare_text(before, after)
        assert apply(before, found) == after
        assert found.is_equal is (before == after)
        assert found.added - found.removed == after.count("\n") - before.count("\n")


def test_the_fewest_lines_are_listed_with_three_around_them() -> None:
    before = "".join(f"{i}\n" for i in range(100))
    after = before.replace("50\n", "fifty\n").replace("90\n", "")
    found = compare_text(before, after)
    assert (found.removed, found.added) == (2, 1)
    assert [hunk.lines for hunk in found.hunks] == [
        (" 47", " 48", " 49", "-50", "+fifty", " 51", " 52", " 53"),
        (" 87", " 88", " 89", "-90", " 91", " 92", " 93"),
    ]
    assert [line.text for line in found.lines() if line.sign == "@"] == ["@ -48,7 +48,7 @@", "@ -88,7 +88,6 @@"]


def test_a_missing_newline_at_the_end_and_line_ends_differ() -> None:
    assert [hunk.lines for hunk in compare_text("a\n", "a").hunks] == [("-a", "+a (no newline at the end)")]
    assert not compare_text("a\r\n", "a\n").is_equal


def test_many_lines_that_differ_are_counted() -> None:
    before = "".join(f"{i}\n" for i in range(3 * MAX_EDITS))
    found = compare_text(before, before.replace("\n", "x\n"))
    assert (found.removed, found.added, found.hunks) == (3 * MAX_EDITS, 3 * MAX_EDITS, ())
    assert "too many" in next(found.lines()).text
    shuffled = "".join(sorted(before.splitlines(keepends=True), reverse=True))
    assert not compare_text(before, shuffled).is_equal
    assert not compare_text(before, "").is_equal
    assert compare_text("", before).added == 3 * MAX_EDITS
