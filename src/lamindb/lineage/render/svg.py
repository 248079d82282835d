"""A lineage as one self-contained SVG, with light and dark themes.

Files are cards with their suffix; runs are pills with an icon for their type of transform and one for their status.
Time goes from left to right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from lamindb.core.text import elide_middle, isolated, printable
from lamindb.errors import InvalidInputError
from lamindb.lineage.lineage_graph import FileNode, LineageGraph, Node, RunNode
from lamindb.lineage.render import labels
from lamindb.lineage.render.layout import Box, Placement, Route, lay_out

Theme = Literal["auto", "light", "dark"]

_NARROW_FONT = "lamindb-sans"
FONT = f"'Helvetica Neue',Helvetica,Arial,'Liberation Sans','Segoe UI',Roboto,{_NARROW_FONT},sans-serif"

LIGHT = {
    "page": "#fbfcfd",
    "frame": "#e3e8ee",
    "text": "#1b2430",
    "muted": "#566375",
    "line": "#98a5b6",
    "file": "#ffffff",
    "file_edge": "#c3ccd8",
    "run": "#edf2fc",
    "run_edge": "#aebfe3",
    "disc": "#ffffff",
    "icon": "#3a5390",
    "focus": "#2463eb",
    "halo": "#cfe0ff",
    "band": "#6b95ea",
    "sign": "#ffffff",
    "completed": "#1c7f48",
    "failed": "#c22b3a",
    "running": "#2463eb",
    "aborted": "#9a5b00",
    "table": "#dff2e7 #17623b",
    "sequence": "#e0ebfd #1d4c9f",
    "array": "#ece4fb #5731a3",
    "image": "#fdebd6 #874404",
    "document": "#e9edf2 #3f4b5e",
}
DARK = {
    "page": "#12161d",
    "frame": "#252d39",
    "text": "#e8edf4",
    "muted": "#9fadbf",
    "line": "#61708a",
    "file": "#1b212b",
    "file_edge": "#3d4859",
    "run": "#1d2740",
    "run_edge": "#43578a",
    "disc": "#12161d",
    "icon": "#a9c1f7",
    "focus": "#6ea0ff",
    "halo": "#1d3769",
    "band": "#3f6fc4",
    "sign": "#0d1117",
    "completed": "#4cc07c",
    "failed": "#ff7b86",
    "running": "#6ea0ff",
    "aborted": "#e3a548",
    "table": "#15382a #8fe0b4",
    "sequence": "#182e56 #a9c8fd",
    "array": "#2d2254 #cbb8fc",
    "image": "#432a10 #f7c88f",
    "document": "#29313d #bcc8d8",
}

STATUSES = ("completed", "failed", "running", "aborted")
SUFFIX_KINDS = ("table", "sequence", "array", "image", "document")

STATUS_SIGNS = {
    "completed": "M-3.6.2L-1 2.9L3.8-2.8",
    "failed": "M-2.8-2.8L2.8 2.8M2.8-2.8L-2.8 2.8",
    "running": "M-1.8-3L3.2 0L-1.8 3Z",
    "aborted": "M-3.2 0H3.2",
}
"""SVG paths around the origin, for a disc with a radius of 8."""

TYPE_ICONS = {
    "notebook": "M-5-7H5.5V7H-5ZM-2-7V7M1-3.5H3M1-.5H3M-6.5-4H-4M-6.5 0H-4M-6.5 4H-4",
    "script": "M-3.5-4.5L-7.5 0L-3.5 4.5M3.5-4.5L7.5 0L3.5 4.5M1.6-6L-1.6 6",
    "pipeline": "M-7.5 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M3.5-4.5a2 2 0 1 0 4 0a2 2 0 1 0-4 0"
    "M3.5 4.5a2 2 0 1 0 4 0a2 2 0 1 0-4 0M-3.5 0H-1C1.5 0 .5-4.5 3.5-4.5M-1 0C1.5 0 .5 4.5 3.5 4.5",
    "function": "M5-6.2C1.8-7.6 1.2-5 .7-2.4L-.6 4C-1.1 6.8-2.3 7.6-5 6.4M-3.2-1.5H3.8",
    "command": "M-6.5-4.5L-2-.2L-6.5 4.1M0 4.8H6.5",
    "app": "M-6.5-6H6.5V6H-6.5ZM-6.5-2.4H6.5M-4.3-4.2H-4M-2-4.2H-1.7",
    "api": "M-2.5-6.5C-5.4-6.5-4.2-3.4-4.2-1.8C-4.2-.6-5.2 0-6.4 0C-5.2 0-4.2.6-4.2 1.8C-4.2 3.4-5.4 6.5-2.5 6.5"
    "M2.5-6.5C5.4-6.5 4.2-3.4 4.2-1.8C4.2-.6 5.2 0 6.4 0C5.2 0 4.2.6 4.2 1.8C4.2 3.4 5.4 6.5 2.5 6.5",
    "instrument": "M-2.3-7H2.3M-1.4-7V-2.2L-5.8 5.4Q-6.4 6.8-5 6.8H5Q6.4 6.8 5.8 5.4L1.4-2.2V-7M-3.7 2.4H3.7",
}
"""SVG paths around the origin, for a disc with a radius of 14; drawn as lines."""

OTHER_ICON = "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0"


def style_sheet(theme: Theme) -> str:
    """Return the CSS of a drawing; every rule is limited to drawings of this theme."""
    scope = f".lnv-{theme}"
    shape = shape_rules(scope)
    if theme == "dark":
        return shape + colour_rules(scope, DARK)
    if theme == "light":
        return shape + colour_rules(scope, LIGHT)
    return shape + colour_rules(scope, LIGHT) + f"@media(prefers-color-scheme:dark){{{colour_rules(scope, DARK)}}}"


def shape_rules(scope: str) -> str:
    """Return the rules of lines and letters, without colours."""
    return (
        # DejaVu Sans, often the only font of a Linux machine, is wider than those by whose letters boxes are drawn,
        # by a sixth on average, and more where they are bold.
        f"@font-face{{font-family:{_NARROW_FONT};src:local('DejaVu Sans');size-adjust:86%}}"
        f"@font-face{{font-family:{_NARROW_FONT};src:local('DejaVu Sans Bold');font-weight:600 900;size-adjust:84%}}"
        f"{scope}{{font-family:{FONT};font-size:11px}}"
        f"{scope} .n{{font-size:13px;font-weight:600}}{scope} .s{{font-size:10px;font-weight:700}}"
        f"{scope} .z{{font-size:8.5px;font-weight:700}}"
        f"{scope} .v{{font-weight:400}}{scope} .g{{font-weight:600}}"
        f"{scope} .c{{text-anchor:middle}}{scope} .e{{text-anchor:end}}"
        f"{scope} .l,{scope} .i,{scope} .b,{scope} .q{{fill:none}}"
        f"{scope} .l{{stroke-width:1.4}}{scope} .q{{stroke-width:1.4;stroke-dasharray:2 4}}"
        f"{scope} .b{{stroke-width:1.6;stroke-dasharray:6 4}}"
        f"{scope} .i{{stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}}"
        f"{scope} .k{{stroke-width:1.9;stroke-linecap:round;stroke-linejoin:round;fill:none}}"
        f"{scope} .kf{{stroke-width:1.2;stroke-linejoin:round}}"
        f"{scope} .m{{stroke-dasharray:3 3}}{scope} .t{{opacity:.72}}{scope} .t .f{{stroke-dasharray:5 3}}"
        f"{scope} .o .f,{scope} .o .r{{stroke-width:2}}"
    )


def colour_rules(scope: str, colour: dict[str, str]) -> str:
    """Return the rules of the colours of one theme."""
    rules = [
        (".p", f"fill:{colour['page']};stroke:{colour['frame']}"),
        ("text", f"fill:{colour['text']}"),
        (".u", f"fill:{colour['muted']}"),
        (".l", f"stroke:{colour['line']}"),
        (".q", f"stroke:{colour['line']}"),
        (".a", f"fill:{colour['line']}"),
        (".b", f"stroke:{colour['aborted']}"),
        (".ab", f"fill:{colour['aborted']}"),
        (".f", f"fill:{colour['file']};stroke:{colour['file_edge']}"),
        (".w", f"fill:{colour['page']};stroke:{colour['file_edge']}"),
        (".r", f"fill:{colour['run']};stroke:{colour['run_edge']}"),
        (".r-failed", f"stroke:{colour['failed']}"),
        (".r-aborted", f"stroke:{colour['aborted']}"),
        (".d", f"fill:{colour['disc']};stroke:{colour['run_edge']}"),
        (".i", f"stroke:{colour['icon']}"),
        (".m", f"fill:{colour['page']};stroke:{colour['line']}"),
        (".f-stale", f"stroke:{colour['aborted']};stroke-width:1.6;stroke-dasharray:5 3"),
        (".f-flagged", f"stroke:{colour['failed']};stroke-width:1.6"),
        (".f-affected", f"stroke:{colour['aborted']};stroke-width:1.6"),
        (".why-flagged", f"fill:{colour['failed']}"),
        (".why", f"fill:{colour['aborted']}"),
        (".h", f"fill:{colour['halo']}"),
        (".o .f", f"stroke:{colour['focus']}"),
        (".o .r", f"stroke:{colour['focus']}"),
        (".k", f"stroke:{colour['sign']}"),
        (".kf", f"stroke:{colour['sign']};fill:{colour['sign']}"),
    ]
    rules += [(f".{status}", f"fill:{colour[status]}") for status in STATUSES]
    for kind in SUFFIX_KINDS:
        band, letters = colour[kind].split()
        rules += [(f".{kind}", f"fill:{band}"), (f".{kind}-s", f"fill:{letters}")]
    return "".join(f"{scope} {selector}{{{declarations}}}" for selector, declarations in rules)


_ARIAL = {
    191: "'",
    222: "ijl",
    278: " !,./:;I[\\]ft",
    333: "()-`r{}|",
    389: '*"',
    500: "Jckvsxyz^",
    556: "#$0123456789?L_abdeghnopqu",
    584: "+<=>~",
    611: "FTZ",
    667: "&ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    889: "%",
    944: "W",
    1015: "@",
}
_WIDTHS = {character: width for width, characters in _ARIAL.items() for character in characters}


def pixel_width(text: str, size: float, *, is_bold: bool = False) -> float:
    """Return an upper estimate of the width of a text in the drawing's fonts."""
    units = 0
    for character in text:
        width = _WIDTHS.get(character)
        units += width if width is not None else (620 if character < "\u1100" else 1020)
    return units * size * (1.1 if is_bold else 1.03) / 1000


HEIGHT = 44
STUB_HEIGHT = 24

_NAME_LIMIT = 244.0
_FACTS_LIMIT = 256.0
_VERSION_LIMIT = 150.0
_RUN_NAME_LIMIT = 160.0
_MIN_TEXT = 72.0
_BAND = 40
_FILE_TEXT = _BAND + 9
_RUN_TEXT = 45
_SIGN_WIDTH = 36
_CORNER = 10
"""Names end before the folded corner."""
_MARKS = {"stale": "why g", "affected": "why g", "flagged": "why-flagged g"}
_RECALL_LINE = 15
"""The height of the line that a flagged or affected file has in addition."""

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


def xml(text: str) -> str:
    """Return a printable text escaped for XML content and attributes."""
    return text.translate(_ESCAPES)


@dataclass(frozen=True, slots=True)
class Shape:
    """Something to draw: its minimum width, its height, and a function from its final width to SVG.

    `halo` is the corner radius of the highlight around it, 0 for none, which is drawn below the lines.
    """

    width: float
    height: float
    draw: Callable[[float], str]
    halo: int = 0


def node_shape(node: Node, *, is_focus: bool) -> Shape:
    """Return the card of a file or the pill of a run."""
    return _file_shape(node, is_focus) if isinstance(node, FileNode) else _run_shape(node, is_focus)


def stub_shape(count: int, *, is_before: bool) -> Shape:
    """Return the small pill for neighbours that are left out, aligned to the side of its node."""
    label = f"+{count:,} more"
    width = pixel_width(label, 11) + 24

    def draw(full_width: float) -> str:
        left = full_width - width if is_before else 0.0
        return (
            f'<rect class="m" x="{left:.0f}" width="{width:.0f}" height="{STUB_HEIGHT}" rx="12"/>'
            f'<text class="u c" x="{left + width / 2:.0f}" y="16">{label}</text>'
        )

    return Shape(width, STUB_HEIGHT, draw)


def _tooltip(node: Node) -> str:
    return f"<title>{xml(chr(10).join(labels.details(node)))}</title>"


def _group(node: Node, classes: str, body: str) -> str:
    return f'<g class="{classes}" data-id="{xml(printable(node.id))}">{_tooltip(node)}{body}</g>'


def _file_shape(file: FileNode, is_focus: bool) -> Shape:
    name = elide_middle(labels.file_name(file), _NAME_LIMIT, _name_width)
    plain = " · ".join(labels.file_facts(file))
    facts = " · ".join(map(_marked_fact, labels.file_facts(file)))
    folder = labels.file_folder(file)
    facts_width = _small_width(plain)
    if folder:
        available = _FACTS_LIMIT - _small_width(" · " + plain)
        folder = elide_middle(folder, available, _small_width)
        facts = f"{xml(isolated(folder))} · {facts}"
        facts_width = _small_width(f"{folder} · ") + facts_width
    recall = labels.recall_caption(file, _FACTS_LIMIT, _small_width)
    text_width = max(_MIN_TEXT, _name_width(name) + _CORNER, facts_width, _small_width(recall))
    height = HEIGHT + _RECALL_LINE * bool(recall)
    kind = labels.suffix_kind(file.suffix)
    classes = " ".join(["o"] * is_focus + ["t"] * file.is_trashed) or "x"
    border = "f" + " f-stale" * file.is_stale + (" f-flagged" if file.flags else " f-affected" if recall else "")

    def draw(full_width: float) -> str:
        width = round(full_width)
        stack = f'<rect class="w" x="4" y="-4" width="{width - 6}" height="{height}" rx="6"/>' * (
            labels.is_older(file) or file.members > 1
        )
        card = f"M6 0H{width - 12}L{width} 12V{height - 6}a6 6 0 0 1-6 6H6a6 6 0 0 1-6-6V6a6 6 0 0 1 6-6Z"
        band = f"M6 .7H{_BAND}V{height - 0.7}H6a5.3 5.3 0 0 1-5.3-5.3V6a5.3 5.3 0 0 1 5.3-5.3Z"
        why = f'<text class="{"why-flagged" if file.flags else "why"}" x="{_FILE_TEXT}" y="50">{xml(recall)}</text>'
        return _group(
            file,
            classes,
            f'{stack}<path class="{border}" d="{card}"/><path class="{kind}" d="{band}"/>'
            f'<path class="{border}" d="M{width - 12} 0V9a3 3 0 0 0 3 3H{width}Z"/>{_suffix(file.suffix, kind)}'
            f'<text class="n" x="{_FILE_TEXT}" y="19">{xml(name)}</text>'
            f'<text class="u" x="{_FILE_TEXT}" y="35">{facts}</text>{why * bool(recall)}',
        )

    return Shape(_FILE_TEXT + text_width + 12, height, draw, 10 * is_focus)


def _marked_fact(fact: str) -> str:
    """Return a fact about a file as SVG; one that asks for attention has its colour."""
    css = _MARKS.get(fact)
    return f'<tspan class="{css}">{fact}</tspan>' if css else xml(fact)


def _suffix(suffix: str, kind: str) -> str:
    """Return the suffix in the band, on two lines if it has two parts, or a page icon if there is none."""
    first, _, last = labels.suffix_label(suffix).rpartition(".")
    middle = _BAND / 2
    if first:
        return _letters(first, 20, kind) + _letters(last, 32, kind)
    if last:
        return _letters(last, 26, kind)
    return f'<path class="i" d="M{middle - 6} 14H{middle + 2}L{middle + 6} 18V30H{middle - 6}Z"/>'


def _letters(text: str, y: int, kind: str) -> str:
    available = _BAND - 5.0
    is_small = pixel_width(text, 10, is_bold=True) > available
    label = elide_middle(text, available, lambda part: pixel_width(part, 8.5 if is_small else 10, is_bold=True))
    return f'<text class="{"z" if is_small else "s"} c {kind}-s" x="{_BAND // 2}" y="{y}">{xml(label)}</text>'


def _run_shape(run: RunNode, is_focus: bool) -> Shape:
    version = elide_middle(labels.run_version(run), _VERSION_LIMIT, _version_width)
    version_width = _version_width(version) + 5 if version else 0.0
    name = elide_middle(labels.run_name(run), max(_NAME_LIMIT - version_width, _RUN_NAME_LIMIT), _name_width)
    facts = _fitting(labels.run_facts(run))
    text_width = max(_MIN_TEXT, _name_width(name) + version_width, _small_width(facts))
    sign = STATUS_SIGNS.get(run.status or "")
    icon = TYPE_ICONS.get(run.transform_type, OTHER_ICON)
    border = f" r-{run.status}" if run.status in ("failed", "aborted") else ""
    top = 19 if facts else 27

    def draw(full_width: float) -> str:
        width = round(full_width)
        small = f'<tspan class="u v" dx="5">{xml(version)}</tspan>' if version else ""
        return _group(
            run,
            "o" if is_focus else "x",
            f'<rect class="w" x="4" y="-4" width="{width - 8}" height="{HEIGHT}" rx="22"/>'
            * (run.members > 1)
            + f'<rect class="r{border}" width="{width}" height="{HEIGHT}" rx="22"/>'
            f'<circle class="d" cx="23" cy="22" r="15"/><path class="i" transform="translate(23 22)" d="{icon}"/>'
            f'<text class="n" x="{_RUN_TEXT}" y="{top}">{xml(isolated(name))}{small}</text>'
            f'<text class="u" x="{_RUN_TEXT}" y="35">{xml(facts)}</text>'
            + (status_sign(run.status or "", width - 21, HEIGHT // 2) if sign else ""),
        )

    return Shape(_RUN_TEXT + text_width + (_SIGN_WIDTH if sign else 18), HEIGHT, draw, 27 * is_focus)


def _fitting(facts: list[str]) -> str:
    """Return as many facts as fit, or the first one shortened; the tooltip has all of them."""
    for count in range(len(facts), 1, -1):
        text = " · ".join(facts[:count])
        if _small_width(text) <= _FACTS_LIMIT:
            return text
    return elide_middle(facts[0], _FACTS_LIMIT, _small_width) if facts else ""


def status_sign(status: str, x: float, y: float) -> str:
    """Return the icon of a status: a disc in its colour with a sign, which is readable without the colour."""
    sign = "kf" if status == "running" else "k"
    return (
        f'<g transform="translate({x:.0f} {y:.0f})"><circle class="{status}" r="8"/>'
        f'<path class="{sign}" d="{STATUS_SIGNS[status]}"/></g>'
    )


def _name_width(text: str) -> float:
    return pixel_width(text, 13, is_bold=True)


def _small_width(text: str) -> float:
    return pixel_width(text, 11)


def _version_width(text: str) -> float:
    return pixel_width(text, 13)


_MARGIN = 22.0
_FOOTER = 30.0
_ARROW = 7.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished drawing.

    Attributes:
        text: The SVG.
        width: The width in pixels.
        focus: The position of the focus from the left and from the top, as fractions of width and height.
    """

    text: str
    width: int
    focus: tuple[float, float]


def svg(
    graph: LineageGraph, *, theme: Theme = "auto", nothing: str = labels.NOTHING, hint: str = labels.IN_PYTHON
) -> str:
    """Return a lineage as SVG; see `draw`."""
    return draw(graph, theme=theme, nothing=nothing, hint=hint).text


def draw(
    graph: LineageGraph, *, theme: Theme = "auto", nothing: str = labels.NOTHING, hint: str = labels.IN_PYTHON
) -> Drawing:
    """Return a lineage as SVG, with the position of the focus.

    The SVG is self-contained: no script, no link, no external font. It is deterministic and does not depend on the
    order of the nodes. Names are escaped and shortened in the middle; tooltips have the full text.

    Args:
        graph: The graph; all of it is drawn.
        theme: `auto` follows the reader's preference; `light` and `dark` are for documents that have one page colour.
        nothing: The text of an empty drawing.
        hint: How to see all if nodes are left out; "" where the reader cannot.

    Raises:
        InvalidInputError: The theme is unknown.
    """
    if theme not in ("auto", "light", "dark"):
        raise InvalidInputError(f"theme {theme!r} is unknown; use 'auto', 'light' or 'dark'")
    nodes = sorted(graph.nodes(), key=lambda node: node.id)
    parts = parts_of(graph, nodes)
    shapes, placement = parts.shapes, parts.placed()
    footer, footer_width = _footer(graph, any(route.is_back for route in placement.routes), nothing, hint)
    width = max(placement.width, footer_width) + 2 * _MARGIN
    height = placement.height + 2 * _MARGIN + _FOOTER - 8
    left = _MARGIN + max(0.0, (footer_width - placement.width) / 2)
    text = "".join(
        [
            _opening(graph, width, height, theme),
            f'<g transform="translate({left:.0f} {_MARGIN:.0f})">',
            *(halo(shape, box) for shape, box in zip(shapes, placement.boxes, strict=True) if shape.halo),
            *lines(placement, len(parts.edges)),
            *(
                f'<g transform="translate({box.x:.0f} {box.y:.0f})">{shape.draw(box.width)}</g>'
                for shape, box in zip(shapes, placement.boxes, strict=True)
            ),
            f'</g><g transform="translate({_MARGIN:.0f} {height - 20:.0f})">{footer}</g></svg>',
        ]
    )
    return Drawing(text, round(width), focus_position(graph, nodes, placement, left, (width, height)))


def focus_position(
    graph: LineageGraph, nodes: list[Node], placement: Placement, left: float, size: tuple[float, float]
) -> tuple[float, float]:
    """Return the position of the focus as fractions; for several nodes, the middle of their extent."""
    focus = graph.focus_ids()
    boxes = [box for node, box in zip(nodes, placement.boxes, strict=False) if node.id in focus]
    if not boxes:
        return 0.0, 0.0
    twice_x = min(box.x for box in boxes) + max(box.x + box.width for box in boxes)
    twice_y = min(box.middle for box in boxes) + max(box.middle for box in boxes)
    return (left + twice_x / 2) / size[0], (_MARGIN + twice_y / 2) / size[1]


@dataclass(frozen=True, slots=True)
class Parts:
    """What is drawn of a graph, by number: its nodes, then the stubs.

    Attributes:
        shapes: The shapes.
        edges: The edges between nodes.
        stub_edges: The edges between nodes and stubs.
        first_columns: Files start in column 0 and runs in column 1, so they never share a column.
        stubs: For each stub the id of its node, and whether it stands for ancestors.
    """

    shapes: list[Shape]
    edges: list[tuple[int, int]]
    stub_edges: list[tuple[int, int]]
    first_columns: list[int]
    stubs: list[tuple[str, bool]]

    def placed(self) -> Placement:
        """Return where everything is."""
        sizes = [(shape.width, shape.height) for shape in self.shapes]
        return lay_out(sizes, [*self.edges, *self.stub_edges], self.first_columns)


def parts_of(graph: LineageGraph, nodes: list[Node]) -> Parts:
    """Return what is drawn of a graph, whose nodes are given in the order in which they are numbered."""
    focus = graph.focus_ids()
    number = {node.id: index for index, node in enumerate(nodes)}
    shapes = [node_shape(node, is_focus=node.id in focus) for node in nodes]
    first_columns = [0 if node.kind == "file" else 1 for node in nodes]
    edges = sorted((number[edge.source], number[edge.target]) for edge in graph.edges)
    stub_edges, stubs = [], []
    for hidden, is_up in ((graph.hidden_up, True), (graph.hidden_down, False)):
        for node_id, count in sorted(hidden.items()):
            if count:
                stub, node = len(shapes), number[node_id]
                shapes.append(stub_shape(count, is_before=is_up))
                first_columns.append(1 - first_columns[node])
                stub_edges.append((stub, node) if is_up else (node, stub))
                stubs.append((node_id, is_up))
    return Parts(shapes, edges, stub_edges, first_columns, stubs)


def _opening(graph: LineageGraph, width: float, height: float, theme: Theme) -> str:
    label = xml(f"{labels.heading(graph)}: {labels.summary(graph)}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lnv-{theme}" role="img" aria-label="{label}"'
        f' width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">'
        f"<style>{style_sheet(theme)}</style>"
        f'<rect class="p" x=".5" y=".5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="10"/>'
    )


def halo(shape: Shape, box: Box) -> str:
    """Return the highlight around a shape."""
    return (
        f'<rect class="h" x="{round(box.x) - 5}" y="{round(box.y) - 5}" width="{round(box.width) + 10}"'
        f' height="{round(box.height) + 10}" rx="{shape.halo}"/>'
    )


def lines(placement: Placement, real: int, marked: Collection[int] = ()) -> Iterable[str]:
    """Yield all lines and arrow heads as few paths: a drawing of thousands stays small.

    Args:
        placement: Where everything is.
        real: How many edges are between nodes; those after them lead to stubs.
        marked: The numbers of edges to highlight.
    """
    kinds: dict[str, list[str]] = {"l": [], "b": [], "q": [], "lm": []}
    heads: dict[str, list[str]] = {"a": [], "ab": [], "am": []}
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
            mark = "m" if index in marked else ""
            kinds[f"l{mark}"].append(_curve(route))
            x, y = route.points[-1]
            heads[f"a{mark}"].append(f"M{x - 0.5:.1f} {y:.1f}l-{_ARROW + 1} -4v8z")
    for name, paths in (kinds | heads).items():
        if paths:
            yield f'<path class="{name}" d="{"".join(paths)}"/>'


def _curve(route: Route, lower: float = 0.0, shortened: float = _ARROW) -> str:
    """Return a route as a smooth path that starts and ends horizontally."""
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


def _footer(graph: LineageGraph, has_cycle: bool, nothing: str, hint: str) -> tuple[str, float]:
    """Return the footer and its width: counts, the status icons in use, and what is left out."""
    title = labels.summary(graph) if len(graph) else printable(nothing)
    parts = [f'<text class="u" y="4">{xml(title)}</text>']
    x = pixel_width(title, 11) + 22
    present = {run.status for run in graph.runs}
    if len(present & set(STATUSES)) > 1 or present & {"failed", "aborted"}:
        for status in STATUSES:
            if status in present:
                parts.append(status_sign(status, x + 8, 0) + f'<text class="u" x="{x + 21:.0f}" y="4">{status}</text>')
                x += pixel_width(status, 11) + 38
    if has_cycle:
        label = "closes a cycle"
        parts.append(f'<path class="b" d="M{x:.0f} 0h24"/><text class="u" x="{x + 30:.0f}" y="4">{label}</text>')
        x += 30 + pixel_width(label, 11) + 16
    note = labels.truncation_note(graph, hint)
    if note:
        parts.append(f'<text x="{x:.0f}" y="4">{note}</text>')
        x += pixel_width(note, 11) + 10
    return "".join(parts), x
