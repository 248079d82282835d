"""The pages in a real browser: other origins, hostile names, axe, keys, and without a script."""

from __future__ import annotations

import importlib.resources
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.support import depth, showcase
from tests.web.conftest import Made, crawl, open_client

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]
playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("waitress", reason="the server needs waitress")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@contextmanager
def served(folder: Path) -> Iterator[Any]:
    """Serve a project in a thread of this process; yield the server."""
    from lamindb.setup.read_only import open_read_only
    from lamindb.web.server import Server

    server = Server(open_read_only(folder))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(60)


@contextmanager
def opened(browser: Any, server: Any, **options: Any) -> Iterator[Any]:
    """Open the first page by its link; a dialog, a console error or a request elsewhere fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1360, "height": 900}, **options})
    problems: list[str] = []
    context.on("dialog", lambda dialog: (problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page = context.new_page()
    page.on(
        "console",
        lambda message: (
            problems.append(message.text) if message.type == "error" and not _is_sandbox_notice(message.text) else None
        ),
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request", lambda one: None if one.url.startswith((server.gate.origin, "data:")) else problems.append(one.url)
    )
    page.problems = problems
    page.goto(server.gate.link)
    yield page
    context.close()
    assert problems == []


def paths_of(folder: Path, *, most: int) -> list[str]:
    """Return the addresses of pages of different kinds, without those that only filter a list."""
    found = []
    for address, answer in crawl(open_client(folder), each=1):
        is_page = answer.status == 200 and answer.headers.get("Content-Type", "").startswith("text/html")
        is_whole = is_page and "Content-Disposition" not in answer.headers and "<html" in answer.text
        if (
            is_whole
            and "/lineage" not in address
            and ("?" not in address or "compare" in address or "preview" in address)
        ):
            found.append(address)
    return found[:most]


class _Elsewhere(BaseHTTPRequestHandler):
    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *args: Any) -> None:
        pass


def test_a_page_of_another_server_gets_nothing_but_a_link_works(browser: Any, usual: Made) -> None:
    with served(usual.folder) as server:
        target = f"{server.gate.origin}/files"
        raw = f"{server.gate.origin}/raw/{usual.files['figure']}/x.png"
        script = (
            f"<iframe src={target}></iframe><iframe src={raw}></iframe><img src={raw}><script src={target}></script>"
            f"<link rel=stylesheet href={target}><a id=go href={target}>files</a>"
            f"<form method=post action={target}><button id=post>x</button></form>"
            f"<script>fetch('{target}', {{mode: 'no-cors', credentials: 'include'}})</script>"
        )
        handler = type("Handler", (_Elsewhere,), {"page": script.encode()})
        elsewhere = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        context = browser.new_context()
        try:
            page = context.new_page()
            page.goto(server.gate.link, wait_until="networkidle")
            # What our own page still loads is not counted.
            page.goto("about:blank")
            statuses: list[tuple[str, int]] = []
            page.on("response", lambda one: statuses.append((one.url, one.status)))
            page.goto(f"http://localhost:{elsewhere.server_port}/", wait_until="networkidle")
            page.goto(f"http://127.0.0.1:{elsewhere.server_port}/", wait_until="networkidle")
            ours = [status for url, status in statuses if url.startswith(server.gate.origin)]
            assert len(ours) >= 4 and set(ours) <= {401, 403}
            with page.expect_response(lambda one: one.url == target) as posted:
                page.click("#post")
            assert posted.value.status == 405
            page.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
            page.click("#go")
            page.wait_for_url(target)
            assert page.locator("h1").inner_text() == "Files"
        finally:
            context.close()
            elsewhere.shutdown()
            elsewhere.server_close()


def test_hostile_names_and_bytes_run_nothing(browser: Any, hostile: Made) -> None:
    addresses = paths_of(hostile.folder, most=30)
    with served(hostile.folder) as server, opened(browser, server) as page:
        for address in depth.spread(2, addresses):
            page.goto(f"{server.gate.origin}{address}", wait_until="load")
            assert "owned" not in page.title().replace("document.title='owned'", "")
        kinds = (("files", hostile.files), ("runs", hostile.runs), ("transforms", hostile.transforms))
        records = [f"/{kind}/{name}" for kind, ids in kinds for name in ids.values()]
        users = [f"/users/{quote(name.replace('/', '_')[:100], safe='')}" for name in showcase.HOSTILE]
        for address in depth.spread(2, records + users):
            page.goto(f"{server.gate.origin}{address}", wait_until="load")
            page.wait_for_selector(".wait", state="detached")
            assert not page.title().startswith("owned")


def _is_sandbox_notice(text: str) -> bool:
    """Return True for what the browser says when it refused to run a script of stored bytes."""
    return "Blocked script execution in" in text and "sandboxed" in text


def test_stored_pages_and_drawings_run_no_script_when_opened_directly(browser: Any, hostile: Made) -> None:
    with served(hostile.folder) as server, opened(browser, server) as page:
        for number, suffix in ((1, "html"), (2, "svg"), (9, "html"), (10, "svg")):
            page.goto(f"{server.gate.origin}/raw/{hostile.files[str(number)]}/x.{suffix}", wait_until="load")
            assert "owned" not in page.title()
        page.problems.clear()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, usual: Made, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    source = (importlib.resources.files(axe) / "axe.min.js").read_text("utf-8")
    # Colours depend on the theme only, all else on the width only.
    tags = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    wide = {"runOnly": ["color-contrast"]} if theme == "dark" else {"runOnly": tags}
    narrow = {"runOnly": tags, "rules": {"color-contrast": {"enabled": False}}}
    asked = [(1360, wide)] if theme == "dark" else [(1360, wide), (390, narrow)]
    addresses = [*paths_of(usual.folder, most=60), *lineages(usual)]
    found = {}
    with served(usual.folder) as server, opened(browser, server, color_scheme=theme) as page:
        for address in depth.spread(3, addresses, shift=len(theme)):
            page.goto(f"{server.gate.origin}{address}", wait_until="load")
            page.evaluate(source)
            for width, options in asked:
                page.set_viewport_size({"width": width, "height": 800})
                for one in page.evaluate("options => axe.run(document, options).then(r => r.violations)", options):
                    found[address, width, one["id"]] = [node["html"][:160] for node in one["nodes"][:3]]
    assert len(addresses) > 30
    assert found == {}


def lineages(made: Made) -> list[str]:
    """Return the addresses of pages of lineage, of each form."""
    file, run, transform = made.files["metrics"], made.runs["train"], made.transforms["train"]
    forms = [f"/files/{file}/lineage?sel={run}&as={form}" for form in ("picture", "tree", "table")]
    ways = [f"/lineage/path?a={made.files['raw0']}&b={file}", f"/lineage/impact?id={made.files['bad']}"]
    grouped = f"/files/{file}/lineage?depth=3&group=transform&mark=before&sel={file}"
    return [*forms, *ways, grouped, f"/runs/{run}/lineage", f"/transforms/{transform}/lineage", "/lineage"]


DOUBLED = """() => {
    const all = [...document.querySelectorAll("body *")];
    const sizes = all.map((one) => [one, parseFloat(getComputedStyle(one).fontSize)]);
    for (const [one, size] of sizes) if (one.style && !one.closest("svg")) one.style.fontSize = `${2 * size}px`;
}"""
"""Doubles the size of all text, as a browser does that is told so."""


@pytest.mark.parametrize("project", ["usual", "hostile"])
def test_no_page_scrolls_sideways_on_a_phone_or_with_large_text(
    browser: Any, project: str, request: pytest.FixtureRequest
) -> None:
    made = request.getfixturevalue(project)
    addresses = paths_of(made.folder, most=60) + (lineages(made) if project == "usual" else [])
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    wide = {}
    with served(made.folder) as server, opened(browser, server) as page:
        for address in depth.spread(2, addresses):
            page.set_viewport_size({"width": 320, "height": 700})
            page.goto(f"{server.gate.origin}{address}", wait_until="load")
            narrow = page.evaluate(over)
            page.set_viewport_size({"width": 1280, "height": 800})
            page.evaluate(DOUBLED)
            large = page.evaluate(over)
            if narrow > 0 or large > 0:
                wide[address] = (narrow, large)
    assert wide == {}


def test_keys_lead_from_search_to_a_file_and_copy_its_code(browser: Any, usual: Made) -> None:
    with served(usual.folder) as server, opened(browser, server) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.gate.origin)
        page.keyboard.press("/")
        page.keyboard.type("models")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/search"))
        page.keyboard.press("j")
        focused = page.evaluate("document.activeElement.getAttribute('href')")
        assert focused == f"/files/{usual.files['model']}"
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(usual.files["model"]))
        page.keyboard.press("c")
        page.locator("#said", has_text="Copied").wait_for(state="attached")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == f'ln.File.select(id="{usual.files["model"]}").one().describe()'
        # What was copied is said where it is seen, though its code is farther down.
        seen = page.locator("#said", has_text=f"Copied: {copied}")
        seen.wait_for()
        at = seen.bounding_box()
        assert at["y"] > 0 and at["y"] + at["height"] <= 900 and at["height"] > 20
        page.keyboard.press("g")
        page.keyboard.press("e")
        page.wait_for_url(re.compile("/health$"))
        assert page.locator("#said").bounding_box()["height"] == 0
        page.keyboard.press("g")
        page.keyboard.press("r")
        page.wait_for_url(re.compile("/runs$"))
        page.keyboard.press("?")
        assert page.locator("dialog[open]").count() == 1
        page.click("[data-keys-off]")
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("f")
        assert urlsplit(page.url).path == "/runs"


def test_what_is_copied_from_folded_code_is_said(browser: Any, usual: Made) -> None:
    with served(usual.folder) as server, opened(browser, server) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.gate.origin)
        page.goto(f"{server.gate.origin}/", wait_until="load")
        assert page.locator(".take details:not([open])").count() == 1
        page.keyboard.press("c")
        first = page.locator(".take code").first.text_content()
        page.locator("#said", has_text=f"Copied: {first.splitlines()[0][:120]}").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == first


def test_each_section_of_the_head_has_keys(browser: Any, usual: Made) -> None:
    with served(usual.folder) as server, opened(browser, server) as page:
        for link in page.locator(".nav a").all():
            name = link.inner_text()
            named = page.locator(f"#keys dd:has-text('{name}')").first
            keys = named.locator("xpath=preceding-sibling::dt[1]").locator("kbd").all_text_contents()
            assert keys[0] == "g", name


def test_a_long_handle_leaves_room_for_the_names_of_a_list(browser: Any, hostile: Made) -> None:
    with served(hostile.folder) as server, opened(browser, server) as page:
        for address in ("/runs", "/transforms"):
            page.goto(f"{server.gate.origin}{address}", wait_until="load")
            widths = page.eval_on_selector_all("tbody td:first-child", "all => all.map(one => one.clientWidth)")
            assert min(widths) > 300, address


@pytest.mark.parametrize("has_script", [True, False])
def test_every_tab_of_a_run_is_seen_on_a_phone(browser: Any, usual: Made, has_script: bool) -> None:
    options = {"viewport": {"width": 390, "height": 800}, "java_script_enabled": has_script}
    with served(usual.folder) as server, opened(browser, server, **options) as page:
        for name in ("train", "failed"):
            page.goto(f"{server.gate.origin}/runs/{usual.runs[name]}", wait_until="load")
            card = page.locator(".card:has(> .tabs)").bounding_box()
            tabs = page.locator(".tabs a").all()
            ends = [box["x"] + box["width"] for box in (tab.bounding_box() for tab in tabs)]
            assert len(ends) > 4 and max(ends) <= card["x"] + card["width"]


SMALLER_SIDE = """() => {
    const box = document.activeElement.getBoundingClientRect();
    return Math.min(box.width, box.height);
}"""


def test_focus_is_visible_everywhere(browser: Any, usual: Made) -> None:
    with served(usual.folder) as server, opened(browser, server) as page:
        page.goto(f"{server.gate.origin}/files/{usual.files['model']}", wait_until="load")
        for _ in range(35):
            page.keyboard.press("Tab")
            width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style != "none" and width != "0px"
            size = page.evaluate(SMALLER_SIDE)
            assert size > 10, page.evaluate("document.activeElement.outerHTML")


def test_everything_is_there_without_a_script(browser: Any, usual: Made) -> None:
    with served(usual.folder) as server, opened(browser, server, java_script_enabled=False) as page:
        page.fill(".find input", "umap-batch7")
        page.press(".find input", "Enter")
        page.click(f"a[href='/files/{usual.files['figure']}']")
        page.click("text=Show what is in it")
        assert page.locator(".picture img").count() == 1
        page.goto(f"{server.gate.origin}/files")
        page.click("summary:has-text('Type')")
        page.click(".drop >> text=.png")
        assert "type=.png" in page.url and page.locator("tbody tr").count() == 1
        page.click(".theme")
        assert page.get_attribute("html", "data-theme") == "dark" and "type=.png" in page.url


def test_back_and_a_copied_address_show_the_same(browser: Any, usual: Made) -> None:
    with served(usual.folder) as server, opened(browser, server) as page:
        rows = "[...document.querySelectorAll('tbody a')].map(a => a.href)"
        page.goto(f"{server.gate.origin}/files?type=.csv&old=1")
        first = page.evaluate(rows)
        page.goto(f"{server.gate.origin}/files?state=stale")
        second = page.evaluate(rows)
        page.go_back()
        assert page.evaluate(rows) == first != second
        page.go_forward()
        assert page.evaluate(rows) == second
        with opened(browser, server) as other:
            other.goto(page.url)
            assert other.evaluate(rows) == second


def test_a_preview_loads_after_its_page(browser: Any, usual: Made) -> None:
    with served(usual.folder) as server, opened(browser, server) as page:
        page.goto(f"{server.gate.origin}/files/{usual.files['metrics']}")
        page.wait_for_selector(".cells td")
        assert page.locator(".cells tbody tr").count() == 2
