"""Lineage as a graph value: nodes read by id, and the edges that join them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lamindb.environment.redaction import redact_text
from lamindb.lineage import sql
from lamindb.lineage.lineage_graph import Edge, FileNode, LineageGraph, RunNode
from lamindb.lineage.sql import FILE, RUN, Walk
from lamindb.models import File, Run, RunOutput, Storage, Transform, User
from lamindb.records import stores

Ends = tuple[str, str]
"""Ids of the two ends of an edge, in the direction in which things are made."""


def graph_of(
    link: Any,
    file_ids: Collection[str],
    run_ids: Collection[str],
    *,
    focus: str | None = None,
    asked: Sequence[str] = (),
    all_producers: bool = False,
    edges: Collection[Ends] | None = None,
    hidden_up: Mapping[str, int] | None = None,
    hidden_down: Mapping[str, int] | None = None,
    hidden_total: int | None = None,
    is_truncated: bool = False,
) -> LineageGraph:
    """Read the nodes with these ids, in the order of their ids, and the edges among them.

    Args:
        link: The connection.
        file_ids: Ids of the files.
        run_ids: Ids of the runs.
        focus: What was asked about.
        asked: What was asked about, if several records.
        all_producers: With edges from every run that produced the same bytes.
        edges: Which edges to show; None for all that join these nodes.
        hidden_up: How many more neighbours are before a node.
        hidden_down: How many more neighbours are after a node.
        hidden_total: How many different nodes these are.
        is_truncated: Something was left out.
    """
    files, runs = read_files(link, file_ids, all_producers=all_producers), read_runs(link, run_ids)
    known_files, known_runs = {file.id for file in files}, {run.id for run in runs}
    if edges is None:
        edges = edges_among(link, known_files, known_runs, all_producers=all_producers)
    return LineageGraph(
        files,
        runs,
        tuple(
            Edge(source, target, "input" if source in known_files else "output")
            for source, target in sorted(edges)
            if (source in known_files and target in known_runs) or (source in known_runs and target in known_files)
        ),
        focus,
        _counts(hidden_up, known_files | known_runs),
        _counts(hidden_down, known_files | known_runs),
        is_truncated,
        hidden_total,
        tuple(asked),
    )


def _counts(hidden: Mapping[str, int] | None, known: Collection[str]) -> dict[str, int]:
    return {node_id: count for node_id, count in (hidden or {}).items() if count > 0 and node_id in known}


def edges_among(
    link: Any, file_ids: Collection[str], run_ids: Collection[str], *, all_producers: bool = False
) -> set[Ends]:
    """Return all edges that join these files and runs, as pairs in the direction in which things are made."""
    back = Walk(FILE, all_producers=all_producers)
    found: set[Ends] = set()
    for kind, here, there in ((FILE, file_ids, run_ids), (RUN, run_ids, file_ids)):
        if here and there:
            rows = sql.fetch(link, *sql.step_sql(link.vendor, back, kind, here, only=there))
            found.update((before, after) for after, before in rows)
    return found


def read_files(link: Any, ids: Collection[str], *, all_producers: bool = False) -> tuple[FileNode, ...]:
    """Return the files with these ids, in the order of their ids; what is no more is left out.

    Args:
        link: The connection.
        ids: The ids.
        all_producers: The edges from all producers are shown, so nothing has to be said of those after the first.
    """
    instance = stores.instance_of(link.alias)
    own_id = instance.storage_id if instance is not None else None
    listed, params = sql.listed_sql(link.vendor, ids)
    again = (
        "0"
        if all_producers
        else f"(SELECT COUNT(*) FROM {RunOutput._meta.db_table} o WHERE o.file_id = f.id AND o.run_id <> f.run_id)"
    )
    rows = sql.fetch(
        link,
        "SELECT f.id, f.key, f.name, f.suffix, f.size, f.version, f.is_latest, f.trashed_at, f.created_at, "
        f"s.id, s.location, {again} FROM ({listed}) here CROSS JOIN {File._meta.db_table} f "
        f"JOIN {Storage._meta.db_table} s ON s.id = f.storage_id WHERE f.id = here.id",
        params,
    )
    nodes = [
        FileNode(
            id=file_id,
            key=key,
            name=name,
            suffix=suffix,
            size=size,
            version=version,
            is_latest=bool(is_latest),
            is_trashed=trashed_at is not None,
            created_at=_time(created_at) or datetime.min.replace(tzinfo=UTC),
            storage=None if storage_id == own_id else redact_text(root),
            made_again=again,
        )
        for (
            file_id,
            key,
            name,
            suffix,
            size,
            version,
            is_latest,
            trashed_at,
            created_at,
            storage_id,
            root,
            again,
        ) in rows
    ]
    return tuple(sorted(nodes, key=lambda node: node.id))


def read_runs(link: Any, ids: Collection[str]) -> tuple[RunNode, ...]:
    """Return the runs with these ids, in the order of their ids; one whose process died is noticed."""
    listed, params = sql.listed_sql(link.vendor, ids)
    rows = sql.fetch(
        link,
        "SELECT r.id, r.name, r.status, t.id, t.name, t.type, t.version, u.handle, r.started_at, r.finished_at, "
        "r.created_at "
        f"FROM ({listed}) here CROSS JOIN {Run._meta.db_table} r "
        f"JOIN {Transform._meta.db_table} t ON t.id = r.transform_id "
        f"LEFT JOIN {User._meta.db_table} u ON u.id = r.created_by_id WHERE r.id = here.id",
        params,
    )
    running = [row[0] for row in rows if row[2] == "running"]
    statuses = {run.id: run.status for run in Run.objects.using(link.alias).filter(id__in=running)} if running else {}
    nodes = [
        RunNode(
            id=run_id,
            name=name,
            status=statuses.get(run_id, status),
            transform_id=transform_id,
            transform_name=transform_name,
            transform_type=kind,
            transform_version=version,
            user=handle or "",
            started_at=_time(started_at),
            finished_at=_time(finished_at),
            created_at=_time(created_at),
        )
        for (
            run_id,
            name,
            status,
            transform_id,
            transform_name,
            kind,
            version,
            handle,
            started_at,
            finished_at,
            created_at,
        ) in rows
    ]
    return tuple(sorted(nodes, key=lambda node: node.id))


def _time(value: Any) -> datetime | None:
    """Return a time as it comes from either database as aware UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is None:
        return None
    moment: datetime = value
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
