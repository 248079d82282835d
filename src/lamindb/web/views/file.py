"""One file: what it is, what is in it, where it came from, and who read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.http import HttpResponse

from lamindb.describe import history
from lamindb.errors import LaminError
from lamindb.lineage import recall, staleness
from lamindb.models import File, Flag, Run, RunInput, RunOutput
from lamindb.records.open_instance import Instance
from lamindb.storage.base import ObjectName
from lamindb.web import copied_code, pages, queries, records
from lamindb.web.application import Request
from lamindb.web.pages import Crumb, Tab

_FEW: Final = 6
_MOST_CHANGES: Final = 20
_MOST_REASONS: Final = 5
_MOST_VERSIONS: Final = 20
PATIENCE_SECONDS: Final = 4.0
"""How long the reasons why a file is stale or affected may be looked for."""
_AT_ONCE_SECONDS: Final = 0.012
"""Reasons that take longer, in time of the processor, are loaded after the page."""


def get(instance: Instance, file_id: str) -> File:
    """Return a file by its id.

    Raises:
        PageError: There is none.
    """
    query = File.objects.using(instance.alias).select_related("storage", "run__transform", "created_by", "trashed_by")
    found: File | None = query.filter(id=file_id).first()
    if found is None:
        raise records.missing(instance.alias, File, file_id)
    return found


def show(request: Request, id: str) -> HttpResponse:
    """Show a file."""
    instance = request.site.instance
    file = get(instance, id)
    return pages.page(
        request,
        "file.html",
        code=copied_code.file(file),
        **heading(request, file),
        **_origin(instance, file),
        **_notes(request, file, PATIENCE_SECONDS if "reasons" in request.GET else _AT_ONCE_SECONDS),
        preview=_preview(request, file) if "preview" in request.GET else None,
        where=_where(instance, file),
        changes=history.changes(file, _MOST_CHANGES),
        previewed=not file.is_trashed,
        took_too_long=False,
    )


def heading(request: Request, file: File) -> dict[str, Any]:
    """Return what stands at the head of each page of a file: title, crumbs and tabs."""
    site = request.site
    title = file.key or file.name or file.id
    crumbs = [Crumb("Home", site.url("/")), Crumb("Files", site.url("/files"))]
    parts = title.strip("/").split("/") if file.key else [title]
    for n, name in enumerate(parts[:-1]):
        crumbs.append(Crumb(name, filters_link(site.url("/folders"), "/".join(parts[: n + 1]))))
    crumbs.append(Crumb(parts[-1]))
    base = f"/files/{file.id}"
    tabs = [Tab("Overview", site.url(base)), Tab("Lineage", site.url(f"{base}/lineage"))]
    if file.version > 1:
        tabs.append(Tab("Changes", site.url(f"{base}/why")))
    return {"title": title, "section": "files", "crumbs": tuple(crumbs), "file": file, "tabs": tabs}


def filters_link(here: str, folder: str) -> str:
    """Return the address of a folder."""
    from lamindb.web.filters import Menu

    return Menu(here, {}).link(p=folder)


def _origin(instance: Instance, file: File) -> dict[str, Any]:
    """Return the first of what the file was made from, of who read it and made it again, and its versions."""
    inputs: list[Any] = []
    if file.run_id is not None:
        query = RunInput.objects.using(instance.alias).filter(run_id=file.run_id).select_related("file")
        inputs = [edge.file for edge in query.order_by("id")[: _FEW + 1]]
    readers = RunInput.objects.using(instance.alias).filter(file_id=file.id).order_by("-run_id")
    again = RunOutput.objects.using(instance.alias).filter(file_id=file.id).exclude(run_id=file.run_id or "")
    runs_of = ("run__transform", "run__created_by")
    versions = list(file.versions.select_related("created_by").order_by("-version")[: _MOST_VERSIONS + 1])
    read_by: list[Run] = [edge.run for edge in readers.select_related(*runs_of)[: _FEW + 1]]
    made_again: list[Run] = [edge.run for edge in again.select_related(*runs_of).order_by("-run_id")[:_FEW]]
    return {
        "inputs": inputs[:_FEW],
        "more_inputs": len(inputs) > _FEW,
        "readers": read_by[:_FEW],
        "more_readers": len(read_by) > _FEW,
        "made_again": made_again,
        "versions": versions[:_MOST_VERSIONS],
        "more_versions": len(versions) > _MOST_VERSIONS,
        "newer": versions[0] if versions and versions[0].version > file.version else None,
    }


def _notes(request: Request, file: File, seconds: float) -> dict[str, Any]:
    """Return why the file is stale, flagged or affected; `is_pending` if that takes longer than some seconds."""
    instance = request.site.instance
    query = Flag.objects.using(instance.alias).filter(file_id=file.id).select_related("created_by", "removed_by")
    flags = list(query.order_by("-id")[: 2 * _FEW])
    reasons: tuple[staleness.Reason, ...] = ()
    causes: tuple[recall.Cause, ...] = ()
    with queries.time_limit(instance, seconds, of_processor=seconds == _AT_ONCE_SECONDS) as clock:
        reasons = next(staleness.explained([file])).reasons
        causes = next(recall.explained([file])).reasons
    states = list(_states(file, flags, reasons, causes))
    if clock.is_over and "stale" not in states and queries.marks_among(instance, [file.id]).stale:
        states.append("stale")
    return {
        "flags": [flag for flag in flags if flag.removed_at is None],
        "old_flags": [flag for flag in flags if flag.removed_at is not None],
        "reasons": [_way(one.read, one.current, one.chain) for one in reasons[:_MOST_REASONS]],
        "more_reasons": max(0, len(reasons) - _MOST_REASONS),
        "causes": [
            {"flagged": one.flagged, "why": [flag.reason for flag in one.flags], "between": one.chain[1:-1]}
            for one in causes[:_MOST_REASONS]
        ],
        "more_causes": max(0, len(causes) - _MOST_REASONS),
        "is_pending": clock.is_over,
        "states": states,
    }


def reasons(request: Request, id: str) -> HttpResponse:
    """Show why a file is stale or affected: the part of its page that may take longer than the rest."""
    file = get(request.site.instance, id)
    values = _notes(request, file, PATIENCE_SECONDS)
    site = request.site
    response = HttpResponse(
        site.render("_reasons.html", {"site": site, "file": file, "took_too_long": values["is_pending"], **values})
    )
    response.headers["Vary"] = "Cookie, HX-Request"
    return response


def _way(read: File | None, current: File | None, chain: tuple[File, ...]) -> dict[str, Any]:
    return {"read": read, "current": current, "between": chain[1:-1]}


def _states(file: File, flags: list[Flag], reasons: Any, causes: Any) -> Iterator[str]:
    if file.is_trashed:
        yield "trash"
    elif not file.is_latest:
        yield "old"
    if any(flag.removed_at is None for flag in flags):
        yield "flagged"
    if reasons:
        yield "stale"
    if causes:
        yield "affected"


def _where(instance: Instance, file: File) -> dict[str, Any]:
    """Return where the bytes are, and what is wrong with them at a glance: no byte is read."""
    root = instance.root_of(file.storage)
    found: dict[str, Any] = {"storage": file.storage, "root": root, "damage": ""}
    if not instance.is_own(file.storage_id):
        return found
    try:
        stored = instance.store.size(ObjectName(file.digest, file.suffix))
    except LaminError:
        found["damage"] = "The storage cannot be reached."
        return found
    if stored is None:
        found["damage"] = "The stored bytes are missing."
    elif not file.is_folder and stored != file.size:
        found["damage"] = "The stored bytes are damaged: their size is another one."
    return found


def _preview(request: Request, file: File) -> str:
    from lamindb.web import previews

    return previews.html(request.site, file)


def marks(instance: Instance, file: File) -> tuple[str, ...]:
    """Return the states of a file as a list shows them."""
    return queries.with_states(instance, [file])[0].states


def preview(request: Request, id: str) -> HttpResponse:
    """Show what is in a file: the part of its page that is loaded after the rest."""
    file = get(request.site.instance, id)
    if request.is_part:
        response = HttpResponse(_preview(request, file))
        response.headers["Vary"] = "Cookie, HX-Request"
        return response
    return pages.page(
        request,
        "preview.html",
        code=copied_code.file(file, method="load()", shell="cat"),
        **heading(request, file),
        preview=_preview(request, file),
        states=marks(request.site.instance, file),
    )
