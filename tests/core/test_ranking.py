"""Search ranking: the golden orders, the levels, and the same answer as a plain walk over all names."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamindb.core.ranking import RankIndex, _Query, normalise, rank

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "search_golden.json").read_text("utf-8"))
WORDS = [
    "cell",
    "ranger",
    "train",
    "classifier",
    "umap",
    "plot",
    "quality",
    "control",
    "nuclei",
    "segment",
    "variants",
    "leiden",
]


@pytest.mark.parametrize("case", GOLDEN["queries"], ids=lambda case: case["query"])
def test_golden_orders(case: dict[str, Any]) -> None:
    names = GOLDEN["names"]
    found = rank(case["query"], list(enumerate(names)), 10)
    assert [names[index] for index, _ in found] == case["expected"]


def test_levels_stand_in_their_order() -> None:
    names = ["xrangery", "old ranger y", "ranger zz", "ranger", "Ranger!", "rangre"]
    found = rank("ranger", list(enumerate(names)))
    assert [names[index] for index, _ in found[:5]] == ["ranger", "Ranger!", "ranger zz", "old ranger y", "xrangery"]
    scores = [score for _, score in found]
    assert scores[:2] == [100.0, 99.0]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 100 for score in scores)


def test_misspelling_of_a_short_word_is_found_only_when_the_word_is_unknown() -> None:
    assert rank("umpa", [(1, "umap")])[0][0] == 0
    assert [index for index, _ in rank("umpa", [(1, "umap"), (2, "umpa")])] == [1]


def test_numbers_are_no_misspellings_of_each_other() -> None:
    assert rank("1234", [(1, "1235")]) == []


def test_equal_scores_keep_the_order_given() -> None:
    names = ["plot b", "plot a", "plot c"]
    assert [index for index, _ in rank("plot", list(enumerate(names)))] == [0, 1, 2]
    assert [index for index, _ in rank("plot", list(enumerate(names)), 2)] == [0, 1]


@pytest.mark.parametrize("query", ["", "   ", "\n", "\x00", "%%%", "zzzzzz", "\ud800"])
def test_odd_queries_find_nothing_and_do_not_fail(query: str) -> None:
    assert rank(query, [(1, "Cell Ranger"), (2, ""), (3, "a")]) == []


def test_no_names_and_no_limit() -> None:
    assert rank("x", []) == []
    assert rank("x", [(1, "x")], 0) == []
    assert len(RankIndex(["plot"] * 50).rank("plot", None)) == 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Größe ", "grosse"),
        ("ÉCOLE", "ecole"),
        ("ﬁle", "file"),
        ("a\tb\n c", "a b c"),
        ("İstanbul", "istanbul"),
        ("ＡＢＣ", "abc"),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


@given(st.lists(st.text(max_size=12), max_size=8))
@settings(max_examples=300, deadline=None)
def test_many_names_are_normalised_as_each_alone(names: list[str]) -> None:
    index = RankIndex(names)
    assert len(index) == len(names)
    assert index._normals == [normalise(name) for name in names]
    assert len(index._words) == len(names)


@given(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join), min_size=1, max_size=60),
    st.lists(st.sampled_from([*WORDS, "rangr", "clasifier", "ce", "ua", "plot-umap"]), min_size=1, max_size=3),
    st.integers(1, 12),
)
@settings(max_examples=300, deadline=None)
def test_filters_lose_nothing_that_scoring_every_name_would_find(
    names: list[str], query: list[str], limit: int
) -> None:
    text = " ".join(query)
    index = RankIndex(names)
    found = index.rank(text, limit)
    asked = _Query(text)
    tokens = [token for token in asked.tokens if not any(token in words for words in index._words)]
    asked.expand(tokens, frozenset(" ".join(index._words).split()))
    every = [(row, asked.score(index._normals[row], index._words[row])) for row in range(len(names))]
    expected = sorted((pair for pair in every if pair[1] > 0), key=lambda pair: (-pair[1], pair[0]))[:limit]
    assert found == expected


def test_large_collections_are_searched_with_few_scorings(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(5)
    names = [" ".join(generator.choices(WORDS, k=3)) + f" {number}" for number in range(20_000)]
    index = RankIndex(names)
    scored = 0
    score = _Query.score

    def counting(self: _Query, normal: str, words: str) -> float:
        nonlocal scored
        scored += 1
        return score(self, normal, words)

    monkeypatch.setattr(_Query, "score", counting)
    for query in ("umap", "umap plot", "clasifier trian", "cellrangr"):
        assert len(index.rank(query, 20)) == 20
    assert scored < 6_000
