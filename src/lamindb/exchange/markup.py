"""Pieces of HTML in which all text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from lamindb.core.text import isolated, printable
from lamindb.lineage.render.labels import suffix_kind, suffix_label, time_text
from lamindb.lineage.render.svg import STATUS_SIGNS, xml


def shown(text: str) -> str:
    """Return a text that may hold anything as HTML."""
    return xml(isolated(printable(text)))


def breakable(text: str) -> str:
    """Return a name as HTML that may be broken after what joins its parts."""
    escaped = xml(printable(text))
    for sign in "/._-":
        escaped = escaped.replace(sign, f"{sign}<wbr>")
    return f"<bdi>{escaped}</bdi>"


def link(anchor: str, inner: str, css: str = "") -> str:
    """Return a link to a page of the same file."""
    classes = f' class="{css}"' if css else ""
    return f'<a href="#{anchor}"{classes}>{inner}</a>'


def suffix_tag(suffix: str) -> str:
    """Return the tag of a suffix, in the colour of its kind."""
    label = suffix_label(suffix).rpartition(".")[2][:8]
    return f'<span class="sfx {suffix_kind(suffix)}">{xml(label) or "file"}</span>'


def status_badge(status: str | None) -> str:
    """Return a status as sign, word and colour."""
    if not status:
        return '<span class="st none">by hand</span>'
    sign = STATUS_SIGNS.get(status, "")
    icon = f'<svg class="sign" viewBox="-9 -9 18 18" aria-hidden="true"><path d="{sign}"/></svg>' if sign else ""
    return f'<span class="st {status if sign else "none"}">{icon}{shown(status.capitalize())}</span>'


def mark(word: str) -> str:
    """Return a mark of a file: stale, flagged, affected, older, in trash."""
    return f'<span class="st {word.replace(" ", "-")}">{word.capitalize()}</span>'


def when(time: datetime | None) -> str:
    """Return a time in UTC, to the minute."""
    if time is None:
        return ""
    return f'<time datetime="{time.isoformat()}">{time_text(time).removesuffix(" UTC")}</time>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return facts, given as a label and HTML; those without a value are left out."""
    rows = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in pairs if value)
    return f'<dl class="facts">{rows}</dl>' if rows else ""


def card(title: str, inner: str, note: str = "", css: str = "") -> str:
    """Return a titled box; "" if it is empty."""
    if not inner:
        return ""
    aside = f'<span class="note">{note}</span>' if note else ""
    return f'<section class="card{f" {css}" if css else ""}"><header><h2>{title}</h2>{aside}</header>{inner}</section>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], css: str = "") -> str:
    """Return a table of HTML cells; "" without rows."""
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        return ""
    heads = "".join(f'<th scope="col">{one}</th>' for one in head)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table">'
        f'<table class="{css}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def code_block(text: str, *, is_patch: bool = False) -> str:
    """Return a text with its lines as they are; of a patch, what was added and removed is coloured."""
    escaped = xml(text.rstrip("\n"))
    if is_patch:
        escaped = "\n".join(_patch_line(line) for line in escaped.split("\n"))
    return f'<pre tabindex="0"><code>{escaped}</code></pre>'


def _patch_line(line: str) -> str:
    css = "add" if line.startswith("+") else "del" if line.startswith("-") else "hunk" if line.startswith("@@") else ""
    return f'<span class="{css}">{line}</span>' if css else line
