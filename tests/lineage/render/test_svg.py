"""The SVG: well-formed, self-contained, safe, and it says what there is to say."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lamindb.errors import InvalidInputError
from lamindb.lineage.lineage_graph import LineageGraph
from lamindb.lineage.render.svg import pixel_width, svg
from tests.support.graphs import cycle_graph, file_node, hostile_graph, project_graph, run_node, small_graph

SVG = "{http://www.w3.org/2000/svg}"
GRAPHS = {
    "small": small_graph(),
    "cycle": cycle_graph(),
    "hostile": hostile_graph(),
    "project": project_graph(120),
    "empty": LineageGraph(),
}


def texts(picture: str) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def titles(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SVG}title")]


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
@pytest.mark.parametrize("name", GRAPHS)
def test_it_is_well_formed_and_needs_nothing_else(name: str, theme: str) -> None:
    picture = svg(GRAPHS[name], theme=theme)  # type: ignore[arg-type]
    root = ElementTree.fromstring(picture)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "style", "g", "rect", "path", "circle", "text", "tspan", "title"}
    names = {attribute for element in root.iter() for attribute in element.attrib}
    assert not any(name.startswith("on") or "href" in name or name == "style" for name in names)
    style = next(root.iter(f"{SVG}style")).text or ""
    assert "url(" not in style and "@import" not in style
    assert ("prefers-color-scheme" in style) == (theme == "auto")
    picture.encode()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_stale_file_has_a_border_of_its_own(theme: str) -> None:
    nodes = [file_node("a", "a.csv"), file_node("b", "b.csv", is_stale=True)]
    root = ElementTree.fromstring(svg(LineageGraph(files=tuple(nodes)), theme=theme))  # type: ignore[arg-type]
    marked = {
        one.get("data-id") for one in root.iter(f"{SVG}g") for path in one if "f-stale" in path.get("class", "").split()
    }
    assert marked == {"b"}
    assert "stroke-dasharray" in (next(root.iter(f"{SVG}style")).text or "").partition(".f-stale")[2].partition("}")[0]


def test_hostile_names_stay_text() -> None:
    picture = svg(GRAPHS["hostile"])
    assert "<script" not in picture
    assert "\x1b" not in picture and "\u202e" not in picture
    assert any("<script>alert(1)</script>" in title for title in titles(picture))
    assert any(r"\x1b[31mred" in title for title in titles(picture))


def test_long_names_lose_their_middle_and_the_tooltip_has_them_whole() -> None:
    key = "results/" + "a_very_long_name_" * 12 + "of_a_file.fastq.gz"
    picture = svg(LineageGraph(files=(file_node("f1", key),)))
    shown = next(text for text in texts(picture) if "…" in text)
    assert shown.startswith("a_very") and shown.endswith(".fastq.gz")
    assert pixel_width(shown, 13, is_bold=True) < 250
    assert titles(picture)[0].startswith(key)


def test_it_shows_names_versions_users_times_and_what_is_hidden() -> None:
    shown = texts(svg(small_graph()))
    assert "Cell Rangerv7.2.0" in shown
    assert "testuser1 · 2026-11-20 09:00 UTC" in shown
    assert "failed · testuser1 · 2026-11-20 09:00 UTC" in shown
    assert "counts/ · v2 · 29.4 kB" in shown
    assert {"+1 more", "+12 more", "fastq", "gz", "h5ad", "jpg"} <= set(shown)
    assert "partial: 13 more not shown; use depth=None, max_nodes=… to see all" in shown


def test_each_status_has_a_sign_beside_its_colour() -> None:
    signs = set()
    for status in ("completed", "failed", "running", "aborted"):
        picture = svg(LineageGraph(runs=(run_node("r1", status=status),)))
        sign = re.search(rf'<circle class="{status}" r="8"/><path class="\w+" d="([^"]+)"', picture)
        assert sign is not None
        signs.add(sign[1])
    assert len(signs) == 4


def test_a_run_without_status_has_no_sign() -> None:
    assert 'r="8"' not in svg(LineageGraph(runs=(run_node("r1", status=None),)))


def test_the_focus_stands_out() -> None:
    graph = small_graph()
    assert svg(graph).count('class="h"') == 1
    assert svg(replace(graph, focus=None)).count('class="h"') == 0
    assert svg(replace(graph, focus="t")).count('class="h"') == 1


def test_lines_back_are_explained() -> None:
    assert "closes a cycle" in texts(svg(cycle_graph()))
    assert "closes a cycle" not in texts(svg(small_graph()))


def test_truncation_without_numbers_is_told_too() -> None:
    graph = replace(small_graph(), hidden_up={}, hidden_down={})
    assert any("partial: more not shown" in text for text in texts(svg(graph)))
    assert not any("partial:" in text for text in texts(svg(replace(graph, is_truncated=False))))


def test_the_same_graph_gives_the_same_picture_in_whatever_order() -> None:
    graph = project_graph(80)
    turned = replace(graph, files=graph.files[::-1], runs=graph.runs[::-1], edges=graph.edges[::-1])
    assert svg(graph) == svg(graph) == svg(turned)


def test_the_label_says_what_it_is() -> None:
    assert 'aria-label="Lineage of images/nuclei.jpg: 3 files · 2 runs"' in svg(small_graph())


def test_an_unknown_theme_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="'sepia'"):
        svg(small_graph(), theme="sepia")  # type: ignore[arg-type]
