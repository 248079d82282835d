"""The page of all commands is the one that the commands would write now."""

from __future__ import annotations

from docs.tools.cli_reference import markdown
from lamindb.cli.application import COMMANDS
from tests.docs import pages

PAGE = pages.DOCS / "cli.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run ./dev docs, and commit docs/cli.md"


def test_every_command_is_in_it() -> None:
    text = markdown()
    for name, entry in COMMANDS.items():
        assert (f"\n### lamin {name}\n" in text) is not entry.is_hidden
    assert "\n### lamin trash purge\n" in text


def test_it_does_not_depend_on_the_terminal(monkeypatch: object) -> None:
    import os

    before = markdown()
    os.environ["COLUMNS"] = "40"
    try:
        assert markdown() == before
    finally:
        del os.environ["COLUMNS"]
