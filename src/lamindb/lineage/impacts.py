"""Everything that was derived from a record, and by whom, grouped by transform."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lamindb.core.requirements import pip_install
from lamindb.db import database
from lamindb.errors import InvalidInputError, UnsupportedError
from lamindb.lineage import query, sql, subgraph
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, RunNode
from lamindb.lineage.sql import FILE
from lamindb.models import File

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["transform", "transform_type", "transform_version", "user", "run_id", "status", "started_at", "finished_at"]
_COLUMNS += ["file_id", "file", "file_version", "size"]


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one transform, and the files that they produced."""

    transform_id: str
    name: str
    type: str
    version: str
    runs: tuple[RunNode, ...]
    files: tuple[FileNode, ...]

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"{self.name} {'v' if self.version[:1].isdigit() else ''}{self.version}".rstrip()

    @property
    def users(self) -> tuple[str, ...]:
        """The sorted handles of the users who ran it."""
        return tuple(sorted({run.user for run in self.runs if run.user}))

    @property
    def last_at(self) -> datetime | None:
        """The start of its last run; for runs recorded by hand, the time of recording."""
        return max((found for run in self.runs if (found := run.started_at or run.created_at)), default=None)


@dataclass(frozen=True, slots=True, repr=False)
class Impact:
    """Everything that was derived from a record, and by whom: what to check, and whom to inform, if it is wrong.

    Attributes:
        of: The key or name of the record.
        ids: The id of the record, or the ids of all versions of a file.
        groups: One for each transform, the one that ran last first.
        graph: All files and runs, with their edges.
        read_versions: In words, which other versions of the file were read by runs; "" if none, or if included.
    """

    of: str
    ids: tuple[str, ...]
    groups: tuple[Group, ...]
    graph: LineageGraph
    read_versions: str = ""

    @property
    def files(self) -> tuple[FileNode, ...]:
        """All files derived from the record."""
        return tuple(file for file in self.graph.files if file.id not in self.ids)

    @property
    def runs(self) -> tuple[RunNode, ...]:
        """All runs that read the record or anything derived from it."""
        return tuple(run for group in self.groups for run in group.runs)

    @property
    def users(self) -> tuple[str, ...]:
        """The sorted handles of all users who ran them."""
        return tuple(sorted({user for group in self.groups for user in group.users}))

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists, strings and numbers; times are ISO 8601."""
        return {
            "format": "lamindb-impact",
            "format_version": 1,
            "of": self.of,
            "ids": list(self.ids),
            "read_versions": self.read_versions,
            "users": list(self.users),
            "transforms": [
                {
                    "id": group.transform_id,
                    "name": group.name,
                    "type": group.type,
                    "version": group.version,
                    "users": list(group.users),
                    "last_at": _iso(group.last_at),
                    "runs": [_plain(run) for run in group.runs],
                    "files": [_plain(file) for file in group.files],
                }
                for group in self.groups
            ],
        }

    def to_json(self) -> str:
        """Return JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def df(self) -> pd.DataFrame:
        """Return a pandas DataFrame with a row for each derived file and run; a run without files has one row.

        Raises:
            UnsupportedError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as exc:
            raise UnsupportedError(f"a DataFrame needs pandas: {pip_install('pandas')}") from exc
        return pd.DataFrame.from_records(list(self._rows()), columns=_COLUMNS)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        files = {file.id: file for file in self.files}
        made = _made_by(self.graph)
        for group in self.groups:
            for run in group.runs:
                about = (group.name, group.type, group.version, run.user, run.id, run.status)
                times = (run.started_at, run.finished_at)
                derived = [files[file_id] for file_id in made.get(run.id, ()) if file_id in files]
                for file in derived:
                    yield (*about, *times, file.id, file.title, file.version, file.size)
                if not derived:
                    yield (*about, *times, None, None, None, None)

    def __repr__(self) -> str:
        """Return a table of the transforms."""
        if not self.groups:
            nothing = f"nothing was derived from {_shown(self.of)}, and no run read it"
            return "\n".join([nothing, *self._hints()])
        rows = [("transform", "type", "runs", "files", "by", "last run (UTC)")]
        for group in self.groups:
            rows.append(
                (
                    _shown(group.title),
                    _shown(group.type),
                    f"{len(group.runs):,}",
                    f"{len(group.files):,}",
                    _shown(", ".join(group.users)),
                    f"{group.last_at.astimezone(UTC):%Y-%m-%d %H:%M}" if group.last_at else "",
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        files, transforms = _counted(len(self.files), "file"), _counted(len(self.groups), "transform")
        counts = f"{files} of {transforms}, by {', '.join(self.users) or 'an unknown user'}"
        return "\n".join([f"derived from {_shown(self.of)}: {_shown(counts)}", *lines, *self._hints()])

    def _hints(self) -> list[str]:
        if not self.read_versions:
            return []
        return [f"(runs read {self.read_versions} of it; any_version=True includes all versions)"]


def impact(record: Any, *, any_version: bool = False, all_producers: bool = False) -> Impact:
    """Return everything that was derived from a record, and by whom, grouped by transform.

    Args:
        record: A file, run or transform, or its id or key.
        any_version: Include what was derived from other versions of the file.
        all_producers: Follow every run that produced the same bytes, not only the first.

    Raises:
        InvalidInputError: `any_version` is set and the record is not a file.
        NoResultFound: There is no record with this id or key.
    """
    record = query.record_of(record)
    connection = database.connection(query.alias_of(record))
    walk = query.walk_from(record, is_up=False, all_producers=all_producers)
    if any_version:
        if not isinstance(record, File):
            raise InvalidInputError(f"any_version is for files, not for {type(record).__name__}")
        walk = sql.Walk(FILE, tuple(record.versions.list("id")), None, False, all_producers)
    starts = set(sql.start_ids(connection, walk))
    files, runs = sql.reached_both(connection, walk)
    focus = None if record._meta.model_name != "file" and not runs else record.id
    graph = subgraph.graph_of(connection, files, runs, focus=focus, all_producers=all_producers)
    of = (record.key or record.name) if isinstance(record, File) else record.name
    others = "" if any_version or not isinstance(record, File) else _about_other_versions(record)
    return Impact(str(of or record.id), tuple(sorted(starts)), _groups(graph, starts), graph, others)


def _about_other_versions(file: File) -> str:
    """Return in words which other versions of a file were read by runs."""
    others = file.versions.exclude(id=file.id).filter(reader_links__isnull=False)
    numbers = sorted(set(others.order_by().values_list("version", flat=True)))
    if not numbers:
        return ""
    return f"version {numbers[0]}" if len(numbers) == 1 else f"{len(numbers):,} other versions"


def _groups(graph: LineageGraph, starts: set[str]) -> tuple[Group, ...]:
    files = {file.id: file for file in graph.files if file.id not in starts}
    made = _made_by(graph)
    runs: dict[str, list[RunNode]] = {}
    for run in graph.runs:
        runs.setdefault(run.transform_id, []).append(run)
    groups = []
    for transform_id, found in runs.items():
        ids = sorted({file_id for run in found for file_id in made.get(run.id, ()) if file_id in files})
        about = found[0].transform_name, found[0].transform_type, found[0].transform_version
        groups.append(Group(transform_id, *about, tuple(found), tuple(files[file_id] for file_id in ids)))
    return tuple(sorted(groups, key=_newest_first))


def _newest_first(group: Group) -> tuple[float, str, str]:
    """Sort key: the last run, then the name, the same on every database."""
    return (-group.last_at.timestamp() if group.last_at else 0.0, group.name, group.transform_id)


def _made_by(graph: LineageGraph) -> dict[str, list[str]]:
    """Return the sorted ids of the files that each run produced."""
    made: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.kind == "output":
            made.setdefault(edge.source, []).append(edge.target)
    return made


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _plain(node: FileNode | RunNode) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(node).items()}


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _shown(text: str) -> str:
    """Return text with control characters escaped."""
    return text if text.isprintable() else ascii(text)[1:-1]
