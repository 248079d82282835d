"""The addresses of all pages. Ids stand in them, never keys: a key may hold anything, and no route takes a path."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lamindb.core.verbs import verb
from lamindb.web.responses import PageError

_PARTS: Final = {
    "id": "[0-9A-Za-z_-]{1,64}",
    "handle": r"[^/]{1,200}",
    "name": r"[^/]{1,300}",
    "hash": "[0-9a-f]{16}",
    "number": "[0-9]{1,9}",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of address.

    Attributes:
        path: Its path; a part such as `<id>` stands for what is passed to the view under that name.
        view: The dotted path of the view below `lamindb.web.views`.
        is_public: Whether it is answered without the cookie. Only files that come with the program are.
    """

    path: str
    view: str
    is_public: bool = False


ROUTES: Final = (
    Route("/", "home.show"),
    Route("/theme", "theme.switch"),
    Route("/keys", "theme.keys"),
    Route("/files", "files.index"),
    Route("/folders", "files.folders"),
    Route("/files/<id>", "file.show"),
    Route("/files/<id>/preview", "file.preview"),
    Route("/files/<id>/reasons", "file.reasons"),
    Route("/files/<id>/lineage", "lineage.of_file"),
    Route("/runs/<id>/lineage", "lineage.of_run"),
    Route("/transforms/<id>/lineage", "lineage.of_transform"),
    Route("/lineage", "lineage.index"),
    Route("/lineage/path", "lineage.path"),
    Route("/lineage/impact", "lineage.impact"),
    Route("/files/<id>/why", "compare.why"),
    Route("/runs", "runs.index"),
    Route("/runs/<id>", "run.show"),
    Route("/runs/<id>/log", "run.log"),
    Route("/runs/<id>/code", "run.code"),
    Route("/runs/<id>/changes", "run.changes"),
    Route("/runs/<id>/packages", "run.packages"),
    Route("/runs/<id>/report", "run.report"),
    Route("/runs/<id>/steps", "run.steps"),
    Route("/runs/<id>/error", "run.error"),
    Route("/runs/<id>/inputs", "run.inputs"),
    Route("/runs/<id>/outputs", "run.outputs"),
    Route("/transforms", "transforms.index"),
    Route("/transforms/<id>", "transforms.show"),
    Route("/transforms/<id>/revisions/<number>", "transforms.revision"),
    Route("/users/<handle>", "people.user"),
    Route("/storages", "people.storages"),
    Route("/storages/<id>", "people.storage"),
    Route("/search", "search.show"),
    Route("/compare", "compare.show"),
    Route("/stale", "attention.stale"),
    Route("/stale/count", "home.stale_count"),
    Route("/stale/<id>", "attention.stale_by"),
    Route("/affected/<id>", "attention.affected_by"),
    Route("/flags", "attention.flags"),
    Route("/health", "attention.health"),
    Route("/raw/runs/<id>/<name>", "raw.of_run"),
    Route("/raw/<id>/<name>", "raw.of_file"),
    Route("/static/<hash>/<name>", "static.show", is_public=True),
)


@functools.cache
def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"<(\w+)>", path)
    text = "".join(f"(?P<{p}>{_PARTS[p]})" if n % 2 else re.escape(p) for n, p in enumerate(pieces))
    return re.compile(text)


def _match(path: str) -> tuple[Route, dict[str, str]] | None:
    for route in ROUTES:
        found = _pattern(route.path).fullmatch(path)
        if found is not None:
            return route, found.groupdict()
    return None


def is_public(path: str) -> bool:
    """Return True for a path that is answered without the cookie."""
    found = _match(path)
    return found is not None and found[0].is_public


def with_id(path: str, record_id: str) -> str:
    """Return a path with another id in the place of its own."""
    route, _ = _match(path) or (None, {})
    found = _pattern(route.path).fullmatch(path) if route is not None else None
    return f"{path[: found.start('id')]}{record_id}{path[found.end('id') :]}" if found is not None else path


def resolve(path: str) -> tuple[Callable[..., Any], dict[str, str]]:
    """Return the view of a path and what its parts are.

    Raises:
        PageError: There is none.
    """
    found = _match(path)
    if found is None:
        raise PageError(404, "There is no such page.")
    route, values = found
    return verb(f"lamindb.web.views.{route.view}"), values
