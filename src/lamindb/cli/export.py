"""Commands that hand a project to people without access to it: `lamin export html` and `lamin bundle`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from lamindb.cli import resolve
from lamindb.cli.completion import runs_and_keys
from lamindb.cli.params import Group, command
from lamindb.core import messages
from lamindb.core.text import counted, printable, size_text

_MEGABYTE = 1_000_000
_Function = TypeVar("_Function", bound=Callable[..., Any])


def _output(help_text: str) -> Callable[[_Function], _Function]:
    path = click.Path(dir_okay=False, path_type=Path)
    return click.option("-o", "--output", required=True, type=path, help=help_text)


def _privacy(function: _Function) -> _Function:
    """Add what is left out unless it is asked for."""
    for name, what in (
        ("--with-paths", "absolute paths"),
        ("--with-emails", "e-mail addresses"),
        ("--with-hosts", "host names and addresses in texts"),
    ):
        function = click.option(name, is_flag=True, help=f"Keep {what}.")(function)
    return function


@click.group("export", cls=Group, examples=("lamin export html -o project.html",))
def export() -> None:
    """Write a project, or a part of it, for people who have no access to it."""


@export.command(
    "html",
    examples=(
        "lamin export html -o project.html",
        "lamin export html study/results.csv -o results.html",
        "lamin export html study/ -o study.html --max-mb 50",
    ),
)
@click.argument("names", metavar="[KEY|RUN]...", nargs=-1, shell_complete=runs_and_keys)
@_output("The file to write.")
@click.option("--max-mb", type=click.IntRange(1, 1000), default=20, show_default=True, help="The maximum size in MB.")
@_privacy
def html(names: tuple[str, ...], output: Path, max_mb: int, **privacy: bool) -> None:
    """Write the whole project, or what is before and after some records, as one HTML file.

    It opens in any browser and loads nothing: files with versions, runs with code, parameters and the end of their
    log, pictures of the lineage, and a search. A name with a slash at its end means the files of that folder.

    What would make the file too large is left out: previews, then logs, old versions, code. Secrets are never in it.
    """
    from lamindb.core import filesystem
    from lamindb.errors import StorageError
    from lamindb.exchange.html_export import export_html

    made = export_html(_records(names), max_bytes=max_mb * _MEGABYTE, **privacy)
    try:
        filesystem.write_text(output, made.text)
    except OSError as exc:
        raise StorageError(f"cannot write {printable(str(output))}: {exc.strerror or exc}") from exc
    what = f"{counted(made.n_files, 'file')} and {counted(made.n_runs, 'run')}"
    size = size_text(len(made.text.encode()))
    messages.success(f"wrote {printable(str(output))} with {what} ({size})")
    if made.left_out:
        gone = ", ".join(counted(count, kind) for kind, count in made.left_out.items())
        messages.info(f"left out to stay below {max_mb} MB: {gone}")


@command(
    "bundle",
    "lamin bundle study/results.csv -o results.zip",
    "lamin bundle study/results.csv study/plot.png -o study.zip",
)
@click.argument("names", metavar="KEY...", nargs=-1, required=True, shell_complete=runs_and_keys)
@_output("The archive to write.")
@_privacy
def bundle(names: tuple[str, ...], output: Path, **privacy: bool) -> None:
    """Write files with their bytes, the page of their lineage, and how to check them, as one archive.

    The archive has `index.html`, which is what `lamin export html` writes, the bytes below `files/`, their digests in
    `B3SUMS`, and `README.txt`.
    """
    from lamindb.exchange.bundle import write_bundle

    made = write_bundle(_records(names), output, **privacy)
    messages.success(f"wrote {printable(str(output))} with {counted(made.n_files, 'file')} ({size_text(made.size)})")


def _records(names: tuple[str, ...]) -> list[Any]:
    """Return the records that are named: files, runs, transforms, and the current files of folders."""
    from lamindb.errors import NoResultFound
    from lamindb.models import File

    found: list[Any] = []
    for name in names:
        if not name.endswith("/"):
            found.append(resolve.record(name))
            continue
        # The key that follows all keys of the folder ends in the character after the slash.
        files = list(File.select(key__gte=name, key__lt=name[:-1] + "0").order_by("key"))
        if not files:
            raise NoResultFound(f"there is no file in the folder {ascii(name)}: `lamin ls` lists the files")
        found += files
    return found
