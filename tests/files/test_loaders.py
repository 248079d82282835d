"""Loaders and serialisers, against files written by the formats' own libraries."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import lamindb as ln
from lamindb.errors import InvalidInputError, InvalidTypeError, StorageError, UnsupportedError
from lamindb.files import loaders

TABLE = pd.DataFrame({"gene": ["TP53", "BRCA1"], "count": [3, 5]})


def _write_arrow(path: Path) -> None:
    import pyarrow as pa

    table = pa.Table.from_pandas(TABLE)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _write_arrow_stream(path: Path) -> None:
    import pyarrow as pa

    table = pa.Table.from_pandas(TABLE)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def _write_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["x"] = [1, 2, 3]


def _write_image(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (4, 3)).save(path)


def _write_zarr(path: Path) -> None:
    import zarr

    zarr.open_group(str(path), mode="w").create_array("x", data=np.arange(3))


def _write_bam(path: Path) -> None:
    import pysam

    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": "chr1", "LN": 100}]}
    with pysam.AlignmentFile(str(path), "wb", header=header):
        pass


VCF = "##fileformat=VCFv4.2\n##contig=<ID=1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t5\t.\tA\tC\t.\t.\t.\n"

CASES: dict[str, tuple[Callable[[Path], Any], Callable[[Any], bool]]] = {
    ".arrow": (_write_arrow, lambda found: found.num_rows == 2),
    ".bam": (_write_bam, lambda found: found.references == ("chr1",) and found.close() is None),
    ".csv": (lambda path: TABLE.to_csv(path, index=False), TABLE.equals),
    ".csv.gz": (lambda path: TABLE.to_csv(path, index=False), TABLE.equals),
    ".fasta": (
        lambda path: path.write_text(">a\nACGT\n"),
        lambda found: [record.sequence for record in found] == ["ACGT"] and found.close() is None,
    ),
    ".feather": (TABLE.to_feather, TABLE.equals),
    ".h5": (_write_hdf5, lambda found: found["x"][:].tolist() == [1, 2, 3] and found.close() is None),
    ".html": (lambda path: path.write_text("<p>é"), lambda found: found == "<p>é"),
    ".jpg": (_write_image, lambda found: found.size == (4, 3)),
    ".json": (lambda path: path.write_text('{"a": [1]}'), lambda found: found == {"a": [1]}),
    ".jsonl": (lambda path: TABLE.to_json(path, orient="records", lines=True), TABLE.equals),
    ".md": (lambda path: path.write_bytes(b"\xef\xbb\xbf# title"), lambda found: found == "# title"),
    ".npy": (lambda path: np.save(path, np.arange(3)), lambda found: found.tolist() == [0, 1, 2]),
    ".npz": (lambda path: np.savez(path, a=np.arange(2)), lambda found: found["a"].tolist() == [0, 1]),
    ".parquet": (TABLE.to_parquet, TABLE.equals),
    ".png": (_write_image, lambda found: found.size == (4, 3)),
    ".tsv": (lambda path: TABLE.to_csv(path, index=False, sep="\t"), TABLE.equals),
    ".txt": (lambda path: path.write_text("plain"), lambda found: found == "plain"),
    ".vcf": (
        lambda path: path.write_text(VCF),
        lambda found: [record.pos for record in found] == [5] and found.close() is None,
    ),
    ".xlsx": (lambda path: TABLE.to_excel(path, index=False), TABLE.equals),
    ".yaml": (lambda path: path.write_text("a: 1"), lambda found: found == {"a": 1}),
    ".zarr": (_write_zarr, lambda found: found["x"][:].tolist() == [0, 1, 2]),
}


def _content(path: Path) -> dict[str, bytes]:
    return {str(child.relative_to(path)): child.read_bytes() for child in sorted(path.rglob("*")) if child.is_file()}


@pytest.mark.parametrize("suffix", CASES)
def test_loads_each_format_and_writes_nothing(suffix: str, tmp_path: Path) -> None:
    write, is_right = CASES[suffix]
    path = tmp_path / f"data{suffix}"
    write(path)
    before = _content(tmp_path)
    assert is_right(loaders.load(path, suffix))
    assert _content(tmp_path) == before


def test_an_arrow_stream_is_a_table_too(tmp_path: Path) -> None:
    _write_arrow_stream(tmp_path / "x.arrow")
    assert loaders.load(tmp_path / "x.arrow", ".arrow").num_rows == 2


def test_every_registered_loader_exists_and_every_loader_is_registered() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    declared = project["project"]["entry-points"]["lamindb.loaders"]
    functions = {value.split(":")[1] for value in declared.values()}
    assert functions == {name for name in vars(loaders) if name.startswith("load_")}
    assert set(declared) <= set(loaders._installed())


def test_an_unknown_suffix_gives_the_path(tmp_path: Path) -> None:
    path = tmp_path / "reads.fastq.gz"
    path.write_bytes(b"not really gzip")
    assert loaders.load(path, ".fastq.gz") == path
    assert loaders.load(path, "") == path


@pytest.fixture
def own_loaders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "_registered", {})


@pytest.mark.usefixtures("own_loaders")
def test_the_longest_suffix_wins(tmp_path: Path) -> None:
    @loaders.register_loader(".special.CSV")
    def load_special(path: Path) -> str:
        return f"special {path.name}"

    path = tmp_path / "a.special.csv"
    path.write_text("a\n1\n")
    assert loaders.load(path, ".special.csv") == "special a.special.csv"
    assert loaders.load(path, ".other.csv").a.tolist() == [1]


@pytest.mark.usefixtures("own_loaders")
def test_a_registered_loader_comes_before_an_installed_one(tmp_path: Path) -> None:
    loaders.register_loader("txt")(lambda path: 7)
    assert loaders.load(tmp_path / "a.txt", ".txt") == 7


@pytest.mark.usefixtures("own_loaders")
def test_a_warning_of_a_format_is_no_error(tmp_path: Path) -> None:
    @loaders.register_loader(".old")
    def load_old(path: Path) -> str:
        warnings.warn("this format is old", DeprecationWarning, stacklevel=1)
        return path.name

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("error")
        assert loaders.load(tmp_path / "a.old", ".old") == "a.old"
    assert [str(one.message) for one in seen] == ["this format is old"]


@pytest.mark.usefixtures("own_loaders")
def test_a_package_brings_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "plates-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plates\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[lamindb.writers]\nplates.Plate:WELLS = plates:write\nodd = plates:odd\n")
    (tmp_path / "plates.py").write_text("class Plate: pass\ndef write(plate): return b'A1'\n")
    monkeypatch.syspath_prepend(tmp_path)
    loaders._installed_writers.cache_clear()
    try:
        assert loaders.is_written(".wells") and "plates" not in sys.modules
        plate = importlib.import_module("plates").Plate()
        assert loaders.in_memory_kind(plate) == "Plate" and loaders.to_bytes(plate) == (b"A1", ".wells")
        loaders.register_writer(".wells", type(plate))(lambda plate: b"own")
        assert loaders.to_bytes(plate, "wells") == (b"own", ".wells")
    finally:
        loaders._installed_writers.cache_clear()
        sys.modules.pop("plates", None)


@pytest.mark.parametrize("suffix", ["", ".", "a/b"])
def test_a_loader_needs_a_suffix(suffix: str) -> None:
    with pytest.raises(InvalidInputError, match="suffix"):
        loaders.register_loader(suffix)


@pytest.mark.parametrize(
    ("suffix", "module", "wanted"),
    [
        (".parquet", "pandas", "pandas>="),
        (".parquet", "pyarrow", "pyarrow>="),
        (".h5ad", "anndata", "anndata>="),
        (".h5", "h5py", "h5py>="),
        (".xlsx", "openpyxl", "openpyxl>="),
        (".png", "PIL", "pillow>="),
        (".yaml", "yaml", "pyyaml>="),
        (".zarr", "zarr", "zarr>="),
        (".bam", "pysam", "pysam>="),
        (".fasta", "dnaio", "dnaio>="),
    ],
)
def test_a_missing_package_is_named_with_its_bound(
    suffix: str, module: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnsupportedError, match=rf"{module}.*pip install '{wanted}"):
        loaders.load(tmp_path / "x", suffix)


def test_a_pickle_is_read_only_when_trusted(tmp_path: Path) -> None:
    path, touched = tmp_path / "x.pkl", tmp_path / "touched"

    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return touched.touch, ()

    path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(InvalidInputError, match="trust=True"):
        loaders.load(path, ".pkl")
    assert not touched.exists()
    path.write_bytes(pickle.dumps([1]))
    assert loaders.load(path, ".pkl", trust=True) == [1]


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidInputError, match=r"loading x\.npy"):
        loaders.load(path, ".npy")


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("!!python/object/apply:os.getcwd []")
    with pytest.raises(InvalidInputError, match=r"loading x\.yaml"):
        loaders.load(path, ".yaml")


@pytest.mark.parametrize("suffix", sorted(set(CASES) - {".csv", ".fasta", ".html", ".md", ".tsv", ".txt", ".zarr"}))
def test_damaged_content_is_one_clear_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"\x00\xff damaged: {")
    with pytest.raises((InvalidInputError, StorageError), match=r"loading x\.") as raised:
        loaders.load(path, suffix)
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"loading gone\.json"):
        loaders.load(tmp_path / "gone.json", ".json")


def test_memory_errors_stay_what_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(json, "loads", lambda content: (_ for _ in ()).throw(MemoryError()))
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(MemoryError):
        loaders.load(tmp_path / "x.json", ".json")


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.set_index("gene"),
        pd.DataFrame({"a": pd.Categorical(["x", "y"]), "t": pd.to_datetime(["2020-01-01", None], utc=True)}),
        pd.DataFrame({"v": [1.5]}, index=pd.MultiIndex.from_tuples([("a", 1)], names=["k", "n"])),
        pd.DataFrame(),
    ],
    ids=["plain", "named-index", "types", "multi-index", "empty"],
)
def test_a_table_comes_back_as_it_was(table: pd.DataFrame, tmp_path: Path) -> None:
    content, suffix = loaders.to_bytes(table)
    assert isinstance(content, bytes)
    assert suffix == ".parquet"
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    pd.testing.assert_frame_equal(loaders.load(path, suffix), table)


def test_the_same_table_gives_the_same_bytes() -> None:
    assert loaders.to_bytes(TABLE) == loaders.to_bytes(TABLE.copy())


def test_a_table_as_csv() -> None:
    assert loaders.to_bytes(TABLE, "csv") == (b"gene,count\nTP53,3\nBRCA1,5\n", ".csv")
    assert loaders.to_bytes(TABLE.set_index("gene"), ".csv") == (b"gene,count\nTP53,3\nBRCA1,5\n", ".csv")


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def _anndata() -> Any:
    import anndata

    obs = pd.DataFrame({"cell_type": ["T", "B"]}, index=["c1", "c2"])
    return anndata.AnnData(np.eye(2, 3), obs=obs, var=pd.DataFrame(index=["g1", "g2", "g3"]))


@pytest.mark.usefixtures("temporary_folder")
@pytest.mark.parametrize("format", ["h5ad", "zarr"])
def test_an_anndata_comes_back_and_is_not_changed(format: str) -> None:
    data = _anndata()
    before = data.obs.copy()
    path, suffix = loaders.to_bytes(data, format)
    assert isinstance(path, Path)
    assert suffix == f".{format}"
    assert list(path.parent.iterdir()) == [path]
    pd.testing.assert_frame_equal(data.obs, before)
    found = loaders.load(path, suffix)
    assert found.X.tolist() == data.X.tolist()
    assert found.obs.cell_type.tolist() == ["T", "B"]


@pytest.mark.usefixtures("temporary_folder")
def test_the_same_anndata_gives_the_same_bytes() -> None:
    (first, _), (second, _) = loaders.to_bytes(_anndata()), loaders.to_bytes(_anndata())
    assert isinstance(first, Path) and isinstance(second, Path)
    assert first.read_bytes() == second.read_bytes()


def test_what_cannot_be_written_is_a_clear_error_and_leaves_nothing(temporary_folder: Path) -> None:
    with pytest.raises(InvalidTypeError, match="a set cannot"):
        loaders.to_bytes({1})
    with pytest.raises(InvalidInputError, match="parquet or csv"):
        loaders.to_bytes(TABLE, "h5ad")
    with pytest.raises(InvalidInputError, match="writing DataFrame"):
        loaders.to_bytes(pd.DataFrame({"a": [1, "x"]}))
    data = _anndata()
    data.uns["odd"] = object()
    with pytest.raises(InvalidInputError, match="writing AnnData"):
        loaders.to_bytes(data)
    assert list(temporary_folder.iterdir()) == []


def test_kinds_are_told_without_importing_anything() -> None:
    from tests.support.processes import run_python

    done = run_python(
        """
        import sys
        from lamindb.files.loaders import in_memory_kind
        assert in_memory_kind({1}) is None
        print([name for name in ("pandas", "anndata", "numpy", "pyarrow") if name in sys.modules])
        """
    )
    assert done.stdout == "[]\n"
    assert loaders.in_memory_kind(TABLE) == "table"
    assert loaders.in_memory_kind(_anndata()) == "anndata"
    assert loaders.in_memory_kind(TABLE["gene"]) is None


def test_objects_of_every_day_are_saved_and_load_as_they_were(local_instance: Path) -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    array = np.arange(6).reshape(2, 3)
    assert ln.File({"a": [1, "ä"]}, key="x.json").save().load() == {"a": [1, "ä"]}
    assert ln.File([1, 2], name="list", format="json").save().load() == [1, 2]
    assert (ln.File(array, key="x.npy").save().load() == array).all()
    table = ln.File(pl.DataFrame({"a": [1, 2]}), key="p.parquet").save()
    assert table.load().a.tolist() == [1, 2]
    assert ln.File(pa.table({"a": [1, 2]}), key="q.csv").save().load().a.tolist() == [1, 2]
    for wrong in (lambda: ln.File({"a": 1}, key="x.txt"), lambda: ln.File({"a": float("nan")}, key="y.json")):
        with pytest.raises(InvalidInputError, match=r"saved as json, not as 'txt'|JSON compliant"):
            wrong()
    with pytest.raises(InvalidInputError, match="saved as npy, not as 'csv'"):
        ln.File(array, key="x.csv")
    tables = [pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})]
    for number, one in enumerate([*tables, pa.table({"a": [1, 2], "b": ["x", "y"]})]):
        saved = ln.File(one, key=f"{number}.tsv").save()
        assert saved.stage().read_text("utf-8").replace('"', "") == "a\tb\n1\tx\n2\ty\n"
        assert saved.load().b.tolist() == ["x", "y"]


@pytest.mark.parametrize("suffix", ["xlsx", "feather", "csv.gz", "h5", "TXT", "json"])
def test_a_suffix_of_another_format_is_refused(local_instance: Path, suffix: str) -> None:
    expected = f"DataFrame is saved as parquet or csv or tsv, not as '{suffix}'"
    with pytest.raises(InvalidInputError, match=expected):
        ln.File(TABLE, key=f"tables/x.{suffix}")
    kept = ln.File(TABLE, key=f"tables/x.{suffix}", format="parquet").save()
    assert kept.load().equals(TABLE)
    assert ln.File(TABLE, key="tables/x.release7").save().suffix == ".parquet"
    assert ln.File(TABLE, name=f"about x.{suffix}" if suffix != "json" else "x").save().suffix == ".parquet"


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_a_figure_gives_the_same_bytes_each_time(local_instance: Path, format: str) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    figure.subplots().plot([1, 2])
    first = ln.File(figure, key=f"x.{format}").save()
    assert first.size > 500 and ln.File(figure, key=f"x.{format}").save() == first


def test_an_own_writer_is_chosen_by_class_and_suffix(local_instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "_registered", {})

    class Plate:
        pass

    with pytest.raises(InvalidInputError, match="register_writer"):
        ln.File(Plate(), key="x.wells")
    ln.register_writer(".wells", Plate)(lambda plate: b"A1")
    ln.register_writer(".broken", Plate)(lambda plate: "text")
    assert ln.File(Plate(), key="x.wells").save().stage().read_bytes() == b"A1"
    with pytest.raises(InvalidInputError, match="must return bytes"):
        ln.File(Plate(), key="x.broken")


def test_columns_of_one_name(local_instance: Path) -> None:
    table = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(InvalidInputError, match="Duplicate column names"):
        ln.File(table, key="table.parquet")
    assert ln.File.select().count() == 0
    assert ln.File(table, key="table.csv").save().load().to_numpy().tolist() == [[1, 2]]
