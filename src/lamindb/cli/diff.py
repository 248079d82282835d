"""`lamin diff`: what differs between versions of a file, folders, runs or transforms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from lamindb.cli import resolve
from lamindb.cli.completion import keys
from lamindb.cli.output import out, out_pages, styled
from lamindb.cli.params import command, json_option
from lamindb.errors import InvalidInputError

_STYLES = {"-": "red", "+": "green", "~": "bold", "@": "dim"}


@command(
    "diff",
    "lamin diff study/results.csv",
    "lamin diff study/results.csv@1 study/results.csv@3 --on id --rtol 1e-6",
    "lamin diff study/results.csv --version 1 --version 3",
    "lamin diff 0Xk2fQ 0Xk3aB --json",
    "lamin diff clean.py",
)
@click.argument("a", metavar="A", shell_complete=keys)
@click.argument("b", metavar="[B]", required=False, shell_complete=keys)
@click.option(
    "--version", "versions", type=int, multiple=True, help="A version of the file A; once (with the current) or twice."
)
@click.option("--on", metavar="COLUMN", multiple=True, help="A column whose values identify a table's row. Repeatable.")
@click.option("--rtol", type=float, default=0.0, help="The relative tolerance for numbers in tables.")
@click.option("--exit-code", "with_exit_code", is_flag=True, help="Exit with 1 if something differs.")
@json_option
@click.pass_context
def diff(
    ctx: click.Context,
    a: str,
    b: str | None,
    versions: tuple[int, ...],
    on: tuple[str, ...],
    rtol: float,
    with_exit_code: bool,
    as_json: bool,
) -> None:
    """Show what differs between A and B: versions of a file, folders, runs, or the last runs of transforms.

    A version of a file is written KEY@N. With A only, a file is compared with its version before, a run with the one
    before it, and of a transform its last two runs. Tables are compared by columns, rows and cells, JSON and YAML by
    path, text by lines, folders by their files.

    JSON keys: format, format_version, kind, is_equal, before, after; of files same_bytes, content, notes; of runs
    run_ids, revisions, code, modules, params, arguments, inputs, packages, facts, outputs, outputs_equal, seconds,
    notes.
    """
    from lamindb.compare.diff import diff as compare

    found = compare(*_records(a, b, versions), on=on, rtol=rtol)
    if as_json:
        out(found.to_json())
    else:
        out_pages(styled_lines(found))
    if with_exit_code and not found.is_equal:
        ctx.exit(1)


def _records(a: str, b: str | None, versions: tuple[int, ...]) -> tuple[Any, ...]:
    if not versions:
        return (resolve.record(a),) if b is None else (resolve.record(a), resolve.record(b))
    if b is not None or len(versions) > 2:
        raise InvalidInputError("--version is for one file, once or twice: pass A only, or write KEY@N")
    named = tuple(resolve.file_version(a, version) for version in versions)
    return named if len(named) == 2 else (*named, resolve.file(a))


def styled_lines(found: Any) -> Iterator[str]:
    """Yield the lines of a comparison in the colours of a terminal."""
    for line in found.lines():
        text = (line.sign + line.text).rstrip()
        yield styled(text, _STYLES[line.sign]) if line.sign in _STYLES else text
