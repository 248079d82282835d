"""Look-ups: every value becomes an attribute name that Python takes, and none is lost."""

from __future__ import annotations

import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import lamindb as ln
from lamindb.errors import UnknownFieldError
from lamindb.models.lookup import Lookup, attribute_name


@given(value=st.text(max_size=30))
@example("\U00010fc5")
@example("m²")
@example("\u1f50")
def test_every_value_has_a_name_that_can_be_typed(value: str) -> None:
    name = attribute_name(value)
    assert name.isidentifier()
    assert not name.startswith("_")
    # Folding takes some letters apart, which Python puts together where they are typed.
    assert name == unicodedata.normalize("NFKC", name.casefold())
    exec(f"x.{name}", {"x": Lookup("Thing", [(value, "found")])})


@given(values=st.lists(st.text(min_size=1, max_size=8), max_size=10))
def test_nothing_is_lost(values: list[str]) -> None:
    lookup = Lookup("Thing", [(value, f"record {i}") for i, value in enumerate(values)])
    found: list[str] = []
    for one in lookup:
        found += one if isinstance(one, list) else [one]
    assert sorted(found) == sorted(f"record {i}" for i in range(len(values)))
    assert set(lookup.dict()) == set(values)
    for value in values:
        assert lookup[value] == lookup.dict()[value]
    assert set(dir(lookup)) >= {attribute_name(value) for value in values}
    assert "\n" not in repr(lookup)


def test_it_is_made_of_a_query(world: SimpleNamespace) -> None:
    assert ln.Transform.lookup().second == world.second
    assert ln.Transform.select(type="pipeline").lookup().dict() == {"First <b>": world.first}
    assert ln.File.lookup("key").a_txt == world.new
    assert ln.Run.lookup("name")["made"] == world.made
    assert len(ln.File.objects.all().lookup("key").a_txt) == 2
    with pytest.raises(UnknownFieldError, match="did you mean"):
        ln.Transform.lookup("nmae")
    with pytest.raises(UnknownFieldError, match="second"):
        _ = ln.Transform.lookup().secon
    assert not hasattr(ln.Transform.lookup(), "__wrapped__")
    assert repr(ln.Transform.lookup()).startswith("Lookup of Transform: ")
    assert set(ln.Transform.lookup()._ipython_key_completions_()) == set(ln.Transform.lookup().dict())
    assert repr(ln.File.select(key="absent").lookup()).startswith("Lookup of File: empty")
