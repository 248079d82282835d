"""The pictures in a real browser, in an exported notebook, and in one that JupyterLab does not trust."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamindb.core.graph import LineageGraph
from lamindb.exchange.picture import LineagePicture
from tests.exchange.graphs import cycle_graph, hostile_graph, project_graph, small_graph

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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text("utf-8", "replace")
        try:
            with urllib.request.urlopen(url, timeout=5):
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
