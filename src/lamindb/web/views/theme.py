"""The theme switch, and the list of keys."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse, HttpResponseRedirect

from lamindb.web import pages
from lamindb.web.application import Request

_NEXT: Final = {"": "dark", "dark": "light", "light": ""}
_A_YEAR: Final = 31_536_000


def switch(request: Request) -> HttpResponse:
    """Keep another theme in a cookie, and go back to the page."""
    back = request.GET.get("back", "/")
    # A path with two slashes, or a backslash, would name another host.
    is_plain = back.startswith("/") and not back.startswith("//") and "\\" not in back and back.isprintable()
    response = HttpResponseRedirect(request.site.url(back if is_plain else "/"))
    response.status_code = 303
    wanted = request.GET.get("to", _NEXT[pages.theme_of(request)])
    name, path = pages.theme_cookie(request.site), request.site.gate.cookie_path
    response.set_cookie(name, wanted if wanted in _NEXT else "", path=path, samesite="Lax", max_age=_A_YEAR)
    return response


def keys(request: Request) -> HttpResponse:
    """Show which keys do what."""
    return pages.page(request, "keys.html", title="Keys")
