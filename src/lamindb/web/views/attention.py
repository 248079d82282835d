"""What needs attention: stale and affected files, flags, and the health of what is stored."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Final, Literal

from django.db.models import prefetch_related_objects
from django.http import HttpResponse

from lamindb.maintenance import last_report
from lamindb.models import File, Flag, Run
from lamindb.web import causes, copied_code, pages, queries, records
from lamindb.web.application import Request
from lamindb.web.pages import Code, Crumb
from lamindb.web.queries import Rows

_MOST_FLAGS: Final = 100
_MOST_DEAD: Final = 200


def stale(request: Request) -> HttpResponse:
    """Show the stale current files by what makes them stale, and those that are affected by a flagged one."""
    site, instance = request.site, request.site.instance
    groups, is_newest, is_cut = causes.stale_groups(instance)
    affected, is_part, is_late = causes.affected_groups(instance)
    return pages.page(
        request,
        "stale.html",
        title="Stale and affected",
        section="stale",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Stale and affected")),
        code=[copied_code.STALE, Code("ln.lineage.affected()", "lamin status", "Affected")],
        groups=groups,
        affected=affected,
        is_cut=is_cut or is_late,
        newest=causes.MOST_NEWEST if is_newest else 0,
        is_part=is_part,
    )


def stale_by(request: Request, id: str) -> HttpResponse:
    """Show all stale current files whose nearest cause is one version that was read."""
    return _of_cause(request, "stale", id, causes.stale_by)


def affected_by(request: Request, id: str) -> HttpResponse:
    """Show all affected current files whose nearest flagged file is one version."""
    return _of_cause(request, "affected", id, causes.affected_by)


def _of_cause(
    request: Request, kind: Literal["stale", "affected"], file_id: str, find: Callable[..., Rows[File]]
) -> HttpResponse:
    site, instance, after = request.site, request.site.instance, pages.place_in_list(request)
    cause = File.objects.using(instance.alias).filter(id=file_id).first()
    if cause is None:
        raise records.missing(instance.alias, File, file_id)
    found = find(instance, cause.id, after)
    return pages.page(
        request,
        "cause.html",
        title=f"{kind.capitalize()} by {cause.key or cause.name}",
        section="stale",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Stale", site.url("/stale")), Crumb(cause.key or cause.name)),
        code=copied_code.of_cause(kind, cause.id, "All pages" if after or found.after else ""),
        kind=kind,
        cause=cause,
        rows=queries.with_states(instance, found.rows, known=kind),
        after=found.after,
        is_stopped=found.is_cut,
    )


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
        code=copied_code.flags()[: 2 if removed else 1],
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
