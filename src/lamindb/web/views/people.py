"""Users and storages: what a person made, and what is where."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse

from lamindb.models import File, Run, Storage, User
from lamindb.web import copied_code, pages, queries, responses
from lamindb.web.application import Request
from lamindb.web.pages import Code, Crumb

_FEW: Final = 10
_MOST_STORAGES: Final = 200


def user(request: Request, handle: str) -> HttpResponse:
    """Show the last runs and files of a user."""
    site, alias = request.site, request.site.instance.alias
    found: User | None = User.objects.using(alias).filter(handle=handle).first()
    if found is None:
        raise responses.not_found("user")
    runs = Run.objects.using(alias).filter(created_by_id=found.id)
    return pages.page(
        request,
        "user.html",
        title=found.handle,
        crumbs=(Crumb("Home", site.url("/")), Crumb(found.handle)),
        code=[
            copied_code.last_runs(_FEW, "--user", found.handle, created_by_id=found.id),
            copied_code.last_files(_FEW, "--user", found.handle, created_by_id=found.id),
        ],
        user=found,
        runs=queries.newest_runs(runs, _FEW),
        rows=_newest(request, created_by_id=found.id),
    )


def _newest(request: Request, **filters: Any) -> list[queries.FileRow]:
    instance = request.site.instance
    files = File.objects.using(instance.alias).filter(is_latest=True, trashed_at__isnull=True, **filters)
    found: list[File] = []
    with queries.time_limit(instance, queries.PATIENCE_SECONDS):
        found = list(files.select_related("transform").order_by("-created_at", "-id")[:_FEW])
    return queries.with_states(instance, found)


def storages(request: Request) -> HttpResponse:
    """Show where bytes are."""
    site, instance = request.site, request.site.instance
    found = Storage.objects.using(instance.alias).order_by("created_at", "id")[:_MOST_STORAGES]
    return pages.page(
        request,
        "storages.html",
        title="Storages",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Storages")),
        code=Code(f'ln.Storage.select().order_by("created_at", "id")[:{_MOST_STORAGES}]'),
        storages=[{"record": one, "root": instance.root_of(one), "is_own": instance.is_own(one.id)} for one in found],
    )


def storage(request: Request, id: str) -> HttpResponse:
    """Show the newest files of a storage."""
    site, instance = request.site, request.site.instance
    found: Storage | None = Storage.objects.using(instance.alias).filter(id=id).first()
    if found is None:
        raise responses.not_found("storage")
    return pages.page(
        request,
        "storage.html",
        title="Storage",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Storages", site.url("/storages")), Crumb(found.id)),
        code=Code(copied_code.last_files(_FEW, storage_id=found.id).python),
        storage=found,
        root=instance.root_of(found),
        is_own=instance.is_own(found.id),
        rows=_newest(request, storage_id=found.id),
    )
