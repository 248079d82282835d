"""Small data sets for trying things out, as `ln.dev.datasets`.

The `file_*` and `dir_*` functions write into the working directory and return a path relative to it. They are
idempotent: a file with the right content is left alone, any other is replaced atomically. All of them work without a
network. Made-up data is generated here and is the same at every call; it is no measurement of anything.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import random
import secrets
import struct
import threading
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lamindb.core import messages
from lamindb.core.requirements import pip_install
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

_PICTURE: Final = "paradisi05_laminopathic_nuclei.jpg"
_PICTURE_MD5: Final = "af8b67aa6288fd28eb91d2f3a6e5a9e2"
_PICTURE_URLS: Final = (
    "https://upload.wikimedia.org/wikipedia/commons/2/28/Laminopathic_nuclei.jpg",
    "https://commons.wikimedia.org/wiki/Special:FilePath/Laminopathic_nuclei.jpg",
)
_DOWNLOAD_SECONDS: Final = 3.0
_DOWNLOAD_BYTES: Final = 20_000_000


def file_fastq() -> Path:
    """Write `input.fastq.gz`: 16 bytes of text in place of sequencing reads."""
    return _write(Path("input.fastq.gz"), b"Mock fastq file.")


def file_bam() -> Path:
    """Write `output.bam`: 14 bytes of text in place of alignments."""
    return _write(Path("output.bam"), b"Mock bam file.")


def file_mini_csv() -> Path:
    """Write `mini.csv`: a column `test` with the numbers 1, 2, 3."""
    return _write(Path("mini.csv"), b"test\n1\n2\n3\n")


def file_fcs() -> Path:
    """Write `example.fcs`: a valid flow cytometry file (FCS 3.1) with 1,000 made-up events in five channels."""
    return _write(Path("example.fcs"), _flow_cytometry())


def file_jpg_paradisi05() -> Path:
    """Write the microscopy picture of laminopathic nuclei by Paradisi et al. (2005).

    It is looked for in the working directory, in the folder that `LAMIN_DATASETS_DIR` names, and on Wikimedia
    Commons, and accepted only if its MD5 is right. If it is not found within three seconds, a small generated picture
    is written instead, with a warning.
    """
    path = Path(_PICTURE)
    if _holds(path, _is_picture):
        return path
    content = _picture_from_folder() or _picture_from_network()
    if content is None:
        messages.warning(
            f"{_PICTURE} cannot be downloaded here: a small generated picture stands in for it; "
            "put the real one into the folder that LAMIN_DATASETS_DIR names"
        )
        content = resources.files(__package__).joinpath("stand_in.jpg").read_bytes()
    return _write(path, content)


def df_iris() -> pd.DataFrame:
    """Return Fisher's iris measurements (1936): four columns in centimetres, and `iris_species_name`.

    Raises:
        UnsupportedError: pandas is not installed.
    """
    pandas = _imported("pandas")
    rows = [
        [*(int(flower[start : start + 2]) / 10 for start in range(0, 8, 2)), species]
        for species, flowers in _IRISES.items()
        for flower in flowers.split()
    ]
    columns = ["sepal_length", "sepal_width", "petal_length", "petal_width", "iris_species_name"]
    table: pd.DataFrame = pandas.DataFrame(rows, columns=columns)
    return table


def anndata_mouse_sc_lymph_node() -> anndata.AnnData:
    """Return made-up counts of 120 mouse lymph node cells and 200 genes, named by Ensembl identifiers."""
    return _cells(seed=1, cells=120, genes=200, gene_prefix="ENSMUSG", columns=_LYMPH_NODE)


def anndata_human_immune_cells() -> anndata.AnnData:
    """Return made-up counts of 150 human immune cells and 200 genes, with donor, tissue, assay and cell type."""
    return _cells(seed=2, cells=150, genes=200, gene_prefix="ENSG", columns=_IMMUNE_CELLS)


def anndata_pbmc68k_reduced() -> anndata.AnnData:
    """Return made-up counts of 70 blood cells and 100 genes, with cell type."""
    return _cells(seed=3, cells=70, genes=100, gene_prefix="ENSG", columns=_BLOOD)


def anndata_pbmc3k_processed() -> anndata.AnnData:
    """Return made-up counts of 100 blood cells and 150 genes, with cell type."""
    return _cells(seed=4, cells=100, genes=150, gene_prefix="ENSG", columns=_BLOOD)


def generate_cell_ranger_files(sample: str, basedir: str | Path = ".", output_only: bool = True) -> Path:
    """Write the 15 files of a Cell Ranger run into `basedir/sample`: the right names, tiny random content.

    Args:
        sample: Name of the sample, and of the folder.
        basedir: The folder to write to; it is created if absent.
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
    names = [base / sample / name for name in _CELL_RANGER_FILES]
    if not output_only:
        names += [base / "fastq" / f"{sample}_R{read}_001.fastq.gz" for read in (1, 2)]
    for path in names:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise _storage_error(path.parent, exc) from exc
        # Random content: no two samples share a file.
        _write(path, f"{path.name} {secrets.token_hex(16)}\n".encode())
    return base / sample


def dir_scrnaseq_cellranger(
    sample_name: str = "sample_001", basedir: str | Path = ".", output_only: bool = True
) -> Path:
    """Write the results folder of a Cell Ranger run, as `generate_cell_ranger_files` does, and return it."""
    return generate_cell_ranger_files(sample_name, basedir, output_only)


def fake_bio_notebook_titles(n: int = 100) -> list[str]:
    """Return `n` different titles of notebooks in a biology lab, the same ones at every call."""
    if n < 0:
        raise InvalidInputError(f"the number of titles must be 0 or more, not {n!r}")
    combinations = [
        f"{activity} {subject} by {method} in {setting}"
        for activity, subject, method, setting in itertools.product(_ACTIVITIES, _SUBJECTS, _METHODS, _SETTINGS)
    ]
    random.Random(7).shuffle(combinations)
    parts = range(2, n // len(combinations) + 2)
    numbered = [f"{title}, part {part}" for part in parts for title in combinations]
    return [*combinations, *numbered][:n]


def _cells(*, seed: int, cells: int, genes: int, gene_prefix: str, columns: Mapping[str, tuple[str, ...]]) -> Any:
    """Return an AnnData: skewed counts, cells named by barcodes, columns drawn from the given values."""
    anndata = _imported("anndata")
    import numpy as np
    import pandas as pd

    # The legacy generator: its numbers are the same in all versions of numpy.
    draw = np.random.RandomState(seed)
    counts = draw.poisson(draw.gamma(0.4, 2.0, size=genes), size=(cells, genes)).astype("float32")
    barcodes = ["".join(draw.choice(list("ACGT"), 16)) + "-1" for _ in range(cells)]
    obs = pd.DataFrame(
        {name: pd.Categorical(draw.choice(values, cells)) for name, values in columns.items()}, index=barcodes
    )
    identifiers = [f"{gene_prefix}{number:011d}" for number in draw.choice(100_000, genes, replace=False)]
    return anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=identifiers))


def _flow_cytometry() -> bytes:
    """Return a list-mode FCS 3.1 file: header, text segment, then events as little-endian 32-bit floats."""
    draw = random.Random(5)
    values = [draw.lognormvariate(0, 0.5) * scale for _ in range(_FCS_EVENTS) for _, scale in _FCS_CHANNELS]
    data = struct.pack(f"<{len(values)}f", *values)
    # The text segment contains its own length, so its numbers have a fixed width.
    length = len(_fcs_text(0, 0))
    first, last = _FCS_HEADER_LENGTH + length, _FCS_HEADER_LENGTH + length + len(data) - 1
    offsets = (_FCS_HEADER_LENGTH, first - 1, first, last, 0, 0)
    header = b"FCS3.1    " + b"".join(b"%8d" % offset for offset in offsets)
    return header.ljust(_FCS_HEADER_LENGTH) + _fcs_text(first, last) + data


def _fcs_text(data_begin: int, data_end: int) -> bytes:
    pairs = {
        "$BEGINANALYSIS": "0",
        "$BEGINDATA": f"{data_begin:010d}",
        "$BEGINSTEXT": "0",
        "$BYTEORD": "1,2,3,4",
        "$DATATYPE": "F",
        "$ENDANALYSIS": "0",
        "$ENDDATA": f"{data_end:010d}",
        "$ENDSTEXT": "0",
        "$MODE": "L",
        "$NEXTDATA": "0",
        "$PAR": str(len(_FCS_CHANNELS)),
        "$TOT": str(_FCS_EVENTS),
    }
    for number, (name, _) in enumerate(_FCS_CHANNELS, 1):
        pairs |= {f"$P{number}N": name, f"$P{number}B": "32", f"$P{number}E": "0,0", f"$P{number}R": "262144"}
    return ("|" + "|".join(itertools.chain(*pairs.items())) + "|").encode()


def _is_picture(content: bytes) -> bool:
    """Return True if these are the bytes of the original picture."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == _PICTURE_MD5


def _picture_from_folder() -> bytes | None:
    """Return the picture from the folder that `LAMIN_DATASETS_DIR` names, or None."""
    folder = os.environ.get("LAMIN_DATASETS_DIR")
    if not folder:
        return None
    for name in (_PICTURE, "Laminopathic_nuclei.jpg"):
        path = Path(folder).expanduser() / name
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if _is_picture(content):
            return content
        messages.warning(f"{path} is not the picture that the documents show, and is not used")
    return None


def _picture_from_network() -> bytes | None:
    """Return the picture from Wikimedia Commons, or None if that takes longer than three seconds.

    The download runs in a thread because the lookup of a host name has no timeout.
    """
    found: list[bytes] = []
    thread = threading.Thread(target=_download, args=(found,), name="lamindb-download", daemon=True)
    thread.start()
    thread.join(_DOWNLOAD_SECONDS)
    return found[0] if found else None


def _download(found: list[bytes]) -> None:
    import http.client
    import urllib.error
    import urllib.request

    for address in _PICTURE_URLS:
        request = urllib.request.Request(address, headers={"User-Agent": "lamindb (data sets for documentation)"})
        try:
            with urllib.request.urlopen(request, timeout=_DOWNLOAD_SECONDS) as answer:
                content: bytes = answer.read(_DOWNLOAD_BYTES)
        except (OSError, ValueError, http.client.HTTPException) as exc:
            messages.debug(f"{address} did not answer: {exc}")
            continue
        if _is_picture(content):
            found.append(content)
            return
        messages.debug(f"{address} sent another picture")


def _imported(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise UnsupportedError(f"this data set needs {module}: {pip_install(module)}") from exc


def _holds(path: Path, is_right: Callable[[bytes], bool]) -> bool:
    try:
        return is_right(path.read_bytes())
    except OSError:
        return False


def _write(path: Path, content: bytes) -> Path:
    """Write a file atomically, unless it has this content already."""
    if _holds(path, content.__eq__):
        return path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise _storage_error(path, exc) from exc
    return path


def _storage_error(path: Path, exc: OSError) -> StorageError:
    kind = ReadOnlyError if exc.errno in _READ_ONLY else StorageError
    cause = exc.strerror or str(exc)
    return kind(f"{path.name} cannot be written into {path.absolute().parent}: {cause}; go to a folder of your own")


_LYMPH_NODE: Final = {"cell_type": ("B cell", "T cell", "dendritic cell", "macrophage"), "sex": ("female", "male")}
_IMMUNE_CELLS: Final = {
    "donor": ("A29", "A31", "A35", "D496"),
    "tissue": ("blood", "spleen", "lung", "bone marrow"),
    "assay": ("10x 3' v3", "10x 5' v1", "10x 5' v2"),
    "cell_type": ("naive B cell", "memory B cell", "CD4-positive T cell", "CD8-positive T cell", "classical monocyte"),
}
_BLOOD: Final = {"cell_type": ("B cell", "CD4 T cell", "CD8 T cell", "NK cell", "monocyte", "dendritic cell")}

_MATRIX: Final = ("barcodes.tsv.gz", "features.tsv.gz", "matrix.mtx.gz")
_CELL_RANGER_FILES: Final = (
    "web_summary.html",
    "metrics_summary.csv",
    "possorted_genome_bam.bam",
    "possorted_genome_bam.bam.bai",
    "molecule_info.h5",
    "cloupe.cloupe",
    "raw_feature_bc_matrix.h5",
    "filtered_feature_bc_matrix.h5",
    *(f"raw_feature_bc_matrix/{name}" for name in _MATRIX),
    *(f"filtered_feature_bc_matrix/{name}" for name in _MATRIX),
    "analysis/analysis.csv",
)

_FCS_CHANNELS: Final = (("FSC-A", 60_000), ("SSC-A", 30_000), ("CD3", 800), ("CD19", 500), ("CD45", 2_500))
_FCS_EVENTS: Final = 1_000
_FCS_HEADER_LENGTH: Final = 256

_ACTIVITIES: Final = (
    "Annotate", "Cluster", "Compare", "Explore", "Integrate", "Model", "Normalize", "Segment", "Visualize",
)  # fmt: skip
_SUBJECTS: Final = (
    "alveolar macrophages",
    "CD8 T cells",
    "cortical neurons",
    "hematopoietic stem cells",
    "intestinal organoids",
    "naive B cells",
    "pancreatic islets",
    "retinal ganglion cells",
    "tumor fibroblasts",
)
_METHODS: Final = (
    "ATAC-seq",
    "CITE-seq",
    "flow cytometry",
    "imaging",
    "proteomics",
    "scRNA-seq",
    "spatial transcriptomics",
)
_SETTINGS: Final = (
    "aged mice",
    "a CRISPR screen",
    "healthy donors",
    "long COVID",
    "melanoma",
    "the lung atlas",
    "zebrafish",
)

_IRISES: Final = {
    "setosa": (
        "51351402 49301402 47321302 46311502 50361402 54391704 46341403 50341502 44291402 49311501 "
        "54371502 48341602 48301401 43301101 58401202 57441504 54391304 51351403 57381703 51381503 "
        "54341702 51371504 46361002 51331705 48341902 50301602 50341604 52351502 52341402 47321602 "
        "48311602 54341504 52411501 55421402 49311502 50321202 55351302 49361401 44301302 51341502 "
        "50351303 45231303 44321302 50351606 51381904 48301403 51381602 46321402 53371502 50331402"
    ),
    "versicolor": (
        "70324714 64324515 69314915 55234013 65284615 57284513 63334716 49243310 66294613 52273914 "
        "50203510 59304215 60224010 61294714 56293613 67314414 56304515 58274110 62224515 56253911 "
        "59324818 61284013 63254915 61284712 64294313 66304414 68284814 67305017 60294515 57263510 "
        "55243811 55243710 58273912 60275116 54304515 60344516 67314715 63234413 56304113 55254013 "
        "55264412 61304614 58264012 50233310 56274213 57304212 57294213 62294313 51253011 57284113"
    ),
    "virginica": (
        "63336025 58275119 71305921 63295618 65305822 76306621 49254517 73296318 67255818 72366125 "
        "65325120 64275319 68305521 57255020 58285124 64325323 65305518 77386722 77266923 60225015 "
        "69325723 56284920 77286720 63274918 67335721 72326018 62284818 61304918 64285621 72305816 "
        "74286119 79386420 64285622 63285115 61265614 77306123 63345624 64315518 60304818 69315421 "
        "67315624 69315123 58275119 68325923 67335725 67305223 63255019 65305220 62345423 59305118"
    ),
}
"""Eight digits a flower: sepal length and width, petal length and width, each in millimetres."""
