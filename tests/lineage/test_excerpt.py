"""What a page shows of a lineage stands in its URL, and nothing else is accepted there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamindb.errors import InvalidInputError
from lamindb.lineage.excerpt import Excerpt, Opened

_IDS = st.text("0123456789ABCabc", min_size=1, max_size=20)

_EXCERPTS = st.builds(
    Excerpt,
    st.sampled_from(["file", "run", "transform"]),
    _IDS,
    direction=st.sampled_from(["up", "down", "both"]),
    depth=st.integers(0, 20),
    max_nodes=st.integers(1, 500),
    opened=st.lists(
        st.builds(Opened, _IDS, st.sampled_from(["up", "down"]), st.integers(1, 500)),
        max_size=5,
        unique_by=lambda one: (one.id, one.side),
    ).map(tuple),
    group=st.sampled_from(["none", "folder", "transform", "parent"]),
    ungrouped=st.lists(_IDS, max_size=5, unique=True).map(tuple),
    has_plumbing=st.booleans(),
    at=st.none() | st.dates() | st.datetimes(),
    selected=st.none() | _IDS,
    mark=st.sampled_from([None, "way", "before", "after"]),
    form=st.sampled_from([None, "picture", "tree", "table"]),
)


@given(_EXCERPTS)
def test_a_url_has_all_of_it(excerpt: Excerpt) -> None:
    assert Excerpt.from_query(excerpt.kind, excerpt.id, dict(parse_qsl(excerpt.query()))) == excerpt


def test_the_usual_excerpt_has_an_empty_query() -> None:
    assert Excerpt("file", "abc").query() == ""
    shown = replace(Excerpt("file", "abc").opening("def", "up").opening("def", "up"), at=date(2026, 3, 14))
    assert shown.query() == "open=def:up:2&at=2026-03-14"


@pytest.mark.parametrize(
    "query",
    [
        "dir=sideways",
        "depth=-1",
        "depth=21",
        "depth=1e3",
        "depth=²",
        "n=0",
        "n=501",
        "open=a'b:up",
        "open=abc",
        "open=abc:left",
        "open=abc:up:0",
        "open=" + ",".join(f"a{number}:up" for number in range(101)),
        "group=colour",
        "ungroup=../x",
        "plumbing=maybe",
        "at=yesterday",
        "at=2026-02-30",
        "at=0000-01-01",
        "sel=<script>",
        "mark=x",
        "as=film",
    ],
)
def test_what_no_page_links_to_is_an_error(query: str) -> None:
    name = query.partition("=")[0]
    with pytest.raises(InvalidInputError, match=rf"^({name}|at most)"):
        Excerpt.from_query("file", "abc", dict(parse_qsl(query)))


def test_other_parameters_and_empty_ones_are_passed_over() -> None:
    given_by_a_form = {"at": "", "group": "none", "plumbing": "hide", "page": "7"}
    assert Excerpt.from_query("run", "abc", given_by_a_form) == Excerpt("run", "abc", has_plumbing=False)


def test_a_date_means_its_end_and_a_time_is_in_utc() -> None:
    assert Excerpt("file", "abc", at=date(2026, 3, 14)).until() == datetime(2026, 3, 14, 23, 59, 59, 999999, UTC)
    assert Excerpt("file", "abc", at=datetime(2026, 3, 14, 9)).until() == datetime(2026, 3, 14, 9, tzinfo=UTC)
    assert Excerpt("file", "abc").until() is None


def test_every_date_has_a_last_moment_and_is_in_the_future_if_it_has_not_begun() -> None:
    for text in ("0001-01-01", "0001-01-01T00:00+14:00", "1969-12-31", "9999-12-31", "9999-12-31T23:59-12:00"):
        excerpt = Excerpt.from_query("file", "abc", {"at": text})
        until = excerpt.until()
        assert until is not None and 1970 <= until.year <= 9998
        assert excerpt.is_in_future() == text.startswith("9")
    now = datetime.now(UTC)
    assert not Excerpt("file", "abc", at=now.date()).is_in_future()
    assert not Excerpt("file", "abc", at=now).is_in_future()
    assert Excerpt("file", "abc", at=now + timedelta(hours=1)).is_in_future()
    assert not Excerpt("file", "abc").is_in_future()


def test_opening_many_nodes_forgets_the_first_ones() -> None:
    excerpt = Excerpt("file", "abc")
    for number in range(105):
        excerpt = excerpt.opening(f"n{number}", "down")
    assert len(excerpt.opened) == 100
    assert excerpt.pages("n104", "down") == 1
    assert excerpt.pages("n4", "down") == 0
