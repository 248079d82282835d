"""Everything that was derived from a record, and by whom, grouped by transform."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef

from lamindb.core.requirements import pip_install
from lamindb.db import database
from lamindb.errors import InvalidInputError, UnsupportedError
from lamindb.lineage import query, sql, subgraph
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, RunNode
from lamindb.lineage.sql import FILE
from lamindb.models import File, RunInput
from lamindb.records import flags

if TYPE_CHECKING:
    import pandas as pd

MAX_FILES = 20
"""Text shows at most this many files of a transform."""

NAMED = 5
"""Text names at most this many files with the same bytes."""

Clock = Callable[[datetime], str]

_COLUMNS = ["transform", "transform_type", "transform_version", "user", "run_id", "status", "started_at", "finished_at"]
_COLUMNS += ["file_id", "file", "file_version", "size"]


@dataclass(frozen=True, slots=True)
class People:
    """Who made a file, and who read it last."""

    made_by: tuple[str, ...]
    last_read_by: str | None
    last_read_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; times are ISO 8601."""
        return {
            "made_by": list(self.made_by),
            "last_read_by": self.last_read_by,
            "last_read_at": _iso(self.last_read_at),
        }

    def text(self, clock: Clock) -> str:
        """Return it in words, safe to print; "" if nothing is known."""
        made = f" · made by {', '.join(map(_shown, self.made_by))}" if self.made_by else ""
        if self.last_read_at is None:
            return made
        who = f" by {_shown(self.last_read_by)}" if self.last_read_by else ""
        return f"{made} · last read{who} {clock(self.last_read_at)}"


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
        versions_read: The ids and numbers of these versions.
        n_from_other_versions: How many more files were derived from these versions.
        same_bytes: Other files and versions with the bytes of the file; what was derived from them is not included.
    """

    of: str
    ids: tuple[str, ...]
    groups: tuple[Group, ...]
    graph: LineageGraph
    read_versions: str = ""
    versions_read: tuple[tuple[str, int], ...] = ()
    n_from_other_versions: int = 0
    same_bytes: tuple[str, ...] = ()

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

    def people(self) -> dict[str, People]:
        """Return who made each derived file, and who read it last, by its id."""
        runs = {run.id: run for run in self.graph.runs}
        made: dict[str, list[RunNode]] = {}
        read: dict[str, list[RunNode]] = {}
        for edge in self.graph.edges:
            if edge.kind == "output":
                made.setdefault(edge.target, []).append(runs[edge.source])
            else:
                read.setdefault(edge.source, []).append(runs[edge.target])
        found = {}
        for file in self.files:
            last = max(read.get(file.id, ()), key=_time_of, default=None)
            makers = tuple(sorted({run.user for run in made.get(file.id, ()) if run.user}))
            found[file.id] = People(makers, last.user if last else None, _time_of(last) if last else None)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists, strings and numbers; times are ISO 8601."""
        people = self.people()
        return {
            "format": "lamindb-impact",
            "format_version": 1,
            "of": self.of,
            "ids": list(self.ids),
            "read_versions": self.read_versions,
            "versions_read": [{"id": file_id, "version": version} for file_id, version in self.versions_read],
            "n_from_other_versions": self.n_from_other_versions,
            "same_bytes": list(self.same_bytes),
            "users": list(self.users),
            "transforms": [
                {
                    "id": group.transform_id,
                    "name": group.name,
                    "type": group.type,
                    "version": group.version,
                    "users": list(group.users),
                    "last_at": _iso(group.last_at),
                    "runs": [{**_plain(run), "params": dict(run.params)} for run in group.runs],
                    "files": [{**_plain(file), **people[file.id].as_dict()} for file in group.files],
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
        """Return the transforms with the first files of each."""
        return self.to_text()

    def to_text(self, *, max_files: int = MAX_FILES, clock: Clock | None = None, hints: bool = True) -> str:
        """Return a table of the transforms with the files of each, one a line, safe to print.

        Args:
            max_files: The maximum number of files of a transform; a line says how many more there are.
            clock: Formats times; in UTC by default.
            hints: Add what the answer leaves out.
        """
        notes = [f"({hint})" for hint in self.hints("any_version=True includes all versions")] if hints else []
        if not self.groups:
            nothing = f"nothing was derived from {_shown(self.of)}, and no run read it"
            return "\n".join([nothing, *notes])
        as_text = clock or (lambda time: f"{time.astimezone(UTC):%Y-%m-%d %H:%M}")
        rows = [("transform", "type", "runs", "files", "by", "last run" if clock else "last run (UTC)")]
        for group in self.groups:
            rows.append(
                (
                    _shown(group.title),
                    _shown(group.type),
                    f"{len(group.runs):,}",
                    f"{len(group.files):,}",
                    _shown(", ".join(group.users)),
                    as_text(group.last_at) if group.last_at else "",
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        head, *lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        people = self.people()
        shown = [head]
        for group, line in zip(self.groups, lines, strict=True):
            shown.append(line)
            shown += [f"  {_shown(file.title)}{people[file.id].text(as_text)}" for file in group.files[:max_files]]
            left = len(group.files) - max_files
            shown += [f"  + {left:,} more"] if left > 0 else []
        files, transforms = _counted(len(self.files), "file"), _counted(len(self.groups), "transform")
        counts = f"{files} of {transforms}, by {', '.join(self.users) or 'an unknown user'}"
        return "\n".join([f"derived from {_shown(self.of)}: {_shown(counts)}", *shown, *notes])

    def hints(self, advice: str) -> list[str]:
        """Return what the answer leaves out, as sentences safe to print; `advice` is how to include other versions."""
        found = []
        if self.n_from_other_versions:
            more = _counted(self.n_from_other_versions, "more file")
            verb = "comes" if self.n_from_other_versions == 1 else "come"
            found.append(f"{more} {verb} from {self.read_versions} of it; {advice}")
        elif self.read_versions:
            found.append(f"runs read {self.read_versions} of it; {advice}")
        if self.same_bytes:
            more_keys = " …" if len(self.same_bytes) > NAMED else ""
            found.append(f"the same bytes: {', '.join(map(_shown, self.same_bytes[:NAMED]))}{more_keys}")
        return found


def impact(record: Any, *, any_version: bool = False, all_producers: bool = True) -> Impact:
    """Return everything that was derived from a record, and by whom, grouped by transform.

    Args:
        record: A file, run or transform, or its id or key.
        any_version: Include what was derived from other versions of the file.
        all_producers: Follow every run that produced the same bytes; False: only the first.

    Raises:
        InvalidInputError: `any_version` is set and the record is not a file.
        NoResultFound: There is no record with this id or key.
    """
    return _impact(record, any_version=any_version, all_producers=all_producers)


def unmarked(record: Any, *, any_version: bool = False) -> Impact:
    """Return what `impact` does, without what a text does not show: whether files are stale from far, or affected."""
    return _impact(record, any_version=any_version, all_producers=True, looks=0, has_marks=False)


def _impact(
    record: Any, *, any_version: bool, all_producers: bool, looks: int | None = None, has_marks: bool = True
) -> Impact:
    found = query.record_of(record)
    connection = database.connection(query.alias_of(found))
    walk = query.walk_from(found, is_up=False, all_producers=all_producers)
    if any_version:
        if not isinstance(found, File):
            raise InvalidInputError(f"any_version is for files, not for {type(found).__name__}")
        walk = sql.Walk(FILE, tuple(found.versions.list("id")), None, False, all_producers)
    reached = sql.reached_both(connection, walk)
    return of_reached(found, walk, *reached, looks=looks, has_marks=has_marks)


def of_reached(
    record: Any,
    walk: sql.Walk,
    files: set[str],
    runs: set[str],
    *,
    looks: int | None = None,
    has_marks: bool = True,
    named: int | None = None,
) -> Impact:
    """Return what `impact` does, of a walk whose files and runs are known.

    Args:
        record: The record.
        walk: The walk from it.
        files: The ids of the files that it reaches, with its starts.
        runs: Those of the runs.
        looks: See `subgraph.graph_of`.
        has_marks: See `subgraph.graph_of`.
        named: How many other files with the bytes of a file are named; None: all.
    """
    connection = database.connection(query.alias_of(record))
    starts = set(sql.start_ids(connection, walk))
    focus = None if record._meta.model_name != "file" and not runs else record.id
    marks: dict[str, Any] = {"looks": looks, "has_marks": has_marks}
    graph = subgraph.graph_of(connection, files, runs, focus=focus, all_producers=walk.all_producers, **marks)
    same: tuple[str, ...]
    of = (record.key or record.name) if isinstance(record, File) else record.name
    read: list[tuple[str, int]] = []
    more, same = 0, ()
    if isinstance(record, File):
        same = _same_bytes(record, named)
        if starts == {record.id}:
            versions, read = _other_versions(record)
            if read:
                every = sql.Walk(FILE, (record.id, *versions), None, False, walk.all_producers)
                more = len(set(sql.reached_ids(connection, every, FILE)) - files)
    words = f"version {read[0][1]}" if len(read) == 1 else f"{len(read):,} other versions" if read else ""
    about = (str(of or record.id), tuple(sorted(starts)), _groups(graph, starts), graph)
    return Impact(*about, words, tuple(read), more, same)


def _same_bytes(file: File, named: int | None) -> tuple[str, ...]:
    """Return the names of the other files and versions with the bytes of a file."""
    found = ((one, one.key or one.name) for one in flags.same_bytes(file)[:named])
    return tuple(f"version {one.version} of {name}" if one.stem_id == file.stem_id else name for one, name in found)


def _other_versions(file: File) -> tuple[list[str], list[tuple[str, int]]]:
    """Return the ids of the other versions of a file, and the ids and numbers of those that runs read."""
    readers = RunInput.objects.using(file.alias).filter(file_id=OuterRef("id")).order_by()
    found = file.versions.exclude(id=file.id).order_by("version").values_list("id", "version", Exists(readers))
    rows = list(found)
    return [version_id for version_id, *_ in rows], [(one, version) for one, version, is_read in rows if is_read]


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


def _time_of(run: RunNode) -> datetime:
    """Return when a run started; for a run recorded by hand, when it was recorded."""
    return run.started_at or run.created_at or datetime.min.replace(tzinfo=UTC)


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _plain(node: FileNode | RunNode) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(node).items()}


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _shown(text: str) -> str:
    """Return text with control characters escaped."""
    return text if text.isprintable() else ascii(text)[1:-1]
