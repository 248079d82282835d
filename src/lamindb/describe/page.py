"""Everything about a record on one page: as text in a terminal, as HTML in a notebook, as JSON for programs."""

from __future__ import annotations

import html
import json
import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lamindb.core.safe_text import cell_width, duration_text, isolated, printable, size_text
from lamindb.describe import record
from lamindb.describe.record import Description, Entry, Fact, Section
from lamindb.lineage.render.labels import Clock, time_text


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """What `describe()` returns: it shows itself, and holds the facts."""

    description: Description

    def to_text(self, *, clock: Clock = time_text) -> str:
        """Write it as text, names safe to print; the clock says how times are written, in UTC by default."""
        found = self.description
        lines = [f"{found.kind.capitalize()} {isolated(printable(found.title))}  ({found.id})"]
        for section in found.sections:
            lines += ["", _heading(section), *_fact_lines(section, clock)]
            lines += [f"  {_entry_text(entry, clock)}" for entry in section.entries]
            lines += [f"  {note}" for note in [_more(section)] if note]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain dictionaries, lists, strings and numbers.

        `sections` is a dictionary by title. Each has `facts`, also a dictionary, `records`, a list, and `count`, the
        number of all of these records where it lists some. Names are words with `_` between, such as
        `sections.made_by.facts.started_at`. Sizes are in bytes, spans in seconds, times in ISO 8601. What is not known
        is not there.
        """
        found = self.description
        return {
            "format": "lamindb-description",
            "format_version": 2,
            "kind": found.kind,
            "id": found.id,
            "title": found.title,
            "sections": {
                _name(section.title): {
                    "facts": {_name(fact.label): record.plain(fact) for fact in section.facts},
                    "records": [
                        {
                            "kind": entry.kind,
                            "id": entry.id,
                            "name": entry.name,
                            **{_name(fact.label): record.plain(fact) for fact in entry.details},
                        }
                        for entry in section.entries
                    ],
                    "count": section.count,
                }
                for section in found.sections
            },
        }

    def to_json(self) -> str:
        """Write it as JSON."""
        return json.dumps(self.as_dict(), indent=2)

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """Write it for a notebook."""
        found = self.description
        parts = [f"<h4>{found.kind.capitalize()} {_escaped(found.title)} <small>{_escaped(found.id)}</small></h4>"]
        for section in found.sections:
            rows = [_row(_label(section, fact), _value(fact)) for fact in section.facts if fact.shown != ""]
            rows += [_row("", _entry_text(entry)) for entry in section.entries]
            rows += [_row("", note) for note in [_more(section)] if note]
            parts.append(
                f"<tr><th colspan='2' style='text-align:left'>{_escaped(_heading(section))}</th></tr>{''.join(rows)}"
            )
        return f"{parts[0]}<table>{''.join(parts[1:])}</table>"


def _heading(section: Section) -> str:
    title = printable(section.title)
    if section.count is None:
        return title
    return f"{title}: {section.count:,}" if section.count else f"{title}: none"


def _more(section: Section) -> str:
    left = (section.count or 0) - len(section.entries)
    return f"… and {left:,} more" if left > 0 else ""


def _name(words: str) -> str:
    return words.replace(" ", "_")


def _label(section: Section, fact: Fact) -> str:
    """Return what stands beside a fact; nothing where it is all that its section says, and speaks for itself."""
    return "" if fact.form == "lines" and len(section.facts) == 1 else printable(fact.label)


def _fact_lines(section: Section, clock: Clock) -> list[str]:
    facts = [fact for fact in section.facts if fact.shown != ""]
    labels = [_label(section, fact) for fact in facts]
    width = max(map(cell_width, labels), default=0)
    lines = []
    for label, fact in zip(labels, facts, strict=True):
        first, *others = _value(fact, clock).split("\n")
        lines.append(f"  {label.ljust(width)}  {first}" if width else f"  {first}")
        lines += [f"  {' ' * width}{'  ' if width else ''}{other}" for other in others]
    return lines


def _value(fact: Fact, clock: Clock = time_text) -> str:
    """Write a value for people; only `lines` keep their line breaks."""
    value = fact.value
    if fact.shown is not None:
        return isolated(printable(fact.shown))
    if fact.form == "bytes":
        return size_text(value) if value < 1000 else f"{size_text(value)} ({value:,} bytes)"
    if fact.form == "seconds":
        return duration_text(value)
    if fact.form == "lines":
        return "\n".join(printable(line) for line in str(value).splitlines())
    if fact.form == "command":
        return printable(shlex.join(str(word) for word in value))
    if isinstance(value, datetime):
        return clock(value)
    if isinstance(value, dict):
        return ", ".join(f"{printable(str(name))}={_short(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(isolated(printable(str(word))) for word in value)
    return isolated(printable(str(value)))


def _short(value: Any) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _entry_text(entry: Entry, clock: Clock = time_text) -> str:
    details = [_detail(fact, clock) for fact in entry.details if fact.shown != ""]
    return " · ".join([isolated(printable(entry.name)), *details, printable(entry.id)])


def _detail(fact: Fact, clock: Clock) -> str:
    return size_text(fact.value) if fact.form == "bytes" else _value(fact, clock)


def _row(label: str, value: str) -> str:
    text = _escaped(value).replace("\n", "<br>")
    return f"<tr><td style='text-align:left'>{_escaped(label)}</td><td style='text-align:left'>{text}</td></tr>"


def _escaped(text: str) -> str:
    return html.escape("\n".join(printable(line) for line in text.split("\n")))
