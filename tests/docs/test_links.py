"""Every link of a page leads somewhere: to a page or file that exists, and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import pages

_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)|<img[^>]*src=\"(?P<image>[^\"]+)\"")
_FENCED = re.compile(r"^ *```.*?^ *```", re.M | re.S)
_PAGES = [*pages.all_pages(), *(pages.ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md"))]


def _links(path: Path) -> list[str]:
    text = _FENCED.sub("", path.read_text(encoding="utf-8"))
    return [found["target"] or found["image"] for found in _LINK.finditer(text)]


def anchor(heading: str) -> str:
    """Return the name that a heading gets where Markdown is shown."""
    plain = re.sub(r"[`*\[\]]|\([^)]*\)(?=\s*$)", "", heading.strip().lower())
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", plain))


def _anchors(path: Path) -> set[str]:
    text = _FENCED.sub("", path.read_text(encoding="utf-8"))
    return {anchor(line.lstrip("#")) for line in text.splitlines() if re.match(r"#+ ", line)}


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for target in _links(path):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        place = (path.parent / name).resolve() if name else path
        if not place.exists() or (fragment and fragment not in _anchors(place)):
            broken.append(target)
    assert broken == []


def test_pages_name_no_address_that_could_vanish() -> None:
    found = [f"{path.name}: {target}" for path in _PAGES for target in _links(path) if target.startswith("http")]
    assert found == []


def test_every_page_is_reached_from_the_first_one() -> None:
    index = pages.DOCS / "index.md"
    reached = {(index.parent / target.partition("#")[0]).resolve() for target in _links(index)} | {index.resolve()}
    assert [path.name for path in pages.all_pages() if path.name != "README.md" and path.resolve() not in reached] == []


@pytest.mark.parametrize(
    ("heading", "name"), [("Bytes, row, view", "bytes-row-view"), ("The folder's view", "the-folders-view")]
)
def test_anchors_are_made_as_readers_make_them(heading: str, name: str) -> None:
    assert anchor(heading) == name
