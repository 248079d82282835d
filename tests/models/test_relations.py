"""Filters by relations: text names a record by id, handle, name, reference, root or key, or it is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.errors import MultipleResultsFound, NoResultFound


@pytest.fixture
def project(instance: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("LAMIN_USER", "ada")
    raw = ln.File(b"raw", key="raw.txt").save()
    made = []
    for version in ("1", "2"):
        with ln.track(ln.Transform(name="clean", version=version)) as run:
            raw.stage(is_run_input=True)
            made.append(ln.File(f"v{version}".encode(), key="clean.txt").save())
        made.append(run)
    return {"raw": raw, "one": made[0], "first": made[1], "two": made[2], "second": made[3]}


def test_text_names_a_record(project: dict[str, Any], instance: Path) -> None:
    first, second, one, two = project["first"], project["second"], project["one"], project["two"]
    assert ln.Run.select(transform="clean").list() == [first, second]
    assert ln.Run.select(transform=first.transform.id).list() == [first]
    assert ln.Run.select(transform__in=["clean"]).count() == 2
    assert ln.Run.select(pipeline="clean").count() == 2
    assert ln.Run.select(ln.Q(transform="clean") & ~ln.Q(id=first.id)).list() == [second]
    assert ln.File.select(created_by="ada").count() == 2
    assert ln.File.select(created_by__handle="ada").count() == 2
    assert ln.File.select(storage="mydata").count() == 2
    assert ln.Run.select(inputs="raw.txt").list() == [first, second]
    assert ln.Run.select(outputs="clean.txt").list() == [first, second]
    assert ln.Run.select(outputs=two.id).list() == [second]
    assert ln.File.select(run__transform="clean", version__in=[1, 2]).list() == [one, two]
    assert ln.File.select().exclude(created_by="ada").list() == []


def test_a_root_names_a_storage(project: dict[str, Any], instance: Path) -> None:
    storage = ln.Storage.select().one()
    Path("more").mkdir()
    more = ln.Storage(root="more").save()
    for root in (storage.root, f"{storage.root}/", "mydata"):
        assert ln.Storage.select(root=root).one() == storage
        assert ln.File.select(storage__root=root).count() == 2
        assert ln.File.select(storage=root).count() == 2
    assert ln.Storage.select(root="more").one() == ln.Storage.select(root__in=[Path("more")]).one() == more
    assert ln.File.select(storage__root=more.root).count() == 0


def test_text_that_names_nothing_says_what_is_near(project: dict[str, Any]) -> None:
    for query, near in (
        (lambda: ln.Run.select(transform="cleam"), "clean"),
        (lambda: ln.File.select(created_by="adda"), "ada"),
        (lambda: ln.Run.select(inputs="rwa.txt"), "raw.txt"),
    ):
        with pytest.raises(NoResultFound, match=f"did you mean '{near}'"):
            query()


def test_text_that_names_several_lists_them(project: dict[str, Any]) -> None:
    ids = [ln.Transform(name="title", type="notebook", reference=f"{name}.ipynb").save().id for name in "ab"]
    with pytest.raises(MultipleResultsFound, match=ids[0]) as error:
        ln.Run.select(transform="title")
    assert ids[1] in str(error.value)
    assert ln.Run.select(transform="a.ipynb").count() == 0


def test_what_a_run_made_again_is_found_by_it(project: dict[str, Any]) -> None:
    first, two = project["first"], project["two"]
    with ln.track(ln.Transform(name="again")) as again:
        ln.File(b"v2", key="clean.txt").save()
    assert ln.File.select(run=again).one() == ln.File.select(transform=again.transform).one() == two
    assert ln.File.select(run__in=[again, first]).count() == 1
    assert ln.File.select(producers=again).one() == two
    assert ln.File.select(producers__in=[project["second"], again]).list() == [two]
    assert ln.File.select().exclude(run=again).list() == [project["raw"]]
    assert ln.File.select(run_id=again.id).list() == []


@pytest.mark.parametrize("kind", [ln.File, ln.Run, ln.Transform, ln.Pipeline])
def test_users_are_joined_by_what_they_created(project: dict[str, Any], kind: Any) -> None:
    assert kind.select().join(ln.User, handle="ada").count() == kind.select().count() > 0
    assert kind.select().join(ln.User, handle="bob").count() == 0
    assert ln.User.select().join(kind).one().handle == "ada"
    assert ln.User.select().join(kind, id="nothing").count() == 0


def test_get_returns_the_one_that_is_named(project: dict[str, Any]) -> None:
    two, one = project["two"], project["one"]
    assert ln.File.get("clean.txt") == ln.File.get(two.id) == ln.File.get(key="clean.txt") == two
    assert ln.File.get(one.id) == one
    assert ln.Transform.get("clean").version == "2"
    assert ln.Pipeline.get("clean", version="1") == project["first"].transform
    assert ln.User.get("ada").handle == "ada"
    with pytest.raises(NoResultFound, match=r"did you mean 'clean\.txt'"):
        ln.File.get("cleam.txt")
    project["raw"].delete()
    with pytest.raises(NoResultFound, match="trash"):
        ln.File.get("raw.txt")
    with pytest.raises(MultipleResultsFound):
        ln.Run.get(transform="clean")


def test_a_name_that_is_also_a_reference_does_not_hide_others(instance: Path) -> None:
    for fields in ({"type": "pipeline"}, {"type": "script", "reference": "code/qc.py"}):
        ln.Run(transform=ln.Transform(name="qc", **fields)).save()
    with pytest.raises(MultipleResultsFound, match="several transforms are called 'qc'"):
        ln.Run.select(transform="qc").list()
    assert ln.Run.select(transform="qc.py").count() == 1
