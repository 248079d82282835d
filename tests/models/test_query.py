from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln


def test_the_message_of_a_join_that_finds_nothing_shows_no_inner_object(local_instance: Path) -> None:
    with pytest.raises(ln.NoResultFound, match=r"^no Run with … was found$"):
        ln.Run.select().join(ln.File, name="absent").one()
