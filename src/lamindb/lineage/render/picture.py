"""What `view_lineage()` returns: a lineage that shows itself, in whatever form is asked for."""

from __future__ import annotations

import base64
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lamindb.core import filesystem
from lamindb.core.text import printable
from lamindb.errors import InvalidInputError, StorageError
from lamindb.lineage.lineage_graph import Edge, FileNode, LineageGraph, RunNode, json_text
from lamindb.lineage.render import labels
from lamindb.lineage.render.dot import dot
from lamindb.lineage.render.mermaid import mermaid
from lamindb.lineage.render.svg import Drawing, Theme, draw, svg, xml
from lamindb.lineage.render.tree import Direction, text_tree

if TYPE_CHECKING:
    import pandas as pd

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


_WIDE = 240

StrPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, repr=False)
class LineagePicture:
    """One lineage, many renderings; none of them asks the database again.

    In a notebook it shows as a picture, in a terminal as a tree.

    Attributes:
        graph: What is shown.
        direction: Which way the tree is drawn.
        nothing: What it says where it holds nothing.
    """

    graph: LineageGraph
    direction: Direction = "both"
    nothing: str = labels.NOTHING

    @property
    def files(self) -> tuple[FileNode, ...]:
        """The files that it shows."""
        return self.graph.files

    @property
    def runs(self) -> tuple[RunNode, ...]:
        """The runs that it shows."""
        return self.graph.runs

    @property
    def edges(self) -> tuple[Edge, ...]:
        """What was read and written, among them."""
        return self.graph.edges

    def to_svg(self, path: StrPath | None = None, *, theme: Theme = "auto") -> str:
        """Draw it as SVG; with a path, also write it there (all or nothing).

        Raises:
            StorageError: The file cannot be written; an older one is as it was.
        """
        return _written(svg(self.graph, theme=theme, nothing=self.nothing), path)

    def to_mermaid(self, path: StrPath | None = None) -> str:
        """Write it as Mermaid text; see `to_svg` for the path."""
        return _written(mermaid(self.graph), path)

    def to_dot(self, path: StrPath | None = None) -> str:
        """Write it as DOT text for Graphviz; see `to_svg` for the path."""
        return _written(dot(self.graph), path)

    def to_json(self, path: StrPath | None = None) -> str:
        """Write all that it holds as JSON; see `to_svg` for the path."""
        return _written(json_text(self.graph), path)

    def to_text(self, path: StrPath | None = None, *, direction: Direction | None = None, width: int = 100) -> str:
        """Draw it as a tree of text; see `to_svg` for the path."""
        tree = text_tree(self.graph, direction=direction or self.direction, width=width)
        return _written(tree if len(self.graph) else printable(self.nothing), path)

    def to_html(self, path: StrPath | None = None, *, theme: Theme = "auto") -> str:
        """Write it as a web page that needs nothing else; see `to_svg` for the path."""
        return _written(html_page(self.graph, theme=theme, tree=self._tree(), nothing=self.nothing), path)

    def df(self) -> pd.DataFrame:
        """Return its edges as a pandas frame, a row each."""
        return self.graph.df()

    def save(self, path: StrPath) -> Path:
        """Write it in the format that the suffix names: svg, html, json, mmd, dot (or gv), txt.

        Returns:
            The path written.

        Raises:
            InvalidInputError: The suffix names no format that is known; nothing was written.
            StorageError: The file cannot be written; an older one is as it was.
        """
        target = Path(path)
        writers = {
            ".svg": self.to_svg,
            ".html": self.to_html,
            ".json": self.to_json,
            ".mmd": self.to_mermaid,
            ".mermaid": self.to_mermaid,
            ".dot": self.to_dot,
            ".gv": self.to_dot,
            ".txt": self.to_text,
        }
        writer = writers.get(target.suffix.lower())
        if writer is None:
            raise InvalidInputError(f"cannot draw a lineage as {target.name!r}; use one of {' '.join(writers)}")
        writer(target)
        return target

    def _tree(self) -> str:
        """Return the tree with room for whole names."""
        return self.to_text(width=_WIDE) if len(self.graph) else ""

    def __repr__(self) -> str:
        """Return the tree: what a person in a terminal wants to see."""
        return self.to_text()

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Give notebooks the picture, and everything else the tree."""
        bundle = {
            "text/html": html_fragment(self.graph, tree=self._tree(), nothing=self.nothing),
            "text/plain": self.to_text(),
        }
        return {
            kind: text
            for kind, text in bundle.items()
            if (include is None or kind in include) and (exclude is None or kind not in exclude)
        }


def _written(text: str, path: StrPath | None) -> str:
    if path is not None:
        try:
            filesystem.write_text(Path(path), text if text.endswith("\n") else text + "\n")
        except OSError as exc:
            raise StorageError(f"cannot write the lineage to {os.fspath(path)}: {exc.strerror or exc}") from exc
    return text
