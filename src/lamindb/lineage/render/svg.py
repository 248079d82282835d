"""A lineage as a picture: one self-contained SVG, in a light and a dark dress.

Files are cards with their suffix, runs are pills with a sign for their kind of transform and one for their status.
Time goes from left to right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lamindb.core.safe_text import printable
from lamindb.errors import InvalidInputError
from lamindb.lineage.lineage_graph import LineageGraph, Node
from lamindb.lineage.render import labels
from lamindb.lineage.render.layout import Box, Placement, Route, place
from lamindb.lineage.render.svg_nodes import Shape, node_shape, status_sign, stub_shape, xml
from lamindb.lineage.render.svg_style import STATUSES, Theme, pixel_width, style_sheet

_MARGIN = 22.0
_FOOTER = 30.0
_ARROW = 7.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished drawing.

    Attributes:
        text: The SVG.
        width: In pixels.
        focus: Where what was asked about stands, from the left and from the top, as parts of the whole.
    """

    text: str
    width: int
    focus: tuple[float, float]


def svg(graph: LineageGraph, *, theme: Theme = "auto", nothing: str = labels.NOTHING) -> str:
    """Draw a lineage as SVG; see `draw`."""
    return draw(graph, theme=theme, nothing=nothing).text


def draw(graph: LineageGraph, *, theme: Theme = "auto", nothing: str = labels.NOTHING) -> Drawing:
    """Draw a lineage as SVG, and say where in it the focus is.

    The text is a whole document: no script, no link, no font from elsewhere. The same graph gives the same text,
    in whatever order its nodes are. Names are escaped and shortened in the middle; the whole text is in the tooltips.

    Args:
        graph: What to draw, all of it: thousands of nodes are fast, but nobody can read them.
        theme: `auto` follows the reader's preference; `light` and `dark` are for documents that have one page colour.
        nothing: What an empty drawing says.

    Raises:
        InvalidInputError: The theme is unknown.
    """
    if theme not in ("auto", "light", "dark"):
        raise InvalidInputError(f"theme {theme!r} is unknown; use 'auto', 'light' or 'dark'")
    nodes = sorted(graph.nodes(), key=lambda node: node.id)
    shapes, edges, stub_edges, first_columns = _collect(graph, nodes)
    placement = place([(shape.width, shape.height) for shape in shapes], [*edges, *stub_edges], first_columns)
    footer, footer_width = _footer(graph, any(route.is_back for route in placement.routes), nothing)
    width = max(placement.width, footer_width) + 2 * _MARGIN
    height = placement.height + 2 * _MARGIN + _FOOTER - 8
    left = _MARGIN + max(0.0, (footer_width - placement.width) / 2)
    text = "".join(
        [
            _opening(graph, width, height, theme),
            f'<g transform="translate({left:.0f} {_MARGIN:.0f})">',
            *(_halo(shape, box) for shape, box in zip(shapes, placement.boxes, strict=True) if shape.halo),
            *_lines(placement, len(edges)),
            *(
                f'<g transform="translate({box.x:.0f} {box.y:.0f})">{shape.draw(box.width)}</g>'
                for shape, box in zip(shapes, placement.boxes, strict=True)
            ),
            f'</g><g transform="translate({_MARGIN:.0f} {height - 20:.0f})">{footer}</g></svg>',
        ]
    )
    return Drawing(text, round(width), _focus_place(graph, nodes, placement, left, (width, height)))


def _focus_place(
    graph: LineageGraph, nodes: list[Node], placement: Placement, left: float, size: tuple[float, float]
) -> tuple[float, float]:
    """Return where the focus stands; of several, the middle of what they span."""
    focus = graph.focus_ids()
    boxes = [box for node, box in zip(nodes, placement.boxes, strict=False) if node.id in focus]
    if not boxes:
        return 0.0, 0.0
    across = min(box.x for box in boxes) + max(box.x + box.width for box in boxes)
    down = min(box.middle for box in boxes) + max(box.middle for box in boxes)
    return (left + across / 2) / size[0], (_MARGIN + down / 2) / size[1]


def _collect(
    graph: LineageGraph, nodes: list[Node]
) -> tuple[list[Shape], list[tuple[int, int]], list[tuple[int, int]], list[int]]:
    """Number nodes and stubs; files start in column 0, runs in column 1, so that they never share one."""
    focus = graph.focus_ids()
    number = {node.id: index for index, node in enumerate(nodes)}
    shapes = [node_shape(node, is_focus=node.id in focus) for node in nodes]
    first_columns = [0 if node.kind == "file" else 1 for node in nodes]
    edges = sorted((number[edge.source], number[edge.target]) for edge in graph.edges)
    stub_edges = []
    for hidden, is_up in ((graph.hidden_up, True), (graph.hidden_down, False)):
        for node_id, count in sorted(hidden.items()):
            if count:
                stub, node = len(shapes), number[node_id]
                shapes.append(stub_shape(count, is_before=is_up))
                first_columns.append(1 - first_columns[node])
                stub_edges.append((stub, node) if is_up else (node, stub))
    return shapes, edges, stub_edges, first_columns


def _opening(graph: LineageGraph, width: float, height: float, theme: Theme) -> str:
    label = xml(f"{labels.heading(graph)}: {labels.summary(graph)}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lnv-{theme}" role="img" aria-label="{label}"'
        f' width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
        f"<style>{style_sheet(theme)}</style>"
        f'<rect class="p" x=".5" y=".5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="10"/>'
    )


def _halo(shape: Shape, box: Box) -> str:
    return (
        f'<rect class="h" x="{round(box.x) - 5}" y="{round(box.y) - 5}" width="{round(box.width) + 10}"'
        f' height="{round(box.height) + 10}" rx="{shape.halo}"/>'
    )


def _lines(placement: Placement, real: int) -> Iterable[str]:
    """Draw all lines, and all arrow heads, as few paths: a picture of thousands stays small."""
    kinds: dict[str, list[str]] = {"l": [], "b": [], "q": []}
    heads: dict[str, list[str]] = {"a": [], "ab": []}
    for index, route in enumerate(placement.routes):
        if not route.points:
            continue
        if index >= real:
            kinds["q"].append(_curve(route, shortened=0.0))
        elif route.is_back:
            kinds["b"].append(_curve(route, 10.0))
            x, y = route.points[-1]
            heads["ab"].append(f"M{x:.1f} {y + 10:.1f}l{_ARROW + 1} -4v8z")
        else:
            kinds["l"].append(_curve(route))
            x, y = route.points[-1]
            heads["a"].append(f"M{x - 0.5:.1f} {y:.1f}l-{_ARROW + 1} -4v8z")
    for name, paths in (kinds | heads).items():
        if paths:
            yield f'<path class="{name}" d="{"".join(paths)}"/>'


def _curve(route: Route, lower: float = 0.0, shortened: float = _ARROW) -> str:
    """Write a route as a smooth path that leaves and arrives level."""
    points = [(x, y + lower) for x, y in route.points]
    last = points[-1]
    back = 1 if route.is_back else -1
    points[-1] = (last[0] + back * shortened, last[1])
    x, y = points[0]
    path = [f"M{x:.1f} {y:.1f}"]
    for step, (next_x, next_y) in enumerate(points[1:]):
        if abs(next_y - y) < 0.3:
            path.append(f"H{next_x:.1f}")
        elif step % 2:
            path.append(f"L{next_x:.1f} {next_y:.1f}")
        else:
            middle = (x + next_x) / 2
            path.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return "".join(path)


def _footer(graph: LineageGraph, has_cycle: bool, nothing: str) -> tuple[str, float]:
    """Write what is shown, the signs in use, and what is left out; return it with its width."""
    what = labels.summary(graph) if len(graph) else printable(nothing)
    parts = [f'<text class="u" y="4">{xml(what)}</text>']
    at = pixel_width(what, 11) + 22
    present = {run.status for run in graph.runs}
    if len(present & set(STATUSES)) > 1 or present & {"failed", "aborted"}:
        for status in STATUSES:
            if status in present:
                parts.append(
                    status_sign(status, at + 8, 0) + f'<text class="u" x="{at + 21:.0f}" y="4">{status}</text>'
                )
                at += pixel_width(status, 11) + 38
    if has_cycle:
        label = "closes a cycle"
        parts.append(f'<path class="b" d="M{at:.0f} 0h24"/><text class="u" x="{at + 30:.0f}" y="4">{label}</text>')
        at += 30 + pixel_width(label, 11) + 16
    note = labels.truncation_note(graph)
    if note:
        parts.append(f'<text x="{at:.0f}" y="4">{note}</text>')
        at += pixel_width(note, 11) + 10
    return "".join(parts), at
