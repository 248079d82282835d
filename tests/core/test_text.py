"""What no database can hold is written visibly, once, and nothing else is touched."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamindb.core.text import storable

TEXT = st.text(st.characters(), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("caf\udce9\0.csv", "caf\\udce9\\0.csv"),
        ("plain\n\té 🧬\x1b", "plain\n\té 🧬\x1b"),
        ({"a\0": {"\ud800": ["b\0", ("\udfff",)]}}, {"a\\0": {"\\ud800": ["b\\0", ("\\udfff",)]}}),
        (
            [math.inf, -math.inf, 1e308, -0.0, 2**60 + 1, True, None],
            ["inf", "-inf", 1e308, -0.0, 2**60 + 1, True, None],
        ),
        ({1: "\0", None: 2}, {1: "\\0", None: 2}),
    ],
)
def test_only_what_cannot_be_held_is_written_otherwise(value: Any, wanted: Any) -> None:
    assert storable(value) == wanted
    assert storable(storable(value)) == wanted


def test_no_name_takes_the_place_of_another() -> None:
    assert storable({"a\0": 1, "a\\0": 2, "a\\0_": 3}) == {"a\\0__": 1, "a\\0": 2, "a\\0_": 3}
    assert storable({"\udce9": 1, "\\udce9": 2}) == {"\\udce9_": 1, "\\udce9": 2}


@given(VALUES)
def test_every_value_becomes_text_that_any_database_takes(value: Any) -> None:
    shown = storable(value)
    written = json.dumps(shown, ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in written
    written.encode()
    assert storable(shown) == shown
