"""Commands that find records and show their lineage."""

from __future__ import annotations

import datetime
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from lamindb.cli import resolve
from lamindb.cli.completion import keys, run_ids
from lamindb.cli.output import counted, out, out_json, out_json_list, styled, table, time_text
from lamindb.cli.params import Count, Depth, Size, Time, command, json_option
from lamindb.core import messages
from lamindb.core.text import elide_middle, printable, size_text
from lamindb.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lamindb.cli.output import FileRow

_KINDS = ("file", "transform", "run", "user")
_FORMATS = ("tree", "svg", "mermaid", "dot", "html", "json")
_WIDTH = 100
_NARROWEST = 40
_REASONS = 3
"""The number of reasons that are shown for each stale file."""
_DETAIL_WIDTH = 100
"""The width of what is told of an event."""

_PLUMBING = (
    "Hide files that one run made and one run read, and count them: those without a description, and without a key or "
    "in a folder such as tmp or interim."
)
_SHOW_MORE = "use --depth all to see all"
_SHOW_MORE_NODES = "use a higher --max-nodes to see all"


@command("search", "lamin search iris", "lamin search 'cell ranger' --type transform --json")
@click.argument("text")
@click.option(
    "--type", "kind", type=click.Choice(_KINDS), default="file", show_default=True, help="The kind of record."
)
@click.option("-n", "--limit", type=Count(), default=20, show_default=True, help="The maximum number of results.")
@click.option("--field", help="Compare only this field instead of the defaults.")
@json_option
def search(text: str, kind: str, limit: int, field: str | None, as_json: bool) -> None:
    """Search records by approximate names, the best matches first. Typing errors are tolerated.

    TEXT is compared with keys and names of files, names of transforms, names of runs and of their transforms, and
    handles and names of users. A record is ranked by its best match.

    JSON: the records as `lamin ls` and `lamin runs` show them, each with its score from 0 to 100.
    """
    from lamindb.cli.output import AS_DICT
    from lamindb.models import File, Run, Transform, User

    models: dict[str, Any] = {"file": File, "transform": Transform, "run": Run, "user": User}
    hits = models[kind].search(text, field=field, limit=limit)
    if hits.note is not None:
        messages.info(hits.note)
    if as_json:
        as_dict = AS_DICT[kind]
        out_json([{"score": round(score, 1), **as_dict(hit)} for hit, score in zip(hits, hits.scores, strict=False)])
        return
    if not hits:
        messages.info(f"no matching {kind}s")
        return
    for line in table(("id", kind, "details"), [(hit.id, *_hit(hit, kind)) for hit in hits]):
        out(line)


def _hit(hit: Any, kind: str) -> tuple[str, str]:
    if kind == "file":
        named = f"{hit.name}, " if hit.key and hit.key.rpartition("/")[2] != hit.name else ""
        return hit.key or hit.name, f"{named}version {hit.version}, {time_text(hit.created_at)}"
    if kind == "transform":
        return hit.name, f"{hit.type}, version {hit.version}"
    if kind == "run":
        named = f"{hit.transform.name}, " if hit.name else ""
        return hit.name or hit.transform.name, f"{named}{hit.status or 'by hand'}, {time_text(hit.created_at)}"
    return hit.handle, hit.name or ""


@command("plan", "lamin plan", "lamin plan results/counts.csv", "lamin plan --json")
@click.argument("names", metavar="[KEY[@N]|ID]...", nargs=-1, shell_complete=keys)
@json_option
def plan(names: tuple[str, ...], as_json: bool) -> None:
    """Show what has to be run to make stale files fresh, in order: all current files, or those named.

    Each entry is a process to start: a command line, from the folder of the project, or a notebook. Steps of a flow and
    commands of a workflow belong to the run above them. What cannot be made fresh by running it here is left out with
    the reason, and so is what waits for it. If it was derived from a flagged file, replace or unflag that file. A file
    that was renamed since it was made stays stale, as its program writes the old key: a note says so.

    JSON keys: units (each with run, transform, transform_type, transform_version, command, notebook, params, files,
    reasons, after, the positions of the units that it needs, notes, stays_stale, the files that it writes under the
    keys that they had before), left_out (each with files, run, kind, reason).
    """
    from lamindb.lineage import plans

    found = plans.plan(*(resolve.file_or_trashed(name) for name in names))
    if as_json:
        out(found.to_json())
    elif found:
        out(repr(found))
    else:
        messages.info(repr(found))


@command("status", "lamin status", "lamin status --json")
@json_option
def status(as_json: bool) -> None:
    """Show what needs attention: stale files by cause, flagged and affected ones, failed runs, edited files.

    Stale and affected files are listed under their nearest cause. Runs are the last ones of each notebook, script,
    pipeline or command, if they failed, or were started with uncommitted code. Edited are files in the storage folder
    that are not what was saved.

    JSON keys: stale (each with kind, read, current, files), affected (each with flagged, reasons, files), failed,
    edited (keys), uncommitted. Files have key, id, version; runs have id, transform, transform_type, transform_version,
    status, exit_code, git_commit, created_by, created_at.
    """
    from lamindb.describe import overview

    found = overview.status()
    if as_json:
        out(found.to_json())
    elif found:
        out(found.to_text(clock=time_text))
    else:
        messages.info("nothing needs attention")


@command("history", "lamin history", "lamin history study/results.csv", "lamin history -n 50 --since 7d --user ada")
@click.argument("name", metavar="[KEY|ID]", required=False, shell_complete=keys)
@click.option("-n", "--limit", type=Count(), default=20, show_default=True, help="The maximum number of results.")
@click.option("--since", type=Time(), help="Only events since a date, or within a duration such as 7d.")
@click.option("--user", "handle", metavar="HANDLE", help="Only events of this user.")
@json_option
def history(name: str | None, limit: int, since: datetime.datetime | None, handle: str | None, as_json: bool) -> None:
    """Show recent events, the latest first: of all records, or of one file and its versions.

    Files are saved, renamed, removed to the trash, restored, flagged and unflagged; runs ran; transforms are
    registered. The error for a key that no file has any more names the key that the file has now.

    JSON keys: at, kind (saved, renamed, removed, restored, flagged, unflagged, ran, registered), who, what, id, detail,
    transform, run (that produced, renamed, removed or restored the file).
    """
    from lamindb.describe import history as histories

    file = resolve.file_of_history(name) if name is not None else None
    events = histories.history(limit, since=since, handle=handle, file=file)
    if as_json:
        out_json([asdict(event) for event in events])
        return
    if not events:
        messages.info("no matching events")
        return
    own = ("ran", "registered")
    rows = [
        (
            *(time_text(e.at), e.who, e.kind, e.what),
            elide_middle(printable(e.detail), _DETAIL_WIDTH),
            *("" if e.kind in own else e.transform, e.id),
        )
        for e in events
    ]
    for line in table(("when", "who", "what", "which", "how", "by", "id"), rows):
        out(line)


@command("describe", "lamin describe study/results.csv", "lamin describe analysis.ipynb --json")
@click.argument("name", metavar="KEY[@N]|ID|NAME", shell_complete=keys)
@click.option("--version", type=int, help="The version of a file; the current one by default.")
@json_option
def describe(name: str, version: int | None, as_json: bool) -> None:
    """Show everything about a file, run or transform.

    NAME may also be the name or path of a notebook, script or pipeline.

    For what is stored with a run (code, packages, uncommitted changes, log, report) the path is shown.

    JSON keys: kind, id, title, sections (by title, each with facts, records, count).
    """
    show_page(resolve.record(name, version=version), as_json=as_json)


def show_page(record: Any, *, as_json: bool) -> None:
    """Print everything about a record."""
    page = record.describe()
    out(page.to_json() if as_json else page.to_text(clock=time_text))


@command(
    "lineage",
    "lamin lineage study/results.csv",
    "lamin lineage study/results.csv --up --depth 5",
    "lamin lineage study/results.csv -o lineage.svg",
)
@click.argument("name", metavar="KEY[@N]|ID|NAME", shell_complete=keys)
@click.option("--version", type=int, help="The version of a file; the current one by default.")
@click.option("--up", is_flag=True, help="Only ancestors.")
@click.option("--down", is_flag=True, help="Only descendants.")
@click.option("--depth", type=Depth(), help="The number of generations of files in each direction, or `all`.")
@click.option("--max-nodes", type=Count(), help="The maximum number of files and runs to show.")
@click.option("--all-producers", is_flag=True, help="Follow all runs that produced the same bytes, not only the first.")
@click.option("--no-group", "group", is_flag=True, default=True, flag_value=False, help="Show siblings one by one.")
@click.option("--steps", is_flag=True, help="Show the runs inside a flow or workflow one by one.")
@click.option("--hide-plumbing", "plumbing", is_flag=True, default=True, flag_value=False, help=_PLUMBING)
@click.option("--format", "form", type=click.Choice(_FORMATS), help="The output format; a tree by default.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@json_option
def lineage(
    name: str,
    version: int | None,
    up: bool,
    down: bool,
    form: str | None,
    output: Path | None,
    as_json: bool,
    group: bool,
    plumbing: bool,
    **limits: Any,
) -> None:
    """Show where a file, run or transform came from, and what became of it.

    Siblings are shown as one: files of one folder, or runs of one transform, with the same neighbours. A flow or
    workflow stands for the runs inside it. JSON has all of them.

    Times are local in a terminal, and in UTC everywhere else.

    With --output and without --format, the suffix selects the format: .txt .svg .html .mmd .dot .json.

    JSON keys: those of `file.view_lineage().to_json()`.
    """
    if as_json:
        form = "json"
    record = resolve.record(name, version=version)
    options: dict[str, Any] = {key: value for key, value in limits.items() if value is not None and value is not False}
    options |= {"group": group, "plumbing": plumbing}
    if options.get("depth") == "all":
        options["depth"] = None
    if up != down:
        options |= {"up": up, "down": down}
    hint = _SHOW_MORE_NODES if options.get("depth", 0) is None else _SHOW_MORE
    _show_picture(record.view_lineage(**options), form, output, hint)


@command(
    "path",
    "lamin path raw/reads.fastq.gz study/results.csv",
    "lamin path raw/reads.fastq.gz study/results.csv --all --format mermaid",
)
@click.argument("source", metavar="FROM", shell_complete=keys)
@click.argument("target", metavar="TO", shell_complete=keys)
@click.option("--all", "is_all", is_flag=True, help="Show all paths, not only a shortest one.")
@click.option("--all-producers", is_flag=True, help="Follow all runs that produced the same bytes, not only the first.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="The output format; a tree by default.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
@json_option
def path(
    source: str, target: str, is_all: bool, all_producers: bool, form: str | None, output: Path | None, as_json: bool
) -> None:
    """Show how one record led to another.

    FROM is the earlier one; both are a key, an id, or a name.

    JSON keys: those of `lamin lineage --json`; its lists are empty if there is no path.
    """
    from lamindb.lineage import draw

    query = draw.between if is_all else draw.path
    picture = query(resolve.record(source), resolve.record(target), all_producers=all_producers)
    _show_picture(picture, "json" if as_json else form, output)


@command(
    "impact",
    "lamin impact raw/reads.fastq.gz",
    "lamin impact raw/reads.fastq.gz@1 --files",
    "lamin impact raw/reads.fastq.gz --any-version --json",
)
@click.argument("name", metavar="KEY[@N]|ID|NAME", shell_complete=keys)
@click.option("--version", type=int, help="The version of a file; the current one by default.")
@click.option("--any-version", is_flag=True, help="Include what was derived from other versions of the file.")
@click.option("--files", "is_list", is_flag=True, help="Print only the keys of all derived files, one a line.")
@click.option("--all-producers", is_flag=True, hidden=True, help="Follow all producers, which is the default.")
@json_option
def impact(
    name: str, version: int | None, any_version: bool, is_list: bool, all_producers: bool, as_json: bool
) -> None:
    """Show what was derived from a file, run or transform, who made it, and who read it last.

    If the record turns out to be wrong, these are the results to make again and the users to inform. All runs that
    produced the same bytes are followed. A file without a key is shown by its name.

    JSON keys: of, ids, read_versions, versions_read, n_from_other_versions, same_bytes, users, transforms (each with
    id, name, type, version, users, last_at, runs, files, which have made_by, last_read_by, last_read_at).
    """
    from lamindb.lineage import impacts

    record = resolve.record(name, version=version)
    found = (impacts.impact if as_json else impacts.unmarked)(record, any_version=any_version)
    if as_json:
        out(found.to_json())
        return
    if is_list:
        for title in sorted({file.title for file in found.files}):
            out(printable(title))
    elif found.groups:
        out(found.to_text(clock=time_text, hints=False))
    else:
        messages.info(f"nothing was derived from {printable(found.of)}, and no run read it")
    for hint in found.hints("--any-version includes all versions"):
        messages.info(hint)


@command("stale", "lamin stale", "lamin stale study/results.csv", "lamin stale --json")
@click.argument("names", metavar="[KEY[@N]|ID]...", nargs=-1, shell_complete=keys)
@click.option("--code", is_flag=True, help="Include files made by code that changed in this checkout since.")
@json_option
def stale(names: tuple[str, ...], code: bool, as_json: bool) -> None:
    """Show which files are stale, and why: all current files, or those named.

    A file is stale if it was made, directly or some steps before, from a version that is no longer current. Making it
    again makes it fresh. A run that replaces its own input, such as a table to which it appends, is no reason.

    JSON keys: key, id, version, reasons (each with kind, which is superseded, removed or code; read, current, chain,
    which have key, id, version; code, a list of paths).
    """
    from lamindb.lineage import staleness

    query = staleness.stale(*(resolve.file(name) for name in names), code=code)
    query = query.order_by("key", "version", "created_at", "id")
    found = filter(None, staleness.explained(query.iterator(), code=code))
    if as_json:
        out_json_list(one.as_dict() for one in found)
        return
    one = None
    for one in found:
        out(printable(one.file.key or f"({one.file.name})"))
        for reason in one.reasons[:_REASONS]:
            out(f"  {reason}")
        if len(one.reasons) > _REASONS:
            out(styled(f"  … and {counted(len(one.reasons) - _REASONS, 'more reason')}", "dim"))
    if one is None:
        messages.info("no stale files")


def _show_picture(picture: Any, form: str | None, output: Path | None, hint: str = _SHOW_MORE) -> None:
    """Print a picture in a format, or write it to a file, whose suffix selects the format by default.

    `hint` is how to see all where nodes are left out.
    """
    # `Path.expanduser` fails if there is no such user.
    output = output and Path(os.path.expanduser(output))
    if output is not None and form is None:
        picture.save(output)
        return
    text = _drawn(picture, form or "tree", hint, is_file=output is not None)
    if output is None:
        out(text.rstrip("\n"))
    else:
        _write(output, text)


def _drawn(picture: Any, form: str, hint: str, *, is_file: bool) -> str:
    if form == "tree" and (is_file or not len(picture.graph)):
        return str(picture.to_text(width=_WIDTH))
    if form == "tree":
        from lamindb.lineage.render.tree import text_tree

        width = max(_NARROWEST, shutil.get_terminal_size().columns) if sys.stdout.isatty() else _WIDTH
        return text_tree(picture.drawn, direction=picture.direction, width=width, hint=hint, clock=time_text)
    return str(getattr(picture, f"to_{form}")())


def _write(path: Path, text: str) -> None:
    from lamindb.core import filesystem
    from lamindb.errors import StorageError

    if not path.parent.is_dir():
        raise InvalidInputError(f"there is no folder {path.parent}: create it first")
    try:
        filesystem.write_text(path, text if text.endswith("\n") else f"{text}\n")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


_MOST_ROWS = 1_000
"""Files that are listed without --limit."""

_MOST_OF_A_TREE = 100
"""Files that are listed with all their folders at once; of more, one level is."""

_SECONDS = 30
"""How long a filter may look for files."""

_LIMIT = "The maximum number of files, or of entries of a level; 1,000 by default."

_HEADERS = ("id", "size", "version", "when", "who", "transform", "key")


@command(
    "ls", "lamin ls", "lamin ls raw/", "lamin ls study --long --since 7d", "lamin ls --user ada --min-size 1GB --json"
)
@click.argument("prefix", required=False, shell_complete=keys)
@click.option("--user", "handle", metavar="HANDLE", help="Only files saved by this user.")
@click.option("--transform", metavar="NAME|ID", help="Only outputs of this notebook, script or pipeline.")
@click.option("--run", "run_id", metavar="RUN", help="Only outputs of this run.", shell_complete=run_ids)
@click.option("--since", type=Time(), help="Only files saved since a date or within a duration such as 7d.")
@click.option("--min-size", type=Size(), help="Only files of at least this size, such as 10MB.")
@click.option("--versions", is_flag=True, help="Include older versions.")
@click.option("--all", "everything", is_flag=True, help="Include older versions and the trash.")
@click.option("-l", "--long", "is_long", is_flag=True, help="Print a table with ids, sizes, times and users.")
@click.option("-n", "--limit", type=Count(), help=_LIMIT)
@json_option
def ls(is_long: bool, as_json: bool, limit: int | None, prefix: str | None, **filters: Any) -> None:
    """List files by key: all of them, or those under PREFIX.

    Of many files, only one level is listed: its folders, with the number and size of the files below as far as they
    are counted, and its files. `lamin ls FOLDER/` opens a folder. A filter lists files of all levels, the newest ones
    if there are many. JSON has all files.

    Stale files are marked (see `lamin stale`), and so are flagged ones and what was derived from them (`lamin flag`).

    JSON keys: id, key, name, suffix, size, hash, version, is_latest, is_folder, n_files, description, storage, run,
    transform, revision, created_by, created_at, trashed_at, trashed_by, flags (reasons), affected_by (the nearest
    flagged file: id, title, version, reasons; or null).
    """
    from lamindb.cli.output import file_rows
    from lamindb.db import database

    query = _query(**filters)
    key = resolve.key_under(prefix) if prefix else ""
    if as_json:
        below = query.filter(resolve.under(prefix)) if prefix else query
        rows = file_rows(
            below.order_by("key", "version", "created_at", "id") if limit is None else _newest(below, limit)
        )
        out_json_list(_rows_as_dicts(rows, query.db))
        return
    is_filtered = is_long or any(filters.values())
    if not is_filtered and _print_level(query, key, limit):
        return
    below = query.filter(resolve.under(prefix)) if prefix else query
    most = limit or _MOST_ROWS
    with database.stopping_after(query.db, _SECONDS):
        found = list(file_rows(_newest(below, most + 1)))
    if not found:
        messages.info("no matching files")
        return
    if len(found) > most:
        messages.info(f"only the newest {counted(most, 'file')}: -n shows more")
        del found[most:]
    found.sort(key=lambda file: (file.key is not None, file.key or "", file.version, file.created_at, file.id))
    marks = _marks([file.id for file in found], query.db)
    for line in _long(found, marks) if is_long else _tree(found, marks):
        out(line)


def _newest(query: Any, count: int) -> Any:
    return query.order_by("-created_at", "-id")[:count]


def _print_level(query: Any, key: str, limit: int | None) -> bool:
    """Print one level of the tree of keys; False if there are so few files that the whole tree is better."""
    from lamindb.cli.output import file_rows
    from lamindb.files import levels

    most = limit or _MOST_OF_A_TREE
    prefix = f"{key}/" if key else ""
    keyless = 0 if key else len(query.filter(key__isnull=True).order_by().values_list("id")[: most + 1])
    below = levels.key_range(query, prefix).order_by().values_list("id")
    if len(below[: most + 1 - min(most, keyless)]) + keyless <= most:
        return False
    found = levels.level(query, prefix, limit=min(limit or levels.MOST, levels.MOST))
    ids = [file.id for file in found.files]
    rows = list(file_rows(query.model.objects.using(query.db).filter(id__in=ids)))
    rows.sort(key=lambda row: ids.index(row.id))
    marks = _marks(ids, query.db)
    lines = [(folder.key, f"{_bold_folder(folder.name)}  {_below(folder)}") for folder in found.folders]
    lines += [(row.key or "", f"{_file_name(row, prefix)}  {_facts(row, marks)}") for row in rows]
    order = levels.natural_order if found.next is None else str
    for _, line in sorted(lines, key=lambda pair: order(pair[0].rstrip("/"))):
        out(line)
    if keyless:
        shown = counted(keyless, "file") if keyless <= most else f"over {counted(most, 'file')}"
        out(styled(f"without a key: {shown}", "dim"))
    out(styled(f"{counted(len(found.folders), 'folder')} and {counted(len(rows), 'file')}", "dim"))
    if found.next is not None:
        messages.info(f"there is more after {printable(found.next)}")
    if found.folders:
        messages.info(f"`lamin ls {resolve.ascii_quoted(found.folders[0].key)}` opens a folder")
    return True


def _bold_folder(name: str) -> str:
    return styled(f"{printable(name)}/", "bold")


def _below(folder: Any) -> str:
    files = counted(folder.n_files, "file") if folder.is_counted else f"{folder.n_files:,}+ files"
    return styled(f"({files}, {'' if folder.is_counted else 'over '}{size_text(folder.size)})", "dim")


def _file_name(row: FileRow, prefix: str) -> str:
    return f"{printable((row.key or '').removeprefix(prefix))}{'/' if row.is_folder else ''}"


def _rows_as_dicts(rows: Iterable[FileRow], alias: str) -> Iterator[dict[str, Any]]:
    from lamindb.db import database
    from lamindb.lineage import recall

    for chunk in database.chunks(rows, _MOST_ROWS):
        flagged, affected = recall.marks(database.connection(alias), [row.id for row in chunk])
        for row in chunk:
            cause = affected.get(row.id)
            yield {
                **row._asdict(),
                "flags": flagged.get(row.id, ()),
                "affected_by": asdict(cause) if cause is not None else None,
            }


def _marks(file_ids: list[str], alias: str) -> dict[str, list[str]]:
    """Return in words which of some files are stale, flagged or affected."""
    from lamindb.db import database
    from lamindb.lineage import stale_marks
    from lamindb.records import flags

    connection = database.connection(alias)
    marks = {file_id: ["stale"] for file_id in stale_marks.stale_among(connection, file_ids).ids}
    if not flags.any_open(alias):
        return marks
    from lamindb.lineage import recall
    from lamindb.lineage.lineage_graph import reasons_text

    flagged, affected = recall.marks(connection, file_ids)
    for file_id, reasons in flagged.items():
        marks.setdefault(file_id, []).append(f"flagged: {reasons_text(reasons)}")
    for file_id, cause in affected.items():
        marks.setdefault(file_id, []).append(f"affected: {cause}")
    return marks


def _query(
    handle: str | None,
    transform: str | None,
    run_id: str | None,
    since: datetime.datetime | None,
    min_size: int | None,
    versions: bool,
    everything: bool,
) -> Any:
    from lamindb.models import File, Run, Transform, User

    query: Any = File.objects.get_queryset() if versions or everything else File.select()
    if not everything:
        query = query.filter(trashed_at__isnull=True)
    if handle is not None:
        query = query.filter(created_by__in=resolve.ids_of(User, handle))
    # A run that produced bytes which were stored already has no file of its own, only an output edge.
    if transform is not None:
        query = query.filter(writer_links__run__transform__in=resolve.ids_of(Transform, transform))
    if run_id is not None:
        query = query.filter(writer_links__run__in=resolve.ids_of(Run, run_id))
    if since is not None:
        query = query.filter(created_at__gte=since)
    if min_size is not None:
        query = query.filter(size__gte=min_size)
    return query


def _long(files: list[FileRow], marks: dict[str, list[str]]) -> list[str]:
    rows = [
        (
            file.id,
            size_text(file.size),
            " ".join([f"{file.version}{_mark(file)}", *(mark.partition(":")[0] for mark in marks.get(file.id, ()))]),
            time_text(file.created_at),
            file.created_by,
            " · ".join(filter(None, [file.transform, f"code {file.revision}" if file.revision is not None else ""])),
            file.key or f"({file.name})",
        )
        for file in files
    ]
    return table(_HEADERS, rows, right=frozenset({"size"}))


def _mark(file: FileRow) -> str:
    if file.trashed_at is not None:
        return " in trash"
    return "" if file.is_latest else " older"


class _Folder(NamedTuple):
    """A folder of keys. One name may be a file and a folder."""

    folders: dict[str, _Folder]
    files: dict[str, list[FileRow]]


def _tree(files: list[FileRow], marks: dict[str, list[str]]) -> list[str]:
    """Return keys as an indented tree; files without a key come last, by name."""
    root = _Folder({}, {})
    for file in files:
        if file.key is not None:
            *folders, last = file.key.split("/")
            node = root
            for folder in folders:
                node = node.folders.setdefault(folder, _Folder({}, {}))
            node.files.setdefault(last, []).append(file)
    lines: list[str] = []
    _draw(root, "", lines, marks)
    keyless = [file for file in files if file.key is None]
    if keyless:
        lines.append(styled("without a key:", "dim"))
        lines.extend(f"  {printable(file.name)}  {_facts(file, marks)}  {styled(file.id, 'dim')}" for file in keyless)
    total = sum(file.size for file in files)
    lines.append(styled(f"{counted(len(files), 'file')}, {size_text(total)}", "dim"))
    return lines


def _draw(folder: _Folder, indent: str, lines: list[str], marks: dict[str, list[str]]) -> None:
    for name in sorted({*folder.folders, *folder.files}):
        for file in folder.files.get(name, ()):
            lines.append(f"{indent}{printable(name)}{'/' if file.is_folder else ''}  {_facts(file, marks)}")
        if name in folder.folders:
            lines.append(f"{indent}{styled(printable(name) + '/', 'bold')}")
            _draw(folder.folders[name], indent + "  ", lines, marks)


def _facts(file: FileRow, marks: dict[str, list[str]]) -> str:
    parts = [size_text(file.size)]
    if file.version > 1 or not file.is_latest:
        parts.append(f"version {file.version}{_mark(file)}")
    elif file.trashed_at is not None:
        parts.append("in trash")
    parts += marks.get(file.id, [])
    return styled(f"({', '.join(parts)})", "dim")
