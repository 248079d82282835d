"""Notebooks that are plain text: marimo's Python files, Quarto and R Markdown documents."""

from __future__ import annotations

import re
from typing import NamedTuple

# Patterns are texts, which `re` compiles when they are first used: few programs are notebooks.
_COMMENT = r"(?s)<!--.*?(?:-->|\Z)"
_FENCE = r" {0,3}(`{3,}|~{3,})"
_HASHES = r" {0,3}#[ \t]+(.*)"
_CLOSING_HASHES = r"(?:^|[ \t]+)#+[ \t]*$"
_UNDERLINE = r" {0,3}=+[ \t]*$"
_NO_PARAGRAPH = r"(?: {4}|\t| {0,3}(?:#{1,6}(?:[ \t]|$)|>|[-*+][ \t]|\d+[.)][ \t]|-{3,}[ \t]*$))"
_HTML = r"(?si)<h1\b[^>]*>(.*?)</h1\s*>"
_TAG = r"<[^>]+>"


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
    for line in re.sub(_COMMENT, "", text.replace("\r\n", "\n").replace("\r", "\n")).split("\n"):
        mark = re.match(_FENCE, line)
        if fence:
            if mark and mark.group(1).startswith(fence) and not line.strip(" `~"):
                fence = ""
            continue
        if mark:
            fence, paragraph = mark.group(1), []
            continue
        heading = re.match(_HASHES, line)
        title = re.sub(_CLOSING_HASHES, "", heading.group(1)).strip() if heading else ""
        if not title and paragraph and re.match(_UNDERLINE, line):
            title = " ".join(paragraph)
        if title:
            return title
        if not line.strip() or re.match(_NO_PARAGRAPH, line):
            paragraph = []
        else:
            paragraph.append(line.strip())
    html = re.search(_HTML, re.sub(_COMMENT, "", text))
    return " ".join(re.sub(_TAG, "", html.group(1)).split()) or None if html else None


_FRONT_MATTER = r"(?s)\A\s*---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)"
_TITLE_LINE = r"(?m)^title[ \t]*:[ \t]*(.+?)[ \t]*$"
_MARIMO = r"(?m)^[ \t]*(?:app|\w+)[ \t]*=[ \t]*marimo\.App\("
_CHUNK = r"(?ms)^ {0,3}(`{3,}|~{3,})\{(\w+)[^\n]*\}[ \t]*\n(.*?)^ {0,3}\1[ \t]*$"


class TextNotebook(NamedTuple):
    """Title, code and language of a text notebook."""

    title: str | None
    source: str
    language: str


def decode(data: bytes) -> str:
    """Return the text of a source file; bytes that are not UTF-8 survive a round trip."""
    return data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")


def is_marimo(data: bytes) -> bool:
    """Return True if a Python file is a marimo notebook."""
    return b"marimo.App(" in data and re.search(_MARIMO, decode(data)) is not None


def read(data: bytes) -> TextNotebook:
    """Read the title and the code of a text notebook."""
    text = decode(data)
    if re.search(_MARIMO, text):
        return TextNotebook(_marimo_title(text), text.encode("utf-8", "replace").decode(), "python")
    chunks = list(re.finditer(_CHUNK, text))
    if not chunks and not re.match(_FRONT_MATTER, text):
        return TextNotebook(None, text.encode("utf-8", "replace").decode(), "python")
    body = re.sub(_FRONT_MATTER, "", text)
    source = "\n".join(chunk.group(3) for chunk in chunks)
    language = chunks[0].group(2).lower() if chunks else "python"
    title = front_matter_title(text) or first_title(body)
    return TextNotebook(title, source.encode("utf-8", "replace").decode(), language)


def front_matter_title(text: str) -> str | None:
    """Return the `title` of a YAML header at the beginning of a text, or None."""
    header = re.match(_FRONT_MATTER, text)
    line = re.search(_TITLE_LINE, header.group(1)) if header else None
    if line is None:
        return None
    title = line.group(1)
    if len(title) > 1 and title[0] == title[-1] and title[0] in "\"'":
        title = title[1:-1]
    return title.strip() or None


def _marimo_title(text: str) -> str | None:
    """Return the first heading in a call of `mo.md`, else the title given to the app."""
    import ast

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    app_title = None
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "App":
            values = [word.value for word in node.keywords if word.arg == "app_title"]
            if values and isinstance(values[0], ast.Constant) and isinstance(values[0].value, str):
                app_title = values[0].value.strip() or None
    headings = sorted(_markdown_calls(tree))
    for _, markdown in headings:
        title = first_title(markdown)
        if title:
            return title
    return app_title


def _markdown_calls(tree: object) -> list[tuple[int, str]]:
    """Return (line, text) of each constant text that is passed to a function called `md`."""
    import ast
    import inspect

    found = []
    for node in ast.walk(tree) if isinstance(tree, ast.AST) else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "md" and node.args:
            words = node.args[0]
            parts = words.values if isinstance(words, ast.JoinedStr) else [words]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
            found.append((node.lineno, inspect.cleandoc(text)))
    return found
