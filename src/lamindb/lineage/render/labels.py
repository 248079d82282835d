"""Texts about files and runs, the same in every drawing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from lamindb.core.text import duration_text, elide_middle, isolated, printable, size_text
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, Node, RunNode

Clock = Callable[[datetime], str]
"""A function that formats a time: in UTC for documents, in local time for a terminal."""

NOTHING = "nothing to show: no files and no runs"

_MOST_PARAMS = 3
_PARAM_WIDTH = 32

UNREMARKABLE = (None, "completed")
"""Statuses that are not spelled out."""

_SUFFIXES = {
    "table": "csv tsv parquet xlsx xls feather arrow tab jsonl sqlite db",
    "sequence": "fastq fq fasta fa bam sam cram vcf bcf bed gtf gff gff3 bai bigwig bw",
    "array": "h5ad zarr h5 hdf5 h5mu mtx npy npz loom fcs rds pt pkl",
    "image": "jpg jpeg png gif tif tiff svg webp bmp czi nd2 mp4",
}
_SUFFIX_KINDS = {name: kind for kind, names in _SUFFIXES.items() for name in names.split()}


def time_text(time: datetime) -> str:
    """Return a time in UTC, to the minute."""
    return (time.astimezone(UTC) if time.tzinfo else time).strftime("%Y-%m-%d %H:%M UTC")


def file_name(file: FileNode) -> str:
    """Return the last part of the key, else the name, else the id; safe to print."""
    return printable(file.key.rstrip("/").rpartition("/")[2] if file.key else file.title)


def file_folder(file: FileNode) -> str:
    """Return the folder of the key with a slash at its end, or ""; safe to print."""
    return printable(file.key[: file.key.rstrip("/").rfind("/") + 1]) if file.key else ""


def file_facts(file: FileNode) -> list[str]:
    """Return short facts about a file: its state unless it is current and fresh, its version, its size.

    A trashed file is never current, so it is not called older: whether a later version exists is unknown.
    """
    facts = []
    if file.is_trashed:
        facts.append("in trash")
    if is_older(file):
        facts.append("older" if file.members > 1 else f"v{file.version}, older")
    elif file.members == 1 and file.version > 1:
        facts.append(f"v{file.version}")
    states = {"stale": file.is_stale, "flagged": bool(file.flags), "affected": file.affected_by is not None}
    facts += [f"some {state}" if state in file.partly else state for state, is_so in states.items() if is_so]
    if file.same_as_version is not None:
        by = f" by {isolated(printable(file.user))}" if file.user else ""
        facts.append(f"= v{file.same_as_version}, brought back{by}")
    facts.append(size_text(file.size))
    if file.made_again:
        facts.append(f"+{file.made_again:,} made again")
    return facts


def recall_facts(file: FileNode) -> list[str]:
    """Return why a file is flagged, and by which flagged file it is affected, in full; safe to print."""
    facts = [isolated(printable(reason)) for reason in file.flags]
    return facts if file.affected_by is None else [*facts, isolated(str(file.affected_by))]


def recall_caption(file: FileNode, limit: float, measure: Callable[[str], float]) -> str:
    """Return why a file is flagged, or the name of the flagged file and the reason, shortened to a width."""
    if file.flags or file.affected_by is None:
        return elide_middle("; ".join(recall_facts(file)), limit, measure)
    by = file.affected_by
    name = elide_middle(isolated(printable(by.title.rpartition("/")[2] or by.title)), limit / 2, measure)
    before = f"{name} v{by.version}: "
    reasons = "; ".join(isolated(printable(reason)) for reason in by.reasons)
    return before + elide_middle(reasons, limit - measure(before), measure)


def is_older(file: FileNode) -> bool:
    """Return True if there is a later version of the file."""
    return not file.is_latest and not file.is_trashed


def run_name(run: RunNode) -> str:
    """Return the name of the run's transform; safe to print."""
    return printable(run.title)


def run_version(run: RunNode) -> str:
    """Return the version of the run's transform and the revision of its code, as in `v1 · code 2`; safe to print."""
    return version_label(run.transform_version, run.revision, is_callers=run.has_callers_code)


def version_label(version: str, revision: int | None, *, is_callers: bool) -> str:
    """Return a version with a `v` before a number, and the revision of the code if it is known; safe to print.

    Args:
        version: The version of a transform.
        revision: The number of the code revision.
        is_callers: The code is that of the notebook or script that tracked the transform.
    """
    text = printable(version)
    shown = f"v{text}" if text[:1].isdigit() else text
    owner = "caller's " if is_callers else ""
    code = f"{owner}code {revision}" if revision is not None else ""
    return " · ".join(filter(None, [shown, code]))


def run_facts(run: RunNode, clock: Clock = time_text) -> list[str]:
    """Return short facts about a run: its status unless it completed, parameters that differ, its user and start."""
    status = printable(str(run.status))
    facts = [] if run.status in UNREMARKABLE else [f"some {status}" if run.partly else status]
    if run.members > 1:
        facts.append(f"{run.members:,} runs")
    if run.params:
        facts.append(params_text(run.params[:_MOST_PARAMS]) + (" …" if len(run.params) > _MOST_PARAMS else ""))
    if run.user:
        facts.append(isolated(printable(run.user)))
    if run.started_at:
        facts.append(clock(run.started_at))
    return facts


def params_text(params: Iterable[tuple[str, Any]]) -> str:
    """Return parameters as `name=value`, each shortened in the middle; safe to print."""
    return ", ".join(
        isolated(printable(elide_middle(f"{name}={_value_text(value)}", _PARAM_WIDTH))) for name, value in params
    )


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def suffix_label(suffix: str) -> str:
    """Return a suffix without its first dot, safe to print: `fastq.gz`."""
    return printable(suffix.removeprefix("."))


def suffix_kind(suffix: str) -> str:
    """Return the kind of data of a suffix: table, sequence, array, image or document."""
    for part in suffix.lower().split("."):
        if part in _SUFFIX_KINDS:
            return _SUFFIX_KINDS[part]
    return "document"


def details(node: Node) -> list[str]:
    """Return all facts about a node as lines, in full; safe to print."""
    if isinstance(node, FileNode):
        lines = [
            isolated(printable(node.title)),
            *([isolated(printable(node.name))] if node.key and node.name and node.name not in node.key else []),
            " · ".join(["file", *file_facts(node)]),
            *recall_facts(node),
            f"saved {time_text(node.created_at)}",
            f"storage {isolated(printable(node.storage))}" if node.storage else "",
        ]
    else:
        lines = [
            " ".join(filter(None, [isolated(run_name(node)), run_version(node)])),
            f"run “{isolated(printable(node.name))}”" if node.name and node.name != node.transform_name else "",
            " · ".join(filter(None, [printable(node.transform_type), printable(node.status or "")])),
            params_text(node.params),
            f"by {isolated(printable(node.user))}" if node.user else "",
            _period(node),
        ]
    return [*filter(None, lines), f"id {printable(node.id)}"]


def _period(run: RunNode) -> str:
    if run.started_at is None:
        return ""
    text = f"started {time_text(run.started_at)}"
    if run.finished_at is not None:
        text += f", took {duration_text((run.finished_at - run.started_at).total_seconds())}"
    return text


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the singular or plural.

    Examples:
        >>> counted(1, "file"), counted(1200, "run")
        ('1 file', '1,200 runs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def summary(graph: LineageGraph) -> str:
    """Return the numbers of files and runs in words."""
    files, runs = (sum(node.members for node in nodes) for nodes in (graph.files, graph.runs))
    return f"{counted(files, 'file')} · {counted(runs, 'run')}"


IN_PYTHON = "use depth=None, max_nodes=… to see all"
"""How to see all of a lineage that was drawn in Python."""


def heading(graph: LineageGraph) -> str:
    """Return a title that names the focus."""
    if graph.asked:
        return f"Lineage of {counted(len(graph.asked), 'record')}"
    for node in graph.nodes():
        if node.id == graph.focus or (isinstance(node, RunNode) and node.transform_id == graph.focus):
            return f"Lineage of {isolated(printable(node.title))}"
    return "Lineage"


def truncation_note(graph: LineageGraph, hint: str = IN_PYTHON) -> str:
    """Return a note on how many nodes are left out, or "" if none are.

    Args:
        graph: The graph.
        hint: How to see all; "" in documents, where the reader cannot.
    """
    counts = [count for hidden in (graph.hidden_up, graph.hidden_down) for count in hidden.values() if count]
    notes = "; ".join(graph.notes)
    if not counts and not graph.is_truncated:
        return notes
    total = counts[0] if graph.hidden_total is None and len(counts) == 1 else graph.hidden_total
    if not counts:
        count = "more"
    elif total is None:
        count = f"at least {max(counts):,} more"
    else:
        count = f"{total:,} more"
    partial = f"partial: {count} not shown" + (f"; {hint}" if hint else "")
    return f"{partial}; {notes}" if notes else partial
