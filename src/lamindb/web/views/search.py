"""Search: an id or a digest opens its record at once, other text finds names."""

from __future__ import annotations

import re
from typing import Any, Final

from django.http import HttpResponse, HttpResponseRedirect

from lamindb.db import database
from lamindb.lineage import sql
from lamindb.models import File, Run, Storage, Transform
from lamindb.web import copied_code, pages, queries
from lamindb.web.application import Request
from lamindb.web.pages import Code, Crumb

_ID: Final = re.compile(r"[0-9A-Za-z]{8,20}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HASH: Final = re.compile(r"[0-9A-Za-z_-]{22}", re.ASCII)
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
    is_runs = request.GET.get("kind") == "runs"
    found = queries.search(site.instance, text, _FEW, runs=is_runs) if text else queries.Found()
    return pages.page(
        request,
        "search.html",
        title=f"Search: {text}" if text else "Search",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Search")),
        code=_codes(text, found, is_runs=is_runs) if text else None,
        is_runs=is_runs,
        text=text,
        rows=queries.with_states(site.instance, found.files),
        runs=found.runs,
        transforms=found.transforms,
        users=found.users,
        is_cut=found.is_cut,
    )


def _codes(text: str, found: queries.Found, *, is_runs: bool) -> list[Code]:
    """Return what gives each kind of record that was found; without any, what looks for it."""
    parts = {"Files": found.files, "Transforms": found.transforms, "Runs": found.runs, "Users": found.users}
    shown = [part for part, records in parts.items() if records] or ["Runs" if is_runs else "Files"]
    return [copied_code.search(part, text) for part in shown]


def _place(alias: str, text: str) -> str | None:
    """Return the path of the record whose id, or digest, a text is; a beginning will do if it is one only."""
    if _DIGEST.fullmatch(text):
        file = File.objects.using(alias).filter(digest=text).order_by("-id").first()
        return f"/files/{file.id}" if file is not None else None
    if _HASH.fullmatch(text):
        file = File.objects.using(alias).filter(hash=text).order_by("-id").first()
        return f"/files/{file.id}" if file is not None else None
    if not _ID.fullmatch(text):
        return None
    whole: dict[int, tuple[tuple[Any, str], ...]] = {
        20: ((File, "files"), (Run, "runs")),
        16: ((Transform, "transforms"),),
        8: ((Storage, "storages"),),
    }
    exact = [(model, folder, "id = %s", [text]) for model, folder in whole.get(len(text), ())]
    near = []
    if len(text) < 20 and any(letter.isdigit() for letter in text):
        near = [(model, folder, "id >= %s AND id < %s", [text, f"{text}~"]) for model, folder in whole[20]]
    asked = [*exact, *near]
    if not asked:
        return None
    # One statement for all, each with its number.
    arms = (
        f"SELECT * FROM (SELECT {n} AS arm, id FROM {model._meta.db_table} WHERE {condition} ORDER BY id LIMIT 2) a{n}"
        for n, (model, _, condition, _) in enumerate(asked)
    )
    found: list[list[str]] = [[] for _ in asked]
    for arm, record_id in sql.fetch(
        database.connection(alias), " UNION ALL ".join(arms), [one for *_, params in asked for one in params]
    ):
        found[arm].append(record_id)
    only = (f"/{folder}/{ids[0]}" for (_, folder, *_), ids in zip(asked, found, strict=True) if len(ids) == 1)
    return next(only, None)
