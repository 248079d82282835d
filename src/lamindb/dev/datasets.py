"""Small data sets to try things out with, as `ln.dev.datasets`.

The `file_*` and `dir_*` functions write into the working directory and return a path relative to it. Calling one
again is safe: a file that has the right content already is left alone, any other is replaced in one step. Everything
works without a network. What stands in for real data is made by this library, is the same at every call, and is
no measurement of anything.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lamindb.core import messages
from lamindb.dev import made_up, picture
from lamindb.errors import InvalidInputError, ReadOnlyError, StorageError, UnsupportedError

if TYPE_CHECKING:
    import anndata
    import pandas as pd

__all__ = [
    "anndata_human_immune_cells",
    "anndata_mouse_sc_lymph_node",
    "anndata_pbmc3k_processed",
    "anndata_pbmc68k_reduced",
    "df_iris",
    "dir_scrnaseq_cellranger",
    "fake_bio_notebook_titles",
    "file_bam",
    "file_fastq",
    "file_fcs",
    "file_jpg_paradisi05",
    "file_mini_csv",
    "generate_cell_ranger_files",
]

_READ_ONLY: Final = {errno.EROFS, errno.EACCES, errno.EPERM}


def file_fastq() -> Path:
    """Write `input.fastq.gz`, a file of 16 bytes that only pretends to be sequencing reads."""
    return _write(Path("input.fastq.gz"), b"Mock fastq file.")


def file_bam() -> Path:
    """Write `output.bam`, a file of 14 bytes that only pretends to be alignments."""
    return _write(Path("output.bam"), b"Mock bam file.")


def file_mini_csv() -> Path:
    """Write `mini.csv`: a column `test` with the numbers 1, 2, 3."""
    return _write(Path("mini.csv"), b"test\n1\n2\n3\n")


def file_fcs() -> Path:
    """Write `example.fcs`: a valid flow cytometry file (FCS 3.1) with 1,000 made-up events in five channels."""
    return _write(Path("example.fcs"), made_up.flow_cytometry())


def file_jpg_paradisi05() -> Path:
    """Put the microscopy picture of laminopathic nuclei by Paradisi et al. (2005) into the working directory.

    It comes from the working directory itself, else from the folder that `LAMIN_DATASETS_DIR` names, else from
    Wikimedia Commons, and only the true bytes count. Where it cannot be had within three seconds, a small generated
    picture takes its place, and a warning says so.
    """
    path = Path(picture.NAME)
    if _holds(path, picture.is_true):
        return path
    content = picture.from_folder() or picture.from_network()
    if content is None:
        messages.warning(
            f"{picture.NAME} cannot be downloaded here: a small generated picture stands in for it; "
            "put the real one into the folder that LAMIN_DATASETS_DIR names"
        )
        content = picture.stand_in()
    return _write(path, content)


def df_iris() -> pd.DataFrame:
    """Return Fisher's iris measurements: four columns in centimetres, and `iris_species_name`.

    Raises:
        UnsupportedError: pandas is not installed.
    """
    pandas = _imported("pandas", "table")
    from lamindb.dev.iris import FLOWERS

    rows = [
        [*(int(flower[at : at + 2]) / 10 for at in range(0, 8, 2)), species]
        for species, flowers in FLOWERS.items()
        for flower in flowers.split()
    ]
    columns = ["sepal_length", "sepal_width", "petal_length", "petal_width", "iris_species_name"]
    table: pd.DataFrame = pandas.DataFrame(rows, columns=columns)
    return table


def anndata_mouse_sc_lymph_node() -> anndata.AnnData:
    """Return made-up counts of 120 mouse lymph node cells and 200 genes, named by Ensembl identifiers."""
    return _cells(seed=1, cells=120, genes=200, gene_prefix="ENSMUSG", columns=made_up.LYMPH_NODE)


def anndata_human_immune_cells() -> anndata.AnnData:
    """Return made-up counts of 150 human immune cells and 200 genes, with donor, tissue, assay and cell type."""
    return _cells(seed=2, cells=150, genes=200, gene_prefix="ENSG", columns=made_up.IMMUNE_CELLS)


def anndata_pbmc68k_reduced() -> anndata.AnnData:
    """Return made-up counts of 70 blood cells and 100 genes, with cell type."""
    return _cells(seed=3, cells=70, genes=100, gene_prefix="ENSG", columns=made_up.BLOOD)


def anndata_pbmc3k_processed() -> anndata.AnnData:
    """Return made-up counts of 100 blood cells and 150 genes, with cell type."""
    return _cells(seed=4, cells=100, genes=150, gene_prefix="ENSG", columns=made_up.BLOOD)


def generate_cell_ranger_files(sample: str, basedir: str | Path = ".", output_only: bool = True) -> Path:
    """Write the 15 files of a Cell Ranger run into `basedir/sample`: the right names, tiny random content.

    Args:
        sample: Name of the sample, and of the folder.
        basedir: Where to put the folder; it is made if absent.
        output_only: If False, two FASTQ files go into `basedir/fastq` as well.

    Returns:
        The sample's folder.

    Raises:
        InvalidInputError: The sample's name is not a plain folder name.
        StorageError: The folder cannot be written.
    """
    if not sample or sample in {".", ".."} or "/" in sample or "\0" in sample:
        raise InvalidInputError(f"a sample must be a plain name such as 'sample_001', not {sample!r}")
    base = Path(basedir)
    names = [base / sample / name for name in made_up.CELL_RANGER_FILES]
    if not output_only:
        names += [base / "fastq" / f"{sample}_R{read}_001.fastq.gz" for read in (1, 2)]
    for path in names:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise _storage_error(path.parent, exc) from exc
        # Random, so that no two samples have a file in common.
        _write(path, f"{path.name} {secrets.token_hex(16)}\n".encode())
    return base / sample


def dir_scrnaseq_cellranger(
    sample_name: str = "sample_001", basedir: str | Path = ".", output_only: bool = True
) -> Path:
    """Write the results folder of a Cell Ranger run, as `generate_cell_ranger_files` does, and return it."""
    return generate_cell_ranger_files(sample_name, basedir, output_only)


def fake_bio_notebook_titles(n: int = 100) -> list[str]:
    """Return `n` different titles as notebooks of a biology lab might have; the same ones at every call."""
    if n < 0:
        raise InvalidInputError(f"the number of titles must be 0 or more, not {n!r}")
    return made_up.titles(n)


def _cells(*, seed: int, cells: int, genes: int, gene_prefix: str, columns: Mapping[str, tuple[str, ...]]) -> Any:
    """Make an AnnData: skewed counts, cells named by barcodes, columns drawn from the given values."""
    anndata = _imported("anndata", "anndata")
    import numpy as np
    import pandas as pd

    # The legacy generator, because its numbers are the same in all versions of numpy.
    draw = np.random.RandomState(seed)
    counts = draw.poisson(draw.gamma(0.4, 2.0, size=genes), size=(cells, genes)).astype("float32")
    barcodes = ["".join(draw.choice(list("ACGT"), 16)) + "-1" for _ in range(cells)]
    obs = pd.DataFrame(
        {name: pd.Categorical(draw.choice(values, cells)) for name, values in columns.items()}, index=barcodes
    )
    identifiers = [f"{gene_prefix}{number:011d}" for number in draw.choice(100_000, genes, replace=False)]
    return anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=identifiers))


def _imported(module: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise UnsupportedError(f"this data set needs {module}: pip install 'lamindb[{extra}]'") from exc


def _holds(path: Path, is_right: Callable[[bytes], bool]) -> bool:
    try:
        return is_right(path.read_bytes())
    except OSError:
        return False


def _write(path: Path, content: bytes) -> Path:
    """Write a file in one step, unless it has this content already."""
    if _holds(path, content.__eq__):
        return path
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as exc:
        raise _storage_error(path, exc) from exc
    return path


def _storage_error(path: Path, exc: OSError) -> StorageError:
    kind = ReadOnlyError if exc.errno in _READ_ONLY else StorageError
    cause = exc.strerror or str(exc)
    return kind(f"{path.name} cannot be written into {path.absolute().parent}: {cause}; go to a folder of your own")
