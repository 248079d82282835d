"""Notebooks, scripts, pipelines and other code: their runs and the revisions of their code."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Max
from django.http import HttpResponse

from lamindb.models import CodeRevision, File, Run, Transform
from lamindb.models.transform import TYPES
from lamindb.records.open_instance import Instance
from lamindb.web import copied_code, highlight, pages, queries, records, responses
from lamindb.web.application import Request
from lamindb.web.filters import Menu
from lamindb.web.pages import Crumb

_FEW: Final = 10
_MOST_REVISIONS: Final = 50


def get(instance: Instance, transform_id: str) -> Transform:
    """Return a transform by its id.

    Raises:
        PageError: There is none.
    """
    query = Transform.objects.using(instance.alias).select_related("created_by")
    found: Transform | None = query.filter(id=transform_id).first()
    if found is None:
        raise records.missing(instance.alias, Transform, transform_id)
    return found


def index(request: Request) -> HttpResponse:
    """Show transforms, the newest first."""
    site = request.site
    menu = Menu(site.url("/transforms"), pages.parameters(request))
    kind = menu.one_of("type", TYPES)
    after = pages.place_in_list(request)
    found = queries.transforms(site.instance, after, kind=kind)
    return pages.page(
        request,
        "transforms.html",
        title="Transforms",
        section="transforms",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Transforms")),
        code=copied_code.transforms(kind, after),
        chips=[menu.choice("Type", "type", [(one, one) for one in TYPES])],
        unknown=menu.unknown(),
        transforms=found.rows,
        after=found.after,
        is_cut=found.is_cut,
    )


def heading(request: Request, transform: Transform) -> dict[str, Any]:
    """Return what stands at the head of each page of a transform: title and crumbs."""
    site = request.site
    crumbs = (Crumb("Home", site.url("/")), Crumb("Transforms", site.url("/transforms")), Crumb(transform.name))
    return {"title": transform.name, "section": "transforms", "crumbs": crumbs, "transform": transform}


def show(request: Request, id: str) -> HttpResponse:
    """Show a transform: its last runs, the revisions of its code and its last files."""
    instance = request.site.instance
    transform = get(instance, id)
    runs = Run.objects.using(instance.alias).filter(transform_id=transform.id)
    files = File.objects.using(instance.alias).filter(
        transform_id=transform.id, is_latest=True, trashed_at__isnull=True
    )
    versions = Transform.objects.using(instance.alias).filter(type=transform.type, reference=transform.reference)
    last = queries.newest_runs(runs, _FEW)
    revisions, more = _revisions(instance, transform)
    return pages.page(
        request,
        "transform.html",
        code=copied_code.transform(transform, _FEW),
        runs=last,
        rows=queries.with_states(
            instance, list(files.select_related("transform").order_by("-created_at", "-id")[:_FEW])
        ),
        revisions=revisions,
        more_revisions=more,
        versions=list(versions.order_by("-created_at")[:_FEW]),
        **heading(request, transform),
    )


def _revisions(instance: Instance, transform: Transform) -> tuple[list[dict[str, Any]], bool]:
    """Return the last revisions of the code with the last run of each, the newest first; and whether there are more."""
    known = CodeRevision.objects.using(instance.alias).filter(transform_id=transform.id).order_by("-number")
    numbers = list(known.values_list("number", flat=True)[: _MOST_REVISIONS + 1])
    runs = Run.objects.using(instance.alias).filter(transform_id=transform.id, revision__in=numbers).order_by()
    last = dict(runs.values_list("revision").annotate(Max("id")))
    found = {run.id: run for run in Run.objects.using(instance.alias).filter(id__in=list(last.values())).order_by()}
    shown = [{"number": number, "run": found.get(last.get(number, ""))} for number in numbers[:_MOST_REVISIONS]]
    return shown, len(numbers) > _MOST_REVISIONS


def revision(request: Request, id: str, number: str) -> HttpResponse:
    """Show what a revision of the code changed from the one before."""
    instance = request.site.instance
    transform = get(instance, id)
    runs = Run.objects.using(instance.alias).filter(transform_id=transform.id).select_related("transform")
    later = runs.filter(revision=int(number)).order_by("-created_at").first()
    if later is None:
        raise responses.not_found("revision")
    earlier = runs.filter(revision__lt=int(number)).order_by("-revision", "-created_at").first()
    code = later.code() or ""
    lines = None
    if earlier is not None:
        from lamindb.compare.text_diff import compare_text

        found = compare_text(earlier.code() or "", code)
        lines = highlight.diff_lines([(line.sign, f"{line.sign}{line.text}") for line in found.lines()])
    return pages.page(
        request,
        "revision.html",
        code=copied_code.run(later, method="code()", shell="code"),
        number=number,
        later=later,
        earlier=earlier,
        lines=lines,
        source=highlight.code(code, "code.py"),
        **(heading(request, transform) | {"title": f"{transform.name}, code {number}"}),
    )
