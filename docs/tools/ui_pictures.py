"""Make the pictures of the pages that the documentation shows: `python docs/tools/ui_pictures.py`.

It needs Debian's chromium. The project in the pictures is the one that the tests make.
"""

from __future__ import annotations

import datetime
import importlib
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
IMAGES: Final = ROOT / "docs" / "images"
_WIDE, _PHONE = (1200, 760), (390, 760)


def make_project(folder: Path) -> Any:
    """Make the project in a folder, with times that lie apart; return what was made."""
    os.environ |= {"LAMIN_SETTINGS_DIR": str(folder / "settings"), "LAMIN_USER": "ada"}
    os.chdir(folder)
    import lamindb as ln
    from lamindb.models import File, Run

    ln.setup.init(storage="./mydata")
    made = importlib.import_module("tests.support.showcase").make()
    last = datetime.datetime(2026, 3, 14, 15, 9, tzinfo=datetime.UTC)
    models: tuple[Any, ...] = (File, Run)
    for model in models:
        ids = model.objects.order_by("-created_at", "-id").values_list("id", flat=True)
        for n, record_id in enumerate(list(ids)):
            at = last - datetime.timedelta(minutes=97 * n)
            changes: dict[str, Any] = {"created_at": at}
            if model is Run:
                changes |= {"started_at": at, "finished_at": at + datetime.timedelta(minutes=n % 7 + 1, seconds=12)}
            model.objects.filter(id=record_id).order_by().update_rows(changes)
    ln.disconnect()
    return made


def main() -> int:
    """Make all pictures; return an exit code."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("chromium is not installed: apt-get install chromium", file=sys.stderr)
        return 1
    sys.path.insert(0, str(ROOT))
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "project")
        folder.mkdir()
        made = make_project(folder)
        from lamindb.setup.read_only import open_read_only
        from lamindb.web.server import Server

        server = Server(open_read_only(folder))
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        run, file = made.runs["train"].id, made.files["metrics2"].id
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for path, title, theme, size in (
                ("/files", "files-light", "light", _WIDE),
                ("/files", "files-dark", "dark", _WIDE),
                (f"/runs/{run}", "run-light", "light", _WIDE),
                (f"/runs/{run}", "run-dark", "dark", _WIDE),
                (f"/files/{file}", "file-phone", "dark", _PHONE),
            ):
                context = browser.new_context(
                    viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if theme == "dark" else "light"
                )
                page = context.new_page()
                page.goto(server.gate.link)
                page.goto(f"{server.gate.origin}{path}", wait_until="networkidle")
                page.evaluate("document.querySelector('.foot bdi').textContent = './mydata'")
                page.screenshot(path=IMAGES / f"ui-{title}.png")
                context.close()
            browser.close()
        server.close()
        os.chdir(ROOT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
