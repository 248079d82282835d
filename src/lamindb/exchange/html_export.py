"""One HTML file for a project, or a part of it: no network, no server, searchable, and readable without scripts.

Each record is a section of the file, shown by its anchor. The browser is told to load nothing and to run only the
script that is in it, by its digest: a name that is HTML would stay text even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from lamindb.core import processes
from lamindb.core.text import printable, size_text
from lamindb.errors import InvalidInputError
from lamindb.exchange.markup import shown, when
from lamindb.exchange.pages import Page, Pages, Part
from lamindb.exchange.previews import preview_of
from lamindb.exchange.privacy import Privacy, known_hosts
from lamindb.exchange.project import Project, read_project
from lamindb.exchange.stored_texts import StoredTexts
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, Node
from lamindb.lineage.render import labels
from lamindb.lineage.render.page_svg import page_style_sheet
from lamindb.lineage.render.svg import OTHER_ICON, STATUS_SIGNS, TYPE_ICONS
from lamindb.models.base import now

MAX_BYTES = 20_000_000
_MARGIN = 4_096
_ORDER = ("preview", "log", "old version", "code")
"""What is left out first if the file would be too large."""


@dataclass(frozen=True, slots=True)
class Export:
    """A finished file.

    Attributes:
        text: The HTML.
        n_files: How many files it has, of all versions.
        n_runs: How many runs it has.
        left_out: What was left out to stay below the size, with its number; empty if nothing was.
    """

    text: str
    n_files: int
    n_runs: int
    left_out: dict[str, int]


def export_html(
    records: Iterable[Any] = (),
    *,
    max_bytes: int = MAX_BYTES,
    with_hosts: bool = False,
    with_emails: bool = False,
    with_paths: bool = False,
) -> Export:
    """Return a project as one HTML file.

    Args:
        records: Files, runs and transforms: what is before and after them is included. None means the whole project.
        max_bytes: The maximum size. Previews, then logs, then old versions, then code are left out to stay below.
        with_hosts: Keep host names and addresses in texts; links to other hosts are never made.
        with_emails: Keep e-mail addresses.
        with_paths: Keep absolute paths; otherwise their last part is shown.

    Raises:
        InvalidInputError: There is more than a file of this size can hold.
        NoResultFound: The instance is empty.
    """
    project = read_project(records)
    hosts = known_hosts([processes.host(), *(run.host for run in project.runs.values())])
    privacy = Privacy(with_hosts, with_emails, with_paths, hosts)
    pages = Pages(project, privacy)
    texts = StoredTexts(privacy)
    made = list(_record_pages(project, pages, texts, privacy))
    made += texts.pages
    script, css = _static("export.js"), _static("export.css") + page_style_sheet()
    made += [*pages.lists(), pages.lineage()]
    fixed = [script, css, _data(pages.graph, {page.anchor for page in made}, pages), _home(project, pages, privacy, {})]
    kept, left_out = _fitting(made, max_bytes - sum(map(_bytes, fixed)) - _MARGIN)
    data = _data(pages.graph, {page.anchor for page, _ in kept}, pages)
    home = _home(project, pages, privacy, left_out)
    sections = [*(_section(*one) for one in kept), home]
    if len(kept) < len(made):
        anchors = {page.anchor for page, _ in kept}
        sections = [_without_links(section, anchors) for section in sections]
    text = _document(project, script, css, data, sections)
    size = len(text.encode())
    if size > max_bytes:
        raise InvalidInputError(
            f"the file would have {size_text(size)}, and at most {size_text(max_bytes)} are allowed: "
            "name the keys or runs to show, or allow more"
        )
    return Export(text, len(project.files), len(project.runs), left_out)


def _record_pages(project: Project, pages: Pages, texts: StoredTexts, privacy: Privacy) -> Iterator[Page]:
    """Yield the pages of runs, then of transforms, which know the code of their runs, then of files."""
    for _, run in sorted(project.runs.items(), reverse=True):
        yield pages.run_page(run, texts.of(run))
    codes: dict[str, dict[int, str]] = {}
    for run in project.runs.values():
        anchor = texts.code_anchor(run)
        if anchor is not None and run.revision is not None:
            codes.setdefault(run.transform_id, {})[run.revision] = anchor
    for transform_id, transform in sorted(project.transforms.items()):
        yield pages.transform_page(transform, codes.get(transform_id, {}))
    for _, file in sorted(project.files.items()):
        preview = preview_of(file, project.instance, privacy) if file.is_latest else None
        yield pages.file_page(file, preview)


def _fitting(pages: list[Page], max_bytes: int) -> tuple[list[tuple[Page, frozenset[str]]], dict[str, int]]:
    """Return the pages, each with the kinds of parts to leave out of it, and the numbers of what is left out."""
    size = sum(_size(page, frozenset()) for page in pages)
    without: set[str] = set()
    for kind in _ORDER:
        if size <= max_bytes:
            break
        without.add(kind)
        size = sum(_size(page, frozenset(without)) for page in pages if not (page.is_old and "old version" in without))
    gone = frozenset(without)
    left_out = Counter(
        part.kind for page in pages for part in page.content if isinstance(part, Part) and part.kind in gone
    )
    kept = [(page, gone) for page in pages if not (page.is_old and "old version" in gone)]
    if len(kept) < len(pages):
        left_out["old version"] = len(pages) - len(kept)
    return kept, dict(left_out)


def _size(page: Page, without: frozenset[str]) -> int:
    return sum(map(_bytes, _pieces(page, without))) + 100


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _pieces(page: Page, without: frozenset[str]) -> Iterator[str]:
    for one in page.content:
        if isinstance(one, Part):
            yield one.without if one.kind in without else one.html
        else:
            yield one


def _section(page: Page, without: frozenset[str]) -> str:
    return f'<section class="page" id="{page.anchor}" tabindex="-1">{"".join(_pieces(page, without))}</section>'


_LINK = re.compile(r'<a href="#(f-[0-9A-Za-z]+)"[^>]*>(.*?)</a>')


def _without_links(section: str, anchors: set[str]) -> str:
    """Return a section in which links to files that were left out are plain text."""
    return _LINK.sub(lambda found: found.group() if found[1] in anchors else found[2], section)


def _home(project: Project, pages: Pages, privacy: Privacy, left_out: dict[str, int]) -> str:
    graph = pages.graph
    what = ""
    if project.asked:
        names = ", ".join(shown(privacy.line(_name(one))) for one in project.asked[:5])
        more = f" and {len(project.asked) - 5:,} more" if len(project.asked) > 5 else ""
        what = f"<p>A part of the project: what is before and after {names}{more}.</p>"
    gone = ", ".join(labels.counted(count, kind) for kind, count in left_out.items())
    notes = [
        f"<p>Left out to keep this file small: {gone}.</p>" if gone else "",
        f"<p>Left out for privacy: {', '.join(privacy.left_out())}.</p>" if privacy.left_out() else "",
    ]
    name = shown(project.instance.name)
    return (
        f'<section class="page" id="home" tabindex="-1"><h1>{name}</h1>'
        f'<p class="lead">{labels.summary(graph)}, as of {when(now())} UTC</p>'
        f'<div class="prose">{what}{"".join(notes)}</div>'
        f'<div class="thirds">{pages.attention()}{pages.newest()}</div></section>'
    )


def _name(record: Any) -> str:
    return str(getattr(record, "key", None) or record.name or record.id)


def _data(graph: LineageGraph, anchors: set[str], pages: Pages) -> str:
    """Return what the script needs to search and to draw, as JSON that cannot end its element."""
    number = {node.id: index for index, node in enumerate(graph.nodes())}
    transforms = [
        {"i": one.id, "n": printable(pages.privacy.line(one.name)), "a": f"t-{one.id}", "x": printable(one.type)}
        for one in pages.project.transforms.values()
    ]
    data = {
        "nodes": [_node(node, pages.anchor(node), anchors) for node in graph.nodes()],
        "edges": [[number[edge.source], number[edge.target]] for edge in graph.edges],
        "transforms": transforms,
        "icons": {**TYPE_ICONS, "": OTHER_ICON},
        "signs": STATUS_SIGNS,
    }
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _node(node: Node, anchor: str, anchors: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"i": node.id, "a": anchor if anchor in anchors else ""}
    if isinstance(node, FileNode):
        folder = labels.file_folder(node)
        found |= {"n": labels.file_name(node), "u": folder, "f": labels.file_facts(node)}
        found |= {"s": labels.suffix_label(node.suffix), "c": labels.suffix_kind(node.suffix)}
        if labels.is_older(node):
            found["o"] = 1
        return found
    found |= {"n": labels.run_name(node), "v": labels.run_version(node), "f": labels.run_facts(node)}
    return found | {"t": node.transform_type, "st": node.status or ""}


def _static(name: str) -> str:
    return (resources.files("lamindb.exchange") / "static" / name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _document(project: Project, script: str, css: str, data: str, sections: Iterable[str]) -> str:
    name = shown(project.instance.name)
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(css)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    links = "".join(
        f'<a href="#{anchor}">{title}</a>'
        for anchor, title in ((name.lower(), name) for name in ("Files", "Runs", "Transforms", "Lineage"))
    )
    brand = (
        '<svg viewBox="0 0 24 24" fill="none" stroke-width="2.2" stroke-linecap="round" aria-hidden="true">'
        '<path stroke="currentColor" d="M6 5v9a5 5 0 0 0 5 5h3"/><path class="accent" d="M6 8h4a4 4 0 0 1 4 4"/>'
        '<circle cx="6" cy="5" r="2.4" fill="currentColor"/><circle class="dot" cx="17" cy="19" r="2.8"/></svg>'
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{name}</title>'
        f"<style>{css}</style></head>\n<body>"
        f'<header class="top"><a class="brand" href="#home">{brand}<span>{name}</span></a>'
        f'<nav aria-label="Main">{links}</nav><div class="find" role="search" hidden>'
        '<label class="vh" for="q">Search files, runs and transforms</label>'
        '<input id="q" type="search" placeholder="Search" autocomplete="off" spellcheck="false"><kbd>/</kbd></div>'
        '<button id="theme" class="button" type="button" hidden>Dark</button></header>\n<main>\n'
        '<section id="found" hidden aria-live="polite"></section>\n'
        + "\n".join(sections)
        + f"\n</main><footer>Times are UTC. Made by lamindb; this file loads nothing.</footer>\n"
        f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script></body></html>\n'
    )
