"""The exported file in a real browser, from disk: stepping, searching, without script, and with hostile names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from lamindb.exchange.html_export import export_html
from tests.exchange.test_html_export import HOSTILE

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


def opened(browser: Any, path: Path, anchor: str = "", **options: Any) -> Any:
    """Open a file from disk; remember every error, dialog and request."""
    page = browser.new_context(viewport={"width": 1360, "height": 900}, **options).new_page()
    page.set_default_timeout(60_000)
    page.wrong = []
    page.on("console", lambda message: page.wrong.append(message.text))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("dialog", lambda dialog: (page.wrong.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda one: None if one.url.startswith(("file:", "data:")) else page.wrong.append(one.url))
    page.goto(f"file://{path}{'#' if anchor else ''}{anchor}")
    return page


def exported(folder: Path) -> Path:
    """Write the current project."""
    path = folder / "project.html"
    path.write_text(export_html().text, encoding="utf-8")
    return path


def study() -> tuple[ln.File, list[ln.File]]:
    """Save a table and 30 files that were made from it."""
    with ln.track(ln.Transform(name="import", type="script")):
        table = ln.File(b"a,b\n1,2\n", key="raw/table.csv").save()
    made = []
    for number in range(30):
        with ln.track(ln.Transform(name="count", type="script"), params={"part": number}):
            table.stage(is_run_input=True)
            made.append(ln.File(str(number).encode(), key=f"counts/{number}.txt").save())
    return table, made


def test_it_is_stepped_through_and_searched(local_instance: Path, tmp_path: Path, browser: Any) -> None:
    table, made = study()
    page = opened(browser, exported(tmp_path), f"f-{table.id}")
    nodes = page.locator(".page:target a.node")
    page.wait_for_selector(".page:target a.node")
    assert nodes.count() == 42
    focus, view = (page.locator(f".page:target {one}").bounding_box() for one in ("a[aria-current]", ".view"))
    assert view["y"] <= focus["y"] and focus["y"] + focus["height"] <= view["y"] + view["height"]
    page.locator(".page:target a.stub").click()
    page.wait_for_function("document.querySelectorAll('.page:target a.node').length === 62")
    assert page.evaluate("document.activeElement.dataset.id") == table.id
    places = "all => all.map(a => a.querySelector('g').getAttribute('transform'))"
    before = page.eval_on_selector_all(".page:target a.node", places)
    chosen = page.locator(f'.page:target a.node[data-id="{made[3].id}"]')
    chosen.press("Enter")
    assert page.eval_on_selector_all(".page:target a.node", places) == before
    assert "counts/3.txt" in page.locator(".page:target .chosen").inner_text()
    page.locator(".page:target .chosen").get_by_role("link", name="Open").click()
    assert page.locator(".page:target h1").inner_text() == "counts/3.txt"
    page.keyboard.press("/")
    # An id may have any two digits.
    page.keyboard.type("counts 17.txt")
    assert page.locator("#found h1").inner_text() == "1 match"
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.page:target h1').textContent === 'counts/17.txt'")
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.wrong == []


TYPOS = [
    "plaet", "raw/plat.csv", "sumarise", "summarize", "mesurements", "measurments plate", "signl", "résults",
    "results signal txt", "sgnal.txt", "cleanning", "importt plat", "zzzz", "qwertz uiop",
]  # fmt: skip


def test_a_search_forgives_typos_and_takes_digests(local_instance: Path, tmp_path: Path, browser: Any) -> None:
    for name in ("import plates", "summarise", "cleaning"):
        with ln.track(ln.Transform(name=name, type="script")):
            ln.File(name.encode(), key=f"{name.replace(' ', '/')}/measurements.csv").save()
    keys = ["raw/plate.csv", "results/signal.txt", "notes/größe.md", "data/2024/field-notes.csv"]
    files = [ln.File(key.encode(), key=key).save() for key in keys]
    old, new = files[0], ln.File(b"newer", key="raw/plate.csv").save()
    page = opened(browser, exported(tmp_path))

    def found(text: str) -> list[str]:
        page.locator("#q").fill(text)
        return [one.rpartition("-")[2] for one in page.eval_on_selector_all("#found a", "all => all.map(a => a.hash)")]

    for text in TYPOS:
        wanted = {one.id for one in [*ln.File.search(text), *ln.Transform.search(text)]}
        assert wanted <= set(found(text)), text
    assert found("signl")[0] == files[1].id and "No name contains" in page.locator("#found .lead").inner_text()
    assert found("zzzz") == [] and found("GROSSE") == [files[2].id]
    for file in (*files[1:], old, new):
        assert file.id in found(file.digest) and file.id in found(file.digest[:8].upper())
        assert found(file.digest[:-1] + ("0" if file.digest[-1] != "0" else "1")) == []
    page.keyboard.press("Enter")
    assert found(old.digest) == [old.id]
    page.locator("#found a").click()
    page.wait_for_function("document.querySelector('.page:target h1').textContent === 'raw/plate.csv'")
    assert page.wrong == []


def test_what_a_file_touches_and_the_way_between_two_have_addresses(
    local_instance: Path, tmp_path: Path, browser: Any
) -> None:
    table, made = study()
    table.flag("wells swapped")
    path = exported(tmp_path)
    page = opened(browser, path, f"f-{table.id}")
    page.wait_for_selector(".page:target a.node")
    page.locator(".page:target .chosen").get_by_role("link", name="What it touches").click()
    page.wait_for_selector("#found h1")
    assert page.locator("#found h1").inner_text() == "What raw/table.csv touches"
    assert "30 files of 1 transform come from it." in page.locator("#found .lead").inner_text()
    assert page.locator("#found a.node").count() > 40 and page.locator("#found a.stub").count() == 0
    page.locator("#found .rows").get_by_role("link", name="counts/7.txt").click()
    page.wait_for_selector(".page:target")
    assert page.locator(".page:target h1").inner_text() == "counts/7.txt"
    page.get_by_role("link", name="Lineage", exact=True).click()
    page.get_by_label("From").fill("raw/table.csv")
    page.get_by_label("To").fill(made[3].id)
    page.get_by_role("button", name="Find").click()
    page.wait_for_selector("#found a.node")
    assert page.locator("#found a.node").count() == 3
    assert page.evaluate("location.hash") == f"#way-{table.id}-{made[3].id}"
    page.go_back()
    page.get_by_label("To").fill("no/such/key")
    page.get_by_role("button", name="Find").click()
    assert "no current file or run" in page.inner_text("#tools")
    other = opened(browser, path, f"way-{made[1].id}-{made[2].id}")
    other.wait_for_selector("#found h1")
    assert "Neither was made from the other." in other.inner_text("#found")
    plain = opened(browser, path, f"f-{table.id}", java_script_enabled=False)
    assert "counts/29.txt" in plain.locator(".page:target .card", has_text="What it touches").inner_text()
    assert page.wrong == other.wrong == plain.wrong == []


def test_without_script_it_has_the_tree(local_instance: Path, tmp_path: Path, browser: Any) -> None:
    table, made = study()
    page = opened(browser, exported(tmp_path), java_script_enabled=False)
    assert page.locator("#home").is_visible() and not page.locator("#files").is_visible()
    assert not page.locator("#q").is_visible()
    page.get_by_role("link", name="Files", exact=True).click()
    assert page.locator("#files").is_visible() and not page.locator("#home").is_visible()
    page.locator("#files").get_by_role("link", name="raw/table.csv").click()
    assert page.locator(f"#f-{table.id} .tree").is_visible()
    page.locator(f"#f-{table.id} .tree").get_by_role("link", name="counts/29.txt").click()
    assert page.locator(f"#f-{made[29].id}").is_visible()
    assert page.wrong == []


def test_nothing_that_is_stored_runs(local_instance: Path, tmp_path: Path, browser: Any) -> None:
    for number, name in enumerate(HOSTILE):
        with ln.track(ln.Transform(name=name, type="script", description=name), params={name: name}):
            file = ln.File(name.encode(), key=f"{number}/{name.replace('/', '_')}.csv", description=name).save()
            file.flag(name)
    page = opened(browser, exported(tmp_path))
    for anchor in page.eval_on_selector_all("section.page", "all => all.map(one => one.id)"):
        page.evaluate("to => { location.hash = to }", anchor)
        page.wait_for_function("to => document.querySelector('.page:target').id === to", arg=anchor)
        for width in (1360, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, anchor
    page.fill("#q", "alert")
    assert "match" in page.locator("#found h1").inner_text()
    assert page.wrong == []
