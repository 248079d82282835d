"""What has to be run to make stale files fresh again, in order, each unit once.

A unit is a process that can be started: a script, a notebook, a command, the program of a flow. Steps of a flow and
commands of a workflow belong to the nearest run above them. A unit is in the plan if it is the newest producer of a
stale file that was asked for, or of one from which that would be made; it comes after the units that make its inputs
fresh. When it is run, it reads the current file of each key that it read.

What cannot be made fresh by running it is left out with a reason, and so is what waits for it.
"""

from __future__ import annotations

import heapq
import json
import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lamindb.core import context, processes
from lamindb.core.text import printable
from lamindb.db import database
from lamindb.lineage import query, recall, sql, staleness
from lamindb.lineage.render.labels import counted
from lamindb.models import File, FileEvent, Run, RunInput, RunOutput

Kind = Literal["flagged", "removed", "loop", "elsewhere", "no program", "waits"]

_FILES, _INPUTS, _OUTPUTS, _EVENTS = (model._meta.db_table for model in (File, RunInput, RunOutput, FileEvent))

_VERSIONS = "BETWEEN substr(f.id, 1, 16) AND substr(f.id, 1, 16) || 'zzzz'"
_WRITTEN = f"""SELECT f.id, e.old_key FROM listed CROSS JOIN {_FILES} f CROSS JOIN {_EVENTS} e
    WHERE f.id = listed.id AND e.file_id {_VERSIONS} AND e.kind = 'renamed' AND e.created_at > COALESCE(
        (SELECT MIN(o.created_at) FROM {_OUTPUTS} o CROSS JOIN {_FILES} v WHERE o.run_id = {staleness.PRODUCER}
         AND o.file_id {_VERSIONS} AND v.id = o.file_id AND v.digest = f.digest), f.created_at)
    ORDER BY e.id DESC"""
"""The keys of files before they were renamed, the first one last, since the newest producer made these bytes.

It may have made them for an older version that was brought back.
"""
_READ = f"""SELECT i.run_id, i.file_id, e.old_key FROM listed CROSS JOIN {_INPUTS} i CROSS JOIN {_EVENTS} e
    WHERE i.run_id = listed.id AND e.file_id = i.file_id AND e.kind = 'renamed' AND e.created_at > i.created_at
    ORDER BY e.id DESC"""
"""The keys of what runs read before it was renamed, the first one last, since they read it."""
_NAMED = 3
_SHOWN = 20
_REASONS = 5
"""The reasons of a unit that are shown as text."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A process to start.

    Attributes:
        run: The run that made the files; starting it again makes them fresh.
        command: The command line to start; None for a notebook.
        notebook: The notebook to run; None for others.
        files: The stale files that it makes.
        reasons: Why it has to be run, in words.
        notes: In words, which keys it reads or writes although their files were renamed since.
        stays_stale: Those of the files that stay stale, as it writes the keys that they had before.
        after: The numbers of the units of the plan that it needs, counted from 0.
    """

    run: Run
    command: str | None
    notebook: str | None
    files: tuple[File, ...]
    reasons: tuple[str, ...]
    after: tuple[int, ...]
    notes: tuple[str, ...] = ()
    stays_stale: tuple[File, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists, strings and numbers."""
        transform = self.run.transform
        return {
            "run": self.run.id,
            "transform": transform.name,
            "transform_type": transform.type,
            "transform_version": transform.version,
            "command": self.command,
            "notebook": self.notebook,
            "params": self.params,
            "files": [_plain(file) for file in self.files],
            "reasons": list(self.reasons),
            "after": list(self.after),
            "notes": list(self.notes),
            "stays_stale": [_plain(file) for file in self.stays_stale],
        }

    def __str__(self) -> str:
        """Return what to start, as one line that is safe to print."""
        if self.command is not None:
            return printable(self.command)
        given = ", ".join(f"{name}={json.dumps(value)}" for name, value in self.params.items())
        return printable(f"notebook {self.notebook}" + (f" with {given}" if given else ""))

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that a notebook was run with; empty for others, whose command has them."""
        return dict(self.run.params or {}) if self.notebook is not None else {}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Stale files that the plan does not make fresh.

    Attributes:
        files: The files.
        run: The run that made them, or the one above it that would have to be started.
        kind: `flagged`, `removed`, `loop`, `elsewhere` (another machine), `no program`, or `waits` for another one.
        reason: The reason in words.
    """

    files: tuple[File, ...]
    run: Run
    kind: Kind
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists, strings and numbers."""
        files = [_plain(file) for file in self.files]
        return {"files": files, "run": self.run.id, "kind": self.kind, "reason": self.reason}


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What has to be run, in order, and what is left out. It is true if any file is stale.

    Attributes:
        units: What to run, in this order.
        left_out: Stale files that it does not make fresh, with the reasons.
    """

    units: tuple[Unit, ...]
    left_out: tuple[LeftOut, ...]

    def __bool__(self) -> bool:
        """Return True if any file is stale."""
        return bool(self.units or self.left_out)

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.units)

    def __iter__(self) -> Iterator[Unit]:
        """Yield the units in order."""
        return iter(self.units)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists, strings and numbers."""
        return {
            "units": [unit.as_dict() for unit in self.units],
            "left_out": [one.as_dict() for one in self.left_out],
        }

    def to_json(self) -> str:
        """Return JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def __repr__(self) -> str:
        """Return the plan as text that is safe to print."""
        if not self:
            return "nothing to run: no file is stale"
        lines = []
        for number, unit in enumerate(self.units, 1):
            made = [_title(file) for file in unit.files if file not in unit.stays_stale]
            lines += [f"{number}. {unit}", *([f"   makes {_listed(made)}"] if made else [])]
            for noun, told in (("reason", unit.reasons), ("note", unit.notes)):
                lines += [f"   {one}" for one in told[:_REASONS]]
                if len(told) > _REASONS:
                    lines.append(f"   … and {counted(len(told) - _REASONS, f'more {noun}')}")
        lines += ["left out:"] if self.left_out else []
        lines += [f"  {_listed(map(_title, one.files))}: {one.reason}" for one in self.left_out]
        return "\n".join(lines)


def plan(*files: Any) -> Plan:
    """Return what has to be run to make files fresh; without arguments, all current files.

    Args:
        *files: Files, or their ids or keys.

    Raises:
        InvalidTypeError: An argument is not a file, or the id or key of one.
        InvalidInputError: A file is not saved, or they belong to different instances.
        NoResultFound: There is no file with this id or key, it was deleted, or the key's file is in the trash.
    """
    records = query.files_of(files, "made fresh") if files else []
    alias = query.same_alias(*records) if records else context.instance().alias
    facts = _Facts(alias)
    facts.collect([file.id for file in records] if files else facts.stale)
    return _Planner(facts).plan()


def _plain(file: File) -> dict[str, Any]:
    return {"key": file.key, "id": file.id, "version": file.version}


def _title(file: File) -> str:
    return printable(file.key or file.name or file.id)


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


@dataclass(slots=True)
class _Facts:
    """What the database says of the stale files that were asked for and everything stale behind them.

    Attributes:
        stale: The ids of all stale current files.
        producer: Of each stale file behind the question, the newest producer.
        reads: Of each of these producers, the versions that it read, with the current file of each; None if removed.
        superseded: These producers, each with a version that it read and that is superseded or removed.
        runs: These producers and the runs above them.
        written: Of the stale files that were renamed since their producer made them, the keys that it wrote.
        read: Of what these producers read, and was renamed since, the keys that they read.
    """

    alias: str
    stale: set[str] = field(init=False)
    producer: dict[str, str] = field(default_factory=dict)
    reads: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    superseded: set[tuple[str, str]] = field(default_factory=set)
    runs: dict[str, Run] = field(default_factory=dict)
    written: dict[str, str | None] = field(default_factory=dict)
    read: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        connection = database.connection(self.alias)
        current = File.objects.using(self.alias).filter(is_latest=True, trashed_at__isnull=True).order_by()
        self.stale = set(current.filter(id__in=staleness.Stale()).values_list("id", flat=True))
        self._connection = connection

    _connection: Any = field(init=False, default=None)

    def collect(self, wanted: Collection[str]) -> None:
        """Read everything that is stale behind the wanted files, one generation at a time."""
        waiting = sorted(self.stale.intersection(wanted) | (self._stale_among(set(wanted) - self.stale)))
        while waiting:
            made = dict(
                self._rows(
                    f"SELECT f.id, {staleness.PRODUCER} FROM listed CROSS JOIN {_FILES} f WHERE f.id = listed.id",
                    waiting,
                )
            )
            self.producer |= made
            new = sorted(set(made.values()) - set(self.reads))
            self.reads |= {run_id: [] for run_id in new}
            rows = self._rows(
                f"SELECT i.run_id, i.file_id, {staleness.CURRENT} FROM listed CROSS JOIN {_INPUTS} i "
                f"CROSS JOIN {_FILES} r WHERE i.run_id = listed.id AND r.id = i.file_id ORDER BY i.id",
                new,
            )
            for run_id, read, current in rows:
                self.reads[run_id].append((read, current))
            found = {current for _, _, current in rows if current in self.stale}
            waiting = sorted(found - set(self.producer))
        self.superseded = staleness.superseded_among(self._connection, self.producer)
        self._read_runs(set(self.reads))
        self.written.update(self._rows(_WRITTEN, self.producer))
        self.read.update({(run_id, read): key for run_id, read, key in self._rows(_READ, self.reads)})

    def _stale_among(self, ids: Collection[str]) -> set[str]:
        return staleness.stale_among(self._connection, ids)

    def _rows(self, text: str, ids: Collection[str]) -> list[Any]:
        listed, params = sql.listed_sql(self._connection.vendor, ids)
        return sql.fetch(self._connection, f"WITH listed AS ({listed}) {text}", params) if ids else []

    def _read_runs(self, ids: Collection[str]) -> None:
        waiting = set(ids)
        while waiting:
            found: dict[str, Run] = {}
            for chunk in database.chunks(sorted(waiting)):
                rows = Run.objects.using(self.alias).filter(id__in=chunk).select_related("transform")
                found.update((run.id, run) for run in rows)
            self.runs |= found
            waiting = {run.parent_id for run in found.values() if run.parent_id} - set(self.runs)

    def files(self, ids: Iterable[str]) -> dict[str, File]:
        """Return files by their ids."""
        found: dict[str, File] = {}
        for chunk in database.chunks(sorted(set(ids))):
            found.update(File.objects.using(self.alias).in_bulk(chunk))
        return found


@dataclass(slots=True)
class _Start:
    """How the process of a run is started, or why it cannot be."""

    run: Run
    command: str | None = None
    notebook: str | None = None
    obstacle: tuple[Kind, str] | None = None


def _starting_run(run: Run, runs: Mapping[str, Run]) -> Run:
    """Return the run whose process makes what a run made.

    A step belongs to the run above it, and a command to a run above it: it is a rule of a workflow, or a line of a
    script. A script or notebook that a command started belongs to that command.
    """
    above = runs.get(run.parent_id or "")
    if above is None:
        return run
    if run.transform.type == "function":
        return _starting_run(above, runs)
    if run.transform.type == "command":
        return above if above.transform.type != "function" else _starting_run(above, runs)
    if above.transform.type == "command":
        return _starting_run(above, runs) if _names(above, run) else above
    return run


def _names(command: Run, run: Run) -> bool:
    """Return True if a command names the script or notebook that a run executed: it only wraps it."""
    name = run.transform.reference.rpartition("/")[2]
    return any(str(word).rpartition("/")[2] == name for word in command.arguments or ())


def _start(run: Run, inputs: Collection[str]) -> _Start:
    """Return how to start the process of a run.

    Args:
        run: A run that belongs to no other.
        inputs: What a command is told that it reads.
    """
    transform = run.transform
    title = f"{transform.name!r}"
    if run.host is None and run.arguments is None:
        return _Start(run, obstacle=("no program", f"its run of {title} was recorded by hand"))
    if run.host not in {None, processes.host()}:
        return _Start(run, obstacle=("elsewhere", f"{title} ran on {run.host!r}, not on this machine"))
    words = [str(word) for word in run.arguments or ()]
    if transform.type == "command" and words:
        return _Start(
            run, _in_its_folder(run, shlex.join(["lamin", "run", *_options(run, words, inputs), "--", *words]))
        )
    if run.source_digest is None:
        return _Start(run, obstacle=("no program", f"no code of {title} was kept"))
    if transform.type == "notebook":
        if transform.reference.startswith("notebook without a file"):
            return _Start(run, obstacle=("no program", f"the file of the notebook {title} is unknown"))
        return _Start(run, notebook=transform.reference)
    if transform.type == "script":
        return _Start(run, shlex.join(["python", transform.reference, *words]))
    path, colon, _ = transform.reference.rpartition(":")
    # A transform that a notebook or script tracks by its name is run by this notebook or script.
    path = path if transform.type == "function" and colon else run.code_path or ""
    if path.endswith(".ipynb"):
        return _Start(run, notebook=path)
    if path.endswith(".py"):
        return _Start(run, shlex.join(["python", path, *words]))
    return _Start(run, obstacle=("no program", f"the program that ran {title} is not recorded"))


def _in_its_folder(run: Run, line: str) -> str:
    """Return a command line that is started in the project's folder and runs where a command ran."""
    folder, instance = (run.capture or {}).get("cwd"), context.connected(run.alias)
    project = instance.project_path if instance is not None else None
    # A project that was moved since has its folders elsewhere.
    if not folder or project is None or not os.path.isdir(folder) or os.path.realpath(folder) == str(project.resolve()):
        return line
    inside = Path(folder).is_relative_to(project)
    return f"(cd {shlex.quote(os.path.relpath(folder, project) if inside else folder)} && {line})"


def _options(run: Run, words: list[str], inputs: Collection[str]) -> Iterator[str]:
    """Yield the options of `lamin run` with which a command is recorded as it was before."""
    name, program = run.transform.name, words[0].rpartition("/")[2]
    if name not in {words[0], *(f"{program} {word}" for word in words[1:]), *(f"{program} -m {w}" for w in words[1:])}:
        yield from ("--transform", name)
    for parameter, value in (run.params or {}).items():
        yield from ("--param", f"{parameter}={_as_option(value)}")
    for key in inputs:
        yield from ("--in", key)
    capture = run.capture or {}
    folder = f"{capture['cwd']}/" if capture.get("cwd") else None
    for pattern in map(str, capture.get("declared", ())):
        # In the folder in which the command is started, wherever that has been moved since.
        yield from ("--out", pattern.removeprefix(folder) if folder is not None else pattern)


def _as_option(value: Any) -> str:
    """Return a parameter as it is written on a command line: JSON, or text that is no JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False)


@dataclass(slots=True)
class _Group:
    """A unit while the plan is made: the producers that are part of its process."""

    run: Run
    members: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    needs: set[str] = field(default_factory=set)
    obstacle: tuple[Kind, str] | None = None


class _Planner:
    """Makes units of producers, orders them, and finds what has to be left out."""

    def __init__(self, facts: _Facts) -> None:
        self._facts = facts
        self._starting = {run_id: _starting_run(facts.runs[run_id], facts.runs).id for run_id in facts.reads}
        self._groups: dict[str, _Group] = {}
        for file_id, run_id in facts.producer.items():
            unit_id = self._starting[run_id]
            group = self._groups.setdefault(unit_id, _Group(facts.runs[unit_id]))
            group.members.add(run_id)
            group.stale.add(file_id)
        # What each producer waits for: the producers of the stale files that it would read.
        self._needs = {
            run_id: {facts.producer[current] for _, current in reads if current in facts.producer}
            for run_id, reads in facts.reads.items()
        }
        for run_id, needed in self._needs.items():
            group = self._groups[self._starting[run_id]]
            group.needs |= {self._starting[one] for one in needed} - {self._starting[run_id]}
        wanted = {file_id for reads in facts.reads.values() for one in reads for file_id in one if file_id}
        self._files = facts.files(wanted | set(facts.producer))

    def plan(self) -> Plan:
        """Return the plan."""
        self._find_obstacles()
        order = self._ordered()
        numbers = {unit_id: number for number, unit_id in enumerate(order)}
        units = tuple(self._unit(self._groups[unit_id], numbers) for unit_id in order)
        left_out = tuple(
            LeftOut(self._named(group.stale), group.run, *group.obstacle)
            for _, group in sorted(self._groups.items())
            if group.obstacle is not None
        )
        return Plan(units, left_out)

    def _find_obstacles(self) -> None:
        flagged = self._flagged()
        in_loops = _in_loops(self._needs)
        for unit_id, group in self._groups.items():
            start = _start(group.run, ())
            removed = sorted(
                read
                for run_id in group.members
                for read, current in self._facts.reads[run_id]
                if current is None and (run_id, read) in self._facts.superseded
            )
            loops = sorted(_title(self._files[one]) for one in group.stale if self._facts.producer[one] in in_loops)
            if unit_id in flagged:
                group.obstacle = ("flagged", f"{flagged[unit_id]}; replace or unflag it")
            elif removed:
                names = _listed(dict.fromkeys(_title(self._files[one]) for one in removed))
                group.obstacle = ("removed", f"it was made from {names}, which is in the trash")
            elif loops:
                text = "it is made from an earlier version of itself, which is stale: bring back a version that is not"
                group.obstacle = ("loop", text)
            elif start.obstacle is not None:
                group.obstacle = start.obstacle
        for unit_id in sorted(_in_loops({unit_id: group.needs for unit_id, group in self._groups.items()})):
            group = self._groups[unit_id]
            if group.obstacle is None:
                group.obstacle = ("loop", "it needs what is made from its own outputs")
        self._let_wait()

    def _let_wait(self) -> None:
        """Leave out what would be made from something that is left out."""
        readers: dict[str, set[str]] = {}
        for unit_id, group in self._groups.items():
            for needed in group.needs:
                readers.setdefault(needed, set()).add(unit_id)
        waiting = sorted(unit_id for unit_id, group in self._groups.items() if group.obstacle is not None)
        while waiting:
            blocked = waiting.pop()
            for unit_id in sorted(readers.get(blocked, ())):
                group = self._groups[unit_id]
                if group.obstacle is None:
                    names = _listed(sorted(self._made_for(group, blocked))[:_NAMED])
                    group.obstacle = ("waits", f"it is made from {names}, which is left out")
                    waiting.append(unit_id)

    def _made_for(self, group: _Group, needed: str) -> set[str]:
        """Return the titles of the stale files that one unit reads from another one."""
        facts = self._facts
        return {
            _title(self._files[current])
            for run_id in group.members
            for _, current in facts.reads[run_id]
            if current in facts.producer and self._starting[facts.producer[current]] == needed
        }

    def _flagged(self) -> dict[str, str]:
        """Return the units that would read a flagged current file, or whose files are affected by one, and the flag."""
        facts, found = self._facts, {}
        connection = database.connection(facts.alias)
        flagged = recall.flagged_files(connection)
        _, affected = recall.marks(connection, facts.producer, current_only=True)
        for unit_id, group in sorted(self._groups.items()):
            read = {one for run_id in group.members for _, one in facts.reads[run_id] if one in flagged}
            for one in sorted(filter(None, read))[:1]:
                found[unit_id] = str(flagged[one])
            for one in sorted(affected.keys() & group.stale)[:1]:
                found.setdefault(unit_id, str(affected[one]))
        return found

    def _ordered(self) -> list[str]:
        """Return the ids of the units to run: each after those that it needs, else by the time of its run."""
        open_units = {unit_id: group for unit_id, group in self._groups.items() if group.obstacle is None}
        left = {unit_id: len(group.needs & open_units.keys()) for unit_id, group in open_units.items()}
        readers: dict[str, list[str]] = {}
        for unit_id, group in open_units.items():
            for needed in group.needs & open_units.keys():
                readers.setdefault(needed, []).append(unit_id)
        ready = sorted(unit_id for unit_id, count in left.items() if not count)
        order = []
        while ready:
            unit_id = heapq.heappop(ready)
            order.append(unit_id)
            for reader in readers.get(unit_id, ()):
                left[reader] -= 1
                if not left[reader]:
                    heapq.heappush(ready, reader)
        return order

    def _unit(self, group: _Group, numbers: Mapping[str, int]) -> Unit:
        reads = [self._facts.reads[run_id] for run_id in sorted(group.members)]
        read = dict.fromkeys(current for pairs in reads for _, current in pairs if current is not None)
        inputs = [self._files[one].key or one for one in read] if group.run.transform.type == "command" else []
        own = {self._facts.producer[one] for one in group.stale}
        start = _start(group.run, inputs if own == {group.run.id} else ())
        after = tuple(sorted(numbers[one] for one in group.needs if one in numbers))
        written = {self._key_written(one) for one in group.stale}
        # Where keys were exchanged, the unit writes the key of another one of its files.
        renamed = self._named(one for one in group.stale if self._files[one].key not in written)
        notes = (*self._keys_written(renamed), *self._keys_read(group))
        files, reasons = self._named(group.stale), tuple(self._reasons(group))
        return Unit(group.run, start.command, start.notebook, files, reasons, after, notes, renamed)

    def _key_written(self, file_id: str) -> str | None:
        """Return the key under which the producer of a file wrote it."""
        return self._facts.written.get(file_id, self._files[file_id].key)

    def _keys_written(self, renamed: Iterable[File]) -> Iterator[str]:
        for file in renamed:
            key = self._key_written(file.id)
            shown = printable(key) if key is not None else "a file without a key"
            yield f"writes {shown}; {_title(file)} was renamed from it and stays stale"

    def _keys_read(self, group: _Group) -> Iterable[str]:
        """Return which keys a unit reads that their files have no more."""
        found = dict[str, None]()
        for run_id in sorted(group.members):
            for read, current in self._facts.reads[run_id]:
                key, file = self._facts.read.get((run_id, read)), self._files[current or read]
                if key is not None and key != file.key:
                    found[f"reads {printable(key)}, which was renamed to {_title(file)}"] = None
        return found

    def _reasons(self, group: _Group) -> Iterator[str]:
        """Yield why a unit has to be run: what it read that is not current, and what is made anew before it."""
        facts, found = self._facts, dict[str, None]()
        for run_id in sorted(group.members):
            for read, current in facts.reads[run_id]:
                if current is None:
                    continue
                old, new = self._files[read], self._files[current]
                if (run_id, read) in facts.superseded:
                    found[f"version {old.version} of {_title(old)} was read; version {new.version} is current"] = None
                elif current in facts.producer and self._starting[facts.producer[current]] != group.run.id:
                    found[f"{_title(new)} is stale"] = None
        yield from found or ("an older version that it read is stale",)

    def _named(self, ids: Iterable[str]) -> tuple[File, ...]:
        return tuple(sorted((self._files[one] for one in ids), key=lambda file: (file.key or "", file.name, file.id)))


def _in_loops(needs: Mapping[str, set[str]]) -> set[str]:
    """Return the nodes that need themselves, by any number of steps: Tarjan's strongly connected components."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: set[str] = set()
    for root in sorted(needs):
        if root in index:
            continue
        work: list[tuple[str, Iterator[str]]] = [(root, iter(sorted(needs[root])))]
        index[root] = lowest[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = lowest[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(sorted(needs.get(other, ())))))
                    break
                if other in on_stack:
                    lowest[node] = min(lowest[node], index[other])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[node])
                if lowest[node] == index[node]:
                    component: list[str] = []
                    while not component or component[-1] != node:
                        component.append(stack.pop())
                    on_stack.difference_update(component)
                    if len(component) > 1 or node in needs.get(node, ()):
                        found.update(component)
    return found
