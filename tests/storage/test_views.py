"""A storage without a view answers like one that shows nothing."""

from __future__ import annotations

import inspect

import pytest

from lamindb.storage.base import ObjectName
from lamindb.storage.view import Shown, View
from lamindb.storage.views import NoView, ViewLike

NAME = ObjectName("0" * 64, ".csv")


def test_nothing_is_shown_and_nothing_is_in_the_way() -> None:
    view = NoView()
    assert view.mode == "none"
    assert view.conflict("a.csv", NAME) is None
    view.show("a.csv", NAME, move_aside=True)
    assert view.show_many([Shown("a.csv", NAME)]) == []
    assert view.state("a.csv", NAME) == "missing"
    assert view.hide("a.csv", NAME)


@pytest.mark.parametrize("name", ["conflict", "show", "show_many", "hide", "state"])
def test_all_views_are_asked_in_the_same_way(name: str) -> None:
    wanted = inspect.signature(getattr(ViewLike, name))
    assert inspect.signature(getattr(View, name)) == wanted
    assert inspect.signature(getattr(NoView, name)) == wanted
