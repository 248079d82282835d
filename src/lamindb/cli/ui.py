"""The command that shows an instance in a browser: `ui`."""

from __future__ import annotations

import os
import signal
import sys
import webbrowser
from contextlib import ExitStack
from typing import Any

import click

from lamindb.cli.output import out
from lamindb.cli.params import command
from lamindb.core import messages


@command("ui", "lamin ui", "lamin ui --port 8791 --no-browser")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="The port; a free one by default.")
@click.option("--no-browser", is_flag=True, help="Open no browser, and only print the link.")
@click.option("--prefix", default="", metavar="PATH", help="The path below which a proxy shows the pages.")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="Answer under this host name, too.")
def ui(port: int, no_browser: bool, prefix: str, hosts: tuple[str, ...]) -> None:
    """Show the instance in a browser: files, runs, lineage, what is stale and what failed.

    The pages can only be read, from this machine, by the link that is printed: it holds a token, so treat it as a
    password. They need no network. Ctrl-C ends them. Where there is a screen and a terminal, a browser opens.
    """
    from lamindb.setup.read_only import open_read_only
    from lamindb.web.server import Server, check_installed, opening_page

    check_installed()
    signal.signal(signal.SIGTERM, _interrupt)
    server = None
    try:
        server = Server(open_read_only(), port=port, prefix=prefix, hosts=hosts)
        with ExitStack() as stack:
            out(server.gate.link)
            sys.stdout.flush()
            if not no_browser and _has_screen():
                page = stack.enter_context(opening_page(server.gate))
                if page is None or not webbrowser.open(page.as_uri()):
                    messages.info("no browser could be opened: open the link yourself")
            server.serve()
    except KeyboardInterrupt:
        messages.debug("the pages are no longer served")
    finally:
        if server is not None:
            server.close()


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _has_screen() -> bool:
    """Return True if a person sees this command: it runs in a terminal, and a browser has a screen to open on."""
    if not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
