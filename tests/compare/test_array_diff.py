"""HDF5 and zarr by groups, arrays, attributes and values."""

from __future__ import annotations

import contextlib
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.compare import array_diff
from lamindb.compare.array_diff import ArraysDifference, NotArraysError, compare_arrays

np = pytest.importorskip("numpy")


@pytest.fixture(params=[".h5", ".zarr"])
def kind(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("h5py" if request.param == ".h5" else "zarr")
    return str(request.param)


def write(path: Path, arrays: dict[str, Any], attributes: dict[str, dict[str, Any]] | None = None) -> Path:
    """Write a file of arrays, or a zarr folder, as its suffix says."""
    if path.suffix == ".h5":
        import h5py

        root: Any = h5py.File(path, "w")
    else:
        import zarr

        root = zarr.open_group(str(path), mode="w")
    for name, values in arrays.items():
        if root.__class__.__module__.startswith("h5py"):
            root.create_dataset(name, data=values)
        else:
            root.create_array(name, data=np.asarray(values))
    for name, found in (attributes or {}).items():
        (root[name] if name else root).attrs.update(found)
    if path.suffix == ".h5":
        root.close()
    return path


def diff(folder: Path, kind: str, old: Any, new: Any, **options: Any) -> ArraysDifference:
    paths = write(folder / f"a{kind}", *old), write(folder / f"b{kind}", *new)
    return compare_arrays(*paths, kind, **options)


def test_groups_shapes_types_and_attributes(tmp_path: Path, kind: str) -> None:
    old = {"X": np.zeros((3, 2)), "obs/n": np.arange(3), "old": np.zeros(1), "kind": np.arange(2)}
    new = {"X": np.zeros((4, 2)), "obs/n": np.arange(3.0), "new/deep": np.zeros(1), "kind/inner": np.zeros(1)}
    found = diff(
        tmp_path, kind, (old, {"obs": {"version": 1, "same": "x"}}), (new, {"obs": {"version": 2, "same": "x"}})
    )
    assert set(found.added) == {"/new", "/new/deep", "/kind/inner"} and found.removed == ("/old",)
    assert {(one.name, one.before, one.after) for one in found.changes} == {
        ("/X: shape", "(3, 2)", "(4, 2)"),
        ("/obs/n: type", "int64", "float64"),
        ('/obs: attribute "version"', 1, 2),
        ("/kind: kind", "array", "group"),
    }
    assert not found.arrays and not found.is_equal
    text = [line.sign + line.text for line in found.lines()]
    assert "- /old" in text and '~ /X: shape: "(3, 2)" → "(4, 2)"' in text


def test_values_are_compared_block_by_block(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_diff, "_BLOCK_BYTES", 100)
    chance = np.random.default_rng(1)
    old = {"a": chance.random((7, 5, 3)), "b": chance.integers(0, 9, 40), "nan": np.array([1.0, np.nan]), "one": 3.0}
    new = {name: np.array(values) for name, values in old.items()}
    new["a"][2, 3, 1] += 1
    new["a"][6, 4, 2] = np.nan
    new["b"][33] = 77
    found = diff(tmp_path, kind, (old,), (new,))
    assert not found.changes
    assert {(one.path, one.count, one.index) for one in found.arrays} == {("/a", 2, (2, 3, 1)), ("/b", 1, (33,))}
    (change,) = (one for one in found.arrays if one.path == "/b")
    assert (change.before, change.after) == (int(old["b"][33]), 77)
    assert diff(tmp_path, kind, (old,), (old,)).is_equal


@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 0), (7, 50), (2, 3, 41), (1, 1, 1, 9)])
def test_blocks_cover_an_array_once(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_diff, "_BLOCK_BYTES", 64)
    seen = np.zeros(shape, dtype=int)
    for block in array_diff._blocks(shape, np.dtype("f8")):
        assert seen[block].size * 8 <= 64
        seen[block] += 1
    assert (seen == 1).all()


def test_numbers_within_the_tolerance_are_equal(tmp_path: Path, kind: str) -> None:
    old, new = ({"v": np.array([100.0, x, np.inf])} for x in (1.0, 1.0 + 1e-9))
    assert diff(tmp_path, kind, (old,), (new,), rtol=1e-6).is_equal
    assert not diff(tmp_path, kind, (old,), (new,)).is_equal
    assert not diff(tmp_path, kind, (old,), ({"v": np.array([100.0, 1.0, 5.0])},), rtol=0.5).is_equal


def test_texts_records_and_links_of_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    outside = write(tmp_path / "secret.h5", {"x": np.arange(3)})
    record = np.array([(1, 2.0), (3, np.nan)], dtype=[("n", "i4"), ("v", "f8")])
    for name, text, number in (("a", "one", 3), ("b", "two", 4)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["text"] = [text, "same"]
            record["n"][1] = number
            file["record"] = record
            file["loop"] = file["/"]
            file["soft"] = h5py.SoftLink(f"/{text}")
            file["outside"] = h5py.ExternalLink(str(outside), "/x")
            layout = h5py.VirtualLayout((3,), "i8")
            layout[:] = h5py.VirtualSource(str(outside), "x", (3,))
            file.create_virtual_dataset("virtual", layout)
    found = compare_arrays(tmp_path / "a.h5", tmp_path / "b.h5", ".h5")
    assert {(one.path, one.count, one.index, one.before) for one in found.arrays} >= {("/text", 1, (0,), "one")}
    assert {one.path for one in found.arrays} == {"/text", "/record"}
    assert [(one.name, one.before) for one in found.changes] == [('/soft: attribute "target"', ":/one")]
    assert found.not_compared == ("/virtual",)


class Hostile:
    """A value that makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_pickled_values_are_not_read(tmp_path: Path) -> None:
    pytest.importorskip("zarr")
    paths = []
    for number in range(2):
        folder = tmp_path / f"{number}.zarr"
        folder.mkdir()
        kind = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "order": "C", "fill_value": None}
        (folder / ".zarray").write_text(json.dumps({**kind, "compressor": None, "filters": [{"id": "pickle"}]}))
        (folder / "0").write_bytes(pickle.dumps([Hostile(tmp_path / "was run"), (1,), number]))
        paths.append(folder)
    with contextlib.suppress(NotArraysError):
        assert compare_arrays(*paths, ".zarr").not_compared == ("/",)
    assert not (tmp_path / "was run").exists()


def test_bytes_of_no_array_are_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a").write_bytes(b"\x89HDF no")
    with pytest.raises(NotArraysError):
        compare_arrays(tmp_path / "a", tmp_path / "a", kind)


def test_versions_of_a_file_are_compared_by_arrays(instance: Path, tmp_path: Path, kind: str) -> None:
    versions = [
        ln.File(write(tmp_path / str(n) / f"x{kind}", {"v": np.array([1, n])}), key=f"x{kind}").save()
        for n in (2, 3)
        if not (tmp_path / str(n)).mkdir()
    ]
    found = ln.diff(*versions)
    assert found.content is not None and found.content.kind == "arrays"
    assert "~ /v: 1 value differs\n    [1]: 2 → 3" in found.to_text()
    assert ln.diff(*versions, rtol=0.5).is_equal
    broken = ln.File(b"\x89 no", key="y.h5").save().replace(b"\x89 no, neither").save()
    other = ln.diff(broken)
    assert other.content is not None and other.content.kind == "bytes" and "not compared by arrays" in other.notes[0]
