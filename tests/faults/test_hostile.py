"""What has corrupted, lost or mixed up data in systems of this kind, one test each: here it must not."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.errors import (
    IntegrityError,
    InvalidInputError,
    InvalidKeyError,
    LaminError,
    ReferencedError,
    SourceChangedError,
    SourceNotFoundError,
    StorageError,
)
from lamindb.maintenance import gc, verify
from lamindb.models import File, base
from lamindb.setup import lifecycle
from tests.kills import stepping

LARGE = 52 << 20
"""Above the size from which a system hashed only the two ends."""


def write(path: str | Path, data: bytes = b"ACGT") -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def read(key: str) -> bytes:
    return bytes(ln.File.select(key=key).one().stage().read_bytes())


def object_path(file: File, root: Path) -> Path:
    return root / ".lamindb/objects" / file.digest[:2] / f"{file.digest}{file.suffix}"


def killed(act: Callable[[], object], step: int) -> None:
    """Run something in a child that is killed before one of its steps."""
    pid = os.fork()
    if pid == 0:
        try:
            stepping.install(stepping.Steps(stepping.die_at(step)))
            act()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


# --- killed in the middle ---


def test_a_copy_that_was_killed_is_never_handed_out(instance: Path) -> None:
    source = write("large.bin", os.urandom(3 << 20))
    killed(lambda: ln.File(source, key="large.bin").save(), 8)
    lifecycle.close()
    lifecycle.connect(instance)
    assert not ln.File.select(key="large.bin").exists()
    assert not (instance / "large.bin").exists()
    # Under another key, that key is what it gets.
    assert ln.File(source, key="other/large.bin").save().key == "other/large.bin"
    assert read("other/large.bin") == source.read_bytes()
    gc.sweep(dry_run=False, grace_seconds=0)
    report = verify.verify()
    assert report.is_clean and report.orphans == report.incoming == ()


# --- a write that fails ---


@pytest.mark.parametrize("bad", ["gone", "changed", "a folder with a pipe"])
def test_one_bad_file_among_good_ones_saves_none_and_is_named(instance: Path, bad: str) -> None:
    good = [ln.File(write(f"good-{number}.txt", b"good"), key=f"good-{number}.txt") for number in range(2)]
    if bad == "a folder with a pipe":
        Path("odd").mkdir()
        os.mkfifo("odd/pipe")
        wrong = ln.File("odd", key="wrong")
    else:
        wrong = ln.File(write("wrong.txt", b"first"), key="wrong.txt")
        os.unlink("wrong.txt")
        if bad == "changed":
            write("wrong.txt", b"other bytes")
    with pytest.raises(LaminError, match="odd/pipe" if "pipe" in bad else r"wrong\.txt"):
        ln.save([good[0], wrong, good[1]])
    assert File.objects.count() == 0
    assert [path for path in instance.iterdir() if path.is_file()] == []
    ln.save(good)
    assert verify.verify().is_clean


# --- stored bytes that rot ---


@pytest.mark.parametrize("how", ["flipped", "truncated", "deleted"])
@pytest.mark.parametrize("reader", ["stage", "load", "open"])
def test_damage_is_never_read_and_saving_again_heals(instance: Path, how: str, reader: str) -> None:
    data = b"a,b\n1,2\n"
    file = ln.File(data, key="table.csv").save()
    path = object_path(file, instance)
    os.unlink(instance / "table.csv")
    path.chmod(0o644)
    if how == "deleted":
        path.unlink()
    else:
        path.write_bytes(data.replace(b"1", b"7") if how == "flipped" else b"")
    fresh = ln.File.select(key="table.csv").one()
    with pytest.raises(IntegrityError, match=r"missing|damaged|bytes"):
        getattr(fresh, reader)()
    assert not verify.verify().is_clean
    assert ln.File(data, key="table.csv").save().id == file.id
    assert verify.verify().is_clean
    assert read("table.csv") == data


# --- hashes that do not see everything ---


def test_a_large_file_that_differs_anywhere_is_another(local_instance: Path) -> None:
    zeros = write("array.bin", bytes(LARGE))
    first = ln.File(zeros, key="array.bin").save()
    with zeros.open("r+b") as stream:
        stream.seek(LARGE // 2)
        stream.write(b"\x01")
    middle = ln.File(zeros, key="array.bin").save()
    with zeros.open("ab") as stream:
        stream.write(bytes(1 << 20))
    longer = ln.File(zeros, key="array.bin").save()
    assert [file.version for file in (first, middle, longer)] == [1, 2, 3]
    assert [file.size for file in (first, middle, longer)] == [LARGE, LARGE, LARGE + (1 << 20)]
    assert len({file.hash for file in (first, middle, longer)}) == 3
    with middle.open() as stream:
        stream.seek(LARGE // 2)
        assert stream.read(2) == b"\x01\x00"


def test_names_inside_a_folder_are_part_of_it(instance: Path) -> None:
    write("src/one.txt", b"1")
    write("src/two.txt", b"2")
    first = ln.File("src", key="results").save()
    os.rename("src/one.txt", "src/x")
    os.rename("src/two.txt", "src/one.txt")
    os.rename("src/x", "src/two.txt")
    swapped = ln.File("src", key="results").save()
    os.rename("src/one.txt", "src/three.txt")
    renamed = ln.File("src", key="results").save()
    assert [file.version for file in (first, swapped, renamed)] == [1, 2, 3]
    assert (first.stage() / "one.txt").read_bytes() == b"1"
    assert (swapped.stage() / "one.txt").read_bytes() == b"2"
    assert sorted(path.name for path in renamed.stage().iterdir()) == ["three.txt", "two.txt"]


def test_an_empty_folder_is_a_folder(instance: Path) -> None:
    Path("empty").mkdir()
    file = ln.File("empty", key="empty").save()
    assert file.stage().is_dir() and list(file.stage().iterdir()) == []
    assert verify.verify().is_clean


def test_equal_bytes_under_two_keys_are_two_records(instance: Path) -> None:
    one = ln.File(write("r1.txt"), key="patient1/result.txt").save()
    two = ln.File(write("r2.txt"), key="patient2/result.txt").save()
    assert one.id != two.id and one.digest == two.digest
    assert [ln.File.select(key=f"patient{n}/result.txt").one().id for n in (1, 2)] == [one.id, two.id]
    two.delete(permanent=True, storage=True)
    assert read("patient1/result.txt") == b"ACGT"


# --- keys that lead elsewhere ---


@pytest.mark.parametrize(
    "key",
    [
        "../outside.txt",
        "a/../../outside.txt",
        "a/./b.txt",
        "/etc/passwd.txt",
        "C:/windows.txt",
        "a\\b.txt",
        "nul\0.txt",
        "new\nline.txt",
        "\x1b[31mred.txt",
        "folder/",
        "a//b.txt",
        "",
        ".lamindb/db.sqlite3",
        ".LAMINDB/objects/x",
        "lone\ud800.txt",
        "x" * 300,
        "/".join(["y" * 100] * 11),
    ],
    ids=ascii,
)
def test_a_key_that_cannot_be_one_is_refused_and_nothing_is_written(local_instance: Path, key: str) -> None:
    before = sorted(local_instance.parent.rglob("*"))
    with pytest.raises(InvalidKeyError) as caught:
        ln.File(b"x", key=key).save()
    text = str(caught.value)
    assert text.isprintable() or all(ord(c) > 31 for c in text)
    assert sorted(local_instance.parent.rglob("*")) == before


@pytest.mark.parametrize("key", [7, b"a.txt", ["a.txt"], True])
def test_a_key_of_another_type_is_refused(local_instance: Path, key: Any) -> None:
    with pytest.raises((InvalidInputError, TypeError)) as caught:
        ln.File(b"x", key=key)
    assert isinstance(caught.value, LaminError)


def test_no_link_in_the_folder_leads_a_file_outside(local_instance: Path) -> None:
    outside = Path("outside").resolve()
    outside.mkdir()
    (local_instance / "trap").symlink_to(outside)
    with pytest.raises(LaminError):
        ln.File(b"x", key="trap/x.txt").save()
    assert list(outside.iterdir()) == []
    target = write("outside/precious.txt", b"precious")
    (local_instance / "link.txt").symlink_to(target)
    with pytest.raises(LaminError):
        ln.File(b"x", key="link.txt").save()
    assert target.read_bytes() == b"precious"


def test_composed_and_decomposed_names_are_one_key(instance: Path) -> None:
    one = ln.File(b"1", key="caf\u00e9.txt").save()
    two = ln.File(b"2", key="cafe\u0301.txt").save()
    assert (two.version, two.stem_id) == (2, one.stem_id)


# --- things that are no files ---


def test_a_pipe_a_socket_and_a_device_are_refused_at_once(local_instance: Path) -> None:
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for path in ("pipe", "socket", "/dev/null"):
            with pytest.raises(InvalidInputError, match="neither a file nor a folder"):
                ln.File(path, key="odd")


def test_links_are_followed_but_not_out_of_a_folder(instance: Path) -> None:
    write("real.csv", b"real")
    os.symlink("real.csv", "link.tsv")
    file = ln.File("link.tsv", key="table.tsv").save()
    assert (file.suffix, read("table.tsv")) == (".tsv", b"real")
    os.symlink("nowhere", "dangling")
    with pytest.raises(SourceNotFoundError):
        ln.File("dangling", key="x")
    write("folder/inside.txt", b"inside")
    os.symlink("inside.txt", "folder/alias.txt")
    assert ln.File("folder", key="folder").save().n_files == 2
    for name, target in (("escape", "/etc"), ("circle", "."), ("broken", "nowhere")):
        os.symlink(target, f"folder/{name}")
        with pytest.raises(InvalidInputError, match=name):
            ln.File("folder", key="folder").save()
        os.unlink(f"folder/{name}")
    assert not any("passwd" in str(path) for path in instance.rglob("*"))


@pytest.mark.parametrize("links", ["keep", "follow", "skip"])
def test_links_in_a_folder_are_kept_followed_or_skipped(local_instance: Path, links: str, capsys: Any) -> None:
    write("secret/deep.txt", b"deep")
    write("folder/inside.txt", b"inside")
    for name, target in (("alias.txt", "inside.txt"), ("out", "../secret"), ("dead", "nowhere"), ("circle", ".")):
        os.symlink(target, f"folder/{name}")
    os.symlink(os.path.abspath("folder/inside.txt"), "folder/absolute.txt")
    if links == "follow":
        for name in ("dead", "circle"):
            with pytest.raises(InvalidInputError, match=r"dead|circle"):
                ln.File("folder", key="f", links=links).save()
            os.unlink(f"folder/{name}")
        os.symlink(local_instance, "folder/storage")
        with pytest.raises(InvalidInputError, match="storage of an instance"):
            ln.File("folder", key="f", links=links).save()
        os.unlink("folder/storage")
    wanted = {
        "keep": ["absolute.txt", "alias.txt", "inside.txt"],
        "follow": ["absolute.txt", "alias.txt", "inside.txt", "out/deep.txt"],
        "skip": ["inside.txt"],
    }[links]
    file = ln.File("folder", key="f", links=links).save()
    told = capsys.readouterr().err
    staged = file.stage()
    assert sorted(str(path.relative_to(staged)) for path in staged.rglob("*") if path.is_file()) == wanted
    assert not any(path.is_symlink() for path in staged.rglob("*"))
    assert ln.File("folder", key="f", links=links).hash == file.hash
    many = ln.File.from_dir("folder", key="m", links=links)
    assert [one.key for one in many] == [f"m/{name}" for name in wanted]
    ln.save(many)
    for report in (told, capsys.readouterr().err):
        assert ("'out' (to '../secret')" in report) == (links != "follow")
        assert ("'alias.txt' (to 'inside.txt')" in report) == (links == "skip")
    with pytest.raises(InvalidInputError, match="links must be one of"):
        ln.File("folder", key="f", links="all")


def test_links_of_a_folder_in_a_storage(local_instance: Path) -> None:
    write(f"{local_instance}/own/a.txt", b"a")
    write("shelf/b.txt", b"b")
    ln.Storage(root="shelf").save()
    with pytest.raises(InvalidInputError, match="lies in a storage"):
        ln.File(f"{local_instance}/own", links="follow")
    with pytest.raises(InvalidInputError, match="lies in a storage"):
        ln.File.from_dir(f"{local_instance}/own", links="follow")
    write("shelf/f/b.txt", b"b")
    with pytest.raises(InvalidInputError, match="lies in a storage"):
        ln.File("shelf/f", links="skip")


def test_a_file_that_the_system_makes_as_it_is_read(local_instance: Path) -> None:
    if not Path("/proc/cpuinfo").exists():
        pytest.skip("there is no /proc here")
    with pytest.raises(SourceChangedError, match="save a copy of it"):
        ln.File("/proc/cpuinfo", key="cpu.txt").save()
    write("copy.txt", Path("/proc/cpuinfo").read_bytes())
    assert ln.File("copy.txt", key="cpu.txt").save().size > 0


def test_odd_names_survive(instance: Path) -> None:
    raw = os.path.join(os.fsencode(Path.cwd()), b"caf\xe9.bin")
    with open(raw, "wb") as stream:
        stream.write(b"latin")
    file = ln.File(os.fsdecode(raw), key="latin.bin").save()
    assert file.stage().read_bytes() == b"latin"
    assert read("latin.bin") == b"latin"
    for key in ("ÜÑÎ/数据.csv", "with space.txt", "-rf", "a'b\"c;d.txt", "%s{}.txt", ".hidden"):
        ln.File(b"x", key=key).save()
        assert read(key) == b"x"


# --- sources that move ---


def test_a_file_that_changed_since_its_record_was_made_is_not_saved(instance: Path) -> None:
    file = ln.File(write("a.txt", b"short"), key="a.txt")
    write("a.txt", b"a longer text")
    with pytest.raises(SourceChangedError):
        file.save()
    assert File.objects.count() == 0
    assert ln.File("a.txt", key="a.txt").save().size == 13


def test_a_file_that_grows_while_it_is_saved_is_not_saved(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write("growing.log", os.urandom(4 << 20))
    real = os.read

    def slow(descriptor: int, size: int) -> bytes:
        with source.open("ab") as stream:
            stream.write(b"more")
        return real(descriptor, size)

    file = ln.File(source, key="growing.log")
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", slow)
        with pytest.raises(SourceChangedError):
            file.save()
    assert File.objects.count() == 0
    assert verify.verify().is_clean
    assert ln.File(source, key="growing.log").save().size == source.stat().st_size


@pytest.mark.parametrize("how", ["another in its place", "gone", "a link in its place", "cut"])
def test_a_source_that_is_replaced_while_it_is_read(instance: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, calls = os.urandom(4 << 20), []
    source = write("source.bin", before)
    write("private.txt", b"private")
    file, real = ln.File(source, key="source.bin"), os.read

    def replaced(descriptor: int, size: int) -> bytes:
        calls.append(size)
        if len(calls) == 2 and how == "cut":
            os.truncate(source, 100)
        elif len(calls) == 2:
            source.unlink()
            if how == "another in its place":
                write(source, b"other")
            elif how == "a link in its place":
                source.symlink_to("private.txt")
        return real(descriptor, size)

    with monkeypatch.context() as patch, contextlib.suppress(SourceChangedError):
        patch.setattr(os, "read", replaced)
        file.save()
    assert len(calls) > 2 or how == "cut"
    # What was open is one state of the file; a mixture of two is never saved.
    assert [saved.stage().read_bytes() for saved in ln.File.select()] in ([], [before])
    assert verify.verify().is_clean


# --- versions ---


def test_a_new_version_leaves_the_bytes_of_the_old_one(instance: Path) -> None:
    first = ln.File(write(instance / "data.txt", b"version 1")).save()
    write("x.txt", b"version 2!")
    os.replace("x.txt", instance / "data.txt")
    second = ln.File(instance / "data.txt").save()
    assert (first.stage().read_bytes(), second.stage().read_bytes()) == (b"version 1", b"version 2!")
    assert (first.size, second.size) == (9, 10)


def test_old_bytes_of_a_file_in_place_are_never_passed_off(instance: Path) -> None:
    root = Path("archive").resolve()
    write(root / "big.bin", b"first")
    ln.Storage(root=str(root)).save()
    first = ln.File(root / "big.bin").save()
    write(root / "big.bin", b"second")
    second = ln.File(root / "big.bin").save()
    assert second.stage().read_bytes() == b"second"
    with pytest.raises(IntegrityError, match="not kept"):
        first.stage()


def test_a_file_saved_again_while_its_record_is_in_the_trash_is_its_own(instance: Path) -> None:
    first = ln.File(b"x", key="a.txt").save()
    first.delete()
    second = ln.File(b"x", key="a.txt").save()
    assert second.id != first.id
    first.delete(permanent=True, storage=True)
    assert read("a.txt") == b"x"
    assert verify.verify().is_clean


# --- what must not be written to, or lost ---


def test_a_clock_that_goes_back_changes_no_order(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ln.File(b"1", key="a.txt").save()
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() - 400 * 86_400)
        patch.setattr(time, "time_ns", lambda: int((real() - 400 * 86_400) * 1e9))
        patch.setattr(base, "now", lambda: datetime.datetime.fromtimestamp(real() - 400 * 86_400, datetime.UTC))
        with ln.track(ln.Transform(name="t", type="pipeline")) as run:
            first.stage(is_run_input=True)
            ln.File(b"2", key="a.txt").save()
            made = ln.File(b"made", key="made.txt").save()
    third = ln.File(b"3", key="a.txt").save()
    assert [file.version for file in third.versions] == [1, 2, 3] and read("a.txt") == b"3"
    assert run.status == "completed" and made.is_stale
    third.delete()
    assert read("a.txt") == b"2"
    third.restore()
    assert read("a.txt") == b"3"
    # What was saved by a clock that was behind is no older for that: nothing but what is unreachable goes.
    gc.sweep(dry_run=False)
    assert verify.verify().is_clean


def test_an_object_folder_on_another_file_system_saves_nothing(
    local_instance: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: Any, target: Any, **options: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)

    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "link"):
            patch.setattr(os, name, refused)
        for files in ([ln.File(b"x", key="x.txt")], [ln.File(b"%d" % n, key=f"{n}.txt") for n in range(3)]):
            with pytest.raises(StorageError, match="cross-device"):
                ln.save(files)
    assert File.objects.count() == 0 and not (local_instance / "x.txt").exists()
    assert verify.verify().is_clean
    assert ln.File(b"x", key="x.txt").save().stage().read_bytes() == b"x"


def test_stored_bytes_are_read_only(instance: Path) -> None:
    file = ln.File(b"x", key="a.txt").save()
    for path in (object_path(file, instance), instance / "a.txt"):
        assert path.stat().st_mode & 0o222 == 0


def test_a_run_that_made_something_stays(instance: Path) -> None:
    run = ln.track(ln.Transform(name="t"))
    ln.File(b"x", key="a.txt").save()
    with pytest.raises(ReferencedError):
        run.delete()
    ln.finish()


def test_a_folder_that_is_deleted_behind_a_process_is_noticed(local_instance: Path) -> None:
    import shutil

    ln.File(b"x", key="a.txt").save()
    shutil.rmtree(local_instance)
    with pytest.raises(LaminError) as caught:
        ln.File.select().count()
    assert "\n" not in str(caught.value)
    assert not local_instance.exists()


def test_saving_what_was_written_over_a_stored_version_says_that_it_is_lost(
    local_instance: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ln.File(b"first", key="a.txt").save()
    path = local_instance / "a.txt"
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.write(b"FIRST")
    second = ln.File(path).save()
    said = capsys.readouterr().err
    assert "'a.txt' was changed in place, which wrote over the stored bytes of version 1" in said
    assert (second.version, path.read_bytes(), second.stage().read_bytes()) == (2, b"FIRST", b"FIRST")
    with pytest.raises(ln.errors.IntegrityError):
        first.stage()
    # An editor that writes a new file and renames it takes nothing away.
    new = local_instance / "new.txt"
    new.write_bytes(b"third")
    new.replace(path)
    ln.File(path).save()
    assert "changed in place" not in capsys.readouterr().err
    assert second.stage().read_bytes() == b"FIRST"
    ln.File(b"first", key="b.txt").save()
    assert first.stage().read_bytes() == b"first"


@pytest.mark.parametrize("n_others", [0, 30])
@pytest.mark.parametrize("becomes", ["folder", "file"])
def test_a_file_that_becomes_a_folder_is_not_saved(instance: Path, tmp_path: Path, becomes: str, n_others: int) -> None:
    path, other = tmp_path / "thing", tmp_path / "other"
    path.write_text("a file")
    other.mkdir()
    (other / "part").write_text("a part")
    before, after = (path, other) if becomes == "folder" else (other, path)
    file = ln.File(before, key="thing")
    before.rename(tmp_path / "aside")
    after.rename(before)
    others = [ln.File(str(number).encode(), key=f"{number}.txt") for number in range(n_others)]
    with pytest.raises(ln.errors.SourceChangedError, match="changed while it was being saved"):
        ln.save([*others, file])
    assert ln.File.objects.count() == 0
    ln.File(before, key="thing").save()
