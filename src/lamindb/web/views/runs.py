"""The list of runs."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse

from lamindb.models import File, Run, Transform, User
from lamindb.web import copied_code, filters, pages, queries
from lamindb.web.application import Request
from lamindb.web.filters import Chip, Field, Menu
from lamindb.web.pages import Crumb
from lamindb.web.queries import RunFilter

_STATUSES: Final = ("running", "completed", "failed", "aborted")
_MOST_COLUMNS: Final = 6
_OFFERED: Final = 12


def index(request: Request) -> HttpResponse:
    """Show runs, the newest first, with up to six parameters as columns."""
    site, alias = request.site, request.site.instance.alias
    menu = Menu(site.url("/runs"), pages.parameters(request))
    user = User.objects.using(alias).filter(handle=menu.value("who")).first() if menu.value("who") else None
    made_by = (
        Transform.objects.using(alias).filter(id=menu.value("transform")).first() if menu.value("transform") else None
    )
    read = File.objects.using(alias).filter(id=menu.value("reads")).first() if menu.value("reads") else None
    chosen = RunFilter(
        status=menu.one_of("status", _STATUSES),
        transform_id=menu.value("transform"),
        user_id=user.id if user is not None else copied_code.UNKNOWN if menu.value("who") else "",
        reads=menu.value("reads"),
        since=menu.day("since"),
        until=menu.day("until"),
    )
    after = pages.place_in_list(request)
    found = queries.runs(site.instance, chosen, after)
    columns = [name for name in menu.value("params").split(",") if name][:_MOST_COLUMNS]
    if not columns and chosen.transform_id:
        columns = _names(found.rows)[:3]
    return pages.page(
        request,
        "runs.html",
        title="Runs",
        section="runs",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Runs")),
        code=copied_code.runs(chosen, after, handle=menu.value("who")),
        chips=_chips(menu, made_by, read, found.rows),
        unknown=menu.unknown(),
        runs=found.rows,
        columns=columns,
        after=found.after,
        is_cut=found.is_cut,
        is_filtered=chosen.is_any,
    )


def _names(rows: list[Run]) -> list[str]:
    """Return the names of the parameters of some runs, those that most of them have first."""
    counts: dict[str, int] = {}
    for run in rows:
        for name in list(run.params or {})[:100]:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])


def _chips(menu: Menu, made_by: Transform | None, read: File | None, rows: list[Any]) -> list[Chip]:
    near = sorted({(row.transform_id, row.transform.name) for row in rows}, key=lambda pair: str(pair[1]))
    people = sorted({(row.created_by.handle, row.created_by.handle) for row in rows if row.created_by is not None})
    names = [(name, name) for name in _names(rows)[:_OFFERED]]
    shown = made_by.name if made_by is not None else menu.value("transform")
    columns = Field("params", "Names, with commas between", menu.value("params"), hint="lr,depth,seed")
    chips = [
        menu.choice("Status", "status", [(one, one) for one in _STATUSES]),
        menu.choice("Transform", "transform", near[:_OFFERED], shown=shown),
        menu.choice("Who", "who", people[:_OFFERED], Field("who", "A handle", menu.value("who"), hint="ada")),
        filters.when_chip(menu),
        menu.choice("Parameters", "params", names, columns),
    ]
    if menu.value("reads"):
        chips.append(menu.choice("Read", "reads", shown=(read.key or read.name) if read is not None else None))
    return chips
