"""Commands that flag files as wrong: `flag`, `unflag`."""

from __future__ import annotations

import click

from lamindb.cli import resolve
from lamindb.cli.completion import keys
from lamindb.cli.output import counted, out, out_json
from lamindb.cli.params import command, json_option
from lamindb.core import messages
from lamindb.core.text import printable

_name = click.argument("name", metavar="KEY[@N]|ID", shell_complete=keys)


@command("flag", "lamin flag raw/plate.csv --reason contaminated", "lamin flag raw/plate.csv@1 --reason 'wrong plate'")
@_name
@click.option("--reason", required=True, metavar="TEXT", help="What is wrong with it.")
@json_option
def flag(name: str, reason: str, as_json: bool) -> None:
    """Flag a version of a file as wrong: everything derived from it is affected.

    The flag stays on this version when another one becomes current. `lamin ls`, `describe`, `lineage` and `status` mark
    it and the affected files; reading them warns, or fails if the setting if_flagged is `error`. Files with the same
    bytes are named, not flagged.

    JSON keys: key, id, version, flags (each with reason, by, at, removed_by, removed_at, removal_reason), affected,
    same_bytes (files with key, id, version).
    """
    from lamindb.lineage import recall
    from lamindb.records import flags

    file = resolve.file_or_trashed(name)
    file.flag(reason)
    affected = recall.affected().filter(id__in=file.descendants(all_producers=True).values("id")).order_by("key", "id")
    if as_json:
        out_json(
            {
                **_plain(file),
                "flags": [recall.flag_as_dict(one) for one in file.flags],
                "affected": [_plain(one) for one in affected],
                "same_bytes": [_plain(one) for one in flags.same_bytes(file)],
            }
        )
        return
    messages.success(f"flagged version {file.version} of {resolve.ascii_quoted(file.key or file.name)}")
    shown = affected.list()
    for one in shown:
        out(printable(one.key or f"({one.name})"))
    is_one = len(shown) == 1
    messages.info(f"{counted(len(shown), 'current file')} {'is' if is_one else 'are'} affected")


@command("unflag", "lamin unflag raw/plate.csv", "lamin unflag raw/plate.csv@1 --reason 'measured again: it is right'")
@_name
@click.option("--reason", metavar="TEXT", help="Why the flags are removed.")
def unflag(name: str, reason: str | None) -> None:
    """Remove the flags of a version of a file. `lamin describe` shows them still, as history."""
    file = resolve.file_or_trashed(name)
    file.unflag(reason)
    messages.success(f"version {file.version} of {resolve.ascii_quoted(file.key or file.name)} is not flagged any more")


def _plain(file: object) -> dict[str, object]:
    return {name: getattr(file, name) for name in ("key", "id", "version")}
