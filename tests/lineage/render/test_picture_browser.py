"""The pictures in a real browser, in an exported notebook, and in one that JupyterLab does not trust."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamindb.lineage.lineage_graph import Edge, LineageGraph
from lamindb.lineage.render.picture import LineagePicture
from tests.storage.servers import free_ports
from tests.support.graphs import cycle_graph, file_node, hostile_graph, project_graph, run_node, small_graph

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]
playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.route("http*://**", lambda route: route.continue_() if "127.0.0.1" in route.request.url else route.abort())
    yield context.new_page()
    context.close()


def notebook(*html: str) -> str:
    """Write a notebook as it comes from elsewhere: run, and never signed here."""
    outputs = [
        {"output_type": "display_data", "metadata": {}, "data": {"text/html": text, "text/plain": "tree"}}
        for text in html
    ]
    cell = {"cell_type": "code", "id": "a", "execution_count": 1, "metadata": {}, "source": "1", "outputs": outputs}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [cell]})


def is_drawn(image: Any) -> bool:
    """Say whether the browser decoded an image and gave it room."""
    image.evaluate("node => node.decode()")
    return bool(image.evaluate("node => node.complete && node.naturalWidth > 0 && node.clientWidth > 0"))


@pytest.mark.parametrize(
    "graph", [small_graph(), cycle_graph(), hostile_graph(), project_graph(300), LineageGraph()], ids=len
)
def test_every_picture_is_drawn_as_an_image(page: Any, graph: LineageGraph) -> None:
    page.set_content(LineagePicture(graph)._repr_mimebundle_()["text/html"])
    assert is_drawn(page.locator("img"))


@pytest.mark.parametrize("graph", [small_graph(), hostile_graph(), project_graph(120)], ids=len)
def test_no_text_leaves_its_box(page: Any, graph: LineageGraph) -> None:
    page.set_content(LineagePicture(graph).to_html())
    too_wide = page.evaluate(
        """() => [...document.querySelectorAll('g[data-id]')].flatMap(group => {
            const box = group.querySelector('.f, .r').getBoundingClientRect();
            return [...group.querySelectorAll('text')].filter(text => {
                const inner = text.getBoundingClientRect();
                return inner.left < box.left - 1 || inner.right > box.right + 1
            }).map(text => text.textContent)
        })"""
    )
    assert too_wide == []


def test_hostile_names_do_not_run(page: Any) -> None:
    asked: list[str] = []

    def dismiss(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.set_content(LineagePicture(hostile_graph()).to_html())
    assert page.locator("script").count() == 0
    assert asked == []


def test_auto_follows_the_reader(browser: Any) -> None:
    picture = LineagePicture(small_graph())
    seen = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme, viewport={"width": 400, "height": 200})
        tab = context.new_page()
        tab.set_content(picture.to_html())
        seen[scheme] = tab.evaluate("() => getComputedStyle(document.querySelector('.p')).fill")
        context.close()
    assert seen["light"] != seen["dark"]


def test_tooltips_hold_the_whole_name(page: Any) -> None:
    page.set_content(LineagePicture(small_graph()).to_html())
    assert "counts/matrix.h5ad" in page.locator('g[data-id="f2"] > title').text_content()


def test_it_shows_in_an_exported_notebook(page: Any, tmp_path: Path) -> None:
    source = tmp_path / "story.ipynb"
    source.write_text(notebook(LineagePicture(small_graph())._repr_mimebundle_()["text/html"]), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", str(source)], check=True, capture_output=True, timeout=100
    )
    page.goto(source.with_suffix(".html").as_uri(), wait_until="domcontentloaded")
    assert is_drawn(page.locator("img[alt^='Lineage of']"))


@pytest.fixture
def lab_url(tmp_path: Path) -> Iterator[str]:
    """Run JupyterLab on a folder, on this machine only."""
    [port] = free_ports(1)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.root_dir": str(tmp_path),
        "IdentityProvider.token": "",
        "LabApp.news_url": "None",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, env=os.environ.copy())
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/api", server, tmp_path / "server.log")
        yield url
    finally:
        server.terminate()
        try:
            # It may wait for a kernel that was still starting, which ends with it.
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + 120
    while time.monotonic() < give_up_at:
        assert server.poll() is None, log.read_text("utf-8", "replace")
        try:
            with urllib.request.urlopen(url, timeout=30):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the server did not answer: {log.read_text('utf-8', 'replace')}")


def test_it_shows_in_a_notebook_that_jupyterlab_does_not_trust(page: Any, tmp_path: Path, lab_url: str) -> None:
    picture = LineagePicture(small_graph())
    # The second output shows that the notebook is not trusted: there, inline drawings are taken out.
    inline = f'<div id="inline-one">{picture.to_svg()}</div>'
    text = notebook(picture._repr_mimebundle_()["text/html"], inline)
    (tmp_path / "story.ipynb").write_text(text, encoding="utf-8")
    page.goto(f"{lab_url}/lab/tree/story.ipynb", wait_until="domcontentloaded")
    image = page.locator(".jp-OutputArea img[alt^='Lineage of']")
    image.wait_for(state="attached", timeout=60_000)
    assert is_drawn(image)
    assert image.evaluate("node => node.src.startsWith('data:image/svg+xml;base64,')")
    assert page.locator("svg.lnv-auto").count() == 0
    folder = os.environ.get("LINEAGE_SCREENSHOTS")
    if folder:
        page.screenshot(path=f"{folder}/lab.png")


def test_the_data_is_the_drawing(page: Any) -> None:
    picture = LineagePicture(small_graph())
    page.set_content(picture._repr_mimebundle_()["text/html"])
    data = page.locator("img").get_attribute("src").partition(",")[2]
    assert base64.b64decode(data).decode() == picture.to_svg()


def chain_graph(count: int, focus: int) -> LineageGraph:
    """A chain of so many files, each made of the one before."""
    files = tuple(file_node(f"f{number:03}", f"step/{number:03}.csv") for number in range(count))
    runs = tuple(run_node(f"r{number:03}") for number in range(1, count))
    edges = [Edge(f"f{number - 1:03}", f"r{number:03}", "input") for number in range(1, count)]
    edges += [Edge(f"r{number:03}", f"f{number:03}", "output") for number in range(1, count)]
    return LineageGraph(files, runs, tuple(edges), focus=f"f{focus:03}")


FOCUS_IS_SEEN = """() => {
    const box = document.querySelector('g.o').getBoundingClientRect();
    return box.left >= -1 && box.right <= innerWidth + 1 && box.top >= 0 && box.bottom <= innerHeight
}"""


@pytest.mark.parametrize("focus", [0, 2, 37, 39])
def test_a_wide_page_begins_at_what_was_asked_about(page: Any, focus: int) -> None:
    page.set_content(LineagePicture(chain_graph(40, focus)).to_html())
    assert page.evaluate(FOCUS_IS_SEEN)


def test_a_high_page_begins_at_what_was_asked_about(page: Any) -> None:
    page.set_content(LineagePicture(project_graph(300)).to_html())
    assert page.evaluate(FOCUS_IS_SEEN)


@pytest.mark.parametrize(("focus", "is_right"), [(0, False), (39, True)])
def test_a_wide_image_begins_at_the_side_of_the_focus(page: Any, focus: int, is_right: bool) -> None:
    html = LineagePicture(chain_graph(40, focus))._repr_mimebundle_()["text/html"]
    # A notebook that is not trusted keeps only some styles.
    page.set_content(html.replace("position:absolute", "").replace("scroll-initial-target:nearest", ""))
    assert is_drawn(page.locator("img"))
    left, right = page.evaluate("() => (b => [b.left, b.right])(document.querySelector('img').getBoundingClientRect())")
    assert (right <= 1400) == is_right and (left >= 0) == (not is_right)


@pytest.mark.parametrize("focus", [0, 1])
def test_a_small_image_stands_at_the_left_in_its_own_size(page: Any, focus: int) -> None:
    page.set_content(LineagePicture(chain_graph(2, focus))._repr_mimebundle_()["text/html"])
    box = page.locator("img").bounding_box()
    assert box["x"] < 20
    assert box["width"] == int(page.locator("img").get_attribute("width"))


def test_whole_names_are_under_the_image(page: Any) -> None:
    key = "folder/" + "a_long_name_" * 9 + "end.csv"
    graph = LineageGraph((file_node("f", key),), focus="f")
    page.set_content(LineagePicture(graph)._repr_mimebundle_()["text/html"])
    assert not page.locator("pre").is_visible()
    page.locator("summary").click()
    assert key in page.locator("pre").inner_text()


def test_names_from_right_to_left_leave_facts_in_order(page: Any) -> None:
    """The size stands right of the folder, and its unit right of its number."""
    graph = LineageGraph((file_node("f", "عينة/بيانات العينة.csv"),), (run_node("r", transform_name="تحليل"),))
    page.set_content(LineagePicture(graph).to_html())
    places = page.evaluate(
        """() => [...document.querySelectorAll('text.u, text.n')].map(text => [...text.textContent].map((one, place) =>
            [one, text.getStartPositionOfChar(place).x]))"""
    )
    (facts,) = [found for found in places if "kB" in "".join(one for one, _ in found)]
    number, unit = (next(x for one, x in facts if one == wanted) for wanted in "2k")
    assert max(x for one, x in facts if one == "ع") < number < unit
    (name,) = [found for found in places if "7.2.0" in "".join(one for one, _ in found)]
    assert max(x for one, x in name if one == "ت") < next(x for one, x in name if one == "v")
