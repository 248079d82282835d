"""Other spellings of fields: everywhere where a query takes a name, hop by hop."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db.models import Count, F, Max, Q

import lamindb as ln
from lamindb.errors import UnknownFieldError
from lamindb.models import field_names


@pytest.mark.parametrize(
    ("model", "path", "real"),
    [
        (ln.File, "source__pipeline__v", "run__transform__version"),
        (ln.File, "v__gt", "version__gt"),
        (ln.Run, "notebook__title", "transform__name"),
        (ln.File, "storage__root", "storage__location"),
        (ln.File, "no__such__thing", "no__such__thing"),
        (ln.File, "input_of__pipeline__v", "reader_links__run__transform__version"),
    ],
)
def test_paths_are_resolved_hop_by_hop(model: type, path: str, real: str) -> None:
    assert field_names.canonical(model, path.split("__")) == real.split("__")


def test_other_spellings_work_wherever_a_query_takes_a_name(world: SimpleNamespace) -> None:
    query = ln.File.select()
    assert list(query.values("v", "source__pipeline__v").order_by("v", "key")) == [
        {"v": 1, "source__pipeline__v": "2"}, {"v": 2, "source__pipeline__v": "1"},
    ]  # fmt: skip
    assert [f.key for f in query.order_by("-v")] == ["a.txt", "b.csv"]
    assert list(query.order_by("source__pipeline__v").values_list("key", flat=True)) == ["a.txt", "b.csv"]
    assert query.filter(v=F("version")).count() == 3
    assert query.filter(v__lt=F("size")).count() == 2
    assert {f.key: f.twice for f in query.annotate(twice=F("v") * 2)} == {"a.txt": 4, "b.csv": 2}
    assert query.aggregate(top=Max("v"), runs=Count("source", distinct=True)) == {"top": 2, "runs": 2}
    assert ln.Transform.select().annotate(n=Count("run_set")).get(v="2").n == 1
    assert query.filter(Q(v=2) | Q(source__notebook__v="2")).count() == 2
    assert query.exclude(source__pipeline__v="1").get().key == "b.csv"
    related = query.select_related("source__pipeline").order_by("key")
    assert [f.run.transform.name for f in related] == ["First <b>", "Second"]
    assert [f.key for f in query.only("key", "v").order_by("v")] == ["b.csv", "a.txt"]
    assert query.filter(storage__root=".").count() == 2


def test_attributes_and_the_constructor_know_them_too(world: SimpleNamespace) -> None:
    assert world.new.v == 2
    assert world.new.source == world.made
    assert world.new.source_id == world.made.id
    transform = ln.Transform(title="T", v="3", type="script")
    assert (transform.name, transform.version) == ("T", "3")
    transform.v = "4"
    assert transform.version == "4"
    with pytest.raises(TypeError, match="two different values"):
        ln.Transform(name="x", title="y")


MISSPELT = [
    lambda q: q.filter(kye=1), lambda q: q.exclude(kye=1), lambda q: q.filter(Q(kye=1)), lambda q: q.filter(~Q(kye=1)),
    lambda q: list(q.order_by("kye")), lambda q: list(q.values("kye")), lambda q: list(q.values_list("kye")),
    lambda q: q.filter(size=F("kye")), lambda q: q.annotate(x=F("kye")), lambda q: q.aggregate(Max("kye")),
    lambda q: list(q.only("kye")), lambda q: list(q.defer("kye")), lambda q: q.update(kye=1),
    lambda q: q.list("kye"), lambda q: q.lookup("kye"), lambda q: list(q.select_related("kye")),
    lambda q: q.search("x", field="kye"), lambda q: list(q.distinct("kye")), lambda q: q.latest("kye"),
    lambda q: q.filter(run__transform__kye=1), lambda q: q.in_bulk(field_name="kye"),
    lambda q: list(q.only("run__kye")), lambda q: list(q.select_related("run__kye")),
]  # fmt: skip


def test_a_misspelt_name_is_one_clear_error_wherever_it_stands(world: SimpleNamespace) -> None:
    for number, use in enumerate(MISSPELT):
        with pytest.raises(ln.LaminError, match="kye") as caught:
            pytest.fail(f"number {number} gave {use(ln.File.select())!r}")
        assert "\n" not in str(caught.value)


def test_the_nearest_name_is_offered() -> None:
    assert "did you mean 'key'?" in str(field_names.unknown_field(ln.File, "kye"))
    assert isinstance(field_names.unknown_field(ln.File, "kye"), UnknownFieldError)
    far = str(field_names.unknown_field(ln.File, "qqqqqqqq"))
    assert "its fields are" in far
    assert "_links" not in far
