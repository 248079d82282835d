"""Stored bytes. What is stored is hostile: a browser may show it, and gives it no rights."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from django.http import FileResponse, HttpResponse, HttpResponseBase

from lamindb.describe import run_content
from lamindb.files import read
from lamindb.models import File
from lamindb.web import responses
from lamindb.web.application import Request
from lamindb.web.responses import PageError
from lamindb.web.views import file as file_view
from lamindb.web.views import run as run_view

_TYPES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    **dict.fromkeys(
        (".txt", ".md", ".csv", ".tsv", ".log", ".json", ".py", ".r", ".patch"), "text/plain; charset=utf-8"
    ),
}
"""The types as which bytes are shown. All others are saved, not shown."""


def of_file(request: Request, id: str, name: str) -> HttpResponseBase:
    """Return the bytes of a file, after they were compared with their digest. The name in the address means nothing."""
    del name
    file = file_view.get(request.site.instance, id)
    if file.is_folder:
        raise PageError(404, "A folder has no bytes of its own: `lamin get` copies it out of the instance.")
    tag = f'"{file.digest}"'
    if request.headers.get("If-None-Match") == tag:
        return _headed(HttpResponse(status=304), tag)
    path = read.checked_path(file)
    response = FileResponse(path.open("rb"), content_type=_type(request, file.suffix))
    # Django would derive a type from the name.
    response.headers["Content-Type"] = _type(request, file.suffix)
    response.headers["Content-Disposition"] = _disposition(request, file.suffix, _file_name(file))
    return _headed(response, tag)


def of_run(request: Request, id: str, name: str) -> HttpResponseBase:
    """Return what is stored with a run: its `code`, `log`, `patch`, `packages` or `report`."""
    run = run_view.get(request.site.instance, id)
    suffix = {"code": ".txt", "log": ".txt", "patch": ".txt", "packages": ".txt", "report": ".html"}.get(name)
    data = run_content.stored_bytes(run, name) if suffix is not None else None
    if data is None or suffix is None:
        raise responses.not_found("record")
    response = HttpResponse(data, content_type=_type(request, suffix))
    response.headers["Content-Disposition"] = _disposition(request, suffix, f"{run.id}-{name}{suffix}")
    return _headed(response, f'"{getattr(run, run_content.FIELDS[name])[:64]}"')


def _type(request: Request, suffix: str) -> str:
    known = _TYPES.get(f".{suffix.lower().rpartition('.')[2]}", "application/octet-stream")
    return "application/octet-stream" if "save" in request.GET else known


def _disposition(request: Request, suffix: str, name: str) -> str:
    is_shown = _type(request, suffix) != "application/octet-stream"
    return f"{'inline' if is_shown else 'attachment'}; filename*=UTF-8''{quote(name, safe='')}"


def _file_name(file: File) -> str:
    """Return the name under which a browser saves a file: without a folder and without control characters."""
    name = (file.key or file.name).rstrip("/").replace("\\", "/").rpartition("/")[2]
    plain = "".join(letter if letter.isprintable() else "_" for letter in name).strip(". ")
    return (plain or file.id)[:200]


def _headed(response: HttpResponseBase, tag: str) -> HttpResponseBase:
    response.headers["Content-Security-Policy"] = responses.RAW_POLICY
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["ETag"] = tag
    response.headers["Vary"] = "Cookie"
    return response
