"""Commands that check, free and move stored bytes: `verify`, `gc`, `relink`, `migrate-to`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from lamindb.cli.completion import keys
from lamindb.cli.output import out, out_json
from lamindb.cli.params import command, json_option
from lamindb.core import messages
from lamindb.core.text import printable
from lamindb.errors import IntegrityError


@contextmanager
def _progress() -> Iterator[Any]:
    """Show a progress bar at a terminal."""
    import sys

    from lamindb.core.progress import bar_for

    with bar_for(None, sys.stderr is not None and sys.stderr.isatty()) as report:
        yield report


def _print(report: Any, *, as_json: bool) -> None:
    if as_json:
        out_json(report.to_dict())
    else:
        for line in str(report).splitlines():
            out(printable(line))


@command("verify", "lamin verify", "lamin verify study --quick", "lamin verify --seconds 3600 --resume --json")
@click.argument("prefix", required=False, shell_complete=keys)
@click.option("--quick", is_flag=True, help="Check existence, sizes and times instead of every byte.")
@click.option("--resume", is_flag=True, help="Continue where the last verify stopped.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after this many seconds.")
@json_option
@click.pass_context
def verify(
    ctx: click.Context, prefix: str | None, quick: bool, resume: bool, seconds: float | None, as_json: bool
) -> None:
    """Check the database, then stored bytes against their records: all of them, or those under PREFIX.

    Exits 5 if bytes are missing or damaged. Saving the right bytes again repairs them.

    JSON keys: is_clean, database, checked, n_bytes, missing, corrupt, edited, untracked, orphans, lost, incoming,
    overlapping, is_complete, seconds.
    """
    from lamindb.maintenance import verify as maintenance_verify

    with _progress() as progress:
        report = maintenance_verify.verify(prefix, quick=quick, seconds=seconds, resume=resume, progress=progress)
    _print(report, as_json=as_json)
    if not report.is_clean:
        ctx.exit(IntegrityError.exit_code)


@command("gc", "lamin gc", "lamin gc --yes")
@click.option(
    "--grace-seconds",
    type=click.FloatRange(min=0),
    default=86_400,
    show_default=True,
    help="Keep anything stored within this many seconds.",
)
@click.option("--yes", is_flag=True, help="Remove it; without --yes, only print what would be removed.")
@click.option("--dry-run", is_flag=True, help="Only print what would be removed; this is the default.")
@json_option
@click.pass_context
def gc(ctx: click.Context, yes: bool, dry_run: bool, grace_seconds: float, as_json: bool) -> None:
    """Garbage collection: remove bytes that no file, trashed file or running save refers to. Safe beside writers.

    Exits 5, and removes no object, where the folder shows files that the database has lost.

    JSON keys: objects, n_bytes, n_young, incoming, is_dry_run, lost.
    """
    from lamindb.maintenance import gc as maintenance_gc

    with _progress() as progress:
        report = maintenance_gc.sweep(dry_run=dry_run or not yes, grace_seconds=grace_seconds, progress=progress)
    _print(report, as_json=as_json)
    if report.is_dry_run and (report.objects or report.incoming):
        messages.info("nothing was removed yet: `lamin gc --yes` removes it")
    if report.lost:
        ctx.exit(IntegrityError.exit_code)


@command("relink", "lamin relink")
@json_option
def relink(as_json: bool) -> None:
    """Replace equal bytes by hard links or reflinks again, after the folder was copied, restored or unpacked.

    JSON keys: checked, relinked, n_bytes, healed, edited.
    """
    from lamindb.files import view_relink

    with _progress() as progress:
        report = view_relink.relink(progress=progress)
    _print(report, as_json=as_json)


@command(
    "migrate-to",
    "lamin migrate-to --db postgresql://user:password@host/study",
    "lamin migrate-to --db postgresql://host/study --storage s3://bucket/study",
)
@click.option("--db", help="postgresql://user:password@host/name")
@click.option("--storage", help="A folder, or a URL such as s3://bucket/prefix.")
@json_option
def migrate_to(db: str | None, storage: str | None, as_json: bool) -> None:
    """Move the instance to PostgreSQL, to another storage, or both, with all ids, history and lineage.

    Everything is compared before this folder is connected to the new place. The old one is not removed. After an
    interruption, run the same command again to continue.

    JSON keys: tables, objects, n_bytes, database, storage, home.
    """
    from lamindb.setup import move

    with _progress() as progress:
        report = move.migrate_to(db=db, storage=storage, progress=progress)
    _print(report, as_json=as_json)
