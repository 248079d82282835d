"""Tables of records: the right columns, the right number, and nothing that runs in a browser."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

import lamindb as ln
from lamindb.errors import UnsupportedError


def test_a_frame_has_a_row_for_each_record(world: SimpleNamespace) -> None:
    table = ln.File.select().order_by("key").df()
    assert list(table.index) == [world.new.id, world.derived.id]
    assert list(table["key"]) == ["a.txt", "b.csv"]
    assert table.loc[world.new.id, "run_id"] == world.made.id
    assert not {"digest", "is_latest"} & set(table.columns)
    assert list(ln.File.select().values("key", "v").df().columns) == ["key", "v"]
    assert len(ln.File.select()[:1].df()) == 1
    empty = ln.File.select(key="absent").df()
    assert (len(empty), list(empty.columns)) == (0, list(table.columns))
    assert "params" in ln.Run.df().columns
    assert ln.Transform.df().index.name == "id"


def test_without_pandas_it_says_what_to_install(world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'pandas>="):
        ln.File.select().df()


def test_a_page_shows_twenty_and_says_how_many_more(world: SimpleNamespace) -> None:
    for number in range(25):
        ln.Transform(name=f"t<{number}>&", type="script").save()
    shown = ln.Transform.select()._repr_html_()
    assert shown.count("<tr>") == 21
    assert "and 7 more" in shown
    assert "t&lt;0&gt;&amp;" in shown
    assert "t<0>" not in shown
    assert "more" not in ln.Transform.select()[:5]._repr_html_()
    assert ln.Transform.select()[:5]._repr_html_().count("<tr>") == 6
    assert ln.File.select(key="absent")._repr_html_().count("<tr>") == 1
