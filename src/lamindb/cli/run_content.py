"""Commands that print what is stored with a run: code, log, patch, packages, report."""

from __future__ import annotations

import sys
from typing import Any

import click

from lamindb.cli import resolve
from lamindb.cli.completion import runs_and_keys
from lamindb.cli.output import out_json, out_pages
from lamindb.cli.params import command, json_option
from lamindb.core import messages, processes
from lamindb.core.text import printable

_run_argument = click.argument("name", metavar="RUN|KEY|NAME", shell_complete=runs_and_keys)


@command("code", "lamin code 0Xk2fQ", "lamin code study/results.csv --module utils.py", "lamin code a.ipynb > a.ipynb")
@_run_argument
@click.option("--module", metavar="PATH", help="Print this module of the project instead: see `lamin modules`.")
def code(name: str, module: str | None) -> None:
    """Print the code that a run executed, without secrets.

    The run is named by its id, the key of a file that it made, or a name, which means its last run. At a terminal, a
    pager shows it.
    """
    _print(resolve.run_of(name), "code", module)


@command("log", "lamin log 0Xk2fQ", "lamin log study/results.csv", "lamin log 0Xk2fQ | less")
@_run_argument
def log(name: str) -> None:
    """Print the log of a run, as far as it was stored, and its error.

    The run is named by its id, the key of a file that it made, or a name, which means its last run. The log goes to
    standard output, the end of a traceback to standard error.
    """
    run = resolve.run_of(name)
    _print(run, "log")
    if run.error:
        messages.warning(f"run {run.id} {run.status}: {run.error}")


@command("patch", "lamin patch 0Xk2fQ", "lamin patch study/results.csv | git apply")
@_run_argument
def patch(name: str) -> None:
    """Print the uncommitted changes with which a run was started, as a patch for git.

    The run is named by its id, the key of a file that it made, or a name, which means its last run.
    """
    _print(resolve.run_of(name), "patch")


@command("packages", "lamin packages 0Xk2fQ", "lamin packages study/results.csv --json")
@_run_argument
@json_option
def packages(name: str, as_json: bool) -> None:
    """Print the packages that were installed when a run started, with their versions.

    The run is named by its id, the key of a file that it made, or a name, which means its last run.

    JSON: an object with the version of each package, or null if they were not stored.
    """
    run = resolve.run_of(name)
    if as_json:
        out_json(run.packages())
    else:
        _print(run, "packages")


@command("modules", "lamin modules 0Xk2fQ", "lamin modules study/results.csv --json")
@_run_argument
@json_option
def modules(name: str, as_json: bool) -> None:
    """Print the modules of the project that a run had imported at its end, each with the digest of its source.

    The run is named by its id, the key of a file that it made, or a name, which means its last run. Installed packages
    are shown by `lamin packages`, the source of a module by `lamin code RUN --module PATH`.

    JSON: an object with the digest of each module by its path, or null if they were not stored.
    """
    run = resolve.run_of(name)
    found = run.modules()
    if as_json:
        out_json(found)
    elif found:
        out_pages(f"{digest}  {printable(path)}" for path, digest in found.items())
    else:
        messages.info(f"run {run.id} {'imported none of its project' if found is not None else 'has no modules list'}")


@command("report", "lamin report 0Xk2fQ > report.html", "lamin report results.csv > report.html")
@_run_argument
def report(name: str) -> None:
    """Print the report of a notebook's run, an HTML page with its results.

    The run is named by its id, the key of a file that it made, or a name, which means its last run.
    """
    _print(resolve.run_of(name), "report")


def _print(run: Any, kind: str, module: str | None = None) -> None:
    """Print stored bytes: as they are into a pipe; at a terminal through a pager, with control characters escaped."""
    from lamindb.describe import run_content

    data = run_content.stored_bytes(run, kind) if module is None else run_content.module_bytes(run, module)
    if data is None:
        what = "packages list" if kind == "packages" else kind
        is_elsewhere = kind == "log" and run.status == "aborted" and run.host not in {None, processes.host()}
        where = f" here: its output may lie on {run.host}, ask there" if is_elsewhere else ""
        messages.info(f"run {run.id} has no {what}{where}")
    elif sys.stdout.isatty():
        text = data.decode("utf-8", "replace")
        out_pages(printable(line.expandtabs()) for line in text.splitlines())
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
