"""An archive with bytes: they are right, they can be checked, and no path leads out of its folder."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from blake3 import blake3

import lamindb as ln
from lamindb.errors import IntegrityError, InvalidInputError, StorageError
from lamindb.exchange.bundle import write_bundle


def test_it_has_the_bytes_their_digests_and_the_page(local_instance: Path, tmp_path: Path) -> None:
    with ln.track(ln.Transform(name="make", type="script")) as run:
        one = ln.File(b"one" * 100, key="results/one.csv").save()
        (tmp_path / "folder" / "sub").mkdir(parents=True)
        (tmp_path / "folder" / "sub" / "a.txt").write_text("a")
        (tmp_path / "folder" / "b.txt").write_text("b")
        ln.File(tmp_path / "folder", key="results/folder").save()
    made = write_bundle([run], tmp_path / "out.zip")
    assert made.n_files == 3
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        sums = archive.read("B3SUMS").decode()
        manifest = json.loads(archive.read("manifest.json"))
        assert one.id in archive.read("index.html").decode()
        assert "b3sum --check B3SUMS" in archive.read("README.txt").decode()
        for line in sums.splitlines():
            digest, _, name = line.partition("  ")
            assert blake3(archive.read(name)).hexdigest() == digest
    assert {"files/results/one.csv", "files/results/folder/sub/a.txt", "files/results/folder/b.txt"} < names
    assert [entry["path"] for entry in manifest["files"]] == [line.partition("  ")[2] for line in sums.splitlines()]


def test_an_archive_has_the_name_of_its_format(local_instance: Path, tmp_path: Path) -> None:
    file = ln.File(b"one", key="one.csv").save()
    with pytest.raises(InvalidInputError, match=r"end its name in \.zip"):
        write_bundle([file], tmp_path / "out.tar.gz")
    assert not list(tmp_path.glob("out*"))


def test_the_python_in_its_instructions_checks_it(local_instance: Path, tmp_path: Path) -> None:
    import re
    import subprocess
    import sys

    file = ln.File(b"one", key="one.csv").save()
    write_bundle([file], tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "out")
        readme = archive.read("README.txt").decode()
    code = re.search(r'python -c "\n(.*?)\n    "', readme, re.DOTALL)
    assert code is not None
    program = "\n".join(line[4:] for line in code[1].splitlines())
    for expected in ("OK files/one.csv\n", "DIFFERENT files/one.csv\n"):
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path / "out", capture_output=True, text=True)
        assert done.stdout == expected, done.stderr
        (tmp_path / "out" / "files" / "one.csv").write_bytes(b"two")


@pytest.mark.parametrize("key", ["a:b/c.csv", "trailing. /x.csv", 'q"uo<te>|?*.csv', "a\u202egnp.exe"])
def test_no_path_is_harmful(local_instance: Path, tmp_path: Path, key: str) -> None:
    file = ln.File(b"x", key=key).save()
    write_bundle([file], tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        (name,) = (one for one in archive.namelist() if one.startswith("files/"))
    assert ".." not in name.split("/") and not set(name) & set('\\:*?"<>|\x1b')


def test_damaged_bytes_make_no_archive(local_instance: Path, tmp_path: Path) -> None:
    file = ln.File(b"right", key="a.txt").save()
    path = next((local_instance / ".lamindb" / "objects").rglob(f"{file.digest}*"))
    path.chmod(0o644)
    path.write_bytes(b"wrong")
    (tmp_path / "out.zip").write_bytes(b"before")
    with pytest.raises(IntegrityError, match=r"stored bytes of 'a\.txt' are damaged"):
        write_bundle([file], tmp_path / "out.zip")
    assert (tmp_path / "out.zip").read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".out")] == []


def test_nothing_chosen_and_no_place_are_errors(local_instance: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nothing to bundle"):
        write_bundle([], tmp_path / "out.zip")
    file = ln.File(b"x", key="a.txt").save()
    with pytest.raises(StorageError, match="cannot write"):
        write_bundle([file], tmp_path / "missing" / "out.zip")
