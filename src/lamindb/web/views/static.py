"""Files that come with the program."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse

from lamindb.web.application import Request
from lamindb.web.responses import PageError

_FOR_A_YEAR: Final = "public, max-age=31536000, immutable"


def show(request: Request, hash: str, name: str) -> HttpResponse:
    """Return a file that comes with the program; its address changes with its content."""
    found = request.site.files.find(hash, name)
    if found is None:
        raise PageError(404, "There is no such file.")
    is_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(found.compressed if is_gzip else found.data, content_type=found.content_type)
    if is_gzip:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = _FOR_A_YEAR
    return response
