"""Answers: their headers, and the errors that become a page."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect

from lamindb.core.text import printable

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'none'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load: its own script, style and pictures. Nothing is inline, so that no stored text is a program."""

RAW_POLICY: Final = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""What stored bytes may do in a browser: be shown. They run no script and have no origin."""

_EVERYWHERE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class PageError(Exception):
    """A request that cannot be answered: it becomes a page with this status and text. The text is for any reader."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class IncompleteId(Exception):
    """The address has the beginning of an id: the page is at that of the whole one."""

    def __init__(self, whole: str) -> None:
        super().__init__(whole)
        self.whole = whole


def not_found(what: str) -> PageError:
    """Return the error for something that does not exist."""
    return PageError(404, f"There is no {what} with this address. It may have been deleted for good.")


def wrong_parameter(name: str, value: str, wanted: str) -> PageError:
    """Return the error for a parameter of an address: it has the name of the parameter, and what it can be."""
    return PageError(400, f"In this address, `{name}` is “{printable(value[:80])}”: use {wanted}.")


def see_other(address: str) -> HttpResponse:
    """Return the answer that leads to another address of this site."""
    response = HttpResponseRedirect(address)
    response.status_code = 303
    return response


def finish(response: HttpResponseBase) -> HttpResponseBase:
    """Set the headers that every answer has, unless the view set its own."""
    for name, value in _EVERYWHERE.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    response.headers.setdefault("Cache-Control", "no-store")
    if isinstance(response, HttpResponse):
        response.headers.setdefault("Content-Length", str(len(response.content)))
    return response
