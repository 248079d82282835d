"""The Python and the command that give what a page shows."""

from __future__ import annotations

import datetime
import shlex
from typing import Any, Final

from lamindb.models import File, Run, Transform
from lamindb.web import queries
from lamindb.web.pages import Code
from lamindb.web.queries import FileFilter, RunFilter

UNKNOWN: Final = "-"
"""The id of a user who is not known: nothing is theirs."""

_OLD_TOO: Final[dict[str, Any]] = {"is_latest__in": [True, False]}
"""The filter that includes older versions."""


def literal(value: Any) -> str:
    """Return a value as Python source, text in double quotes."""
    if not isinstance(value, str):
        return repr(value)
    quoted = repr("'" + value)
    return f'"{quoted[2:-1]}"' if quoted.startswith('"') else '"' + repr(value)[1:-1].replace('"', '\\"') + '"'


def call(name: str, *args: Any, **filters: Any) -> str:
    """Return the source of a call."""
    inside = [literal(one) for one in args] + [f"{name}={literal(value)}" for name, value in filters.items()]
    return f"{name}({', '.join(inside)})"


def command(*words: str) -> str:
    """Return a command line; what would not be seen in it is written as an escape, which bash and zsh read."""
    return " ".join(["lamin", *map(_word, words)])


def _word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    seen = (one if one.isprintable() and one not in "'\\" else f"\\U{ord(one):08x}" for one in word)
    return f"$'{''.join(seen)}'"


def _page(after: str, *, by: str = "created_at") -> str:
    """Return the source of the conditions and the slice of one page of a list."""
    newest = f'.order_by("-{by}", "-id")[:{queries.ROWS}]'
    return newest if not after else f"{_behind(after, by)}{newest}"


def _behind(after: str, by: str) -> str:
    at, row_id = queries.read_cursor(after)
    text = literal(at.isoformat())
    same = f".exclude({by}={text}, id__gte={literal(row_id)})"
    return f".filter({by}__lte={text}){same}"


def _days(since: datetime.date | None, until: datetime.date | None) -> dict[str, str]:
    found = {}
    if since is not None:
        found["created_at__gte"] = since.isoformat()
    if until is not None:
        found["created_at__lt"] = (until + datetime.timedelta(days=1)).isoformat()
    return found


def files(chosen: FileFilter, after: str = "", *, handle: str = "") -> Code:
    """Return what gives a list of files."""
    filters: dict[str, Any] = {}
    words = ["ls"]
    is_shell_exact = not after and not chosen.until and chosen.user_id != UNKNOWN
    if chosen.folder:
        folder = chosen.folder.rstrip("/") + "/"
        filters["key__startswith"] = folder
        words.append(folder)
    for name in ("suffix", "transform_id", "storage_id"):
        if getattr(chosen, name):
            filters[name] = getattr(chosen, name)
    if chosen.suffix or chosen.storage_id:
        is_shell_exact = False
    if chosen.transform_id:
        words += ["--transform", chosen.transform_id]
    if chosen.user_id:
        filters["created_by_id"] = chosen.user_id
        words += ["--user", handle]
    filters |= _days(chosen.since, chosen.until)
    if chosen.since:
        words += ["--since", chosen.since.isoformat()]
    if chosen.state == "trash":
        filters["trashed_at__isnull"] = False
        words = ["trash", "list"] if words == ["ls"] else []
    elif chosen.state == "flagged":
        filters |= {"is_flagged": True, **_OLD_TOO}
        is_shell_exact = False
    elif chosen.state == "stale":
        filters["is_stale"] = True
        words = ["stale"] if words == ["ls"] else []
    elif chosen.old:
        filters |= _OLD_TOO
        words.append("--versions")
    python = f"{call('ln.File.select', **filters)}{_page(after, by=chosen.time)}"
    return Code(python, command(*words) if words and is_shell_exact else "")


def runs(chosen: RunFilter, after: str = "", *, handle: str = "") -> Code:
    """Return what gives a list of runs."""
    filters: dict[str, Any] = {}
    words = ["runs"]
    if chosen.status:
        filters["status"] = chosen.status
        words += ["--status", chosen.status]
    if chosen.transform_id:
        filters["transform_id"] = chosen.transform_id
        words += ["--transform", chosen.transform_id]
    if chosen.user_id:
        filters["created_by_id"] = chosen.user_id
        words += ["--user", handle]
    if chosen.reads:
        filters["input_links__file_id"] = chosen.reads
    filters |= _days(chosen.since, chosen.until)
    if chosen.since:
        words += ["--since", chosen.since.isoformat()]
    is_shell_exact = not after and not chosen.until and not chosen.reads and chosen.user_id != UNKNOWN
    return Code(f"{call('ln.Run.select', **filters)}{_page(after)}", command(*words) if is_shell_exact else "")


def file(record: File, *, method: str = "describe()", shell: str = "describe") -> Code:
    """Return what gives one file, and what a page shows about it."""
    return Code(f"{call('ln.File.select', id=record.id)}.one().{method}", command(shell, record.id))


def run(record: Run, *, method: str = "describe()", shell: str = "show") -> Code:
    """Return what gives one run, and what a page shows about it."""
    return Code(f"{call('ln.Run.select', id=record.id)}.one().{method}", command(shell, record.id) if shell else "")


def transform(record: Transform) -> Code:
    """Return what gives one transform."""
    return Code(f"{call('ln.Transform.select', id=record.id)}.one().describe()", command("describe", record.id))
