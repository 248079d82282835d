"""A lineage as a tree of text, for terminals."""

from __future__ import annotations

from typing import Literal

from lamindb.core.errors import InvalidInputError
from lamindb.core.graph import FileNode, LineageGraph, Neighbours, Node
from lamindb.exchange import captions
from lamindb.exchange.safe_text import cell_width, elide_middle, printable

Direction = Literal["up", "down", "both"]

STATUS_SIGNS = {"completed": "✓", "failed": "✗", "running": "▶", "aborted": "■"}

_FILE_SIGN = "▪"
_RUN_SIGN = "⚙"
_SEEN = "↑ shown above"
_MIN_WIDTH = 40
_MIN_ROOM = 30
"""Of each line, kept free of the indent: enough for a short name and the mark."""


def text_tree(graph: LineageGraph, *, direction: Direction = "both", width: int = 100) -> str:
    """Draw a lineage as a tree: the focus is the root, under it what it came from, or what it became.

    Every node is written in full once; where a walk meets it again it is only named and marked, so that the tree
    is as long as the graph is large, also for diamonds and cycles. Without a focus, the roots are the nodes
    without a successor (up and both) or without a predecessor (down). Control characters in names are escaped.

    Args:
        graph: What to draw.
        direction: `up` for what it came from, `down` for what it became, `both` for one after the other.
        width: Terminal cells that a line may take, at least 40; longer names lose their middle.

    Raises:
        InvalidInputError: The direction is unknown or the width too small.
    """
    if direction not in ("up", "down", "both"):
        raise InvalidInputError(f"direction {direction!r} is unknown; use 'up', 'down' or 'both'")
    if width < _MIN_WIDTH:
        raise InvalidInputError(f"a tree needs a width of at least {_MIN_WIDTH} cells, not {width}")
    if not len(graph):
        return "nothing to show: no file and no run"
    around = graph.neighbours()
    focus = graph.focus_ids()
    lines: list[str] = []
    if direction == "both" and focus:
        for root in (node_id for node_id in around.nodes if node_id in focus):
            lines += _both_ways(graph, around, root, width)
    else:
        walk = _Walk(graph, around, width, is_up=direction != "down")
        for root in _roots(graph, around, is_up=walk.is_up):
            lines += walk.lines_from(root)
    note = captions.truncation_note(graph)
    return "\n".join([*lines, *([f"({note})"] if note else [])])


def _both_ways(graph: LineageGraph, around: Neighbours, root: str, width: int) -> list[str]:
    lines = [_caption(around.nodes[root], width, is_focus=True)]
    for is_up, sign, title, hidden, beside in (
        (True, "↑", "came from", graph.hidden_up, around.before),
        (False, "↓", "became", graph.hidden_down, around.after),
    ):
        if hidden.get(root) or beside[root]:
            lines += [f"{sign} {title}", *_Walk(graph, around, width, is_up=is_up).lines_from(root)[1:]]
    return lines


def _roots(graph: LineageGraph, around: Neighbours, *, is_up: bool) -> list[str]:
    focus = graph.focus_ids()
    if focus:
        return [node_id for node_id in around.nodes if node_id in focus]
    ends = around.after if is_up else around.before
    first = [node_id for node_id in around.nodes if not ends[node_id]]
    reached = set(first)
    steps = around.before if is_up else around.after
    stack = list(first)
    for candidate in around.nodes:
        if not stack and candidate not in reached:
            first.append(candidate)
            reached.add(candidate)
            stack.append(candidate)
        while stack:
            for node_id in steps[stack.pop()]:
                if node_id not in reached:
                    reached.add(node_id)
                    stack.append(node_id)
    return first


class _Walk:
    """Walks one way, depth first, without recursion: chains may be longer than Python's stack."""

    def __init__(self, graph: LineageGraph, around: Neighbours, width: int, *, is_up: bool) -> None:
        self.is_up = is_up
        self._around = around
        self._next = around.before if is_up else around.after
        self._hidden = graph.hidden_up if is_up else graph.hidden_down
        self._focus = graph.focus_ids()
        self._width = width
        self._seen: set[str] = set()

    def lines_from(self, root: str) -> list[str]:
        lines = []
        stack: list[tuple[str | int, str, str]] = [(root, "", "")]
        while stack:
            node_id, first_indent, indent = stack.pop()
            shown = _shorten_indent(first_indent, self._width)
            room = self._width - len(shown)
            if isinstance(node_id, int):
                lines.append(f"{shown}+{node_id:,} more")
                continue
            node = self._around.nodes[node_id]
            again = node_id in self._seen
            mark = f"  {_SEEN}" if again else ""
            is_focus = node_id in self._focus
            lines.append(shown + _caption(node, room - cell_width(mark), is_focus=is_focus, is_short=again) + mark)
            if not again:
                self._seen.add(node_id)
                stack.extend(reversed(self._children(node_id, indent)))
        return lines

    def _children(self, node_id: str, indent: str) -> list[tuple[str | int, str, str]]:
        children: list[str | int] = [*self._next[node_id]]
        if self._hidden.get(node_id):
            children.append(self._hidden[node_id])
        last = len(children) - 1
        return [
            (child, indent + ("└─ " if place == last else "├─ "), indent + ("   " if place == last else "│  "))
            for place, child in enumerate(children)
        ]


def _shorten_indent(indent: str, width: int) -> str:
    """Keep a deep indent from eating the line: its depth is written as a number instead."""
    limit = width - _MIN_ROOM
    if len(indent) <= limit:
        return indent
    depth = f"…{len(indent) // 3} "
    return depth + indent[-max(3, limit - len(depth)) :]


def _caption(node: Node, room: int, *, is_focus: bool = False, is_short: bool = False) -> str:
    """Write a node in one line: what it is, its name, and as many facts as there is room for."""
    if isinstance(node, FileNode):
        sign, name, facts = _FILE_SIGN, printable(node.title), captions.file_facts(node)
    else:
        name = " ".join(filter(None, [captions.run_name(node), captions.run_version(node)]))
        sign, facts = STATUS_SIGNS.get(node.status or "", _RUN_SIGN), captions.run_facts(node)
        facts = [printable(node.transform_type), *facts]
    if is_focus:
        name = f"{name} ◀"
    start = f"{sign} "
    name = elide_middle(name, max(4, room - len(start)))
    if not is_short:
        for fact in facts:
            longer = f"{name} · {fact}"
            if cell_width(start + longer) > room:
                break
            name = longer
    return start + name
