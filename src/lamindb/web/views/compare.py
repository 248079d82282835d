"""What differs between two records, and why two versions of a file do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpResponse

from lamindb.compare.causes import Why
from lamindb.compare.causes import why as why_differs
from lamindb.compare.diff import diff
from lamindb.compare.result import Change, Difference
from lamindb.compare.run_diff import RunDifference
from lamindb.errors import InvalidInputError
from lamindb.models import File, Run, Transform
from lamindb.runs import identify
from lamindb.web import copied_code, highlight, pages, queries, records, responses, tags
from lamindb.web.application import Request
from lamindb.web.pages import Code, Crumb
from lamindb.web.views import file as file_view

_LABELS: Final = {"a": "Earlier", "b": "Later"}
_MOST_BYTES: Final = 64 << 20
"""Larger files are compared on the command line."""
_MOST_OFFERED: Final = 30
_MOST_ROWS: Final = 500
_PATIENCE_SECONDS: Final = 5.0


def show(request: Request) -> HttpResponse:
    """Show what differs between two runs, versions of a file, or transforms; with `all=1`, equal parameters, too."""
    site = request.site
    given = {name: request.GET.get(name, "").strip() for name in _LABELS}
    known = _records(site.instance.alias, set(filter(None, given.values())))
    if any(text and text not in known for text in given.values()):
        return _resolved(request, given)
    if not all(given.values()):
        return _form(request, given, known=next(iter(known.values()), None))
    a, b = (known[text] for text in given.values())
    problem = _problem(a, b)
    if problem:
        return _form(request, given, [problem], status=400)
    try:
        found = diff(a, b)
    except InvalidInputError:
        problem = "These two cannot be compared: choose two versions of one file, or two runs."
        return _form(request, given, [problem], status=400)
    kind = type(a).__name__
    python = f"ln.diff({', '.join(copied_code.call(f'ln.{kind}.select', id=one.id) + '.one()' for one in (a, b))})"
    show_all = request.GET.get("all") == "1"
    return pages.page(
        request,
        "compare.html",
        title="Compare",
        crumbs=_crumbs(request),
        code=Code(python, copied_code.command("diff", a.id, b.id)),
        given=given,
        found=found,
        sides=[_side(a), _side(b)],
        columns=("Earlier", "Later") if _time(a) <= _time(b) else ("Later", "Earlier"),
        tables=_tables(found, a, b, show_all=show_all) if isinstance(found, RunDifference) else [],
        sections=_sections(found),
        show_all=show_all,
        is_run=isinstance(found, RunDifference),
    )


def _crumbs(request: Request) -> tuple[Crumb, ...]:
    return (Crumb("Home", request.site.url("/")), Crumb("Compare"))


def _records(alias: str, ids: Collection[str]) -> dict[str, File | Run | Transform]:
    """Return the records that have these ids, by their ids."""
    found: dict[str, Any] = {}
    models: tuple[tuple[Any, str], ...] = ((File, "run"), (Run, "transform"), (Transform, "created_by"))
    for model, related in models:
        if len(found) < len(ids):
            found |= model.objects.using(alias).select_related(related).in_bulk(list(ids))
    return found


def _resolved(request: Request, given: dict[str, str]) -> HttpResponse:
    """Go to the comparison of what keys and beginnings of ids name; where one names nothing, ask again."""
    alias = request.site.instance.alias
    meant = {name: records.named(alias, text) for name, text in given.items() if text}
    problems = [problem for name, one in meant.items() if (problem := one.problem(_LABELS[name]))]
    if problems:
        record = next((one.record for one in meant.values() if one.record is not None), None)
        return _form(request, given, problems, known=record, status=404)
    ids = {name: one.record.id for name, one in meant.items()}
    kept = {"all": "1"} if request.GET.get("all") == "1" else {}
    return responses.see_other(f"{request.site.url('/compare')}?{urlencode(ids | kept)}")


def _form(
    request: Request, given: dict[str, str], problems: Sequence[str] = (), *, known: Any = None, status: int = 200
) -> HttpResponse:
    """Ask which two to compare, and offer what one that is known can be compared with."""
    return pages.page(
        request,
        "compare.html",
        title="Compare",
        crumbs=_crumbs(request),
        given=given,
        problems=problems,
        fields=[(name, label, given[name]) for name, label in _LABELS.items()],
        status=status,
        **(_offered(request, known) if known is not None else {}),
    )


def _offered(request: Request, record: File | Run | Transform) -> dict[str, Any]:
    """Return what one record can be compared with: the newest of its kind."""
    alias = request.site.instance.alias
    if isinstance(record, Run):
        found: Any = queries.newest_runs(
            Run.objects.using(alias).filter(transform_id=record.transform_id), _MOST_OFFERED
        )
    elif isinstance(record, File):
        found = record.versions.filter(trashed_at__isnull=True).order_by("-version")[:_MOST_OFFERED]
    else:
        same = Transform.objects.using(alias).filter(type=record.type, reference=record.reference)
        found = same.order_by("-created_at")[:_MOST_OFFERED]

    def offer(other: Any) -> dict[str, Any]:
        earlier, later = sorted((record.id, other.id)) if not isinstance(record, Transform) else (other.id, record.id)
        link = f"{request.site.url('/compare')}?a={earlier}&b={later}"
        return {**_side(other), "id": other.id, "link": link, "status": getattr(other, "status", None)}

    return {"known": _side(record), "others": [offer(one) for one in found if one.id != record.id]}


def _problem(a: Any, b: Any) -> str:
    """Return why a page cannot compare two records; "" if it may."""
    if type(a) is not type(b):
        return "Two records of one kind can be compared: two runs, two transforms, two versions."
    if isinstance(a, File) and max(a.size, b.size) > _MOST_BYTES:
        return f"These files are too large for a page: `lamin diff {a.id} {b.id}` compares them."
    return ""


def _time(record: Any) -> Any:
    """Return what tells which of two records is the earlier one."""
    return (record.version, record.id) if isinstance(record, File) else (record.created_at, record.id)


def _side(record: Any) -> dict[str, Any]:
    if isinstance(record, File):
        return {"path": f"/files/{record.id}", "name": record.key or record.name, "note": f"v{record.version}"}
    if isinstance(record, Run):
        # Of two runs of one minute, the seconds and the ids tell which is which.
        note = f"{record.created_at:%Y-%m-%d %H:%M:%S} · {record.id[:8]}"
        return {"path": f"/runs/{record.id}", "name": record.transform.name, "note": note}
    return {"path": f"/transforms/{record.id}", "name": record.name, "note": tags.version(record.version)}


def _tables(found: RunDifference, a: Any, b: Any, *, show_all: bool) -> list[dict[str, Any]]:
    """Return the parts of a comparison of runs that are tables of a name and two values."""
    params = list(_rows(found.params))
    if show_all and isinstance(a, Run) and isinstance(b, Run):
        old, new = (identify.without_secrets(run.params) or {} for run in (a, b))
        names = sorted(old.keys() | new.keys())
        params = [
            _row(name, old.get(name), new.get(name), name in old, name in new, old.get(name) != new.get(name))
            for name in names
        ]
    parts = [
        ("Parameters", params),
        ("Arguments", list(_rows(found.arguments))),
        ("Packages", list(_rows(found.packages))),
        ("Run", list(_rows(found.facts))),
    ]
    files = (("Inputs", found.inputs), ("Outputs", found.outputs))
    tables = [
        {"title": title, "rows": rows[:_MOST_ROWS], "more": len(rows) - _MOST_ROWS} for title, rows in parts if rows
    ]
    for title, pairs in files:
        rows = [
            {"before": pair.before, "after": pair.after, "same_bytes": pair.same_bytes} for pair in pairs[:_MOST_ROWS]
        ]
        if rows:
            tables.append({"title": title, "files": rows, "more": len(pairs) - _MOST_ROWS})
    return tables


def _rows(changes: Iterable[Change]) -> Iterable[dict[str, Any]]:
    for change in changes:
        yield _row(change.name, change.before, change.after, change.kind != "added", change.kind != "removed", True)


def _row(name: str, before: Any, after: Any, has_before: bool, has_after: bool, differs: bool) -> dict[str, Any]:
    return {
        "name": name,
        "before": tags.json_value(before) if has_before else None,
        "after": tags.json_value(after) if has_after else None,
        "differs": differs,
    }


def _sections(found: Difference) -> list[dict[str, Any]]:
    """Return the parts of a report that are lines; those that are shown as tables are left out."""
    tabled = ("parameters", "arguments", "packages", "run", "inputs", "outputs")
    is_run = isinstance(found, RunDifference)
    return [
        {
            "title": one.title,
            "lines": highlight.diff_lines([(line.sign, f"{line.sign}{line.text}") for line in one.lines]),
        }
        for one in found.sections()
        if not (is_run and one.title.partition(" (")[0] in tabled)
    ]


def why(request: Request, id: str) -> HttpResponse:
    """Show why a version of a file differs from an earlier one, the one before by default."""
    instance = request.site.instance
    file = file_view.get(instance, id)
    against = request.GET.get("against", "")
    if against and not (against.isascii() and against.isdigit() and len(against) < 9):
        raise responses.wrong_parameter("against", against, "the number of a version")
    number = int(against) if against else None
    found: Why | None = None
    problem = ""
    with queries.time_limit(instance, _PATIENCE_SECONDS) as clock:
        try:
            found = why_differs(file, number)
        except InvalidInputError:
            problem = "There is no earlier version to compare with."
    if clock.is_over:
        problem = "This takes longer than a page may: the command below finds it out."
    argument = f", {number}" if number is not None else ""
    words = ["why", file.id, *(["--against", str(number)] if number is not None else [])]
    return pages.page(
        request,
        "why.html",
        code=Code(f"ln.why({copied_code.literal(file.id)}{argument})", copied_code.command(*words)),
        **file_view.heading(request, file),
        states=file_view.marks(instance, file),
        found=found,
        problem=problem,
        causes=[_cause(one) for one in found.causes[:50]] if found is not None else [],
        unknown=[one.text for one in found.unknown[:50]] if found is not None else [],
    )


def _cause(cause: Any) -> dict[str, Any]:
    runs = [run_id for run_id in cause.run_ids if run_id]
    return {
        "text": cause.text,
        "kind": cause.kind,
        "way": list(cause.way) if len(cause.way) > 1 else [],
        "runs": runs if len(runs) == 2 and runs[0] != runs[1] else [],
    }
