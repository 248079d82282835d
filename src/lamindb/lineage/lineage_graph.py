"""The lineage as a value: what queries return, and what JSON and drawings are made from.

```
FileNode --input--> RunNode --output--> FileNode
```

A graph is complete: renderers never query the database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from lamindb.core.requirements import pip_install
from lamindb.core.text import elide_middle, printable
from lamindb.errors import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Edge", "EdgeKind", "FileNode", "LineageGraph", "Neighbours", "Node", "NodeKind", "RunNode"]

NodeKind = Literal["file", "run"]
EdgeKind = Literal["input", "output", "through"]

FORMAT_VERSION = 1
"""The version of what `LineageGraph.as_dict` returns; increased when a field changes its meaning."""
_REASONS_WIDTH: Final = 200


def reasons_text(reasons: Iterable[str]) -> str:
    """Return reasons of flags as a part of a line that is safe to print, shortened if they are long."""
    return elide_middle("; ".join(map(printable, reasons)), _REASONS_WIDTH)


@dataclass(frozen=True, slots=True)
class FlaggedBy:
    """The nearest flagged file that another file was derived from, and the reasons of its flags."""

    id: str
    title: str
    version: int
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as one line that is safe to print."""
        return f"version {self.version} of {printable(self.title)} is flagged: {reasons_text(self.reasons)}"


@dataclass(frozen=True, slots=True)
class FileNode:
    """One version of a file.

    `made_again` counts the runs that produced the same bytes again and have no edge in the graph. `is_stale` is about
    the newest of them. `same_as_version` is the older version that `user` brought back by this one, None for any other.
    `flags` has the reasons of its open flags, `affected_by` the nearest flagged file that it was derived from.
    `is_plumbing` is True if it is only on the way from one run to another: one run made it and one read it, and it has
    no description, and no key or one in a folder such as `tmp`.
    In a summary, a node stands for `members` files; `partly` names the states that only some of them have.
    """

    id: str
    key: str | None
    name: str
    suffix: str
    size: int
    version: int
    is_latest: bool
    is_trashed: bool
    created_at: datetime
    storage: str | None = None
    made_again: int = 0
    is_stale: bool = False
    same_as_version: int | None = None
    user: str | None = None
    flags: tuple[str, ...] = ()
    affected_by: FlaggedBy | None = None
    is_plumbing: bool = False
    members: int = 1
    partly: tuple[str, ...] = ()

    @property
    def kind(self) -> NodeKind:
        """The kind of the node."""
        return "file"

    @property
    def title(self) -> str:
        """Its key, else its name, else its id."""
        return self.key or self.name or self.id


@dataclass(frozen=True, slots=True)
class RunNode:
    """One run, with the transform that it ran.

    `revision` is the number of its code, None if that is unknown; `has_callers_code` is True if this is the code of the
    notebook or script that tracked the transform. `params` are the parameters in which it differs from other runs of
    its transform in the graph, as pairs of a name and a value. `parent_id` is the id of the run that it is a part of.
    In a summary, a node stands for `members` runs; `partly` has its status if only some of them have it.
    """

    id: str
    name: str | None
    status: str | None
    transform_id: str
    transform_name: str
    transform_type: str
    transform_version: str
    user: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    created_at: datetime | None = None
    revision: int | None = None
    has_callers_code: bool = False
    params: tuple[tuple[str, Any], ...] = field(default=(), hash=False)
    parent_id: str | None = None
    members: int = 1
    partly: tuple[str, ...] = ()

    @property
    def kind(self) -> NodeKind:
        """The kind of the node."""
        return "run"

    @property
    def title(self) -> str:
        """Its transform's name, else its own, else its id."""
        return self.transform_name or self.name or self.id


Node = FileNode | RunNode


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge: `input` goes from a file to the run that read it, `output` from a run to a file that it wrote.

    In a summary, `through` goes from a run to one that read files which are not shown.
    """

    source: str
    target: str
    kind: EdgeKind


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nodes of a graph by id, and the ids before and after each, in the order of the edges."""

    nodes: Mapping[str, Node]
    before: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class LineageGraph:
    """Files, runs and the edges between them.

    Both ends of every edge are nodes of the graph, and ids and edges are unique.

    Attributes:
        focus: The id of the record that the graph is about: a file, a run, or a transform (then all its runs), or None.
        asked: The ids of the records that the graph is about, if there are several.
        hidden_up: For node ids, how many direct neighbours before the node are left out.
        hidden_down: For node ids, how many direct neighbours after the node are left out.
        hidden_total: How many distinct nodes are left out, as several nodes may lack the same one; None if unknown.
        is_truncated: Nodes of the lineage were left out.
        notes: In words, what a summary does not show, or what was not looked for.

    Raises:
        InvalidInputError: An edge, the focus or a count names an id that is not in the graph, or an id is not unique.
    """

    files: tuple[FileNode, ...] = ()
    runs: tuple[RunNode, ...] = ()
    edges: tuple[Edge, ...] = ()
    focus: str | None = None
    hidden_up: Mapping[str, int] = field(default_factory=dict)
    hidden_down: Mapping[str, int] = field(default_factory=dict)
    is_truncated: bool = False
    hidden_total: int | None = None
    asked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the graph."""
        files = {file.id for file in self.files}
        runs = {run.id for run in self.runs}
        if len(files) + len(runs) != len(self.files) + len(self.runs) or not files.isdisjoint(runs):
            raise InvalidInputError("an id occurs more than once in this lineage graph")
        object.__setattr__(self, "edges", tuple(dict.fromkeys(self.edges)))
        for edge in self.edges:
            sources, targets = {"input": (files, runs), "output": (runs, files), "through": (runs, runs)}[edge.kind]
            if edge.source not in sources or edge.target not in targets:
                raise InvalidInputError(
                    f"the {edge.kind} edge {edge.source} -> {edge.target} does not join a file and a run of this graph"
                )
        for counts in (self.hidden_up, self.hidden_down):
            for node_id, count in counts.items():
                if count < 0 or not (node_id in files or node_id in runs):
                    raise InvalidInputError(f"{count} hidden neighbours of {node_id}: unknown node or negative number")
        if self.focus is not None and not self.focus_ids():
            raise InvalidInputError(f"the focus {self.focus} is not a file, run or transform of this lineage graph")
        object.__setattr__(self, "hidden_up", dict(self.hidden_up))
        object.__setattr__(self, "hidden_down", dict(self.hidden_down))

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.files) + len(self.runs)

    def __bool__(self) -> bool:
        """Return True: an empty graph is a value, too."""
        return True

    def nodes(self) -> tuple[Node, ...]:
        """Return the files, then the runs."""
        return (*self.files, *self.runs)

    def focus_ids(self) -> frozenset[str]:
        """Return the ids of the nodes that the graph is about; for a transform, of all its runs."""
        wanted = {*self.asked, *([] if self.focus is None else [self.focus])}
        found = {node.id for node in self.nodes() if node.id in wanted}
        of_transforms = {run.id for run in self.runs if run.transform_id in wanted - found} if wanted - found else set()
        return frozenset(found | of_transforms)

    def neighbours(self) -> Neighbours:
        """Return the neighbours of all nodes, in one pass over nodes and edges."""
        nodes = {node.id: node for node in self.nodes()}
        before: dict[str, list[str]] = {node_id: [] for node_id in nodes}
        after: dict[str, list[str]] = {node_id: [] for node_id in nodes}
        for edge in self.edges:
            after[edge.source].append(edge.target)
            before[edge.target].append(edge.source)
        return Neighbours(
            nodes,
            {node_id: tuple(ids) for node_id, ids in before.items()},
            {node_id: tuple(ids) for node_id, ids in after.items()},
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the graph as plain dictionaries, lists, strings and numbers; times are ISO 8601."""
        return {
            "format": "lamindb-lineage",
            "format_version": FORMAT_VERSION,
            "focus": self.focus,
            "asked": list(self.asked),
            "is_truncated": self.is_truncated,
            "files": [_plain(_without_partly(file)) for file in self.files],
            "runs": [{**_plain(_without_partly(run)), "params": dict(run.params)} for run in self.runs],
            "edges": [asdict(edge) for edge in self.edges],
            "hidden_up": dict(self.hidden_up),
            "hidden_down": dict(self.hidden_down),
            "hidden_total": self.hidden_total,
        }

    def df(self) -> pd.DataFrame:
        """Return a pandas DataFrame with a row for each edge, its file and its run.

        Raises:
            UnsupportedError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as exc:
            raise UnsupportedError(f"a DataFrame needs pandas: {pip_install('pandas')}") from exc
        files = {file.id: file for file in self.files}
        runs = {run.id: run for run in self.runs}
        rows = []
        for edge in self.edges:
            file_id, run_id = (edge.source, edge.target) if edge.kind == "input" else (edge.target, edge.source)
            file, run = files[file_id], runs[run_id]
            about_file = (edge.kind, file.id, file.title, file.version)
            about_transform = (run.transform_name, run.transform_type, run.transform_version, run.revision)
            rows.append((*about_file, run.id, *about_transform, run.status, run.user, run.started_at, run.finished_at))
        columns = ["kind", "file_id", "file", "file_version", "run_id", "transform", "transform_type"]
        columns += ["transform_version", "revision", "status", "user", "started_at", "finished_at"]
        return pd.DataFrame(rows, columns=columns)


def _without_partly(node: Node) -> dict[str, Any]:
    """Return a node as a dictionary; only drawings need to know what some members of a group are."""
    values = asdict(node)
    del values["partly"]
    return values


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return _plain(value)
    return list(value) if isinstance(value, tuple) else value


def json_text(graph: LineageGraph, *, indent: int | None = 2) -> str:
    """Return the whole graph as JSON.

    Characters are kept, except that lone surrogates, which UTF-8 cannot encode, become JSON escapes.

    Args:
        graph: The graph.
        indent: The number of spaces for each level; None means one line.
    """
    text = json.dumps(graph.as_dict(), indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(graph.as_dict(), indent=indent, allow_nan=False)
    return text
