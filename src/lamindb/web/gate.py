"""Who may see a page: the checks that every request passes before anything is looked up.

Other websites in the same browser, pages of other local servers and other users of the machine are kept out. A page is
for the holder of the printed link, on this machine's own addresses.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode

from lamindb.errors import InvalidInputError

METHODS: Final = ("GET", "HEAD")
_HOST_NAME: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*(:[0-9]{1,5})?", re.ASCII)
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*/?", re.ASCII)


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused: the status of the answer, and what to do in words."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a request with a right token goes on, with the cookie that takes the token's place."""

    location: str


@dataclass(slots=True)
class Gate:
    """The checks of one server.

    Attributes:
        port: The port on which it listens.
        prefix: The path below which all pages are, such as `/proxy/8791`; "" for none.
        allowed_hosts: Further names under which it may be asked for, such as that of a proxy.
        token: What the printed link holds.
        ticket: What the browser that is opened at the start shows once; None when it is spent.
        session: The value of the cookie. Any local server of the same host name receives it, so it is not the token.
    """

    port: int
    prefix: str = ""
    allowed_hosts: tuple[str, ...] = ()
    token: str = field(default_factory=_secret, repr=False)
    ticket: str | None = field(default_factory=_secret, repr=False)
    session: str = field(default_factory=_secret, repr=False)

    @property
    def cookie(self) -> str:
        """The name of the cookie. It has the port, since cookies do not tell ports apart."""
        return f"lamin-{self.port}"

    @property
    def cookie_path(self) -> str:
        """The path to which the cookie is sent."""
        return f"{self.prefix}/"

    @property
    def origin(self) -> str:
        """The address of the server on this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        """The link to the first page, with the token: a secret."""
        return f"{self.origin}{self.prefix}/?token={self.token}"

    @property
    def link_once(self) -> str:
        """The link that works once, for the browser that is opened at the start."""
        return f"{self.origin}{self.prefix}/?token={self.ticket}"

    @property
    def hosts(self) -> frozenset[str]:
        """The exact values of the header `Host` that are answered."""
        names = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        for name in self.allowed_hosts:
            names |= {name} if ":" in name else {name, f"{name}:{self.port}"}
        return frozenset(names)

    def check_host(self, host: str | None) -> Refusal | None:
        """Refuse a request for another name: that is what keeps out a website that rebinds its name to this machine."""
        if host is None or host.lower() not in self.hosts:
            return Refusal(421, "This address is not one of this server's. Open the link that `lamin ui` printed.")
        return None

    def check_origin(self, site: str | None, mode: str | None, destination: str | None) -> Refusal | None:
        """Refuse what another page embeds or fetches; a link that a person follows is let through.

        Args:
            site: The header `Sec-Fetch-Site`, None where a browser does not send it.
            mode: `Sec-Fetch-Mode`.
            destination: `Sec-Fetch-Dest`.
        """
        if site in (None, "none", "same-origin"):
            return None
        if mode == "navigate" and destination == "document":
            return None
        return Refusal(403, "Another page asked for this. Open it by its own address.")

    def check_method(self, method: str) -> Refusal | None:
        """Refuse everything but reading."""
        if method not in METHODS:
            return Refusal(405, "These pages can only be read.")
        return None

    def check_token(self, path: str, query: str) -> Redirect | Refusal | None:
        """Return where to go on for a right token, a refusal for a wrong one, and None where there is none.

        Args:
            path: The path of the request, with the prefix.
            query: The query string.
        """
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
        except ValueError:
            return Refusal(400, "The address has too many parts.")
        given = [value for name, value in pairs if name == "token"]
        if not given:
            return None
        if len(given) > 1 or not self._accepts(given[0]):
            return Refusal(403, "The token in this link is not right. `lamin ui` prints a new one at each start.")
        rest = urlencode([(name, value) for name, value in pairs if name != "token"])
        # A path that began with two slashes would name another host.
        return Redirect("/" + path.lstrip("/") + (f"?{rest}" if rest else ""))

    def _accepts(self, given: str) -> bool:
        if hmac.compare_digest(given.encode(), self.token.encode()):
            return True
        ticket = self.ticket
        if ticket is not None and hmac.compare_digest(given.encode(), ticket.encode()):
            self.ticket = None
            return True
        return False

    def check_cookie(self, value: str | None) -> Refusal | None:
        """Refuse a request without the cookie that the printed link gave."""
        if value is None or not hmac.compare_digest(value.encode("utf-8", "replace"), self.session.encode()):
            return Refusal(401, "Open the link that `lamin ui` printed: it has the token that this page needs.")
        return None


def checked_prefix(prefix: str) -> str:
    """Return a prefix without a slash at its end.

    Raises:
        InvalidInputError: It is not a plain path.
    """
    if not _PREFIX.fullmatch(prefix) or any(part in (".", "..") for part in prefix.split("/")):
        raise InvalidInputError(f"a prefix is a path such as /proxy/8791, not {prefix!r}")
    return prefix.rstrip("/")


def checked_hosts(names: Iterable[str]) -> tuple[str, ...]:
    """Return host names in lower case.

    Raises:
        InvalidInputError: One is not a host name, with or without a port.
    """
    found = tuple(name.lower() for name in names)
    for name in found:
        if not _HOST_NAME.fullmatch(name):
            raise InvalidInputError(f"a host is a name such as hub.example or hub.example:443, not {name!r}")
    return found
