"""A lineage in HTML: a fragment that notebooks show, trusted or not, and a page of its own."""

from __future__ import annotations

import base64
import re

from lamindb.core.graph import LineageGraph
from lamindb.exchange import captions
from lamindb.exchange.svg import svg
from lamindb.exchange.svg_nodes import xml
from lamindb.exchange.svg_style import Theme

_SMALLEST = 0.65
"""How far a notebook may shrink the picture to its column before it scrolls: below, letters get too small."""


def html_fragment(graph: LineageGraph, *, theme: Theme = "auto") -> str:
    """Write an image that holds its whole data, and says in words what it shows.

    An `<img>` is what JupyterLab also shows in a notebook that it does not trust; inline SVG is removed there.
    """
    picture = svg(graph, theme=theme)
    size = re.search(r' width="(\d+)" height="(\d+)"', picture)
    width = int(size[1]) if size else 0
    data = base64.b64encode(picture.encode()).decode("ascii")
    alternative = xml(". ".join(filter(None, [description(graph), captions.truncation_note(graph)])))
    return (
        '<div style="overflow:auto; max-width:100%">'
        f'<img alt="{alternative}" src="data:image/svg+xml;base64,{data}" width="{width}"'
        f' style="max-width:100%; min-width:{width * _SMALLEST:.0f}px; height:auto"></div>'
    )


def html_page(graph: LineageGraph, *, theme: Theme = "auto") -> str:
    """Write a page that stands alone; the drawing is inline, so that its tooltips work."""
    scheme = "light dark" if theme == "auto" else theme
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{xml(captions.heading(graph))}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>:root{{color-scheme:{scheme}}}body{{margin:16px}}svg{{display:block}}</style></head>"
        f"<body>{svg(graph, theme=theme)}</body></html>\n"
    )


def description(graph: LineageGraph) -> str:
    """Say in one line, for people who cannot see the drawing, what it shows."""
    return f"{captions.heading(graph)}: {captions.summary(graph)}"
