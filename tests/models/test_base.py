"""Records: equal by id, whole after pickling, loaded late in one query, shown without harm."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

import lamindb as ln
from lamindb.core import context
from lamindb.errors import InvalidInputError, InvalidTypeError


def queries() -> CaptureQueriesContext:
    return CaptureQueriesContext(connections[context.instance().alias])


def test_records_are_equal_by_kind_and_id(world: SimpleNamespace) -> None:
    again = ln.File.select(key="a.txt").one()
    assert again == world.new
    assert again is not world.new
    assert hash(again) == hash(world.new)
    assert again != world.old
    assert world.made != world.first
    assert len({again, world.new, world.old}) == 2
    one, other = ln.File(b"same", key="same"), ln.File(b"same", key="same")
    assert one != other
    before = hash(one)
    assert hash(one.save()) == before


@pytest.mark.parametrize("through", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy])
def test_copies_of_records_are_whole(world: SimpleNamespace, through: Any) -> None:
    for record in (world.new, world.made, world.second, ln.User.select().first(), ln.Storage.select().first()):
        twin = through(record)
        assert twin == record
        assert twin.is_saved
        assert repr(twin) == repr(record)
        twin.refresh_from_db()
    twin = through(world.new)
    twin.description = "changed"
    assert world.new.description is None
    twin.save()
    assert ln.File.select(key="a.txt").one().description == "changed"
    assert through(ln.File.select(key="a.txt").only("key").get()).size == 3


def test_a_new_file_survives_copying_and_is_saved_once(world: SimpleNamespace) -> None:
    file = ln.File(b"new", key="new.txt", run=world.made)
    assert copy.copy(file).save() == file
    assert ln.File.select(key="new.txt").one().hash == file.hash


@pytest.mark.parametrize("through", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy])
def test_copies_of_queries_give_the_same(world: SimpleNamespace, through: Any) -> None:
    query = ln.File.select(source__pipeline__v="1").order_by("v")
    assert list(through(query)) == list(query) == [world.new]
    assert list(through(query).filter(is_latest=False)) == [world.old]
    assert list(through(ln.File.select())) == [world.derived, world.new]


def test_what_was_left_out_is_loaded_in_one_query(world: SimpleNamespace) -> None:
    for query in (ln.File.select().only("key"), ln.File.select().defer("size", "hash")):
        file = query.get(key="a.txt")
        missing = file.get_deferred_fields()
        assert missing
        with queries() as asked:
            values = [getattr(file, name) for name in sorted(missing)]
        assert len(asked) == 1, missing
        assert values == [getattr(world.new, name) for name in sorted(missing)]
        assert not file.get_deferred_fields()


def test_refreshing_reads_what_others_wrote(world: SimpleNamespace) -> None:
    mine, theirs = ln.File.select(key="b.csv").one(), ln.File.select(key="b.csv").one()
    theirs.description = "theirs"
    theirs.save()
    assert mine.description == "derived"
    mine.refresh_from_db(fields=["description"])
    assert mine.description == "theirs"
    mine.name = "not saved"
    mine.refresh_from_db()
    assert mine.name == theirs.name


def test_deferred_fields_are_not_written_back(world: SimpleNamespace) -> None:
    file = ln.File.select().only("id", "description").get(key="b.csv")
    file.description = "new words"
    file.save()
    after = ln.File.select(key="b.csv").one()
    assert (after.description, after.size, after.hash) == ("new words", 2, world.derived.hash)


def test_a_deleted_record_does_not_come_back(world: SimpleNamespace) -> None:
    lonely = ln.Transform(name="lonely", type="script").save()
    twin = ln.Transform.select(name="lonely").one()
    lonely.delete()
    twin.description = "back?"
    with pytest.raises(ln.LaminError):
        twin.save()
    assert ln.Transform.select(name="lonely").one_or_none() is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda w: ln.Transform("a", "b"), "positional"), (lambda w: ln.Transform(nmae="x"), "name"),
        (lambda w: ln.Run(transform="x"), "must be a Transform"), (lambda w: ln.Run(), "needs the transform"),
        (lambda w: ln.File(), "needs data"), (lambda w: ln.File(b"x", run="r"), "must be a Run"),
        (lambda w: ln.File(b"x", name=3), "must be text"), (lambda w: ln.Transform(type="script"), "needs a name"),
        (lambda w: ln.Transform(name="x", created_at=None), "created_at"),
        (lambda w: w.new.delete(nonsense=True), "nonsense"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_clear_error(world: SimpleNamespace, make: Any, said: str) -> None:
    with pytest.raises(InvalidTypeError, match=said):
        make(world)
    with pytest.raises(InvalidInputError):
        world.new.save("now")


def test_what_is_shown_runs_nothing_and_stays_on_its_line(world: SimpleNamespace) -> None:
    evil = "<script>alert(1)</script>\x1b[2J\n\u202e"
    world.first.description = evil
    world.first.save()
    transform = ln.Transform.select(description=evil).one()
    for shown in (transform._repr_html_(), ln.Transform.select()._repr_html_()):
        assert "<script>" not in shown
        assert "<b>" not in shown
        assert "First &lt;b&gt;" in shown
    assert repr(transform).isprintable()
    assert str(transform) == repr(transform)
    long = ln.Transform(name="x" * 500, type="script")
    assert len(repr(long)) < 600


def test_related_managers_are_pinned_and_not_narrowed(world: SimpleNamespace) -> None:
    assert set(world.made.file_set.all()) == {world.old, world.new, world.gone}
    assert world.first.run_set.get() == world.made
    assert world.made.file_set.filter(v=2).get() == world.new
    assert ln.Storage.select().one().file_set.count() == 4
    child = ln.Run(transform=world.second, parent=world.made).save()
    assert list(world.made.children.all()) == [child]
    with queries() as asked:
        found = {run: list(run.file_set.all()) for run in ln.Run.objects.prefetch_related("file_set")}
    assert len(asked) == 2
    assert set(found[world.made]) == {world.old, world.new, world.gone}


def test_what_is_set_in_a_copy_is_no_change_of_the_original(world: SimpleNamespace) -> None:
    file = world.derived
    file.description = "of the original"
    copied = copy.copy(file)
    copied.name = "of the copy"
    world.derived.settle()
    assert copied.__dict__["_assigned"] == {"description", "name"}
    assert copied.save().name == "of the copy"
    assert ln.File.get(file.id).description == "of the original"


def test_a_deleted_record_is_not_saved(instance: Path) -> None:
    transform = ln.Transform(name="t", type="pipeline").save()
    run = ln.Run(transform=transform).save()
    with pytest.raises(ln.errors.ReferencedError):
        transform.delete()
    assert transform.is_saved and transform.id is not None
    run.delete()
    for record in (run, transform):
        if record.is_saved:
            record.delete()
        assert not record.is_saved
        with pytest.raises(InvalidInputError, match="not saved"):
            record.delete()
        with pytest.raises(ln.errors.ConflictError, match="was deleted meanwhile"):
            record.save()


def test_a_record_of_a_disconnected_instance_says_so(instance: Path) -> None:
    ln.settings.verbosity = 0
    ln.File(b"1", key="a.txt").save()
    file, partial = ln.File.select().one(), ln.File.select().only("key").one()
    ln.disconnect()
    for ask in (file.refresh_from_db, lambda: file.refresh_from_db(fields=["key"]), lambda: partial.size):
        with pytest.raises(ln.errors.NoInstanceError, match="disconnected: connect it again"):
            ask()
    assert file.key == "a.txt"
