"""Every page does what it says: its code runs, in order, in a fresh folder, and prints what the page shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs import pages
from tests.docs.pages import Page

_PAGES = [path for path in pages.all_pages() if path.name != "cookbook.md"]
_RUN = [path for path in _PAGES if pages.read_page(path).runs]
_SHOWN_DATABASE = "postgresql://ada:secret@db.example.org/lab"


@pytest.fixture
def servers(request: pytest.FixtureRequest) -> Callable[[Page], tuple[dict[str, str], dict[str, str]]]:
    """Return a function that starts what a page needs: replaced addresses, and environment variables."""

    def start(page: Page) -> tuple[dict[str, str], dict[str, str]]:
        replaced: dict[str, str] = {}
        env: dict[str, str] = {}
        for name in page.needs:
            if name == "postgres":
                replaced[_SHOWN_DATABASE] = request.getfixturevalue("postgres_url")
            elif name == "s3":
                env |= request.getfixturevalue("bucket")
            else:
                pytest.fail(f"{page.path.name} needs {name!r}, which no fixture starts")
        return replaced, env

    return start


@pytest.mark.parametrize("path", _RUN, ids=lambda path: path.stem)
def test_a_page_does_what_it_says(path: Path, tmp_path: Path, servers: Any) -> None:
    page = pages.read_page(path)
    replaced, env = servers(page)
    problems = pages.run_page(page, tmp_path / "project", replaced=replaced, env=env)
    assert not problems, "\n\n".join(problems)


def test_there_are_pages() -> None:
    assert len(_RUN) >= 10
