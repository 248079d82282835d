"""Which record a word means."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.cli import resolve
from lamindb.errors import InvalidInputError, MultipleResultsFound, NoResultFound
from tests.cli.conftest import Cli


@pytest.fixture
def file(instance: Path) -> ln.File:
    return ln.File(b"x", key="a/é.txt").save()


def test_a_file_is_named_by_key_path_or_id(file: ln.File, instance: Path) -> None:
    for text in (
        "a/é.txt",
        unicodedata.normalize("NFD", "a/é.txt"),
        "mydata/a/é.txt",
        str(instance / "a" / "é.txt"),
        file.id,
        file.stem_id,
    ):
        assert resolve.file(text).id == file.id


def test_a_path_may_begin_with_the_home_folder(file: ln.File, instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(instance.parent))
    assert resolve.file("~/mydata/a/é.txt").id == file.id
    assert ln.File.objects.get_queryset().filter(resolve.under("~/mydata/a")).count() == 1


def test_a_link_to_the_view_is_no_other_file(file: ln.File, instance: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(instance)
    assert resolve.file(str(tmp_path / "link" / "a" / "é.txt")).id == file.id


@pytest.mark.parametrize(
    "text", ["", "nope", "a", "/", "..", "\x00", "%", "x" * 5000, "0" * 20, "0" * 16, "\x1b[31m", "\udcff"]
)
def test_what_is_unknown_is_told_in_one_line(text: str, file: ln.File) -> None:
    with pytest.raises(NoResultFound) as caught:
        resolve.file(text)
    assert str(caught.value).isprintable()
    with pytest.raises(NoResultFound):
        resolve.record(text)


def test_a_mistyped_key_is_told_with_the_right_one(file: ln.File) -> None:
    ln.File(b"y", key="counts_matrix.csv").save()
    with pytest.raises(NoResultFound, match=r"did you mean 'counts_matrix\.csv'"):
        resolve.file("count_matrix.csv")


def test_a_key_in_two_storages_must_be_told_apart(file: ln.File, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "a").mkdir(parents=True)
    (other / "a" / "é.txt").write_text("elsewhere")
    ln.Storage(root=str(other)).save()
    second = ln.File(other / "a" / "é.txt").save()
    assert second.key == file.key
    with pytest.raises(MultipleResultsFound, match=second.id):
        resolve.file("a/é.txt")
    assert resolve.file(second.id).id == second.id


def test_a_record_is_a_file_a_run_or_a_transform(file: ln.File) -> None:
    transform = ln.Transform(name="Cell Ranger", type="pipeline").save()
    newer = ln.Transform(name="Cell Ranger", type="pipeline", version="2").save()
    run = ln.Run(transform=transform).save()
    assert resolve.record("a/é.txt").id == file.id
    assert resolve.record(run.id).id == run.id
    assert resolve.record(run.id[:15]).id == run.id
    assert resolve.record("Cell Ranger").id == newer.id
    assert resolve.record(transform.id).id == transform.id
    file.delete()
    assert resolve.record(file.id).id == file.id


def test_runs_are_named_by_enough_of_their_ids(file: ln.File) -> None:
    transform = ln.Transform(name="t", type="pipeline").save()
    first = ln.Run(transform=transform, id="0123456789abcdefghij").save()
    ln.Run(transform=transform, id="0123456789zzzzzzzzzz").save()
    assert resolve.run("0123456789a").id == first.id
    with pytest.raises(MultipleResultsFound):
        resolve.run("0123456789")
    with pytest.raises(InvalidInputError):
        resolve.run("012")
    for text in ("zzzzzzzz", "", "a b", "%"):
        with pytest.raises(NoResultFound):
            resolve.run(text)


def test_a_run_is_the_last_one_of_a_name(local_instance: Path) -> None:
    runs = [ln.track(ln.Transform(name="crash", type="pipeline"), new_run=True, name=name) for name in ("a", None, "b")]
    assert resolve.run_of("crash") == runs[-1]
    assert resolve.run_of("a") == runs[0]
    assert resolve.run_of(runs[1].id) == runs[1]
    assert resolve.run_of(runs[1].id[:-1]) == runs[1]
    for text in ("crashed", "cras", "no such run", "x\0"):
        with pytest.raises(NoResultFound):
            resolve.run_of(text)


def test_text_names_records_as_in_python(instance: Path) -> None:
    first, second = (ln.Transform(name="qc", type="script", reference=f"{at}/qc.py").save() for at in "ab")
    run = ln.Run(transform=first, name="nightly").save()
    assert resolve.ids_of(ln.Transform, "a/qc.py") == [first.id]
    assert resolve.ids_of(ln.Run, "nightly") == resolve.ids_of(ln.Run, run.id[:12]) == [run.id]
    for text in ("qc", "qc.py"):
        with pytest.raises(MultipleResultsFound, match=f"{first.id}.*{second.id}|{second.id}.*{first.id}"):
            resolve.ids_of(ln.Transform, text)
        with pytest.raises(MultipleResultsFound):
            ln.Run.select(transform=text)
    with pytest.raises(NoResultFound, match="did you mean 'nightly'"):
        resolve.ids_of(ln.Run, "nightlie")
    for kind in (ln.User, ln.Transform, ln.Run):
        with pytest.raises(NoResultFound):
            resolve.ids_of(kind, "\0")


def test_each_command_that_takes_a_key_takes_a_version(local_instance: Path, cli: Cli) -> None:
    for content in (b"one", b"two"):
        ln.File(content, key="a.txt").save()
    assert cli("cat", "a.txt@1", "mydata/a.txt@2").out == "onetwo"
    cli("get", "a.txt@1", "-o", "copy")
    assert Path("copy").read_bytes() == b"one"
    assert "version 1 of 'a.txt'" in cli("flag", "a.txt@1", "--reason", "wrong").err
    for command in ("describe", "lineage", "impact", "stale", "plan", "diff", "why"):
        assert "has no version 3" in cli(command, "a.txt@3", code=3).err
    assert "has no version 3" in cli("path", "a.txt@1", "a.txt@3", code=3).err
    assert cli("describe", "a.txt@1").out == cli("describe", "a.txt", "--version", "1").out
    assert "names a version already" in cli("cat", "a.txt@1", "--version", "2", code=2).err
    cli("run", "--in", "a.txt@1", "--", "true")
    assert [(file.key, file.version) for file in ln.Run.select().one().inputs] == [("a.txt", 1)]
    assert "nor the key or version of one" in cli("run", "--in", "a.txt@3", "--", "true", code=3).err
    cli("rm", "a.txt@1")
    assert "is in the trash" in cli("cat", "a.txt@1", code=2).err
    cli("trash", "restore", "a.txt@1")
    assert cli("cat", "a.txt@1").out == "one"
    assert "has no version" not in cli("cat", "b.txt@1", code=3).err


def test_a_name_with_the_very_text_of_a_version_goes_first(local_instance: Path, cli: Cli) -> None:
    ln.File(b"version", key="a").save()
    other = ln.File(b"key", key="a@1").save()
    transform = ln.Transform(name="a@2", type="pipeline").save()
    assert cli("cat", "a@1").out == "key"
    assert resolve.record("a@1") == resolve.file("a@1") == other
    assert resolve.record("a@2") == transform
    cli("run", "--in", "a@1", "--", "true")
    assert list(ln.Run.select().one().inputs) == [other]
