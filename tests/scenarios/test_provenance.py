"""Where files come from: contexts, inputs, outputs, versions of transforms. On both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

import lamindb as ln
import lamindb.schema as lns
from lamindb.errors import NoResultFound, ReferencedError


def pipeline(name: str = "Cell Ranger", **fields: str) -> ln.Transform:
    return ln.Transform(name=name, type="pipeline", **fields)


def file_of(text: str, key: str, **options: object) -> ln.File:
    source = Path(f"source-{abs(hash((text, key)))}.txt")
    source.write_text(text)
    return ln.File(source, key=key, **options).save()  # type: ignore[arg-type]


def test_a_file_keeps_the_run_that_was_current_when_it_was_made(instance: Path) -> None:
    first_run = ln.track(pipeline("first"))
    first = file_of("1", "1.txt")
    second_run = ln.track(pipeline("second"))
    second = file_of("2", "2.txt")
    assert (first.run, second.run) == (first_run, second_run)
    assert first.transform == first_run.transform
    assert ln.context.run == second_run
    assert ln.Run.select(id=first_run.id).one().status == "completed"


def test_without_a_run_saving_works_and_an_input_is_refused(instance: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ln.settings.verbosity = 3
    file = file_of("1", "1.txt")
    assert file.run is None
    assert file.transform is None
    assert "ln.track()" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"ln\.track"):
        file.stage(is_run_input=True)


def test_an_input_is_linked_once_and_never_to_the_run_that_made_it(instance: Path) -> None:
    ln.track(pipeline("maker"))
    made = file_of("1", "1.txt")
    made.load(is_run_input=True)
    assert list(ln.context.run.inputs) == []
    reader = ln.track(pipeline("reader"))
    made.stage(is_run_input=True)
    made.stage(is_run_input=True)
    made.open(is_run_input=True).close()
    assert list(reader.inputs) == [made]
    assert list(made.input_of) == [reader]


def test_all_that_is_read_is_an_input_once_the_setting_says_so(instance: Path) -> None:
    made = [file_of(str(i), f"{i}.txt") for i in range(4)]
    run = ln.track(pipeline())
    made[0].stage()
    assert len(run.inputs) == 0
    ln.settings.track_run_inputs = True
    made[1].stage()
    made[2].load()
    made[3].stage(is_run_input=False)
    assert list(run.inputs) == [made[1], made[2]]


def test_an_input_is_the_version_that_was_read(instance: Path) -> None:
    old = file_of("1", "x.txt")
    run = ln.track(pipeline())
    old.stage(is_run_input=True)
    new = file_of("2", "x.txt")
    assert list(run.inputs) == [old]
    assert list(run.outputs) == [new]
    assert run.inputs.all()[0].stage().read_text() == "1"


def test_a_renamed_file_keeps_its_origin(instance: Path) -> None:
    ln.track(ln.Transform(name="Ingest", type="notebook"))
    import pandas as pd

    file = ln.add(ln.File(pd.DataFrame({"a": [1]}), name="iris"))
    file.name = "iris_new"
    ln.add(file)
    found = ln.select(lns.Notebook).join(lns.Run).join(ln.DObject, name="iris_new").one()
    assert found.name == "Ingest"
    assert ln.File.select(name="iris").count() == 0


def test_a_chain_can_be_walked_and_inputs_keep_their_order(instance: Path) -> None:
    ln.track(pipeline("a"))
    start = [file_of(str(i), f"a{i}.txt") for i in (3, 1, 2)]
    ln.track(pipeline("b"))
    for file in start:
        file.stage(is_run_input=True)
    middle = file_of("b", "b.txt")
    ln.track(pipeline("c"))
    middle.stage(is_run_input=True)
    end = file_of("c", "c.txt")
    assert list(end.run.inputs) == [middle]
    assert list(middle.run.inputs) == start


def test_an_explicit_run_wins(instance: Path) -> None:
    ln.track(pipeline("current"))
    other = ln.Run(transform=pipeline("other"), name="by hand")
    file = file_of("1", "1.txt", run=other)
    assert file.run == other
    assert file.transform.name == "other"
    assert other.status is None
    assert ln.Run.select(name="by hand").one().outputs == [file]


def test_versions_of_a_transform_are_transforms_with_their_own_runs(instance: Path) -> None:
    old = pipeline(version="7.2.0").save()
    run = ln.Run(transform=old).save()
    new = pipeline(version="7.3.0").save()
    assert new.id != old.id
    assert new.stem_id == old.stem_id
    assert ln.Transform.select(name="Cell Ranger", version="7.2.0").one() == old
    assert ln.Transform.search("Cell Ranger", top_hit=True) in (old, new)
    assert ln.Run.select(id=run.id).one().transform == old
    assert pipeline(version="7.2.0").save() == old
    assert ln.Transform.select().count() == 2


def test_an_unknown_pipeline_is_an_error_that_changes_nothing(instance: Path) -> None:
    before = ln.track(pipeline("known"))
    with pytest.raises(NoResultFound, match=r"'nope'.*register"):
        ln.context.track(pipeline_name="nope")
    assert ln.context.run == before
    pipeline("two", version="1").save()
    newest = pipeline("two", version="2").save()
    ln.context.track(pipeline_name="two")
    assert ln.context.pipeline == newest
    assert ln.context.notebook is None
    ln.context.track(pipeline_name="two", v="1")
    assert ln.context.transform.version == "1"
    for wrong in ("My script", 5):
        with pytest.raises(TypeError):
            ln.track(wrong)  # type: ignore[arg-type]


def test_the_same_bytes_made_again_remember_both_runs(instance: Path) -> None:
    first = ln.track(pipeline())
    file = file_of("1", "1.txt")
    second = ln.track(pipeline(), new_run=True)
    again = file_of("1", "1.txt")
    assert again == file
    assert again.run == first
    assert list(second.outputs) == [file]
    assert list(file.producers) == [first, second]


def test_two_users_have_their_own_runs(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMIN_USER", "testuser1")
    transform = pipeline().save()
    one = ln.track(transform)
    monkeypatch.setenv("LAMIN_USER", "testuser2")
    two = ln.track(transform)
    assert one != two
    assert (one.created_by.handle, two.created_by.handle) == ("testuser1", "testuser2")
    assert (one.created_by.id, two.created_by.id) == ("DzTjkKse", "bKeW4T6E")
    assert file_of("1", "1.txt").created_by.handle == "testuser2"
    users = ln.User.lookup(field="handle")
    assert ln.Transform.select(created_by=users.testuser1).one() == transform


def test_what_is_referred_to_cannot_be_deleted(instance: Path) -> None:
    run = ln.track(pipeline())
    file = file_of("1", "1.txt")
    ln.finish()
    for record in (run, run.transform, file.storage, file.created_by):
        with pytest.raises(ReferencedError, match="refer"):
            record.delete()
    reader = ln.track(pipeline("reader"))
    file.stage(is_run_input=True)
    with pytest.raises(ReferencedError, match="read it"):
        file.delete(permanent=True)
    assert list(reader.inputs) == [file]


def test_inputs_are_a_list_and_a_query(instance: Path) -> None:
    files = [file_of(str(i), f"{i}.txt") for i in range(3)]
    run = ln.Run(transform=pipeline().save(), inputs=[files[0]])
    run.inputs.append(files[1])
    assert list(run.inputs) == files[:2]
    run.save()
    assert list(run.inputs) == files[:2]
    run.inputs.add(files[2], files[0])
    assert run.inputs == files
    assert run.inputs.all()[2] == files[2]
    assert run.inputs[0:2] == files[:2]
    assert files[1] in run.inputs
    assert len(run.inputs) == run.inputs.count() == 3
    assert "1.txt" in str(run.inputs)
    assert run.inputs.filter(key="1.txt").one() == files[1]
    assert run.inputs.df().shape[0] == 3
    run.inputs.remove(files[0])
    run.inputs.set([files[2]])
    assert list(run.inputs) == [files[2]]
    run.inputs.clear()
    assert not run.inputs
    with pytest.raises(ValueError, match="not saved"):
        run.inputs.append(ln.File(b"x", name="x"))
    with pytest.raises(TypeError):
        run.inputs.append("x")
    with ln.Session() as session:
        inside = session.select(ln.Run).one()
        inside.outputs.append(files[1])
    assert list(inside.outputs) == [files[1]]


def test_runs_are_found_by_their_files_and_parameters(instance: Path) -> None:
    made = file_of("0", "raw.txt")
    slow = ln.track(pipeline(), params={"lr": 0.1, "model": {"depth": 3}})
    made.stage(is_run_input=True)
    ln.track(pipeline("other"), params={"lr": 0.001})
    assert ln.Run.select(params__lr__gt=0.01).one() == slow
    assert ln.Run.select(params__model__depth=3).one() == slow
    assert ln.Run.select(inputs=made).one() == slow
    assert ln.Run.select(inputs__key="raw.txt").one() == slow
    assert ln.File.select(input_of=slow).one() == made
    odd = ln.track(pipeline("third"), params={"a": object(), "b": 1})
    assert odd.params["b"] == 1 and ln.Run.select(params__b=1).one() == odd


def test_a_run_inside_the_block_of_another_comes_and_goes(instance: Path) -> None:
    with ln.track(pipeline("outer")) as outer:
        file_of("1", "1.txt")
        with ln.track(pipeline("inner")) as inner:
            assert ln.context.run == inner
            assert outer.status == "running"
            file_of("2", "2.txt")
        assert inner.status == "completed"
        assert ln.context.run == outer
        file_of("3", "3.txt")
    assert ln.context.run is None
    assert outer.status == "completed"
    assert [file.key for file in outer.outputs] == ["1.txt", "3.txt"]
    assert [file.key for file in inner.outputs] == ["2.txt"]
    with pytest.raises(ZeroDivisionError), ln.track(pipeline("outer")) as failing:
        1 / 0  # noqa: B018
    assert failing.status == "failed"
    assert "ZeroDivisionError" in str(failing.error)
