"""A whole story on a bucket of a real S3 server, with records in SQLite and in PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.cli import resolve
from lamindb.core import context
from lamindb.errors import (
    IntegrityError,
    InvalidInputError,
    InvalidKeyError,
    ReadOnlyError,
    SourceNotFoundError,
    UnsupportedError,
)
from lamindb.maintenance import verify
from lamindb.runs.commands import declared
from lamindb.storage import bucket_client
from tests.storage.servers import S3Server

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def bucket(seaweed_root: str, database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage=seaweed_root, db=database, name="in-a-bucket")
    return seaweed_root


def put(url: str, data: bytes) -> None:
    import obstore

    root, _, key = url.rpartition("/")
    obstore.put(bucket_client.open_bucket(root), key, data)


def test_saving_versions_reading_and_lineage(bucket: str) -> None:
    pd = pytest.importorskip("pandas")
    assert ln.setup.info().storage == bucket
    assert str(ln.setup.settings.storage.root) == bucket
    run = ln.track(ln.Transform(name="p", type="pipeline"))
    table = pd.DataFrame({"a": [1, 2]})
    first = ln.File(table, key="tables/a.parquet").save()
    assert first.load().equals(table)
    assert pd.read_parquet(first.path()).equals(table)
    assert str(first.path()).startswith(f"{bucket}/.lamindb/objects/")
    second = ln.File(pd.DataFrame({"a": [3]}), key="tables/a.parquet").save()
    assert second.version == 2
    assert [v.load().a.tolist() for v in second.versions] == [[1, 2], [3]]
    assert first.stage().name == "a.parquet"
    reader = ln.track(ln.Transform(name="reader", type="pipeline"))
    second.stage(is_run_input=True)
    Path("out.txt").write_text("made of it")
    out = ln.File("out.txt", key="out.txt").save()
    assert list(reader.inputs) == [second]
    assert list(out.ancestors()) == [second]
    assert list(run.outputs) == [first, second]
    assert ln.File("out.txt", key="out.txt").save() == out


def test_many_files_folders_and_the_trash(bucket: str) -> None:
    folder = Path("results")
    (folder / "sub").mkdir(parents=True)
    for number in range(25):
        (folder / "sub" / f"{number}.txt").write_text(str(number))
    files = ln.File.from_dir(folder)
    ln.save(files)
    assert ln.File.select(key__startswith="results/").count() == 25
    again = ln.File.from_dir(folder)
    ln.save(again)
    assert again == files
    whole = ln.File(folder, key="whole").save()
    assert whole.n_files == 25
    assert (whole.stage() / "sub" / "7.txt").read_text() == "7"
    files[0].delete()
    assert ln.File.select(key=files[0].key).count() == 0
    files[0].restore()
    assert files[0].stage().read_text() == "0"


def test_files_of_a_bucket_are_registered_where_they_are(bucket: str, seaweed_root: str) -> None:
    root = seaweed_root.rpartition("/")[0] + "/archive"
    put(f"{root}/deep/big.bin", b"0123")
    ln.Storage(root=root).save()
    file = ln.File(f"{root}/deep/big.bin").save()
    assert (file.key, file.size, file.storage.root) == ("deep/big.bin", 4, root)
    assert str(file.path()) == f"{root}/deep/big.bin"
    assert file.stage().read_bytes() == b"0123"
    put(f"{root}/deep/big.bin", b"4567 and more")
    changed = ln.File(f"{root}/deep/big.bin").save()
    assert changed.version == 2
    assert changed.stage().read_bytes() == b"4567 and more"
    put(f"{root}/deep/big.bin", b"third")
    third = ln.File(f"{root}/deep/big.bin").save()
    assert third.stage().read_bytes() == b"third"
    with pytest.raises(FileNotFoundError):
        ln.File(f"{root}/absent.bin")
    with pytest.raises(ValueError, match="lies in no storage"):
        ln.File("s3://elsewhere/x.bin")


@pytest.mark.parametrize("key", ["A:1.csv", "X:100-200.bed", "run#3/what?.csv", "50%25.csv"])
def test_objects_with_unusual_names_are_registered_where_they_are(bucket: str, key: str) -> None:
    root = bucket.rpartition("/")[0] + "/run%203"
    put(f"{root}/{key}", b"0123")
    storage = ln.Storage(root=root.replace("s3://", "s3a://") + "/").save()
    assert storage.root == root
    file = ln.File(f"{root.replace('s3://', 's3a://')}/{key}").save()
    assert (file.key, file.size, file.storage.root) == (key, 4, root)
    assert file.stage().read_bytes() == b"0123"
    assert file.path().read_bytes() == b"0123"


@pytest.fixture
def shelf(moto_server: S3Server, moto_root: str, local_instance: Path) -> Iterator[Shelf]:
    """Register a prefix of a bucket that keeps versions as a further storage of an instance in a folder."""
    with contextlib.closing(bucket_client.boto_client(moto_root)) as client:
        bucket, _, prefix = moto_root.removeprefix("s3://").partition("/")
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        shelf = Shelf(moto_root, client, bucket, prefix)
        shelf.put("a.txt", b"a")
        ln.Storage(root=moto_root).save()
        yield shelf


@dataclass(frozen=True)
class Shelf:
    root: str
    client: Any
    bucket: str
    prefix: str

    def put(self, key: str, data: bytes) -> str:
        """Put an object, also one whose name the client of buckets cannot express; return its version."""
        answer = self.client.put_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}", Body=data)
        return str(answer["VersionId"])


def test_a_folder_of_a_bucket_in_place(shelf: Shelf) -> None:
    for name in ("p/x.csv", "p/sub/y.csv"):
        shelf.put(name, name.encode())
    shelf.put("p/sub/", b"")
    folder = ln.File(f"{shelf.root}/p/").save()
    assert (folder.key, folder.is_folder, folder.n_files, folder.size) == ("p", True, 2, 18)
    staged = folder.stage()
    assert {str(path.relative_to(staged)) for path in staged.rglob("*.csv")} == {"x.csv", "sub/y.csv"}
    assert (folder.path() / "sub" / "y.csv").read_bytes() == b"p/sub/y.csv"
    assert verify.verify().is_clean
    many = ln.File.from_dir(f"{shelf.root.replace('s3://', 's3a://')}/p")
    ln.save(many)
    assert [file.key for file in many] == ["p/sub/y.csv", "p/x.csv"]
    assert ln.File(f"{shelf.root}/p").save() == folder
    assert declared.inputs_of(context.instance(), [f"{shelf.root}/p"], Path.cwd()) == [folder]
    shelf.put("p/x.csv", b"other")
    with pytest.raises(IntegrityError, match="was changed"):
        ln.File.select(key="p").one().stage()
    report = verify.verify()
    assert len(report.corrupt) == 2 and not report.missing
    assert ln.File(f"{shelf.root}/p").save().version == 2
    with pytest.raises(SourceNotFoundError, match="there is no file"):
        ln.File(f"{shelf.root}/q")
    with pytest.raises(SourceNotFoundError, match="no object below"):
        ln.File.from_dir(f"{shelf.root}/q")
    shelf.client.delete_object(Bucket=shelf.bucket, Key=f"{shelf.prefix}/p/x.csv")
    assert len(verify.verify().missing) == 1


def test_a_zarr_store_of_a_bucket_in_place(shelf: Shelf) -> None:
    zarr = pytest.importorskip("zarr")
    np = pytest.importorskip("numpy")
    zarr.save_array("made.zarr", np.arange(6))
    for path in Path("made.zarr").rglob("*"):
        if path.is_file():
            shelf.put(f"cells.zarr/{path.relative_to('made.zarr')}", path.read_bytes())
    file = ln.File(f"{shelf.root}/cells.zarr").save()
    assert file.suffix == ".zarr" and file.is_folder
    assert file.load()[:].tolist() == [0, 1, 2, 3, 4, 5]
    assert zarr.open(os.fspath(file.path()), mode="r")[2:4].tolist() == [2, 3]


def test_a_version_of_an_object_in_place(shelf: Shelf) -> None:
    first, second = shelf.put("x.csv", b"one"), shelf.put("x.csv", b"second")
    old = ln.File(f"{shelf.root}/x.csv?versionId={first}").save()
    new = ln.File(f"{shelf.root}/x.csv").save()
    assert (old.name, old.suffix, old.size, new.size) == ("x.csv", ".csv", 3, 6)
    old = ln.File.select(id=old.id).one()
    assert old.stage().read_bytes() == old.path().read_bytes() == b"one" and old.stage().name == "x.csv"
    assert new.stage().read_bytes() == b"second" and first != second
    assert verify.verify().is_clean
    shelf.client.delete_object(Bucket=shelf.bucket, Key=f"{shelf.prefix}/x.csv", VersionId=first)
    [lost] = verify.verify().missing
    assert first in str(lost)
    with pytest.raises(SourceNotFoundError, match=f"no version '{first}'"):
        ln.File(f"{shelf.root}/x.csv?versionId={first}")
    with pytest.raises(SourceNotFoundError, match="no version 'none'"):
        ln.File(f"{shelf.root}/x.csv?versionId=none")


def test_objects_whose_names_have_empty_parts_in_place(shelf: Shelf) -> None:
    shelf.put("odd/a//b.csv", b"0123")
    shelf.put("odd/c.csv", b"c")
    file = ln.File(f"{shelf.root}/odd/a//b.csv").save()
    assert (file.key, file.name, file.size) == ("odd/a//b.csv", "b.csv", 4)
    assert file.stage().read_bytes() == file.path().read_bytes() == b"0123"
    assert resolve.file("odd/a//b.csv") == resolve.file(f"{shelf.root}/odd/a//b.csv") == file
    assert [one.key for one in ln.File.from_dir(f"{shelf.root}/odd")] == ["odd/a//b.csv", "odd/c.csv"]
    with pytest.raises(InvalidKeyError, match="an empty part"):
        ln.File(f"{shelf.root}/odd")
    with pytest.raises(SourceNotFoundError):
        ln.File(f"{shelf.root}/odd/a//c.csv")
    with pytest.raises(InvalidKeyError, match="belongs to lamindb"):
        ln.File(f"{shelf.root}/.lamindb/x")
    assert verify.verify().is_clean


def test_nothing_is_registered_in_place_in_the_own_bucket(bucket: str) -> None:
    put(f"{bucket}/x.csv", b"mine")
    for make in (ln.File, ln.File.from_dir):
        with pytest.raises(InvalidInputError, match="own storage"):
            make(f"{bucket}/x.csv")


@pytest.mark.parametrize("host", ["https://bucket.s3.amazonaws.com", "archive"])
def test_a_presigned_address_is_refused_without_its_signature(bucket: str, host: str) -> None:
    root = bucket.rpartition("/")[0] + "/archive"
    ln.Storage(root=root).save()
    with pytest.raises(InvalidInputError) as caught:
        ln.File(f"{root if host == 'archive' else host}/x.csv?X-Amz-Credential=key&X-Amz-Signature=0a1b2c")
    assert "x.csv" in str(caught.value)
    assert "0a1b2c" not in str(caught.value)


def test_a_damaged_object_is_noticed_and_healed(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ln.File(b"right", key="a.txt").save()
    put(str(file.path()), b"wrong")
    monkeypatch.setenv("LAMIN_CACHE_DIR", str(tmp_path / "other-cache"))
    ln.disconnect()
    ln.connect(bucket)
    file = ln.File.select(key="a.txt").one()
    with pytest.raises(IntegrityError):
        file.stage()
    assert ln.File(b"right", key="a.txt").save() == file
    assert file.stage().read_bytes() == b"right"


def _save_one(number: int) -> int:
    ln.File(str(number).encode(), key=f"forked/{number}").save()
    return number


def test_executors_and_processes_that_fork_are_refused_at_once(bucket: str) -> None:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    ln.File(b"x", key="prior").save()
    files = [ln.File(str(number).encode(), key=f"ex/{number}") for number in range(40)]
    with (
        ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as forked,
        pytest.raises(UnsupportedError, match="spawn"),
    ):
        ln.save(files, executor=forked)
    assert ln.File.select(key__startswith="ex/").count() == 0
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as forked,
        pytest.raises(UnsupportedError, match="spawn"),
    ):
        forked.submit(_save_one, 1).result(60)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as spawned:
        ln.save(files, executor=spawned)
    assert ln.File.select(key__startswith="ex/").count() == 40


def test_paths_open_in_other_packages_and_processes(bucket: str) -> None:
    anndata = pytest.importorskip("anndata")
    zarr = pytest.importorskip("zarr")
    numpy = pytest.importorskip("numpy")
    data = anndata.AnnData(numpy.arange(6.0).reshape(2, 3))
    with warnings.catch_warnings():
        # It announces other defaults.
        warnings.simplefilter("ignore")
        folder = ln.File(data, key="x.zarr").save()
    assert "X" in [path.name for path in folder.path().iterdir()]
    assert (zarr.open(str(folder.path()))["X"][:] == data.X).all()
    assert (anndata.read_zarr(str(folder.path())).X == data.X).all()
    file = ln.File(data, key="x.h5ad").save()
    with file.path().open("rb") as stream:
        assert (anndata.read_h5ad(stream).X == data.X).all()
    assert (anndata.read_h5ad(file.stage()).X == data.X).all()
    with pytest.raises(ReadOnlyError):
        file.path().unlink()
    assert file.path().exists()
    program = "import sys, zarr; print(zarr.open(sys.argv[1], mode='r')['X'][:].sum())"
    command = [sys.executable, "-c", program, str(folder.path())]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout == "15.0\n"
