"""Lineage graphs for tests: a small story, random projects, hostile names."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from lamindb.lineage.lineage_graph import Edge, FileNode, LineageGraph, RunNode

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)

HOSTILE = (
    "<script>alert(1)</script>\"&'",
    "\x1b[31mred\x1b[0m\x00\x07\r\nnext",
    "\u202egpj.exe\u2066",
    ']]> <!-- --> %%{init}%% "]); click n0 href',
    "\ud800 lone \udfff",
    "\\N \\G \\l \\",
    "1. list",
    "a|b{c}[d](e) `code` #35; $$x$$",
    "细胞核图像" * 30,
    "x" * 4_000,
    "e\u0301" * 50,
    "  ",
    "\ufffe\uffff",
)


def file_node(id: str, key: str | None = "data.csv", **changes: Any) -> FileNode:
    name = (key or "data").rpartition("/")[2]
    values: dict[str, Any] = {
        "name": name,
        "suffix": name[name.find(".") :] if "." in name else "",
        "size": 29358,
        "version": 1,
        "is_latest": True,
        "is_trashed": False,
        "created_at": START,
        "storage": None,
    }
    return FileNode(id=id, key=key, **(values | changes))


def run_node(id: str, **changes: Any) -> RunNode:
    values: dict[str, Any] = {
        "name": None,
        "status": "completed",
        "transform_id": "t",
        "transform_name": "Cell Ranger",
        "transform_type": "pipeline",
        "transform_version": "7.2.0",
        "user": "testuser1",
        "started_at": START,
        "finished_at": START + timedelta(minutes=3),
    }
    return RunNode(id=id, **(values | changes))


def small_graph() -> LineageGraph:
    return LineageGraph(
        files=(
            file_node("f1", "raw/sample_01_R1.fastq.gz", size=2_340_000_000),
            file_node("f2", "counts/matrix.h5ad", version=2),
            file_node("f3", "images/nuclei.jpg"),
        ),
        runs=(
            run_node("r1"),
            run_node(
                "r2",
                status="failed",
                transform_id="t2",
                transform_name="Quality control & plots",
                transform_type="notebook",
                transform_version="1",
            ),
        ),
        edges=(
            Edge("f1", "r1", "input"),
            Edge("r1", "f2", "output"),
            Edge("f2", "r2", "input"),
            Edge("r2", "f3", "output"),
        ),
        focus="f3",
        hidden_up={"f1": 1},
        hidden_down={"f2": 12},
        is_truncated=True,
        hidden_total=13,
    )


def cycle_graph() -> LineageGraph:
    """Three runs in a ring, and one that also writes what it reads."""
    files = tuple(file_node(f"f{number}", f"loop/{number}.csv") for number in range(3))
    runs = tuple(run_node(f"r{number}", transform_name=f"step {number}") for number in range(3))
    edges = [Edge(f"f{number}", f"r{number}", "input") for number in range(3)]
    edges += [Edge(f"r{number}", f"f{(number + 1) % 3}", "output") for number in range(3)]
    return LineageGraph(files, runs, (*edges, Edge("r1", "f1", "output")))


def hostile_graph() -> LineageGraph:
    """Every hostile text in every place that holds a text."""
    files = tuple(
        file_node(f"f{number:02}", text, name=text, suffix=text, storage=text) for number, text in enumerate(HOSTILE)
    )
    runs = tuple(
        run_node(
            f"r{number:02}",
            name=text,
            status=text,
            transform_id=text,
            transform_name=text,
            transform_type=text,
            transform_version=text,
            user=text,
        )
        for number, text in enumerate(HOSTILE)
    )
    edges = tuple(Edge(file.id, run.id, "input") for file, run in zip(files, runs, strict=True))
    return LineageGraph(files, runs, edges, focus="f00", hidden_up={"f00": 3}, hidden_down={"r01": 1})


def project_graph(count: int, *, seed: int = 7, reach: int = 10) -> LineageGraph:
    """A random project of about `count` nodes, each run reading files made not long before."""
    generator = random.Random(seed)
    names = (
        "counts.h5ad",
        "reads.fastq.gz",
        "umap.png",
        "table.csv",
        "results",
        "metadata of the whole cohort.parquet",
    )
    types = ("notebook", "script", "pipeline", "function", "command", "app", "api", "instrument", "other")
    files: list[FileNode] = []
    runs: list[RunNode] = []
    edges: list[Edge] = []

    def add_file() -> str:
        number = len(files)
        key = f"folder_{number % 7}/{number}_{generator.choice(names)}"
        files.append(
            file_node(
                f"f{number:05}",
                key,
                version=generator.choice((1, 1, 2)),
                is_latest=generator.random() < 0.9,
                is_trashed=generator.random() < 0.05,
                created_at=START + timedelta(minutes=number),
            )
        )
        return files[-1].id

    for _ in range(max(1, count // 12)):
        add_file()
    while len(files) + len(runs) < count:
        number = len(runs)
        run = run_node(
            f"r{number:05}",
            status=generator.choice(("completed",) * 6 + ("failed", "running", "aborted", None)),
            transform_id=f"t{number % 10}",
            transform_name=f"Transform number {number % 10}",
            transform_type=generator.choice(types),
            started_at=START + timedelta(minutes=7 * number),
            finished_at=None,
        )
        runs.append(run)
        recent = files[-reach:]
        edges += [Edge(generator.choice(recent).id, run.id, "input") for _ in range(generator.choice((1, 1, 2, 3)))]
        edges += [Edge(run.id, add_file(), "output") for _ in range(generator.choice((1, 1, 2, 3)))]
    return LineageGraph(tuple(files), tuple(runs), tuple(edges), focus=files[len(files) // 2].id)
