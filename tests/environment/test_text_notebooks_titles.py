"""Titles in Markdown."""

from __future__ import annotations

import pytest

from lamindb.environment.text_notebooks import first_title


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Track files", "Track files"),
        ("#  Track `files` ##  ", "Track `files`"),
        ("# C#", "C#"),
        ("text\n\n# Later", "Later"),
        ("<!-- # no\n# nor this -->\n# Yes", "Yes"),
        ("```\n# a comment in code\n```\n# Yes", "Yes"),
        ("~~~python\n# no\n```\n# nor this\n~~~\n# Yes", "Yes"),
        ("```\n# never closed", None),
        ("    # indented code\n\n# Yes", "Yes"),
        ("Title\n=====\n", "Title"),
        ("Long\ntitle\n===", "Long title"),
        ("- item\n===\n", None),
        ("## Second\n\n# First", "First"),
        ("#hashtag", None),
        ("#", None),
        ("# ##\n# Yes", "Yes"),
        ("<h1 align='center'>The <b>mouse</b>\natlas</h1>", "The mouse atlas"),
        ("<!-- <h1>no</h1> -->", None),
        ("# Windows\r\n\r\ntext", "Windows"),
        ("", None),
        ("# 細胞 🧬", "細胞 🧬"),
    ],
)
def test_first_title(text: str, title: str | None) -> None:
    assert first_title(text) == title
