"""A whole story on a bucket of a real S3 server, with records in SQLite and in PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import lamindb as ln
from lamindb.errors import IntegrityError, InvalidInputError, InvalidKeyError, ReadOnlyError, UnsupportedError

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def bucket(seaweed_root: str, database: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    ln.setup.init(storage=seaweed_root, db=database, name="in-a-bucket")
    return seaweed_root


def put(url: str, data: bytes) -> None:
    import obstore

    from lamindb.storage import bucket_client

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


def test_an_object_with_an_empty_part_is_refused_for_what_it_is(bucket: str) -> None:
    ln.Storage(root=bucket.rpartition("/")[0] + "/archive").save()
    with pytest.raises(InvalidKeyError, match="an empty part"):
        ln.File(bucket.rpartition("/")[0] + "/archive/a//b.csv")


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
