"""Titles in Markdown: the first heading of the first level."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HASHES = re.compile(r" {0,3}#[ \t]+(.*)")
_CLOSING_HASHES = re.compile(r"(?:^|[ \t]+)#+[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}=+[ \t]*$")
_NO_PARAGRAPH = re.compile(r"(?: {4}|\t| {0,3}(?:#{1,6}(?:[ \t]|$)|>|[-*+][ \t]|\d+[.)][ \t]|-{3,}[ \t]*$))")
_HTML = re.compile(r"<h1\b[^>]*>(.*?)</h1\s*>", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^>]+>")


def first_title(text: str) -> str | None:
    r"""Return the text of the first heading of level one, or None.

    Knows `# Title`, a line underlined by `===`, and `<h1>`. Comments and code blocks are passed over; marks inside
    the heading, such as backticks, stay.

    Examples:
        >>> first_title("<!-- draft -->\n# Cells of `mouse` #\n")
        'Cells of `mouse`'
    """
    fence = ""
    paragraph: list[str] = []
    for line in _COMMENT.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark.group(1).startswith(fence) and not line.strip(" `~"):
                fence = ""
            continue
        if mark:
            fence, paragraph = mark.group(1), []
            continue
        heading = _HASHES.match(line)
        title = _CLOSING_HASHES.sub("", heading.group(1)).strip() if heading else ""
        if not title and paragraph and _UNDERLINE.match(line):
            title = " ".join(paragraph)
        if title:
            return title
        if not line.strip() or _NO_PARAGRAPH.match(line):
            paragraph = []
        else:
            paragraph.append(line.strip())
    html = _HTML.search(_COMMENT.sub("", text))
    return " ".join(_TAG.sub("", html.group(1)).split()) or None if html else None
