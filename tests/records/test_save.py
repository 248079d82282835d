"""Further storages: files that stay where they are, also where that is another place by now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.core import context
from lamindb.errors import InvalidInputError, InvalidTypeError
from lamindb.maintenance import verify
from lamindb.models import File, Storage


def registered(name: str = "archive") -> ln.File:
    place = Path(name).resolve()
    place.mkdir()
    (place / "big.bin").write_bytes(b"0123")
    ln.Storage(root=str(place)).save()
    return ln.File(place / "big.bin").save()


def test_a_storage_whose_folder_was_moved_is_told_its_new_place(instance: Path) -> None:
    file = registered()
    Path("archive").rename("moved")
    assert not verify.verify().is_clean
    storage = file.storage
    storage.root = Path("moved")
    storage.save()
    assert storage.root == str(Path("moved").resolve())
    assert verify.verify().is_clean
    again = File.objects.get(id=file.id)
    assert again.stage().read_bytes() == again.path().read_bytes() == b"0123"
    Path("moved/more.bin").write_bytes(b"4")
    more = ln.File("moved/more.bin").save()
    assert (more.key, more.storage_id) == ("more.bin", storage.id)


@pytest.mark.parametrize("place", ["nowhere", "s3://bucket/archive"])
def test_a_place_that_cannot_be_right_changes_nothing(instance: Path, place: str) -> None:
    file = registered()
    storage = file.storage
    storage.root = place
    with pytest.raises(InvalidInputError):
        storage.save()
    assert Storage.objects.get(id=storage.id).root == str(Path("archive").resolve())
    assert verify.verify().is_clean


def test_the_own_storage_moves_with_its_instance(instance: Path) -> None:
    storage = Storage.objects.get(id=context.instance().storage_id)
    Path("other").mkdir()
    storage.root = "other"
    with pytest.raises(InvalidInputError, match="migrate-to"):
        storage.save()
    assert Storage.objects.get(id=storage.id).root == str(instance)


def unsaved_run(**given: Any) -> ln.Run:
    return ln.Run(transform=ln.Transform(name="by hand", type="pipeline"), **given)


def given_at_once(data: ln.File, made: ln.File) -> ln.Run:
    return unsaved_run(inputs=[data], outputs=[made])


def given_later(data: ln.File, made: ln.File) -> ln.Run:
    run = unsaved_run()
    run.inputs.append(data)
    run.outputs.append(made)
    return run


def by_one(run: ln.Run) -> None:
    ln.File(b"1", key="one.txt", run=run).save()


def in_a_list(run: ln.Run) -> None:
    ln.save([ln.File(b"1", key="one.txt", run=run), ln.File(b"2", key="two.txt")])


def as_a_new_version(run: ln.Run) -> None:
    ln.File(b"0", key="one.txt").save()
    ln.File(b"1", key="one.txt", run=run).save()


def by_replace(run: ln.Run) -> None:
    file = ln.File(b"0", key="one.txt").save()
    file.replace(b"1")
    file.run = run
    file.save()


def unchanged(run: ln.Run) -> None:
    ln.File(b"1", key="one.txt").save()
    ln.File(b"1", key="one.txt", run=run).save()


def given_to_a_saved_file(run: ln.Run) -> None:
    file = ln.File(b"1", key="one.txt").save()
    file.run = run
    file.save()


WAYS_TO_SAVE = (by_one, in_a_list, as_a_new_version, by_replace, unchanged, given_to_a_saved_file)


@pytest.mark.parametrize("make", [given_at_once, given_later])
@pytest.mark.parametrize("way", WAYS_TO_SAVE)
def test_a_run_that_is_saved_with_a_file_keeps_its_inputs_and_outputs(instance: Path, make: Any, way: Any) -> None:
    data, made = (ln.File(key.encode(), key=key).save() for key in ("data", "made"))
    run = make(data, made)
    way(run)
    again = ln.Run.select(id=run.id).one()
    assert [file.key for file in again.inputs] == ["data"]
    assert "made" in [file.key for file in again.outputs]
    assert not run._pending["input"]


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_what_a_new_run_names_has_to_be_saved(instance: Path, kind: str) -> None:
    run = unsaved_run(**{kind: [ln.File(b"0", key="missing.txt")]})
    with pytest.raises(InvalidInputError, match=r"missing\.txt.*is not saved"):
        ln.File(b"1", key="one.txt", run=run).save()
    assert not ln.File.select().count()
    with pytest.raises(InvalidInputError, match=r"missing\.txt.*is not saved"):
        run.save()
    assert not ln.Run.select().count()


def test_an_input_may_be_saved_in_the_same_call(instance: Path) -> None:
    new = ln.File(b"0", key="new.txt")
    run = unsaved_run(inputs=[new])
    ln.save([new, ln.File(b"1", key="one.txt", run=run)])
    assert list(ln.Run.select(id=run.id).one().inputs) == [new]


def test_a_storage_is_registered_while_a_run_is_tracked(local_instance: Path) -> None:
    ln.track(ln.Transform(name="t"))
    Path("archive").mkdir()
    storage = ln.Storage(root="archive").save()
    assert ln.Storage.get("archive") == storage


def two_instances() -> tuple[ln.File, ln.Run]:
    """Return a file of one instance, and a run that is not saved yet; another instance is current."""
    file = ln.File(b"0", key="there.txt").save()
    ln.setup.init(storage="./other")
    return file, unsaved_run()


def test_a_file_of_another_instance_is_named_with_both(instance: Path) -> None:
    file, run = two_instances()
    run.inputs.append(file)
    saved = unsaved_run().save()
    named = rf"'there\.txt' \({file.id}\).*different instances, \S+ in \S+mydata and 'other' in \S+other"
    for refused in (
        run.save,
        lambda: ln.File(b"1", key="one.txt", run=run).save(),
        lambda: saved.inputs.add(file),
        lambda: file.stage(is_run_input=saved),
    ):
        with pytest.raises(InvalidInputError, match=named):
            refused()
    mine = ln.File(b"1", key="mine.txt").save()
    mine.description = "changed"
    with pytest.raises(InvalidInputError, match=rf"several instances, 'mine\.txt' \({mine.id}\) in 'other'.*{file.id}"):
        ln.save([mine, file])
    assert (ln.File.select().count(), ln.Run.select().count()) == (1, 1)


def test_nothing_is_saved_if_a_file_is_of_another_instance(instance: Path) -> None:
    file, _ = two_instances()
    with pytest.raises(InvalidInputError, match="several instances"):
        ln.save([ln.Transform(name="new"), file, ln.File(b"1", key="one.txt")])
    assert (ln.File.select().count(), ln.Transform.select().count()) == (0, 0)


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_nothing_is_saved_with_a_run_of_a_file_that_was_deleted_meanwhile(instance: Path, kind: str) -> None:
    gone = ln.File(b"0", key="gone.txt").save()
    run = unsaved_run(**{kind: [ln.File.get(gone.id)]})
    gone.delete(permanent=True)
    for together in ([run, ln.File(b"1", key="one.txt")], [ln.File(b"1", key="one.txt", run=run)]):
        with pytest.raises(ln.LaminError):
            ln.save(together)
        assert not run.is_saved
    assert (ln.File.select().count(), ln.Run.select().count()) == (0, 0)


def test_nothing_is_saved_if_one_of_several_records_is_refused(instance: Path) -> None:
    ln.File(b"0", key="folder/a.txt").save()
    file, run = ln.File(b"1", key="one.txt"), unsaved_run()
    for refused in (ln.File(b"2", key="folder"), ln.Storage(root="nowhere")):
        with pytest.raises(ln.LaminError):
            ln.save([run, file, refused])
        assert not file.is_saved and not run.is_saved
    assert (ln.File.select().count(), ln.Run.select().count(), ln.Transform.select().count()) == (1, 0, 0)
    ln.save([run, file])
    assert file.is_saved and run.is_saved


def test_nothing_is_saved_beside_a_rename_that_is_refused(instance: Path) -> None:
    first, second, third = (ln.File(f"{key}".encode(), key=key).save() for key in ("a.txt", "b.txt", "c.txt"))
    new, run = ln.File(b"new", key="new.txt"), unsaved_run()
    first.key, second.key, third.description = "moved.txt", "c.txt", "changed"
    for together in ([new, run, first, second], [run, first, third, second], [second, first, new]):
        with pytest.raises(ln.errors.KeyExistsError, match=r"cannot rename to 'c\.txt'"):
            ln.save(together)
        assert not new.is_saved and not run.is_saved
        assert (first.key, second.key) == ("moved.txt", "c.txt")
    assert sorted(ln.File.select().list("key")) == ["a.txt", "b.txt", "c.txt"] and ln.Run.select().count() == 0
    assert not ln.File.select(description="changed").exists() and (instance / "a.txt").exists()
    second.key = "b2.txt"
    ln.save([new, run, first, second, third])
    assert sorted(ln.File.select().list("key")) == ["b2.txt", "c.txt", "moved.txt", "new.txt"] and run.is_saved
    assert sorted(path.name for path in instance.glob("*.txt")) == ["b2.txt", "c.txt", "moved.txt", "new.txt"]
    assert (instance / "moved.txt").read_bytes() == b"a.txt"


def test_keys_that_files_leave_are_free_for_those_that_follow(instance: Path) -> None:
    files = [ln.File(key.encode(), key=key).save() for key in ("a.txt", "b.txt", "c.txt")]
    for file, key in zip(files, ("b.txt", "c.txt", "d.txt"), strict=True):
        file.key = key
    ln.save([*reversed(files), ln.File(b"new", key="new.txt")])
    assert {path.name: path.read_bytes() for path in instance.glob("*.txt")} == {
        "b.txt": b"a.txt", "c.txt": b"b.txt", "d.txt": b"c.txt", "new.txt": b"new",
    }  # fmt: skip
    assert verify.verify().is_clean
    files[0].key = files[1].key = "taken by both.txt"
    with pytest.raises(ln.errors.KeyExistsError):
        ln.save(files)
    assert sorted(ln.File.select().list("key")) == ["b.txt", "c.txt", "d.txt", "new.txt"]


def test_nothing_is_saved_in_one_instance_if_a_record_of_another_is_refused(instance: Path) -> None:
    there = ln.Transform(name="there").save()
    file = ln.File(b"0", key="there.txt").save()
    ln.File(b"1", key="taken.txt").save()
    ln.setup.init(storage="./other")
    new, refused = ln.Transform(name="new"), ln.Storage(root="nowhere")
    there.description = "changed"
    for together in ([new, there, refused], [there, refused, new]):
        with pytest.raises(ln.LaminError):
            ln.save(together)
        assert not new.is_saved
    file.key = "taken.txt"
    with pytest.raises(ln.errors.KeyExistsError):
        ln.save([new, file, there])
    file.key = "free.txt"
    with pytest.raises(InvalidInputError):
        ln.save([file, new, refused])
    assert not new.is_saved and ln.Transform.select().count() == 0
    ln.connect(instance)
    assert ln.Transform.select().one().description != "changed"
    assert sorted(ln.File.select().list("key")) == ["taken.txt", "there.txt"]
    ln.save([file, new, there])
    assert new.is_saved and ln.Transform.select(description="changed").exists() and ln.File.get("free.txt") == file


def circular() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


@pytest.mark.parametrize(
    "value", [object(), {"deep": [b"bytes"]}, {(1, 2): 3}, circular()], ids=["object", "bytes", "key", "circular"]
)
def test_a_parameter_that_json_cannot_hold_is_named(instance: Path, value: Any) -> None:
    file = ln.File(b"1", key="one.txt", run=unsaved_run(params={"lr": 0.1, "model": value}))
    for refused in (file, unsaved_run(params={"model": value})):
        with pytest.raises(InvalidTypeError, match=r"params\['model'\] cannot be stored as JSON"):
            refused.save()
        assert not refused.is_saved
    assert (ln.File.select().count(), ln.Run.select().count(), ln.Transform.select().count()) == (0, 0, 0)
    run = unsaved_run(params={"lr": 0.1}).save()
    run.params["model"] = value
    with pytest.raises(InvalidTypeError, match=r"params\['model'\]"):
        run.save()
    assert ln.Run.select(id=run.id).one().params == {"lr": 0.1}
