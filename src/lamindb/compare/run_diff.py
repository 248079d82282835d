"""Compare two runs: code, parameters, inputs, environment and outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from lamindb.compare.result import LISTED, Change, Difference, Line, Section, Side, change_lines, more, value_change
from lamindb.compare.text_diff import TextDifference, compare_text
from lamindb.compare.tree_diff import tree_changes
from lamindb.core import ids
from lamindb.core.text import duration_text, isolated, printable
from lamindb.environment.redaction import redact_arguments, redact_text
from lamindb.errors import InvalidInputError
from lamindb.models import Run
from lamindb.runs import identify

_FACTS: Final = {
    "status": "status",
    "exit code": "exit_code",
    "git repository": "git_repository",
    "git commit": "git_commit",
    "python": "python_version",
    "host": "host",
}
"""The label of each plain fact, and its field."""


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file that a run read or made."""

    id: str
    key: str | None
    name: str
    version: int
    digest: str
    size: int

    @property
    def title(self) -> str:
        """Its key or name with the version, safe to print."""
        return f"{isolated(printable(self.key or self.name))} v{self.version}"


@dataclass(frozen=True, slots=True)
class FilePair:
    """A file of the earlier run and the one of the later run that corresponds; None where there is none."""

    before: FileRef | None
    after: FileRef | None

    @property
    def same_bytes(self) -> bool:
        """Return True if both have the same bytes."""
        return self.before is not None and self.after is not None and self.before.digest == self.after.digest


@dataclass(frozen=True, slots=True)
class ModuleDifference:
    """A module of the project that differs.

    Attributes:
        path: Its path.
        kind: `changed`, or `added` or `removed` where only one of the runs had imported it.
        before: The digest of its earlier source; None if it was added.
        after: The digest of its later source; None if it was removed.
        text: The lines that differ; None unless it was changed.
    """

    path: str
    kind: Literal["changed", "added", "removed"]
    before: str | None
    after: str | None
    text: TextDifference | None = None


@dataclass(frozen=True, slots=True, repr=False)
class RunDifference(Difference):
    """What differs between two runs. The times and durations of two runs always differ and count as equal.

    Attributes:
        before: The earlier run or transform.
        after: The later one.
        run_ids: The ids of the two runs.
        revisions: The numbers of the code revisions; None if unknown.
        code: The lines of code that differ; None if none do, or it was not stored with both runs.
        modules: Modules of the project that differ.
        params: Parameters that differ, by path.
        arguments: The command line arguments, if they differ.
        inputs: Input files that differ, paired by file, then by key.
        packages: Packages whose versions differ.
        facts: Transform, status, git, Python and host, as far as they differ.
        outputs: Output files whose bytes or keys differ, paired by file, then by key, then by bytes.
        outputs_equal: The number of outputs that are equal.
        seconds: The durations; None if unknown.
        notes: What could not be compared.
    """

    before: Side
    after: Side
    run_ids: tuple[str, str]
    revisions: tuple[int | None, int | None]
    code: TextDifference | None
    modules: tuple[ModuleDifference, ...]
    params: tuple[Change, ...]
    arguments: tuple[Change, ...]
    inputs: tuple[FilePair, ...]
    packages: tuple[Change, ...]
    facts: tuple[Change, ...]
    outputs: tuple[FilePair, ...]
    outputs_equal: int
    seconds: tuple[float | None, float | None]
    notes: tuple[str, ...]
    kind: Literal["run"] = "run"

    @property
    def is_equal(self) -> bool:
        """Return True if nothing differs but times and durations."""
        changes = self.modules or self.params or self.arguments or self.packages or self.facts
        return self.code is None and not changes and not self.inputs and not self.outputs

    def sections(self) -> Iterator[Section]:
        """Yield the parts of the report."""
        if self.code is not None:
            numbers = "" if None in self.revisions else f" {self.revisions[0]} → {self.revisions[1]}"
            yield Section(f"code{numbers}", tuple(self.code.lines()))
        for module in self.modules:
            yield Section(f"module {isolated(printable(module.path))}", tuple(_module_lines(module)))
        for title, changes in (("parameters", self.params), ("arguments", self.arguments)):
            if changes:
                yield Section(title, tuple(change_lines(changes)))
        if self.inputs:
            yield Section("inputs", tuple(_pair_lines(self.inputs)))
        for title, changes in (("packages", self.packages), ("run", self.facts)):
            if changes:
                yield Section(title, tuple(change_lines(changes)))
        if self.outputs:
            equal = f"outputs ({self.outputs_equal:,} more with the same bytes)" if self.outputs_equal else "outputs"
            yield Section(equal, tuple(_pair_lines(self.outputs)))
        if not self.is_equal and None not in self.seconds:
            old, new = (duration_text(seconds or 0) for seconds in self.seconds)
            yield Section("duration", (Line(" ", f" {old} → {new}"),))
        if self.notes:
            yield Section("notes", tuple(Line(" ", f" {printable(note)}") for note in self.notes))


def _module_lines(module: ModuleDifference) -> Iterator[Line]:
    if module.text is not None:
        yield from module.text.lines()
    elif module.kind == "added":
        yield Line("+", " imported by the later run only")
    elif module.kind == "removed":
        yield Line("-", " imported by the earlier run only")
    else:
        yield Line("~", " changed, but not in its text")


def _pair_lines(pairs: tuple[FilePair, ...]) -> Iterator[Line]:
    for pair in pairs[:LISTED]:
        if pair.before is None and pair.after is not None:
            yield Line("+", f" {pair.after.title}")
        elif pair.after is None and pair.before is not None:
            yield Line("-", f" {pair.before.title}")
        elif pair.before is not None and pair.after is not None:
            bytes_text = "the same bytes" if pair.same_bytes else "other bytes"
            yield Line("~", f" {pair.before.title} → {pair.after.title}, {bytes_text}")
    yield from more(len(pairs) - LISTED)


def compare_runs(before: Run, after: Run, *, sides: tuple[Side, Side] | None = None) -> RunDifference:
    """Compare two saved runs.

    Args:
        before: The earlier one.
        after: The later one.
        sides: What to call them; the runs by default.

    Raises:
        InvalidInputError: Neither run has code, parameters, files or anything else that can be compared.
        IntegrityError: Stored code is missing or damaged.
    """
    if not (_holds_something(before) or _holds_something(after)):
        raise InvalidInputError(
            f"there is nothing to compare: run {before.id} and run {after.id} have no code, parameters or files"
        )
    notes: list[str] = []
    code = _compare_code(before, after, notes)
    modules = tuple(_compare_modules(before, after, notes))
    packages = _compare_packages(before, after, notes)
    outputs = pairs(_files(before, "outputs"), _files(after, "outputs"))
    differing = tuple(pair for pair in outputs if not (pair.same_bytes and _key(pair.before) == _key(pair.after)))
    inputs = pairs(_files(before, "inputs"), _files(after, "inputs"))
    return RunDifference(
        *(sides or (side(before), side(after))),
        run_ids=(before.id, after.id),
        revisions=(before.revision, after.revision),
        code=code,
        modules=modules,
        params=tuple(param_changes(before, after)),
        arguments=tuple(value_change("arguments", _arguments(before), _arguments(after))),
        inputs=tuple(pair for pair in inputs if pair.before != pair.after),
        packages=packages,
        facts=tuple(_fact_changes(before, after)),
        outputs=differing,
        outputs_equal=len(outputs) - len(differing),
        seconds=(_seconds(before), _seconds(after)),
        notes=tuple(notes),
    )


def side(run: Run) -> Side:
    """Return a run as a side of a comparison."""
    return Side("run", run.id, run.name or run.transform.name)


def _holds_something(run: Run) -> bool:
    values = (
        run.source_digest,
        run.params,
        run.arguments,
        run.environment_digest,
        run.host,
        run.git_commit,
        run.status,
    )
    return any(values) or run.inputs.all().exists() or run.outputs.all().exists()


def _compare_code(before: Run, after: Run, notes: list[str]) -> TextDifference | None:
    if before.source_digest == after.source_digest and before.source_digest:
        return None
    codes = [before.code(), after.code()]
    for run, code in zip((before, after), codes, strict=True):
        if code is None:
            notes.append(f"the code of run {run.id} was not stored")
    if codes[0] is None or codes[1] is None:
        return None
    found = compare_text(_readable(codes[0]), _readable(codes[1]))
    return None if found.is_equal else found


def module_changes(before: dict[str, str], after: dict[str, str]) -> Iterator[ModuleDifference]:
    """Yield the modules that differ between two runs, by path; the arguments are what `run.modules()` returns."""
    for path in sorted(before.keys() | after.keys()):
        for change in value_change(path, before.get(path), after.get(path)):
            yield ModuleDifference(path, change.kind, change.before, change.after)


def _compare_modules(before: Run, after: Run, notes: list[str]) -> Iterator[ModuleDifference]:
    old, new = before.modules(), after.modules()
    if old is None or new is None:
        if old is not new:
            notes.append(f"the modules of run {before.id if old is None else after.id} were not stored")
        return
    for found in module_changes(old, new):
        if found.kind != "changed":
            yield found
            continue
        texts = (run.code(found.path) or "" for run in (before, after))
        yield replace(found, text=compare_text(*texts))


def _readable(code: str) -> str:
    """Return a notebook's JSON as its cells, each under a line `# %%`; other code as it is."""
    if not code.startswith("{"):
        return code
    try:
        cells = json.loads(code)["cells"]
        return "".join(f"# %% [{cell['cell_type']}]\n{''.join(cell['source'])}\n\n" for cell in cells)
    except (ValueError, KeyError, TypeError, RecursionError):
        return code


def _compare_packages(before: Run, after: Run, notes: list[str]) -> tuple[Change, ...]:
    if before.environment_digest == after.environment_digest:
        return ()
    old, new = before.packages(), after.packages()
    if old is None or new is None:
        missing = before if old is None else after
        notes.append(f"the packages of run {missing.id} were not stored")
        return ()
    names = sorted(old.keys() | new.keys())
    return tuple(change for name in names for change in value_change(name, old.get(name), new.get(name)))


def param_changes(before: Run, after: Run) -> Iterator[Change]:
    """Yield the parameters that differ, without secrets."""
    return tree_changes(identify.without_secrets(before.params) or {}, identify.without_secrets(after.params) or {})


def _arguments(run: Run) -> list[str] | None:
    return redact_arguments([str(word) for word in run.arguments]) if run.arguments else None


def _fact_changes(before: Run, after: Run) -> Iterator[Change]:
    if before.transform_id != after.transform_id:
        old, new = before.transform, after.transform
        yield from value_change("transform", old.name, new.name)
        yield from value_change("transform version", old.version, new.version)
    for label, field in _FACTS.items():
        yield from value_change(label, _safe(getattr(before, field)), _safe(getattr(after, field)))
    # Git is asked meanwhile; of a run that it did not answer in time, this stays unknown.
    if before.git_is_dirty is not None and after.git_is_dirty is not None:
        yield from value_change("uncommitted changes", before.git_is_dirty, after.git_is_dirty)
    if before.git_is_dirty and after.git_is_dirty and before.diff_digest != after.diff_digest:
        yield Change("patch of uncommitted changes", "changed", before.diff_digest, after.diff_digest)
    yield from value_change("error", _last_line(before.error), _last_line(after.error))


def _safe(value: Any) -> Any:
    return redact_text(value) if isinstance(value, str) else value


def _last_line(error: str | None) -> str | None:
    lines = redact_text(error).strip().splitlines() if error else []
    return lines[-1] if lines else None


def _seconds(run: Run) -> float | None:
    return (run.finished_at - run.started_at).total_seconds() if run.started_at and run.finished_at else None


def _files(run: Run, kind: str) -> list[FileRef]:
    names = ("id", "key", "name", "version", "digest", "size")
    return [FileRef(*row) for row in getattr(run, kind).all().values_list(*names)]


def _key(file: FileRef | None) -> str | None:
    return file.key or file.name if file is not None else None


def pairs(before: list[FileRef], after: list[FileRef]) -> list[FilePair]:
    """Pair files: the same version, then versions of one file, then equal keys, then equal bytes; others stay alone."""
    criteria: tuple[Callable[[FileRef], Any], ...] = (
        lambda file: file.id,
        lambda file: file.id[: ids.STEM_LENGTH],
        lambda file: file.key,
        lambda file: file.digest,
    )
    found: list[FilePair] = []
    for criterion in criteria:
        waiting = _grouped(after, criterion)
        left = []
        for file in before:
            group = waiting.get(criterion(file)) if criterion(file) is not None else None
            if group:
                found.append(FilePair(file, group.pop(0)))
            else:
                left.append(file)
        taken = {pair.after.id for pair in found if pair.after is not None}
        before, after = left, [file for file in after if file.id not in taken]
    return [*found, *(FilePair(file, None) for file in before), *(FilePair(None, file) for file in after)]


def _grouped(files: Iterable[FileRef], criterion: Callable[[FileRef], Any]) -> dict[Any, list[FileRef]]:
    groups: dict[Any, list[FileRef]] = {}
    for file in files:
        groups.setdefault(criterion(file), []).append(file)
    return groups
