"""One run: what it read and made, its parameters, and what is stored with it, each at an address of its own."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse

from lamindb.environment.redaction import redact_arguments, redact_text
from lamindb.models import Run, RunInput, RunOutput
from lamindb.records.open_instance import Instance
from lamindb.runs import identify, log_file
from lamindb.storage.base import ObjectName
from lamindb.web import copied_code, highlight, pages, queries, records, responses
from lamindb.web.application import Request
from lamindb.web.pages import Crumb, Tab

_FEW: Final = 6
_MOST_PARAMS: Final = 100
_MOST_MODULES: Final = 200
_MOST_PACKAGES: Final = 2_000
_PIECE_BYTES: Final = 64 * 1024


def get(instance: Instance, run_id: str) -> Run:
    """Return a run by its id.

    Raises:
        PageError: There is none.
    """
    query = Run.objects.using(instance.alias).select_related("transform", "created_by")
    found: Run | None = query.filter(id=run_id).first()
    if found is None:
        raise records.missing(instance.alias, Run, run_id)
    return found


def show(request: Request, id: str) -> HttpResponse:
    """Show a run, with what is most wanted: the error of one that failed, the log of one that runs, or its code."""
    run = get(request.site.instance, id)
    if run.error:
        return error(request, id, run=run)
    if run.status == "running" or (run.log_digest and not run.source_digest):
        return log(request, id, run=run)
    if run.source_digest:
        return code(request, id, run=run)
    return _page(request, run, "", "run_none.html")


def heading(request: Request, run: Run) -> dict[str, Any]:
    """Return what stands at the head of each page of a run: title and crumbs."""
    site = request.site
    crumbs = (
        Crumb("Home", site.url("/")),
        Crumb("Runs", site.url("/runs")),
        Crumb(run.transform.name, site.url(f"/transforms/{run.transform_id}")),
        Crumb(run.id[:8]),
    )
    return {"title": run.transform.name, "section": "runs", "crumbs": crumbs, "run": run}


def _tabs(request: Request, run: Run) -> tuple[Tab, ...]:
    def tab(label: str, name: str, note: str = "") -> Tab:
        return Tab(label, request.site.url(f"/runs/{run.id}/{name}"), note)

    is_running = run.status == "running"
    found = [tab("Log", "log", "" if run.log_digest else "follows" if is_running else "none")]
    found.append(tab("Code", "code", "" if run.source_digest else "none"))
    found.append(tab("Changes", "changes", "uncommitted" if run.diff_digest else "none"))
    found.append(tab("Packages", "packages", "" if run.environment_digest else "none"))
    if run.report_digest:
        found.append(tab("Report", "report"))
    found.append(tab("Steps", "steps"))
    if run.error:
        found.append(tab("Error", "error"))
    return tuple(found)


def _page(
    request: Request,
    run: Run,
    tab: str,
    template: str,
    *,
    method: str = "describe()",
    shell: str = "show",
    **values: Any,
) -> HttpResponse:
    site = request.site
    here = site.url(f"/runs/{run.id}/{tab}") if tab else ""
    return pages.page(
        request,
        template,
        code=copied_code.run(run, method=method, shell=shell),
        tabs=_tabs(request, run),
        tab_here=here,
        **heading(request, run),
        **_flow(site.instance, run),
        **_facts(run),
        **values,
    )


def _flow(instance: Instance, run: Run) -> dict[str, Any]:
    """Return the first inputs and outputs, and which of the inputs are no longer current."""
    inputs = list(_edges(RunInput, instance, run)[: _FEW + 1])
    outputs = list(_edges(RunOutput, instance, run)[: _FEW + 1])
    marks = queries.marks_among(instance, [edge.file_id for edge in [*inputs[:_FEW], *outputs[:_FEW]]])
    return {
        "inputs": [{"file": edge.file, "states": list(marks.states(edge.file_id))} for edge in inputs[:_FEW]],
        "more_inputs": len(inputs) > _FEW,
        "outputs": [{"file": edge.file, "states": list(marks.states(edge.file_id))} for edge in outputs[:_FEW]],
        "more_outputs": len(outputs) > _FEW,
        "old_inputs": [edge.file for edge in inputs[:_FEW] if not edge.file.is_latest or edge.file.is_trashed],
        "stale_outputs": [edge.file for edge in outputs[:_FEW] if edge.file_id in marks.stale],
    }


def _edges(model: Any, instance: Instance, run: Run) -> Any:
    return model.objects.using(instance.alias).filter(run_id=run.id).select_related("file").order_by("id")


def _facts(run: Run) -> dict[str, Any]:
    params = run.params or {}
    shown = identify.without_secrets(dict(list(params.items())[:_MOST_PARAMS]))
    return {
        "params": list(shown.items()),
        "more_params": len(params) - len(shown),
        "first_params": list(shown.items())[:3],
        "arguments": " ".join(redact_arguments([str(word) for word in run.arguments])) if run.arguments else "",
        "repository": redact_text(run.git_repository) if run.git_repository else "",
        "capture": (run.capture or {}).get("mode"),
        "parent_id": run.parent_id,
    }


def log(request: Request, id: str, *, run: Run | None = None) -> HttpResponse:
    """Show what a run printed: its last 64 kB, and earlier pieces by a link. The log of a running one is followed."""
    instance = request.site.instance
    run = run or get(instance, id)
    is_running = run.status == "running"
    values: dict[str, Any] = {"is_running": is_running, "text": None, "earlier": None, "begin": 0}
    if run.log_digest:
        values |= _piece(instance, run, request.GET.get("end", ""))
    else:
        path = log_file.path_of(instance.id, run.id)
        text = log_file.read(path) if path is not None else None
        values["text"] = highlight.log(text) if text is not None else None
    if request.is_part:
        site = request.site
        body = site.render("_log.html", {"site": site, "run": run, **values})
        response = HttpResponse(body)
        response.headers["Vary"] = "Cookie, HX-Request"
        if not is_running:
            # What asks has shown it as running: the whole page is another one by now, and does not ask again.
            response.headers["HX-Refresh"] = "true"
        return response
    return _page(request, run, "log", "run_log.html", method="log()", shell="log", **values)


def _piece(instance: Instance, run: Run, end_text: str) -> dict[str, Any]:
    """Return 64 kB of a stored log that end at an offset, its end by default, and where the piece before ends."""
    name = ObjectName.parse(str(run.log_digest))
    size = instance.store.size(name) if name is not None else None
    if name is None or size is None:
        return {"damage": True}
    end = min(_number("end", end_text), size) if end_text else size
    begin = max(0, end - _PIECE_BYTES)
    with instance.store.open(name) as stream:
        stream.seek(begin)
        data = stream.read(end - begin)
    if begin:
        # Half a line may be half a secret: a piece begins with a whole one.
        first, newline, rest = data.partition(b"\n")
        data, begin = (rest, begin + len(first) + 1) if newline else (data, begin)
    text = highlight.log(data.decode("utf-8", "replace"))
    return {"text": text, "begin": begin, "earlier": begin or None, "later": end < size}


def code(request: Request, id: str, *, run: Run | None = None) -> HttpResponse:
    """Show the code that a run executed, or a module of the project that it imported, by its number."""
    run = run or get(request.site.instance, id)
    modules = sorted(run.modules() or {})
    number = request.GET.get("module", "")
    chosen = None
    if number:
        if _number("module", number) >= len(modules):
            raise responses.wrong_parameter("module", number, "the number of a module")
        chosen = modules[int(number)]
    text = run.code(chosen) if chosen is not None else run.code()
    name = chosen or _code_name(run)
    values: dict[str, Any] = {"modules": list(enumerate(modules[:_MOST_MODULES])), "chosen": chosen, "source": None}
    if text is not None and name.endswith(".ipynb"):
        from lamindb.web.previews import notebook

        values["cells"] = notebook.cells(text.encode(), with_outputs=False)
    if text is not None and not values.get("cells"):
        values["source"] = highlight.code(text, name)
    argument = copied_code.literal(chosen) if chosen is not None else ""
    return _page(request, run, "code", "run_code.html", method=f"code({argument})", shell="code", **values)


def _code_name(run: Run) -> str:
    """Return a file name whose suffix tells the language of a run's code."""
    name = ObjectName.parse(str(run.source_digest))
    if name is not None and name.suffix:
        return f"code{name.suffix}"
    return run.transform.reference if "." in run.transform.reference else "code.py"


def changes(request: Request, id: str) -> HttpResponse:
    """Show the uncommitted changes of a run, and its run before, to compare with."""
    instance = request.site.instance
    run = get(instance, id)
    text = run.patch()
    before = Run.objects.using(instance.alias).filter(transform_id=run.transform_id, created_at__lte=run.created_at)
    last = before.exclude(id=run.id).order_by("-created_at", "-id").first()
    shown = highlight.patch(text) if text is not None else None
    return _page(request, run, "changes", "run_changes.html", method="patch()", shell="patch", patch=shown, before=last)


def packages(request: Request, id: str) -> HttpResponse:
    """Show the packages that were installed when a run started."""
    run = get(request.site.instance, id)
    found = list((run.packages() or {}).items())
    more = max(0, len(found) - _MOST_PACKAGES)
    values = {"packages": found[:_MOST_PACKAGES], "more": more}
    return _page(request, run, "packages", "run_packages.html", method="packages()", shell="packages", **values)


def report(request: Request, id: str) -> HttpResponse:
    """Show the report of a run, in a frame without any rights."""
    run = get(request.site.instance, id)
    return _page(request, run, "report", "run_report.html", method="report()", shell="report")


def error(request: Request, id: str, *, run: Run | None = None) -> HttpResponse:
    """Show the end of the traceback of a run that failed."""
    run = run or get(request.site.instance, id)
    text = highlight.log(run.error) if run.error else None
    return _page(request, run, "error", "run_error.html", method="error", shell="show", text=text)


def steps(request: Request, id: str) -> HttpResponse:
    """Show the runs inside a run."""
    instance = request.site.instance
    run = get(instance, id)
    query = Run.objects.using(instance.alias).filter(parent_id=run.id).select_related("transform", "created_by")
    after = request.GET.get("after", "")
    query = query.filter(id__gt=after) if after else query
    found = list(query.order_by("id")[: queries.ROWS + 1])
    values = {
        "steps": found[: queries.ROWS],
        "after": found[queries.ROWS - 1].id if len(found) > queries.ROWS else "",
    }
    return _page(request, run, "steps", "run_steps.html", method="describe()", shell="show", **values)


def inputs(request: Request, id: str) -> HttpResponse:
    """Show all files that a run read, a page at a time."""
    return _all_files(request, id, RunInput, "inputs", "Inputs")


def outputs(request: Request, id: str) -> HttpResponse:
    """Show all files that a run made, a page at a time."""
    return _all_files(request, id, RunOutput, "outputs", "Outputs")


def _all_files(request: Request, id: str, model: Any, name: str, title: str) -> HttpResponse:
    instance = request.site.instance
    run = get(instance, id)
    edges = model.objects.using(instance.alias).filter(run_id=run.id)
    after = request.GET.get("after", "")
    if after:
        edges = edges.filter(id__gt=_number("after", after))
    found = list(edges.select_related("file__transform").order_by("id")[: queries.ROWS + 1])
    shown = [edge.file for edge in found[: queries.ROWS]]
    last = str(found[queries.ROWS - 1].id) if len(found) > queries.ROWS else ""
    return pages.page(
        request,
        "run_files.html",
        code=copied_code.run(run, method=_page_of(name, run, after)),
        **(heading(request, run) | {"title": f"{title} of {run.transform.name}"}),
        head=title,
        rows=queries.with_states(instance, shown),
        after=last,
    )


def _page_of(name: str, run: Run, after: str) -> str:
    links = {"inputs": "reader_links", "outputs": "writer_links"}[name]
    behind = (
        copied_code.call(".filter", **{f"{links}__run_id": run.id, f"{links}__id__gt": int(after)}) if after else ""
    )
    return f"{name}.all(){behind}[:{queries.ROWS}]"


def _number(name: str, text: str) -> int:
    """Return a parameter that is a number.

    Raises:
        PageError: It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise responses.wrong_parameter(name, text, "a number")
    return int(text)
