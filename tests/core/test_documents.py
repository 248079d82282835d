"""TOML and JSON that another person may have written: damage is a ValueError, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamindb.core import documents

DEEP = "[" * 100_000


def test_what_is_right_is_returned(tmp_path: Path) -> None:
    assert documents.parse_toml("a = [1, 2]") == {"a": [1, 2]}
    assert documents.parse_json('{"a": [1, null]}') == {"a": [1, None]}
    (tmp_path / "a").write_text("é" * 1000)
    assert documents.read(tmp_path / "a") == "é" * 1000


@pytest.mark.parametrize(
    ("text", "why"),
    [(f"a = {DEEP}", "too deeply"), ("a = ", "value"), ("a = 1\na = 2", "overwrite"), ("\x00", "statement")],
)
def test_damaged_toml(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        documents.parse_toml(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [(DEEP, "too deeply"), ('{"a":' * 100_000, "too deeply"), ("", "value"), ("{", "property"), ("9" * 5000, "digits")],
)
def test_damaged_json(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        documents.parse_json(text)


@pytest.mark.parametrize(("data", "why"), [(b"\xff", "utf-8"), (b"x" * (documents.MAX_BYTES + 1), "more than")])
def test_a_file_that_is_not_a_small_text(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError, match=why):
        documents.read(tmp_path / "a")


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * documents.MAX_BYTES)
    assert len(documents.read(tmp_path / "a")) == documents.MAX_BYTES
