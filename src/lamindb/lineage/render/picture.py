"""The result of `view_lineage()`: a lineage that displays itself in notebooks and terminals, and converts to files."""

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

_MIN_SCALE = 0.65
"""The smallest scale to fit a picture into a notebook's column; below, it scrolls instead."""


def html_fragment(
    graph: LineageGraph,
    *,
    theme: Theme = "auto",
    tree: str = "",
    nothing: str = labels.NOTHING,
    hint: str = labels.IN_PYTHON,
) -> str:
    """Return an `<img>` with the drawing as a data URL and a description as its alternative text.

    JupyterLab removes inline SVG from notebooks that are not trusted, but not `<img>`. An `<img>` has no tooltips, so
    the full names are in the tree.

    Args:
        graph: The graph.
        theme: See `svg`.
        tree: The lineage as text, collapsed below the image; "" for none.
        nothing: The text of an empty drawing.
        hint: See `draw`.
    """
    drawing = draw(graph, theme=theme, nothing=nothing, hint=hint)
    data = base64.b64encode(drawing.text.encode()).decode("ascii")
    alternative = xml(". ".join(filter(None, [description(graph), labels.truncation_note(graph, hint)])))
    image = (
        f'<img alt="{alternative}" src="data:image/svg+xml;base64,{data}" width="{drawing.width}" style="width:100%">'
    )
    return _scrolled(drawing, image, f"width:{drawing.width}px;max-width:100%") + _collapsed(tree)


def html_page(
    graph: LineageGraph,
    *,
    theme: Theme = "auto",
    tree: str = "",
    nothing: str = labels.NOTHING,
    hint: str = labels.IN_PYTHON,
) -> str:
    """Return a self-contained page. The drawing is inline for its tooltips. Arguments are as for `html_fragment`."""
    scheme = "light dark" if theme == "auto" else theme
    drawing = draw(graph, theme=theme, nothing=nothing, hint=hint)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{xml(labels.heading(graph))}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>:root{{color-scheme:{scheme}}}body{{margin:16px}}svg{{display:block}}"
        "@media screen{.lnv-view{max-height:calc(100vh - 70px)}}"
        "pre{overflow:auto}summary{font:13px sans-serif;cursor:pointer;margin-top:12px}</style></head>"
        f"<body>{_scrolled(drawing, drawing.text, f'width:{drawing.width}px')}{_collapsed(tree)}</body></html>\n"
    )


def _scrolled(drawing: Drawing, inner: str, size: str) -> str:
    """Return a drawing in a box that scrolls and starts at the side of the focus.

    It needs no script: a box with the direction `rtl` starts at its right end. Browsers that support
    `scroll-initial-target` start at the focus itself.
    """
    x, y = drawing.focus
    direction = "rtl" if x > 0.5 else "ltr"
    left = f"calc({100 * x:.1f}% {'+' if direction == 'rtl' else '-'} 30vw)"
    style = f"position:absolute; left:{left}; top:calc({100 * y:.1f}% - 30vh); scroll-initial-target:nearest"
    mark = f'<span style="{style}"></span>' if x else ""
    return (
        f'<div class="lnv-view" style="overflow:auto; max-width:100%; direction:{direction}">'
        f'<div style="direction:ltr; position:relative; margin:0 auto 0 0; {size};'
        f' min-width:{drawing.width * _MIN_SCALE:.0f}px">{inner}{mark}</div></div>'
    )


def _collapsed(tree: str) -> str:
    """Return a text that is collapsed at first."""
    if not tree:
        return ""
    return f"<details><summary>as text</summary><pre>{xml(tree)}</pre></details>"


def description(graph: LineageGraph) -> str:
    """Return a description of the drawing for screen readers."""
    return f"{labels.heading(graph)}: {labels.summary(graph)}"


_WIDE_TREE = 240

StrPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, repr=False)
class LineagePicture:
    """A lineage that renders in several formats, without querying the database again.

    A notebook displays it as a picture, a terminal as a tree.

    Attributes:
        graph: The files, runs and edges.
        direction: The direction of the tree.
        nothing: The text of an empty picture.
        shown: What drawings show, where that is not the whole graph: siblings grouped, steps folded.
        hint: How to see all where nodes are left out.
    """

    graph: LineageGraph
    direction: Direction = "both"
    nothing: str = labels.NOTHING
    shown: LineageGraph | None = None
    hint: str = labels.IN_PYTHON

    @property
    def drawn(self) -> LineageGraph:
        """The graph that drawings show."""
        return self.shown if self.shown is not None else self.graph

    @property
    def files(self) -> tuple[FileNode, ...]:
        """The files in the picture."""
        return self.graph.files

    @property
    def runs(self) -> tuple[RunNode, ...]:
        """The runs in the picture."""
        return self.graph.runs

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edges between them."""
        return self.graph.edges

    def to_svg(self, path: StrPath | None = None, *, theme: Theme = "auto") -> str:
        """Return it as SVG; with a path, also write it there atomically.

        Raises:
            StorageError: The file cannot be written; an existing one is unchanged.
        """
        return _written(svg(self.drawn, theme=theme, nothing=self.nothing, hint=self.hint), path)

    def to_mermaid(self, path: StrPath | None = None) -> str:
        """Return it as Mermaid text; see `to_svg` for the path."""
        return _written(mermaid(self.drawn), path)

    def to_dot(self, path: StrPath | None = None) -> str:
        """Return it as DOT text for Graphviz; see `to_svg` for the path."""
        return _written(dot(self.drawn), path)

    def to_json(self, path: StrPath | None = None) -> str:
        """Return the whole graph as JSON; see `to_svg` for the path."""
        return _written(json_text(self.graph), path)

    def to_text(self, path: StrPath | None = None, *, direction: Direction | None = None, width: int = 100) -> str:
        """Return it as a text tree; see `to_svg` for the path."""
        tree = text_tree(self.drawn, direction=direction or self.direction, width=width, hint=self.hint)
        return _written(tree if len(self.drawn) else printable(self.nothing), path)

    def to_html(self, path: StrPath | None = None, *, theme: Theme = "auto") -> str:
        """Return it as a self-contained web page; see `to_svg` for the path."""
        return _written(
            html_page(self.drawn, theme=theme, tree=self._tree(), nothing=self.nothing, hint=self.hint), path
        )

    def df(self) -> pd.DataFrame:
        """Return its edges as a pandas DataFrame, one row each."""
        return self.graph.df()

    def save(self, path: StrPath) -> Path:
        """Write it to a file in the format of its suffix: svg, html, json, mmd, dot (or gv), txt.

        Returns:
            The path.

        Raises:
            InvalidInputError: The suffix is unknown; nothing was written.
            StorageError: The file cannot be written; an existing one is unchanged.
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
        """Return a tree wide enough for most names."""
        return self.to_text(width=_WIDE_TREE) if len(self.drawn) else ""

    def __repr__(self) -> str:
        """Return the tree."""
        return self.to_text()

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return the picture for notebooks and the tree for other front ends."""
        bundle = {
            "text/html": html_fragment(self.drawn, tree=self._tree(), nothing=self.nothing, hint=self.hint),
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
