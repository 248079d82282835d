"""Search: an id or a digest opens its record at once, other text finds names."""

from __future__ import annotations

import re
from typing import Any, Final

from django.db.models import Q
from django.http import HttpResponse, HttpResponseRedirect

from lamindb.models import File, Run, Storage, Transform, User
from lamindb.web import copied_code, pages, queries
from lamindb.web.application import Request
from lamindb.web.pages import Code, Crumb

_ID: Final = re.compile(r"[0-9A-Za-z]{8,20}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FEW: Final = 20
_MOST_TEXT: Final = 300


def show(request: Request) -> HttpResponse:
    """Show what a text finds."""
    site = request.site
    text = request.GET.get("q", "").strip()[:_MOST_TEXT]
    place = _place(site.instance.alias, text)
    if place is not None:
        response = HttpResponseRedirect(site.url(place))
        response.status_code = 303
        return response
    found = queries.search(site.instance, text, _FEW) if text else queries.Found()
    return pages.page(
        request,
        "search.html",
        title=f"Search: {text}" if text else "Search",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Search")),
        code=Code(copied_code.call("ln.File.search", text), copied_code.command("search", "--", text))
        if text
        else None,
        text=text,
        rows=queries.with_states(site.instance, found.files),
        runs=found.runs,
        transforms=found.transforms,
        users=found.users,
        is_cut=found.is_cut,
    )


def _place(alias: str, text: str) -> str | None:
    """Return the path of the record whose id, or digest, a text is; a beginning will do if it is one only."""
    if _DIGEST.fullmatch(text):
        file = File.objects.using(alias).filter(digest=text).order_by("-id").first()
        return f"/files/{file.id}" if file is not None else None
    if not _ID.fullmatch(text):
        return None
    kinds: tuple[tuple[Any, str], ...] = (
        (File, "files"),
        (Run, "runs"),
        (Transform, "transforms"),
        (Storage, "storages"),
    )
    for model, folder in kinds:
        found = model.objects.using(alias).filter(id=text).values_list("id", flat=True).first()
        if found is not None:
            return f"/{folder}/{found}"
    for model, folder in kinds[:3]:
        near = list(model.objects.using(alias).filter(id__gte=text, id__lt=f"{text}~").order_by("id")[:2])
        if len(near) == 1:
            return f"/{folder}/{near[0].id}"
    user = User.objects.using(alias).filter(Q(id=text)).first()
    return f"/users/{user.handle}" if user is not None else None
