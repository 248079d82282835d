"""What needs attention: stale and affected files, flags, and the health of what is stored."""

from __future__ import annotations

import datetime
from typing import Any, Final

from django.db.models import prefetch_related_objects
from django.http import HttpResponse

from lamindb.db import database
from lamindb.lineage import recall
from lamindb.maintenance import last_report
from lamindb.models import File, Flag, Run
from lamindb.web import copied_code, pages, queries
from lamindb.web.application import Request
from lamindb.web.pages import Code, Crumb

_MOST_STALE: Final = 500
_MOST_NEWEST: Final = 60
"""Where more of the newest files are stale, only these are shown: to find all of them takes long."""
_MOST_IN_GROUP: Final = 10
_MOST_FLAGS: Final = 100
_MOST_DEAD: Final = 200
_PATIENCE_SECONDS: Final = 4.0


def stale(request: Request) -> HttpResponse:
    """Show the stale current files by what makes them stale, and those that are affected by a flagged one."""
    site, instance = request.site, request.site.instance
    groups: list[dict[str, Any]] = []
    current = File.objects.using(instance.alias).filter(is_latest=True, trashed_at__isnull=True)
    newest, _ = queries.newest_stale(instance, current, _MOST_NEWEST)
    is_newest = len(newest) == _MOST_NEWEST
    with queries.time_limit(instance, _PATIENCE_SECONDS) as clock:
        groups = queries.stale_groups(instance, _MOST_IN_GROUP, newest if is_newest else None)
    affected: list[dict[str, Any]] = []
    with queries.time_limit(instance, _PATIENCE_SECONDS) as later_clock:
        affected = _affected(instance.alias)
    return pages.page(
        request,
        "stale.html",
        title="Stale and affected",
        section="stale",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Stale and affected")),
        code=[copied_code.STALE, Code("ln.lineage.affected()", "lamin status", "Affected")],
        groups=groups,
        affected=affected,
        is_cut=clock.is_over or later_clock.is_over,
        newest=_MOST_NEWEST if is_newest else 0,
    )


def _affected(alias: str) -> list[dict[str, Any]]:
    """Return the affected current files by the nearest flagged file."""
    current = File.objects.using(alias).filter(is_latest=True, trashed_at__isnull=True, id__in=recall.Affected())
    files = {file.id: file for file in current.order_by()[:_MOST_STALE]}
    _, flagged_by = recall.marks(database.connection(alias), list(files))
    groups: dict[str, dict[str, Any]] = {}
    for file_id, cause in flagged_by.items():
        group = groups.setdefault(cause.id, {"cause": cause, "files": [], "more": 0})
        if len(group["files"]) < _MOST_IN_GROUP:
            group["files"].append(files[file_id])
        else:
            group["more"] += 1
    return list(groups.values())


def flags(request: Request) -> HttpResponse:
    """Show the flags, the open ones first."""
    site = request.site
    query: Any = Flag.objects.using(site.instance.alias)
    found = list(query.filter(removed_at__isnull=True).order_by("-id")[:_MOST_FLAGS])
    removed = list(query.filter(removed_at__isnull=False).order_by("-id")[:_MOST_FLAGS])
    # Joined to the flags, SQLite would begin with the files, and scan them all.
    prefetch_related_objects([*found, *removed], "file", "created_by", "removed_by")
    return pages.page(
        request,
        "flags.html",
        title="Flags",
        section="stale",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Stale", site.url("/stale")), Crumb("Flags")),
        code=copied_code.flags(),
        flags=found,
        removed=removed,
    )


def health(request: Request) -> HttpResponse:
    """Show the last results of `verify` and `gc`, dead runs and the trash; nothing is checked for this."""
    site, instance = request.site, request.site.instance
    running = Run.objects.using(instance.alias).filter(status="running").select_related("transform", "created_by")
    dead = [run for run in running.order_by("-created_at")[:_MOST_DEAD] if run.status == "aborted"]
    trashed = File.objects.using(instance.alias).filter(trashed_at__isnull=False).order_by()
    return pages.page(
        request,
        "health.html",
        title="Health",
        section="health",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Health")),
        code=_health_codes(dead),
        verify=_report(last_report.read(instance, "verify")),
        gc=_report(last_report.read(instance, "gc")),
        dead=dead,
        in_trash=min(len(trashed.values_list("id", flat=True)[:100]), 100),
        instance=instance,
    )


def _health_codes(dead: list[Run]) -> list[Code]:
    codes = [
        Code("", "lamin verify", "Stored bytes"),
        Code("", "lamin gc", "Garbage collection"),
        Code(copied_code.call("ln.File.select", trashed_at__isnull=False), "lamin trash list", "Trash"),
    ]
    if dead:
        python = copied_code.call("ln.Run.select", id__in=[run.id for run in dead])
        codes.append(Code(python, part="Runs whose process is gone"))
    return codes


def _report(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a result as a page shows it. Another person may have written it: only plain parts are taken."""
    if found is None:
        return None
    report, counts = found["report"], found["counts"]
    try:
        at = datetime.datetime.fromisoformat(found["at"])
    except ValueError:
        return None
    numbers = {name: value for name, value in counts.items() if isinstance(value, int)}
    findings = [
        {"detail": str(one.get("detail", "")), "kind": kind, "needed_by": [str(name) for name in needed[:5]]}
        for kind in ("missing", "corrupt")
        for one in _list(report.get(kind))
        if isinstance(one, dict) and isinstance(needed := one.get("needed_by", []), list)
    ]
    return {
        "at": at if at.tzinfo is not None else at.replace(tzinfo=datetime.UTC),
        "is_clean": report.get("is_clean") is True,
        "is_complete": report.get("is_complete") is True,
        "is_dry_run": report.get("is_dry_run") is True,
        "quick": report.get("quick") is True,
        "prefix": str(report.get("prefix") or ""),
        "numbers": {name: _number(report.get(name)) for name in ("checked", "n_bytes", "n_young")},
        "counts": numbers,
        "findings": findings[:50],
        "database": [str(one) for one in _list(report.get("database"))],
        "lists": [(name, [str(one) for one in _list(report.get(name))]) for name in ("edited", "untracked", "lost")],
    }


def _list(value: Any) -> list[Any]:
    return value[:50] if isinstance(value, list) else []


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else 0
