"""A sample of names: what it tells of all, and where it tells nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.search import candidates, sample
from lamindb.search.sample import Sample, Samples


def test_the_share_of_names_that_have_all_texts() -> None:
    names = Sample(1_000, [(n, f"sample{n}") for n in range(8)])
    assert names.share(["sam"]) == 1
    assert names.share(["sam", "e3"]) == 1 / 8
    assert names.share(["e3", "e4"]) == 0


def test_a_text_is_in_more_names_than_a_count_if_many_pages_have_it() -> None:
    spread = Sample(1_000, [(n, "counts" if n % 2 else "notes") for n in range(20)])
    assert spread.is_in_more("cou", 499)
    assert not spread.is_in_more("cou", 500)
    assert not spread.is_in_more("zeb", 0)
    together = Sample(1_000, [(n % 4 if n % 2 else 4 + n, "counts" if n % 2 else "notes") for n in range(20)])
    assert not together.is_in_more("cou", 1)


def test_no_names_tell_nothing() -> None:
    nothing = Sample(-1, [])
    assert nothing.share(["sam"]) == 0
    assert not nothing.is_in_more("sam", 0)


def test_what_was_looked_up_is_kept_only_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "_MOST_KNOWN", 3)
    names = Sample(100, [(0, "abcdefgh")])
    for text in ("abc", "bcd", "cde", "def", "efg", "xyz", "abc"):
        assert names.share([text]) == (text != "xyz")
        assert len(names._known) <= 3


def test_a_sample_is_taken_anew_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = Samples()
    assert samples.of("a table") is None
    samples.keep("a table", kept := Sample(1, [(0, "a")]))
    assert samples.of("a table") is kept
    assert samples.of("another") is None
    monkeypatch.setattr(sample, "_KEPT_SECONDS", 0)
    assert samples.of("a table") is None


def test_several_searches_share_a_sample(
    migrated_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    with database.writing(context.instance().alias) as link:
        database.insert_many(
            link, [ln.Transform(name=f"sample {n}", type="pipeline", reference=str(n)) for n in range(1_100)]
        )
    connection = database.connection(context.instance().alias)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE lamindb_transform")
    monkeypatch.setattr(candidates, "_SAMPLED_FROM", 1_000)
    with CaptureQueriesContext(connection) as statements:
        for text in ("sample 17", "sampel 17", "zebra"):
            ln.Transform.search(text)
    assert sum("hashtext" in one["sql"] for one in statements.captured_queries) == 1
    kept = context.instance().part(Samples).of("lamindb_transform")
    assert kept is not None and kept.share(["sam"]) == 1


@pytest.fixture
def sampled(migrated_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an instance on PostgreSQL, where few names are sampled and of few many are common."""
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    for name, value in {"_SAMPLED_FROM": 1_000, "_ONE_IN": 1, "_SAMPLE": 400, "_RARE": 60, "_AT_ONCE": 150}.items():
        monkeypatch.setattr(candidates, name, value)


def test_a_sample_has_records_without_a_name(sampled: None) -> None:
    transform = ln.Transform(name="cell ranger", type="pipeline").save()
    named = [ln.Run(transform=transform, name=f"sample {n}" if n % 4 == 0 else None) for n in range(1_200)]
    insert_and_analyze(named)
    assert ln.Run.search("sample 400", top_hit=True) == named[400]
    assert ln.Run.search("smaple", limit=1)[0].name.startswith("sample")
    kept = context.instance().part(Samples).of("lamindb_run")
    assert kept is not None and 0.1 < kept.share(["sam"]) < 0.4


def test_hits_say_that_some_were_read_where_a_sample_is_out_of_date(sampled: None) -> None:
    insert_and_analyze([ln.Transform(name=f"my sample {n}", type="pipeline", reference=str(n)) for n in range(3_000)])
    assert ln.Transform.search("sample").note == candidates._CUT
    renamed = [str(n) for n in range(3_000) if n % 25]
    ln.Transform.objects.filter(reference__in=renamed).update_rows({"name": "another"})
    assert ln.Transform.select(name__contains="sample").count() == 120
    for text in ("sample", "smaple"):
        hits = ln.Transform.search(text, limit=3)
        assert hits.note == candidates._CUT


def insert_and_analyze(made: list[Any]) -> None:
    alias = context.instance().alias
    with database.writing(alias) as link:
        database.insert_many(link, made)
    with database.connection(alias).cursor() as cursor:
        cursor.execute(f"ANALYZE {made[0]._meta.db_table}")
