"""Paths in buckets: other packages read them, none can write them, and other processes unpickle them."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamindb.errors import IntegrityError, ReadOnlyError, UnsupportedError
from lamindb.storage.base import ObjectName, Source
from lamindb.storage.manifest import read_manifest
from lamindb.storage.remote import RemoteStore
from tests.storage.servers import S3Server

FILES = {"a.txt": b"alpha", "sub/b.txt": b"beta", "sub/deep/c.bin": b"", "z": b"alpha"}


@pytest.fixture
def store(seaweed_root: str) -> RemoteStore:
    store = RemoteStore(seaweed_root)
    store.prepare()
    return store


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(store: RemoteStore, files: Path) -> Any:
    for name, data in FILES.items():
        (files / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (files / "f" / name).write_bytes(data)
    return put(store, files / "f")


@pytest.fixture
def file(store: RemoteStore, files: Path) -> Any:
    (files / "t.csv").write_text("a,b\n1,x\n")
    return put(store, files / "t.csv")


def put(store: RemoteStore, path: Path) -> Any:
    stored = store.put(Source(path.suffix, str(path)))
    return store.upath(stored.name, path.name, is_folder=stored.is_folder)


def test_a_file(store: RemoteStore, file: Any, files: Path) -> None:
    upath = pytest.importorskip("upath")
    assert isinstance(file, upath.UPath)
    assert str(file).startswith(f"{store.root_url}/.lamindb/objects/")
    assert file.exists() and file.is_file() and file.stat().st_size == 8
    assert file.read_text() == "a,b\n1,x\n"
    assert file.open().read() == "a,b\n1,x\n"
    assert (file.parent / file.name).read_bytes() == b"a,b\n1,x\n"
    file.copy(upath.UPath(files / "copied.csv"))
    assert (files / "copied.csv").read_text() == "a,b\n1,x\n"
    assert [file.fs.cat_file(file.path, *part) for part in ((2, None), (None, 3), (-2, None), (3, 3))] == [
        b"b\n1,x\n",
        b"a,b",
        b"x\n",
        b"",
    ]


def test_a_folder_shows_its_members_under_their_names(folder: Any, files: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "sub", "z"]
    assert (folder.exists(), folder.is_dir(), folder.is_file()) == (True, True, False)
    assert ((folder / "sub").is_dir(), (folder / "sub/b.txt").is_file(), (folder / "no").exists()) == (
        True,
        True,
        False,
    )
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == FILES
    assert (folder / "sub/b.txt").stat().st_size == 4
    with (folder / "sub" / "b.txt").open("rb") as stream:
        stream.seek(2)
        assert stream.read() == b"ta"
    assert [
        folder.fs.cat_file(f"{folder.path}/a.txt", *part) for part in ((1, None), (None, 2), (-2, None), (1, 3))
    ] == [
        b"lpha",
        b"al",
        b"ha",
        b"lp",
    ]
    folder.fs.get(folder.path, str(files / "got"), recursive=True)
    assert {str(path.relative_to(files / "got")) for path in (files / "got").rglob("*") if path.is_file()} == set(FILES)
    for missing in (folder / "a.txt" / "x", folder / "nothing"):
        with pytest.raises(FileNotFoundError):
            missing.read_bytes()
    with pytest.raises(IsADirectoryError):
        (folder / "sub").read_bytes()


CHANGES: dict[str, Callable[[Any], object]] = {
    "write_bytes": lambda path: path.write_bytes(b"x"),
    "write_text": lambda path: path.write_text("x"),
    "open": lambda path: path.open("wb").close(),
    "append": lambda path: path.open("ab").close(),
    "unlink": lambda path: path.unlink(),
    "rename": lambda path: path.rename(path.parent / "other"),
    "remove": lambda path: path.fs.rm(path.path, recursive=True),
    "copy over": lambda path: path.fs.cp_file(path.path, path.path),
    "put": lambda path: path.fs.put(__file__, path.path),
    "pipe": lambda path: path.fs.pipe_file(path.path, b"x"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_stored_bytes_cannot_be_changed(file: Any, folder: Any, change: str) -> None:
    for path in (file, folder / "sub" / "b.txt"):
        before = path.read_bytes()
        with pytest.raises(ReadOnlyError, match="never are"):
            CHANGES[change](path)
        assert path.read_bytes() == before


def test_elsewhere_in_the_bucket_people_may_write(store: RemoteStore) -> None:
    path = store.upath_of_key("mine/a.txt")
    path.write_text("x")
    assert path.read_text() == "x"
    path.unlink()
    assert not path.exists()
    assert str(store.upath_of_key("")) == store.root_url


def test_paths_go_to_other_processes_without_credentials(file: Any, folder: Any, files: Path) -> None:
    paths = [file, folder, folder / "sub" / "b.txt"]
    data = pickle.dumps([*paths, file.fs, folder.fs])
    assert os.environ["AWS_SECRET_ACCESS_KEY"].encode() not in data
    assert os.environ["AWS_ACCESS_KEY_ID"].encode() not in data
    assert pickle.loads(data)[:3] == paths
    (files / "p").write_bytes(data)
    program = """
import pickle, sys
file, folder, member, *_ = pickle.load(open(sys.argv[1], "rb"))
print(file.read_text() == "a,b\\n1,x\\n", sorted(p.name for p in folder.iterdir()), member.read_bytes())
"""
    told = subprocess.run([sys.executable, "-c", program, str(files / "p")], capture_output=True, text=True, check=True)
    assert told.stdout == "True ['a.txt', 'sub', 'z'] b'beta'\n"


def test_paths_follow_the_environment(
    file: Any, folder: Any, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert file.exists() and folder.exists()
    for name, value in moto_server.environment.items():
        monkeypatch.setenv(name, value)
    assert not file.exists()
    with pytest.raises(IntegrityError, match="missing"):
        folder.exists()


def test_pandas_opens_files_and_folders(store: RemoteStore, files: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    frame.to_csv(files / "t.csv", index=False)
    frame.to_parquet(files / "t.parquet")
    frame.to_parquet(files / "parts.parquet", partition_cols=["b"])
    csv, parquet, parts = (put(store, files / name) for name in ("t.csv", "t.parquet", "parts.parquet"))
    assert pd.read_csv(csv).equals(frame)
    with csv.open("rb") as stream:
        assert pd.read_csv(stream).equals(frame)
    assert pd.read_parquet(parquet).equals(frame)
    for path in (parts, str(parts)):
        assert pd.read_parquet(path).astype({"b": str}).equals(frame)


def test_zarr_and_anndata_open_folders(store: RemoteStore, files: Path) -> None:
    zarr = pytest.importorskip("zarr")
    anndata = pytest.importorskip("anndata")
    numpy = pytest.importorskip("numpy")
    group = zarr.open_group(str(files / "g.zarr"), mode="w")
    group.create_array("x", data=numpy.arange(10))
    path = put(store, files / "g.zarr")
    assert (zarr.open(str(path))["x"][:] == numpy.arange(10)).all()
    assert (zarr.open(str(path), mode="r")["x"][3:5] == [3, 4]).all()
    assert (zarr.open(path.fs.get_mapper(path.path), mode="r")["x"][:] == numpy.arange(10)).all()
    with pytest.raises(ReadOnlyError):
        zarr.open_group(str(path), mode="a").create_array("y", data=numpy.arange(3))
    data = anndata.AnnData(numpy.arange(6.0).reshape(2, 3))
    with warnings.catch_warnings():
        # It announces other defaults.
        warnings.simplefilter("ignore")
        data.write_zarr(files / "a.zarr")
        data.write_h5ad(files / "a.h5ad")
    assert (anndata.read_zarr(str(put(store, files / "a.zarr"))).X == data.X).all()
    with put(store, files / "a.h5ad").open("rb") as stream:
        assert (anndata.read_h5ad(stream).X == data.X).all()
    path = store.upath_of_key("arrays/g.zarr")
    group = zarr.open_group(str(path), mode="w")
    group.create_array("x", data=numpy.arange(10))
    assert (zarr.open_group(str(path), mode="r")["x"][:] == numpy.arange(10)).all()


CONFIGS = {
    "endpoint_url": "[profile lab]\nregion = us-east-1\nendpoint_url = {}\n",
    "services": "[profile lab]\nregion = us-east-1\nservices = own\n[services own]\ns3 =\n  endpoint_url = {}\n",
}


@pytest.fixture(params=CONFIGS)
def profile(request: pytest.FixtureRequest, seaweed_root: str, isolated_home: Path, monkeypatch: Any) -> str:
    """Name the server in a profile only, and the profile in the environment; return its name."""
    endpoint, key, secret = (
        os.environ[name] for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    folder = isolated_home / ".aws"
    folder.mkdir()
    (folder / "config").write_text(CONFIGS[request.param].format(endpoint))
    (folder / "credentials").write_text(f"[lab]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    return "lab"


def test_others_open_what_a_profile_leads_to(profile: str, store: RemoteStore, files: Path) -> None:
    pd = pytest.importorskip("pandas")
    parquet = pytest.importorskip("pyarrow.parquet")
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    frame.to_csv(files / "t.csv", index=False)
    frame.to_parquet(files / "t.parquet")
    frame.to_feather(files / "t.feather")
    frame.to_parquet(files / "parts.parquet", partition_cols=["b"])
    paths = {name: put(store, files / name) for name in ("t.csv", "t.parquet", "t.feather", "parts.parquet")}
    assert pd.read_csv(paths["t.csv"]).equals(frame)
    assert pd.read_parquet(paths["t.parquet"]).equals(frame)
    assert pd.read_feather(paths["t.feather"]).equals(frame)
    assert pd.read_parquet(paths["parts.parquet"]).astype({"b": str}).equals(frame)
    path = paths["t.parquet"]
    assert parquet.read_table(path.path, filesystem=path.fs).to_pandas().equals(frame)
    elsewhere = store.upath_of_key("mine/lamindbs3")
    frame.to_parquet(elsewhere / "parts", partition_cols=["b"])
    assert pd.read_parquet(elsewhere / "parts").astype({"b": str}).equals(frame)


def test_zarr_and_anndata_open_what_a_profile_leads_to(profile: str, store: RemoteStore, files: Path) -> None:
    zarr = pytest.importorskip("zarr")
    anndata = pytest.importorskip("anndata")
    numpy = pytest.importorskip("numpy")
    data = anndata.AnnData(numpy.arange(6.0).reshape(2, 3))
    with warnings.catch_warnings():
        # It announces other defaults.
        warnings.simplefilter("ignore")
        data.write_zarr(files / "a.zarr")
        data.write_h5ad(files / "a.h5ad")
    path = put(store, files / "a.zarr")
    assert (anndata.read_zarr(str(path)).X == data.X).all()
    assert zarr.open(str(path), mode="r").attrs["encoding-type"] == "anndata"
    with put(store, files / "a.h5ad").open("rb") as stream:
        assert (anndata.read_h5ad(stream).X == data.X).all()
    elsewhere = store.upath_of_key("arrays/g.zarr")
    for address in (str(elsewhere), os.fspath(elsewhere)):
        zarr.open_group(address, mode="w").create_array("x", data=numpy.arange(10))
        assert (zarr.open_group(address, mode="r")["x"][:] == numpy.arange(10)).all()


def test_a_path_is_the_same_wherever_its_server_is_configured(profile: str, file: Any, folder: Any) -> None:
    fsspec = pytest.importorskip("fsspec")
    assert str(file) == f"s3://{file.path}" and os.fspath(file) == f"lamindbs3://{file.path}"
    assert os.fspath(folder / "sub") == str(folder / "sub")
    assert (type(file)(str(file)), file.parent / file.name, pickle.loads(pickle.dumps(file))) == (file, file, file)
    assert str(file.relative_to(file.parent)) == os.fspath(file.relative_to(file.parent)) == file.name
    assert file.is_relative_to(file.parent) and file in list(file.parent.iterdir())
    with fsspec.open(file, "rb") as stream:
        assert stream.read() == b"a,b\n1,x\n"
    filesystem, path = fsspec.url_to_fs(os.fspath(file))
    assert filesystem.cat([path]) == filesystem.cat([os.fspath(file)]) == {path: b"a,b\n1,x\n"}
    assert file.fs.info(os.fspath(file)) == file.fs.info(str(file))
    assert pickle.loads(pickle.dumps(filesystem)).cat_file(os.fspath(file)) == b"a,b\n1,x\n"
    for address in (os.fspath(file), path):
        with pytest.raises(ReadOnlyError, match="never are"):
            filesystem.rm_file(address)


def test_all_addresses_are_opened_in_programs_that_never_import_this_library() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    entries = project["project"]["entry-points"]["fsspec.specs"]
    assert set(entries) == {"lamindb", "lamindbs3", "lamindbgs", "lamindbaz"}
    for protocol, place in entries.items():
        module, _, name = place.partition(":")
        assert getattr(importlib.import_module(module), name).protocol == (protocol.removeprefix("lamindb") or protocol)


def test_a_member_that_is_missing_or_damaged_is_no_empty_one(store: RemoteStore, folder: Any, files: Path) -> None:
    import obstore

    manifest = ObjectName.parse(folder.name)
    assert manifest is not None
    members = {member.path: member.name for member in read_manifest(store, manifest)}
    obstore.put(store.backend, store.path(members["a.txt"]), b"ALPHA")
    store.delete(members["sub/b.txt"])
    for name, kind in (("a.txt", "damaged"), ("sub/b.txt", "missing")):
        with pytest.raises(IntegrityError, match=kind):
            folder.fs.cat_file(f"{folder.path}/{name}")
        with pytest.raises(IntegrityError, match=kind):
            folder.fs.get_file(f"{folder.path}/{name}", str(files / "got"))
    store.delete(manifest)
    folder.fs._folders.clear()
    with pytest.raises(IntegrityError, match="missing"):
        list(folder.iterdir())


def test_paths_in_memory_are_refused() -> None:
    store = RemoteStore("memory://x")
    with pytest.raises(UnsupportedError, match="memory"):
        store.upath_of_key("a.csv")
    with pytest.raises(UnsupportedError, match="memory"):
        store.upath(store.put(Source("", data=b"x")).name, "x")
