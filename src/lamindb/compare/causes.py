"""Why two versions of a file differ: the first divergent ancestors in their lineages.

- The last run that produced the earlier bytes and the first that produced the later ones are compared: program, code,
  modules, uncommitted changes, arguments, parameters, packages, Python. Uncommitted changes count where code and
  modules are the same, the host where nothing else differs.
- Inputs are paired by version, by file, by key, by bytes. A pair with other bytes is followed: its two versions are
  compared in the same way. An input that only one run read is a cause itself. The name of an input with the same bytes
  counts where nothing else differs, and so does the code of the workflow or script that started a command.
- A version that no run produced is a cause. So is a run that made a version from an earlier one of the same file.
- What one of the runs did not record is unknown, and never the same. Where everything is known and the same, the
  program is not deterministic.

Lineages are walked together, generation by generation, so that the way to a cause is a shortest one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Literal

from django.db.models import Max, Min

from lamindb.compare.result import Difference, Line, Section, Side, more, plain, short, shown, value_change
from lamindb.compare.run_diff import FileRef, module_changes, pairs, param_changes
from lamindb.core import ids
from lamindb.core.text import isolated, printable
from lamindb.db import database
from lamindb.describe import run_content
from lamindb.describe.record import run_title
from lamindb.environment.redaction import redact_arguments
from lamindb.errors import InvalidInputError, InvalidTypeError, NoResultFound
from lamindb.lineage import query
from lamindb.models import File, Run, RunInput, RunOutput

Kind = Literal[
    "code", "version", "transform", "module", "patch", "arguments", "parameter", "input", "saved", "producer",
    "same run", "continued", "package", "python", "host", "not deterministic",
]  # fmt: skip

_LISTED: Final = 20
_VALUE_WIDTH: Final = 60
_CODE: Final = frozenset({"code", "version", "module"})


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of a difference.

    Attributes:
        kind: What differs: `code`, `version` (of the transform), `transform`, `module`, `patch` (uncommitted changes),
            `arguments`, `parameter`, `input` (read by one of the runs only), `saved` (without a run), `producer` (a run
            on one side only), `same run` (it wrote both versions), `continued` (made from an earlier version of the
            same file), `package`, `python`, `host`, or `not deterministic`.
        text: The cause in words, safe to print.
        name: The parameter, module or package; "" for other kinds.
        before: The earlier value; None if there is none.
        after: The later value; None if there is none.
        files: The earlier and the later version of the file that differs for this cause.
        run_ids: The runs that produced them; None where none did.
        way: The files from the later of these versions to the one that was asked about, with both.
    """

    kind: Kind
    text: str
    name: str
    before: Any
    after: Any
    files: tuple[FileRef, FileRef]
    run_ids: tuple[str | None, str | None]
    way: tuple[FileRef, ...]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that a run did not record, so that it cannot be compared.

    Attributes:
        what: `code`, `modules`, `patch`, `arguments`, `packages`, `python` or `host`.
        run_id: The run.
        text: The same in words, safe to print.
    """

    what: str
    run_id: str
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Why(Difference):
    """Why two versions of a file differ.

    Attributes:
        before: The earlier version.
        after: The later one.
        same_bytes: Whether they have the same bytes; then there is no cause.
        causes: Each once, the nearest first.
        unknown: What was not recorded and may be a cause, too.
    """

    before: Side
    after: Side
    same_bytes: bool
    causes: tuple[Cause, ...]
    unknown: tuple[Unknown, ...]

    @property
    def is_equal(self) -> bool:
        """Return True if both versions have the same bytes."""
        return self.same_bytes

    def sections(self) -> Iterator[Section]:
        """Yield the parts of the report."""
        if not self.causes and not self.same_bytes:
            yield Section("cause", (Line(" ", " unknown: what was recorded is the same"),))
        if self.causes:
            lines = [line for cause in self.causes[:_LISTED] for line in _cause_lines(cause)]
            yield Section("because", (*lines, *more(len(self.causes) - _LISTED)))
        if self.unknown:
            lines = [Line(" ", f" {one.text}") for one in self.unknown[:_LISTED]]
            yield Section("not recorded", (*lines, *more(len(self.unknown) - _LISTED)))

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain dictionaries, lists, strings and numbers."""
        return {
            "format": "lamindb-why",
            "format_version": 1,
            "before": plain(self.before),
            "after": plain(self.after),
            "same_bytes": self.same_bytes,
            "causes": plain(self.causes),
            "unknown": plain(self.unknown),
        }


def _cause_lines(cause: Cause) -> Iterator[Line]:
    yield Line("~", f" {cause.text}")
    if len(cause.way) > 1:
        yield Line(" ", f"   by way of {' → '.join(file.title for file in cause.way)}")


def why(file: File | str, against: File | int | None = None) -> Why:
    """Return why a version of a file differs from another one: what changed first in their lineages.

    The result displays itself, and has `causes`, `unknown` and the texts and ways of each. Nothing is recorded.

    Args:
        file: The later version, or its id or key; a key means the current version.
        against: The earlier version, or its number; the version before by default.

    Raises:
        InvalidTypeError: An argument is neither a file nor names one.
        InvalidInputError: A file is not saved or in the trash, both are the same version or of different files, or
            there is no version before.
        NoResultFound: There is no such file or version, or it was deleted.
    """
    after = _stored(query.record_of(file))
    if against is None:
        before = _version_before(after)
    elif isinstance(against, int) and not isinstance(against, bool):
        before = _version(after, against)
    else:
        before = _stored(query.record_of(against))
    query.same_alias(before, after)
    if before.id == after.id:
        raise InvalidInputError(
            f"there is nothing to compare: both are version {after.version} of {_name(after)}; pass another version"
        )
    if before.stem_id != after.stem_id and (after.key is None or before.key != after.key):
        raise InvalidInputError(
            f"{_name(before)} and {_name(after)} are different files: pass two versions of one file"
        )
    sides = [Side("file", one.id, one.key or one.name or one.id, one.version) for one in (before, after)]
    if before.digest == after.digest:
        return Why(sides[0], sides[1], True, (), ())
    walk = _Walk(str(after.alias))
    walk.follow(_ref(before), _ref(after))
    return Why(sides[0], sides[1], False, tuple(walk.causes.values()), tuple(walk.unknown.values()))


def _stored(record: Any) -> File:
    if not isinstance(record, File):
        raise InvalidTypeError(f"why() takes versions of a file, not a {type(record).__name__}")
    found: File = File.objects.using(record.alias).get(id=record.id)
    _refuse_trashed(found)
    return found


def _refuse_trashed(file: File) -> None:
    if file.is_trashed:
        raise InvalidInputError(f"version {file.version} of {_name(file)} is in the trash: restore it first")


def _name(file: File) -> str:
    return repr(file.key or file.name or file.id)


def _version_before(file: File) -> File:
    earlier = file.versions.filter(version__lt=file.version, trashed_at__isnull=True)
    found: File | None = earlier.order_by("-version").first()
    if found is None:
        raise InvalidInputError(f"there is nothing to compare: {_name(file)} has no version before {file.version}")
    return found


def _version(file: File, number: int) -> File:
    found: File | None = file.versions.filter(version=number).first()
    if found is None:
        listed = ", ".join(map(str, file.versions.filter(trashed_at__isnull=True).list("version")[-_LISTED:]))
        raise NoResultFound(f"{_name(file)} has no version {number}: its versions are {listed}")
    _refuse_trashed(found)
    return found


def _ref(file: File) -> FileRef:
    return FileRef(file.id, file.key, file.name, file.version, file.digest, file.size)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two versions to compare, and the files from the later one to the one that was asked about."""

    before: FileRef
    after: FileRef
    way: tuple[FileRef, ...]


@dataclass(slots=True)
class _Walk:
    """The walk along two lineages, and what it found so far."""

    alias: str
    causes: dict[Any, Cause] = field(default_factory=dict)
    unknown: dict[tuple[str, str], Unknown] = field(default_factory=dict)

    def follow(self, before: FileRef, after: FileRef) -> None:
        """Compare two versions and, generation by generation, the inputs that differ."""
        seen = {(before.id, after.id)}
        generation = [_Pair(before, after, (after,))]
        while generation:
            rows = _Rows.read(self.alias, generation)
            following = []
            for pair in generation:
                for old, new in self._compare(pair, rows):
                    if (old.id, new.id) not in seen:
                        seen.add((old.id, new.id))
                        following.append(_Pair(old, new, (new, *pair.way)))
            generation = following

    def _compare(self, pair: _Pair, rows: _Rows) -> list[tuple[FileRef, FileRef]]:
        """Note why two versions differ, and return the inputs to follow."""
        old, new = rows.last_producer(pair.before.id), rows.first_producer(pair.after.id)
        note = _Note(self, pair, old, new)
        if old is None or new is None:
            _note_unproduced(note, rows)
            return []
        if old.id == new.id:
            note.cause("same run", f"run {new.id} of {_called(new)} wrote both versions")
            return []
        if (old.transform.type, old.transform.reference) != (new.transform.type, new.transform.reference):
            names = _called(old), _called(new)
            text = f"{pair.after.title} was made by {names[1]}, {pair.before.title} by {names[0]}"
            note.cause("transform", text, before=names[0], after=names[1])
            return []
        _compare_code(note, old, new)
        _compare_given(note, old, new)
        followed = _compare_inputs(note, rows.inputs.get(old.id, []), rows.inputs.get(new.id, []))
        _compare_environment(note, old, new)
        if not note.kinds and not followed:
            _compare_around(note, old, new, rows)
        _compare_last(note, old, new, is_explained=bool(followed))
        return followed


@dataclass(slots=True)
class _Note:
    """Takes down what the comparison of one pair finds."""

    walk: _Walk
    pair: _Pair
    old: Run | None
    new: Run | None
    kinds: set[str] = field(default_factory=set)
    lacks: bool = False

    def cause(
        self, kind: Kind, text: str, *, name: str = "", before: Any = None, after: Any = None, subject: Any = None
    ) -> None:
        """Note a cause; the same change of the same subject, the pair by default, is one."""
        self.kinds.add(kind)
        key = (kind, name, repr(before), repr(after), subject or (self.pair.before.id, self.pair.after.id))
        if key not in self.walk.causes:
            runs = (self.old.id if self.old is not None else None, self.new.id if self.new is not None else None)
            files = (self.pair.before, self.pair.after)
            self.walk.causes[key] = Cause(kind, text, name, before, after, files, runs, self.pair.way)

    def lacking(self, what: str, runs: Iterable[Run]) -> None:
        """Note that runs did not record something."""
        for run in runs:
            self.lacks = True
            text = f"{what} of run {run.id} ({_called(run)})"
            self.walk.unknown.setdefault((what, run.id), Unknown(what, run.id, text))


def _called(run: Run) -> str:
    return isolated(printable(run_title(run)))


def _transform(run: Run) -> str:
    return isolated(printable(run.transform.name))


def _note_unproduced(note: _Note, rows: _Rows) -> None:
    """Note that a version, or both, were saved without a run."""
    pair = note.pair
    users = rows.users
    if note.old is None and note.new is None:
        by = f"saved by {users.get(pair.after.id) or 'an unknown user'} without a run"
        if len(pair.way) == 1:
            text = f"{pair.after.title} was {by}"
        elif pair.before.key == pair.after.key:
            text = f"input {_file_name(pair.after)} is v{pair.after.version}, was v{pair.before.version}, {by}"
        else:
            text = f"input is {pair.after.title}, was {pair.before.title}, {by}"
        note.cause("saved", text, before=pair.before.version, after=pair.after.version)
        return
    told = [
        f"{one.title} was made by {_called(run)}"
        if run is not None
        else f"{one.title} was saved by {users.get(one.id) or 'an unknown user'} without a run"
        for one, run in ((pair.after, note.new), (pair.before, note.old))
    ]
    note.cause("producer", ", ".join(told))


def _file_name(file: FileRef) -> str:
    return isolated(printable(file.key or file.name or file.id))


def _compare_code(note: _Note, old: Run, new: Run) -> None:
    named, subject = _transform(new), (new.transform.type, new.transform.reference)
    before, after = old.transform.version, new.transform.version
    if before != after:
        text = f"version of {named}: {printable(before)} → {printable(after)}"
        note.cause("version", text, before=before, after=after, subject=subject)
    elif None in (old.revision, new.revision):
        # A command without a script has no code but its arguments.
        if any(run.transform.type != "command" or run.arguments is None or run.revision for run in (old, new)):
            note.lacking("code", [run for run in (old, new) if run.revision is None])
    elif old.revision != new.revision:
        text = f"code of {named} changed ({old.revision} → {new.revision})"
        note.cause("code", text, before=old.revision, after=new.revision, subject=subject)
    modules = [run_content.modules(run) for run in (old, new)]
    if modules[0] is None or modules[1] is None:
        note.lacking("modules", _lacking(zip((old, new), modules, strict=True)))
        return
    for one in module_changes(modules[0], modules[1]):
        told = {"changed": "changed", "added": "is new", "removed": "is not imported any more"}[one.kind]
        text = f"module {isolated(printable(one.path))} {told}"
        note.cause("module", text, name=one.path, before=one.before, after=one.after, subject="module")


def _lacking(values: Iterable[tuple[Run, Any]]) -> list[Run]:
    return [run for run, value in values if value is None]


def _compare_given(note: _Note, old: Run, new: Run) -> None:
    """Compare uncommitted changes, arguments and parameters."""
    named, subject = _transform(new), (new.transform.type, new.transform.reference)
    programs = run_content.program_of(old), run_content.program_of(new)
    unasked = [run for run in programs if run.git_commit is not None and run.git_is_dirty is None]
    note.lacking("patch", unasked)
    patches = [run.diff_digest if run.git_is_dirty else None for run in programs]
    if not unasked and patches[0] != patches[1] and not note.kinds & _CODE:
        text = f"uncommitted changes of the repository differ, with {named}"
        note.cause("patch", text, before=patches[0], after=patches[1], subject="patch")
    if new.transform.type != "function":
        arguments = [_arguments(run) for run in (old, new)]
        note.lacking("arguments", _lacking(zip((old, new), arguments, strict=True)))
        if None not in arguments and arguments[0] != arguments[1]:
            text = f"arguments of {named}: {shown(arguments[0])} → {shown(arguments[1])}"
            note.cause("arguments", text, before=arguments[0], after=arguments[1], subject=subject)
    for change in param_changes(old, new):
        text = f"parameter {isolated(printable(change.name))}: {_value(change.before)} → {_value(change.after)}"
        values = {"name": change.name, "before": change.before, "after": change.after}
        note.cause("parameter", text, **values, subject=(subject, change.kind))


def _arguments(run: Run) -> list[str] | None:
    return redact_arguments([str(word) for word in run.arguments]) if run.arguments is not None else None


def _value(value: Any) -> str:
    if isinstance(value, str) and value:
        return isolated(short(value, _VALUE_WIDTH))
    return "none" if value is None else shown(value)


def _compare_inputs(note: _Note, before: list[FileRef], after: list[FileRef]) -> list[tuple[FileRef, FileRef]]:
    """Note inputs that only one run read, and return the pairs that have other bytes."""
    followed = []
    for one in pairs(before, after):
        if one.same_bytes:
            continue
        if one.after is not None and _is_version_of(one.after, note.pair.after):
            text = f"{_transform(_known(note.new))} made {note.pair.after.title} from {one.after.title}"
            note.cause("continued", text, before=one.before and one.before.id, after=one.after.id)
        elif one.before is not None and one.after is not None:
            followed.append((one.before, one.after))
        elif one.after is not None:
            note.cause("input", f"input {one.after.title} was not read before", name=one.after.id, after=one.after.id)
        elif one.before is not None:
            text = f"input {one.before.title} is not read any more"
            note.cause("input", text, name=one.before.id, before=one.before.id)
    return followed


def _known(run: Run | None) -> Run:
    assert run is not None
    return run


def _is_version_of(one: FileRef, other: FileRef) -> bool:
    stems = one.id[: ids.STEM_LENGTH], other.id[: ids.STEM_LENGTH]
    return stems[0] == stems[1] or (one.key is not None and one.key == other.key)


def _compare_environment(note: _Note, old: Run, new: Run) -> None:
    """Compare packages and Python."""
    programs = run_content.program_of(old), run_content.program_of(new)
    if None in (programs[0].environment_digest, programs[1].environment_digest):
        note.lacking("packages", [run for run in programs if run.environment_digest is None])
    elif programs[0].environment_digest != programs[1].environment_digest:
        before, after = (run.packages() or {} for run in programs)
        for name in sorted(before.keys() | after.keys()):
            for change in value_change(name, before.get(name), after.get(name)):
                shown_name = isolated(printable(name))
                text = {
                    "changed": f"{shown_name} {change.before} → {change.after}",
                    "added": f"package {shown_name} {change.after} is new",
                    "removed": f"package {shown_name} {change.before} was removed",
                }[change.kind]
                note.cause("package", text, name=name, before=change.before, after=change.after, subject="package")
    versions = [run.python_version for run in programs]
    note.lacking("python", _lacking(zip(programs, versions, strict=True)))
    if None not in versions and versions[0] != versions[1]:
        text = f"Python {versions[0]} → {versions[1]}"
        note.cause("python", text, before=versions[0], after=versions[1], subject="python")


def _compare_around(note: _Note, old: Run, new: Run, rows: _Rows) -> None:
    """Compare what counts where nothing else differs: who started a command, and the names of equal inputs."""
    before, after = old.parent, new.parent
    if (
        new.transform.type == "command"
        and before is not None
        and after is not None
        and before.transform_id == after.transform_id
        and None not in (before.revision, after.revision)
    ):
        _compare_code(note, before, after)
    for one in pairs(rows.inputs.get(old.id, []), rows.inputs.get(new.id, [])):
        if one.before is not None and one.after is not None and one.before.key != one.after.key:
            text = f"input is {one.after.title}, was {one.before.title}, with the same bytes"
            note.cause("input", text, name=one.after.id, before=one.before.id, after=one.after.id)


def _compare_last(note: _Note, old: Run, new: Run, *, is_explained: bool) -> None:
    """Compare the hosts where nothing else differs; if they are the same, the program is not deterministic."""
    note.lacking("host", [run for run in (old, new) if run.host is None])
    if note.kinds or is_explained:
        return
    if None not in (old.host, new.host) and old.host != new.host:
        text = f"host {isolated(printable(str(old.host)))} → {isolated(printable(str(new.host)))}"
        note.cause("host", text, before=old.host, after=new.host, subject="host")
    elif not note.lacks:
        text = f"{_transform(new)} is not deterministic: the same code, inputs and environment gave other bytes"
        note.cause("not deterministic", text)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the comparison of some pairs needs.

    Attributes:
        producers: The first and the last run that produced each file; None where none did.
        runs: These runs by their ids.
        inputs: The files that they read, in the order of their reading.
        users: The handle of the user who saved each file.
    """

    producers: dict[str, tuple[str | None, str | None]]
    runs: dict[str, Run]
    inputs: dict[str, list[FileRef]]
    users: dict[str, str | None]

    @classmethod
    def read(cls, alias: str, wanted: Collection[_Pair]) -> _Rows:
        """Read them, a batch at a time."""
        rows = cls({}, {}, {}, {})
        for part in database.chunks(sorted({one.id for pair in wanted for one in (pair.before, pair.after)})):
            files = File.objects.using(alias).filter(id__in=part).order_by()
            for file_id, run_id, handle in files.values_list("id", "run_id", "created_by__handle"):
                rows.producers[file_id] = (run_id, run_id)
                rows.users[file_id] = handle
            edges = RunOutput.objects.using(alias).filter(file_id__in=part).order_by()
            ends = {file_id: found for file_id, *found in edges.values_list("file_id").annotate(Min("id"), Max("id"))}
            run_of = dict(edges.filter(id__in=chain.from_iterable(ends.values())).values_list("id", "run_id"))
            rows.producers.update({file_id: (run_of[one], run_of[other]) for file_id, (one, other) in ends.items()})
        chosen = {
            run_id
            for pair in wanted
            for run_id in (rows.producers[pair.before.id][1], rows.producers[pair.after.id][0])
            if run_id is not None
        }
        for part in database.chunks(sorted(chosen)):
            runs = Run.objects.using(alias).filter(id__in=part).select_related("transform").order_by()
            rows.runs.update({run.id: run for run in runs})
            names = ("run_id", *(f"file__{name}" for name in ("id", "key", "name", "version", "digest", "size")))
            edges_in = RunInput.objects.using(alias).filter(run_id__in=part).order_by("id")
            for run_id, *values in edges_in.values_list(*names):
                rows.inputs.setdefault(run_id, []).append(FileRef(*values))
        return rows

    def first_producer(self, file_id: str) -> Run | None:
        """Return the run that produced a file first."""
        return self.runs.get(self.producers[file_id][0] or "")

    def last_producer(self, file_id: str) -> Run | None:
        """Return the run that produced a file last."""
        return self.runs.get(self.producers[file_id][1] or "")
