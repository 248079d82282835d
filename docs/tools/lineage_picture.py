"""The picture `docs/images/lineage.svg`, an example of a lineage. `./dev docs` draws it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lamindb.lineage.lineage_graph import Edge, FileNode, LineageGraph, RunNode
from lamindb.lineage.render.svg import svg

PATH = Path(__file__).parents[1] / "images" / "lineage.svg"
_DAY = datetime(2026, 3, 14, 9, tzinfo=UTC)


def _file(key: str, size: int) -> FileNode:
    name = key.rsplit("/", 1)[-1]
    suffix = ".fastq.gz" if name.endswith(".fastq.gz") else f".{name.rsplit('.', 1)[-1]}"
    return FileNode(key, key, name, suffix, size, 1, True, False, _DAY)


def _run(name: str, kind: str, version: str, hour: int, user: str) -> RunNode:
    start, end = _DAY.replace(hour=hour), _DAY.replace(hour=hour, minute=42)
    return RunNode(name, None, "completed", name, name, kind, version, user, start, end)


def graph() -> LineageGraph:
    """Return the lineage: reads and a genome, a pipeline, a notebook and a script with their results."""
    reads, genome, counts = "raw/reads.fastq.gz", "raw/genome.fa", "results/counts.csv"
    files = (
        _file(reads, 4_200_000_000),
        _file(genome, 3_100_000_000),
        _file(counts, 1_400_000),
        _file("figures/genes.png", 210_000),
        _file("results/quality.html", 84_000),
    )
    runs = (
        _run("count", "pipeline", "2", 11, "ada"),
        _run("Which genes differ?", "notebook", "1", 15, "grace"),
        _run("quality", "script", "1", 16, "ada"),
    )
    edges = (
        Edge(reads, "count", "input"),
        Edge(genome, "count", "input"),
        Edge("count", counts, "output"),
        Edge(counts, "Which genes differ?", "input"),
        Edge("Which genes differ?", "figures/genes.png", "output"),
        Edge(counts, "quality", "input"),
        Edge("quality", "results/quality.html", "output"),
    )
    return LineageGraph(files, runs, edges, focus=counts)


def draw() -> str:
    """Return the picture as SVG."""
    return svg(graph())


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(f"{draw()}\n", encoding="utf-8")
