"""A lineage as a tree of text, for terminals."""

from __future__ import annotations

from typing import Literal

from lamindb.core.text import cell_width, elide_middle, isolated, printable
from lamindb.errors import InvalidInputError
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, Neighbours, Node
from lamindb.lineage.render import labels
from lamindb.lineage.render.labels import Clock

Direction = Literal["up", "down", "both"]

STATUS_SIGNS = {"completed": "✓", "failed": "✗", "running": "▶", "aborted": "■"}

_FILE_SIGN = "▪"
_RUN_SIGN = "⚙"
_SEEN = "↑ shown above"
_MIN_WIDTH = 40
_MIN_ROOM = 30
"""Of each line, kept free of the indent: enough for a short name and the mark."""


def text_tree(
    graph: LineageGraph,
    *,
    direction: Direction = "both",
    width: int = 100,
    how: str | None = None,
    clock: Clock = labels.time_text,
) -> str:
    """Draw a lineage as a tree: the focus is the root, under it what it came from, or what it became.

    Every node is written in full once; where a walk meets it again it is only named and marked, so that the tree
    is as long as the graph is large, also for diamonds and cycles. Without a focus, the roots are the nodes
    without a successor (up and both) or without a predecessor (down). Control characters in names are escaped.

    Args:
        graph: What to draw.
        direction: `up` for what it came from, `down` for what it became, `both` for one after the other.
        width: Terminal cells that a line may take, at least 40; longer names lose their middle.
        how: How a person sees more, where not all is shown; None for what is right in Python.
        clock: How times are written.

    Raises:
        InvalidInputError: The direction is unknown or the width too small.
    """
    if direction not in ("up", "down", "both"):
        raise InvalidInputError(f"direction {direction!r} is unknown; use 'up', 'down' or 'both'")
    if width < _MIN_WIDTH:
        raise InvalidInputError(f"a tree needs a width of at least {_MIN_WIDTH} cells, not {width}")
    if not len(graph):
        return labels.NOTHING
    around = graph.neighbours()
    focus = graph.focus_ids()
    lines: list[str] = []
    if direction == "both" and focus:
        ways = [_Walk(graph, around, width, clock, is_up=is_up) for is_up in (True, False)]
        for root in (node_id for node_id in around.nodes if node_id in focus):
            lines += _both_ways(graph, around, root, ways)
    else:
        walk = _Walk(graph, around, width, clock, is_up=direction != "down")
        for root in _roots(graph, around, is_up=walk.is_up):
            lines += walk.lines_from(root)
    note = labels.truncation_note(graph) if how is None else labels.truncation_note(graph, how)
    return "\n".join([*lines, *_wrapped(f"({note})", width)] if note else lines)


def _both_ways(graph: LineageGraph, around: Neighbours, root: str, ways: list[_Walk]) -> list[str]:
    """Write one root, and under it both ways; what another root brought already is only named."""
    lines = [_caption(around.nodes[root], ways[0].width, ways[0].clock, is_focus=True)]
    for walk, sign, title, hidden, beside in (
        (ways[0], "↑", "came from", graph.hidden_up, around.before),
        (ways[1], "↓", "became", graph.hidden_down, around.after),
    ):
        if not hidden.get(root) and not beside[root]:
            continue
        if root in walk.seen:
            lines.append(f"{sign} {title}: see above")
        else:
            lines += [f"{sign} {title}", *walk.lines_from(root)[1:]]
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

    def __init__(self, graph: LineageGraph, around: Neighbours, width: int, clock: Clock, *, is_up: bool) -> None:
        self.is_up = is_up
        self._around = around
        self._next = around.before if is_up else around.after
        self._hidden = graph.hidden_up if is_up else graph.hidden_down
        self._focus = graph.focus_ids()
        self.width = width
        self.clock = clock
        self.seen: set[str] = set()

    def lines_from(self, root: str) -> list[str]:
        lines = []
        stack: list[tuple[str | int, str, str]] = [(root, "", "")]
        while stack:
            node_id, first_indent, indent = stack.pop()
            shown = _shorten_indent(first_indent, self.width)
            room = self.width - len(shown)
            if isinstance(node_id, int):
                lines.append(f"{shown}+{node_id:,} more")
                continue
            node = self._around.nodes[node_id]
            again = node_id in self.seen
            mark = f"  {_SEEN}" if again else ""
            is_focus = node_id in self._focus
            caption = _caption(node, room - cell_width(mark), self.clock, is_focus=is_focus, is_short=again)
            lines.append(shown + caption + mark)
            if not again:
                self.seen.add(node_id)
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


def _wrapped(text: str, width: int) -> list[str]:
    """Break a note where it says something new."""
    if cell_width(text) <= width:
        return [text]
    return [part.strip() for part in text.replace("; ", ";\n").replace(": ", ":\n").split("\n")]


def _shorten_indent(indent: str, width: int) -> str:
    """Keep a deep indent from eating the line: its depth is written as a number instead."""
    limit = width - _MIN_ROOM
    if len(indent) <= limit:
        return indent
    depth = f"…{len(indent) // 3} "
    return depth + indent[-max(3, limit - len(depth)) :]


def _caption(node: Node, room: int, clock: Clock, *, is_focus: bool = False, is_short: bool = False) -> str:
    """Write a node in one line: what it is, its name, and as many facts as there is room for.

    A short one names only what tells it from others of its name: of a run, when it was.
    """
    if isinstance(node, FileNode):
        sign, name, version = _FILE_SIGN, printable(node.title), ""
        facts = [] if is_short else labels.file_facts(node)
    else:
        name, version = labels.run_name(node), labels.run_version(node)
        sign, facts = STATUS_SIGNS.get(node.status or "", _RUN_SIGN), labels.run_facts(node, clock)
        facts = facts[-1:] if is_short else [printable(node.transform_type), *facts]
        facts = facts if node.started_at or not is_short else []
    end = "".join(f" {one}" for one in (version, "◀" * is_focus) if one)
    if 2 + cell_width(end) > room // 2:
        name, end = name + end, ""
    name = elide_middle(name, max(4, room - 2 - cell_width(end)))
    line = f"{sign} {isolated(name)}{end}"
    for fact in facts:
        longer = f"{line} · {fact}"
        if cell_width(longer) > room:
            break
        line = longer
    return line
