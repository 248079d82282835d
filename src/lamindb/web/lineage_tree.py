"""A lineage as nested lists and as rows: the same as its picture, for phones and screen readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from lamindb.core.text import isolated, printable
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, Neighbours, Node
from lamindb.lineage.render import labels
from lamindb.lineage.render.tree import Direction
from lamindb.web import tags

Url = Callable[[str], str]
More = Callable[[str, str], str]

_MOST_LINES = 600
_WITH_ICON = frozenset({"completed", "failed", "running", "aborted"})
_ATTENTION = frozenset({"flagged", "affected", "stale", "failed", "aborted"})


def place(url: Url, node: Node) -> str:
    """Return the address of a node's page."""
    return url(f"/{node.kind}s/{node.id}")


def states(node: Node) -> list[str]:
    """Return the states of a node that ask for attention, and the status of a run."""
    if isinstance(node, FileNode):
        found = {"flagged": node.flags, "affected": node.affected_by, "stale": node.is_stale, "trash": node.is_trashed}
        return [name for name, is_so in found.items() if is_so] + ["old"] * labels.is_older(node)
    return [node.status] if node.status else []


def tree(graph: LineageGraph, url: Url, more: More, direction: Direction = "both") -> SafeString:
    """Return what the focus came from and what it became as nested lists, each node with its neighbours once."""
    around = graph.neighbours()
    focus = [node.id for node in graph.nodes() if node.id in graph.focus_ids()]
    parts = []
    for title, is_up in (("Came from", True), ("Became", False)):
        if (is_up and direction == "down") or (not is_up and direction == "up"):
            continue
        walk = _Walk(graph, around, url, more, is_up=is_up)
        inner = walk.below(focus[0]) if len(focus) == 1 else walk.all(focus)
        if inner:
            parts.append(format_html("<h2>{}</h2>{}", title, inner))
    return mark_safe("".join(parts))


class _Walk:
    def __init__(self, graph: LineageGraph, around: Neighbours, url: Url, more: More, *, is_up: bool) -> None:
        self._around, self._url, self._more = around, url, more
        self._next = around.before if is_up else around.after
        self._hidden = graph.hidden_up if is_up else graph.hidden_down
        self._side = "up" if is_up else "down"
        self._seen: set[str] = set()
        self._lines = 0

    def all(self, ids: list[str]) -> SafeString:
        """Return several nodes, each with its neighbours."""
        return format_html("<ul>{}</ul>", self._items(ids))

    def below(self, node_id: str) -> SafeString | str:
        """Return the neighbours of a node with theirs; "" if there are none."""
        ids = self._next[node_id]
        hidden = self._hidden.get(node_id, 0)
        if not ids and not hidden:
            return ""
        items = self._items(ids)
        if hidden:
            items += format_html(
                '<li><a class="more-link" href="{}" data-id="{}:{}">+{} more</a></li>',
                self._more(node_id, self._side), node_id, self._side, f"{hidden:,}",
            )  # fmt: skip
        return format_html("<ul>{}</ul>", items)

    def _items(self, ids: Iterable[str]) -> SafeString:
        return mark_safe("".join(map(self._item, ids)))

    def _item(self, node_id: str) -> SafeString:
        node = self._around.nodes[node_id]
        self._lines += 1
        if node_id in self._seen or self._lines > _MOST_LINES:
            return format_html('<li>{} <span class="dim small">shown above</span></li>', line(node, self._url))
        self._seen.add(node_id)
        return format_html("<li>{}{}</li>", line(node, self._url, with_facts=True), self.below(node_id))


def line(node: Node, url: Url, *, with_facts: bool = False, with_marks: bool = True) -> SafeString:
    """Return a node as one line: what it is, its name as a link, and its facts."""
    if isinstance(node, FileNode):
        sign = format_html('<span class="sfx sfx-{}">{}</span>', labels.suffix_kind(node.suffix), _tag(node.suffix))
        name, facts = node.title, labels.file_facts(node)
    else:
        sign = tags.icon(node.status) if node.status in _WITH_ICON else tags.icon("run")
        name = " ".join(filter(None, [node.title, labels.run_version(node)]))
        facts = labels.run_facts(node)
    marks = format_html_join(
        "", " {}", ((tags.state(one),) for one in states(node) if with_marks and one in _ATTENTION)
    )
    # A mark says what a fact of the same name would say again.
    rest = " · ".join(fact for fact in facts if fact not in _ATTENTION)
    shown = format_html(' <span class="dim small">{}</span>', rest) if with_facts else ""
    link = place(url, node)
    return format_html('{} <a href="{}"><bdi>{}</bdi></a>{}{}', sign, link, tags.broken(name), marks, shown)


def _tag(suffix: str) -> str:
    label = labels.suffix_label(suffix).rpartition(".")[2].lower()
    return label if 0 < len(label) <= 8 else label[:7] + "…" if label else "file"


@dataclass(frozen=True, slots=True)
class Row:
    """A node in a table, with what is not shown before and after it."""

    line: SafeString
    kind: str
    states: list[str]
    facts: str
    time: Any
    before: int
    before_link: str
    after: int
    after_link: str


def rows(graph: LineageGraph, url: Url, more: More) -> list[Row]:
    """Return the nodes as rows, the latest first."""
    return sorted(_rows(graph, url, more), key=lambda row: (row.time is not None, row.time), reverse=True)


def _rows(graph: LineageGraph, url: Url, more: More) -> Iterator[Row]:
    for node in graph.nodes():
        is_file = isinstance(node, FileNode)
        facts = labels.file_facts(node) if isinstance(node, FileNode) else labels.run_facts(node)
        time = node.created_at if isinstance(node, FileNode) else node.started_at or node.created_at
        up, down = graph.hidden_up.get(node.id, 0), graph.hidden_down.get(node.id, 0)
        yield Row(
            line(node, url, with_marks=False),
            "File" if is_file else "Run",
            states(node),
            isolated(printable(" · ".join(fact for fact in facts if fact not in _ATTENTION))),
            time,
            up,
            more(node.id, "up") if up else "",
            down,
            more(node.id, "down") if down else "",
        )
