"""A lineage as a text tree, for terminals."""

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
_REPEATED = "↑ shown above"
_MIN_WIDTH = 40
_MIN_CAPTION = 30
"""The minimum width of a line without its indent."""
_MIN_RECALL = 16
"""Why a file is flagged or affected is shortened in the middle, to no less than this."""


def text_tree(
    graph: LineageGraph,
    *,
    direction: Direction = "both",
    width: int = 100,
    hint: str = labels.IN_PYTHON,
    clock: Clock = labels.time_text,
) -> str:
    """Return a lineage as a tree: the focus is the root, below it its ancestors, its descendants, or both.

    Every node is shown in full once; when it occurs again it is only named and marked. So the length of the tree is
    linear in the size of the graph, also with diamonds and cycles. Without a focus, the roots are the nodes without a
    successor (`up` and `both`) or without a predecessor (`down`). Control characters in names are escaped.

    Args:
        graph: The graph.
        direction: `up` for ancestors, `down` for descendants, `both` for one after the other.
        width: The maximum width of a line in terminal cells, at least 40; longer names are shortened in the middle.
        hint: How to see all if nodes are left out; "" where the reader cannot.
        clock: Formats times.

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
        walks = [_Walk(graph, around, width, clock, is_up=is_up) for is_up in (True, False)]
        for root in (node_id for node_id in around.nodes if node_id in focus):
            lines += _both_directions(graph, around, root, walks)
    else:
        walk = _Walk(graph, around, width, clock, is_up=direction != "down")
        for root in _roots(graph, around, is_up=walk.is_up):
            lines += walk.lines_from(root)
    note = labels.truncation_note(graph, hint)
    return "\n".join([*lines, *_wrapped(f"({note})", width)] if note else lines)


def _both_directions(graph: LineageGraph, around: Neighbours, root: str, walks: list[_Walk]) -> list[str]:
    """Return the lines of one root and both directions below it; what was shown already is only named."""
    lines = [_caption(around.nodes[root], walks[0].width, walks[0].clock, is_focus=True)]
    for walk, sign, title, hidden, neighbours in (
        (walks[0], "↑", "came from", graph.hidden_up, around.before),
        (walks[1], "↓", "became", graph.hidden_down, around.after),
    ):
        if not hidden.get(root) and not neighbours[root]:
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
    """A depth-first walk in one direction, without recursion: chains may be longer than Python's stack."""

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
            available = self.width - len(shown)
            if isinstance(node_id, int):
                lines.append(f"{shown}+{node_id:,} more")
                continue
            node = self._around.nodes[node_id]
            again = node_id in self.seen
            mark = f"  {_REPEATED}" if again else ""
            is_focus = node_id in self._focus
            caption = _caption(node, available - cell_width(mark), self.clock, is_focus=is_focus, is_short=again)
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
            (child, indent + ("└─ " if index == last else "├─ "), indent + ("   " if index == last else "│  "))
            for index, child in enumerate(children)
        ]


def _wrapped(text: str, width: int) -> list[str]:
    """Return a note as lines, broken at its punctuation."""
    if cell_width(text) <= width:
        return [text]
    return [part.strip() for part in text.replace("; ", ";\n").replace(": ", ":\n").split("\n")]


def _shorten_indent(indent: str, width: int) -> str:
    """Return an indent that leaves enough of the line: a deep one begins with its depth as a number."""
    limit = width - _MIN_CAPTION
    if len(indent) <= limit:
        return indent
    depth = f"…{len(indent) // 3} "
    return depth + indent[-max(3, limit - len(depth)) :]


def _caption(node: Node, width: int, clock: Clock, *, is_focus: bool = False, is_short: bool = False) -> str:
    """Return a node as one line: its sign, its name, and as many facts as fit.

    A short caption has the name, and for a run its start.
    """
    if isinstance(node, FileNode):
        sign, name, version = _FILE_SIGN, printable(node.title), ""
        facts = [] if is_short else labels.file_facts(node)
        recall = [] if is_short else labels.recall_facts(node)
    else:
        name, version, recall = labels.run_name(node), labels.run_version(node), []
        sign, facts = STATUS_SIGNS.get(node.status or "", _RUN_SIGN), labels.run_facts(node, clock)
        facts = facts[-1:] if is_short else [printable(node.transform_type), *facts]
        facts = facts if node.started_at or not is_short else []
    end = "".join(f" {one}" for one in (version, "◀" * is_focus) if one)
    if 2 + cell_width(end) > width // 2:
        name, end = name + end, ""
    name = elide_middle(name, max(4, width - 2 - cell_width(end)))
    line = f"{sign} {isolated(name)}{end}"
    for fact in facts:
        longer = f"{line} · {fact}"
        if cell_width(longer) > width:
            break
        line = longer
    for fact in recall:
        left = width - cell_width(line) - 3
        if left < _MIN_RECALL:
            break
        line = f"{line} · {elide_middle(fact, left)}"
    return line
