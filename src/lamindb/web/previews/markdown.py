"""Markdown as a page shows it: headings, lists, emphasis and code. HTML in it is text, and no link leads anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from lamindb.web import highlight

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})\s*(\w{0,20})")
_HEADING: Final = re.compile(r" {0,3}(#{1,6})\s+(.*)")
_ITEM: Final = re.compile(r"(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)")
_QUOTE: Final = re.compile(r" {0,3}> ?")
_RULE: Final = re.compile(r" {0,3}([-*_])(?: *\1){2,} *")
_CODE: Final = re.compile(r"`([^`]{1,500})`")
_EMPHASIS: Final = (
    (re.compile(r"!?\[([^\[\]]{0,500})\]\([^()\s]{0,1000}\)"), r"\1"),
    (re.compile(r"\*\*([^*]{1,500})\*\*"), r"<b>\1</b>"),
    (re.compile(r"(?<![\w*])\*([^*\s][^*]{0,500})\*(?![\w*])"), r"<i>\1</i>"),
    (re.compile(r"(?<![\w_])_([^_\s][^_]{0,500})_(?![\w_])"), r"<i>\1</i>"),
)

_MOST_COLOURED: Final = 20
"""So many pieces of code are coloured: each takes a millisecond, however short it is."""
_SUFFIXES: Final = {"python": "py", "bash": "sh", "shell": "sh", "console": "sh", "javascript": "js", "yaml": "yml"}


def html(text: str) -> SafeString:
    """Return Markdown as HTML that is made of escaped text and of tags of this module."""
    lines = highlight.shown_text(text).split("\n")
    return mark_safe(f'<div class="markdown">{"".join(_blocks(lines))}</div>')


def _blocks(lines: list[str]) -> Iterator[str]:
    at, coloured = 0, 0
    while at < len(lines):
        line = lines[at]
        if (fence := _FENCE.match(line)) is not None:
            end = next((n for n in range(at + 1, len(lines)) if lines[n].strip().startswith(fence[1])), len(lines))
            text = "\n".join(lines[at + 1 : end])
            coloured += 1
            suffix = _SUFFIXES.get(fence[2], fence[2]) or "txt"
            code = highlight.code(text, f"code.{suffix}") if coloured <= _MOST_COLOURED else escape(text)
            yield f'<pre class="source in" tabindex="0" role="region" aria-label="Code">{code}</pre>'
            at = end + 1
        elif (heading := _HEADING.fullmatch(line)) is not None:
            title = heading[2].rstrip("# \t")
            yield f'<h3 class="level-{len(heading[1])}">{_inline(title)}</h3>'
            at += 1
        elif not line.strip() or _RULE.fullmatch(line):
            at += 1
        else:
            kind, end = _kind(line), at + 1
            while end < len(lines) and _continues(kind, lines[end]):
                end += 1
            yield _block(kind, lines[at:end])
            at = end


def _kind(line: str) -> str:
    if _ITEM.fullmatch(line):
        return "list"
    if _QUOTE.match(line):
        return "quote"
    return "table" if line.lstrip().startswith("|") else "words"


def _continues(kind: str, line: str) -> bool:
    if not line.strip() or _FENCE.match(line) or _HEADING.fullmatch(line):
        return False
    return _kind(line) == kind or (kind == "list" and line.startswith("  "))


def _block(kind: str, lines: list[str]) -> str:
    if kind == "list":
        return _list(lines)
    if kind == "quote":
        return f'<p class="quote">{_inline(" ".join(_QUOTE.sub("", line) for line in lines))}</p>'
    if kind == "table":
        return f'<pre class="words" tabindex="0" role="region" aria-label="Table">{escape(chr(10).join(lines))}</pre>'
    return f"<p>{_inline(' '.join(lines))}</p>"


def _list(lines: list[str]) -> str:
    """Return the items of a list, each with its number or a dot; deeper ones are set in."""
    items: list[tuple[int, str, str]] = []
    for line in lines:
        found = _ITEM.fullmatch(line)
        if found is not None:
            items.append((min(len(found[1].expandtabs(4)) // 2, 3), f"{found[2]}." if found[2] else "•", found[3]))
        else:
            depth, sign, text = items[-1]
            items[-1] = (depth, sign, f"{text} {line.strip()}")
    shown = (
        f'<li class="deep-{depth}"><span>{sign}</span><span>{_inline(text)}</span></li>' for depth, sign, text in items
    )
    return f"<ul>{''.join(shown)}</ul>"


def _inline(text: str) -> str:
    """Return one paragraph: code as it is, and between it emphasis; of a link its words."""
    pieces = _CODE.split(text)
    return "".join(f"<code>{escape(one)}</code>" if n % 2 else _emphasised(one) for n, one in enumerate(pieces))


def _emphasised(text: str) -> str:
    shown = str(escape(text))
    for rule, tags in _EMPHASIS:
        shown = rule.sub(tags, shown)
    return shown
