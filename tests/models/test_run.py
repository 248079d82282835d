"""`run.inputs` and `run.outputs`: a list and a query, before and after the run is saved."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import lamindb as ln
from lamindb.errors import InvalidInputError, InvalidTypeError


@pytest.fixture(params=["new", "saved"])
def run(request: pytest.FixtureRequest, world: SimpleNamespace) -> Any:
    run = ln.Run(transform=world.second)
    return run.save() if request.param == "saved" else run


def test_it_reads_as_a_list_does(world: SimpleNamespace, run: Any) -> None:
    a, b, c = world.old, world.derived, world.new
    assert not run.inputs
    assert (len(run.inputs), list(run.inputs), run.inputs == []) == (0, [], True)
    run.inputs.append(b)
    run.inputs.extend([a, b])
    run.inputs.add(c, a)
    assert list(run.inputs) == run.inputs.list() == [b, a, c]
    assert run.inputs
    assert (len(run.inputs), run.inputs.count(), run.inputs.count(a), run.inputs.count(world.gone)) == (3, 3, 1, 0)
    assert (run.inputs[0], run.inputs[-1], run.inputs[1:]) == (b, c, [a, c])
    assert run.inputs.index(a) == 1
    assert a in run.inputs
    assert world.gone not in run.inputs
    assert "a.txt" not in run.inputs
    assert run.inputs == [b, a, c]
    assert run.inputs != [a, b, c]
    assert run.inputs == run.inputs
    assert repr(run.inputs) == repr([b, a, c])
    with pytest.raises(IndexError):
        run.inputs[3]
    with pytest.raises(ValueError, match="not in list"):
        run.inputs.index(world.gone)
    with pytest.raises(TypeError):
        hash(run.inputs)
    run.inputs.remove(a)
    assert run.inputs == [b, c]
    with pytest.raises(ValueError, match="is no input of"):
        run.inputs.remove(a)
    run.inputs.set([c, a])
    assert set(run.inputs) == {a, c}
    run.inputs = [b]
    assert run.inputs == [b]
    run.inputs.clear()
    run.inputs.clear()
    assert run.inputs == []


def test_what_was_remembered_is_linked_by_saving(world: SimpleNamespace) -> None:
    run = ln.Run(transform=world.second, inputs=[world.new, world.derived])
    run.outputs.append(world.gone)
    run.save()
    again = ln.Run.select(id=run.id).one()
    assert again.inputs == [world.new, world.derived]
    assert again.outputs == [world.gone]
    assert world.made in world.gone.producers


def test_it_asks_as_a_query_does(world: SimpleNamespace) -> None:
    run = world.made
    assert run.outputs.filter(v=2).one() == world.new
    assert set(run.outputs.all()) == {world.old, world.new, world.gone}
    assert run.outputs.exists()
    assert run.outputs.order_by("-size").first() == world.gone
    assert len(run.outputs.df()) == 3
    assert "gone.txt" in run.outputs._repr_html_()
    with pytest.raises(AttributeError, match="nonsense"):
        _ = run.outputs.nonsense
    with pytest.raises(AttributeError):
        _ = run.outputs._private


def test_wrong_members_change_nothing(world: SimpleNamespace, run: Any) -> None:
    run.inputs.add(world.derived)
    for wrong in ("a.txt", None, world.first, world.made):
        with pytest.raises(InvalidTypeError, match="files"):
            run.inputs.add(world.new, wrong)
    assert run.inputs == [world.derived]


def test_an_unsaved_file_is_refused_by_a_saved_run(world: SimpleNamespace) -> None:
    with pytest.raises(InvalidInputError, match="save"):
        world.read.inputs.add(world.new, ln.File(b"unsaved", key="u"))
    assert world.read.inputs == [world.old]


def test_nobody_shares_what_is_remembered(world: SimpleNamespace) -> None:
    one, other = ln.Run(transform=world.second), ln.Run(transform=world.second)
    one.inputs.append(world.new)
    assert other.inputs == []
    given = [world.new]
    run = ln.Run(transform=world.second, inputs=given)
    run.inputs.append(world.old)
    assert given == [world.new]
