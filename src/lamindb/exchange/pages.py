"""The pages of one file: for each record what is known of it, as HTML that needs no server."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lamindb.core.text import duration_text, size_text
from lamindb.describe import history
from lamindb.environment.redaction import redact_arguments
from lamindb.exchange.markup import (
    breakable,
    card,
    code_block,
    facts,
    link,
    mark,
    shown,
    status_badge,
    suffix_tag,
    table,
    when,
)
from lamindb.exchange.privacy import Privacy
from lamindb.exchange.project import Project
from lamindb.exchange.trees import caption, nested_lists
from lamindb.lineage.lineage_graph import FileNode, FlaggedBy, LineageGraph, Node, RunNode
from lamindb.lineage.render import labels
from lamindb.models import File, Run, Transform

_MOST_FOLLOWED = 2_000
LISTED = 50
"""A list inside a page has at most so many records."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that may be left out of a page if the file would be too large.

    Attributes:
        kind: `preview`, `log`, `old version` or `code`; they are left out in this order.
        html: What is shown.
        without: What is shown in its place if it is left out.
    """

    kind: str
    html: str
    without: str = ""


@dataclass(slots=True)
class Page:
    """A page: its anchor, its title, and HTML and parts in their order. An old version may be left out as a whole."""

    anchor: str
    title: str
    content: list[str | Part] = field(default_factory=list)
    is_old: bool = False


class Pages:
    """Makes the pages of a project."""

    def __init__(self, project: Project, privacy: Privacy) -> None:
        self.project = project
        self.privacy = privacy
        self.graph = _cleaned(project.graph, privacy)
        self.around = self.graph.neighbours()
        self.nodes = self.around.nodes
        self._versions: dict[str, list[FileNode]] = {}
        for file in self.graph.files:
            self._versions.setdefault(file.id[:16], []).append(file)
        self._changes = history.changes_of(project.files.values())
        self._runs_of: dict[str, list[RunNode]] = {}
        for run in self.graph.runs:
            self._runs_of.setdefault(run.transform_id, []).append(run)

    def anchor(self, node: Node) -> str:
        """Return the anchor of a record's page."""
        return f"{node.kind[0]}-{node.id}"

    def file_page(self, file: File, preview: Part | None) -> Page:
        """Return the page of a version of a file."""
        node = self.nodes[file.id]
        assert isinstance(node, FileNode)
        page = Page(self.anchor(node), node.title, is_old=labels.is_older(node))
        who = f" by {shown(self.privacy.line(file.created_by.handle))}" if file.created_by is not None else ""
        page.content += [
            _crumbs([link("files", "Files"), *_folders(node)]),
            f"<h1>{breakable(node.title)}</h1>",
            f'<p class="lead">Version {file.version}, {size_text(node.size)}, {_saved(file)}{who}</p>',
            self._notes(node, file),
            self._lineage(node),
            self._touched(node) if node.flags else "",
            '<div class="split"><div>',
        ]
        if preview is not None:
            page.content.append(preview)
        made = [self.nodes[one] for one in self.around.before[file.id]]
        versions = sorted(self._versions[file.id[:16]], key=lambda one: -one.version)
        changes = self._changes.get(file.stem_id, [])[:LISTED]
        page.content += [
            "</div><aside>",
            card(
                "Facts",
                facts(
                    [
                        ("Name", shown(node.name) if node.name and node.name not in (node.key or "") else ""),
                        ("Description", shown(self.privacy.line(file.description or ""))),
                        ("Type", suffix_tag(file.suffix) if file.suffix else ""),
                        ("Files inside", f"{file.n_files:,}" if file.is_folder else ""),
                        ("Made by", "<br>".join(self._run_line(one) for one in made if isinstance(one, RunNode))),
                        ("Changes", "<br>".join(shown(self.privacy.line(str(one))) for one in changes)),
                        ("BLAKE3", f'<code class="digest">{shown(file.digest)}</code>'),
                        ("Id", f"<code>{shown(file.id)}</code>"),
                    ]
                ),
            ),
            card("Versions", self._list(versions, current=file.id), f"{len(versions):,}") if len(versions) > 1 else "",
            self._near("Read by", self.around.after[file.id]),
            "</aside></div>",
        ]
        return page

    def run_page(self, run: Run, stored: Iterable[str | Part]) -> Page:
        """Return the page of a run, with what is stored with it."""
        node = self.nodes[run.id]
        assert isinstance(node, RunNode)
        clean = self.privacy
        page = Page(self.anchor(node), labels.run_name(node))
        version = labels.run_version(node)
        took = ""
        if run.started_at is not None and run.finished_at is not None:
            took = f", took {duration_text((run.finished_at - run.started_at).total_seconds())}"
        who = f" by {shown(clean.line(run.created_by.handle))}" if run.created_by is not None else ""
        began = f", began {when(run.started_at)} UTC" if run.started_at is not None else ""
        transform = link(f"t-{run.transform_id}", shown(run.transform.type.capitalize()))
        page.content += [
            _crumbs([link("runs", "Runs"), link(f"t-{run.transform_id}", breakable(clean.line(run.transform.name)))]),
            f'<h1>{breakable(node.title)} <span class="mute">{shown(version)}</span> {status_badge(node.status)}</h1>',
            f'<p class="lead">{transform}{who}{began}{took}</p>',
        ]
        if run.error:
            error = code_block(clean.lines(run.error))
            page.content.append(
                f'<div class="box bad"><div><strong>It ended with an error.</strong>{error}</div></div>'
            )
        page.content += [self._lineage(node), '<div class="split"><div>', *stored, "</div><aside>"]
        params = dict(_flat(clean.value("", run.params))) if run.params else {}
        rows = [(shown(name), f"<code>{shown(_value_text(value))}</code>") for name, value in sorted(params.items())]
        commit = shown((run.git_commit or "")[:12])
        if run.git_is_dirty:
            commit += ", with uncommitted changes"
        command = " ".join(redact_arguments([str(one) for one in run.arguments or ()]))
        page.content += [
            card("Parameters", table(("Name", "Value"), rows, "params"), f"{len(rows):,}"),
            self._near("Inputs", self.around.before[run.id]),
            self._near("Outputs", self.around.after[run.id]),
            card(
                "Where and how",
                facts(
                    [
                        ("Name", shown(clean.line(run.name or ""))),
                        ("Code", shown(clean.line(run.code_path or ""))),
                        ("Commit", f"<code>{commit}</code>" if commit else ""),
                        ("Repository", shown(clean.line(run.git_repository or "")) if clean.with_hosts else ""),
                        ("Command", f"<code>{shown(clean.line(command))}</code>" if command else ""),
                        ("Python", shown(run.python_version or "")),
                        ("Host", shown(run.host or "") if clean.with_hosts else ""),
                        ("Exit code", str(run.exit_code) if run.exit_code is not None else ""),
                        ("Part of", self._parent(run)),
                        ("Id", f"<code>{shown(run.id)}</code>"),
                    ]
                ),
            ),
            "</aside></div>",
        ]
        return page

    def transform_page(self, transform: Transform, codes: dict[int, str]) -> Page:
        """Return the page of a transform; `codes` has the anchor of the code of each revision."""
        runs = sorted(self._runs_of.get(transform.id, ()), key=lambda run: run.id, reverse=True)
        revisions: dict[int, list[RunNode]] = {}
        for run in runs:
            if run.revision is not None:
                revisions.setdefault(run.revision, []).append(run)
        rows = [
            (
                link(codes[number], f"Code {number}") if number in codes else f"Code {number}",
                labels.counted(len(found), "run"),
                when(found[-1].started_at or found[-1].created_at),
                when(found[0].started_at or found[0].created_at),
            )
            for number, found in sorted(revisions.items(), reverse=True)
        ]
        clean = self.privacy
        name = clean.line(transform.name)
        return Page(
            f"t-{transform.id}",
            name,
            [
                _crumbs([link("transforms", "Transforms")]),
                f'<h1>{breakable(name)} <span class="mute">{shown(_version(transform))}</span></h1>',
                f'<p class="lead">{shown(transform.type.capitalize())}, {labels.counted(len(runs), "run")}</p>',
                '<div class="split"><div>',
                card("Runs", self._run_table(runs[:LISTED]), _first(len(runs))),
                "</div><aside>",
                card(
                    "Facts",
                    facts(
                        [
                            ("Description", shown(clean.line(transform.description or ""))),
                            ("Reference", shown(clean.line(transform.reference or ""))),
                            ("Id", f"<code>{shown(transform.id)}</code>"),
                        ]
                    ),
                ),
                card("Code revisions", table(("Code", "Runs", "First", "Last"), rows)),
                "</aside></div>",
            ],
        )

    def lists(self) -> Iterator[Page]:
        """Yield the lists of all files, runs and transforms."""
        graph = self.graph
        current = [file for file in graph.files if file.is_latest and not file.is_trashed]
        files = sorted(current, key=lambda file: (file.title, file.id))
        rows = (
            (
                f'<span class="key">{suffix_tag(file.suffix)} {self._file_link(file)}</span>{_marks(file)}',
                str(file.version),
                size_text(file.size),
                "".join(self._run_line(one) for one in self._makers(file)[:1]),
                when(file.created_at),
            )
            for file in files
        )
        head = ("Key", "Version", "Size", "Made by", "Saved, UTC")
        yield Page(
            "files",
            "Files",
            ["<h1>Files</h1>", _count(files, "file"), card("Current files", table(head, rows, "list"))],
        )
        runs = sorted(graph.runs, key=lambda run: run.id, reverse=True)
        yield Page("runs", "Runs", ["<h1>Runs</h1>", _count(runs, "run"), card("Newest first", self._run_table(runs))])
        transforms = sorted(self.project.transforms.values(), key=lambda one: (one.name, one.version, one.id))
        listed = (
            (
                link(f"t-{one.id}", breakable(self.privacy.line(one.name))),
                shown(_version(one)),
                shown(one.type),
                f"{len(self._runs_of.get(one.id, ())):,}",
            )
            for one in transforms
        )
        table_html = table(("Name", "Version", "Type", "Runs"), listed, "list")
        yield Page(
            "transforms",
            "Transforms",
            ["<h1>Transforms</h1>", _count(transforms, "transform"), card("By name", table_html)],
        )

    def lineage(self) -> Page:
        """Return the page on which a script shows what a record touches, and the way between two."""
        flagged = [file for file in self.graph.files if file.flags]
        lead = "What files were made from, by which code, and what was made from them. Each file and run has its own."
        return Page(
            "lineage",
            "Lineage",
            [
                f'<h1>Lineage</h1><p class="lead">{lead}</p><div id="tools" hidden></div>',
                card("Flagged files, with what they touch", self._list(flagged[:LISTED]), _first(len(flagged))),
            ],
        )

    def attention(self) -> str:
        """Return what needs attention: files that are flagged, affected or stale, and failed runs."""
        current = [file for file in self.graph.files if file.is_latest and not file.is_trashed]
        marked = [file for file in current if file.flags or file.affected_by is not None or file.is_stale]
        failed = [run for run in self.graph.runs if run.status in ("failed", "aborted")]
        newest = sorted(failed, key=lambda run: run.id, reverse=True)
        return card("Stale, flagged and affected files", self._list(marked[:LISTED]), _first(len(marked))) + card(
            "Failed runs", self._list(newest[:LISTED]), _first(len(failed))
        )

    def newest(self) -> str:
        """Return the newest current files, and the newest runs."""
        current = [file for file in self.graph.files if file.is_latest and not file.is_trashed]
        files = sorted(current, key=lambda file: (file.created_at, file.id), reverse=True)[:10]
        runs = sorted(self.graph.runs, key=lambda run: run.id, reverse=True)[:10]
        return card("Newest files", self._list(files)) + card("Newest runs", self._list(runs))

    def _lineage(self, node: Node) -> str:
        tree = nested_lists(self.around, node.id, self.anchor)
        return card("Lineage", tree, css="lineage").replace(
            '<section class="card lineage"', f'<section class="card lineage" data-focus="{shown(node.id)}"', 1
        )

    def _touched(self, node: Node) -> str:
        """Return the current files that were derived from a record, the nearest first, as far as they are followed."""
        seen = dict.fromkeys([node.id])
        front = [node.id]
        while front and len(seen) < _MOST_FOLLOWED:
            reached = dict.fromkeys(one for before in front for one in self.around.after[before])
            front = [one for one in reached if one not in seen]
            seen |= dict.fromkeys(front)
        found = [self.nodes[one] for one in seen if one != node.id]
        files = [one for one in found if isinstance(one, FileNode) and one.is_latest and not one.is_trashed]
        return card("What it touches", self._list(files[:LISTED]), _first(len(files)))

    def _notes(self, node: FileNode, file: File) -> str:
        clean = self.privacy
        found = []
        for flag in node.flags:
            found.append(f'<div class="box bad">{mark("flagged")}<div>{shown(clean.line(flag))}</div></div>')
        if node.affected_by is not None:
            cause = node.affected_by
            name = breakable(cause.title)
            named = link(f"f-{cause.id}", name) if cause.id in self.nodes else name
            why = shown(clean.line("; ".join(cause.reasons)))
            text = f"It was made from version {cause.version} of {named}, which is flagged: {why}"
            found.append(f'<div class="box warn">{mark("affected")}<div>{text}</div></div>')
        if node.is_stale:
            reasons = [clean.line(str(one)) for one in file.staleness().reasons[:3]]
            text = "; ".join(map(shown, reasons)) or "Something that it was made from has a newer version."
            found.append(f'<div class="box warn">{mark("stale")}<div>{text}</div></div>')
        if labels.is_older(node):
            latest = [one for one in self._versions[node.id[:16]] if one.is_latest]
            now = link(self.anchor(latest[0]), f"version {latest[0].version}") if latest else "a later version"
            found.append(f'<div class="box">{mark("older")}<div>Now there is {now}.</div></div>')
        if node.is_trashed:
            found.append(f'<div class="box">{mark("in trash")}<div>It was removed, and can be restored.</div></div>')
        return "".join(found)

    def _makers(self, file: FileNode) -> list[RunNode]:
        return [node for one in self.around.before[file.id] if isinstance(node := self.nodes[one], RunNode)]

    def _file_link(self, file: FileNode) -> str:
        return link(self.anchor(file), breakable(file.title))

    def _run_line(self, run: RunNode) -> str:
        name = " ".join(filter(None, [run.title, labels.run_version(run)]))
        return link(self.anchor(run), breakable(name))

    def _parent(self, run: Run) -> str:
        parent = self.nodes.get(run.parent_id or "")
        return self._run_line(parent) if isinstance(parent, RunNode) else ""

    def _near(self, title: str, ids: Iterable[str]) -> str:
        found = sorted(dict.fromkeys(ids), reverse=True)
        return card(title, self._list([self.nodes[one] for one in found[:LISTED]]), _first(len(found)))

    def _list(self, nodes: Iterable[Node], current: str = "") -> str:
        items = []
        for node in nodes:
            this = ' aria-current="true"' if node.id == current else ""
            inner = caption(node, self.anchor(node))
            items.append(f"<li{this}>{inner}</li>")
        return f'<ul class="rows">{"".join(items)}</ul>' if items else ""

    def _run_table(self, runs: Iterable[RunNode]) -> str:
        rows = (
            (
                status_badge(run.status),
                self._run_line(run),
                shown(labels.params_text(run.params[:3])),
                shown(run.user),
                when(run.started_at or run.created_at),
            )
            for run in runs
        )
        return table(("Status", "Transform", "Parameters that differ", "By", "Began, UTC"), rows, "list")


def _cleaned(graph: LineageGraph, privacy: Privacy) -> LineageGraph:
    """Return a graph whose names and reasons have only what other people may read."""
    clean = privacy.clean

    def cause(found: FlaggedBy | None) -> FlaggedBy | None:
        if found is None:
            return None
        return replace(found, title=clean(found.title), reasons=tuple(map(clean, found.reasons)))

    return replace(
        graph,
        files=tuple(
            replace(
                file,
                key=clean(file.key) if file.key else file.key,
                name=clean(file.name),
                storage=None,
                user=clean(file.user) if file.user else file.user,
                flags=tuple(map(clean, file.flags)),
                affected_by=cause(file.affected_by),
            )
            for file in graph.files
        ),
        runs=tuple(
            replace(
                run,
                name=clean(run.name) if run.name else run.name,
                transform_name=clean(run.transform_name),
                user=clean(run.user),
                params=tuple((clean(name), privacy.value(name, value)) for name, value in run.params),
            )
            for run in graph.runs
        ),
    )


def _flat(params: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in params.items():
        if isinstance(value, dict) and value and prefix.count(".") < 8:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _version(transform: Transform) -> str:
    return labels.version_label(transform.version, None, is_callers=False)


def _saved(file: File) -> str:
    return f"saved {when(file.created_at)} UTC"


def _crumbs(parts: Iterable[str]) -> str:
    return f'<p class="crumbs">{"<i>/</i>".join(parts)}</p>'


def _folders(file: FileNode) -> list[str]:
    return [shown(part) for part in (file.key or "").split("/")[:-1] if part]


def _marks(file: FileNode) -> str:
    words = {"flagged": file.flags, "affected": file.affected_by is not None, "stale": file.is_stale}
    return "".join(f" {mark(word)}" for word, is_set in words.items() if is_set)


def _first(count: int) -> str:
    return f"first {LISTED} of {count:,}" if count > LISTED else f"{count:,}"


def _count(records: list[Any], noun: str) -> str:
    return f'<p class="lead">{labels.counted(len(records), noun)}</p>'
