"""Asking: select in all its spellings, join, lookup, search, errors that name the fix. On both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
import lamindb.schema as lns
from lamindb.errors import LaminError, UnknownFieldError
from lamindb.models import FolderMember


@pytest.fixture
def project(instance: Path) -> Path:
    run = ln.track(ln.Transform(name="Align", version="2", type="pipeline"))
    del run
    for name, text in (("output.bam", "1"), ("output.bam.bai", "2"), ("output.csv", "3"), ("input.fastq.gz", "4")):
        Path(name).write_text(text)
        ln.File(name, key=f"data/{name}").save()
    return instance


def test_one_none_and_many(project: Path) -> None:
    with pytest.raises(ln.NoResultFound, match=r"File.*absent"):
        ln.File.select(key="absent").one()
    with pytest.raises(ln.MultipleResultsFound, match="4 records"):
        ln.File.select().one()
    with pytest.raises(ln.MultipleResultsFound):
        ln.File.select().one_or_none()
    assert ln.File.select(key="absent").one_or_none() is None
    assert ln.File.select(key="absent").first() is None
    assert ln.File.select().first().name == "output.bam"


def test_name_and_suffix_together_find_the_stem(project: Path) -> None:
    assert ln.File.select(name="output", suffix=".bam").one().name == "output.bam"
    assert ln.File.select(name="output.bam", suffix=".bam").one().name == "output.bam"
    assert ln.File.select(name="input.fastq.gz").one().suffix == ".fastq.gz"
    assert ln.File.select(name="output").count() == 0
    assert ln.select(lns.Run).join(ln.DObject, name="output", suffix=".bam").one() == ln.context.run


def test_all_spellings_give_the_same(project: Path) -> None:
    run = ln.context.run
    expected = list(ln.File.select(run=run))
    assert len(expected) == 4
    for query in (
        ln.select(ln.File, run=run), ln.select(ln.DObject, source=run), ln.File.filter(run_id=run.id),
        ln.File.select(ln.Q(run=run)), ln.File.select(run__transform__name="Align"),
        ln.File.select(source__pipeline__v="2"), ln.File.select().join(ln.Run, id=run.id), run.outputs.all(),
        ln.File.select(transform=run.transform), ln.File.select().filter(run=run).order_by("created_at"),
    ):  # fmt: skip
        assert list(query) == expected
    with ln.Session() as session:
        assert list(session.select(ln.File, run=run)) == expected


def test_look_ups_orders_and_slices(project: Path) -> None:
    assert ln.File.select(name__startswith="output").count() == 3
    assert ln.File.select(size__gt=0, name__in=["output.csv", "x"]).one().name == "output.csv"
    assert [f.name for f in ln.File.select().order_by("-name")[:2]] == ["output.csv", "output.bam.bai"]
    assert ln.File.select().exclude(suffix=".bam").count() == 3
    assert ln.File.select(ln.Q(suffix=".bam") | ln.Q(suffix=".csv")).count() == 2
    assert ln.File.select().list("name")[0] == "output.bam"
    assert ln.File.select(key=None).count() == 0
    table = ln.File.select(suffix=".bam").df()
    assert table.index.name == "id"
    assert table.loc[ln.File.select(suffix=".bam").one().id, "key"] == "data/output.bam"
    assert list(ln.File.select().values("v", "source__pipeline__v")[:1]) == [{"v": 1, "source__pipeline__v": "2"}]
    assert len(ln.File.select(key="absent").df()) == 0


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"kye": "x"}, "key"), ({"run__transform__nme": "x"}, "name"), ({"sise__gt": 1}, "size"),
        ({"key__strtswith": "x"}, "startswith"), ({"created_bye": "x"}, "created_by"),
    ],
)  # fmt: skip
def test_unknown_fields_name_the_nearest(project: Path, filters: dict[str, object], named: str) -> None:
    with pytest.raises(LaminError, match=named):
        list(ln.File.select(**filters))
    with pytest.raises(UnknownFieldError):
        ln.File.select().order_by("crated_at").first()


def test_values_of_wrong_types_are_refused(project: Path) -> None:
    for filters in ({"size": "abc"}, {"size": [1, 2]}, {"created_at": "not a time"}):
        with pytest.raises((ValueError, TypeError)):
            list(ln.File.select(**filters))
    with pytest.raises(ValueError, match="not saved"):
        ln.File.select(run=ln.Run(transform=ln.Transform(name="x", type="pipeline")))
    with pytest.raises(TypeError):
        ln.select("File")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not related"):
        ln.select(ln.User).join(FolderMember)


def test_a_nul_is_refused_and_not_searched_for(project: Path) -> None:
    with pytest.raises(ValueError, match=r"NUL|\\x00|cannot hold"):
        ln.File(b"x", name="a\0b").save()


def test_old_versions_and_trash_are_hidden_until_named(project: Path) -> None:
    Path("output.csv").write_text("new")
    new = ln.File("output.csv", key="data/output.csv").save()
    assert ln.File.select(key="data/output.csv").one() == new
    assert ln.File.select(key="data/output.csv", is_latest=False).one().version == 1
    new.delete()
    assert ln.File.select(key="data/output.csv").one().version == 1
    assert ln.File.select(trashed_at__isnull=False, is_latest=False).one() == new
    assert ln.File.select(ln.Q(is_latest=True) | ln.Q(is_latest=False), key="data/output.csv").count() == 1
    new.restore()
    assert ln.File.select(key="data/output.csv").one() == new


def test_typed_views(project: Path) -> None:
    notebook = lns.Notebook(name="N").save()
    assert isinstance(notebook, ln.Transform)
    assert notebook.version == "1"
    assert list(ln.select(lns.Notebook)) == [notebook]
    assert ln.Transform.select(type="notebook").one() == notebook
    assert [t.name for t in lns.Pipeline.select()] == ["Align"]
    pipeline = ln.add(lns.Pipeline(v="1", name="10x"))
    assert (pipeline.v, pipeline.version, pipeline.type) == ("1", "1", "pipeline")
    assert ln.add(lns.Pipeline(v="1", name="10x")).id == pipeline.id
    with pytest.raises(ValueError, match="pipeline"):
        lns.Pipeline(name="x", type="notebook")
    with pytest.raises(ValueError, match="type must be one of"):
        ln.Transform(name="x", type="spaceship")


def test_lookup_survives_odd_values(project: Path) -> None:
    for handle in ("class", "1abc", "a-b", "dict", "_x"):
        ln.User(handle=handle).save()
    users = ln.User.lookup(field="handle")
    assert users.ln_class.handle == "class"
    assert users.ln_1abc.handle == "1abc"
    assert users.a_b.handle == "a-b"
    assert users.dict()["dict"].handle == "dict"
    assert "a_b" in dir(users)
    with pytest.raises(AttributeError, match="a_b"):
        users.a_c  # noqa: B018
    names = ln.Transform.lookup()
    assert names.align.name == "Align"
    with pytest.raises(UnknownFieldError):
        ln.User.lookup(field="handel")


def test_search_returns_records_ranked(project: Path) -> None:
    for name in ("Cell Ranger", "cell counting", "Ranger"):
        ln.Transform(name=name, type="pipeline").save()
    assert ln.Transform.search("cell ranger", top_hit=True).name == "Cell Ranger"
    assert ln.Transform.search("cellrangr", top_hit=True).name == "Cell Ranger"
    assert [t.name for t in ln.Transform.search("ranger")][:2] == ["Ranger", "Cell Ranger"]
    assert ln.Transform.search("zzzz", top_hit=True) is None
    assert "score" in ln.Transform.search("cell").df()
    with pytest.raises(UnknownFieldError):
        ln.Transform.search("x", field="nmae")


def test_records_show_themselves_on_one_line(project: Path) -> None:
    file = ln.File.select(suffix=".bam").one()
    assert repr(file).startswith("File(id='")
    assert "\n" not in repr(file)
    assert "<table>" in file._repr_html_()
    assert "output.bam" in ln.File.select()._repr_html_()
    assert repr(ln.File(b"x", name="evil\x1b[31m\n")).isprintable()
    assert hash(file) == hash(ln.File.select(suffix=".bam").one())


def test_view_prints_every_kind(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ln.view()
    shown = capsys.readouterr().out
    for kind in ("File", "Run", "Transform", "User", "Storage"):
        assert f"{kind}\n" in shown
    with pytest.raises(ValueError, match="n must be"):
        ln.view(0)


def test_bulk_updates_only_what_is_safe(project: Path) -> None:
    assert ln.File.select(suffix=".bam").update(description="aligned") == 1
    assert ln.File.select(suffix=".bam").one().description == "aligned"
    with pytest.raises(ValueError, match="key"):
        ln.File.select().update(key="x")


def test_lists_of_records_are_all_or_nothing(instance: Path) -> None:
    good = [ln.File(f"{i}".encode(), key=f"{i}.txt") for i in range(3)]
    with pytest.raises(TypeError, match="nothing was saved"):
        ln.save([*good, "not a record"])
    assert ln.File.select().count() == 0
    with pytest.raises(TypeError):
        ln.save("abc")
    ln.save(file for file in good)
    assert ln.File.select().count() == 3
    assert ln.add([good[0]]) == [good[0]]
    assert ln.add(ln.Transform, name="T", type="pipeline") == ln.add(ln.Transform, name="T", type="pipeline")
