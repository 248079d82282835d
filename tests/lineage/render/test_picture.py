"""The picture: one lineage in every form, shown and saved."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lamindb.errors import InvalidInputError, StorageError
from lamindb.lineage.render.picture import LineagePicture
from tests.support.graphs import hostile_graph, small_graph


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_its_repr_is_the_tree() -> None:
    picture = LineagePicture(small_graph())
    assert repr(picture) == picture.to_text()
    assert repr(LineagePicture(small_graph(), "up")) == picture.to_text(direction="up")


@pytest.mark.parametrize("graph", [small_graph(), hostile_graph()], ids=len)
def test_notebooks_get_an_image_that_holds_its_data_and_says_what_it_is(graph: object) -> None:
    bundle = LineagePicture(graph)._repr_mimebundle_()  # type: ignore[arg-type]
    assert set(bundle) == {"text/html", "text/plain"}
    parser = _Tags()
    parser.feed(bundle["text/html"])
    tags = [tag for tag, _ in parser.tags]
    assert [tag for tag in tags if tag != "span"] == ["div", "div", "img", "details", "summary", "pre"]
    image = parser.tags[2][1]
    assert (image["alt"] or "").startswith("Lineage of ")
    header, _, data = (image["src"] or "").partition(",")
    assert header == "data:image/svg+xml;base64"
    ElementTree.fromstring(base64.b64decode(data))


def test_mimebundle_gives_only_what_is_asked_for() -> None:
    picture = LineagePicture(small_graph())
    assert set(picture._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(picture._repr_mimebundle_(exclude={"text/plain"})) == {"text/html"}


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.svg", "<svg "),
        ("a.HTML", "<!doctype html>"),
        ("a.json", "{"),
        ("a.mmd", "flowchart LR"),
        ("a.dot", "digraph"),
        ("a.gv", "digraph"),
        ("a.txt", "▪ images/nuclei.jpg"),
    ],
)
def test_save_writes_what_the_suffix_names(tmp_path: Path, name: str, start: str) -> None:
    path = LineagePicture(small_graph()).save(tmp_path / name)
    text = path.read_text(encoding="utf-8")
    assert text.startswith(start) and text.endswith("\n")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_to_methods_return_what_they_write(tmp_path: Path) -> None:
    picture = LineagePicture(small_graph())
    assert picture.to_svg(tmp_path / "a.svg", theme="dark") + "\n" == (tmp_path / "a.svg").read_text("utf-8")
    assert json.loads(picture.to_json())["focus"] == "f3"


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(".svg")):
        LineagePicture(small_graph()).save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        LineagePicture(small_graph()).save(tmp_path / "nowhere" / "a.svg")


def test_the_page_stands_alone() -> None:
    page = LineagePicture(hostile_graph()).to_html()
    parser = _Tags()
    parser.feed(page)
    tags = {tag for tag, _ in parser.tags}
    assert "script" not in tags and "link" not in tags and "svg" in tags
    assert not any(name in {"src", "href"} for _, attributes in parser.tags for name in attributes)


def test_df() -> None:
    assert len(LineagePicture(small_graph()).df()) == 4


def test_ipython_takes_the_picture_and_the_tree() -> None:
    formatters = pytest.importorskip("IPython.core.formatters")
    data, _ = formatters.DisplayFormatter().format(LineagePicture(small_graph()))
    assert data["text/html"].startswith("<div") and data["text/plain"].startswith("▪ images/nuclei.jpg")
