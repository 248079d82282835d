"""`lamin why`: what changed first in the lineages of two versions of a file."""

from __future__ import annotations

import click

from lamindb.cli import resolve
from lamindb.cli.completion import keys
from lamindb.cli.diff import styled_lines
from lamindb.cli.output import out, out_pages
from lamindb.cli.params import command, json_option
from lamindb.errors import InvalidTypeError


@command(
    "why",
    "lamin why study/results.csv",
    "lamin why study/results.csv@5 --against 2",
    "lamin why study/results.csv --json",
)
@click.argument("name", metavar="KEY[@N]", shell_complete=keys)
@click.option("--against", type=int, metavar="VERSION", help="The earlier version; the one before by default.")
@json_option
def why(name: str, against: int | None, as_json: bool) -> None:
    """Show why a version of a file differs from the one before: what changed first in their lineages.

    The runs that made them are compared by code, modules, uncommitted changes, parameters, arguments, inputs, packages
    and Python, and where inputs differ, the runs that made those. What was not recorded is listed as such.

    JSON keys: format, format_version, before, after, same_bytes, causes (each with kind, text, name, before, after,
    files, run_ids, way), unknown (each with what, run_id, text).
    """
    from lamindb.compare.causes import why as causes
    from lamindb.models import File

    file = resolve.record(name)
    if not isinstance(file, File):
        raise InvalidTypeError(f"why is asked about a version of a file, not about the {type(file).__name__} {name!r}")
    found = causes(file, against)
    if as_json:
        out(found.to_json())
    else:
        out_pages(styled_lines(found))
