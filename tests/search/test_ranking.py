"""Search ranking: the golden orders, the levels, and the same answer as a plain walk over all names."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamindb.search.ranking import RankIndex, _Query, normalise

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


def rank(query: str, names: list[str], limit: int | None = 20) -> list[tuple[int, float]]:
    return RankIndex(names).rank(query, limit)


@pytest.mark.parametrize("case", GOLDEN["queries"], ids=lambda case: case["query"])
def test_golden_orders(case: dict[str, Any]) -> None:
    names = GOLDEN["names"]
    found = rank(case["query"], names, 10)
    assert [names[index] for index, _ in found] == case["expected"]


def test_levels_stand_in_their_order() -> None:
    names = ["xrangery", "old ranger y", "ranger zz", "ranger", "Ranger!", "rangre"]
    found = rank("ranger", names)
    assert [names[index] for index, _ in found[:5]] == ["ranger", "Ranger!", "ranger zz", "old ranger y", "xrangery"]
    scores = [score for _, score in found]
    assert scores[:2] == [100.0, 99.0]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 100 for score in scores)


def test_misspelling_of_a_short_word_is_found_only_when_the_word_is_unknown() -> None:
    assert rank("umpa", ["umap"])[0][0] == 0
    assert [index for index, _ in rank("umpa", ["umap", "umpa"])] == [1]


def test_numbers_are_no_misspellings_of_each_other() -> None:
    assert rank("1234", ["1235"]) == []


def test_equal_scores_keep_the_order_given() -> None:
    names = ["plot b", "plot a", "plot c"]
    assert [index for index, _ in rank("plot", names)] == [0, 1, 2]
    assert [index for index, _ in rank("plot", names, 2)] == [0, 1]


@pytest.mark.parametrize("query", ["", "   ", "\n", "\x00", "%%%", "zzzzzz", "\ud800"])
def test_odd_queries_find_nothing_and_do_not_fail(query: str) -> None:
    assert rank(query, ["Cell Ranger", "", "a"]) == []


def test_no_names_and_no_limit() -> None:
    assert rank("x", []) == []
    assert rank("x", ["x"], 0) == []
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
        ("Søren Łódź", "soren lodz"),
        ("Đorđe ÆSIR Œuvre Ħal", "dorde aesir oeuvre hal"),
        ("kapı ÐÞ straße STRAẞE", "kapi dth strasse strasse"),
        ("IL\u20116 \u2013 5", "il-6 - 5"),
        ("\u201ciris\u2019", "\"iris'"),
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


# Letters and signs so few that names often share them, words that are told apart by one letter, and real words.
PIECES = [
    "a",
    "b",
    "c",
    "c++",
    "C#",
    "+",
    "-",
    ".",
    "_",
    " ",
    "  ",
    "1",
    "plate",
    "plate-1",
    "Plate_1",
    ".csv",
    "data.csv",
    "il6",
    "IL-6",
    "ø",
    "細",
]
MESSY = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
PLAIN = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
ASKED = st.lists(
    st.sampled_from([*WORDS, "rangr", "clasifier", "ce", "ua", "plot-umap", "cellranger", "il6", "c++"]),
    min_size=1,
    max_size=3,
).map(" ".join)


def scored_one_by_one(index: RankIndex, text: str) -> list[tuple[int, float]]:
    """Return what a walk over all names finds."""
    asked = _Query(text)
    tokens = [token for token in asked.tokens if not any(token in words for words in index._words)]
    asked.expand(tokens, frozenset(" ".join(index._words).split()))
    names = zip(index._normals, index._words, index._compact, strict=True)
    every = [(row, asked.score(*name)) for row, name in enumerate(names)] if asked.normal else []
    return sorted((pair for pair in every if pair[1] > 0), key=lambda pair: (-pair[1], pair[0]))


@given(st.lists(PLAIN | MESSY, min_size=1, max_size=60), ASKED | MESSY | PLAIN)
@settings(max_examples=500, deadline=None)
def test_a_limit_only_cuts_what_scoring_every_name_would_find(names: list[str], text: str) -> None:
    index = RankIndex(names)
    everything = index.rank(text, None)
    assert everything == scored_one_by_one(index, text)
    for limit in range(len(names) + 2):
        assert index.rank(text, limit) == everything[:limit]


@pytest.mark.parametrize("seed", range(8))
def test_a_limit_only_cuts_among_names_full_of_signs(seed: int) -> None:
    generator = random.Random(seed)
    pieces = [*PIECES, *WORDS, "rangr"]
    for _ in range(100):
        names = [
            "".join(generator.choices(pieces, k=generator.randint(1, 6))) for _ in range(generator.choice((5, 200)))
        ]
        text = "".join(generator.choices(pieces, k=generator.randint(1, 4)))
        index = RankIndex(names)
        everything = index.rank(text, None)
        assert everything == scored_one_by_one(index, text), text
        for limit in (1, 2, 5, 20, 100):
            assert index.rank(text, limit) == everything[:limit], text


@pytest.mark.parametrize(
    "text", ["plate-1", "c++", "cell ranger", "ranger cell", "trian clasifier", "cellrangr", "umap umap", "+", ".csv"]
)
def test_a_limit_only_cuts_in_large_collections(text: str) -> None:
    generator = random.Random(text)
    ends = ["", "-1", "_1", " 1", "++", ".csv", " (old)"]
    names = [
        " ".join(generator.choices([*WORDS, "plate", "c"], k=generator.randint(1, 4))) + generator.choice(ends)
        for _ in range(5_000)
    ]
    index = RankIndex(names)
    everything = index.rank(text, None)
    assert everything == scored_one_by_one(index, text)
    assert len(everything) > 20
    for limit in (1, 2, 20, 99, 601, 1_500):
        assert index.rank(text, limit) == everything[:limit]


@pytest.mark.parametrize(
    ("text", "worse", "best"),
    [
        ("plate-1", [f"old-plate-1-{i}" for i in range(25)], ["plate-1", "Plate_1", "plate 1 summary"]),
        ("plate-1", [f"plate 1{i:03}" for i in range(25)], ["plate-1", "Plate_1", "plate-1 a"]),
        ("plate-1", ["Plate 1 a"] * 25, ["plate-1-a"]),
        ("c++", [f"C{i}" for i in range(25)] + ["C", "C#", "CD8A"], ["C++", "C++ aligner", "my C++", "libc++"]),
        ("data.csv", [f"old data csv {i}" for i in range(25)], ["data.csv", "data_csv", "data.csv.gz", "my/data.csv"]),
        (".csv", ["csv", "csv notes"] * 15, [".csv", "a.csv", "data/b.csv"]),
        ("C#", ["C++", "C", "C major"] * 15, ["C#", "C# grammar"]),
        ("#1", ["1", "1 of them", "10"] * 15, ["sample #1", "sample #10"]),
        (
            "il6",
            ["nil 60", "pencil 6", "xil6", "il67 response of y", "i l60"] * 8,
            ["IL6", "IL-6", "il6 knock-out", "IL-6 knock-out"],
        ),
        ("cd8a", ["CD8", "cd8b", "xacd8ab of all"] * 10, ["CD8-A", "CD8-A high", "all CD8-A"]),
        ("IL-6", ["nil 6", "IL-6 higher", "il 7"] * 15, ["IL-6", "il6", "IL-6 high"]),
        ("cell ranger", ["Ranger of cells"] * 25, ["CellRanger", "cellranger v7", "Cell-Ranger ARC"]),
    ],
)
def test_punctuation_ranks_right_among_many(text: str, worse: list[str], best: list[str]) -> None:
    names = [*worse, *reversed(best)]
    found = [names[row] for row, _ in RankIndex(names).rank(text)]
    assert found[: len(best)] == best
    assert names[RankIndex(names).rank(text, 1)[0][0]] == best[0]


def test_names_that_are_the_query_but_for_signs_keep_the_order_given() -> None:
    names = ["nothing", "  IL-6", "il6.", "IL 6"]
    assert [row for row, _ in rank("il6", names)] == [1, 2, 3]
    assert [row for row, _ in rank("il6", names, 1)] == [1]


def test_short_words_are_not_found_across_words() -> None:
    assert rank("at", ["a table"]) == []
    assert rank("il6", ["nail 60"]) == []


@pytest.mark.parametrize("length", [33, 6_000, 100_000])
def test_long_words_take_little_memory(length: int) -> None:
    names = ["a.txt", "b" * length, "a" * length]
    tracemalloc.start()
    found = RankIndex(names).rank("a" * length)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row for row, _ in found] == [2]
    assert peak < 10_000_000
    assert RankIndex(names).rank("a " * length)


@given(st.sampled_from(["ab " * 5_000, "é" * 9_000, "+" * 9_000, "x.y" * 9_000]))
def test_what_follows_the_first_characters_of_a_query_does_not_count(text: str) -> None:
    names = [text[:5_000], text[:50], text]
    assert rank(text, names) == rank(text[:4_096], names)


def test_large_collections_are_searched_with_few_scorings(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(5)
    names = [" ".join(generator.choices(WORDS, k=3)) + f" {number}" for number in range(20_000)]
    index = RankIndex(names)
    scored = 0
    score = _Query.score

    def counting(self: _Query, *name: str) -> float:
        nonlocal scored
        scored += 1
        return score(self, *name)

    monkeypatch.setattr(_Query, "score", counting)
    for query in ("umap", "umap plot", "clasifier trian", "cellrangr"):
        assert len(index.rank(query, 20)) == 20
    assert scored < 6_000
