"""Firefox as it comes with Debian, driven by WebDriver BiDi: it opens pages, and tells what it reports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
SECONDS = 120.0

_PREFERENCES = """\
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("toolkit.telemetry.enabled", false);
"""

_WATCH = """() => document.addEventListener("securitypolicyviolation", (one) => {
    console.error(`${one.violatedDirective} refused ${one.blockedURI || one.sourceFile} ${one.sample}`);
})"""
"""What a policy refuses stands in the console of a person; a program is told only what is written there."""


class Firefox:
    """One tab of a browser. `reports` has what stood in its console as an error, `asked` the addresses it loaded."""

    def __init__(self, address: str) -> None:
        import websocket

        self.reports: list[str] = []
        self.asked: list[str] = []
        self._number = 0
        self._socket = websocket.create_connection(address, timeout=SECONDS, suppress_origin=True)
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        self._ask("script.addPreloadScript", functionDeclaration=_WATCH)
        self._tab = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def open(self, address: str) -> None:
        """Open an address and wait until all of it is loaded."""
        self._ask("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page: a text, a number or a truth value."""
        found = self._ask("script.evaluate", expression=expression, target={"context": self._tab}, awaitPromise=True)
        assert found["type"] == "success", found
        return found["result"].get("value")

    def close(self) -> None:
        """End the browser."""
        self._ask("browser.close")
        self._socket.close()

    def _ask(self, method: str, **values: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": values}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                assert answer["type"] == "success", answer
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        given = event.get("params", {})
        if event.get("method") == "log.entryAdded" and given["level"] == "error":
            self.reports.append(str(given.get("text")))
        elif event.get("method") == "network.beforeRequestSent":
            self.asked.append(given["request"]["url"])


@contextmanager
def running() -> Iterator[Firefox]:
    """Start the browser without a window and with a profile of its own."""
    assert PROGRAM is not None
    folder = Path(tempfile.mkdtemp(prefix="firefox-", dir="/tmp"))
    (folder / "user.js").write_text(_PREFERENCES)
    command = [PROGRAM, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0"]
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "MOZ_DISABLE_CONTENT_SANDBOX": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            found = next(one for line in lines if (one := re.search(r"BiDi listening on (ws://\S+)", line)))
            browser = Firefox(f"{found[1]}/session")
            yield browser
            browser.close()
            process.wait(SECONDS)
        finally:
            process.kill()
            process.stderr.close()
    shutil.rmtree(folder, ignore_errors=True)
