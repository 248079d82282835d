"""The lineage of a record as a picture, a tree and a table; the way between two records; what a record became."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Final

from django.http import HttpResponse
from django.utils.safestring import mark_safe

from lamindb.core.text import printable
from lamindb.db import database
from lamindb.errors import InvalidInputError
from lamindb.lineage import excerpt_graph, impacts, query, sql, stale_marks, subgraph
from lamindb.lineage.excerpt import MOST_NODES, NODES, PAGE, Excerpt, Form, Grouping, Mark
from lamindb.lineage.excerpt_graph import MOST_COUNTED, ExcerptGraph
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, Node, RunNode
from lamindb.lineage.render import labels
from lamindb.lineage.render.page_svg import Links, draw_page
from lamindb.lineage.render.picture import LineagePicture
from lamindb.lineage.render.tree import Direction
from lamindb.models import File, Run, Transform
from lamindb.models.base import now
from lamindb.web import copied_code, lineage_tree, pages, queries, records, responses
from lamindb.web.application import Request
from lamindb.web.pages import Code, Crumb

_PATIENCE_SECONDS: Final = 2.0
_DIRECTIONS: Final[dict[Direction, str]] = {"up": "Came from", "both": "Both", "down": "Became"}
_GROUPINGS: Final[dict[Grouping, str]] = {
    "none": "Each file",
    "folder": "Folder",
    "transform": "Transform",
    "parent": "Parent run",
}
_FORMS: Final[dict[Form, str]] = {"picture": "Picture", "tree": "Tree", "table": "Table"}
_MARKS: Final[dict[Mark, str]] = {"way": "The way", "before": "What came before", "after": "What came after"}
_SAVED: Final = {"svg": "image/svg+xml", "json": "application/json", "txt": "text/plain; charset=utf-8"}
_ENDS: Final = ("From", "To")
_FEW: Final = 10
_MOST_GROUPS: Final = 50
_MOST_FILES: Final = 20
_MODELS: Final[dict[str, Any]] = {"file": File, "run": Run, "transform": Transform}
_PLACES: Final = {"file": "/files/", "run": "/runs/", "transform": "/transforms/"}


def index(request: Request) -> HttpResponse:
    """Ask whose lineage to show, and offer the newest files; with `of=`, go to the lineage of a record."""
    site = request.site
    given = request.GET.get("of", "").strip()
    named = records.named(site.instance.alias, given)
    if named.record is not None:
        return responses.see_other(f"{_place(site, named.record)}/lineage")
    current = File.objects.using(site.instance.alias).filter(is_latest=True, trashed_at__isnull=True)
    return pages.page(
        request,
        "lineage_start.html",
        title="Lineage",
        section="lineage",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Lineage")),
        given=given,
        problem=named.problem("Show the lineage of") if given else "",
        files=list(current.select_related("transform").order_by("-created_at", "-id")[:_FEW]),
        status=404 if given else 200,
    )


_NOT_LOOKED_FOR: Final = "Older staleness was not looked for: a file without the mark may be stale from far."
_NOTHING: Final = {
    "up": "It was made from nothing that is known.",
    "down": "Nothing was made from it.",
    "both": "It was made from nothing that is known, and nothing was made from it.",
}
_ONE_SIDE: Final = {"up": ", not what became of it", "down": ", not what it came from"}


def of_file(request: Request, id: str) -> HttpResponse:
    """Show the lineage of a file."""
    return _show(request, "file", id)


def of_run(request: Request, id: str) -> HttpResponse:
    """Show the lineage of a run."""
    return _show(request, "run", id)


def of_transform(request: Request, id: str) -> HttpResponse:
    """Show the lineage of a transform."""
    return _show(request, "transform", id)


def _show(request: Request, kind: str, record_id: str) -> HttpResponse:
    instance = request.site.instance
    related = ("transform",) if kind == "run" else ()
    record = _MODELS[kind].objects.using(instance.alias).select_related(*related).filter(id=record_id).first()
    if record is None:
        raise records.missing(instance.alias, _MODELS[kind], record_id)
    try:
        excerpt = Excerpt.from_query(kind, record_id, pages.parameters(request))
    except InvalidInputError as error:
        raise responses.PageError(400, f"In this address, {error}.") from error
    connection = database.connection(instance.alias)
    found = None
    with queries.time_limit(instance, _PATIENCE_SECONDS):
        found = excerpt_graph.read(connection, excerpt)
    has_marks = found is not None
    if found is None:
        found = excerpt_graph.read(connection, excerpt, has_marks=False)
    saved = request.GET.get("save", "")
    if saved:
        return _saved(record, excerpt, found, saved)
    title = _title(record)
    return pages.page(
        request,
        "lineage.html",
        title=f"Lineage of {title}",
        section="lineage",
        crumbs=_crumbs(request, record),
        code=_code(record, excerpt, found),
        name=title,
        record=record,
        place=request.site.url(f"{_PLACES[kind]}{record_id}"),
        excerpt=excerpt,
        graph=found.graph,
        lead=_lead(record, excerpt, found),
        nothing=_nothing(record, excerpt),
        notes=_notes(record, excerpt, found, has_marks=has_marks),
        **_controls(request, record, excerpt),
        **_drawings(request, excerpt, found),
        **_panel(request, excerpt, found),
    )


def _title(record: Any) -> str:
    if isinstance(record, File):
        return str(record.key or record.name or record.id)
    return str(record.transform.name if isinstance(record, Run) else record.name)


def _crumbs(request: Request, record: Any) -> tuple[Crumb, ...]:
    kind = record._meta.concrete_model._meta.model_name
    url = request.site.url
    title = _title(record)
    name = title.rstrip("/").rpartition("/")[2] if kind == "file" else title
    return (
        Crumb("Home", url("/")),
        Crumb(f"{kind.capitalize()}s", url(f"/{kind}s")),
        Crumb(name, url(f"{_PLACES[kind]}{record.id}")),
        Crumb("Lineage"),
    )


def _was_there(record: Any, excerpt: Excerpt) -> bool:
    """Return False for a record that was made after the day that is shown."""
    until = excerpt.until()
    return until is None or record.created_at <= until


def _nothing(record: Any, excerpt: Excerpt) -> str:
    """Return what stands in place of a tree without branches."""
    if not _was_there(record, excerpt):
        return "It was not there yet."
    return "No generation is shown." if excerpt.depth == 0 else _NOTHING[excerpt.direction]


def _lead(record: Any, excerpt: Excerpt, found: ExcerptGraph) -> str:
    if excerpt.at is not None and not _was_there(record, excerpt):
        return f"It was not there yet on {excerpt.at.isoformat()[:10]}"
    if not len(found.graph):
        return "Nothing is shown"
    shown = labels.summary(found.graph).replace(" · ", " and ")
    stubs = sum(count for counts in (found.graph.hidden_up, found.graph.hidden_down) for count in counts.values())
    if stubs:
        return f"{shown} shown, and more beside them"
    if excerpt.direction == "both" and excerpt.depth != 0:
        return f"{shown} shown, and there is no more"
    return f"{shown} shown{_ONE_SIDE.get(excerpt.direction, '')}"


def _notes(record: Any, excerpt: Excerpt, found: ExcerptGraph, *, has_marks: bool) -> list[str]:
    notes = []
    if not has_marks:
        notes.append("Flagged and affected files are not marked: to find them takes longer than 2 s.")
    if subgraph.NOT_LOOKED_FOR in found.whole.notes:
        notes.append(_NOT_LOOKED_FOR)
    if not excerpt.has_plumbing:
        count = labels.counted(found.n_plumbing, "file")
        hidden = f"{count} between two runs hidden." if found.n_plumbing else "No file is plumbing here."
        notes.append(
            f"{hidden} Plumbing was made by one run and read by one, and has no description, and no key or one in a "
            "folder such as tmp or interim."
        )
    if found.n_more_starts:
        more = f"over {MOST_COUNTED:,}" if found.n_more_starts >= MOST_COUNTED else f"{found.n_more_starts:,}"
        notes.append(f"The newest runs are shown; there are {more} more.")
    if not _was_there(record, excerpt):
        kind = record._meta.concrete_model._meta.model_name
        notes.append(f"This {kind} was not there yet: it was recorded on {record.created_at:%Y-%m-%d %H:%M} UTC.")
    elif excerpt.at is not None:
        is_as_now = f"{excerpt.at.isoformat()[:10]} is in the future: all that is recorded until now is shown."
        notes.append(
            f"{is_as_now if excerpt.is_in_future() else 'As it was recorded then.'} "
            "Stale, flagged and affected are known for today only, and not marked."
        )
    if len(found.graph) >= MOST_NODES:
        notes.append(f"A picture has at most {MOST_NODES} files and runs: group them, or centre on another one.")
    return notes


def _controls(request: Request, record: Any, excerpt: Excerpt) -> dict[str, Any]:
    """Return the controls: links for what is chosen by one click, and a form for the rest."""
    base = request.site.url(request.path_info)

    def link(one: Excerpt) -> str:
        text = one.query()
        return f"{base}?{text}" if text else base

    anew: dict[str, Any] = {"opened": (), "ungrouped": ()}
    kept = {"dir": excerpt.direction, "group": excerpt.group, "sel": excerpt.selected, "as": excerpt.form}
    return {
        "directions": [
            (label, link(replace(excerpt, direction=one, **anew)), one == excerpt.direction)
            for one, label in _DIRECTIONS.items()
        ],
        "groupings": [
            (label, link(replace(excerpt, group=one, **anew)), one == excerpt.group)
            for one, label in _GROUPINGS.items()
        ],
        "forms": [(label, link(replace(excerpt, form=one)), one) for one, label in _FORMS.items()],
        "form": excerpt.form or "auto",
        "at": excerpt.at.isoformat()[:10] if excerpt.at is not None else "",
        "days": (record.created_at.date().isoformat(), now().date().isoformat()),
        "kept": [(name, value) for name, value in kept.items() if value and value not in ("both", "none")],
        "start": base,
        "is_changed": bool(excerpt.query()),
        "saves": [(one.upper(), f"{base}?{_joined(excerpt.query(), f'save={one}')}") for one in _SAVED],
        "picture_link": f"{base}?{_joined(excerpt.query(), 'save=svg')}",
    }


def _joined(*parts: str) -> str:
    return "&".join(filter(None, parts))


def _drawings(request: Request, excerpt: Excerpt, found: ExcerptGraph) -> dict[str, Any]:
    """Return the picture, the tree and the table, as far as they are shown."""
    base = request.site.url(request.path_info)

    @cache
    def at(node_id: str) -> str:
        # Another node has no way to the record yet that would be highlighted.
        return f"{base}?{replace(excerpt, selected=node_id, mark=None).query()}"

    def select(node: Node) -> str:
        group = found.groups.get(node.id)
        if group is not None and node.members > 1:
            return f"{base}?{excerpt.ungrouping(group.key).query()}"
        return at(node.id)

    @cache
    def more(node_id: str, side: str) -> str:
        of_transform = excerpt.kind == "transform" and node_id == excerpt.id
        return f"{base}?{excerpt.opening(node_id, 'up' if of_transform or side == 'up' else 'down').query()}"

    links = Links(select, more, PAGE, excerpt.selected, found.marked(excerpt))
    drawn: dict[str, Any] = {}
    if excerpt.form in (None, "picture"):
        drawing = draw_page(found.graph, links)
        # The drawing escapes every text that it has.
        drawn["picture"] = mark_safe(drawing.text)
        drawn["is_right"] = drawing.focus[0] > 0.5
    own = request.site.url
    if excerpt.form in (None, "tree"):
        drawn["tree"] = lineage_tree.tree(found.graph, own, more)
    if excerpt.form == "table":
        drawn["rows"] = lineage_tree.rows(found.graph, own, more)
    drawn["more_runs"] = more(excerpt.id, "up") if found.n_more_starts else ""
    return drawn


def _panel(request: Request, excerpt: Excerpt, found: ExcerptGraph) -> dict[str, Any]:
    """Return the facts about the selected node, which were read with the graph."""
    base = request.site.url(request.path_info)
    around = found.whole.neighbours()
    wanted = excerpt.selected or excerpt.id
    focus = found.graph.focus_ids()
    node = around.nodes.get(wanted) or (around.nodes[max(focus)] if focus and excerpt.selected is None else None)
    # Both names of what is selected go: a mark is that of a selected node.
    clear = replace(excerpt, selected=None, mark=None).query()
    is_selected = excerpt.selected is not None or excerpt.mark is not None
    cleared = {"clear_link": "?".join(filter(None, [base, clear])) if is_selected else ""}
    if node is None:
        return {"chosen": None, **cleared}
    own = lineage_tree.place(request.site.url, node)
    is_focus = node.id in focus
    made = [one for other in around.before[node.id] if isinstance(one := around.nodes[other], RunNode)]

    def marked(mark: Mark) -> str:
        return f"{base}?{replace(excerpt, selected=node.id, mark=None if excerpt.mark == mark else mark).query()}"

    return {
        **cleared,
        "chosen": node,
        "chosen_is_file": isinstance(node, FileNode),
        "chosen_name": node.title,
        "chosen_version": labels.run_version(node) if isinstance(node, RunNode) else "",
        "chosen_facts": labels.file_facts(node) if isinstance(node, FileNode) else labels.run_facts(node),
        "chosen_states": lineage_tree.states(node),
        "chosen_recall": labels.recall_facts(node) if isinstance(node, FileNode) else [],
        "chosen_link": own,
        "chosen_made": [(one, lineage_tree.place(request.site.url, one)) for one in made[:3]],
        "chosen_is_focus": is_focus,
        "centre_link": f"{own}/lineage",
        "marks": [
            (label, marked(one), one == excerpt.mark) for one, label in _MARKS.items() if one != "way" or not is_focus
        ],
        "impact_link": f"{request.site.url('/lineage/impact')}?id={node.id}",
        "path_place": request.site.url("/lineage/path"),
    }


def _code(record: Any, excerpt: Excerpt, found: ExcerptGraph) -> Code:
    """Return the Python that gives what is shown, and the command where one does."""
    asked = replace(excerpt, selected=None, mark=None, form=None).query()
    arguments = [record.id, asked] if asked else [record.id]
    python = copied_code.call("ln.lineage.part", *arguments)
    is_plain = not excerpt.opened and excerpt.group == "none" and excerpt.has_plumbing and excerpt.at is None
    if not (is_plain and found.is_whole) or not excerpt.depth:
        return Code(python)
    sides = {"up": ["--up"], "down": ["--down"], "both": []}[excerpt.direction]
    limits = ["--depth", str(excerpt.depth), "--max-nodes", str(MOST_NODES), "--no-group"]
    return Code(python, copied_code.command("lineage", record.id, *sides, *limits))


def _saved(record: Any, excerpt: Excerpt, found: ExcerptGraph, form: str) -> HttpResponse:
    """Return the same drawing as a file to save."""
    if form not in _SAVED:
        raise responses.wrong_parameter("save", form, " or ".join(_SAVED))
    picture = LineagePicture(found.whole, excerpt.direction, labels.NOTHING, found.graph, "")
    text = {"svg": picture.to_svg, "json": picture.to_json, "txt": picture.to_text}[form]()
    response = HttpResponse(text, content_type=_SAVED[form])
    response.headers["Content-Disposition"] = f'attachment; filename="lineage-{record.id}.{form}"'
    return response


def path(request: Request) -> HttpResponse:
    """Show the way between two records, everything else gone: a shortest one, or all of them."""
    site = request.site
    given = {name: request.GET.get(name, "").strip() for name in ("a", "b")}
    is_all = request.GET.get("all") == "1"
    values: dict[str, Any] = {"given": given, "is_all": is_all, "problem": "", "picture": "", "ends": []}
    graph = LineageGraph()
    code = None
    named = [records.named(site.instance.alias, text) for text in given.values()]
    ends = [one.record for one in named]
    values["ends"] = [(name, end, _place(site, end)) for name, end in zip(given, ends, strict=True) if end is not None]
    if all(given.values()):
        values["problem"] = " ".join(filter(None, (one.problem(at) for one, at in zip(named, _ENDS, strict=True))))
        if not values["problem"]:
            graph, values["problem"] = _way(request, *ends, is_all=is_all)
            if ends[0] == ends[1]:
                graph, values["problem"] = LineageGraph(), "Both are the same: name two records."
            name = "ln.lineage.between" if is_all else "ln.lineage.path"
            words = ["path", ends[0].id, ends[1].id, *(["--all"] if is_all else [])]
            code = Code(copied_code.call(name, ends[0].id, ends[1].id), copied_code.command(*words))
    if len(graph) and len(graph) <= MOST_NODES:
        links = Links(lambda node: lineage_tree.place(site.url, node) + "/lineage", lambda *_: "", marked=())
        values["picture"] = mark_safe(draw_page(graph, links).text)
        values["is_right"] = True
        values["tree"] = lineage_tree.tree(graph, site.url, lambda *_: "", direction="up")
    return pages.page(
        request,
        "lineage_path.html",
        title="Way between two records",
        section="lineage",
        crumbs=(Crumb("Home", site.url("/")), Crumb("Lineage", site.url("/lineage")), Crumb("Way between two records")),
        code=code,
        graph=graph,
        summary=labels.summary(graph),
        **values,
    )


def _way(request: Request, first: Any, second: Any, *, is_all: bool) -> tuple[LineageGraph, str]:
    """Return the way from one record to the other, in either order, and what is wrong with it."""
    graph = LineageGraph()
    find = subgraph.between_of if is_all else subgraph.path_of
    with queries.time_limit(request.site.instance, _PATIENCE_SECONDS) as clock:
        graph = find(first, second, looks=stale_marks.PAGE_LOOKS)
        if not len(graph):
            graph = find(second, first, looks=stale_marks.PAGE_LOOKS)
    if clock.is_over:
        return LineageGraph(), "It takes longer than 2 s to find out: the command below does."
    if not len(graph):
        return graph, "Neither was made from the other."
    return graph, f"These are more than {MOST_NODES} files and runs." if len(graph) > MOST_NODES else ""


def _place(site: Any, record: Any) -> str:
    kind = record._meta.concrete_model._meta.model_name
    return str(site.url(f"{_PLACES[kind]}{record.id}"))


def impact(request: Request) -> HttpResponse:
    """Show what was derived from a record, and by whom."""
    site = request.site
    given = request.GET.get("id", "").strip()
    named = records.named(site.instance.alias, given)
    record = named.record
    if record is None:
        return _asked(request, given, named.problem("If this changes") if given else "")
    if given != record.id:
        return responses.see_other(f"{site.url('/lineage/impact')}?id={record.id}")
    found: impacts.Impact | None = None
    is_over = False
    with queries.time_limit(site.instance, _PATIENCE_SECONDS) as clock:
        walk = query.walk_from(record, is_up=False, all_producers=True)
        files, runs = sql.reached_both(database.connection(site.instance.alias), walk, MOST_COUNTED + 1)
        is_over = len(files) + len(runs) > MOST_COUNTED
        if not is_over:
            found = impacts.of_reached(record, walk, files, runs, looks=stale_marks.PAGE_LOOKS, named=impacts.NAMED + 1)
    values: dict[str, Any] = {"record": record, "name": _title(record), "place": _place(site, record)}
    if found is not None:
        people = found.people()
        values["groups"] = [
            {
                "group": group,
                "users": ", ".join(map(printable, group.users)),
                "files": [(file, people[file.id], lineage_tree.states(file)) for file in group.files[:_MOST_FILES]],
                "more": max(0, len(group.files) - _MOST_FILES),
            }
            for group in found.groups[:_MOST_GROUPS]
        ]
        values["hints"] = [*found.hints("each version has a page of its own"), *found.graph.notes]
        values["versions"] = found.versions_read[:_MOST_FILES]
        if len(found.graph) <= NODES:
            links = Links(lambda node: lineage_tree.place(site.url, node) + "/lineage", lambda *_: "")
            values["picture"] = mark_safe(draw_page(found.graph, links).text) if len(found.graph) > 1 else ""
    n_files = len(found.files) if found is not None else 0
    kind = record._meta.concrete_model._meta.model_name
    return pages.page(
        request,
        "lineage_impact.html",
        title=f"What would change with {_title(record)}",
        section="lineage",
        crumbs=(*_crumbs(request, record)[:-1], Crumb("What would change")),
        code=Code(copied_code.call("ln.lineage.impact", record.id), copied_code.command("impact", record.id)),
        found=found,
        is_file=isinstance(record, File),
        n_files=labels.counted(n_files, "file"),
        over=f"over {MOST_COUNTED:,}" if is_over else "",
        took_too_long=clock.is_over,
        after_link=site.url(f"{_PLACES[kind]}{record.id}/lineage") + "?dir=down&depth=2&group=transform",
        **values,
    )


def _asked(request: Request, given: str, problem: str) -> HttpResponse:
    """Ask which record is meant."""
    url = request.site.url
    return pages.page(
        request,
        "lineage_impact_of.html",
        title="What would change",
        section="lineage",
        crumbs=(Crumb("Home", url("/")), Crumb("Lineage", url("/lineage")), Crumb("What would change")),
        given=given,
        problem=problem,
        status=404 if given else 200,
    )
