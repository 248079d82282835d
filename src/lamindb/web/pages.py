"""Pages from templates: what every page has besides its own content."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.http import HttpResponse

from lamindb.core.text import printable
from lamindb.environment.redaction import redact_text
from lamindb.errors import InvalidInputError
from lamindb.web import queries, responses

if TYPE_CHECKING:
    from lamindb.web.application import Request
    from lamindb.web.site import Site

_THEMES: Final = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Code:
    """What gives in Python, and on the command line, what a page shows; "" where there is no such way.

    Attributes:
        python: An expression.
        shell: A command line.
        part: The part of the page that they give, in its words; "" for all of it.
    """

    python: str = ""
    shell: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Crumb:
    """One step on the way to a page: its words and, but for the last, its path."""

    label: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the views of a record: its words, its path, and a short number or word beside it."""

    label: str
    path: str
    note: str = ""


def page(
    request: Request,
    template: str,
    *,
    title: str,
    section: str = "",
    crumbs: tuple[Crumb, ...] = (),
    code: Code | Sequence[Code] | None = None,
    status: int = 200,
    **values: Any,
) -> HttpResponse:
    """Return a page.

    Args:
        request: The request.
        template: The name of the template.
        title: The title of the window.
        section: The part of the site that is marked in the head: `files`, `runs`, `transforms`, `lineage`, `health`.
        crumbs: The way to this page.
        code: What stands at its foot, to be copied: for all of the page, or for each part.
        status: The status of the answer.
        **values: What the template shows.
    """
    common = (
        _common(request.site)
        | _head_of(request)
        | {
            "title": printable(title),
            "section": section,
            "crumbs": crumbs,
            "codes": [code] if isinstance(code, Code) else code or (),
            "columns": (),
            "after": "",
            "is_cut": False,
            "next_label": "Older",
            "is_part": request.is_part,
        }
    )
    response = HttpResponse(request.site.render(template, common | values), status=status)
    response.headers["Vary"] = "Cookie, HX-Request"
    return response


def error_page(site: Site, status: int, text: str, request: Request | None = None) -> str:
    """Return a page that says what went wrong.

    Args:
        site: What is shown.
        status: The status of the answer.
        text: What went wrong.
        request: The request; None if it may see nothing: then the page has no links.
    """
    titles = {400: "Wrong address", 401: "Not signed in", 403: "Not allowed", 404: "Not found", 405: "Read only"}
    titles |= {409: "Damaged bytes", 503: "The instance is gone"}
    values: dict[str, Any] = {"title": titles.get(status, "Something is wrong"), "text": text, "status": status}
    values |= {"is_bare": request is None, "layout": "bare.html" if request is None else "base.html"}
    if request is not None:
        values |= _head_of(request) | {"section": "", "crumbs": (), "codes": (), "root": ""}
    return site.render("error.html", _common(site) | values)


def _head_of(request: Request) -> dict[str, Any]:
    """Return what the head of a page is made from."""
    return {
        "theme": theme_of(request),
        "parameters": parameters(request),
        "here": request.site.url(request.path_info),
        "theme_link": request.site.url("/theme") + "?" + urlencode({"back": request.get_full_path_info()}),
        "path": request.path_info,
    }


def theme_of(request: Request) -> str:
    """Return the theme that the reader chose, `light` or `dark`; "" follows the system."""
    chosen = request.COOKIES.get(theme_cookie(request.site), "")
    return chosen if chosen in _THEMES else ""


def theme_cookie(site: Site) -> str:
    """Return the name of the cookie with the theme."""
    return f"lamin-theme-{site.gate.port}"


def parameters(request: Request) -> dict[str, str]:
    """Return the parameters of the address, the last value of each."""
    return {name: str(value) for name, value in request.GET.items()}


def place_in_list(request: Request) -> str:
    """Return the cursor behind which the page of a list begins; "" for the first page.

    Raises:
        PageError: It is not a cursor.
    """
    text = str(request.GET.get("after", ""))
    if text:
        try:
            queries.read_cursor(text)
        except InvalidInputError:
            raise responses.wrong_parameter("after", text, "the link to the next page") from None
    return text


def _common(site: Site) -> dict[str, Any]:
    instance = site.instance
    return {
        "site": site,
        "instance_name": printable(instance.name),
        "version": getattr(sys.modules["lamindb"], "__version__", ""),
        "dialect": "PostgreSQL" if instance.dialect == "postgresql" else "SQLite",
        "root": printable(redact_text(instance.root_url)),
    }
