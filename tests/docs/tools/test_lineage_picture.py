"""The picture in the documentation is what the program draws."""

from __future__ import annotations

from docs.tools import lineage_picture


def test_the_picture_is_what_is_drawn_now() -> None:
    shown = lineage_picture.PATH.read_text(encoding="utf-8")
    assert shown == f"{lineage_picture.draw()}\n", "run ./dev docs, and commit it"
