"""The content of made-up data sets: flow cytometry, names of a sequencing run's files, notebook titles."""

from __future__ import annotations

import itertools
import random
import struct
from typing import Final

LYMPH_NODE: Final = {"cell_type": ("B cell", "T cell", "dendritic cell", "macrophage"), "sex": ("female", "male")}
IMMUNE_CELLS: Final = {
    "donor": ("A29", "A31", "A35", "D496"),
    "tissue": ("blood", "spleen", "lung", "bone marrow"),
    "assay": ("10x 3' v3", "10x 5' v1", "10x 5' v2"),
    "cell_type": ("naive B cell", "memory B cell", "CD4-positive T cell", "CD8-positive T cell", "classical monocyte"),
}
BLOOD: Final = {"cell_type": ("B cell", "CD4 T cell", "CD8 T cell", "NK cell", "monocyte", "dendritic cell")}

_MATRIX: Final = ("barcodes.tsv.gz", "features.tsv.gz", "matrix.mtx.gz")
CELL_RANGER_FILES: Final = (
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

_CHANNELS: Final = (("FSC-A", 60_000), ("SSC-A", 30_000), ("CD3", 800), ("CD19", 500), ("CD45", 2_500))
_EVENTS: Final = 1_000
_HEADER_LENGTH: Final = 256


def flow_cytometry() -> bytes:
    """Return a list-mode FCS 3.1 file: header, text segment, then events as little-endian 32-bit floats."""
    draw = random.Random(5)
    values = [draw.lognormvariate(0, 0.5) * scale for _ in range(_EVENTS) for _, scale in _CHANNELS]
    data = struct.pack(f"<{len(values)}f", *values)
    # The text segment holds its own length; numbers of a fixed width keep that from going round in circles.
    length = len(_text(0, 0))
    first, last = _HEADER_LENGTH + length, _HEADER_LENGTH + length + len(data) - 1
    offsets = (_HEADER_LENGTH, first - 1, first, last, 0, 0)
    header = b"FCS3.1    " + b"".join(b"%8d" % offset for offset in offsets)
    return header.ljust(_HEADER_LENGTH) + _text(first, last) + data


def _text(data_begin: int, data_end: int) -> bytes:
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
        "$PAR": str(len(_CHANNELS)),
        "$TOT": str(_EVENTS),
    }
    for number, (name, _) in enumerate(_CHANNELS, 1):
        pairs |= {f"$P{number}N": name, f"$P{number}B": "32", f"$P{number}E": "0,0", f"$P{number}R": "262144"}
    return ("|" + "|".join(part for pair in pairs.items() for part in pair) + "|").encode()


_DOING: Final = ("Annotate", "Cluster", "Compare", "Explore", "Integrate", "Model", "Normalize", "Segment", "Visualize")
_WHAT: Final = (
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
_HOW: Final = (
    "ATAC-seq",
    "CITE-seq",
    "flow cytometry",
    "imaging",
    "proteomics",
    "scRNA-seq",
    "spatial transcriptomics",
)
_WHERE: Final = (
    "aged mice",
    "a CRISPR screen",
    "healthy donors",
    "long COVID",
    "melanoma",
    "the lung atlas",
    "zebrafish",
)


def titles(count: int) -> list[str]:
    """Return different titles; after every combination was used, they are numbered."""
    combinations = [
        f"{doing} {what} by {how} in {where}"
        for doing, what, how, where in itertools.product(_DOING, _WHAT, _HOW, _WHERE)
    ]
    random.Random(7).shuffle(combinations)
    rounds = range(1, count // len(combinations) + 1)
    numbered = [f"{title}, part {number + 1}" for number in rounds for title in combinations]
    return [*combinations, *numbered][:count]
