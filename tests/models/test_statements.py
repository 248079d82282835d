"""Statements that are compiled once find what Django finds, whatever is asked, and fail as it does."""

from __future__ import annotations

import copy
import datetime
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.models import Q
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lamindb as ln
from lamindb.core import context
from lamindb.db import database as databases
from lamindb.models import query as query_module
from lamindb.models import rows
from lamindb.models.query import RecordQuery
from tests.support import depth, projects

KINDS: list[Any] = [ln.File, ln.Run, ln.Transform, ln.Notebook, ln.User, ln.Storage]

Step = Callable[[Any], Any]
"""What is done to a query."""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a project with files in the trash, old versions, failed runs and text of other alphabets."""
    folder = tmp_path_factory.mktemp("statements")
    url = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.create(request.getfixturevalue("migrated_template")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAMIN_SETTINGS_DIR", str(folder / "settings"))
        patch.chdir(folder)
        ln.setup.init(storage="./mydata", db=url)
        projects.write(projects.make(notebooks=4, files=40))
        for key in ("a*b.txt", "a_b.txt", "a%b.txt", "größe.txt", "a?b.txt", "[a].txt", "gone.txt"):
            ln.File(key.encode(), key=key, name=f"a\\{key}").save()
            ln.File(f"{key} again".encode(), key=key).save()
        for key in ("gone.txt", "a*b.txt"):
            ln.File.select(key=key).one().delete()
        ln.Run(transform=ln.Notebook(name="by hand").save(), params={"alpha": 1}).save()
        ln.disconnect()
        yield folder


@pytest.fixture
def project(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the project."""
    monkeypatch.setenv("LAMIN_SETTINGS_DIR", str(made / "settings"))
    monkeypatch.chdir(made)
    ln.connect(made / "mydata")


def _found(ask: Callable[[], Any]) -> Any:
    """Return what a question finds, with the type of each value; or how it fails."""
    try:
        found = ask()
    except (ln.LaminError, AttributeError, TypeError, ValueError) as error:
        return type(error).__name__, str(error)
    if not isinstance(found, list):
        return found
    if not all(isinstance(one, ln.models.base.Record) for one in found):
        return [(type(one), one) for one in found]
    return [
        (type(one), one.alias, one.is_saved, [(name, type(value), value) for name, value in _columns(one).items()])
        for one in found
    ]


def _columns(record: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name != "_state"}


def both(ask: Callable[[], Any]) -> tuple[Any, Any]:
    """Return what a question finds by a statement, and through Django."""
    found = _found(ask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecordQuery, "COMPILES_ONCE", False)
        return found, _found(ask)


def _values(field: Any) -> st.SearchStrategy[Any]:
    """Return values for a field: those that it has, those of other types, and those that nothing has."""
    own = [getattr(one, field.attname) for one in field.model.objects.all()] or [None]
    others = [
        None,
        True,
        0,
        1,
        -(2**40),
        2**70,
        1.5,
        "",
        "a_b",
        "1",
        "größe.txt",
        "gro\u0308ße.txt",
        "a\0b",
        b"x",
        [],
        ["a"],
    ]
    times = [datetime.datetime(2026, 3, 1), datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC), "2026-03-01"]
    if field.is_relation:
        own += [*field.related_model.objects.all()] * 2
        unsaved = field.related_model.from_columns({"id": "unsaved"}, None, is_new=True)
        others += [unsaved, ln.User.select().first()]
    return st.one_of(st.sampled_from(own), st.sampled_from([*others, *times, datetime.date(2026, 3, 1)]))


LOOKUPS = ["", "", "", "__exact", "__gt", "__gte", "__lt", "__lte", "__startswith", "__isnull", "__contains"]
LOOKUPS += ["__in"] * 3


@st.composite
def _comparisons(draw: st.DrawFn, kind: Any) -> tuple[str, Any]:
    field = draw(st.sampled_from(kind._meta.concrete_fields))
    name = draw(st.sampled_from(sorted({field.name, field.attname})))
    if draw(st.integers(0, 30)) == 0:
        name = draw(st.sampled_from(["nothing", "pk", *kind.ALIASES]))
    lookup = draw(st.sampled_from(LOOKUPS))
    value = draw(_values(field))
    if lookup == "__in" and draw(st.integers(0, 9)):
        value = draw(st.sampled_from([list, tuple]))(draw(st.lists(_values(field), max_size=9)))
    if lookup == "__startswith" and isinstance(value, str):
        value = value[: draw(st.integers(0, 4))]
    if lookup == "__isnull":
        value = draw(st.sampled_from([True, False, False, None, 1]))
    return f"{name}{lookup}", value


@st.composite
def _conditions(draw: st.DrawFn, kind: Any) -> Q:
    parts = draw(st.lists(_comparisons(kind), min_size=1, max_size=3))
    found = Q(*parts[:2], _connector=draw(st.sampled_from(["AND", "OR"])), _negated=draw(st.booleans()))
    for part in parts[2:]:
        found = found & Q(part) if draw(st.booleans()) else found | ~Q(part)
    return found


@st.composite
def _steps(draw: st.DrawFn, kind: Any) -> Step:
    usual = ["filter", "filter", "filter", "q", "exclude", "order", "slice", "all", "reverse"]
    what = draw(st.sampled_from([*usual, "values", "value"]))
    if what in ("filter", "exclude"):
        given_filters = dict(draw(st.lists(_comparisons(kind), max_size=2)))
        return lambda query: getattr(query, what)(**given_filters)
    if what == "q":
        condition = draw(_conditions(kind))
        return lambda query: query.filter(condition)
    if what == "order":
        names = [field.name for field in kind._meta.concrete_fields]
        signed = st.tuples(st.sampled_from(["", "-"]), st.sampled_from([*names, "pk", "nothing"])).map("".join)
        order = draw(st.lists(signed, max_size=2))
        return lambda query: query.order_by(*order, "id")
    if what == "slice":
        start, stop = draw(
            st.sampled_from([(None, 1), (None, 3), (0, 5), (2, 4), (None, 0), (None, None), (0, 10_000)])
        )
        return lambda query: query[start:stop]
    if what in ("values", "value"):
        names = [name for field in kind._meta.concrete_fields for name in (field.name, field.attname)]
        listed = draw(st.lists(st.sampled_from([*names, "pk", *kind.ALIASES, "nothing"]), max_size=3))
        return lambda query: query.values_list(*listed, flat=what == "value")
    return lambda query: getattr(query, what)()


ENDS: dict[str, Step] = {
    "list": list,
    "one": lambda query: [query.one()],
    "one_or_none": lambda query: [one for one in [query.one_or_none()] if one is not None],
    "first": lambda query: [one for one in [query.first()] if one is not None],
    "count": lambda query: query.count(),
    "exists": lambda query: query.exists(),
    "length": len,
    "truth": bool,
    "item": lambda query: [query[0]] if query else [],
    "values": lambda query: repr(
        list(query.values_list(*(field.attname for field in query.model._meta.concrete_fields)))
    ),
    "sizes": lambda query: repr(query.list("created_at")),
    "ids": lambda query: repr(list(query.values_list("id", flat=True))),
    "copy": lambda query: list(copy.deepcopy(query)),
    "page": lambda query: query.page(size=3).records,
    "second page": lambda query: query.page(size=2, after=query.page(size=2).next).records,
    "described": lambda query: query._described(),
    "union": lambda query: sorted(query.order_by() | query.model.select(), key=lambda one: one.id),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(
    max_examples=400 if depth.FULL else 40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_statement_finds_what_django_finds(project: None, kind: Any, data: st.DataObject) -> None:
    starts: list[Callable[[], Any]] = [kind.select, kind.objects.all, kind.objects.get_queryset]
    start = data.draw(st.sampled_from(starts))
    steps = data.draw(st.lists(_steps(kind), max_size=4))
    end = ENDS[data.draw(st.sampled_from(sorted(ENDS)))]

    def ask() -> Any:
        query = start()
        for step in steps:
            query = step(query)
        return end(query)

    found, wanted = both(ask)
    assert found == wanted


def _statements(ask: Callable[[], Any]) -> list[str]:
    asked: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with databases.connection().execute_wrapper(note):
        ask()
    return asked


SIMPLE: dict[str, Callable[[], Any]] = {
    "all": lambda: list(ln.File.select()),
    "text": lambda: list(ln.File.select(key="a_b.txt")),
    "a number": lambda: list(ln.File.select(size__gte=3).filter(version=1)),
    "truth": lambda: list(ln.File.select(is_latest=False)),
    "null": lambda: list(ln.File.select(run_id=None)),
    "a time": lambda: list(ln.Run.select(created_at__lt=datetime.datetime.now(datetime.UTC))),
    "a relation": lambda: list(ln.File.select(created_by_id="none")),
    "a start": lambda: list(ln.File.select(key__startswith="a*")),
    "another name": lambda: list(ln.File.select(v=2)),
    "the trash": lambda: list(ln.File.select(trashed_at__isnull=False)),
    "several texts": lambda: list(ln.File.select(key__in=["a_b.txt", "a%b.txt", "none"])),
    "several numbers": lambda: list(ln.File.select(size__in={2, 3})),
    "a record": lambda: list(ln.File.select(created_by=ln.User.select().first(), run=ln.Run.select().first())),
    "several records": lambda: list(ln.Run.select(transform__in=ln.Transform.select()[:3].list())),
    "values": lambda: list(ln.File.select(suffix=".txt").values_list("v", "created_by", "created_at")),
    "the values of a field": lambda: ln.Run.select().order_by("id")[:3].list("created_at"),
    "the first values": lambda: ln.Run.select().values_list("params", "status").first(),
    "a condition": lambda: list(ln.File.select(Q(suffix=".txt") | ~Q(size__lt=4))),
    "an order": lambda: list(ln.File.select().order_by("-size", "id")[:3]),
    "a second page": lambda: ln.File.select().page(size=2, after=ln.File.select().page(size=2).next),
    "one": lambda: ln.File.select(key="a_b.txt").one(),
    "the first": lambda: ln.Run.select().first(),
    "a number of records": lambda: ln.File.select(suffix=".txt").count(),
    "whether there is one": lambda: ln.File.select(suffix=".txt").exists(),
    "a kind of transform": lambda: list(ln.Notebook.select(version="1")),
}


@pytest.mark.parametrize("name", SIMPLE)
def test_simple_questions_build_no_query_the_second_time(
    project: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = SIMPLE[name]
    first = _statements(ask)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a query was built")

    monkeypatch.setattr("lamindb.models.query.AliasQuery.get_compiler", refuse)
    assert _statements(ask) == first


@pytest.mark.parametrize("kind", [ln.File, ln.Run, ln.Transform, ln.User, ln.Storage], ids=lambda kind: kind.__name__)
def test_every_field_of_a_kind_is_read(project: None, kind: Any) -> None:
    alias = context.instance().alias
    columns = rows.columns_of(kind, connections[alias].vendor)
    assert columns.names == tuple(field.attname for field in kind._meta.concrete_fields)
    record = kind.select().first()
    assert set(vars(record)) == {*columns.names, "_state"}
    assert not record.get_deferred_fields()


def test_a_record_from_a_list_lives_like_any_other(local_instance: Path) -> None:
    ln.settings.verbosity = 0
    ln.File(b"a", key="a.txt", description="old").save()
    record = ln.File.select(key="a.txt").one()
    other = ln.File.select(key="a.txt").one()
    assert record == other and record is not other and record._state is not other._state
    record.description = "new"
    record.save()
    other.refresh_from_db()
    assert other.description == "new" and other.created_by is not None
    partial = ln.File.select(key="a.txt").only("key").one()
    assert partial.get_deferred_fields() and partial.description == "new"
    assert pickle.loads(pickle.dumps(record)) == record


def test_a_query_that_was_made_keeps_what_is_done_to_it(local_instance: Path) -> None:
    ln.settings.verbosity = 0
    for key in ("a.txt", "b.txt"):
        ln.File(key.encode(), key=key).save()
    query = ln.File.select(suffix=".txt")
    query.query.set_limits(0, 1)
    assert len(query) == 1 and len(ln.File.select(suffix=".txt")) == 2
    kept = ln.File.select(suffix=".txt").order_by("key")
    again = pickle.loads(pickle.dumps(kept))
    assert [one.key for one in again] == [one.key for one in kept] == ["a.txt", "b.txt"]
    assert [one.key for one in kept.using(context.instance().alias).reverse()] == ["b.txt", "a.txt"]


def test_records_know_their_relations(local_instance: Path) -> None:
    transform = ln.Transform(name="t", type="pipeline").save()
    run = ln.Run(transform=transform).save()
    found = transform.run_set.filter(name=None)
    assert [one.id for one in found] == [run.id] and found[0].related("transform") is transform
    assert [one.related("transform") for one in ln.Run.select().prefetch_related("transform")] == [transform]


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02 03:04:05.678901", "2026-01-02T03:04:05.678901+00:00"),
        ("2026-01-02 03:04:05+00:00", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05+02:00"),
        ("2026-01-02", "2026-01-02T00:00:00+00:00"),
        ("2026-01-02 03:04", "2026-01-02T03:04:00+00:00"),
    ],
)
def test_times_that_other_programs_wrote_are_read_as_django_reads_them(
    local_instance: Path, stored: str, wanted: str
) -> None:
    ln.Transform(name="t", type="pipeline").save()
    with databases.writing(context.instance().alias) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE lamindb_transform SET created_at = %s", [stored])
    found, expected = both(lambda: list(ln.Transform.select()))
    assert found == expected and ln.Transform.select().one().created_at.isoformat() == wanted
    assert rows.rows(ln.Transform, context.instance().alias, "id > ''")[0].created_at.isoformat() == wanted


def test_joined_queries_leave_nothing_to_others(local_instance: Path) -> None:
    run = ln.Run(transform=ln.Transform(name="t", type="script").save()).save()
    file = ln.File(b"1", key="a.txt", run=run).save()
    joined = ln.File.objects.all() | run.file_set.all()  # type: ignore[attr-defined]
    assert [one.id for one in joined] == [file.id]
    found = ln.File.select(key__contains="a").first()
    assert found is not None and found.run is not run
    for _ in range(3):
        list(ln.File.select().filter(run__file_set__size__gt=5))
    assert len(query_module._common(ln.File, is_softened=True).table_map["lamindb_file"]) == 1


@pytest.mark.parametrize("names", [("v",), ("created_by",), ("pk", "run")])
def test_values_of_a_simple_query_join_those_of_another_one(project: None, names: tuple[str, ...]) -> None:
    def ask() -> list[Any]:
        simple, other = ln.File.select(suffix=".txt"), ln.File.select(key__contains="b")
        joined = simple.values_list(*names) | other.values_list(*names)
        return sorted(map(repr, joined))

    found, wanted = both(ask)
    assert isinstance(found, list) and found == wanted


def test_a_relation_asks_for_its_own_records_on_any_database(local_instance: Path) -> None:
    transform = ln.Transform(name="t", type="script").save()
    run, other = ln.Run(transform=transform).save(), ln.Run(transform=transform).save()
    ln.File(b"1", key="a.txt", run=run).save()
    assert other.file_set.using(other.alias).count() == 0  # type: ignore[attr-defined]
    assert run.file_set.using(run.alias).count() == 1  # type: ignore[attr-defined]
