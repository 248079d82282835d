"""What is in a file, as pages show it: bounded, and harmless whatever the bytes are."""

from __future__ import annotations

import gzip
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.setup.read_only import open_read_only
from lamindb.web import highlight
from lamindb.web.previews import markdown, notebook, tables
from lamindb.web.previews.refused import RefusedError
from tests.support import showcase
from tests.support.web import Client
from tests.web.conftest import Parsed


@pytest.fixture
def shown(local_instance: Path) -> Any:
    """A function that saves bytes under a key and returns the preview as parsed HTML."""
    client = Client(open_read_only(local_instance))

    def show(data: Any, key: str) -> Parsed:
        file = ln.File(data, key=key).save()
        answer = client.get(f"/files/{file.id}/preview", hx_request="true")
        assert answer.status == 200 and "<html" not in answer.text
        return Parsed(answer.text)

    return show


def text(found: Parsed) -> str:
    return "".join(found.words)


def tags(found: Parsed) -> list[str]:
    return [tag for tag, _ in found.tags]


def test_tables(shown: Any) -> None:
    found = shown(b'a,b\n1,x\n2,"y,z"\n', "t.csv")
    assert tags(found).count("tr") == 3 and "y,z" in found.words and "2 rows, 2 columns." in text(found)
    found = shown(b"a\tb\n1\t2\n", "t.tsv")
    assert tags(found).count("td") == 2
    found = shown(gzip.compress(b"a,b\n" + b"1,2\n" * 200_000), "t.csv.gz")
    assert tags(found).count("tr") == 101 and "only the first are shown" in text(found)
    found = shown((",".join(f"c{n}" for n in range(900)) + "\n").encode() + b"1," * 899 + b"1\n", "wide.csv")
    assert tags(found).count("th") == 50 and "900 columns" in text(found)
    found = shown(b"=cmd|' /C calc'!A0,<script>alert(1)</script>\n" + b"x" * 5_000, "odd.csv")
    assert "script" not in tags(found)


def test_parquet_and_feather(shown: Any, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    found = shown(showcase.parquet(300), "t.parquet")
    assert tags(found).count("tr") == 101 and "300 rows, 2 columns; only the first are shown." in text(found)
    pd.DataFrame({"a": [1, 2]}).to_feather(tmp_path / "t.feather")
    found = shown(tmp_path / "t.feather", "t.feather")
    assert tags(found).count("tr") == 3
    for data in (b"", b"PAR1", b"PAR1" + b"\xff" * 400 + b"PAR1", showcase.parquet()[:-20]):
        assert "could not be read" in text(shown(data + b" ", "bad.parquet"))


def test_the_structure_of_hdf5_and_anndata(shown: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x/y"] = list(range(100))
        file["x/outside"] = h5py.ExternalLink("/etc/passwd", "/")
        file["<b>"] = 1
    found = shown(tmp_path / "a.h5", "a.h5")
    assert "100 int64" in text(found) and "a link" in text(found) and "<b>" in found.words
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file.create_group("obs").attrs["_index"] = "_index"
        file["obs/_index"] = [f"cell{n}" for n in range(40)]
        file["obs/batch"] = [0] * 40
    found = shown(tmp_path / "a.h5ad", "a.h5ad")
    assert "cell0, cell1" in text(found) and "n_obs" in found.words and "batch" in text(found)
    assert "could not be read" in text(shown(b"\x89HDF\r\n\x1a\n" + b"\xff" * 500, "bad.h5"))


def test_folders_and_zarr(shown: Any, tmp_path: Path) -> None:
    (tmp_path / "a.zarr/x").mkdir(parents=True)
    meta = {"shape": [30, 20], "data_type": "float32", "node_type": "array"}
    (tmp_path / "a.zarr/x/zarr.json").write_text(json.dumps(meta))
    (tmp_path / "a.zarr/x/c0").write_bytes(b"0" * 10)
    found = shown(tmp_path / "a.zarr", "a.zarr")
    assert "30 × 20" in found.words and "float32" in found.words and "x/c0" in text(found)
    (tmp_path / "d.zarr").mkdir()
    (tmp_path / "d.zarr/zarr.json").write_text("[" * 50_000)
    assert "zarr.json" in text(shown(tmp_path / "d.zarr", "d.zarr"))


def test_code_and_text(shown: Any) -> None:
    found = shown(b"def f():\n    return '</pre><script>'\n", "f.py")
    assert "script" not in tags(found) and {"k", "s1"} & {one.get("class") for _, one in found.tags}
    assert "\\u202e" in text(shown("a\u202eb\n".encode(), "t.txt"))
    assert "Only the beginning is shown." in text(shown(b"line\n" * 100_000, "long.txt"))
    found = shown(b"x" * (1 << 20), "line.txt")
    assert "characters)" in text(found) and len(text(found)) < 10_000
    assert "hello" in text(shown(b"hello", "no-suffix"))
    assert "no preview" in text(shown(b"\0\1\2", "binary"))


def test_notebooks(shown: Any) -> None:
    found = shown(showcase.notebook("print('</pre>')"), "n.ipynb")
    assert "Umap of batch 7" in text(found) and "fitted 4 batches" in text(found)
    assert "A result in HTML is not shown here." in text(found) and "bold" not in text(found)
    for data in (b"{}", b"[]", b'{"cells": 3}', b"{" * 100_000, b'{"cells":[{"cell_type":"code","source":[1,{}]}]}'):
        shown(data, "bad.ipynb")


def test_pictures_of_notebooks_are_pictures() -> None:
    import base64

    def cell(kind: str, data: Any) -> bytes:
        output = {"output_type": "display_data", "data": {kind: data}}
        cells = [{"cell_type": "code", "source": "", "outputs": [output]}]
        return json.dumps({"cells": cells}).encode()

    png = base64.b64encode(showcase.png(2, 2)).decode()
    (found,) = notebook.cells(cell("image/png", png))
    assert found["outputs"][0]["picture"] == f"data:image/png;base64,{png}"
    for data in ("PHNjcmlwdD4=", '"><script>', [1, 2], {"a": 1}, base64.b64encode(b"<svg onload=x>").decode()):
        (found,) = notebook.cells(cell("image/png", data))
        assert "picture" not in found["outputs"][0]
    (found,) = notebook.cells(cell("image/svg+xml", "<svg onload=alert(1)>"))
    assert found["outputs"][0]["note"]


def test_pictures_and_pages_are_framed_without_rights(shown: Any) -> None:
    found = dict(shown(b"<svg onload='alert(1)'/>", "a.svg").tags)
    assert found["img"]["src"].startswith("/raw/")
    found = dict(shown(b"<script>alert(1)</script>", "a.html").tags)
    assert found["iframe"]["sandbox"] == "" and found["iframe"]["src"].startswith("/raw/")


def test_markdown_is_drawn_from_text(shown: Any) -> None:
    found = shown(
        b"# Summary\n\nFour *batches*, **one** model, `x < y` and a [link](https://evil.example/x).\n\n"
        b"- first\n  goes on\n  1. second\n\n> quoted\n\n```python\ndef f(): pass\n```\n\n| a | b |\n|---|---|\n"
        b"<script>alert(1)</script> <img src=x onerror=alert(1)> ![pic](javascript:alert(1))\n",
        "notes.md",
    )
    assert {"h3", "p", "b", "i", "code", "ul", "li", "pre"} <= set(tags(found))
    assert not {"script", "img", "a"} & set(tags(found)) and not found.addresses()
    assert all(set(given) <= {"class", "tabindex", "role", "aria-label"} for _, given in found.tags)
    assert "x < y" in found.words and "first goes on" in found.words and "<script>alert(1)</script>" in text(found)
    assert "evil.example" not in text(found) and "link" in text(found)
    assert "k" in {given.get("class") for _, given in found.tags}


PARTS = ["*", "**a", "_", "`", "[", "[a](", "![", "#", "- ", "> ", "|", "```", "1. ", "\n- ", "\n#", " ", "\n* * "]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", PARTS)
def test_no_markdown_takes_long(part: str) -> None:
    markdown.html(part * (200_000 // len(part)))


def test_a_tiff_is_drawn_smaller_by_a_child(shown: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    np = pytest.importorskip("numpy")
    pictures = {
        "rgb": image.new("RGB", (1_600, 400), "red"),
        "deep": image.fromarray(np.arange(120_000, dtype=np.uint16).reshape(300, 400)),
        "real": image.fromarray(np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)),
        "one": image.new("1", (40, 30)),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.tif")
        found = shown(tmp_path / f"{name}.tif", f"{name}.tif")
        assert dict(found.tags)["img"]["src"].startswith("data:image/png;base64,iVBOR"), name
        assert ("0 to 65535" in text(found)) == (name == "deep")
    image.new("1", (9_000, 9_000)).save(tmp_path / "large.tif", compression="tiff_deflate")
    found = shown(tmp_path / "large.tif", "large.tif")
    assert "9,000 × 9,000" in text(found) and "over 50 million pixels" in text(found) and "img" not in tags(found)
    for data in (b"II*\0" + b"\xff" * 300, b"MM\0*", showcase.png()):
        assert "could not be read" in text(shown(data, "bad.tif"))


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("trapped"),))


@pytest.mark.parametrize(
    "key", ["a.pkl", "a.pickle", "a.npy", "a.yaml", "a.csv", "a.parquet", "a.h5ad", "a.ipynb", "a"]
)
def test_nothing_is_unpickled(shown: Any, key: str, tmp_path: Path) -> None:
    shown(pickle.dumps(Trap()), key)
    assert not list(tmp_path.rglob("trapped"))


def test_a_packed_file_is_unpacked_only_as_far_as_it_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    with path.open("wb") as stream:
        for _ in range(64):
            stream.write(packer.compress(b"0,1\n" * (1 << 18)))
        stream.write(packer.flush())
    found = tables.content(path, "csv")
    assert found["is_cut"] and sum(len(cell) for row in found["rows"] for cell in row) < 100_000
    path.write_bytes(b"\x1f\x8bnonsense")
    with pytest.raises(RefusedError):
        tables.content(path, "csv")


def test_long_code_is_not_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    import pygments

    monkeypatch.setattr(pygments, "highlight", lambda *args, **kwargs: pytest.fail("coloured"))
    assert highlight.code(("(" * 40 + "\n") * 6_000, "x.py").count('class="l"') == highlight.MOST_LINES


def test_each_line_of_code_stands_alone() -> None:
    found = highlight.code('"""a\nb <x>\nc"""\n', "x.py")
    lines = found.split("\n</span>")
    assert all(line.count("<span") == line.count("</span") + 1 for line in lines[:-1]) and "&lt;x&gt;" in found


def test_terminal_codes_and_secrets_are_left_out() -> None:
    shown = highlight.log("\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link\x07\npassword=hunter2-is-secret\r\n")
    assert shown.startswith("red link\\x07\n") and "hunter2" not in shown


def test_a_diff_of_hostile_text_is_quick() -> None:
    from lamindb.compare.text_diff import compare_text

    a, b = "\n".join("a" * (n % 7) for n in range(3_000)), "\n".join("b" * (n % 5) for n in range(3_000))
    found = compare_text(a, b)
    assert not found.is_equal
    highlight.diff_lines([(line.sign, line.text) for line in found.lines()])
