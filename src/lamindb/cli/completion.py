"""`lamin completion`, and what the shell may complete for each argument."""

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
    """Print the script that completes commands, options, keys and instance names by Tab."""
    from click.shell_completion import get_completion_class

    from lamindb.cli.application import COMPLETION_VARIABLE

    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    maker = kind(ctx.find_root().command, {}, "lamin", COMPLETION_VARIABLE)
    # `maker.source()` would start bash to check its version.
    out((maker.source_template % maker.source_vars()).rstrip("\n"))


_MAX_OFFERS = 200


def _silent(offers: Callable[[str], list[str]]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Return a completion that offers nothing on any error: the shell must not print one while completing."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from lamindb.core import messages
        from lamindb.core.settings import settings

        settings.verbosity = messages.ERROR
        try:
            return offers(incomplete)
        except Exception:
            return []

    return complete


@_silent
def instance_names(incomplete: str) -> list[str]:
    """Return the names of registered instances."""
    from lamindb.instance import registry

    return sorted({e.name for e in registry.entries() if e.exists and e.name.startswith(incomplete)})


def _matching_keys(incomplete: str, *, in_trash: bool) -> list[str]:
    """Return keys up to their next slash, the way a shell completes paths."""
    from lamindb.models import File

    query: Any = File.objects.get_queryset() if in_trash else File.select()
    query = query.filter(trashed_at__isnull=not in_trash, key__startswith=incomplete).order_by("key")
    start = len(incomplete)
    found: dict[str, None] = {}
    for key in query.values_list("key", flat=True)[: _MAX_OFFERS * 50]:
        slash = key.find("/", start)
        found[key if slash < 0 else key[: slash + 1]] = None
        if len(found) >= _MAX_OFFERS:
            break
    if len(found) == 1 and (only := next(iter(found))).endswith("/") and only != incomplete:
        return _matching_keys(only, in_trash=in_trash)
    return list(found)


@_silent
def keys(incomplete: str) -> list[str]:
    """Return keys of current files."""
    return _matching_keys(incomplete, in_trash=False)


@_silent
def trashed_keys(incomplete: str) -> list[str]:
    """Return keys of files in the trash."""
    return _matching_keys(incomplete, in_trash=True)


@_silent
def run_ids(incomplete: str) -> list[str]:
    """Return the ids of the newest runs."""
    return _run_ids(incomplete)


def _run_ids(incomplete: str) -> list[str]:
    from lamindb.models import Run

    query = Run.objects.get_queryset().filter(id__startswith=incomplete).order_by("-created_at", "-id")
    return [str(one) for one in query.values_list("id", flat=True)[:_MAX_OFFERS]]


@_silent
def runs_and_keys(incomplete: str) -> list[str]:
    """Return keys of current files, and ids of the newest runs once something was typed."""
    return _matching_keys(incomplete, in_trash=False) + (_run_ids(incomplete) if incomplete else [])


@_silent
def setting_names(incomplete: str) -> list[str]:
    """Return the names of settings."""
    from lamindb.core.settings import PREFERENCES

    return [name for name in PREFERENCES if name.startswith(incomplete)]
