"""The drawing inside a page: links, no inline style, nothing moves by a selection, and its style sheet."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from lamindb.lineage.lineage_graph import LineageGraph, Node
from lamindb.lineage.render.page_svg import Links, draw_page, page_style_sheet
from tests.support.graphs import cycle_graph, file_node, hostile_graph, project_graph, small_graph

GRAPHS = {
    "small": small_graph(),
    "cycle": cycle_graph(),
    "hostile": hostile_graph(),
    "project": project_graph(120),
    "empty": LineageGraph(),
}


def node_address(node: Node) -> str:
    """Return an address with all that has to be escaped."""
    return f"/{node.kind}s/{node.id}?a=1&b=\"'<"


def drawn(graph: LineageGraph, **options: Any) -> ElementTree.Element:
    """Draw a graph with links that tell what they lead to; in a page it needs no namespace."""
    links = Links(node_address, lambda node_id, side: f"?open={node_id}:{side}", **options)
    return ElementTree.fromstring(draw_page(graph, links).text)


def places(root: ElementTree.Element) -> dict[str | None, str | None]:
    """Return where each node is drawn."""
    found = {}
    for link in root.iter("a"):
        group = link.find("g")
        assert group is not None
        found[link.get("data-id")] = group.get("transform")
    return found


@pytest.mark.parametrize("name", GRAPHS)
def test_it_needs_no_inline_style_and_every_node_is_a_link(name: str) -> None:
    graph = GRAPHS[name]
    root = drawn(graph)
    tags = {element.tag for element in root.iter()}
    assert tags <= {"svg", "a", "g", "rect", "path", "circle", "text", "tspan", "title"}
    attributes = {attribute for element in root.iter() for attribute in element.attrib}
    assert not any(attribute.startswith("on") or attribute == "style" for attribute in attributes)
    assert root.get("role") == "group"
    nodes = [link for link in root.iter("a") if link.get("class", "").startswith("node")]
    assert sorted(link.get("href", "") for link in nodes) == sorted(map(node_address, graph.nodes()))
    assert all(link.get("aria-description") for link in nodes)
    assert all(link.get("aria-label") for link in root.iter("a") if link not in nodes)


def test_a_stub_is_a_link_that_says_how_many_it_opens() -> None:
    graph = LineageGraph(files=(file_node("f1"),), focus="f1", hidden_up={"f1": 7}, hidden_down={"f1": 1280})
    stubs = {one.get("data-id"): one for one in drawn(graph).iter("a") if one.get("class") == "stub"}
    assert {one: stub.get("href") for one, stub in stubs.items()} == {
        "f1:up": "?open=f1:up",
        "f1:down": "?open=f1:down",
    }
    assert stubs["f1:up"].get("aria-label") == "Show 7 more before this"
    assert stubs["f1:down"].get("aria-label") == "Show 20 of 1,280 more after this"
    assert "".join(stubs["f1:down"].itertext()).endswith("+1,280 more")


@pytest.mark.parametrize("name", ["small", "cycle", "hostile", "project"])
def test_selecting_and_marking_move_nothing(name: str) -> None:
    graph = GRAPHS[name]
    plain = places(drawn(graph))
    for node in graph.nodes()[:20]:
        assert places(drawn(graph, selected=node.id)) == plain
        assert places(drawn(graph, marked={node.id, graph.nodes()[0].id})) == plain


def test_a_way_is_marked_with_its_edges() -> None:
    graph = small_graph()
    edge = graph.edges[0]
    root = drawn(graph, marked={edge.source, edge.target}, selected=edge.source)
    classes = {link.get("data-id"): link.get("class") for link in root.iter("a")}
    assert {one for one, text in classes.items() if "marked" in str(text)} == {edge.source, edge.target}
    assert classes[edge.source] == "node marked selected"
    (chosen,) = [one for one in root.iter() if one.get("class") == "node marked selected"]
    assert str(chosen.get("aria-description")).startswith("selected, ")
    assert [path.get("d", "").count("M") for path in root.iter("path") if path.get("class") == "lm"] == [1]
    assert "lm" not in {path.get("class") for path in drawn(graph).iter("path")}


def test_marks_stand_in_the_node_and_in_its_name_for_screen_readers() -> None:
    graph = LineageGraph(files=(file_node("f1", "a/b.csv", is_stale=True, flags=("wrong index",)),), focus="f1")
    root = drawn(graph)
    link = next(root.iter("a"))
    assert {tuple(one.itertext()) for one in root.iter("tspan")} >= {("stale",), ("flagged",)}
    assert "stale" in str(link.get("aria-description")) and "flagged" in str(link.get("aria-description"))
    assert link.get("aria-current") == "true"


def test_the_style_sheet_follows_the_system_unless_the_page_chose() -> None:
    css = page_style_sheet()
    assert "@media(prefers-color-scheme:dark){:root:not([data-theme=light]) .lnv" in css
    assert ":root[data-theme=dark] .lnv" in css
    assert "url(" not in css and "@import" not in css
    assert css.count("{") == css.count("}")
