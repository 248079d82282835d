"""Search: an id, the beginning of one, or a digest opens its record at once; other text finds names."""

from __future__ import annotations

import re
from typing import Any, Final

from django.http import HttpResponse

from lamindb.models import File, Run, Storage, Transform
from lamindb.web import copied_code, pages, queries, records, responses
from lamindb.web.application import Request
from lamindb.web.pages import Code, Crumb

_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HASH: Final = re.compile(r"[0-9A-Za-z_-]{22}", re.ASCII)
_FEW: Final = 20
_MOST_TEXT: Final = 300


def show(request: Request) -> HttpResponse:
    """Show what a text finds."""
    site = request.site
    alias = site.instance.alias
    text = request.GET.get("q", "").strip()[:_MOST_TEXT]
    begun = records.beginning_with(alias, text, (File, Run, Transform, Storage))
    whole = [one for one in begun if one[1] == text] or (begun if len(begun) == 1 else [])
    place = f"/{whole[0][0].__name__.lower()}s/{whole[0][1]}" if whole else _place_by_digest(alias, text)
    if place is not None:
        return responses.see_other(site.url(place))
    is_runs = request.GET.get("kind") == "runs"
    if begun:
        found = _records(alias, begun)
    else:
        found = queries.search(site.instance, text, _FEW, runs=is_runs) if text else queries.Found()
    return pages.page(
        request,
        "search.html",
        title=f"Search: {text}" if text else "Search",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Search")),
        code=_codes(text, found, is_runs=is_runs, is_id=bool(begun)) if text else None,
        is_runs=is_runs,
        is_id=bool(begun),
        text=text,
        most=_FEW,
        rows=queries.with_states(site.instance, found.files),
        runs=found.runs,
        transforms=found.transforms,
        users=found.users,
        is_cut=found.is_cut,
    )


def _records(alias: str, begun: list[tuple[Any, str]]) -> queries.Found:
    """Return the first of several records whose ids begin alike."""
    related: dict[Any, tuple[str, ...]] = {
        File: ("transform", "created_by"),
        Run: ("transform", "created_by"),
        Transform: ("created_by",),
    }
    found = {}
    for model, with_them in related.items():
        ids = [record_id for kind, record_id in begun if kind is model][: records.MOST]
        query = model.objects.using(alias).select_related(*with_them)
        found[f"{model.__name__.lower()}s"] = list(query.filter(id__in=ids).order_by("id")) if ids else []
    is_cut = any(sum(kind is model for kind, _ in begun) > records.MOST for model in related)
    return queries.Found(**found, is_cut=is_cut)


def _codes(text: str, found: queries.Found, *, is_runs: bool, is_id: bool) -> list[Code]:
    """Return what gives each kind of record that was found; without any, what looks for it."""
    parts = {"Files": found.files, "Transforms": found.transforms, "Runs": found.runs, "Users": found.users}
    shown = [part for part, some in parts.items() if some] or ["Runs" if is_runs else "Files"]
    return [copied_code.by_id(part, text, records.MOST) if is_id else copied_code.search(part, text) for part in shown]


def _place_by_digest(alias: str, text: str) -> str | None:
    """Return the path of the newest file whose digest a text is."""
    name = "digest" if _DIGEST.fullmatch(text) else "hash" if _HASH.fullmatch(text) else ""
    file = File.objects.using(alias).filter(**{name: text}).order_by("-id").first() if name else None
    return f"/files/{file.id}" if file is not None else None
