"""Tags and filters of the templates: how keys, times, sizes and states look on every page."""

from __future__ import annotations

import datetime
import re
from typing import Any, Final
from urllib.parse import quote, urlencode

from django.template import Library
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from lamindb.core.text import duration_text, printable, size_text
from lamindb.environment.redaction import redact_text
from lamindb.lineage.render.labels import counted as counted_text
from lamindb.lineage.render.labels import suffix_kind, suffix_label

register = Library()

_BREAKS: Final = re.compile(r"(?<=[/_\-])(?=[^/._\-])|(?<=\.)(?=[^/._\-]{9})")
"""Where a name may be broken: behind its separators, but not before a short suffix."""
_LONGEST_SUFFIX: Final = 8
_ICONS: Final = {
    "search": '<circle cx="7" cy="7" r="4.3"/><path d="m10.3 10.3 3.4 3.4"/>',
    "completed": '<circle cx="8" cy="8" r="6.2"/><path d="m5.2 8.3 2 2 3.7-4.3"/>',
    "failed": '<circle cx="8" cy="8" r="6.2"/><path d="m5.8 5.8 4.4 4.4m0-4.4-4.4 4.4"/>',
    "running": '<circle cx="8" cy="8" r="6.2"/><path d="M6.8 5.4v5.2L10.9 8Z"/>',
    "aborted": '<circle cx="8" cy="8" r="6.2"/><path d="M5 8h6"/>',
    "stale": '<path d="M8 2.2 14.6 13.6H1.4Z"/><path d="M8 6.4v3.4m0 1.8v.1"/>',
    "flagged": '<path d="M3.5 14.5v-12h8.6l-2 3.4 2 3.4H3.5"/>',
    "affected": '<circle cx="4" cy="8" r="2.2"/><circle cx="12" cy="4" r="2.2"/><circle cx="12" cy="12" r="2.2"/>'
    '<path d="m6 7 4-2M6 9l4 2"/>',
    "touches": '<circle cx="3.6" cy="8" r="2"/><path d="M7.6 4.6a5 5 0 0 1 0 6.8M10.4 2.6a8 8 0 0 1 0 10.8"/>',
    "trash": '<path d="M2.5 4.2h11M6.2 4V2.4h3.6V4M4 4.4l.7 9.2h6.6l.7-9.2"/>',
    "old": '<circle cx="8" cy="8" r="6.2"/><path d="M8 4.6V8l2.4 1.6"/>',
    "copy": '<rect x="5.4" y="5.4" width="8" height="8" rx="1.4"/><path d="M10.6 2.6h-8v8"/>',
    "lineage": '<circle cx="3.6" cy="8" r="1.9"/><circle cx="12.4" cy="3.8" r="1.9"/>'
    '<circle cx="12.4" cy="12.2" r="1.9"/><path d="m5.4 7.1 5.2-2.5M5.4 8.9l5.2 2.5"/>',
    "compare": '<path d="M5 2.5v11m-3-3 3 3 3-3M11 13.5v-11m-3 3 3-3 3 3"/>',
    "download": '<path d="M8 2.4v7.4m-3.2-3L8 10l3.2-3.2M2.8 13.4h10.4"/>',
    "folder": '<path d="M1.8 12.8V3.2h4.4l1.6 1.9h6.4v7.7Z"/>',
    "file": '<path d="M3.4 1.8h6l3.2 3.2v9.2H3.4Z"/><path d="M9.2 2v3.2h3.2"/>',
    "run": '<path d="M4.4 2.6v10.8L13 8Z"/>',
    "arrow": '<path d="M1.5 8h12m-4.2-4.2L13.5 8l-4.2 4.2"/>',
    "theme": '<circle cx="8" cy="8" r="5.8"/><path d="M8 2.2a5.8 5.8 0 0 1 0 11.6Z" fill="currentColor"/>',
    "open": '<path d="M9 2.6h4.4V7m0-4.4L7.4 8.6M6.4 3.6H2.6v9.8h9.8V9.6"/>',
    "person": '<circle cx="8" cy="5.4" r="2.8"/><path d="M2.6 14c.4-3 2.6-4.4 5.4-4.4s5 1.4 5.4 4.4"/>',
    "check": '<path d="m3 8.6 3.2 3.2L13 4.6"/>',
    "info": '<circle cx="8" cy="8" r="6.2"/><path d="M8 7.4v3.6m0-6v.1"/>',
    "keyboard": '<rect x="1.4" y="4" width="13.2" height="8" rx="1.6"/><path d="M4 6.6h.1m2.6 0h.1m2.6 0h.1m2.5 0h.1'
    'M5 9.6h6"/>',
}
_STATES: Final = {
    "completed": ("ok", "Completed"),
    "failed": ("bad", "Failed"),
    "running": ("go", "Running"),
    "aborted": ("warn", "Aborted"),
    "stale": ("warn", "Stale"),
    "flagged": ("bad", "Flagged"),
    "affected": ("warn", "Affected"),
    "trash": ("off", "In trash"),
    "old": ("off", "Older version"),
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return a line drawing, for decoration only."""
    return mark_safe(f'<svg class="ic" viewBox="0 0 16 16" aria-hidden="true">{_ICONS[name]}</svg>')


@register.simple_tag
def state(name: str | None, label: str | None = None) -> SafeString:
    """Return a state as a sign, a word and a colour."""
    kind, word = _STATES.get(str(name), ("off", printable(str(name)) if name else "By hand"))
    sign = icon(str(name)) if name in _STATES else ""
    return format_html('<span class="st {}">{}{}</span>', kind, sign, label or word)


@register.simple_tag(takes_context=True)
def at(context: Any, *parts: Any) -> str:
    """Return the address of a page: pieces of a path, of which every second comes from a record."""
    path = "".join(str(part) if n % 2 == 0 else quote(str(part), safe="") for n, part in enumerate(parts))
    return str(context["site"].url(path))


@register.simple_tag(takes_context=True)
def query(context: Any, **changes: Any) -> str:
    """Return the address of this page with other parameters; None removes one, and paging begins anew."""
    values = {name: value for name, value in context["parameters"].items() if name != "after"}
    values.update({name: str(value) for name, value in changes.items() if value is not None})
    for name, value in changes.items():
        if value is None or value == "":
            values.pop(name, None)
    return "?" + urlencode(values) if values else context["here"]


@register.simple_tag(takes_context=True)
def own(context: Any, name: str) -> str:
    """Return the address of a file that comes with the program."""
    site = context["site"]
    return str(site.url(site.files.path(name)))


@register.filter
def text(value: Any) -> str:
    """Return text in which control and direction characters are shown as escapes."""
    return printable(str(value)) if value is not None else ""


@register.filter
def redacted(value: Any) -> str:
    """Return text without secrets, and safe to show."""
    return printable(redact_text(str(value))) if value is not None else ""


@register.filter
def with_code(value: str) -> SafeString:
    """Return a text in which what stands between backticks is code."""
    pieces = enumerate(printable(value).split("`"))
    return mark_safe("".join(f"<code>{escape(piece)}</code>" if n % 2 else escape(piece) for n, piece in pieces))


def broken(value: str) -> SafeString:
    """Return escaped text that may be broken after the separators of a name."""
    return mark_safe("<wbr>".join(escape(piece) for piece in _BREAKS.split(printable(value))))


@register.filter
def breakable(value: Any) -> SafeString:
    """Return text that may be broken after the separators of a name."""
    return broken(str(value))


@register.filter
def file_key(file: Any) -> SafeString:
    """Return the key of a file with its folder dimmed; its name where it has no key."""
    title = file.key if file.key else file.name or file.id
    folder, _, name = str(title).rstrip("/").rpartition("/")
    dimmed = format_html('<span class="dim">{}/<wbr></span>', broken(folder)) if folder else ""
    return format_html("<bdi>{}<b>{}</b></bdi>", dimmed, broken(name or str(title)))


@register.filter
def suffix(file: Any) -> SafeString:
    """Return the tag that shows the format of a file."""
    label = "folder" if file.is_folder and not file.suffix else suffix_label(file.suffix).lower()
    shown = label if len(label) <= _LONGEST_SUFFIX else label[: _LONGEST_SUFFIX - 1] + "…"
    return format_html('<span class="sfx sfx-{}">{}</span>', suffix_kind(file.suffix), shown or "file")


@register.filter
def size(value: int) -> str:
    """Return a number of bytes for a person."""
    return size_text(value)


@register.filter
def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return counted_text(number, noun)


@register.filter
def when(value: datetime.datetime | None) -> SafeString | str:
    """Return a time in UTC, to the minute."""
    if value is None:
        return ""
    at_utc = value.astimezone(datetime.UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        at_utc.isoformat(timespec="seconds"),
        at_utc.strftime("%Y-%m-%d %H:%M:%S"),
        at_utc.strftime("%Y-%m-%d %H:%M"),
    )


@register.filter
def duration(seconds: float | None) -> str:
    """Return a duration for a person."""
    return duration_text(seconds) if seconds is not None else ""


@register.filter
def short_id(value: str) -> str:
    """Return the beginning of an id."""
    return printable(str(value))[:8]


@register.filter
def json_value(value: Any) -> str:
    """Return a value of a parameter as it would be typed, shortened."""
    import json

    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    shown = printable(redact_text(shown[:2_000]))
    return shown if len(shown) <= 200 else shown[:199] + "…"


@register.filter
def version(value: Any) -> str:
    """Return a version with a `v` before a number."""
    shown = printable(str(value))
    return f"v{shown}" if shown[:1].isdigit() else shown


@register.filter
def took(run: Any) -> str:
    """Return how long a run took; of one whose process died, at least how long."""
    if run.started_at is None or run.finished_at is None:
        return ""
    seconds = (run.finished_at - run.started_at).total_seconds()
    if run.status == "aborted":
        return f"{duration_text(seconds)} or more" if seconds > 0 else ""
    return duration_text(seconds)


@register.filter
def columns_of(run: Any, names: Any) -> list[str]:
    """Return the values of some parameters of a run."""
    from lamindb.runs import identify

    if not names:
        return []
    params = run.params or {}
    return [json_value(identify.without_secrets(params[name], name)) if name in params else "" for name in names]
