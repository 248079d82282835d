"""The drawing of a lineage inside a page: nodes and stubs are links, and the page has the style sheet.

It is the same drawing as in `svg`, without a style of its own, so that a page may forbid inline styles. What is
selected changes no place. The focus of a lineage lies on a band, what is selected has a solid ring, and what has the
focus of the keyboard a dashed ring farther out, so that one node may be all three.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from lamindb.core.text import isolated, printable
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, Node
from lamindb.lineage.render import labels
from lamindb.lineage.render.layout import Box
from lamindb.lineage.render.svg import (
    DARK,
    HEIGHT,
    LIGHT,
    Drawing,
    Shape,
    colour_rules,
    focus_position,
    halo,
    lines,
    parts_of,
    shape_rules,
    xml,
)

_SCOPE = ".lnv"
_MARGIN = 16.0


@dataclass(frozen=True, slots=True)
class Links:
    """Where the parts of a drawing lead, and what of it is marked.

    Attributes:
        node: The address that a node leads to, by the node.
        stub: The address that a stub leads to, by the id of its node and the side, `up` or `down`.
        page: How many neighbours a stub opens at most.
        selected: The id of the node whose facts are shown beside.
        marked: The ids of nodes to highlight, with the edges among them; what is on no such way is faded.
    """

    node: Callable[[Node], str]
    stub: Callable[[str, str], str]
    page: int = 20
    selected: str | None = None
    marked: Collection[str] = ()


def draw_page(graph: LineageGraph, links: Links) -> Drawing:
    """Return the drawing of a lineage for a page, with the position of the focus."""
    nodes = sorted(graph.nodes(), key=lambda node: node.id)
    parts = parts_of(graph, nodes)
    placement = parts.placed()
    boxes, focus = placement.boxes, graph.focus_ids()
    width, height = placement.width + 2 * _MARGIN, max(placement.height, HEIGHT) + 2 * _MARGIN
    marked = set(links.marked)
    ways = {
        number
        for number, (source, target) in enumerate(parts.edges)
        if nodes[source].id in marked and nodes[target].id in marked
    }
    label = xml(f"{labels.heading(graph)}: {labels.summary(graph)}")
    drawn = zip(nodes, parts.shapes, boxes, strict=False)
    stubs = zip(parts.stubs, parts.shapes[len(nodes) :], boxes[len(nodes) :], strict=True)
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    text = "".join(
        [
            f'<svg class="lnv{" far" if marked else ""}" role="group" aria-label="{label}" {size}>',
            f'<g transform="translate({_MARGIN:.0f} {_MARGIN:.0f})">',
            *(halo(shape, box) for shape, box in zip(parts.shapes, boxes, strict=True) if shape.halo),
            *(_ring(node, box) for node, box in zip(nodes, boxes, strict=False) if node.id == links.selected),
            *lines(placement, len(parts.edges), ways),
            *(_node(node, shape, box, links, focus, marked) for node, shape, box in drawn),
            *(_stub(graph, stub, shape, box, links) for stub, shape, box in stubs),
            "</g></svg>",
        ]
    )
    return Drawing(text, round(width), focus_position(graph, nodes, placement, _MARGIN, (width, height)))


def _node(node: Node, shape: Shape, box: Box, links: Links, focus: Collection[str], marked: Collection[str]) -> str:
    current = ' aria-current="true"' if node.id in focus else ""
    classes = "node" + " marked" * (node.id in marked) + " selected" * (node.id == links.selected)
    return (
        f'<a class="{classes}" href="{xml(links.node(node))}" data-id="{xml(printable(node.id))}"{current}'
        f' aria-description="{"selected, " * (node.id == links.selected)}{xml(spoken(node))}">'
        f'<g transform="translate({box.x:.0f} {box.y:.0f})">{shape.draw(box.width)}</g>'
        f"{_around(node, box, 'fr', 11)}</a>"
    )


def spoken(node: Node) -> str:
    """Return a node in words, for screen readers; safe to print.

    It describes a link whose name is what is drawn, so that people who speak to their browser can say what they see.
    """
    if isinstance(node, FileNode):
        return ", ".join(["file " + isolated(printable(node.title)), *labels.file_facts(node)])
    name = " ".join(filter(None, ["run of " + isolated(labels.run_name(node)), labels.run_version(node)]))
    return ", ".join(filter(None, [name, printable(node.status or ""), *labels.run_facts(node)]))


def _stub(graph: LineageGraph, stub: tuple[str, bool], shape: Shape, box: Box, links: Links) -> str:
    node_id, is_up = stub
    side = "up" if is_up else "down"
    count = (graph.hidden_up if is_up else graph.hidden_down)[node_id]
    shown = f"{count:,} more" if count <= links.page else f"{links.page} of {count:,} more"
    label = f"Show {shown} {'before' if is_up else 'after'} this"
    address = xml(links.stub(node_id, side))
    return (
        f'<a class="stub" href="{address}" data-id="{xml(printable(node_id))}:{side}" aria-label="{label}">'
        f'<g transform="translate({box.x:.0f} {box.y:.0f})"><title>{label}</title>{shape.draw(box.width)}</g></a>'
    )


def _ring(node: Node, box: Box) -> str:
    return _around(node, box, "ring", 7)


def _around(node: Node, box: Box, name: str, gap: int) -> str:
    """Return a ring around a node, so many pixels away."""
    corner = (5 if isinstance(node, FileNode) else 22) + gap
    return (
        f'<rect class="{name}" x="{round(box.x) - gap}" y="{round(box.y) - gap}" width="{round(box.width) + 2 * gap}"'
        f' height="{round(box.height) + 2 * gap}" rx="{corner}"/>'
    )


def page_style_sheet() -> str:
    """Return the style sheet of a page's drawings: the theme of the system, unless the page has chosen one."""
    rules = [
        shape_rules(_SCOPE),
        _own_rules(),
        colour_rules(_SCOPE, LIGHT),
        _own_colours(_SCOPE, LIGHT),
        "@media(prefers-color-scheme:dark){",
        *_dark(":root:not([data-theme=light]) "),
        "}\n",
        *_dark(":root[data-theme=dark] "),
        "@media(forced-colors:active){.lnv .ring,.lnv .fr{stroke:Highlight}}",
    ]
    return "".join(rules) + "\n"


def _dark(root: str) -> list[str]:
    return [colour_rules(f"{root}{_SCOPE}", DARK), _own_colours(f"{root}{_SCOPE}", DARK)]


def _own_rules() -> str:
    return (
        f"{_SCOPE}{{display:block;margin:0 auto}}{_SCOPE} a{{cursor:pointer;text-decoration:none;outline:none}}"
        f"{_SCOPE} text,{_SCOPE} tspan{{font-style:normal}}"
        f"{_SCOPE} .ring{{fill:none;stroke-width:2.5}}{_SCOPE} .lm{{fill:none;stroke-width:2.4}}"
        f"{_SCOPE}.far .node:not(.marked),{_SCOPE}.far .l,{_SCOPE}.far .a,{_SCOPE}.far .stub,{_SCOPE}.far .q,"
        f"{_SCOPE}.far .h"
        "{opacity:.42}"
        f"{_SCOPE} .fr{{display:none;fill:none;stroke-width:2.5;stroke-dasharray:7 4}}"
        f"{_SCOPE} a:focus-visible .fr{{display:inline}}{_SCOPE} a:focus-visible .m{{stroke-width:3}}\n"
    )


def _own_colours(scope: str, colour: dict[str, str]) -> str:
    strokes = ".ring,.lm,a:hover .f,a:hover .r,a:hover .m,a:focus-visible .m"
    # What asks for attention keeps its colour under the pointer and in the focus of the lineage.
    states = {"aborted": ("f-stale", "f-affected", "r-aborted"), "failed": ("f-flagged", "r-failed")}
    kept = [
        f"{scope} a:hover .{name},{scope} .o .{name}{{stroke:{colour[state]}}}"
        for state, names in states.items()
        for name in names
    ]
    return (
        ",".join(f"{scope} {one}" for one in strokes.split(","))
        + f"{{stroke:{colour['focus']}}}{scope} .am{{fill:{colour['focus']}}}"
        f"{scope} .stub text{{fill:{colour['focus']}}}"
        f"{scope} .fr{{stroke:{colour['text']}}}{scope} .h{{fill:{colour['band']}}}{''.join(kept)}\n"
    )
