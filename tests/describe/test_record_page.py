"""Pages about records: aligned text, HTML and JSON of the same facts, all safe to show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import lamindb as ln

# The first record sets the database library up, which the modules below need.
assert ln.File

from lamindb.describe.record import (  # noqa: E402
    Description,
    Entry,
    Fact,
    Page,
    Section,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def page(*sections: Section) -> Page:
    return Page(Description("file", "f1", "a/b.csv", sections))


def test_text_is_aligned() -> None:
    text = page(
        Section("file", (Fact("key", "a/b.csv"), Fact("saved at", NOON), Fact("size", 29_358, "bytes"))),
        Section("read by", (), (Entry("run", "r1", "QC v1", (Fact("status", "failed"), Fact("started at", NOON))),), 3),
        Section("inputs", count=0),
        Section("error", (Fact("", "one\ntwo", "lines"),)),
    ).to_text()
    assert text.splitlines() == [
        "File a/b.csv  (f1)",
        "",
        "file",
        "  key       a/b.csv",
        "  saved at  2026-03-01 12:00 UTC",
        "  size      29.4 kB (29,358 bytes)",
        "",
        "read by: 3",
        "  QC v1 · failed · 2026-03-01 12:00 UTC · r1",
        "  … and 2 more",
        "",
        "inputs: none",
        "",
        "error",
        "  one",
        "  two",
    ]


@pytest.mark.parametrize(
    ("fact", "shown"),
    [
        (Fact("took", 3723.0, "seconds"), "1 h 2 min"),
        (Fact("size", 8, "bytes"), "8 B"),
        (Fact("params", {"lr": 0.1, "name": "x", "layers": [1, 2]}), "lr=0.1, name=x, layers=[1, 2]"),
        (Fact("arguments", ["tool", "a b"], "command"), "tool 'a b'"),
        (Fact("run by", ["ben", "chloe"]), "ben, chloe"),
        (Fact("version", 2, shown="2, older"), "2, older"),
        (Fact("name", "عينة"), "\u2068عينة\u2069"),
        (Fact("exit code", 3), "3"),
        (Fact("name", "a\x1b[31m\nb"), "a\\x1b[31m\\nb"),
    ],
)
def test_values_are_written_for_people(fact: Fact, shown: str) -> None:
    assert page(Section("s", (fact,))).to_text().splitlines()[-1] == f"  {fact.label}  {shown}"


def test_html_and_json_hold_the_same_and_nothing_dangerous() -> None:
    hostile: Any = "<script>alert(1)</script>\x1b"
    shown = page(
        Section(hostile, (Fact(hostile, hostile),), (Entry("run", hostile, hostile, (Fact(hostile, hostile),)),), 1)
    )
    assert "<script>" not in shown._repr_html_()
    assert "\x1b" not in shown._repr_html_() + shown.to_text() + shown.to_json()
    facts = shown.as_dict()["sections"][hostile]["facts"]
    assert facts == {hostile: hostile}
    only_for_programs = Fact("is latest", True, shown="")
    typed = page(Section("made by", (Fact("began at", NOON), only_for_programs)))
    assert typed.as_dict()["sections"]["made_by"]["facts"] == {"began_at": NOON.isoformat(), "is_latest": True}
    assert "latest" not in typed.to_text() + typed._repr_html_()
