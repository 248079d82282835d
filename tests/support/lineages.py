"""Lineage in plain Python: small graphs, what follows from them, and how to write them into an instance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lamindb.lineage.lineage_graph import LineageGraph

Pair = tuple[int, int]
START = datetime(2026, 1, 1, tzinfo=UTC)
_serial = itertools.count(1)


@dataclass
class Plain:
    """Runs and files as numbers.

    Attributes:
        made_by: For each file, the run that made it first, or None.
        read: Pairs of a run and a file that it read.
        made_again: Pairs of a run and a file whose bytes it produced again.
        transform_of: For each run, which transform it ran.
    """

    made_by: list[int | None]
    transform_of: list[int]
    read: set[Pair] = field(default_factory=set)
    made_again: set[Pair] = field(default_factory=set)

    def steps(self, *, is_up: bool, all_producers: bool) -> dict[tuple[str, int], set[tuple[str, int]]]:
        """Return which nodes are one step from each node."""
        inputs = [(("file", file), ("run", run)) for run, file in self.read]
        outputs = [(("run", run), ("file", file)) for file, run in enumerate(self.made_by) if run is not None]
        if all_producers:
            outputs += [(("run", run), ("file", file)) for run, file in self.made_again]
        found: dict[tuple[str, int], set[tuple[str, int]]] = {}
        for source, target in inputs + outputs:
            here, there = (target, source) if is_up else (source, target)
            found.setdefault(here, set()).add(there)
        return found

    def edges(self, *, all_producers: bool) -> set[tuple[tuple[str, int], tuple[str, int]]]:
        """Return all steps, in the direction in which things are made."""
        steps = self.steps(is_up=False, all_producers=all_producers)
        return {(here, there) for here, others in steps.items() for there in others}

    def distances(
        self, starts: Iterable[tuple[str, int]], *, is_up: bool, all_producers: bool = False
    ) -> dict[tuple[str, int], int]:
        """Return how many steps away each node is that can be reached; the starts are 0 away."""
        steps = self.steps(is_up=is_up, all_producers=all_producers)
        found = dict.fromkeys(starts, 0)
        front = list(found)
        while front:
            following = []
            for node in front:
                for other in sorted(steps.get(node, ())):
                    if other not in found:
                        found[other] = found[node] + 1
                        following.append(other)
            front = following
        return found

    def starts(self, kind: str, number: int) -> list[tuple[str, int]]:
        """Return the nodes from which a question about a file, run or transform starts."""
        if kind != "transform":
            return [(kind, number)]
        return [("run", run) for run, transform in enumerate(self.transform_of) if transform == number]

    def reached(
        self,
        kind: str,
        number: int,
        wanted: str,
        *,
        is_up: bool,
        all_producers: bool = False,
        depth: int | None = None,
    ) -> set[int]:
        """Return the files, runs or transforms that a record came from, or became, without itself."""
        starts = self.starts(kind, number)
        node_kind = "file" if wanted == "file" else "run"
        start_kind = "file" if kind == "file" else "run"
        found = set()
        for node, distance in self.distances(starts, is_up=is_up, all_producers=all_producers).items():
            if node[0] != node_kind or node in starts:
                continue
            generation = distance / 2 if node_kind == start_kind else (distance + 1) / 2
            if depth is None or generation <= depth:
                found.add(node[1])
        return {self.transform_of[run] for run in found} if wanted == "transform" else found


@dataclass
class Written:
    """A plain graph in a database: the ids of its nodes."""

    alias: str
    files: list[str]
    runs: list[str]
    transforms: list[str]

    def record(self, kind: str, number: int) -> Any:
        """Return the record of a node."""
        from lamindb.models import File, Run, Transform

        model: Any = {"file": File, "run": Run, "transform": Transform}[kind]
        return model.objects.using(self.alias).get(id=self.ids(kind)[number])

    def ids(self, kind: str) -> list[str]:
        """Return the ids of all nodes of a kind, in the order of their numbers."""
        return {"file": self.files, "run": self.runs, "transform": self.transforms}[kind]

    def numbers(self, kind: str, ids: Iterable[str]) -> set[int]:
        """Return the numbers of nodes; fails if one is there twice."""
        listed = list(ids)
        assert len(set(listed)) == len(listed)
        place = {node_id: number for number, node_id in enumerate(self.ids(kind))}
        return {place[node_id] for node_id in listed}

    def node_of(self, node_id: str) -> tuple[str, int]:
        """Return the kind and the number of the file or run with an id."""
        kind = "file" if node_id in self.files else "run"
        return kind, self.ids(kind).index(node_id)

    def nodes(self, graph: LineageGraph) -> set[tuple[str, int]]:
        """Return the nodes of a graph as kinds and numbers; fails if one is there twice."""
        files = {("file", number) for number in self.numbers("file", (file.id for file in graph.files))}
        return files | {("run", number) for number in self.numbers("run", (run.id for run in graph.runs))}

    def edges(self, graph: LineageGraph) -> set[tuple[tuple[str, int], tuple[str, int]]]:
        """Return the edges of a graph as pairs of kinds and numbers."""
        return {(self.node_of(edge.source), self.node_of(edge.target)) for edge in graph.edges}

    def numbered(self, counts: Mapping[str, int]) -> dict[tuple[str, int], int]:
        """Return counts of nodes by kind and number."""
        return {self.node_of(node_id): count for node_id, count in counts.items()}


def write(plain: Plain, *, types: Sequence[str] = ("pipeline",)) -> Written:
    """Write a graph into the current instance, in bulk, with ids that no other graph has."""
    from lamindb.core import context
    from lamindb.db import database
    from lamindb.models import File, Run, RunInput, RunOutput, Transform, User

    instance = context.instance()
    alias, serial = instance.alias, next(_serial)
    user_id = User.objects.using(alias).get().id
    transforms = [f"T{serial:07}{n:08}" for n in range(max(plain.transform_of, default=0) + 1)]
    runs = [f"R{serial:07}{n:012}" for n in range(len(plain.transform_of))]
    files = [f"F{serial:07}{n:08}0001" for n in range(len(plain.made_by))]
    outputs = {(run, file) for file, run in enumerate(plain.made_by) if run is not None} | plain.made_again
    batches: list[list[Any]] = [
        [
            Transform.from_fields(
                id=found, name=f"Step {n}", type=types[n % len(types)], reference=f"{serial}/{n}", created_by_id=user_id
            )
            for n, found in enumerate(transforms)
        ],
        [
            Run.from_fields(
                id=found,
                transform_id=transforms[plain.transform_of[n]],
                status="completed",
                started_at=START + timedelta(minutes=n),
                finished_at=START + timedelta(minutes=n, seconds=30),
                created_by_id=user_id,
            )
            for n, found in enumerate(runs)
        ],
        [
            File.from_fields(
                id=found,
                name=f"{n}.csv",
                key=f"{serial}/{n}.csv",
                suffix=".csv",
                size=n,
                hash=f"h{serial}-{n}",
                digest=f"{serial:08x}{n:056x}",
                storage_id=instance.storage_id,
                run_id=None if made_by is None else runs[made_by],
                transform_id=None if made_by is None else transforms[plain.transform_of[made_by]],
                created_at=START + timedelta(minutes=n),
                created_by_id=user_id,
            )
            for n, (found, made_by) in enumerate(zip(files, plain.made_by, strict=True))
        ],
        [RunInput.from_fields(run_id=runs[run], file_id=files[file]) for run, file in sorted(plain.read)],
        [RunOutput.from_fields(run_id=runs[run], file_id=files[file]) for run, file in sorted(outputs)],
    ]
    with database.writing(alias) as link:
        for batch in batches:
            database.insert_many(link, batch)
    return Written(alias, files, runs, transforms)
