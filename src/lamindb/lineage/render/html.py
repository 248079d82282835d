"""A lineage in HTML: a fragment that notebooks show, trusted or not, and a page of its own."""

from __future__ import annotations

import base64

from lamindb.lineage.lineage_graph import LineageGraph
from lamindb.lineage.render import labels
from lamindb.lineage.render.svg import Drawing, draw
from lamindb.lineage.render.svg_nodes import xml
from lamindb.lineage.render.svg_style import Theme

_SMALLEST = 0.65
"""How far a notebook may shrink the picture to its column before it scrolls: below, letters get too small."""


def html_fragment(graph: LineageGraph, *, theme: Theme = "auto", tree: str = "", nothing: str = labels.NOTHING) -> str:
    """Write an image that holds its whole data, and says in words what it shows.

    An `<img>` is what JupyterLab also shows in a notebook that it does not trust; inline SVG is removed there, and
    with it the tooltips. So whole names are in the tree.

    Args:
        graph: What to draw.
        theme: See `svg`.
        tree: The lineage as text, to be unfolded under the image; nothing for none.
        nothing: What an empty drawing says.
    """
    drawing = draw(graph, theme=theme, nothing=nothing)
    data = base64.b64encode(drawing.text.encode()).decode("ascii")
    alternative = xml(". ".join(filter(None, [description(graph), labels.truncation_note(graph)])))
    image = (
        f'<img alt="{alternative}" src="data:image/svg+xml;base64,{data}" width="{drawing.width}" style="width:100%">'
    )
    return _scrolled(drawing, image, f"width:{drawing.width}px;max-width:100%") + _unfolded(tree)


def html_page(graph: LineageGraph, *, theme: Theme = "auto", tree: str = "", nothing: str = labels.NOTHING) -> str:
    """Write a page that stands alone; the drawing is inline, so that its tooltips work. Arguments as above."""
    scheme = "light dark" if theme == "auto" else theme
    drawing = draw(graph, theme=theme, nothing=nothing)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{xml(labels.heading(graph))}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>:root{{color-scheme:{scheme}}}body{{margin:16px}}svg{{display:block}}"
        "@media screen{.lnv-view{max-height:calc(100vh - 70px)}}"
        "pre{overflow:auto}summary{font:13px sans-serif;cursor:pointer;margin-top:12px}</style></head>"
        f"<body>{_scrolled(drawing, drawing.text, f'width:{drawing.width}px')}{_unfolded(tree)}</body></html>\n"
    )


def _scrolled(drawing: Drawing, inner: str, size: str) -> str:
    """Put a drawing where it can be scrolled sideways, beginning at the side where the focus is; a page also downwards.

    No script is needed: what is written from right to left is scrolled to its right end at first. Browsers that know
    `scroll-initial-target` begin at the focus itself.
    """
    across, down = drawing.focus
    way = "rtl" if across > 0.5 else "ltr"
    left = f"calc({100 * across:.1f}% {'+' if way == 'rtl' else '-'} 30vw)"
    place = f"position:absolute; left:{left}; top:calc({100 * down:.1f}% - 30vh); scroll-initial-target:nearest"
    mark = f'<span style="{place}"></span>' if across else ""
    return (
        f'<div class="lnv-view" style="overflow:auto; max-width:100%; direction:{way}">'
        f'<div style="direction:ltr; position:relative; margin:0 auto 0 0; {size};'
        f' min-width:{drawing.width * _SMALLEST:.0f}px">{inner}{mark}</div></div>'
    )


def _unfolded(tree: str) -> str:
    """Write a text that is folded away at first."""
    if not tree:
        return ""
    return f"<details><summary>as text</summary><pre>{xml(tree)}</pre></details>"


def description(graph: LineageGraph) -> str:
    """Say in one line, for people who cannot see the drawing, what it shows."""
    return f"{labels.heading(graph)}: {labels.summary(graph)}"
