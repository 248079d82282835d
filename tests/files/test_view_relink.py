"""A copied folder reads right at once, and takes its space only once after relinking."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.core import context, hashing
from lamindb.errors import InvalidInputError
from lamindb.files import view_relink
from lamindb.maintenance import verify
from lamindb.models import File
from lamindb.setup import lifecycle
from lamindb.storage import local, object_folder, view


def fill() -> None:
    ln.File(b"one", key="deep/one.txt").save()
    ln.File(b"two" * 1000, key="two.txt").save()
    Path("src/inner").mkdir(parents=True)
    Path("src/inner/member.txt").write_bytes(b"member" * 100)
    ln.File("src", key="folder").save()
    ln.File(b"old", key="versions.txt").save()
    ln.File(b"new", key="versions.txt").save()


def copy(root: Path, target: Path, *, times: bool = False) -> None:
    """Copy a folder as `cp -r` (or `cp -rp`) does: links are broken, inodes and usually times are new."""
    lifecycle.close()
    shutil.copytree(root, target, copy_function=shutil.copy2 if times else shutil.copy)
    os.chdir(target.parent)
    lifecycle.connect(target)


def space(root: Path) -> int:
    return sum(
        {found.st_ino: found.st_size for path in root.rglob("*") if path.is_file() for found in [path.stat()]}.values()
    )


def objects_size(root: Path) -> int:
    return sum(path.stat().st_size for path in (root / ".lamindb/objects").rglob("*") if path.is_file())


def test_a_copy_is_opened_and_read_without_hashing_everything(
    local_instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill()
    read: list[str] = []
    real = hashing.digest_file
    for module in (local, object_folder, view):
        if hasattr(module, "digest_file"):
            monkeypatch.setattr(module, "digest_file", lambda path: read.append(os.fspath(path)) or real(path))
    copy(local_instance, tmp_path / "copied")
    assert ln.File.select().count() == 4
    assert read == []
    assert ln.File.select(key="two.txt").one().load() is not None
    assert all("two.txt" in path or path.endswith(".txt") for path in read) and len(set(read)) <= 2
    assert ln.File.select(key="versions.txt").one().versions[0].stage().read_bytes() == b"old"


@pytest.mark.parametrize("times", [False, True])
def test_relinking_gives_the_space_back(local_instance: Path, tmp_path: Path, times: bool) -> None:
    fill()
    ln.File.select(key="versions.txt").one().versions[0].stage()
    new = tmp_path / "copied"
    copy(local_instance, new, times=times)
    database = (new / ".lamindb/db.sqlite3").stat().st_size
    assert space(new) - objects_size(new) - database > 3000
    told: list[tuple[int, int]] = []
    report = view_relink.relink(lambda done, total: told.append((done, total)))
    assert (report.checked, report.relinked, report.n_bytes) == (4, 4, 3 + 3000 + 600 + 3)
    assert (report.healed, report.edited) == ((), ())
    assert told[-1] == (4, 4)
    for key in ("deep/one.txt", "two.txt", "folder/inner/member.txt", "versions.txt"):
        assert (new / key).stat().st_nlink == 2
    assert not list((new / ".lamindb/staged").rglob("*.txt"))
    assert view_relink.relink().relinked == 0
    assert verify.verify().is_clean
    assert "4 linked again" in str(report)


def test_an_unpacked_archive_is_linked_again(local_instance: Path, tmp_path: Path) -> None:
    fill()
    lifecycle.close()
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in local_instance.rglob("*"):
            archive.write(path, path.relative_to(local_instance))
    new = tmp_path / "unpacked"
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(new)
    lifecycle.connect(new)
    assert verify.verify().is_clean
    assert view_relink.relink().relinked == 4
    # An archive may drop permissions; what is linked again must not be written to by accident.
    assert ln.File(b"newer", key="two.txt").save().version == 2


def make_writable(root: Path, mode: int) -> None:
    for path in root.rglob("*"):
        if path.is_file() and path.suffix == ".txt":
            path.chmod(mode)


@pytest.mark.parametrize(("mode", "expected"), [(0o644, 0o444), (0o660, 0o440), (0o600, 0o400)])
def test_what_is_linked_again_cannot_be_written_to(
    local_instance: Path, tmp_path: Path, mode: int, expected: int
) -> None:
    ln.File(b"one", key="deep/one.txt").save()
    Path("src").mkdir()
    Path("src/member.txt").write_bytes(b"member")
    ln.File("src", key="folder").save()
    new = tmp_path / "copied"
    copy(local_instance, new)
    make_writable(new, mode)
    assert view_relink.relink().relinked == 2
    for key in ("deep/one.txt", "folder/member.txt"):
        assert ((new / key).stat().st_nlink, (new / key).stat().st_mode & 0o777) == (2, expected)
    # Also where the links are there and somebody made them writable.
    make_writable(new, mode)
    assert view_relink.relink().relinked == 0
    for key in ("deep/one.txt", "folder/member.txt"):
        assert (new / key).stat().st_mode & 0o777 == expected
    assert verify.verify().is_clean


def test_an_object_that_stays_writable_is_not_linked(
    local_instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill()
    new = tmp_path / "copied"
    copy(local_instance, new)
    make_writable(new, 0o644)

    def refuse(path: object, mode: int) -> None:
        raise PermissionError(f"{path} is another user's")

    monkeypatch.setattr(os, "chmod", refuse)
    assert view_relink.relink().relinked == 0
    assert (new / "two.txt").stat().st_nlink == 1
    assert "is not linked" in capsys.readouterr().err


def test_edits_are_left_alone(local_instance: Path, tmp_path: Path) -> None:
    fill()
    new = tmp_path / "copied"
    copy(local_instance, new)
    (new / "two.txt").chmod(0o644)
    (new / "two.txt").write_bytes(b"edited")
    report = view_relink.relink()
    assert report.edited == ("two.txt",)
    assert (new / "two.txt").read_bytes() == b"edited"
    assert report.relinked == 3


def test_a_damaged_object_is_healed_from_the_view(local_instance: Path, tmp_path: Path) -> None:
    fill()
    new = tmp_path / "copied"
    copy(local_instance, new)
    file = ln.File.select(key="two.txt").one()
    path = new / ".lamindb/objects" / file.digest[:2] / f"{file.digest}.txt"
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    lost = ln.File.select(key="deep/one.txt").one()
    (new / ".lamindb/objects" / lost.digest[:2] / f"{lost.digest}.txt").unlink()
    report = view_relink.relink()
    assert set(report.healed) == {f"{file.digest}.txt", f"{lost.digest}.txt"}
    assert verify.verify().is_clean
    assert (new / "two.txt").read_bytes() == b"two" * 1000


def test_what_the_copy_left_out_of_the_view_is_shown_again(local_instance: Path, tmp_path: Path) -> None:
    fill()
    lifecycle.close()
    new = tmp_path / "copied"
    shutil.copytree(local_instance / ".lamindb", new / ".lamindb")
    lifecycle.connect(new)
    view_relink.relink()
    assert (new / "deep/one.txt").read_bytes() == b"one"
    assert (new / "folder/inner/member.txt").read_bytes() == b"member" * 100


def test_a_view_without_links_has_nothing_to_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage="./mydata", view="none")
    with pytest.raises(InvalidInputError, match="nothing to link"):
        view_relink.relink()


def test_a_copied_folder_is_another_instance(local_instance: Path, tmp_path: Path) -> None:
    fill()
    new = tmp_path / "copied"
    copy(local_instance, new)
    ln.File(b"only in the copy", key="copy.txt").save()
    assert context.instance().root_url == str(new)
    lifecycle.connect(local_instance)
    assert not File.objects.filter(key="copy.txt").exists()
    assert context.instance().store.root_url == str(local_instance)
