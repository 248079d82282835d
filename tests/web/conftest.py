"""A project with one of everything, made once for all tests; each test opens it for reading."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from tests.support import showcase

pytest.importorskip("pygments", reason="the pages need pygments")


@dataclass(frozen=True)
class Made:
    """A project on disk: its storage folder, and the ids of its records by their short names."""

    folder: Path
    files: dict[str, str]
    runs: dict[str, str]
    transforms: dict[str, str]


@contextlib.contextmanager
def new_project(base: Path) -> Iterator[Path]:
    """Make an instance that outlives the test, and work in it; return its storage folder."""
    import lamindb as ln

    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("LAMIN_"):
                patch.delenv(name)
        for name in ("SETTINGS", "DATA", "CACHE"):
            patch.setenv(f"LAMIN_{name}_DIR", str(base / name.lower()))
        patch.setenv("LAMIN_USER", "ada")
        project = base / "project"
        project.mkdir()
        os.chdir(project)
        try:
            ln.setup.init(storage="./mydata")
            yield project / "mydata"
        finally:
            from lamindb.setup import lifecycle

            lifecycle.reset()
            os.chdir(before)


def _make(base: Path, make: Any) -> Made:
    with new_project(base) as folder:
        made = make()
    ids = [{name: one.id for name, one in group.items()} for group in (made.files, made.runs, made.transforms)]
    return Made(folder, *ids)


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A project as people have it."""
    return _make(tmp_path_factory.mktemp("usual"), showcase.make)


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A project whose names and contents try to break the pages."""
    return _make(tmp_path_factory.mktemp("hostile"), showcase.make_hostile)


def open_client(folder: Path, **options: Any) -> Any:
    """Return a client of a project, opened for reading."""
    from lamindb.setup.read_only import open_read_only
    from tests.support.web import Client

    return Client(open_read_only(folder), **options)


@pytest.fixture
def client(usual: Made) -> Any:
    """A client of the usual project, with the cookie."""
    return open_client(usual.folder)


@pytest.fixture
def hostile_client(hostile: Made) -> Any:
    """A client of the hostile project, with the cookie."""
    return open_client(hostile.folder)


class Parsed(HTMLParser):
    """What stands in a page: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def addresses(self) -> set[str]:
        """The addresses that the page links to or loads."""
        names = ("href", "src", "hx-get", "action")
        return {found[name] for _, found in self.tags for name in names if name in found}


def crawl(client: Any, *, most: int = 120, each: int = 6) -> Iterator[tuple[str, Any]]:
    """Yield pages of a site by their links, at most `each` of one kind, with what was answered."""
    kinds: dict[str, int] = {}
    todo, seen = ["/"], set()
    while todo and len(seen) < most:
        address = todo.pop(0)
        parts = urlsplit(address)
        kind = re.sub(r"(?<=/)[0-9A-Za-z]{8,20}(?=/|$)|/users/.*|/[0-9a-f]{16}/|\d+$", "*", parts.path)
        kind += "?" + "&".join(sorted(re.findall(r"(\w+)=", parts.query)))
        if address in seen or kinds.get(kind, 0) >= each or parts.path in ("/theme",):
            continue
        seen.add(address)
        kinds[kind] = kinds.get(kind, 0) + 1
        answer = client.get(address)
        yield address, answer
        if "text/html" in answer.headers.get("Content-Type", "") and not parts.path.startswith("/raw"):
            found = (urljoin(address, one) for one in sorted(Parsed(answer.text).addresses()))
            todo += [one.partition("#")[0] for one in found if one.startswith("/")]


def examples(made: Made) -> list[str]:
    """Return an address for each route."""
    from lamindb.web.routes import ROUTES

    ids = {
        "files": made.files["model"],
        "runs": made.runs["train"],
        "transforms": made.transforms["train"],
        "raw": made.files["figure"],
        "storages": "nothing0",
        "stale": made.files["raw0"],
        "affected": made.files["bad"],
    }
    found = []
    for route in ROUTES:
        first = route.path.split("/")[1]
        record = ids["runs"] if route.path.startswith("/raw/runs") else ids.get(first, "")
        path = route.path.replace("<id>", record).replace("<number>", "1").replace("<handle>", "ada")
        name = "log" if route.path.startswith("/raw/runs") else "app.css" if first == "static" else "file"
        found.append(path.replace("<name>", name).replace("<hash>", "0" * 16))
    return found
