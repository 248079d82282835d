"""Commands that rename, remove and restore files: `mv`, `rm`, `trash`."""

from __future__ import annotations

import datetime
from typing import Any

import click

from lamindb.cli import resolve
from lamindb.cli.completion import keys, trashed_keys
from lamindb.cli.output import counted, out, out_json_list, table, time_text
from lamindb.cli.params import Count, Group, command, json_option
from lamindb.core import context, messages
from lamindb.core.keys import basename
from lamindb.core.text import printable, size_text
from lamindb.errors import InvalidInputError

_LISTED = 1_000
"""Files in the trash that are listed without --limit."""


@command("mv", "lamin mv study/results.csv study/2026/results.csv")
@click.argument("name", metavar="KEY|ID", shell_complete=keys)
@click.argument("new", metavar="NEW")
def mv(name: str, new: str) -> None:
    """Rename a file: give it and all its versions another key.

    Its id, history and lineage stay the same. If NEW ends in a slash, the file keeps its name in that folder.
    """
    file = resolve.file(name)
    old = file.key
    file.key = new + basename(old or file.name) if new.endswith("/") else new
    if file.key == old:
        messages.info(f"nothing to do: {resolve.ascii_quoted(old)} has this key already")
        return
    file.save()
    messages.success(f"renamed {resolve.ascii_quoted(old or file.name)} to {resolve.ascii_quoted(file.key)}")


@command("revert", "lamin revert study/results.csv --to 1")
@click.argument("name", metavar="KEY|ID", shell_complete=keys)
@click.option("--to", "version", type=click.IntRange(min=1), required=True, help="The version to bring back.")
def revert(name: str, version: int) -> None:
    """Make an older version of a file the current one again.

    It becomes a new version with the same bytes, which came from where these did; every version stays.
    """
    file = resolve.file(name, version=version)
    before = file.versions.filter(is_latest=True).first()
    new = file.make_current()
    shown = resolve.ascii_quoted(new.key or new.name)
    if new == before:
        messages.info(f"version {new.version} of {shown} is current already, and has these bytes")
    else:
        messages.success(f"version {new.version} of {shown} is version {version}, brought back")


@command("rm", "lamin rm study/results.csv", "lamin rm study/results.csv --permanent", "lamin rm -r study/old")
@click.argument("names", metavar="KEY[@N]|ID...", nargs=-1, required=True, shell_complete=keys)
@click.option("--permanent", is_flag=True, help="Skip the trash. Inputs of runs cannot be removed for good.")
@click.option("--versions", is_flag=True, help="Remove all versions, not only the current one.")
@click.option("-r", "--recursive", is_flag=True, help="Remove everything under these keys.")
def rm(names: tuple[str, ...], permanent: bool, versions: bool, recursive: bool) -> None:
    """Move files to the trash.

    All of them are moved or none. Without --versions only the current version is, and the newest other version
    becomes current. `lamin trash restore` restores files; their bytes are kept until `lamin gc`.
    """
    from lamindb.maintenance import trash as files_trash

    by_id: dict[str, Any] = {}
    for name in names:
        found = _under(name) if recursive else [resolve.file(name)]
        for file in found:
            family = file.versions.filter(trashed_at__isnull=True) if versions else [file]
            by_id.update({one.id: one for one in family})
    files = list(by_id.values())
    (files_trash.purge if permanent else files_trash.trash)(files, context.instance())
    done = "removed for good" if permanent else "moved to the trash"
    is_one_of = len(files) == 1 and files[0].versions.filter(trashed_at__isnull=True).exists()
    what = f"version {files[0].version} of {_named(files)}" if is_one_of else _named(files)
    messages.success(f"{what} {'was' if len(files) == 1 else 'were'} {done}")
    for file in files:
        _report_successor(file)


def _under(name: str) -> list[Any]:
    from lamindb.models import File

    condition = resolve.under(name)
    if not condition:
        raise InvalidInputError(f"{resolve.ascii_quoted(name)} is the whole storage: name the files to remove")
    found: list[Any] = list(File.select(condition))
    return found or [resolve.file(name)]


def _named(files: list[Any]) -> str:
    if len(files) == 1:
        return resolve.ascii_quoted(files[0].key or files[0].name)
    return counted(len(files), "file")


def _with_version(files: list[Any]) -> str:
    """Return what files are called; one that has other versions, in the trash or not, with its version."""
    is_one_of = len(files) == 1 and files[0].versions.count() > 1
    return f"version {files[0].version} of {_named(files)}" if is_one_of else _named(files)


def _report_successor(file: Any) -> None:
    """Print which version of the key is current now, if one is left."""
    from lamindb.models import File

    if file.key is not None:
        now_current = File.select(key=file.key, storage_id=file.storage_id).first()
        if now_current is not None and now_current.stem_id == file.stem_id:
            shown = resolve.ascii_quoted(file.key)
            messages.info(
                f"version {now_current.version} of {shown} is now the current one; "
                "`lamin rm --versions` trashes the whole file"
            )
            reasons = [printable(flag.reason) for flag in now_current.flags.filter(removed_at__isnull=True)]
            if reasons:
                messages.warning(f"version {now_current.version} of {shown} is flagged: {'; '.join(reasons)}")


@click.group("trash", cls=Group, examples=("lamin trash list", "lamin trash restore study/results.csv"))
def trash() -> None:
    """List, restore or purge files in the trash."""


@trash.command("list", examples=("lamin trash list", "lamin trash list --json"))
@click.option("-n", "--limit", type=Count(), help="The maximum number of files; 1,000 by default, in JSON all.")
@json_option
def list_trash(limit: int | None, as_json: bool) -> None:
    """List the files in the trash, the latest first.

    JSON keys: as for `lamin ls`.
    """
    from lamindb.cli.output import file_rows
    from lamindb.maintenance import trash as files_trash

    query = files_trash.trashed(context.instance())
    most = limit or _LISTED
    if limit is not None or not as_json:
        query = query[:most] if as_json else query[: most + 1]
    rows = file_rows(query)
    if as_json:
        out_json_list(row._asdict() for row in rows)
        return
    found = list(rows)
    if not found:
        messages.info("the trash is empty")
        return
    if len(found) > most:
        messages.info(f"only the latest {counted(most, 'file')}: -n shows more")
        del found[most:]
    shown = [
        (f.id, size_text(f.size), f.version, time_text(f.trashed_at), f.trashed_by, f.key or f"({f.name})")
        for f in found
    ]
    for line in table(("id", "size", "version", "removed", "who", "key"), shown, right=frozenset({"size"})):
        out(line)


@trash.command("restore", examples=("lamin trash restore study/results.csv",))
@click.argument("names", metavar="KEY[@N]|ID...", nargs=-1, required=True, shell_complete=trashed_keys)
def restore(names: tuple[str, ...]) -> None:
    """Restore files from the trash: all of those named or none.

    If a key was removed several times, the latest file is restored.
    """
    from lamindb.maintenance import trash as files_trash

    files = list({file.id: file for file in (resolve.file(name, in_trash=True) for name in names)}.values())
    files_trash.restore(files)
    messages.success(f"restored {_with_version(files)}")


@trash.command("purge", examples=("lamin trash purge study/results.csv", "lamin trash purge --all --older-than 30"))
@click.argument("names", metavar="[KEY[@N]|ID]...", nargs=-1, shell_complete=trashed_keys)
@click.option("--all", "everything", is_flag=True, help="Remove everything in the trash.")
@click.option(
    "--older-than", metavar="DAYS", type=click.FloatRange(min=0), help="Only files trashed at least this many days ago."
)
def purge(names: tuple[str, ...], everything: bool, older_than: float | None) -> None:
    """Remove files from the trash for good.

    All of them are removed or none; `lamin gc` frees their space. Inputs of runs are kept for their lineage: naming
    one is an error, and --all skips them.
    """
    from lamindb.maintenance import trash as files_trash

    if everything == bool(names):
        raise InvalidInputError("pass either keys or ids, or --all")
    if everything:
        files, kept = _purgeable(older_than)
        if kept:
            messages.info(f"{counted(kept, 'file')} {'stays' if kept == 1 else 'stay'} in the trash as input of a run")
    else:
        files = [resolve.file(name, in_trash=True) for name in names]
        if older_than is not None:
            files = [file for file in files if file.trashed_at is not None and file.trashed_at <= _before(older_than)]
    if not files:
        messages.info("nothing to purge")
        return
    shown = _with_version(files)
    files_trash.purge(files, context.instance())
    messages.success(f"{shown} {'was' if len(files) == 1 else 'were'} removed for good")


def _purgeable(older_than: float | None) -> tuple[list[Any], int]:
    from lamindb.maintenance import trash as files_trash

    query = files_trash.trashed(context.instance())
    if older_than is not None:
        query = query.filter(trashed_at__lte=_before(older_than))
    files = list(query.filter(reader_links__isnull=True))
    return files, query.count() - len(files)


def _before(days: float) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
