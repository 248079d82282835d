"""`lamin completion`, and what the shell may complete for each argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

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


class _Records:
    """The records of the current instance, read by SQL alone: loading Django takes longer than a Tab may."""

    def __init__(self) -> None:
        from lamindb.core.keys import DATABASE_FILE
        from lamindb.instance import config, discovery

        found = discovery.find()
        if config.read(found.home).database is None:
            import sqlite3

            path = (found.home / DATABASE_FILE).as_uri()
            self._connection: Any = sqlite3.connect(f"{path}?mode=ro", uri=True)
            self.mark, self.in_byte_order = "?", ""
        else:
            import psycopg

            from lamindb.core import database_url

            address = database_url.parse(found.database_url or "")
            options: dict[str, Any] = {"connect_timeout": "3", **address.options}
            self._connection = psycopg.connect(
                user=address.user or None,
                password=address.password or None,
                host=address.host or None,
                port=address.port or None,
                dbname=address.name,
                **options,
            )
            self.mark, self.in_byte_order = "%s", ' COLLATE "C"'

    def rows(self, query: str, *values: str) -> list[tuple[str]]:
        """Return the rows of a query, whose `?` stand for values."""
        return list(self._connection.execute(query.replace("?", self.mark), values))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


_NEXT_KEY = """
SELECT key FROM lamindb_file
WHERE {state} AND key{order} >= ? AND key{order} < ? ORDER BY key{order} LIMIT 1
"""
_CURRENT = "is_latest AND trashed_at IS NULL"
_TRASHED = "trashed_at IS NOT NULL"
_LAST = chr(0x10FFFF)


def _matching_keys(incomplete: str, *, in_trash: bool) -> list[str]:
    """Return keys up to their next slash, the way a shell completes paths: one query for each that is offered."""
    start = len(incomplete)
    found: list[str] = []
    with _Records() as records:
        query = _NEXT_KEY.format(state=_TRASHED if in_trash else _CURRENT, order=records.in_byte_order)
        position, end = incomplete, incomplete + _LAST
        while len(found) < _MAX_OFFERS and (rows := records.rows(query, position, end)):
            ((key,),) = rows
            slash = key.find("/", start)
            # The next key is the first one behind the folder, or behind this key. No key has control characters.
            position = f"{key}\1" if slash < 0 else key[:slash] + chr(ord("/") + 1)
            found.append(key if slash < 0 else key[: slash + 1])
    if len(found) == 1 and found[0].endswith("/") and found[0] != incomplete:
        return _matching_keys(found[0], in_trash=in_trash)
    return found


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
    query = f"SELECT id FROM lamindb_run WHERE id >= ? AND id < ? ORDER BY created_at DESC, id DESC LIMIT {_MAX_OFFERS}"
    with _Records() as records:
        return [one for (one,) in records.rows(query, incomplete, incomplete + _LAST)]


@_silent
def runs_and_keys(incomplete: str) -> list[str]:
    """Return keys of current files, and ids of the newest runs once something was typed."""
    return _matching_keys(incomplete, in_trash=False) + (_run_ids(incomplete) if incomplete else [])


@_silent
def setting_names(incomplete: str) -> list[str]:
    """Return the names of settings."""
    from lamindb.core.settings import PREFERENCES

    return [name for name in PREFERENCES if name.startswith(incomplete)]
