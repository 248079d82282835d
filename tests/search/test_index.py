"""Searching records: the golden orders on both databases, never out of date; look-ups that complete."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

import lamindb as ln
from lamindb.core import context
from lamindb.db import database
from lamindb.errors import InvalidInputError, InvalidTypeError, UnknownFieldError
from lamindb.search import candidates, sample
from lamindb.search.ranking import words_of

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "search_golden.json").read_text("utf-8"))


def add_transforms(names: list[str]) -> None:
    """Add transforms of these names, the first one the newest."""
    made = [ln.Transform(name=name, type="pipeline", reference=str(n)) for n, name in enumerate(reversed(names))]
    insert(made)


def add_transforms_again(names: list[str]) -> None:
    """Add transforms of these names, the first one the newest, after others."""
    insert([ln.Transform(name=name, type="script", reference=str(n)) for n, name in enumerate(reversed(names))])


def insert(made: list[Any]) -> None:
    with database.writing(context.instance().alias) as link:
        database.insert_many(link, made)


def found_names(text: str, **options: Any) -> list[str]:
    return [record.name for record in ln.Transform.search(text, **options)]


def test_golden_orders(instance: Path) -> None:
    add_transforms(GOLDEN["names"])
    wrong = {
        case["query"]: found
        for case in GOLDEN["queries"]
        if (found := found_names(case["query"], limit=10)) != case["expected"]
    }
    assert wrong == {}


def test_of_equal_names_the_newest_comes_first(instance: Path) -> None:
    add_transforms(["plot", "plot", "plot"])
    hits = ln.Transform.search("plot")
    assert [hit.reference for hit in hits] == ["2", "1", "0"]
    assert ln.Transform.search("plot", top_hit=True).reference == "2"
    assert ln.Transform.search("nothing like it", top_hit=True) is None
    assert list(hits.df()["score"]) == hits.scores == [100.0] * 3


def test_what_was_searched_before_is_never_out_of_date(instance: Path) -> None:
    add_transforms(["umap"])
    assert found_names("umap") == ["umap"]
    ln.Transform(name="umap of all", type="pipeline").save()
    assert found_names("umap") == ["umap", "umap of all"]
    ln.Transform.objects.filter(name="umap").update_rows({"name": "pca"})
    assert found_names("umap") == ["umap of all"]
    ln.Transform.select(name="umap of all").one().delete()
    assert found_names("umap") == []
    assert found_names("pca") == ["pca"]


def test_what_other_connections_write_is_found(instance: Path) -> None:
    add_transforms(["umap"])
    assert found_names("umap") == ["umap"]
    problems = []

    def elsewhere() -> None:
        try:
            ln.Transform(name="umap elsewhere", type="pipeline").save()
        except BaseException as error:
            problems.append(error)
        finally:
            database.connection().close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert problems == []
    assert found_names("umap") == ["umap", "umap elsewhere"]


def test_a_transaction_that_is_rolled_back_leaves_nothing(instance: Path) -> None:
    add_transforms(["umap"])
    alias = context.instance().alias
    assert found_names("umap") == ["umap"]
    transaction = database.writing(alias)
    transaction.__enter__()
    ln.Transform.objects.filter(name="umap").update_rows({"name": "umap changed"})
    assert found_names("umap") == ["umap changed"]
    ln.Transform.objects.filter(name="umap changed").update_rows({"name": "pca"})
    assert found_names("umap") == []
    transaction.__exit__(RuntimeError, RuntimeError("taken back"), None)
    assert found_names("umap") == ["umap"]


def test_hits_say_where_not_all_were_compared(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_transforms([f"umap {n}" for n in range(30)])
    assert ln.Transform.search("umap").note is None
    monkeypatch.setattr(candidates, "MOST", 10)
    monkeypatch.setattr(candidates, "_FETCHED", 10)
    hits = ln.Transform.search("umap 17", limit=5)
    assert hits[0].name == "umap 17"
    assert ln.Transform.search("umap", limit=5).note == candidates._CUT
    assert len(ln.Transform.search("umap", limit=5)) == 5


@pytest.fixture
def many(instance: Path) -> Path:
    """Add more names than are ranked, which fit no golden query."""
    letters = "jkqvwxz"
    words = ["".join(one) for one in itertools.product(letters, repeat=4)]
    add_transforms([f"{words[n]} {words[-n]}" for n in range(1_100)])
    return instance


def test_golden_orders_by_the_index(many: Path) -> None:
    add_transforms_again(GOLDEN["names"])
    wrong = {}
    for case in GOLDEN["queries"]:
        if not any(len(word) >= 3 and word.isascii() for word in words_of(case["query"])):
            continue
        hits = ln.Transform.search(case["query"], limit=10)
        if [hit.name for hit in hits] != case["expected"] or hits.note is not None:
            wrong[case["query"]] = [hit.name for hit in hits], hits.note
    assert wrong == {}


def test_the_index_follows_every_change(many: Path) -> None:
    one = ln.Transform(name="umap of all", type="pipeline").save()
    assert found_names("umap") == ["umap of all"]
    ln.Transform.objects.filter(id=one.id).update_rows({"name": "Größe of it"})
    assert found_names("umap") == []
    assert found_names("grosse") == found_names("Grösse") == ["Größe of it"]
    with contextlib.suppress(ZeroDivisionError), database.writing(context.instance().alias):
        ln.Transform.objects.filter(id=one.id).update_rows({"name": "umap"})
        raise ZeroDivisionError
    assert found_names("umap") == []
    one.delete()
    assert found_names("grosse") == []


def test_a_sample_saves_reading_and_changes_no_hit(
    migrated_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", db=migrated_postgres_url)
    kinds = ["sample", "metrics", "counts", "100% sample"]
    add_transforms([f"{kinds[n % 4]} project{n % 7} batch{n % 90} {n}" for n in range(1_600)])
    connection = database.connection(context.instance().alias)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE lamindb_transform")
    monkeypatch.setattr(candidates, "_RARE", 60)
    monkeypatch.setattr(candidates, "_SAMPLE", 800)
    monkeypatch.setattr(candidates, "_ONE_IN", 1)
    monkeypatch.setattr(sample, "_KEPT_SECONDS", 0)
    texts = [
        "sample",
        "smaple",
        "metrics project6 batch17",
        "mertics project6",
        "counts 1234",
        "sample counts",
        "zebra",
    ]
    hits: list[dict[str, Any]] = []
    asked: list[str] = []
    for sampled_from in (10_000, 1_000):
        monkeypatch.setattr(candidates, "_SAMPLED_FROM", sampled_from)
        with CaptureQueriesContext(connection) as statements:
            hits.append({text: ln.Transform.search(text) for text in texts})
        asked.append(" ".join(one["sql"] for one in statements.captured_queries))
    for text, found in hits[0].items():
        assert hits[1][text].scores == found.scores, text
        assert hits[1][text].note == found.note, text
    assert list(hits[0]["metrics project6 batch17"]) == list(hits[1]["metrics project6 batch17"])
    assert "LIKE ALL" in asked[1] and "LIKE ALL" not in asked[0]
    assert asked[1].count("LIKE '%") < asked[0].count("LIKE '%")


def test_hits_say_where_not_all_names_with_an_error_were_read(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_RARE", 400)
    add_transforms([f"experim metrics {n}" for n in range(1_100)])
    assert ln.Transform.search("metrcis").note == candidates._CUT
    monkeypatch.setattr(candidates, "_RARE", 2_000)
    monkeypatch.setattr(candidates, "_FETCHED", 1_000)
    add_transforms_again(["xperim", *(f"xyz {n}" for n in range(1_100))])
    hits = ln.Transform.select(type="script").search("experiment")
    assert list(hits) == [] and hits.note == candidates._CUT


@pytest.mark.parametrize("own", ["NULL", "null", "a,b", '{"a"}', "a\\b"])
def test_records_with_ids_of_any_letters_are_found(many: Path, own: str) -> None:
    add_transforms_again(["zebra b"])
    insert([ln.Transform(id=own, name="zebra a", type="script")])
    assert found_names("zerba") == found_names("zebra") == ["zebra a", "zebra b"]


def test_few_letters_find_what_starts_with_them(many: Path) -> None:
    add_transforms_again(["UMAP", "umap plot", "the umap", "Ulf"])
    assert sorted(found_names("um")) == ["UMAP", "umap plot"]
    assert sorted(found_names("u")) == ["UMAP", "Ulf", "umap plot"]
    assert ln.Transform.search("u").note == candidates._SHORT


def test_runs_are_found_by_the_index_of_transforms(many: Path) -> None:
    transform = ln.Transform(name="Cell Ranger", type="pipeline").save()
    other = ln.Transform.select(name__contains="jjjj").first()
    made = [ln.Run(transform=other, name="by night" if n == 500 else None) for n in range(1_100)]
    with database.writing(context.instance().alias) as link:
        database.insert_many(link, made)
    run = ln.Run(transform=transform).save()
    assert list(ln.Run.search("cell rangr")) == [run]
    assert list(ln.Run.search("by nigth")) == [made[500]]


def test_without_an_index_the_newest_names_are_compared(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_transforms_again(["umap"])
    monkeypatch.setattr(candidates, "_INDEXED", {})
    assert found_names("uamp") == ["umap"]
    assert ln.Transform.search("umap").note is None
    monkeypatch.setattr(candidates, "SCANNED", 1_000)
    assert ln.Transform.search("umap").note == candidates._SCANNED
    oldest = ln.Transform.select().order_by("created_at", "id").first()
    assert oldest is not None and found_names(f" {oldest.name[:7]}")[0] == oldest.name


def test_queries_are_searched_as_they_are(instance: Path) -> None:
    add_transforms(["umap c", "umap b", "umap a", "other"])
    assert [hit.name for hit in ln.Transform.select(name__endswith=" a").search("umap")] == ["umap a"]
    assert {hit.name for hit in ln.Transform.select().order_by("name")[:2].search("umap")} == {"umap a"}
    assert list(ln.Transform.select(id__in=[]).search("umap")) == []
    assert found_names("UMAP", case_sensitive=True) == []
    assert found_names("umap b", case_sensitive=True)[0] == "umap b"
    assert len(found_names("umap", limit=2)) == 2
    assert len(found_names("umap", limit=None)) == 3
    assert ln.Pipeline.search("umap a", top_hit=True).name == "umap a"
    assert list(ln.Notebook.search("umap")) == []


def test_queries_along_relations_are_searched(instance: Path) -> None:
    add_transforms(["umap a", "umap b"])
    for transform in (ln.Transform.select(name="umap a").one(), ln.Transform.select(name="umap b").one()):
        for _ in range(2):
            ln.Run(transform=transform).save()
    run = ln.Run.select(transform__name="umap a").first()
    assert run is not None
    file = ln.File(b"a", key="a.txt", run=run).save()
    assert [hit.name for hit in ln.Transform.select(runs__outputs=file).search("umap")] == ["umap a"]
    assert [hit.name for hit in ln.Transform.select().join(ln.Run).search("umap")] == ["umap a", "umap b"]
    assert [hit.name for hit in file.ancestors(ln.Transform).search("umap")] == ["umap a"]


def test_files_are_found_by_name_and_by_key(instance: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    file = ln.File(tmp_path / "a.csv", key="Größe/Tables/École 1.csv").save()
    assert ln.File.search("ecole", top_hit=True) == file
    assert ln.File.search("grosse tables", field="key", top_hit=True) == file
    assert ln.File.search("große", field=ln.File.key, top_hit=True) == file
    file.delete()
    assert list(ln.File.search("ecole")) == []


def test_a_record_is_found_by_all_that_it_is_called_by(instance: Path) -> None:
    key = ln.File(b"1", key="aligned/reads.bam").save()
    name = ln.File(b"2", name="aligned").save()
    both = ln.File(b"3", key="tables/aligned.csv", name="all that is aligned").save()
    assert list(ln.File.search("aligned")) == [name, key, both]
    assert ln.File.search("aligned").scores[0] == 100
    assert [len(ln.File.search("aligned", limit=limit)) for limit in (0, 1, 2, 3, 4, None)] == [0, 1, 2, 3, 3, 3]
    assert list(ln.File.search("aligned", field="name")) == [name, both]
    assert list(ln.File.search("aligned", field="key")) == [key, both]
    assert list(ln.File.search("reads.bam")) == [key]
    assert list(ln.File.select(name="aligned").search("aligned")) == [name]
    assert list(ln.File.search("Aligned", case_sensitive=True)) == []
    assert list(ln.File.search("aligned").df().index) == ["aligned", "reads.bam", "all that is aligned"]


def test_many_names_of_one_record_leave_room_for_others(instance: Path) -> None:
    other = ln.File(b"x", key="some/plot of cells.txt").save()
    for number in range(4):
        ln.File(b"%d" % number, key=f"plot{number}/a.txt", name=f"plot{number}").save()
    assert ln.File.search("plot", limit=5)[-1] == other
    everything = ln.File.search("plot", limit=None)
    for limit in range(6):
        assert ln.File.search("plot", limit=limit) == everything[:limit]


def test_runs_and_users_are_found_by_what_is_shown_of_them(instance: Path) -> None:
    transform = ln.Transform(name="Cell Ranger", type="pipeline").save()
    unnamed = ln.Run(transform=transform).save()
    named = ln.Run(transform=transform, name="by night").save()
    assert list(ln.Run.search("cell ranger")) == [named, unnamed]
    assert ln.Run.search("by nigth", top_hit=True) == named
    assert list(ln.Run.search("cell ranger", field="name")) == []
    user = ln.User.select().one()
    ln.User.objects.filter(id=user.id).update_rows({"name": "Zoë Dupont"})
    assert ln.User.search("dupont", top_hit=True) == user
    assert ln.User.search(user.handle, top_hit=True) == user
    assert list(ln.User.search("dupont", field="handle")) == []


def test_names_with_punctuation_are_found_among_many(instance: Path) -> None:
    add_transforms([*(f"C{number}" for number in range(25)), "C++ aligner", "IL-6 response"])
    assert found_names("c++")[0] == ln.Transform.search("c++", top_hit=True).name == "C++ aligner"
    assert found_names("il6") == ["IL-6 response"]


def test_long_queries_are_the_same_everywhere(instance: Path) -> None:
    add_transforms(["a" * 5_000, "b", "a\u00f8" * 30])
    assert found_names("a" * 100_000) == ["a" * 5_000]
    assert found_names("x" * 100_000) == []
    assert found_names("a" * 100_000, case_sensitive=True) == []
    assert found_names("b\0 \ud800") == ["b"]


def test_hits_are_a_table_in_notebooks(instance: Path) -> None:
    add_transforms(["<b>plot & more</b>", *(f"plot {number}" for number in range(24))])
    hits = ln.Transform.search("plot", limit=None)
    shown = hits._repr_html_()
    assert shown.startswith("<table><caption>Transform</caption><thead><tr><th>score</th><th>id</th><th>name</th>")
    assert shown.count("<tr>") == 21
    assert shown.endswith("<p>and 5 more</p>")
    few = ln.Transform.search("<b>plot &")._repr_html_()
    assert "&lt;b&gt;plot &amp; more&lt;/b&gt;" in few
    assert "<b>" not in few
    assert ln.Transform.search("zebrafish")._repr_html_().count("<tr>") == 1
    hits.pop()
    assert "<th>score</th>" not in hits._repr_html_()


def test_bad_input_is_a_clear_error(instance: Path) -> None:
    with pytest.raises(InvalidTypeError, match="text"):
        ln.Transform.search(3)  # type: ignore[arg-type]
    with pytest.raises(UnknownFieldError, match="name"):
        ln.Transform.search("x", field="nam")
    with pytest.raises(InvalidTypeError, match="created_at"):
        ln.Transform.search("x", field="created_at")
    for limit in (-1, 1.5, True):
        with pytest.raises(InvalidInputError, match="limit"):
            ln.Transform.search("x", limit=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("use_jedi", [True, False])
def test_lookups_complete_in_ipython(local_instance: Path, use_jedi: bool) -> None:
    pytest.importorskip("IPython")
    from IPython.core.completer import IPCompleter, provisionalcompleter

    add_transforms(["Cell Ranger", "Cell-Space", "class", "1abc", "dict"])
    found = ln.Transform.lookup()
    completer = IPCompleter(namespace={"found": found, "ln": ln}, global_namespace={})
    completer.use_jedi = use_jedi

    def completed(text: str) -> set[str]:
        with provisionalcompleter():
            return {one.text.rpartition(".")[2] for one in completer.completions(text, len(text))}

    assert completed("found.cell_") == {"cell_ranger", "cell_space"}
    assert completed("found.ln_") == {"ln_class", "ln_1abc", "ln_dict"}
    assert completed("ln.lineage.ancestor") == {"ancestor_ids"}
    assert found.cell_ranger.name == "Cell Ranger"
    assert {one.strip('"]') for one in completed('found["Cell')} == {"Cell Ranger", "Cell-Space"}
