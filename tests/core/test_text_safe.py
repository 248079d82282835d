"""Texts made safe, short and measured."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamindb.core.text import cell_width, duration_text, elide_middle, isolated, printable, size_text


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_printable_text_has_nothing_that_acts(text: str) -> None:
    safe = printable(text)
    assert all(unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp", "Co"} for character in safe)
    assert not set(safe) & set("\u202a\u202e\u2066\u2069\ufeff\ufffe\uffff")
    safe.encode()


@pytest.mark.parametrize("text", ["plain", "Größe", "细胞", "👩\u200d🔬", "a\u00a0b"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert printable(text) == text


def test_widths_are_those_of_a_terminal() -> None:
    assert cell_width("abc") == 3
    assert cell_width("细胞") == 4
    assert cell_width("e\u0301") == 1


@given(st.text(max_size=40), st.integers(1, 30))
def test_elided_text_fits_and_keeps_both_ends(text: str, limit: int) -> None:
    safe = printable(text)
    short = elide_middle(safe, limit)
    assert cell_width(short) <= limit
    if cell_width(safe) <= limit:
        assert short == safe
    else:
        start, _, end = short.partition("…")
        assert safe.startswith(start) and safe.endswith(end)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (10**18, "1,000.0 PB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0042, "4 ms"), (-1, "0 ms"), (59, "59 s"), (60, "1 min"), (3599.7, "1 h"), (90_000, "1 d 1 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("text", "marked"), [("a.csv", False), ("é文", False), ("عينة", True), ("a/שלום.csv", True)])
def test_only_what_is_read_from_right_to_left_is_isolated(text: str, marked: bool) -> None:
    shown = isolated(text)
    assert shown == (f"\u2068{text}\u2069" if marked else text)
    assert cell_width(shown) == cell_width(text)
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["\u2068open", "end\u2069", "\u2069turned\u2068"])
def test_marks_without_their_pair_are_escaped(text: str) -> None:
    assert printable(text).isascii()
