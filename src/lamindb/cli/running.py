"""Commands that record runs: of any program, and of the steps of a shell script."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from lamindb.cli.output import out
from lamindb.cli.params import command
from lamindb.core import messages
from lamindb.errors import InvalidInputError

_RUN_VARIABLE = "LAMIN_RUN_ID"


def _params(pairs: tuple[str, ...]) -> dict[str, Any] | None:
    """Read `name=value` pairs; values that are JSON (numbers, true, lists) are that, others text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise InvalidInputError(f"{pair!r} is no parameter: pass name=value")
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
@click.option("--transform", metavar="NAME", help="What is run; by default the program with its script.")
@click.option("--in", "inputs", metavar="PATH", multiple=True, help="A file, or a key, that it reads. Repeatable.")
@click.option(
    "--out", "outputs", metavar="PATTERN", multiple=True, help="Files that it makes, such as 'out/*.csv'. Repeatable."
)
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter to record. Repeatable.")
@click.option("--capture/--no-capture", default=None, help="Watch which files it reads and writes, or not.")
@click.pass_context
def run(
    ctx: click.Context,
    argv: tuple[str, ...],
    transform: str | None,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    params: tuple[str, ...],
    capture: bool | None,
) -> None:
    """Run any program and record it: what it was, what it read and made, its log and its exit code.

    What it prints passes through unchanged, and its exit code is that of this command. Outputs are saved when it
    succeeds. Programs that it starts, and `lamin save` and `lamin get` in them, belong to the same run.
    """
    from lamindb.runs.commands.command import run_command

    done = run_command(
        list(argv),
        transform=transform,
        inputs=list(inputs),
        outputs=list(outputs),
        params=_params(params),
        capture=capture,
    )
    ctx.exit(done.exit_code)


@command(
    "track",
    "export LAMIN_RUN_ID=$(lamin track --transform nightly-import)",
    "lamin track --transform nightly-import --param day=3",
)
@click.argument("notebook", required=False, type=click.Path())
@click.option("--transform", metavar="NAME", help="What the shell script is called.")
@click.option("--param", "params", metavar="NAME=VALUE", multiple=True, help="A parameter to record. Repeatable.")
def track(notebook: str | None, transform: str | None, params: tuple[str, ...]) -> None:
    """Begin a run in a shell script, and print its id.

    Exported as LAMIN_RUN_ID, it is the run of everything that follows: `lamin save` makes its outputs, `lamin get`
    its inputs, and programs that track themselves become its steps, until `lamin finish`. It is found aborted where
    the shell dies before that.
    """
    if transform is None:
        del notebook
        messages.info(
            "nothing to track here: notebooks and scripts call ln.track() themselves, and a shell script passes "
            "--transform NAME"
        )
        return
    from lamindb.runs.commands.command import begin_shell

    out(begin_shell(transform, params=_params(params)))


@command("finish", "lamin finish", "trap 'lamin finish --exit-code $?' EXIT")
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--status", type=click.Choice(["completed", "failed"]), help="How it ended.")
@click.option("--exit-code", type=click.IntRange(0, 255), help="What the script exits with; not 0 means failed.")
def finish(run_id: str | None, status: str | None, exit_code: int | None) -> None:
    """End the run that `lamin track` began: RUN, or the one in LAMIN_RUN_ID."""
    wanted = run_id or os.environ.get(_RUN_VARIABLE)
    if not wanted:
        messages.info("no run to finish: LAMIN_RUN_ID is not set")
        return
    from lamindb.runs.commands.command import end_shell

    end_shell(wanted, status or ("failed" if exit_code else "completed"), exit_code=exit_code)
