"""Code, patches and logs as lines of HTML, with classes in place of styles; what is too long is cut or left plain."""

from __future__ import annotations

import re
from typing import Any, Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from lamindb.core.text import printable
from lamindb.environment.redaction import redact_text

MOST_COLOURED: Final = 100_000
"""Longer code is shown without colours: a hostile one could take minutes."""
MOST_SHOWN: Final = 256_000
MOST_LINE: Final = 2_000
MOST_LINES: Final = 5_000

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_SPANS: Final = re.compile(r"<span[^>]*>|</span>")


def shown_text(text: str, most_lines: int = MOST_LINES) -> str:
    """Return text without secrets and terminal codes, cut where it is too long; lines are safe to show."""
    lines = redact_text(_ANSI.sub("", text[:MOST_SHOWN])).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(shown_line(line) for line in lines[:most_lines])


def shown_line(line: str) -> str:
    """Return one line, safe to show."""
    cut = line if len(line) <= MOST_LINE else f"{line[:MOST_LINE]} … ({len(line):,} characters)"
    return "\t".join(printable(piece) for piece in cut.split("\t"))


def code(text: str, name: str) -> SafeString:
    """Return code as numbered lines.

    Args:
        text: The code.
        name: A file name whose suffix tells the language.
    """
    shown = shown_text(text).rstrip("\n")
    coloured = _coloured(shown, name) if len(shown) <= MOST_COLOURED else None
    lines = coloured if coloured is not None else [escape(line) for line in shown.split("\n")]
    return mark_safe("".join(f'<span class="l">{line}\n</span>' for line in lines))


def _coloured(text: str, name: str) -> list[str] | None:
    """Return lines of HTML; None for an unknown language."""
    import pygments
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_for_filename
    from pygments.util import ClassNotFound

    try:
        lexer: Any = get_lexer_for_filename(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
    marked = pygments.highlight(text, lexer, HtmlFormatter(nowrap=True, noclasses=False)).rstrip("\n")
    lines: list[str] = []
    open_tags: list[str] = []
    # What begins on one line and ends on another is closed and opened again, so that each line stands alone.
    for line in marked.split("\n"):
        begin = "".join(open_tags)
        for tag in _SPANS.findall(line):
            if tag == "</span>":
                open_tags.pop()
            else:
                open_tags.append(tag)
        lines.append(f"{begin}{line}{'</span>' * len(open_tags)}")
    return lines


def patch(text: str) -> SafeString:
    """Return a patch as lines, marked by what they add and remove."""
    return diff_lines([(line[:1], line) for line in shown_text(text).rstrip("\n").split("\n")])


def diff_lines(lines: list[tuple[str, str]]) -> SafeString:
    """Return lines with their signs, `+`, `-`, `@` or others, as HTML."""
    kinds = {"+": "add", "-": "del", "@": "at", "~": "at"}
    parts = (f'<span class="l {kinds.get(sign, "")}">{escape(shown_line(line))}\n</span>' for sign, line in lines)
    return mark_safe("".join(parts))


def log(text: str) -> str:
    """Return a log as text that is safe to show."""
    return shown_text(text, MOST_SHOWN)
