"""The data sets that the documents use: right bytes, safe to repeat, without a network."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from pathlib import Path

import pytest

from lamindb.core import messages
from lamindb.core.settings import settings
from lamindb.dev import datasets
from lamindb.errors import InvalidInputError, ReadOnlyError, StorageError
from tests.support.processes import run_python

PICTURE = "paradisi05_laminopathic_nuclei.jpg"
STAND_IN = Path(datasets.__file__).with_name("stand_in.jpg").read_bytes()


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def _documented_hash(path: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.md5(path.read_bytes()).digest()).decode().rstrip("=")


def test_the_mock_files_are_those_of_the_documents() -> None:
    assert datasets.file_fastq() == Path("input.fastq.gz")
    assert _documented_hash(datasets.file_fastq()) == "QDkCIyDtWe8tlrS9zG8gnw"
    assert datasets.file_bam() == Path("output.bam")
    assert _documented_hash(datasets.file_bam()) == "rGSwtSEKB65DaaQq740p6A"


def test_the_small_table_has_one_column() -> None:
    import pandas as pd

    assert pd.read_csv(datasets.file_mini_csv()).test.tolist() == [1, 2, 3]


def test_a_right_file_is_left_alone_and_a_wrong_one_replaced(working_folder: Path) -> None:
    path = datasets.file_fastq()
    os.utime(path, ns=(1, 1))
    datasets.file_fastq()
    assert path.stat().st_mtime_ns == 1
    path.write_bytes(b"something else")
    assert datasets.file_fastq().read_bytes() == b"Mock fastq file."
    assert [child.name for child in working_folder.iterdir()] == ["input.fastq.gz"]


def test_replacing_leaves_other_names_of_the_old_bytes_alone(working_folder: Path) -> None:
    (working_folder / "stored").write_bytes(b"old")
    os.link("stored", "output.bam")
    datasets.file_bam()
    assert (working_folder / "stored").read_bytes() == b"old"


def test_what_cannot_be_written_is_a_clear_error(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, content: bytes) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(ReadOnlyError, match=r"output\.bam cannot be written into .*work"):
            datasets.file_bam()
    (working_folder / "output.bam").mkdir()
    with pytest.raises(StorageError, match=r"output\.bam cannot be written"):
        datasets.file_bam()
    assert [child.name for child in working_folder.iterdir()] == ["output.bam"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write into a read-only folder")
def test_a_read_only_folder_is_a_clear_error(working_folder: Path) -> None:
    working_folder.chmod(0o555)
    try:
        with pytest.raises(ReadOnlyError, match="go to a folder of your own"):
            datasets.file_fastq()
    finally:
        working_folder.chmod(0o755)


@pytest.fixture
def true_picture(monkeypatch: pytest.MonkeyPatch) -> bytes:
    content = b"\xff\xd8 the picture itself"
    monkeypatch.setattr(datasets, "_PICTURE_MD5", hashlib.md5(content).hexdigest())
    return content


def test_the_picture_that_is_here_already_is_used(true_picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_picture_from_network", lambda: pytest.fail("the network was asked"))
    Path(PICTURE).write_bytes(true_picture)
    assert datasets.file_jpg_paradisi05() == Path(PICTURE)
    assert Path(PICTURE).read_bytes() == true_picture


@pytest.mark.parametrize("name", [PICTURE, "Laminopathic_nuclei.jpg"])
def test_the_picture_comes_from_the_named_folder(
    name: str, true_picture: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "_picture_from_network", lambda: pytest.fail("the network was asked"))
    (tmp_path / name).write_bytes(true_picture)
    monkeypatch.setenv("LAMIN_DATASETS_DIR", str(tmp_path))
    assert datasets.file_jpg_paradisi05().read_bytes() == true_picture


def test_another_picture_in_the_named_folder_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(datasets, "_picture_from_network", lambda: None)
    (tmp_path / PICTURE).write_bytes(b"another")
    monkeypatch.setenv("LAMIN_DATASETS_DIR", str(tmp_path))
    assert datasets.file_jpg_paradisi05().read_bytes() == STAND_IN
    assert "is not the picture" in capsys.readouterr().err


def test_the_downloaded_picture_replaces_a_stand_in(true_picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_picture_from_network", lambda: None)
    datasets.file_jpg_paradisi05()
    monkeypatch.setattr(datasets, "_picture_from_network", lambda: true_picture)
    assert datasets.file_jpg_paradisi05().read_bytes() == true_picture


def test_without_a_network_a_stand_in_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    path = datasets.file_jpg_paradisi05()
    told = capsys.readouterr().err
    assert "stands in" in told and "LAMIN_DATASETS_DIR" in told
    with Image.open(path) as image:
        assert image.format == "JPEG"
    assert path.read_bytes() == STAND_IN


def test_a_silent_network_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    answered = threading.Event()
    monkeypatch.setattr(datasets, "_DOWNLOAD_SECONDS", 0.05)
    monkeypatch.setattr(datasets, "_download", lambda found: answered.wait(60))
    assert datasets._picture_from_network() is None
    answered.set()


def test_only_the_true_bytes_of_a_download_count(true_picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import urllib.request

    answers = iter([b"a page of some proxy", true_picture])
    monkeypatch.setattr(urllib.request, "urlopen", lambda request, timeout: io.BytesIO(next(answers)))
    settings.verbosity = messages.DEBUG
    assert datasets._picture_from_network() == true_picture


def test_the_flow_cytometry_file_says_where_its_events_are() -> None:
    content = datasets.file_fcs().read_bytes()
    assert content[:6] == b"FCS3.1"
    text_begin, text_end, data_begin, data_end = (int(content[at : at + 8]) for at in range(10, 42, 8))
    parts = content[text_begin : text_end + 1].decode().strip("|").split("|")
    text = dict(zip(parts[::2], parts[1::2], strict=True))
    assert (int(text["$BEGINDATA"]), int(text["$ENDDATA"])) == (data_begin, data_end)
    assert data_end + 1 == len(content)
    count = int(text["$PAR"]) * int(text["$TOT"])
    values = struct.unpack(f"<{count}f", content[data_begin:])
    assert all(value > 0 for value in values)


def test_the_irises_are_fishers() -> None:
    table = datasets.df_iris()
    assert table.shape == (150, 5)
    means = table.groupby("iris_species_name").mean().round(3)
    assert means.loc["setosa"].tolist() == [5.006, 3.428, 1.462, 0.246]
    assert means.loc["versicolor"].tolist() == [5.936, 2.770, 4.260, 1.326]
    assert means.loc["virginica"].tolist() == [6.588, 2.974, 5.552, 2.026]


@pytest.mark.parametrize(
    "make",
    [
        datasets.anndata_human_immune_cells,
        datasets.anndata_mouse_sc_lymph_node,
        datasets.anndata_pbmc3k_processed,
        datasets.anndata_pbmc68k_reduced,
    ],
)
def test_made_up_cells_are_the_same_at_every_call(make: object) -> None:
    assert callable(make)
    first, second = make(), make()
    assert (first.X == second.X).all() and first.obs.equals(second.obs)
    assert first.obs_names.is_unique and first.var_names.is_unique
    assert first.X.sum() > 0


def test_cell_ranger_files_differ_between_samples(working_folder: Path) -> None:
    first = datasets.generate_cell_ranger_files("s1")
    second = datasets.dir_scrnaseq_cellranger("s2", basedir=working_folder / "runs")
    assert first == Path("s1")
    files = [path for folder in (first, second) for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 30
    assert len({path.read_bytes() for path in files}) == 30
    assert not Path("fastq").exists()
    datasets.generate_cell_ranger_files("s3", output_only=False)
    assert sorted(path.name for path in Path("fastq").iterdir()) == ["s3_R1_001.fastq.gz", "s3_R2_001.fastq.gz"]


@pytest.mark.parametrize("sample", ["", ".", "..", "a/b", "../x"])
def test_a_sample_cannot_leave_its_folder(sample: str, working_folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="plain name"):
        datasets.generate_cell_ranger_files(sample)
    assert list(working_folder.iterdir()) == []


@pytest.mark.parametrize("count", [0, 1, 100, 9_000])
def test_titles_are_as_many_as_asked_and_different(count: int) -> None:
    titles = datasets.fake_bio_notebook_titles(count)
    assert len(set(titles)) == len(titles) == count
    assert titles == datasets.fake_bio_notebook_titles(count)


def test_a_negative_number_of_titles_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="-1"):
        datasets.fake_bio_notebook_titles(-1)


def test_every_public_data_set_is_listed() -> None:
    functions = {
        name for name, value in vars(datasets).items() if getattr(value, "__module__", "") == datasets.__name__
    }
    assert set(datasets.__all__) == {name for name in functions if not name.startswith("_")}


def test_data_sets_load_on_first_use_and_without_heavy_packages() -> None:
    done = run_python(
        """
        import sys
        import lamindb.dev
        assert "lamindb.dev.datasets" not in sys.modules
        lamindb.dev.datasets
        print([name for name in ("pandas", "anndata", "numpy", "urllib.request") if name in sys.modules])
        """
    )
    assert done.stdout == "[]\n"
