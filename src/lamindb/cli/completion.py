"""`lamin completion`: the script that lets a shell complete commands, keys and names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lamindb.cli.output import out
from lamindb.cli.params import command


@command(
    "completion",
    "lamin completion bash >> ~/.bashrc",
    "lamin completion fish > ~/.config/fish/completions/lamin.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options, keys and names of instances by Tab."""
    from click.shell_completion import get_completion_class

    from lamindb.cli.application import COMPLETION_VARIABLE

    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    maker = kind(ctx.find_root().command, {}, "lamin", COMPLETION_VARIABLE)
    # click's own way asks bash for its version, which a script to be stored need not.
    out((maker.source_template % maker.source_vars()).rstrip("\n"))


_MOST = 200


def _quietly(offers: Callable[[str], list[str]]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Offer nothing where something fails: a shell that completes must not print errors."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from lamindb.core import messages

        messages.set_verbosity(messages.ERROR)
        try:
            return offers(incomplete)
        except Exception:
            return []

    return complete


@_quietly
def instance_names(incomplete: str) -> list[str]:
    """Offer the names of registered instances."""
    from lamindb.instance import registry

    return sorted({e.name for e in registry.entries() if e.exists and e.name.startswith(incomplete)})


def _matching_keys(incomplete: str, *, in_trash: bool) -> list[str]:
    """Return keys up to the next slash, as a shell completes paths."""
    from lamindb.models import File

    query: Any = File.objects.get_queryset() if in_trash else File.select()
    query = query.filter(trashed_at__isnull=not in_trash, key__startswith=incomplete).order_by("key")
    start = len(incomplete)
    found: dict[str, None] = {}
    for key in query.values_list("key", flat=True)[: _MOST * 50]:
        slash = key.find("/", start)
        found[key if slash < 0 else key[: slash + 1]] = None
        if len(found) >= _MOST:
            break
    if len(found) == 1 and (only := next(iter(found))).endswith("/") and only != incomplete:
        return _matching_keys(only, in_trash=in_trash)
    return list(found)


@_quietly
def keys(incomplete: str) -> list[str]:
    """Offer keys of current files."""
    return _matching_keys(incomplete, in_trash=False)


@_quietly
def trashed_keys(incomplete: str) -> list[str]:
    """Offer keys of files in the trash."""
    return _matching_keys(incomplete, in_trash=True)


@_quietly
def run_ids(incomplete: str) -> list[str]:
    """Offer the ids of the newest runs."""
    from lamindb.models import Run

    query = Run.objects.get_queryset().filter(id__startswith=incomplete).order_by("-created_at", "-id")
    return [str(one) for one in query.values_list("id", flat=True)[:_MOST]]


@_quietly
def setting_names(incomplete: str) -> list[str]:
    """Offer the names of settings."""
    from lamindb.core.options import PREFERENCES

    return [name for name in PREFERENCES if name.startswith(incomplete)]
