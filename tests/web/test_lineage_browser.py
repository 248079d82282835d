"""The lineage page in a real browser: by keyboard, without script, and nothing moves that should not."""

from __future__ import annotations

import contextlib
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lamindb as ln
from tests.web.conftest import new_project

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]
playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("waitress", reason="the server needs waitress")
pytest.importorskip("pygments", reason="the pages need pygments")

PLACES = "all => Object.fromEntries(all.map(a => [a.dataset.id, a.querySelector('g').getAttribute('transform')]))"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Make raw files, a table that three runs read, and a report; return their ids."""
    with new_project(tmp_path_factory.mktemp("reports")) as folder:
        with ln.track(ln.Transform(name="import", type="script")):
            raw = [ln.File(str(number).encode(), key=f"raw/{number}.csv").save() for number in range(3)]
        with ln.track(ln.Transform(name="merge", type="pipeline")):
            for file in raw:
                file.stage(is_run_input=True)
            merged = ln.File(b"merged", key="merged/table.csv").save()
        for number in range(24):
            with ln.track(ln.Transform(name="report", type="script"), params={"page": number}):
                merged.stage(is_run_input=True)
                report = ln.File(f"report {number}".encode(), key=f"reports/{number}.md").save()
        with ln.track(ln.Transform(name="plan", type="script")):
            draft = ln.File(b"draft", key="plans/draft.md").save()
        with ln.track(ln.Transform(name="approve", type="script")):
            draft.stage(is_run_input=True)
            plan = ln.File(b"plan", key="plans/plan.md").save()
        draft.replace(b"another").save()
    return {"plan": plan.id, "raw": raw[0].id, "merged": merged.id, "report": report.id, "folder": str(folder)}


@pytest.fixture
def server(project: dict[str, str]) -> Iterator[Any]:
    """Serve the project in a thread."""
    from lamindb.setup.read_only import open_read_only
    from lamindb.web.server import Server

    started = Server(open_read_only(project["folder"]))

    def serve() -> None:
        # Closed by another thread, its loop ends where it waits for its sockets.
        with contextlib.suppress(OSError):
            started.serve()

    threading.Thread(target=serve, daemon=True).start()
    yield started
    started.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def signed_in(browser: Any, server: Any, **options: Any) -> Any:
    """Return a page that has the cookie, and complains about every error."""
    page = browser.new_context(viewport={"width": 1360, "height": 900}, **options).new_page()
    page.set_default_timeout(60_000)
    page.errors = []
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("request", lambda request: None if "127.0.0.1" in request.url else page.errors.append(request.url))
    page.goto(server.gate.link)
    return page


def swapped(page: Any, act: Any) -> None:
    """Do something that swaps the page, and wait until it did."""
    # Strings are not evaluated under the policy of the page, so that a condition has to be a selector.
    page.evaluate("document.querySelector('#main').dataset.old = '1'")
    act()
    page.wait_for_selector("#main:not([data-old])")
    page.wait_for_selector(".htmx-swapping, .htmx-settling, .htmx-request", state="detached")


def test_selecting_moves_nothing_and_stepping_keeps_the_place(
    browser: Any, server: Any, project: dict[str, str]
) -> None:
    page = signed_in(browser, server)
    page.goto(f"{server.gate.origin}/files/{project['merged']}/lineage")
    before = page.eval_on_selector_all("a.node", PLACES)
    assert len(before) > 20
    focus = page.locator(f'a.node[data-id="{project["merged"]}"]')
    assert focus.bounding_box()["y"] < 900
    box = page.locator(f'a.node[data-id="{project["report"]}"]')
    box.scroll_into_view_if_needed()
    was = box.bounding_box()
    swapped(page, lambda: box.click())
    assert page.eval_on_selector_all("a.node", PLACES) == before
    assert f"sel={project['report']}" in page.url
    now = page.locator(f'a.node[data-id="{project["report"]}"]').bounding_box()
    assert abs(now["x"] - was["x"]) < 2 and abs(now["y"] - was["y"]) < 2
    assert page.evaluate("document.activeElement.dataset.id") == project["report"]
    # The stub opens, and its node keeps the focus.
    stub = page.locator(f'a.stub[data-id="{project["merged"]}:down"]')
    assert "+4 more" in stub.text_content()
    swapped(page, lambda: stub.press("Enter"))
    assert len(page.eval_on_selector_all("a.node", PLACES)) == len(before) + 8
    assert page.evaluate("document.activeElement.dataset.id") == project["merged"]
    url = page.url
    page.go_back()
    page.wait_for_url(lambda address: address != url)
    page.wait_for_selector("a.stub")
    page.go_forward()
    page.wait_for_url(url)
    assert page.errors == []


def test_a_deep_link_shows_the_same_elsewhere(browser: Any, server: Any, project: dict[str, str]) -> None:
    page = signed_in(browser, server)
    page.goto(f"{server.gate.origin}/files/{project['merged']}/lineage")
    swapped(page, lambda: page.locator("a.stub").first.click())
    swapped(page, lambda: page.get_by_label("Hide plumbing").check())
    other = signed_in(browser, server)
    other.goto(page.url)
    assert other.eval_on_selector_all("a.node", PLACES) == page.eval_on_selector_all("a.node", PLACES)


@pytest.mark.parametrize("has_script", [True, False])
def test_it_works_by_keyboard_and_without_script(
    browser: Any, server: Any, project: dict[str, str], has_script: bool
) -> None:
    page = signed_in(browser, server, java_script_enabled=has_script)
    page.goto(f"{server.gate.origin}/files/{project['report']}")
    page.locator("main").get_by_role("link", name="Lineage").press("Enter")
    page.wait_for_selector("a.stub")
    page.locator("a.stub").first.press("Enter")
    page.wait_for_url("**open=**")
    raw = page.locator(f'a.node[data-id="{project["merged"]}"]')
    raw.press("Enter")
    page.wait_for_url(f"**sel={project['merged']}**")
    page.get_by_role("link", name="Show what would change").press("Enter")
    page.wait_for_url(f"**/lineage/impact?id={project['merged']}")
    assert "24 files of 1 transform come from it" in page.inner_text("main")
    assert page.locator("#code-shell").inner_text() == f"lamin impact {project['merged']}"
    assert page.errors == []


FOCUSED = """() => {
    const one = document.activeElement, style = getComputedStyle(one), stub = one.querySelector(".m");
    const ring = one.querySelector(".fr");
    const isRinged = style.outlineStyle !== "none" && style.outlineWidth !== "0px";
    // In a picture a node has a ring of its own, and a stub a thicker line.
    const isThick = stub && getComputedStyle(stub).strokeWidth === "3px";
    const isDrawn = ring ? getComputedStyle(ring).display !== "none" : isThick;
    return [isRinged || isDrawn, one.matches("body")];
}"""


def tab_to(page: Any, rule: str) -> None:
    """Press Tab until an element has the focus; wherever the focus is on the way, it can be seen."""
    for _ in range(250):
        page.keyboard.press("Tab")
        is_seen, is_body = page.evaluate(FOCUSED)
        assert is_seen or is_body, page.evaluate("document.activeElement.outerHTML")
        if page.evaluate("rule => document.activeElement.matches(rule)", rule):
            return
    pytest.fail(f"no Tab leads to {rule}")


@pytest.mark.parametrize("has_script", [True, False])
def test_the_keyboard_alone_leads_from_a_search_to_the_impact_and_its_code(
    browser: Any, server: Any, project: dict[str, str], has_script: bool
) -> None:
    page = signed_in(browser, server, java_script_enabled=has_script)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.gate.origin)
    tab_to(page, ".find input")
    page.keyboard.type("reports/7")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=**")
    tab_to(page, "tbody a[href^='/files/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/files/*")
    tab_to(page, "a.button[href$='/lineage']")
    page.keyboard.press("Enter")
    page.wait_for_selector("a.stub")
    tab_to(page, "a.stub")
    was = page.evaluate("document.activeElement.dataset.id").partition(":")[0]
    page.keyboard.press("Enter")
    page.wait_for_url("**open=**")
    page.wait_for_selector(".htmx-swapping, .htmx-settling, .htmx-request", state="detached")
    if has_script:
        assert page.evaluate("document.activeElement.dataset.id") == was
    tab_to(page, f'a.node[data-id="{project["merged"]}"]')
    page.keyboard.press("Enter")
    page.wait_for_url(f"**sel={project['merged']}**")
    page.wait_for_selector(".htmx-swapping, .htmx-settling, .htmx-request", state="detached")
    if has_script:
        assert page.evaluate("document.activeElement.dataset.id") == project["merged"]
    tab_to(page, "a[href*='/lineage/impact?id=']")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/lineage/impact?id={project['merged']}")
    assert "24 files of 1 transform come from it" in page.inner_text("main")
    if has_script:
        tab_to(page, "[data-copy='code-shell']")
        page.keyboard.press("Enter")
        page.locator("#said", has_text="Copied").wait_for(state="attached")
        assert page.evaluate("navigator.clipboard.readText()") == f"lamin impact {project['merged']}"
    assert page.errors == []


def test_escape_and_a_link_clear_the_selection(browser: Any, server: Any, project: dict[str, str]) -> None:
    page = signed_in(browser, server)
    plain = f"{server.gate.origin}/files/{project['merged']}/lineage?depth=2"
    selected = f"{plain}&sel={project['report']}&mark=before"
    page.goto(selected)
    # The ring of the focus, which is drawn then, moves nothing.
    place = "one => [one.scrollLeft, one.scrollTop]"
    page.eval_on_selector(".graph", "one => { one.scrollTop = 40; }")
    was = page.eval_on_selector(".graph", place)
    swapped(page, lambda: page.keyboard.press("Escape"))
    assert page.url == plain and was[1] == 40
    page.wait_for_selector(f'a.node[data-id="{project["report"]}"]:focus')
    assert page.eval_on_selector(".graph", place) == pytest.approx(was, abs=2)
    assert page.evaluate("document.activeElement.dataset.id") == project["report"]
    assert page.locator("a.marked, [data-clear]").count() == 0
    page.go_back()
    page.wait_for_url(selected)
    # What is open is closed first, and a field only loses the focus.
    page.goto(selected)
    page.locator(".save summary").click()
    page.keyboard.press("Escape")
    assert page.locator(".save[open]").count() == 0 and page.url == selected
    page.get_by_label("Generations").focus()
    page.keyboard.press("Escape")
    assert page.url == selected
    swapped(page, lambda: page.get_by_role("link", name="Clear selection").click())
    assert page.url == plain
    assert page.errors == []


LINES = """one => {
    const line = (rule) => {
        const found = [...document.querySelectorAll(rule)].find((other) => {
            const a = other.getBoundingClientRect(), b = one.querySelector(".f, .r").getBoundingClientRect();
            return a.left < b.left && a.right > b.right && a.top < b.top && a.bottom > b.bottom;
        });
        const style = found && getComputedStyle(found);
        return Boolean(found) && style.display !== "none" && [style.fill, style.strokeDasharray].join();
    };
    return [line(".h"), line(".ring"), line(".fr"), getComputedStyle(one.querySelector(".f, .r")).stroke];
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_centre_what_is_selected_and_what_has_the_focus_differ(
    browser: Any, server: Any, project: dict[str, str], theme: str
) -> None:
    page = signed_in(browser, server, color_scheme=theme)
    base = f"{server.gate.origin}/files/{project['merged']}/lineage?dir=up"

    def lines_of(name: str) -> list[Any]:
        return page.eval_on_selector(f'a.node[data-id="{project[name]}"]', LINES)

    page.goto(f"{base}&sel={project['raw']}")
    centre, raw = lines_of("merged"), lines_of("raw")
    assert centre[0] and not (centre[1] or centre[2])
    assert raw[1] and not (raw[0] or raw[2]) and raw[1].startswith("none") and not centre[0].startswith("none")
    tab_to(page, f'a.node[data-id="{project["raw"]}"]')
    focused = lines_of("raw")
    assert focused[1] == raw[1] and focused[2] and focused[2] != focused[1]
    # One node may be all three, and the colour of its border stays that of its state.
    page.goto(f"{base}&sel={project['merged']}")
    tab_to(page, f'a.node[data-id="{project["merged"]}"]')
    band, ring, focus, _ = lines_of("merged")
    assert len({band, ring, focus}) == 3 and all((band, ring, focus))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_stale_card_keeps_its_border(browser: Any, server: Any, project: dict[str, str], theme: str) -> None:
    page = signed_in(browser, server, color_scheme=theme)
    page.goto(f"{server.gate.origin}/files/{project['plan']}/lineage?sel={project['plan']}")
    amber = page.eval_on_selector("tspan.why", "one => getComputedStyle(one).fill")
    assert page.eval_on_selector("a.node.selected .f-stale", "one => getComputedStyle(one).stroke") == amber
    tab_to(page, "a.node.selected")
    page.locator("a.node.selected").hover()
    assert page.eval_on_selector("a.node.selected .f-stale", "one => getComputedStyle(one).stroke") == amber


def test_a_date_is_sent_when_it_is_complete(browser: Any, server: Any, project: dict[str, str]) -> None:
    page = signed_in(browser, server)
    address = f"{server.gate.origin}/files/{project['merged']}/lineage"
    page.goto(address)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/lineage" in request.url else None)
    field = page.locator("input[name=at]")

    def typed(day: str) -> None:
        field.focus()
        page.keyboard.type(day)

    typed("03142020")
    assert field.input_value() == "2020-03-14" and asked == []
    swapped(page, lambda: page.get_by_label("Generations").focus())
    assert asked == [f"{address}?at=2020-03-14"]
    assert "It was not there yet on 2020-03-14" in page.inner_text("main")
    assert page.evaluate("document.activeElement.name") == "depth"
    typed("0314")
    page.keyboard.type("9999")
    swapped(page, lambda: page.get_by_label("Generations").focus())
    assert "9999-03-14 is in the future" in page.inner_text("main") and len(asked) == 2
    # By Enter, once.
    today = field.get_attribute("max")
    typed(f"{today[5:7]}{today[8:]}{today[:4]}")
    swapped(page, lambda: page.keyboard.press("Enter"))
    assert "As it was recorded then" in page.inner_text("main") and asked[2:] == [f"{address}?at={today}"]
    assert page.evaluate("document.activeElement.name") == "at"
    # What a calendar gives is complete at once.
    swapped(page, lambda: field.fill(""))
    assert page.url == address and len(asked) == 4
    assert page.errors == []


def test_what_is_refused_is_said(browser: Any, server: Any, project: dict[str, str]) -> None:
    page = signed_in(browser, server)
    address = f"{server.gate.origin}/files/{project['merged']}/lineage"
    page.goto(address)
    page.get_by_label("Generations").fill("99")
    page.keyboard.press("Tab")
    assert page.url == address
    page.get_by_label("Hide plumbing").click()
    page.get_by_text("In this address, depth").wait_for()


def test_a_phone_has_the_tree_and_no_page_scrolls_sideways(browser: Any, server: Any, project: dict[str, str]) -> None:
    page = signed_in(browser, server)
    for width in (320, 390):
        page.set_viewport_size({"width": width, "height": 800})
        for address in (
            f"/files/{project['merged']}/lineage",
            f"/lineage/impact?id={project['raw']}",
            f"/lineage/path?a={project['raw']}&b={project['report']}",
        ):
            page.goto(server.gate.origin + address)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
            if "impact" not in address:
                assert page.locator(".lineage-tree").is_visible() and not page.locator(".graph").first.is_visible()
    assert page.errors == []


def test_a_png_is_drawn_by_the_browser(browser: Any, server: Any, project: dict[str, str]) -> None:
    page = signed_in(browser, server)
    page.goto(f"{server.gate.origin}/files/{project['merged']}/lineage")
    page.locator(".save summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG").click()
    assert download.value.suggested_filename == f"lineage-{project['merged']}.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    assert page.errors == []


@pytest.mark.parametrize("has_script", [True, False])
def test_a_picture_that_goes_on_is_shaded_on_that_side(
    browser: Any, server: Any, project: dict[str, str], has_script: bool
) -> None:
    page = signed_in(browser, server, java_script_enabled=has_script)
    page.set_viewport_size({"width": 700, "height": 900})
    page.goto(f"{server.gate.origin}/lineage/impact?id={project['raw']}")
    box = page.locator(".graph")

    def corners() -> list[bytes]:
        """Return what is seen in the upper corners, where no node is."""
        at = box.bounding_box()
        places = (at["x"] + 2, at["x"] + at["width"] - 6)
        return [page.screenshot(clip={"x": x, "y": at["y"] + 3, "width": 4, "height": 6}) for x in places]

    assert box.evaluate("one => one.scrollWidth > one.clientWidth + 100")
    box.evaluate("one => { one.scrollTop = one.scrollLeft = 0; }")
    start = corners()
    box.evaluate("one => { one.scrollLeft = one.scrollWidth; }")
    end = corners()
    assert start[0] != end[0] and start[1] != end[1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_line_on_a_side_that_goes_on_is_well_seen(
    browser: Any, server: Any, project: dict[str, str], theme: str
) -> None:
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    page = signed_in(browser, server, java_script_enabled=False, color_scheme=theme)
    page.set_viewport_size({"width": 700, "height": 900})
    page.goto(f"{server.gate.origin}/lineage/impact?id={project['raw']}")
    box = page.locator(".graph")
    box.evaluate("one => { one.scrollTop = 0; one.scrollLeft = (one.scrollWidth - one.clientWidth) / 2; }")
    at = box.bounding_box()
    places = (at["x"] + 1, at["x"] + at["width"] - 2, at["x"] + at["width"] / 2)
    shots = [page.screenshot(clip={"x": x, "y": at["y"] + 8, "width": 1, "height": 1}) for x in places]
    left, right, inside = (_luminance(*image.open(io.BytesIO(shot)).convert("RGB").getpixel((0, 0))) for shot in shots)
    for side in (left, right):
        assert (max(side, inside) + 0.05) / (min(side, inside) + 0.05) >= 3


def _luminance(*colour: int) -> float:
    parts = [one / 255 / 12.92 if one <= 10 else ((one / 255 + 0.055) / 1.055) ** 2.4 for one in colour]
    return sum(part * weight for part, weight in zip(parts, (0.2126, 0.7152, 0.0722), strict=True))
