"""The list of files, and the tree of their keys."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse

from lamindb.core.text import printable
from lamindb.models import Transform, User
from lamindb.records.open_instance import Instance
from lamindb.web import copied_code, filters, pages, queries
from lamindb.web.application import Request
from lamindb.web.filters import Chip, Field, Menu
from lamindb.web.pages import Crumb
from lamindb.web.queries import FileFilter

_COMMON: Final = (".csv", ".parquet", ".h5ad", ".png", ".ipynb", ".json", ".tsv", ".html", ".fastq.gz", ".txt")
"""The suffixes that are offered first, where files have them."""
_OFFERED: Final = 12
_STATES: Final = {"stale": "stale", "flagged": "flagged", "affected": "affected", "trash": "in trash"}


def index(request: Request) -> HttpResponse:
    """Show files, the newest first."""
    site, menu = request.site, Menu(request.site.url("/files"), pages.parameters(request))
    user = _user(site.instance.alias, menu.value("who"))
    made_by = _transform(site.instance.alias, menu.value("transform"))
    chosen = FileFilter(
        folder=menu.value("folder"),
        suffix=_dotted(menu.value("type")),
        transform_id=menu.value("transform"),
        user_id=user.id if user is not None else copied_code.UNKNOWN if menu.value("who") else "",
        storage_id=menu.value("storage"),
        since=menu.day("since"),
        until=menu.day("until"),
        state=menu.one_of("state", _STATES),
        old=menu.value("old") == "1",
    )
    after = pages.place_in_list(request)
    found = queries.files(site.instance, chosen, after)
    return pages.page(
        request,
        "files.html",
        title="Files",
        section="files",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Files")),
        code=copied_code.files(chosen, after, handle=menu.value("who")),
        lead=_lead(chosen),
        chips=_chips(site.instance, menu, chosen, made_by, found.rows),
        unknown=menu.unknown(),
        rows=queries.with_states(site.instance, found.rows, known=chosen.state),
        after=found.after,
        is_cut=found.is_cut,
        is_filtered=chosen.is_any,
        in_trash=chosen.state == "trash",
    )


def _lead(chosen: FileFilter) -> str:
    if chosen.state == "trash":
        return "In the trash, the last trashed first. `lamin trash restore KEY` brings one back."
    if chosen.state == "stale":
        return "Made from a version that another one has replaced since."
    if chosen.state == "flagged":
        return "Flagged as wrong. What was derived from them is affected."
    if chosen.state == "affected":
        return "Made from files that are flagged as wrong, also some steps before."
    return "Newest first, all versions." if chosen.old else "Newest first, current versions."


def _chips(
    instance: Instance, menu: Menu, chosen: FileFilter, made_by: Transform | None, rows: list[Any]
) -> list[Chip]:
    near = {(row.transform_id, row.transform.name) for row in rows if row.transform is not None}
    people = {(row.created_by.handle, row.created_by.handle) for row in rows if row.created_by is not None}
    known = queries.suffixes(instance)
    here = [row.suffix for row in rows if row.suffix]
    suffixes = list(dict.fromkeys([*here, *(one for one in _COMMON if one in known), *known]))[:_OFFERED]
    folder = Field("folder", "Under this folder", menu.value("folder"), hint="study/raw")
    suffix = Field("type", "A suffix", menu.value("type"), hint=".csv")
    return [
        menu.choice("Folder", "folder", _folders(rows, chosen.folder), folder),
        menu.choice("Type", "type", [(one, one) for one in suffixes], suffix),
        menu.choice(
            "Made by",
            "transform",
            sorted(near, key=lambda pair: pair[1])[:_OFFERED],
            shown=made_by.name if made_by is not None else menu.value("transform"),
        ),
        menu.choice("Who", "who", sorted(people)[:_OFFERED], Field("who", "A handle", menu.value("who"), hint="ada")),
        filters.when_chip(menu),
        menu.choice("State", "state", [*_STATES.items()], shown=_STATES.get(menu.value("state"), "any")),
        menu.switch("Old versions", "old"),
    ]


def _folders(rows: list[Any], folder: str) -> list[tuple[str, str]]:
    """Return the folders that are offered: those of the listed files, below the chosen one."""
    start = f"{folder.rstrip('/')}/" if folder else ""
    keys = (row.key[len(start) :] for row in rows if row.key and row.key.startswith(start))
    names = sorted({key.partition("/")[0] for key in keys if "/" in key})
    return [(f"{start}{name}", printable(f"{start}{name}/")) for name in names[:_OFFERED]]


def _dotted(suffix: str) -> str:
    return suffix if not suffix or suffix.startswith(".") else f".{suffix}"


def _user(alias: str, handle: str) -> User | None:
    return User.objects.using(alias).filter(handle=handle).first() if handle else None


def _transform(alias: str, transform_id: str) -> Transform | None:
    return Transform.objects.using(alias).filter(id=transform_id).first() if transform_id else None


def folders(request: Request) -> HttpResponse:
    """Show one level of the tree of keys."""
    site = request.site
    folder = request.GET.get("p", "").strip("/")
    children, after = queries.children(site.instance, folder, request.GET.get("after", ""))
    found = [one.file for one in children if one.file is not None]
    states = {row.file.id: row.states for row in queries.with_states(site.instance, found)}
    menu = Menu(site.url("/folders"), {})
    parts = folder.split("/") if folder else []
    crumbs = [Crumb("Home", site.url("/")), Crumb("Folders", menu.link() if parts else "")]
    crumbs += [
        Crumb(name, menu.link(p="/".join(parts[: n + 1])) if n + 1 < len(parts) else "") for n, name in enumerate(parts)
    ]
    rows = [
        {
            "name": one.name,
            "link": menu.link(p=one.folder.rstrip("/")) if one.folder else "",
            "file": one.file,
            "states": states.get(one.file.id, ()) if one.file is not None else (),
        }
        for one in children
    ]
    prefix = f"{folder}/" if folder else ""
    return pages.page(
        request,
        "folders.html",
        title=f"{folder}/" if folder else "Folders",
        section="files",
        crumbs=tuple(crumbs),
        code=copied_code.level(prefix, request.GET.get("after", ""), after) if children else None,
        rows=rows,
        after=after,
        folder=prefix,
        listed=Menu(site.url("/files"), {}).link(folder=folder),
    )
