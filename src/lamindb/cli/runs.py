"""Commands that record and show runs."""

from __future__ import annotations

import datetime
import json
import os
from heapq import merge
from itertools import islice
from typing import Any

import click

from lamindb.cli import resolve
from lamindb.cli.completion import run_ids
from lamindb.cli.output import out, out_json, table, time_text
from lamindb.cli.params import Count, Time, command, json_option
from lamindb.cli.query import show_page
from lamindb.core import context, messages
from lamindb.core.text import duration_text
from lamindb.errors import InvalidInputError, StorageError

_STATUSES = ("running", "completed", "failed", "aborted")
_HEADERS = ("id", "when", "took", "status", "exit", "who", "transform")


@command("runs", "lamin runs", "lamin runs --failed --since 7d", "lamin runs --transform analysis.ipynb --json")
@click.option("--failed", is_flag=True, help="Only runs that failed or whose process died.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only runs with this status.")
@click.option("--transform", metavar="NAME|ID", help="Only runs of this notebook, script or pipeline.")
@click.option("--user", "handle", metavar="HANDLE", help="Only runs of this user.")
@click.option("--parent", metavar="RUN", help="Only steps of this run.", shell_complete=run_ids)
@click.option("--since", type=Time(), help="Only runs since a date, or within a duration such as 7d.")
@click.option("-n", "--limit", type=Count(), default=50, show_default=True, help="The maximum number of results.")
@json_option
def runs(limit: int, as_json: bool, **filters: Any) -> None:
    """List runs, the latest first.

    JSON keys: id, name, transform, transform_id, transform_type, transform_version, revision, status, exit_code,
    started_at, finished_at, created_by, created_at, parent, params.
    """
    # One status and one transform at a time, which an index has in the order of time.
    lists = [one.order_by("-created_at", "-id")[:limit] for one in _queries(**filters)]
    found = list(islice(merge(*lists, key=lambda run: (run.created_at, run.id), reverse=True), limit))
    if as_json:
        from lamindb.cli.output import run_as_dict

        out_json([run_as_dict(run) for run in found])
        return
    if not found:
        messages.info("no matching runs")
        return
    rows = [
        (
            run.id,
            time_text(run.started_at or run.created_at),
            _duration(run),
            run.status or "by hand",
            run.exit_code,
            run.created_by.handle if run.created_by is not None else "",
            _title(run) + (f": {run.name}" if run.name else ""),
        )
        for run in found
    ]
    for line in table(_HEADERS, rows, right=frozenset({"took", "exit"})):
        out(line)


def _title(run: Any) -> str:
    from lamindb.describe.record import run_title

    return run_title(run)


def _queries(
    failed: bool,
    status: str | None,
    transform: str | None,
    handle: str | None,
    parent: str | None,
    since: datetime.datetime | None,
) -> list[Any]:
    """Return queries without common runs for those that pass the filters."""
    from lamindb.models import Run, Transform, User
    from lamindb.runs.liveness import notice_dead_runs

    # Filters by status need the status of runs whose process died.
    notice_dead_runs(context.instance())
    # Transforms are read by a query of their own: of a join SQLite may begin with all of them.
    query: Any = Run.select().select_related("created_by").prefetch_related("transform")
    if status is not None:
        query = query.filter(status=status)
    if handle is not None:
        query = query.filter(created_by__in=resolve.ids_of(User, handle))
    if parent is not None:
        query = query.filter(parent__in=resolve.ids_of(Run, parent))
    if since is not None:
        query = query.filter(created_at__gte=since)
    queries = [query.filter(status=one) for one in ("failed", "aborted")] if failed else [query]
    if transform is not None:
        ids = resolve.ids_of(Transform, transform)
        queries = [one.filter(transform_id=each) for one in queries for each in ids]
    return queries


def _duration(run: Any) -> str:
    if run.started_at is None or run.finished_at is None:
        return ""
    shown = duration_text((run.finished_at - run.started_at).total_seconds())
    return f"at least {shown}" if run.status == "aborted" else shown


@command("show", "lamin show 0Xk2fQ", "lamin show 0Xk2fQ --json")
@click.argument("run_id", metavar="RUN", shell_complete=run_ids)
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show everything about a run: status, code, arguments, inputs, outputs.

    RUN is its id, the first characters of it, the key of a file it made, or a name: then its last run.
    """
    show_page(resolve.run_of(run_id), as_json=as_json)


_RUN_VARIABLE = "LAMIN_RUN_ID"


def _params(pairs: tuple[str, ...]) -> dict[str, Any] | None:
    """Parse `name=value` pairs; a value is JSON if it parses (numbers, true, lists), else text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise InvalidInputError(f"{pair!r} is not a parameter: pass name=value")
        try:
            found[name] = json.loads(text, parse_constant=lambda word: word)
        except ValueError:
            found[name] = text
    return found or None


@command(
    "run",
    "lamin run --in reads.fastq.gz --out 'counts/*.csv' -- Rscript count.R reads.fastq.gz",
    "lamin run python train.py --epochs 3",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("argv", metavar="[--] CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--transform", metavar="NAME", help="The name of the transform; the program and its script by default.")
@click.option("--in", "inputs", metavar="PATH", multiple=True, help="A file or KEY[@N] that it reads. Repeatable.")
@click.option(
    "--out", "outputs", metavar="PATTERN", multiple=True, help="Files that it writes, such as 'out/*.csv'. Repeatable."
)
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter to record. Repeatable.")
@click.option("--capture/--no-capture", default=None, help="Detect which files it reads and writes, or not.")
@click.option("--strict", is_flag=True, help="Do not run it if the run cannot be recorded.")
@click.pass_context
def run(
    ctx: click.Context,
    argv: tuple[str, ...],
    transform: str | None,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    params: tuple[str, ...],
    capture: bool | None,
    strict: bool,
) -> None:
    """Run any program and record it: command, inputs, outputs, log and exit code.

    Its output passes through unchanged, and this command ends with its exit code. Outputs are saved if it succeeds;
    exit code 4 means that it did, and that an output could not be saved or written.
    Programs that it starts, and `lamin save` and `lamin get` in them, belong to the same run.
    """
    from lamindb.runs.commands.command import run_command

    done = run_command(
        list(argv),
        transform=transform,
        inputs=list(inputs),
        outputs=list(outputs),
        params=_params(params),
        capture=capture,
        strict=strict,
    )
    ctx.exit(done.exit_code or (StorageError.exit_code if done.problems else 0))


@command(
    "track",
    "export LAMIN_RUN_ID=$(lamin track --transform nightly-import)",
    "lamin track --transform nightly-import --param day=3",
)
@click.argument("notebook", required=False, type=click.Path())
@click.option("--transform", metavar="NAME", help="The name of the shell script's transform.")
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter to record. Repeatable.")
def track(notebook: str | None, transform: str | None, params: tuple[str, ...]) -> None:
    """Start a run in a shell script and print its id.

    Export the id as LAMIN_RUN_ID. Until `lamin finish`, files of `lamin save` are then its outputs, those of `lamin
    get` its inputs, and tracked programs its steps. If the shell dies before, the run is marked aborted.
    """
    if transform is None:
        del notebook
        messages.info(
            "nothing to track: notebooks and scripts call ln.track() themselves, a shell script passes --transform NAME"
        )
        return
    from lamindb.runs.commands.shell import begin_shell

    out(begin_shell(transform, params=_params(params)))


@command("finish", "lamin finish", "trap 'lamin finish --exit-code $?' EXIT")
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--status", type=click.Choice(["completed", "failed"]), help="How it ended.")
@click.option(
    "--exit-code", type=click.IntRange(0, 255), help="The exit code of the script; other than 0 means failed."
)
def finish(run_id: str | None, status: str | None, exit_code: int | None) -> None:
    """End the run that `lamin track` started: RUN, or the one in LAMIN_RUN_ID."""
    wanted = run_id or os.environ.get(_RUN_VARIABLE)
    if not wanted:
        messages.info("no run to finish: LAMIN_RUN_ID is not set")
        return
    from lamindb.runs.commands.shell import end_shell

    end_shell(wanted, status or ("failed" if exit_code else "completed"), exit_code=exit_code)
