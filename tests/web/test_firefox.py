"""Firefox opens a page of each kind, and the exported file, without an error in its console."""

from __future__ import annotations

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lamindb.core import context
from lamindb.exchange.html_export import export_html
from lamindb.setup.read_only import open_read_only
from tests.support import firefox
from tests.web.conftest import Made
from tests.web.test_browser import lineages, paths_of, served

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(firefox.PROGRAM is None, reason="firefox is not installed: apt-get install firefox-esr"),
]
pytest.importorskip("waitress", reason="the server needs waitress")
pytest.importorskip("websocket", reason="websocket-client is not installed")


class _Bad(SimpleHTTPRequestHandler):
    """A page with a style and a script that its policy refuses."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", "default-src 'none'; script-src 'self'")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>bad</title><style>p { color: red }</style><p onclick=x()>x")

    def log_message(self, *args: object) -> None:
        pass


def test_every_page_and_the_exported_file_open_without_an_error(usual: Made, tmp_path: Path) -> None:
    addresses = [*paths_of(usual.folder, most=60), *lineages(usual)]
    assert len(addresses) > 30
    with context.using(open_read_only(usual.folder)):
        (tmp_path / "project.html").write_text(export_html().text, encoding="utf-8")
    bad = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Bad))
    threading.Thread(target=bad.serve_forever, daemon=True).start()
    try:
        with served(usual.folder) as server, firefox.running() as browser:
            browser.open(server.gate.link)
            for address in addresses:
                browser.open(f"{server.gate.origin}{address}")
                assert browser.evaluate("document.querySelectorAll('h1').length") == 1, address
                assert browser.reports == [], address
            assert [one for one in browser.asked if not one.startswith((server.gate.origin, "data:"))] == []
            browser.asked.clear()
            browser.open((tmp_path / "project.html").as_uri())
            anchors = browser.evaluate("[...document.querySelectorAll('section.page')].map(one => one.id).join(' ')")
            assert len(anchors.split()) > 20
            for anchor in anchors.split()[::5]:
                browser.evaluate(f"location.hash = '{anchor}'")
                shown = browser.evaluate("document.querySelector('.page:target').getBoundingClientRect().height")
                assert shown > 0, anchor
            for anchor in (f"touches-{usual.files['bad']}", f"way-{usual.files['raw0']}-{usual.files['metrics']}"):
                browser.open(f"{(tmp_path / 'project.html').as_uri()}#{anchor}")
                browser.evaluate(f"location.hash = '{anchor}'")
                assert browser.evaluate("document.querySelectorAll('#found a.node').length") >= 3, anchor
            assert browser.reports == []
            assert [one for one in browser.asked if not one.startswith(("file:", "data:"))] == []
            # What a policy refuses would have been seen.
            browser.open(f"http://127.0.0.1:{bad.server_port}/")
            assert len(browser.reports) == 2, browser.reports
    finally:
        bad.shutdown()
        bad.server_close()
