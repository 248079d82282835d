"""A lineage as nested lists with links, which every browser shows without a script."""

from __future__ import annotations

from collections.abc import Callable

from lamindb.exchange.markup import breakable, link, suffix_tag
from lamindb.lineage.lineage_graph import FileNode, Neighbours, Node
from lamindb.lineage.render import labels
from lamindb.lineage.render.svg import xml

_GENERATIONS = 2
_MOST_LINES = 40
_MOST_CHILDREN = 12


def nested_lists(around: Neighbours, node_id: str, href: Callable[[Node], str | None]) -> str:
    """Return what a record came from and what it became, the nearest generations; "" if nothing is known.

    Args:
        around: The nodes and their neighbours.
        node_id: The record.
        href: Returns the anchor of a node's page; None if it has none.
    """
    parts = []
    for title, is_up in (("Came from", True), ("Became", False)):
        walk = _Walk(around, href, is_up=is_up)
        inner = walk.children(node_id, 0)
        if inner:
            parts.append(f'<div class="side"><h3>{title}</h3>{inner}</div>')
    return f'<div class="tree">{"".join(parts)}</div>' if parts else ""


class _Walk:
    def __init__(self, around: Neighbours, href: Callable[[Node], str | None], *, is_up: bool) -> None:
        self._around = around
        self._next = around.before if is_up else around.after
        self._href = href
        self._seen: set[str] = set()

    def children(self, node_id: str, steps: int) -> str:
        """Return the neighbours of a node as a list, with theirs."""
        ids = sorted(set(self._next[node_id]), reverse=True)
        if not ids or steps >= 2 * _GENERATIONS or len(self._seen) >= _MOST_LINES:
            return ""
        items = []
        for one in ids[:_MOST_CHILDREN]:
            if len(self._seen) >= _MOST_LINES:
                break
            node = self._around.nodes[one]
            is_new = one not in self._seen
            self._seen.add(one)
            items.append(f"<li>{caption(node, self._href(node))}{self.children(one, steps + 1) if is_new else ''}</li>")
        rest = len(ids) - len(items)
        if rest:
            items.append(f'<li class="rest">+{rest:,} more</li>')
        return f"<ul>{''.join(items)}</ul>"


def caption(node: Node, anchor: str | None) -> str:
    """Return a node as one line: its tag, its name as a link, its facts."""
    if isinstance(node, FileNode):
        sign, name, facts = suffix_tag(node.suffix), node.title, labels.file_facts(node)
    else:
        name = " ".join(filter(None, [node.title, labels.run_version(node)]))
        sign, facts = '<span class="sfx run">run</span>', labels.run_facts(node)
    shown = breakable(name)
    named = link(anchor, shown) if anchor else shown
    return f'{sign} {named} <span class="mute">{xml(" · ".join(facts))}</span>'
