"""The Python and the command that give what a page shows."""

from __future__ import annotations

import datetime
import shlex
from typing import Any, Final, Literal

from lamindb.models import File, Run, Transform
from lamindb.web import queries
from lamindb.web.pages import Code
from lamindb.web.queries import FileFilter, RunFilter

UNKNOWN: Final = "-"
"""The id of a user who is not known: nothing is theirs."""

_OLD_TOO: Final[dict[str, Any]] = {"is_latest__in": [True, False]}
"""The filter that includes older versions."""
_TRASH_TOO: Final = "ln.Q(trashed_at__isnull=True) | ln.Q(trashed_at__isnull=False)"
"""The condition that includes the trash."""


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


def _newest(count: int, *, by: str = "created_at") -> str:
    return f'.order_by("-{by}", "-id")[:{count}]'


def _page(after: str, *, by: str = "created_at") -> str:
    """Return the source of the conditions and the slice of one page of a list."""
    newest = _newest(queries.ROWS, by=by)
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
    elif chosen.state == "affected":
        filters |= {"is_affected": True, **(_OLD_TOO if chosen.old else {})}
        is_shell_exact = False
    elif chosen.state == "stale":
        filters["is_stale"] = True
        words = ["stale"] if words == ["ls"] else []
    elif chosen.old:
        filters |= _OLD_TOO
        words.append("--versions")
    if words[:1] == ["ls"]:
        words += ["--long", "-n", str(queries.ROWS)]
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


STALE: Final = Code("ln.lineage.stale()", "lamin stale", "Stale")
"""What gives the stale current files."""
FLAGGED: Final = call(f"ln.File.select({_TRASH_TOO}).filter", is_flagged=True, **_OLD_TOO)
"""The source of a query for the files that have an open flag."""


def level(prefix: str, after: str, last: str) -> list[Code]:
    """Return what gives one level of the tree of keys: its files, and what is in its folders, too.

    Args:
        prefix: The folder with a slash at its end, or "".
        after: The last child of the page before; a folder has a slash at its end.
        last: The last child of this page, if there are more.
    """
    every = call("ln.File.select", **({"key__startswith": prefix} if prefix else {"key__isnull": False}))
    names = f"file.key[{len(prefix)}:]" if prefix else "file.key"
    here = f'"/" not in {names}'
    page = [
        f"file.key {sign} {literal(queries.behind_child(one))}" for sign, one in ((">=", after), ("<", last)) if one
    ]
    below = f"[file for file in {every} if {' and '.join(page)}]" if page else every
    return [
        Code(f"[file for file in {every} if {' and '.join([here, *page])}]", part="Files here"),
        Code(below, command("ls", prefix) if prefix and not page else "", "With those in its folders"),
    ]


def last_runs(count: int, *words: str, part: str = "Last runs", **filters: str) -> Code:
    """Return what gives the newest runs that meet conditions; `words` are the options of the command for them."""
    return Code(f"{call('ln.Run.select', **filters)}{_newest(count)}", command("runs", *words, "-n", str(count)), part)


def last_files(count: int, *words: str, part: str = "Last files", **filters: str) -> Code:
    """Return what gives the newest current files that meet conditions; see `last_runs`."""
    shell = command("ls", *words, "--long", "-n", str(count))
    return Code(f"{call('ln.File.select', **filters)}{_newest(count)}", shell, part)


def transforms(kind: str = "", after: str = "") -> Code:
    """Return what gives a list of transforms."""
    return Code(f"{call('ln.Transform.select', **({'type': kind} if kind else {}))}{_page(after)}")


def flags() -> list[Code]:
    """Return what gives the reasons of open flags, and of removed ones, by the ids of their files."""
    removed = f"{call(f'ln.File.select({_TRASH_TOO}).filter', flags__removed_at__isnull=False, **_OLD_TOO)}.distinct()"
    return [
        Code(_reasons(FLAGGED, is_open=True), command("status"), "Open"),
        Code(_reasons(removed, is_open=False), "", "Removed"),
    ]


def _reasons(files: str, *, is_open: bool) -> str:
    return f'{{file.id: {call("file.flags.filter", removed_at__isnull=is_open)}.list("reason") for file in {files}}}'


def of_cause(kind: Literal["stale", "affected"], file_id: str, part: str) -> Code:
    """Return what gives the files that are stale or affected by one file before any other."""
    cause = {"stale": "read", "affected": "flagged"}[kind]
    group = f"for group in ln.lineage.status().{kind} if group.{cause}.id == {literal(file_id)}"
    return Code(f"[file {group} for file in group.files]", part=part)


def file(record: File, *, method: str = "describe()", shell: str = "describe") -> Code:
    """Return what gives one file, and what a page shows about it."""
    return Code(f"{call('ln.File.select', id=record.id)}.one().{method}", command(shell, record.id))


def run(record: Run, *, method: str = "describe()", shell: str = "show") -> Code:
    """Return what gives one run, and what a page shows about it."""
    return Code(f"{call('ln.Run.select', id=record.id)}.one().{method}", command(shell, record.id) if shell else "")


def search(part: str, text: str) -> Code:
    """Return what searches for one kind of record; `part` is its name in the plural."""
    kind = part[:-1]
    words = [] if kind == "File" else ["--type", kind.lower()]
    return Code(call(f"ln.{kind}.search", text), command("search", *words, "--", text), part)


def by_id(part: str, text: str, count: int) -> Code:
    """Return what gives the first records of one kind whose ids begin with a text; `part` is its name in the plural."""
    every = f"ln.File.select({_TRASH_TOO}).filter" if part == "Files" else f"ln.{part[:-1]}.select"
    filters = {"id__startswith": text, **(_OLD_TOO if part == "Files" else {})}
    return Code(f'{call(every, **filters)}.order_by("id")[:{count}]', part=part)


def transform(record: Transform, count: int) -> list[Code]:
    """Return what gives one transform, and its last runs and files."""
    words = ("--transform", record.id)
    python = f"{call('ln.Transform.select', id=record.id)}.one().describe()"
    return [
        Code(python, command("describe", record.id), "Facts"),
        last_runs(count, *words, transform_id=record.id),
        last_files(count, *words, part="Last files made", transform_id=record.id),
    ]
