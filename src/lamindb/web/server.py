"""The server of `lamin ui`: in this process, on this machine's own address only."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lamindb.core import paths, running_page
from lamindb.core.requirements import pip_install
from lamindb.errors import ConflictError, UnsupportedError
from lamindb.records.open_instance import Instance
from lamindb.web.gate import Gate, checked_hosts, checked_prefix

LOOPBACK: Final = "127.0.0.1"
_THREADS: Final = 4
_GRACE_SECONDS: Final = 0.1
"""How long answers under way may hold up the end."""
_MODULES: Final = ("waitress", "pygments")


class Server:
    """One instance, served until it is closed."""

    def __init__(self, instance: Instance, *, port: int = 0, prefix: str = "", hosts: tuple[str, ...] = ()) -> None:
        """Listen on a port of this machine; requests are answered from `serve()` on.

        Args:
            instance: The instance, opened for reading.
            port: The port; 0 takes a free one.
            prefix: The path below which a proxy shows the pages.
            hosts: Further host names that are answered, such as that of a proxy.

        Raises:
            UnsupportedError: A package is not installed.
            ConflictError: Another program listens on the port.
            InvalidInputError: The prefix or a host name is not one.
        """
        check_installed()
        from waitress.server import create_server

        from lamindb.web.application import Application
        from lamindb.web.site import Site

        prefix, hosts = checked_prefix(prefix), checked_hosts(hosts)
        listener = _listen(port)
        self.gate = Gate(listener.getsockname()[1], prefix, hosts)
        self.instance = instance
        logging.getLogger("waitress").setLevel(logging.ERROR)
        # The listening socket and the connections.
        self._open: dict[int, Any] = {}
        self._is_serving = False
        self._server: Any = create_server(
            Application(Site(instance, self.gate)),
            map=self._open,
            sockets=[listener],
            threads=_THREADS,
            ident=None,
            clear_untrusted_proxy_headers=True,
            max_request_header_size=32_768,
            max_request_body_size=1_024,
        )
        # An interrupt ends the server by this method, and it would wait 5 s for answers under way.
        threads = self._server.task_dispatcher
        threads.shutdown = functools.partial(threads.shutdown, timeout=_GRACE_SECONDS)

    def serve(self) -> None:
        """Answer requests until the process is interrupted, or `close` is called."""
        with _noted(self):
            self._is_serving = True
            try:
                self._server.run()
            finally:
                self._is_serving = False
                self._close_all()

    def close(self) -> None:
        """Stop listening; answers under way are broken off."""
        self._server.task_dispatcher.shutdown()
        if self._is_serving:
            # Sockets are closed by the thread that reads from them.
            self._server.trigger.pull_trigger(self._close_all)
        else:
            self._close_all()

    def _close_all(self) -> None:
        """Close the listening socket, and the connections that browsers keep."""
        from waitress import wasyncore

        wasyncore.close_all(self._open, ignore_all=True)


def check_installed() -> None:
    """Check that what the pages need is installed.

    Raises:
        UnsupportedError: It is not; the message has the command that installs it.
    """
    import importlib.util

    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise UnsupportedError(f"`lamin ui` needs {' and '.join(missing)}: {pip_install(*missing)}")


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConflictError(
            f"port {port} of this machine cannot be used ({error}): pass another one by --port"
        ) from None
    return listener


@contextlib.contextmanager
def _noted(server: Server) -> Iterator[None]:
    """Leave a note of the running page for `describe()` and `view_lineage()`, without its token."""
    note = running_page.write(server.instance.id, server.gate.port, server.gate.prefix)
    try:
        yield
    finally:
        if note is not None:
            running_page.remove(note)


@contextlib.contextmanager
def opening_page(gate: Gate) -> Iterator[Path | None]:
    """Yield a private file that leads a browser to the first page, removed at the end; None where there is no place.

    The link in it works once. A browser is started with the file's name, so that no token stands in the list of
    processes.
    """
    folder = paths.data_folder()
    try:
        if folder is not None:
            paths.make_private_folder(folder)
        descriptor, name = tempfile.mkstemp(".html", "lamin-ui-", folder)
    except OSError:
        yield None
        return
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(
                f'<!doctype html><meta charset="utf-8"><title>lamin</title>'
                f'<meta name="referrer" content="no-referrer">'
                f'<meta http-equiv="refresh" content="0; url={gate.link_once}"><a href="{gate.link_once}">lamin</a>'
            )
        yield path
    finally:
        path.unlink(missing_ok=True)
