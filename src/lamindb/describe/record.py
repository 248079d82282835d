"""Describe a record: collect the facts about it, with secrets redacted, and render them as text, JSON or HTML."""

from __future__ import annotations

import html
import json
import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from django.db.models import Count, Max

from lamindb.core import context, filesystem, running_page
from lamindb.core.text import cell_width, duration_text, isolated, printable, size_text
from lamindb.describe import history
from lamindb.environment.redaction import redact_arguments, redact_text
from lamindb.errors import LaminError
from lamindb.lineage import query as lineage_query
from lamindb.lineage import recall
from lamindb.lineage.render.labels import Clock, counted, time_text, version_label
from lamindb.models import File, Flag, Run, RunInput, RunOutput, Transform, relations
from lamindb.models.code import is_callers
from lamindb.records import flags as record_flags
from lamindb.records.open_instance import Instance
from lamindb.runs import identify
from lamindb.storage.base import ObjectName

FEW = 5
"""The maximum number of records that a section lists; it shows how many more there are."""

MOST_COUNTED = 1_000
"""The number up to which the records of a section are counted."""

_ERROR_LINES = 6
_COMMIT_SHOWN = 12
_DIGEST_SHOWN = 16

_RUN_OBJECTS = {
    "source": "source_digest",
    "packages": "environment_digest",
    "uncommitted changes": "diff_digest",
    "log": "log_digest",
    "report": "report_digest",
}
"""The label of each object that is stored with a run, and the field with its name."""

Form = Literal["text", "bytes", "seconds", "lines", "command"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a page.

    Attributes:
        label: The label in words; with `_` between them, its name in JSON.
        value: Text, number, time, list or dictionary.
        form: How to format the value.
        shown: The text to show instead of the value; "" hides the fact except in JSON.
    """

    label: str
    value: Any
    form: Form = "text"
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that a section lists.

    Attributes:
        kind: `file`, `run` or `transform`.
        id: Its id.
        name: Its name.
        details: Short facts about it, shown without their labels.
    """

    kind: str
    id: str
    name: str
    details: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: facts, and the first of some records with their number; if not `is_counted`, there are more."""

    title: str
    facts: tuple[Fact, ...] = ()
    entries: tuple[Entry, ...] = ()
    count: int | None = None
    is_counted: bool = True


@dataclass(frozen=True, slots=True)
class Description:
    """The facts about a record."""

    kind: str
    id: str
    title: str
    sections: tuple[Section, ...]


def describe(record: Any) -> Description:
    """Return the facts about a saved file, run or transform.

    Raises:
        InvalidInputError: It is not saved, or its instance was disconnected.
        NoResultFound: It was deleted meanwhile.
    """
    alias = lineage_query.alias_of(record)
    lineage_query.check_exists(record)
    instance = context.connected(alias)
    assert instance is not None
    if isinstance(record, File):
        sections, title = _file_sections(record, instance), record.key or record.name
    elif isinstance(record, Run):
        sections, title = _run_sections(record, instance), record.name or record.transform.name
    else:
        sections, title = _transform_sections(record), record.name
    kept = tuple(section for section in sections if section.facts or section.count is not None)
    return Description(_kind(record), record.id, title or record.id, kept)


def _kind(record: Any) -> str:
    return str(record._meta.concrete_model._meta.model_name)


def _file_sections(file: File, instance: Instance) -> Iterator[Section]:
    count = file.versions.count()
    same = file.same_as_version if file.version > 1 else None
    back = f"; = version {same}, brought back by {_handle(file)}" if same is not None else ""
    of_all = f", of {count}" if count > 1 else ""
    state = "in trash" if file.is_trashed else "current" if file.is_latest else "older"
    reasons = file.staleness().reasons
    state += ", stale" if reasons else ""
    flags = list(file.flags)
    for name in ("created_by", "removed_by"):
        relations.load(flags, name)
    is_flagged = any(flag.removed_at is None for flag in flags)
    causes = file.affected_by().reasons
    state += (", flagged" if is_flagged else "") + (", affected" if causes else "")
    yield Section(
        "file",
        _facts(
            ("key", file.key),
            ("name", file.name),
            ("description", file.description),
            Fact("size", file.size, "bytes"),
            ("files inside", file.n_files if file.is_folder else None),
            Fact(
                "version",
                file.version,
                shown=f"{file.version}, {state}{of_all}{back}",
            ),
            Fact("same as version", same, shown=""),
            Fact("is latest", file.is_latest, shown=""),
            Fact("versions", count, shown=""),
            Fact("is stale", bool(reasons), shown=""),
            ("stale because", _first(reasons, "reasons")),
            Fact("is flagged", is_flagged, shown=""),
            Fact("flags", [recall.flag_as_dict(flag) for flag in flags], shown="; ".join(map(_flag_shown, flags))),
            Fact("is affected", bool(causes), shown=""),
            ("affected because", _first(causes, "flagged files")),
            ("hash", file.hash),
            ("blake3", file.digest),
            ("saved at", file.created_at),
            ("saved by", _handle(file)),
            ("in trash since", file.trashed_at),
            ("removed by", file.trashed_by.handle if file.trashed_by is not None else None),
            _changes(file),
        ),
    )
    if is_flagged:
        yield _listed("not flagged, with the same bytes", record_flags.same_bytes(file), if_any=True)
    yield Section("storage", tuple(_storage_facts(file, instance)))
    if file.run is not None:
        yield Section("made by", _about_run(file.run))
        yield Section("code and logs of that run", tuple(_objects_of(file.run, instance)))
        yield _linked("inputs of that run", File, RunInput.objects.using(file.alias).filter(run_id=file.run_id))
    made = RunOutput.objects.using(file.alias).filter(file_id=file.id)
    yield _linked("made again by", Run, made, without=file.run_id, if_any=True)
    # Ids of runs sort by time, and the index of edges has them in this order.
    readers = RunInput.objects.using(file.alias).filter(file_id=file.id).order_by("-run_id")
    yield _linked("read by", Run, readers)
    yield _derived(file)
    if count > 1:
        yield _listed("versions", file.versions.order_by("-version"))


def _changes(file: File) -> Fact:
    """Return the last renames, removals and restores of a file, the latest first; `file.history()` has all."""
    found = history.changes(file, FEW)
    return Fact("changes", [asdict(one) for one in found], shown="; ".join(map(str, found)))


def _first(reasons: tuple[Any, ...], noun: str) -> list[str] | None:
    """Return the first reasons in words, with their number if there are more; None if there are none."""
    return [*map(str, reasons[:FEW]), *([f"{len(reasons):,} {noun}"] if len(reasons) > FEW else [])] or None


def _flag_shown(flag: Flag) -> str:
    """Return what a flag says, who opened it and when, and what became of it."""
    text = f"{recall.flag_text(flag)}, {time_text(flag.created_at)}"
    if flag.removed_at is None:
        return text
    who = f" by {printable(flag.removed_by.handle)}" if flag.removed_by is not None else ""
    why = f": {printable(flag.removal_reason)}" if flag.removal_reason else ""
    return f"{text}, removed{who}{why}"


def _storage_facts(file: File, instance: Instance) -> Iterator[Fact]:
    """Yield where the bytes are and whether they exist, without reading or repairing them."""
    name = ObjectName(file.digest, file.suffix)
    root = instance.root_of(instance.storage(file.storage_id))
    yield Fact("root", redact_text(root))
    try:
        if instance.is_own(file.storage_id):
            store = instance.store
            where = store.object_path(name)
            shown = os.path.join(instance.root_url, file.key) if instance.is_local and file.key is not None else None
            is_current = file.is_latest and file.trashed_at is None
            if shown is not None and is_current and os.path.lexists(shown):
                yield Fact("path", shown)
            yield Fact("object", redact_text(str(where)))
            damage = store.check(name, None if file.is_folder else file.size, quick=True)
            yield Fact("state", "there" if damage is None else redact_text(str(damage)))
        elif "://" not in root:
            where = filesystem.path_of_key(root, str(file.key))
            yield Fact("path", where)
            yield Fact("state", _state_in_place(file, where))
        else:
            yield Fact("path", redact_text(f"{root.rstrip('/')}/{file.key}"))
    except (LaminError, OSError) as error:
        yield Fact("state", redact_text(f"cannot be checked: {error}"))


def _state_in_place(file: File, where: str) -> str:
    if not os.path.exists(where):
        return "missing"
    if not file.is_folder and os.path.getsize(where) != file.size:
        return "changed: its size is not the registered one"
    return "there"


def _objects_of(run: Run, instance: Instance) -> Iterator[Fact]:
    """Yield the paths of the objects that are stored with a run."""
    try:
        store = instance.store
    except LaminError as error:
        yield Fact("state", redact_text(f"cannot be checked: {error}"))
        return
    for label, field in _RUN_OBJECTS.items():
        name = ObjectName.parse(getattr(run, field) or "")
        if name is not None:
            yield Fact(label, redact_text(str(store.object_path(name))))
    if run.log_digest:
        yield Fact("to print the log", ["lamin", "log", run.id], "command")


def _capture_facts(run: Run) -> tuple[Fact, ...]:
    """Return how file access was captured in a run, and why it may be incomplete."""
    capture = run.capture or {}
    seen = capture.get("files")
    return _facts(
        ("mode", capture.get("mode")),
        ("completeness", capture.get("completeness") if capture.get("mode") != "off" else None),
        ("not saved", list(capture.get("unsaved") or ()) or None),
        ("reasons", [redact_text(str(reason)) for reason in capture.get("reasons") or ()] or None),
        ("files seen", len(seen) if seen is not None else None),
    )


def _run_sections(run: Run, instance: Instance) -> Iterator[Section]:
    yield Section("run", _about_run(run))
    error = redact_text(run.error) if run.error else None
    if error:
        lines = error.rstrip().splitlines()[-_ERROR_LINES:]
        yield Section("error", (Fact("text", "\n".join(lines), "lines"),))
    yield Section(
        "where",
        _facts(
            ("host", run.host),
            ("python", run.python_version),
            ("repository", redact_text(run.git_repository) if run.git_repository else None),
            ("part of run", run.parent_id),
            ("external id", run.external_id),
        ),
    )
    yield Section("code and logs", tuple(_objects_of(run, instance)))
    yield Section("capture", _capture_facts(run))
    for title, edges in (("inputs", RunInput), ("outputs", RunOutput)):
        yield _linked(title, File, edges.objects.using(run.alias).filter(run_id=run.id))
    children = Run.objects.using(run.alias).filter(parent_id=run.id)
    yield _listed("runs inside", children, if_any=True)
    yield _derived(run)


def _at_least(seconds: float | None) -> str | None:
    return f"at least {duration_text(seconds)}" if seconds is not None else None


def _about_run(run: Run) -> tuple[Fact, ...]:
    transform = run.transform
    seconds = (run.finished_at - run.started_at).total_seconds() if run.started_at and run.finished_at else None
    commit = run.git_commit
    return _facts(
        ("run", run.name),
        ("id", run.id),
        Fact("transform", transform.name, shown=run_title(run)),
        Fact("revision", run.revision, shown=""),
        Fact("transform version", transform.version, shown=""),
        Fact("transform id", transform.id, shown=""),
        ("type", transform.type),
        ("reference", transform.reference if transform.reference != transform.name else None),
        ("status", run.status),
        ("exit code", run.exit_code),
        ("by", _handle(run)),
        ("started at", run.started_at),
        ("finished at", run.finished_at),
        Fact("took", seconds, "seconds", shown=_at_least(seconds) if run.status == "aborted" else None),
        Fact("git commit", commit, shown=f"{commit} with uncommitted changes" if run.git_is_dirty else None),
        Fact("git is dirty", run.git_is_dirty, shown=""),
        ("params", identify.without_secrets(run.params) or None),
        Fact(
            "arguments",
            redact_arguments([str(word) for word in run.arguments]) if run.arguments else None,
            "command",
        ),
    )


def _transform_sections(transform: Transform) -> Iterator[Section]:
    runs, files = transform.runs, transform.files
    statuses = runs.order_by("status").values_list("status").annotate(count=Count("id"))
    last = runs.aggregate(last=Max("created_at"))["last"]
    handles = runs.order_by("created_by__handle").values_list("created_by__handle", flat=True).distinct()
    yield Section(
        "transform",
        _facts(
            ("name", transform.name),
            ("short name", transform.short_name),
            ("version", transform.version),
            ("type", transform.type),
            ("reference", transform.reference),
            ("description", transform.description),
            ("registered at", transform.created_at),
            ("registered by", _handle(transform)),
            ("runs by status", {status or "by hand": count for status, count in statuses} or None),
            ("run by", [handle for handle in handles if handle] or None),
            ("last run at", last),
        ),
    )
    yield _revision_entries(transform)
    yield _listed("runs", runs.order_by("-created_at", "-id"))
    yield _listed("files made", files.order_by("-created_at", "-id"))
    inputs = File.objects.using(transform.alias).filter(reader_links__run__transform=transform)
    yield _listed("files read", inputs.order_by("-created_at", "-id"))
    others = transform.versions.exclude(id=transform.id)
    yield _listed("other versions", others.order_by("-created_at", "-id"), if_any=True)


def _linked(title: str, model: Any, edges: Any, *, without: str | None = None, if_any: bool = False) -> Section:
    """Return as `_listed` does the section of the records of a kind that edges lead to, in the order of these.

    The other ends are read from the edges, without the records that are only counted.
    """
    ends = edges.values_list("file_id" if model is File else "run_id", flat=True)[: MOST_COUNTED + 2]
    listed = [one for one in ends if one != without][: MOST_COUNTED + 1]
    if not listed:
        return Section(title, count=None if if_any else 0)
    records = {one.id: one for one in model.objects.using(edges.db).filter(id__in=listed[:FEW]).order_by()}
    return _shown(title, [records[one] for one in listed[:FEW] if one in records], len(listed))


def _listed(title: str, query: Any, *, if_any: bool = False) -> Section:
    """Return a section with the first records of a query and their number; `if_any` leaves out an empty one."""
    first = list(query[: FEW + 1])
    count = len(first)
    if count > FEW:
        count = len(query.order_by().values_list("id", flat=True)[: MOST_COUNTED + 1])
    if not count:
        return Section(title, count=None if if_any else 0)
    return _shown(title, first[:FEW], count)


def _shown(title: str, records: list[Any], count: int) -> Section:
    for name in ("transform", "created_by") if records and isinstance(records[0], Run) else ():
        relations.load(records, name)
    return Section(title, (), tuple(map(_entry, records)), min(count, MOST_COUNTED), count <= MOST_COUNTED)


def _derived(record: Any) -> Section:
    """Return a section with the newest descendants of a record, without a run's own outputs. Ids sort by time."""
    ids, is_all = lineage_query.some_descendant_ids(record, MOST_COUNTED)
    if not ids:
        return Section("derived from it")
    newest = File.objects.using(record.alias).filter(id__in=sorted(ids)[-FEW:]).order_by("-id")
    return Section("derived from it", (), tuple(_entry(found) for found in newest), len(ids), is_all)


def _entry(record: Any) -> Entry:
    details: tuple[Fact, ...]
    if isinstance(record, File):
        is_plain = record.is_trashed or record.is_latest
        details = (
            Fact("version", record.version, shown="" if record.version == 1 and is_plain else f"v{record.version}"),
            Fact("is latest", record.is_latest, shown=""),
            Fact("is trashed", record.is_trashed, shown="in trash" if record.is_trashed else ""),
            Fact("size", record.size, "bytes"),
        )
        return Entry("file", record.id, record.key or record.name, details)
    if isinstance(record, Run):
        started_at = record.started_at or record.created_at
        revision = Fact("revision", record.revision, shown="")
        details = _facts(("status", record.status), ("by", _handle(record)), ("started at", started_at), revision)
        return Entry("run", record.id, run_title(record), details)
    details = _facts(("type", record.type), ("created at", record.created_at))
    return Entry("transform", record.id, f"{record.name} {_version(record)}", details)


def _version(transform: Transform) -> str:
    return version_label(transform.version, None, is_callers=False)


def run_title(run: Run) -> str:
    """Return the name of a run's transform with its version and code revision, as in `clean v1 · code 2`."""
    what = run.transform
    callers = is_callers(what.type, what.name, what.reference, run.code_path)
    return f"{what.name} {version_label(what.version, run.revision, is_callers=callers)}"


def _revision_entries(transform: Transform) -> Section:
    """Return a section with the last code revisions of a transform."""
    found = transform.revisions[::-1]
    entries = tuple(
        Entry(
            "revision",
            one.digest[:_DIGEST_SHOWN],
            f"code {one.number}",
            _facts(
                Fact("number", one.number, shown=""),
                Fact("digest", one.digest, shown=""),
                Fact("runs", one.run_count, shown=counted(one.run_count, "run")),
                Fact("first run", one.first_run.id if one.first_run is not None else None, shown=""),
                Fact("last run", one.last_run.id if one.last_run is not None else None, shown=""),
                Fact("commits", list(one.commits), shown=", ".join(c[:_COMMIT_SHOWN] for c in one.commits[:FEW])),
            ),
        )
        for one in found[:FEW]
    )
    return Section("code revisions", (), entries, len(found) or None)


def _handle(record: Any) -> str | None:
    return record.created_by.handle if record.created_by is not None else None


def _facts(*facts: Fact | tuple[str, Any]) -> tuple[Fact, ...]:
    """Return facts from pairs, without those whose value is unknown."""
    made = (fact if isinstance(fact, Fact) else Fact(*fact) for fact in facts)
    return tuple(fact for fact in made if fact.value is not None and fact.value != "")


def plain(value: Any) -> Any:
    """Return the value of a fact as JSON types; times are in UTC."""
    if isinstance(value, Fact):
        return plain(value.value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return [plain(inner) for inner in value]
    return value


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """The result of `describe()`: the facts about a record, which display themselves."""

    description: Description

    def to_text(self, *, clock: Clock = time_text) -> str:
        """Return it as text that is safe to print; `clock` formats times, in UTC by default."""
        found = self.description
        lines = [f"{found.kind.capitalize()} {isolated(printable(found.title))}  ({found.id})"]
        for section in found.sections:
            lines += ["", _heading(section), *_fact_lines(section, clock)]
            lines += [f"  {_entry_text(entry, clock)}" for entry in section.entries]
            lines += [f"  {note}" for note in [_more(section)] if note]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain dictionaries, lists, strings and numbers.

        `sections` is a dictionary by title. Each section has a dictionary `facts`, a list `records` and `count`, the
        total number of these records or None. Names are words with `_` between, such as
        `sections.made_by.facts.started_at`. Sizes are in bytes, durations in seconds, times in ISO 8601. Unknown facts
        are left out.
        """
        found = self.description
        return {
            "format": "lamindb-description",
            "format_version": 2,
            "kind": found.kind,
            "id": found.id,
            "title": found.title,
            "sections": {
                _name(section.title): {
                    "facts": {_name(fact.label): plain(fact) for fact in section.facts},
                    "records": [
                        {
                            "kind": entry.kind,
                            "id": entry.id,
                            "name": entry.name,
                            **{_name(fact.label): plain(fact) for fact in entry.details},
                        }
                        for entry in section.entries
                    ],
                    "count": section.count,
                    **({} if section.is_counted else {"is_counted": False}),
                }
                for section in found.sections
            },
        }

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """Return it as HTML for a notebook."""
        found = self.description
        parts = [f"<h4>{found.kind.capitalize()} {_escaped(found.title)} <small>{_escaped(found.id)}</small></h4>"]
        for section in found.sections:
            rows = [_row(_label(section, fact), _value(fact)) for fact in section.facts if fact.shown != ""]
            rows += [_row("", _entry_text(entry)) for entry in section.entries]
            rows += [_row("", note) for note in [_more(section)] if note]
            parts.append(
                f"<tr><th colspan='2' style='text-align:left'>{_escaped(_heading(section))}</th></tr>{''.join(rows)}"
            )
        return f"{parts[0]}<table>{''.join(parts[1:])}</table>"


def page(record: Any) -> Page:
    """Return the description of a saved file, run or transform, with secrets redacted.

    Raises:
        InvalidInputError: It is not saved, or its instance was disconnected.
        NoResultFound: It was deleted meanwhile.
    """
    found = Page(describe(record))
    running_page.tell(record)
    return found


def _heading(section: Section) -> str:
    title = printable(section.title)
    if section.count is None:
        return title
    over = "" if section.is_counted else "over "
    return f"{title}: {over}{section.count:,}" if section.count else f"{title}: none"


def _more(section: Section) -> str:
    left = (section.count or 0) - len(section.entries)
    over = "" if section.is_counted else "over "
    return f"… and {over}{left:,} more" if left > 0 else ""


def _name(words: str) -> str:
    return words.replace(" ", "_")


def _label(section: Section, fact: Fact) -> str:
    """Return the label of a fact; "" for text that is the only fact of its section."""
    return "" if fact.form == "lines" and len(section.facts) == 1 else printable(fact.label)


def _fact_lines(section: Section, clock: Clock) -> list[str]:
    facts = [fact for fact in section.facts if fact.shown != ""]
    labels = [_label(section, fact) for fact in facts]
    width = max(map(cell_width, labels), default=0)
    lines = []
    for label, fact in zip(labels, facts, strict=True):
        first, *others = _value(fact, clock).split("\n")
        lines.append(f"  {label.ljust(width)}  {first}" if width else f"  {first}")
        lines += [f"  {' ' * width}{'  ' if width else ''}{other}" for other in others]
    return lines


def _value(fact: Fact, clock: Clock = time_text) -> str:
    """Return a value as text; only `lines` keep their line breaks."""
    value = fact.value
    if fact.shown is not None:
        return isolated(printable(fact.shown))
    if fact.form == "bytes":
        return size_text(value) if value < 1000 else f"{size_text(value)} ({value:,} bytes)"
    if fact.form == "seconds":
        return duration_text(value)
    if fact.form == "lines":
        return "\n".join(printable(line) for line in str(value).splitlines())
    if fact.form == "command":
        return printable(shlex.join(str(word) for word in value))
    if isinstance(value, datetime):
        return clock(value)
    if isinstance(value, dict):
        return ", ".join(f"{printable(str(name))}={_short(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(isolated(printable(str(word))) for word in value)
    return isolated(printable(str(value)))


def _short(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _entry_text(entry: Entry, clock: Clock = time_text) -> str:
    details = [_detail(fact, clock) for fact in entry.details if fact.shown != ""]
    return " · ".join([isolated(printable(entry.name)), *details, printable(entry.id)])


def _detail(fact: Fact, clock: Clock) -> str:
    return size_text(fact.value) if fact.form == "bytes" else _value(fact, clock)


def _row(label: str, value: str) -> str:
    text = _escaped(value).replace("\n", "<br>")
    return f"<tr><td style='text-align:left'>{_escaped(label)}</td><td style='text-align:left'>{text}</td></tr>"


def _escaped(text: str) -> str:
    return html.escape("\n".join(printable(line) for line in text.split("\n")))
