"""`lamin ls`: what is stored, as a tree of keys or as a table."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from lamindb.cli import resolve
from lamindb.cli.completing import keys, run_ids
from lamindb.cli.output import counted, out, out_json_list, styled, table, time_text
from lamindb.cli.params import Moment, Size, command, json_option
from lamindb.core import messages
from lamindb.core.safe_text import printable, size_text

if TYPE_CHECKING:
    from lamindb.cli.rows import FileRow

_HEADERS = ("id", "size", "version", "when", "who", "transform", "key")


@command("ls", "lamin ls", "lamin ls study --long --since 7d", "lamin ls --user ada --min-size 1GB --json")
@click.argument("prefix", required=False, shell_complete=keys)
@click.option("--user", "handle", metavar="HANDLE", help="Only what this user saved.")
@click.option("--transform", metavar="NAME|ID", help="Only what this notebook, script or pipeline made.")
@click.option("--run", "run_id", metavar="RUN", help="Only what this run made.", shell_complete=run_ids)
@click.option("--since", type=Moment(), help="Only what was saved since a date or within a span such as 7d.")
@click.option("--min-size", type=Size(), help="Only what has at least this size, such as 10MB.")
@click.option("--versions", is_flag=True, help="Older versions too.")
@click.option("--all", "everything", is_flag=True, help="Older versions and the trash too.")
@click.option("-l", "--long", "is_long", is_flag=True, help="A table with ids, sizes, times and people.")
@json_option
def ls(is_long: bool, as_json: bool, **filters: Any) -> None:
    """List files by their keys, those under PREFIX where it is given.

    JSON keys: id, key, name, suffix, size, hash, version, is_latest, is_folder, n_files, description, storage, run,
    transform, created_by, created_at, trashed_at, trashed_by.
    """
    from lamindb.cli.rows import file_rows

    rows = file_rows(_query(**filters))
    if as_json:
        out_json_list(row._asdict() for row in rows)
        return
    found = list(rows)
    if not found:
        messages.info("no file fits")
        return
    for line in _long(found) if is_long else _tree(found):
        out(line)


def _query(
    prefix: str | None,
    handle: str | None,
    transform: str | None,
    run_id: str | None,
    since: datetime.datetime | None,
    min_size: int | None,
    versions: bool,
    everything: bool,
) -> Any:
    from lamindb.models import File

    query: Any = File.objects.get_queryset() if versions or everything else File.select()
    if not everything:
        query = query.filter(trashed_at__isnull=True)
    if prefix:
        query = query.filter(resolve.under(prefix))
    if handle is not None:
        query = query.filter(created_by__handle=resolve.handle(handle))
    # What a run made again, as its bytes were stored already, is its own as well.
    if transform is not None:
        query = query.filter(writer_links__run__transform__in=resolve.transform_ids(transform))
    if run_id is not None:
        query = query.filter(writer_links__run=resolve.run(run_id))
    if since is not None:
        query = query.filter(created_at__gte=since)
    if min_size is not None:
        query = query.filter(size__gte=min_size)
    return query.order_by("key", "version", "created_at", "id")


def _long(files: list[FileRow]) -> list[str]:
    rows = [
        (
            file.id,
            size_text(file.size),
            f"{file.version}{_mark(file)}",
            time_text(file.created_at),
            file.created_by,
            file.transform,
            file.key or f"({file.name})",
        )
        for file in files
    ]
    return table(_HEADERS, rows, right=frozenset({"size"}))


def _mark(file: FileRow) -> str:
    if file.trashed_at is not None:
        return " in trash"
    return "" if file.is_latest else " older"


@dataclass(slots=True)
class _Folder:
    """A folder of keys: what lies in it, by name. A key may be a file and a folder of others at once."""

    folders: dict[str, _Folder] = field(default_factory=dict)
    files: dict[str, list[FileRow]] = field(default_factory=dict)


def _tree(files: list[FileRow]) -> list[str]:
    """Draw keys as folders and files; what has no key comes last, under its name."""
    root = _Folder()
    for file in files:
        if file.key is not None:
            *folders, last = file.key.split("/")
            node = root
            for folder in folders:
                node = node.folders.setdefault(folder, _Folder())
            node.files.setdefault(last, []).append(file)
    lines: list[str] = []
    _draw(root, "", lines)
    without = [file for file in files if file.key is None]
    if without:
        lines.append(styled("without a key:", "dim"))
        lines.extend(f"  {printable(file.name)}  {_facts(file)}  {styled(file.id, 'dim')}" for file in without)
    total = sum(file.size for file in files)
    lines.append(styled(f"{counted(len(files), 'file')}, {size_text(total)}", "dim"))
    return lines


def _draw(folder: _Folder, indent: str, lines: list[str]) -> None:
    for name in sorted({*folder.folders, *folder.files}):
        for file in folder.files.get(name, ()):
            lines.append(f"{indent}{printable(name)}{'/' if file.is_folder else ''}  {_facts(file)}")
        if name in folder.folders:
            lines.append(f"{indent}{styled(printable(name) + '/', 'bold')}")
            _draw(folder.folders[name], indent + "  ", lines)


def _facts(file: FileRow) -> str:
    parts = [size_text(file.size)]
    if file.version > 1 or not file.is_latest:
        parts.append(f"version {file.version}{_mark(file)}")
    elif file.trashed_at is not None:
        parts.append("in trash")
    return styled(f"({', '.join(parts)})", "dim")
