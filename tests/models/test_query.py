"""One query object: pinned to its instance, narrowed by default, joined, and clear where it cannot be right."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections
from django.db.models import Count, F

import lamindb as ln
import lamindb.schema as lns
from lamindb.errors import InvalidInputError, InvalidTypeError, UnknownFieldError
from lamindb.models import RecordQuery


def test_the_message_of_a_join_that_finds_nothing_shows_no_inner_object(local_instance: Path) -> None:
    with pytest.raises(ln.NoResultFound, match=r"^no Run with … was found$"):
        ln.Run.select().join(ln.File, name="absent").one()


def keys(query: Any) -> list[tuple[str, int]]:
    return sorted((file.key, file.version) for file in query)


CURRENT = [("a.txt", 2), ("b.csv", 1)]


NARROWED: list[tuple[Any, list[tuple[str, int]]]] = [
    (lambda q: q, CURRENT),
    (lambda q: q.filter(is_latest=False), [("a.txt", 1)]),
    (lambda q: q.filter(is_latest__in=[True, False]), [("a.txt", 1), *CURRENT]),
    (lambda q: q.filter(ln.Q(is_latest=True) | ln.Q(is_latest=False)), [("a.txt", 1), *CURRENT]),
    (lambda q: q.filter(ln.Q(size=1) & ~ln.Q(is_latest=True)), [("a.txt", 1)]),
    (lambda q: q.exclude(is_latest=True), [("a.txt", 1)]),
    (lambda q: q.exclude(ln.Q(ln.Q(is_latest=True))), [("a.txt", 1)]),
    (lambda q: q.filter(trashed_at__isnull=False, is_latest__in=[True, False]), [("gone.txt", 1)]),
    (lambda q: q.exclude(trashed_at=None).filter(is_latest__in=[True, False]), [("gone.txt", 1)]),
    (lambda q: q.filter(trashed_at__isnull=False), [("gone.txt", 1)]),
    (lambda q: q.exclude(trashed_at=None), [("gone.txt", 1)]),
    (lambda q: q.filter(trashed_at=None), CURRENT),
    (lambda q: q.filter(trashed_at__isnull=True).filter(is_latest=False), [("a.txt", 1)]),
    (lambda q: q.filter(trashed_at__isnull=False).filter(is_latest=True), []),
    (lambda q: q.filter(ln.Q(trashed_at__isnull=False) | ln.Q(size=2)), [("b.csv", 1), ("gone.txt", 1)]),
    (lambda q: q.filter(v=1), [("a.txt", 1), ("b.csv", 1)]),
    (lambda q: q.filter(key="a.txt", version=1), [("a.txt", 1)]),
    (lambda q: q.filter(id=ln.File.objects.get(key="gone.txt").id), [("gone.txt", 1)]),
    (lambda q: q.filter(id__in=ln.File.objects.all().list("id")), [("a.txt", 1), *CURRENT, ("gone.txt", 1)]),
    (lambda q: q.filter(id__in=ln.File.objects.all()), CURRENT),
    (lambda q: q.filter(id__gt="0"), CURRENT),
    (lambda q: q.exclude(id=ln.File.objects.get(key="b.csv").id), [("a.txt", 2)]),
    (lambda q: q.exclude(id__in=[ln.File.objects.get(key="b.csv").id]), [("a.txt", 2)]),
    (lambda q: q.filter(~ln.Q(id=ln.File.objects.get(key="b.csv").id)), [("a.txt", 2)]),
    (lambda q: q.filter(ln.Q(id=ln.File.objects.get(key="b.csv").id) | ln.Q(size__gt=0)), CURRENT),
    (lambda q: q.filter(ln.Q(id=ln.File.objects.get(key="gone.txt").id, size=5)), [("gone.txt", 1)]),
    (lambda q: q.exclude(version=1), [("a.txt", 2)]),
    (lambda q: q.filter(version__gt=0), CURRENT),
    (lambda q: q.filter(trashed_by__isnull=False), [("gone.txt", 1)]),
    (lambda q: q.filter(trashed_by=ln.User.objects.get()), [("gone.txt", 1)]),
    (lambda q: q.filter(trashed_by_id=ln.User.objects.get().id), [("gone.txt", 1)]),
    (lambda q: q.filter(trashed_by__handle__startswith="x"), []),
    (lambda q: q.filter(size=1), []),
    (lambda q: q.filter(key="gone.txt"), []),
    (lambda q: q.exclude(key="b.csv"), [("a.txt", 2)]),
]  # fmt: skip


def test_old_versions_and_trash_are_hidden_until_a_filter_names_them(world: SimpleNamespace) -> None:
    for number, (narrow, found) in enumerate(NARROWED):
        result = narrow(ln.File.select())
        assert keys(result) == found, number
        assert result.count() == len(found), number
        assert result.exists() is bool(found), number
        assert len(result.values("id")) == len(found), number
        assert len(result[:10]) == len(found), number
        assert sorted(result.in_bulk()) == sorted(file.id for file in result), number
        assert result.aggregate(n=Count("id"))["n"] == len(found), number
        assert ln.File.objects.filter(id__in=result).count() == len(found), number
    assert ("a.txt", 1) in keys(ln.File.select() | ln.File.select(is_latest=False))


def test_only_what_is_asked_for_is_narrowed(world: SimpleNamespace) -> None:
    assert ln.File.objects.count() == 4
    assert ln.Run.select(file_set__key="gone.txt").one() == world.made
    assert [f.version for f in world.new.versions] == [1, 2]
    assert list(world.old.input_of) == [world.read]
    assert ln.File.select(input_of=world.read, is_latest=False).one() == world.old
    assert ln.File.select(input_of__name="read").count() == 0


def test_a_query_stays_with_the_instance_where_it_was_made(
    world: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [ln.File.select(), ln.File.objects.all(), ln.Run.select(), world.made.outputs.all(), world.new.versions]
    before = [sorted(record.id for record in query) for query in queries]
    lazy = [query.all() for query in queries]
    ln.setup.init(storage="./other")
    assert [sorted(record.id for record in query) for query in lazy] == before
    assert ln.File.select().count() == 0
    assert lazy[0].filter(v=2).one() == world.new
    with pytest.raises(InvalidInputError, match="another instance"):
        ln.File.select(run=world.made)
    with pytest.raises(InvalidInputError, match="another instance"):
        list(ln.File.select(run__in=lazy[2]))
    assert {record._state.db for record in lazy[0]} == {world.new._state.db}


def test_records_are_joined_along_the_nearest_relation(world: SimpleNamespace) -> None:
    assert ln.Run.select().join(ln.File, key="b.csv").one() == world.read
    assert ln.Run.select().join(ln.File, key="a.txt", v=1, is_latest=False).one() == world.made
    assert ln.File.select().join(ln.Transform, name="Second").one() == world.derived
    assert ln.Transform.select().join(ln.File, key="a.txt").one() == world.first
    assert ln.File.select().join(lns.Notebook, v="2").one() == world.derived
    assert ln.File.select().join(lns.Pipeline, v="2").count() == 0
    assert ln.Transform.select().join(ln.Run).join(ln.File).distinct().count() == 2
    assert ln.Run.select().join(ln.File).count() == 2
    joined = ln.File.select(key="b.csv").join(ln.Run, name="read").join(ln.Transform, type="notebook")
    assert joined.one() == world.derived


def test_a_join_that_could_mean_several_things_is_refused(world: SimpleNamespace) -> None:
    with pytest.raises(InvalidInputError, match="several ways"):
        ln.Run.select().join(ln.Run, name="made")
    assert list(ln.User.select().join(ln.File, key="no such key")) == []
    with pytest.raises(UnknownFieldError):
        ln.Run.select().join(ln.File, kye="x")


def test_views_by_type_are_the_same_records(world: SimpleNamespace) -> None:
    assert lns.Notebook.select().one() == world.second
    assert hash(lns.Notebook.select().one()) == hash(world.second)
    assert lns.Notebook.objects.count() == lns.Pipeline.select().count() == 1
    assert lns.Pipeline.select(v="2").one_or_none() is None
    assert ln.Run.select(notebook=lns.Notebook.select().one()).one() == world.read
    assert ln.Run.select(transform__in=lns.Notebook.select()).one() == world.read
    run = ln.Run(pipeline=lns.Pipeline.select().one())
    assert run.transform == world.first
    assert (run.pipeline, run.notebook) == (world.first, None)


def test_crossing_to_many_keeps_records_single(world: SimpleNamespace) -> None:
    assert ln.Transform.select(run_set__file_set__size__gt=0).count() == 2
    assert ln.Run.select(outputs__size__gt=0).count() == 2
    assert [t.name for t in ln.Transform.select(run_set__file_set__suffix=".txt")] == ["First <b>"]


def test_rows_change_only_through_what_keeps_them_right(world: SimpleNamespace) -> None:
    for values in ({"key": "x"}, {"size": 3}, {"is_latest": False}, {"run": None}, {"hash": "x"}):
        with pytest.raises(InvalidInputError, match="cannot be updated in bulk"):
            ln.File.select().update(**values)
    assert ln.File.select().update(description="same") == 2
    assert ln.File.select(key="b.csv").delete()[0] == 1
    assert ln.File.select(key="b.csv").count() == 0
    assert ln.File.objects.get(id=world.derived.id).is_trashed


def test_the_message_says_what_was_asked_for(world: SimpleNamespace) -> None:
    with pytest.raises(ln.NoResultFound, match=r"^no File with key='nothing', version gt 3 was found$"):
        ln.File.select(key="nothing", v__gt=3).one()
    with pytest.raises(ln.MultipleResultsFound, match="2 records fit"):
        ln.File.select().one()
    assert ln.File.select().order_by("key")[:1].one() == world.new


@pytest.mark.parametrize("text", ["a\0", "\ud800"])
def test_text_that_no_database_holds_is_refused_however_it_is_asked_for(world: SimpleNamespace, text: str) -> None:
    for condition in (
        ln.Q(key=text),
        ~ln.Q(ln.Q(size=1) | ln.Q(run__name__contains=text)),
        ln.Q(key__in=["b", text]),
        ln.Q(key__range=(text, "b")),
    ):
        with pytest.raises(InvalidInputError, match="cannot hold"):
            ln.File.select(condition)
    with pytest.raises(InvalidInputError, match="not saved yet"):
        ln.File.select(ln.Q(run__in=[ln.Run(transform=world.first)]))


def test_patterns_take_upper_and_lower_case_apart(instance: Path) -> None:
    keys = ("d/a.txt", "D/a.txt", "d/A.txt", "d/[*?].txt")
    ln.save([ln.File(key.encode(), key=key, description=key[:2]) for key in keys])
    run = ln.Run(transform=ln.Transform(name="t"), params={"p": "Deep", "q": {"r": "deep"}}).save()

    def found(**conditions: object) -> list[str]:
        return sorted(str(file.key) for file in ln.File.select(**conditions))

    assert found(key__startswith="D/") == found(description__startswith="D") == ["D/a.txt"]
    assert found(key__endswith="A.txt") == found(key__contains="/A") == ["d/A.txt"]
    assert found(key__startswith="d/[*?]") == found(key__contains="[*") == found(key__endswith="?].txt") == [keys[3]]
    assert found(key__contains="_") == found(key__contains="%") == found(key__startswith="d/_") == []
    assert len(found(key__istartswith="D/")) == len(found(key__icontains="/")) == 4
    assert len(found(key__startswith="")) == len(found(key__contains=F("description"))) == 4
    assert len(found(key__startswith=F("description"))) == 4 and found(key__endswith=F("description")) == []
    assert ln.Run.select(params__p__startswith="De").one() == run == ln.Run.select(params__q__r__endswith="eep").one()
    assert ln.Run.select(params__p__startswith="de").count() == 0
    assert ln.File.select().exclude(key__startswith="d/").one().key == "D/a.txt"
    assert ln.File.select(key__startswith="d/a").update(description="new") == 1


EAST, WEST = (datetime.timezone(datetime.timedelta(hours=hours)) for hours in (5, -5))


@pytest.mark.parametrize(
    "filters",
    [
        {"key__isnull": "x"},
        {"size": math.inf},
        {"size__gt": -math.inf},
        {"size": math.nan},
        {"size__in": [1, math.inf]},
        {"created_at__lt": datetime.datetime.max.replace(tzinfo=WEST)},
        {"created_at__gt": datetime.datetime.min.replace(tzinfo=EAST)},
        {"run__started_at__gt": datetime.datetime.min.replace(tzinfo=EAST)},
        {"created_at__lt": "yesterday"},
    ],
)
@pytest.mark.usefixtures("world")
def test_values_that_mean_nothing_are_refused(filters: dict[str, Any]) -> None:
    with pytest.raises((InvalidInputError, InvalidTypeError)):
        list(ln.File.select(**filters))
    with pytest.raises((InvalidInputError, InvalidTypeError)):
        list(ln.File.select(ln.Q(**filters) | ln.Q(key="x")))


@pytest.mark.usefixtures("world")
def test_the_first_and_the_last_times_can_be_compared_with() -> None:
    first, last = (one.replace(tzinfo=datetime.UTC) for one in (datetime.datetime.min, datetime.datetime.max))
    count = ln.File.select().count()
    assert count and ln.File.select(created_at__gt=first, created_at__lt=last).count() == count


@pytest.mark.usefixtures("world")
def test_what_is_cut_or_a_union_or_for_values_has_no_pages() -> None:
    files = ln.File.select()
    for query in (files[:3], files.union(files), files.values_list("id", flat=True), files.values("id")):
        with pytest.raises(InvalidInputError, match="has pages"):
            query.page()


@pytest.mark.usefixtures("world")
def test_a_query_of_a_disconnected_instance_says_so() -> None:
    simple, other = ln.File.select(key="b.csv"), ln.File.select(run__name="made")
    ln.setup.disconnect()
    for query in (simple, other, simple.filter(size=1)):
        asked = (list, len, RecordQuery.count, RecordQuery.exists, RecordQuery.first, RecordQuery.one, RecordQuery.page)
        for ask in (*asked, lambda one: one.list("id"), lambda one: one.in_bulk(), lambda one: one.update(name="x")):
            with pytest.raises(ln.errors.NoInstanceError, match="disconnected"):
                ask(query)


def test_what_parameters_contain_is_asked_where_the_database_can_tell(world: SimpleNamespace) -> None:
    world.made.params = {"lr": 0.1, "seed": 3}
    world.made.save()
    if connections[world.made._state.db].vendor == "postgresql":
        assert ln.Run.select(params__contains={"lr": 0.1}).one() == world.made
    else:
        for query in (ln.Q(params__contains={"lr": 0.1}), ~ln.Q(params__a__contained_by=[1])):
            with pytest.raises(ln.errors.UnsupportedError, match="params"):
                ln.Run.select(query)
    assert ln.Run.select(params__lr=0.1).one() == world.made
    assert ln.Run.select(name__contains="ad").count() == 2
