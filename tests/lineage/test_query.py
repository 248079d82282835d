"""Ancestors and descendants: equal to a plain walk on any graph, cycles included, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lamindb as ln
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound
from tests.support import depth
from tests.support.lineages import Plain, Written, write

MODELS = {"file": ln.File, "run": ln.Run, "transform": ln.Transform}


def numbers_below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


@st.composite
def graphs(draw: st.DrawFn) -> Plain:
    """Any graph: diamonds, cycles, self-loops, files that no run made, runs that read nothing."""
    n_runs, n_files = draw(st.integers(1, 7)), draw(st.integers(1, 10))
    made_by = [draw(st.none() | numbers_below(n_runs)) for _ in range(n_files)]
    pairs = st.sets(st.tuples(numbers_below(n_runs), numbers_below(n_files)), max_size=14)
    transform_of = [draw(numbers_below(3)) for _ in range(n_runs)]
    return Plain(made_by, transform_of, draw(pairs), draw(st.sets(pairs.map(lambda s: min(s, default=(0, 0))))))


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> Plain:
    """Graphs as time makes them: a run reads only what earlier runs made."""
    made_by: list[int | None] = [None] * draw(st.integers(1, 3))
    read, again = set(), set()
    n_runs = draw(st.integers(1, 8))
    for run in range(n_runs):
        before = len(made_by)
        read |= {(run, file) for file in draw(st.sets(numbers_below(before), max_size=4))}
        made_by += [run] * draw(st.integers(0, 3))
        again |= {(run, file) for file in draw(st.sets(numbers_below(before), max_size=1))}
    return Plain(made_by, [draw(numbers_below(3)) for _ in range(n_runs)], read, again)


def check(plain: Plain, written: Written, kind: str, number: int, **options: Any) -> None:
    """Ask all that can be asked about one record, and compare."""
    record = written.record(kind, number)
    for is_up in (True, False):
        ask = record.ancestors if is_up else record.descendants
        for wanted, model in MODELS.items():
            expected = plain.reached(kind, number, wanted, is_up=is_up, **options)
            query = ask(model, **options)
            assert written.numbers(wanted, query.list("id")) == expected, (kind, number, wanted, is_up, options)
            assert query.count() == len(expected)
            ids = ln.lineage.ancestor_ids if is_up else ln.lineage.descendant_ids
            assert written.numbers(wanted, ids(record, model=model, **options)) == expected


@pytest.mark.parametrize("shapes", [acyclic_graphs, graphs], ids=["acyclic", "any"])
@pytest.mark.slow
@pytest.mark.timeout(600)
@depth.on_one_database()
def test_random_graphs_equal_the_oracle(instance: Path, shapes: Any) -> None:
    @settings(max_examples=200 if depth.FULL else 80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(shapes(), st.data())
    def ask(plain: Plain, data: st.DataObject) -> None:
        written = write(plain)
        kind = data.draw(st.sampled_from(["file", "run", "transform"]))
        number = data.draw(numbers_below(len(written.ids(kind))))
        depth = data.draw(st.none() | st.integers(0, 4))
        check(plain, written, kind, number, depth=depth, all_producers=data.draw(st.booleans()))
        ends_equal_the_oracle(plain, written, kind, number)

    ask()


def ends_equal_the_oracle(plain: Plain, written: Written, kind: str, number: int) -> None:
    record = written.record(kind, number)
    for all_producers in (False, True):
        for is_up, ends in ((True, ln.lineage.roots), (False, ln.lineage.leaves)):
            reached = plain.reached(kind, number, "file", is_up=is_up, all_producers=all_producers)
            around = reached | ({number} if kind == "file" else set())
            steps = plain.steps(is_up=is_up, all_producers=all_producers)
            expected = {
                file
                for file in around
                if not {other for run in steps.get(("file", file), ()) for other in steps.get(run, ())}
                - {("file", file)}
            }
            assert written.numbers("file", ends(record, all_producers=all_producers).list("id")) == expected


def chain(length: int) -> Plain:
    return Plain([None, *range(length)], [0] * length, {(run, run) for run in range(length)})


def ladder(rungs: int) -> Plain:
    """Each run makes two files and reads both of the run before it."""
    made_by = [run for run in range(rungs) for _ in range(2)]
    read = {(run, file) for run in range(1, rungs) for file in (2 * run - 2, 2 * run - 1)}
    return Plain([*made_by], [run % 3 for run in range(rungs)], read)


def test_a_chain_of_300_runs(instance: Path) -> None:
    plain = chain(300)
    written = write(plain)
    for number in (0, 150, 300):
        check(plain, written, "file", number)
    last = written.record("file", 300)
    assert last.ancestors().count() == 300
    assert last.ancestors(depth=299).count() == 299
    assert last.ancestors(ln.Run, depth=299).count() == 299
    assert ln.lineage.roots(last).one().id == written.files[0]
    assert ln.lineage.leaves(written.record("file", 0)).one().id == written.files[300]


def test_a_ladder_of_1000_diamonds(instance: Path) -> None:
    plain = ladder(1_000)
    written = write(plain)
    last = written.record("file", 1_999)
    assert written.numbers("file", last.ancestors().list("id")) == set(range(1_998))
    assert last.ancestors(ln.Run).count() == 1_000
    assert last.ancestors(ln.Transform).count() == 3
    assert written.record("file", 0).descendants().count() == 1_998


@pytest.mark.parametrize(
    "plain",
    [
        Plain([0, 1], [0, 1], {(1, 0), (0, 1)}),
        Plain([0, 0], [0], {(0, 0), (0, 1)}),
        Plain([0], [0], {(0, 0)}),
        Plain([None, 0, 1], [0, 1], {(0, 0), (1, 1), (0, 2)}, {(1, 0), (0, 0)}),
    ],
    ids=["two runs", "a run that reads all it makes", "a self-loop", "bytes made again"],
)
def test_cycles_end_and_do_not_hold_the_record_itself(instance: Path, plain: Plain) -> None:
    written = write(plain)
    for kind in MODELS:
        for number in range(len(written.ids(kind))):
            for all_producers in (False, True):
                check(plain, written, kind, number, all_producers=all_producers)
                ends_equal_the_oracle(plain, written, kind, number)


def test_lineage_is_a_query_like_any_other(instance: Path) -> None:
    written = write(chain(5), types=("notebook",))
    file = written.record("file", 5)
    found = file.ancestors()
    assert [one.id for one in found] == written.files[:5]
    assert found.filter(size__gt=2).count() == 2
    assert [one.size for one in found.order_by("-size")[:2]] == [4, 3]
    assert list(found.df().index) == written.files[:5]
    assert found.filter(name="1.csv").one().id == written.files[1]
    assert file.ancestors(ln.Notebook).count() == 1
    assert file.ancestors(ln.Pipeline).count() == 0
    assert ln.Run.select(inputs__in=found).distinct().count() == 5
    assert ln.File.select(id__in=found.values("id")).exclude(id__in=file.ancestors(depth=2)).count() == 3
    assert found.search("3.csv")[0].id == written.files[3]


def test_lineage_is_asked_anew_each_time(instance: Path) -> None:
    written = write(Plain([None, None, 0], [0], {(0, 0)}))
    found, near = written.record("file", 2).ancestors(), written.record("file", 2).ancestors(depth=1)
    assert found.count() == near.count() == 1
    written.record("run", 0).inputs.add(written.record("file", 1))
    assert found.count() == near.count() == 2


def test_old_versions_and_the_trash_are_not_hidden(instance: Path) -> None:
    written = write(chain(3))
    ln.File.objects.filter(id=written.files[1]).update_rows({"is_latest": False})
    written.record("file", 2).delete()
    assert written.record("file", 2).is_trashed
    assert written.record("file", 3).ancestors().list("id") == written.files[:3]
    assert written.record("file", 0).descendants().list("id") == written.files[1:]
    assert written.record("file", 2).ancestors().count() == 2
    assert written.record("file", 3).ancestors().filter(trashed_at=None).count() == 2


def test_an_edge_points_at_the_version_that_was_read(instance: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    ln.track(ln.Transform(name="first"))
    source.write_text("1")
    first = ln.File(source, key="a.txt").save()
    source.write_text("2")
    second = ln.File(source, key="a.txt").save()
    ln.track(ln.Transform(name="reader"))
    first.load(is_run_input=True)
    source.write_text("3")
    result = ln.File(source, key="b.txt").save()
    assert result.ancestors().one() == first
    assert second.descendants().count() == 0


def test_common_ancestors(instance: Path) -> None:
    written = write(Plain([None, None, 0, 1, 2], [0, 1, 2], {(0, 0), (0, 1), (1, 2), (2, 2), (2, 1)}))
    both = ln.lineage.common_ancestors(written.record("file", 3), written.record("file", 4))
    assert written.numbers("file", both.list("id")) == {0, 1, 2}
    three = ln.lineage.common_ancestors(*(written.record("file", number) for number in (2, 3, 4)))
    assert written.numbers("file", three.list("id")) == {0, 1}
    runs = ln.lineage.common_ancestors(*(written.record("file", number) for number in (3, 4)), model=ln.Run)
    assert written.numbers("run", runs.list("id")) == {0}


def test_ids_and_keys_name_records(instance: Path) -> None:
    written = write(chain(3))
    for name in (written.files[3], "/".join(written.record("file", 3).key.split("/"))):
        assert sorted(ln.lineage.ancestor_ids(name)) == written.files[:3]
    assert sorted(ln.lineage.ancestor_ids(written.runs[2])) == written.files[:3]
    assert sorted(ln.lineage.ancestor_ids(written.transforms[0])) == written.files[:3]


def test_bad_input_is_a_clear_error(instance: Path, tmp_path: Path) -> None:
    written = write(chain(2))
    file = written.record("file", 2)
    with pytest.raises(InvalidInputError, match="negative"):
        file.ancestors(depth=-1)
    for wrong in (1.5, "1", True):
        with pytest.raises(InvalidTypeError, match="depth"):
            file.ancestors(depth=wrong)
    for model in (ln.User, ln.Storage, int, "File", file):
        with pytest.raises(InvalidTypeError, match=r"ln\.Run"):
            file.descendants(model)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(InvalidInputError, match="not saved"):
        ln.File(tmp_path / "a.txt").ancestors()
    with pytest.raises(InvalidInputError, match="not saved"):
        ln.Run(transform=written.record("transform", 0)).ancestors()
    with pytest.raises(InvalidInputError, match="not saved"):
        ln.Transform(name="new").descendants()
    with pytest.raises(NoResultFound, match="'nobody'"):
        ln.lineage.ancestor_ids("nobody")
    for wrong in (1, None, ln.User.select().one()):
        with pytest.raises(InvalidTypeError, match="lineage is of"):
            ln.lineage.roots(wrong)
    key = file.key
    file.delete()
    with pytest.raises(NoResultFound, match="trash"):
        ln.lineage.ancestor_ids(key)
    assert len(ln.lineage.ancestor_ids(file.id)) == 2


def test_instances_do_not_mix(local_instance: Path, tmp_path: Path) -> None:
    here = write(chain(2)).record("file", 2)
    ln.setup.init(storage=str(tmp_path / "other"))
    there = write(chain(2)).record("file", 2)
    with pytest.raises(InvalidInputError, match="different instances"):
        ln.lineage.common_ancestors(here, there)
    with pytest.raises(NoResultFound, match="other"):
        ln.lineage.ancestor_ids(here.id)
    assert here.ancestors().count() == 2
    ln.setup.disconnect()
    with pytest.raises(InvalidInputError, match="disconnected"):
        there.ancestors()


@pytest.mark.parametrize("kind", ["file", "run"])
@pytest.mark.parametrize("by_itself", [True, False], ids=["the deleted object", "another object"])
def test_what_was_deleted_is_one_error_everywhere(local_instance: Path, kind: str, by_itself: bool) -> None:
    if kind == "file":
        record: Any = ln.File(b"a", key="a.txt").save()
    else:
        record = ln.Run(transform=ln.Transform(name="made by hand").save()).save()
    other = ln.File(b"b", key="b.txt").save()
    same: Any = type(record).objects.get(id=record.id)
    record.delete(permanent=True)
    asked: Any = record if by_itself else same
    questions: list[Callable[[], Any]] = [
        asked.ancestors,
        asked.descendants,
        asked.view_lineage,
        asked.describe,
        lambda: ln.lineage.ancestor_ids(asked),
        lambda: ln.lineage.descendant_ids(asked),
        lambda: ln.lineage.roots(asked),
        lambda: ln.lineage.leaves(asked),
        lambda: ln.lineage.common_ancestors(other, asked),
        lambda: ln.lineage.path(asked, other),
        lambda: ln.lineage.between(other, asked),
        lambda: ln.lineage.graph([other, asked]),
        lambda: ln.lineage.impact(asked),
    ]
    for question in questions:
        with pytest.raises(NoResultFound, match=f"this {kind} was deleted for good"):
            question()


def test_a_wrong_key_names_a_near_one(local_instance: Path) -> None:
    ln.File(b"a", key="raw/reads.csv").save()
    with pytest.raises(NoResultFound, match=r"did you mean 'raw/reads\.csv'"):
        ln.lineage.impact("raw/raeds.csv")
