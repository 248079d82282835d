"""The first page: what happened last, and what needs attention."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse

from lamindb.db import database
from lamindb.lineage import stale_marks
from lamindb.models import File, Flag, Run
from lamindb.runs import liveness
from lamindb.web import copied_code, pages, queries
from lamindb.web.application import Request
from lamindb.web.pages import Code

_FEW: Final = 10
_MOST_COUNTED: Final = 100
_MOST_LOOKED_AT: Final = 1_000
_AT_ONCE_SECONDS: Final = 0.02
"""What takes longer, in time of the processor, is loaded after the page."""


def show(request: Request) -> HttpResponse:
    """Show the last runs and files, and how many things need attention, "99+" at most."""
    instance = request.site.instance
    runs = Run.objects.using(instance.alias)
    last = queries.newest_runs(runs, _FEW)
    newest = File.objects.using(instance.alias).filter(is_latest=True, trashed_at__isnull=True)
    files = list(newest.select_related("transform", "created_by").order_by("-created_at", "-id")[:_FEW])
    running = list(runs.filter(status="running").order_by("-created_at")[:_MOST_COUNTED])
    alive = sum(not liveness.has_died(run) for run in running)
    open_flags = Flag.objects.using(instance.alias).filter(removed_at__isnull=True).order_by()
    flagged = len(set(open_flags.values_list("file_id", flat=True)[:_MOST_COUNTED]))
    return pages.page(
        request,
        "home.html",
        title="Home",
        section="home",
        code=_codes() if last or files else None,
        runs=last,
        rows=queries.with_states(instance, files),
        running=_shown(alive),
        failed=_shown(sum(run.status == "failed" for run in last)),
        flagged=_shown(flagged),
        stale=_stale(request, _AT_ONCE_SECONDS),
    )


def _codes() -> list[Code]:
    """Return what gives each part of the page."""
    return [
        copied_code.last_runs(_FEW),
        copied_code.last_files(_FEW, part="Newest files"),
        Code(copied_code.call("ln.Run.select", status="running"), "lamin runs --status running", "Running"),
        copied_code.STALE,
        Code(copied_code.FLAGGED, "lamin status", "Flagged"),
    ]


def stale_count(request: Request) -> HttpResponse:
    """Return how many current files are stale: the part of the first page that may take longer than the rest."""
    response = HttpResponse(_stale(request, queries.PATIENCE_SECONDS) or "many")
    response.headers["Vary"] = "Cookie, HX-Request"
    return response


def _stale(request: Request, seconds: float) -> str:
    """Return how many current files are stale, "99+" at most; "" if that takes too long."""
    instance = request.site.instance
    current = File.objects.using(instance.alias).filter(is_latest=True, trashed_at__isnull=True)
    count = 0
    with queries.time_limit(instance, seconds, of_processor=seconds == _AT_ONCE_SECONDS) as clock:
        newest = list(current.order_by("-created_at", "-id").values_list("id", flat=True)[:_MOST_LOOKED_AT])
        # Where very many are stale, it takes long to find all of them, and a few of the newest are enough.
        count = len(stale_marks.stale_among(database.connection(instance.alias), newest, looks=0).ids)
        if count < _MOST_COUNTED:
            found = current.filter(is_stale=True).order_by().values_list("id", flat=True)
            count = len(found[:_MOST_COUNTED])
    return "" if clock.is_over else _shown(count)


def _shown(count: int) -> str:
    return f"{_MOST_COUNTED - 1}+" if count >= _MOST_COUNTED else str(count)
