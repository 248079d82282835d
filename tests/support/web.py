"""A client that asks the WSGI application in this process, as a browser with the cookie would."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from lamindb.web.application import Application
from lamindb.web.gate import Gate
from lamindb.web.site import Site

PORT = 8791


@dataclass(frozen=True)
class Answer:
    """What the application answered."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    cookies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


class Client:
    """Asks one site; with the cookie unless it is told otherwise."""

    def __init__(self, instance: Any, *, port: int = PORT, prefix: str = "", hosts: tuple[str, ...] = ()) -> None:
        self.gate = Gate(port, prefix, hosts)
        self.site = Site(instance, self.gate)
        self.application = Application(self.site)

    def get(self, address: str, *, signed_in: bool = True, **headers: str) -> Answer:
        """Ask for an address."""
        return self.ask("GET", address, signed_in=signed_in, headers=headers)

    def ask(
        self, method: str, address: str, *, signed_in: bool = True, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request; a header such as `Sec-Fetch-Site` is passed as `sec_fetch_site`, None removes one."""
        parts = urlsplit(address)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
            "QUERY_STRING": parts.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.gate.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": f"127.0.0.1:{self.gate.port}",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if signed_in:
            environ["HTTP_COOKIE"] = f"{self.gate.cookie}={self.gate.session}"
        for name, value in (headers or {}).items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        environ = {name: value for name, value in environ.items() if value is not None}
        got: dict[str, Any] = {}

        def start_response(status: str, response_headers: list[tuple[str, str]], *rest: Any) -> None:
            got.update(status=int(status[:3]), headers=response_headers)

        pieces = self.application(environ, start_response)
        try:
            body = b"".join(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        cookies = tuple(value for name, value in got["headers"] if name == "Set-Cookie")
        return Answer(got["status"], dict(got["headers"]), body, cookies)
