"""`lamin completion`: the script that lets a shell complete commands, keys and names."""

from __future__ import annotations

import click

from lamindb.cli.output import out
from lamindb.cli.params import command


@command(
    "completion",
    "lamin completion bash >> ~/.bashrc",
    "lamin completion fish > ~/.config/fish/completions/lamin.fish",
    needs_library=False,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options, keys and names of instances by Tab."""
    from click.shell_completion import get_completion_class

    from lamindb.cli.main import COMPLETION_VARIABLE

    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    maker = kind(ctx.find_root().command, {}, "lamin", COMPLETION_VARIABLE)
    # click's own way asks bash for its version, which a script to be stored need not.
    out((maker.source_template % maker.source_vars()).rstrip("\n"))
