"""Commands that say who works here."""

from __future__ import annotations

import click

from lamindb.cli.params import command
from lamindb.core import messages


@command(
    "login", "lamin login ada", "lamin login ada --name 'Ada Lovelace' --email ada@example.com", needs_library=False
)
@click.argument("handle")
@click.option("--name", help="Your name; made from the handle by default.")
@click.option("--email", help="Your address.")
@click.option("--password", hidden=True, help="Not needed: accepted and forgotten.")
def login(handle: str, name: str | None, email: str | None, password: str | None) -> None:
    """Say who you are: what you save from now on is yours. Needs no account and no network.

    HANDLE is a short name, or an email address.
    """
    from lamindb.instance import user

    del password
    person = user.login(handle, name=name, email=email)
    messages.success(f"logged in {person.handle!r} ({person.name})")


@command("logout", "lamin logout", needs_library=False)
def logout() -> None:
    """Forget who you said you are; the operating system's user counts again."""
    from lamindb.instance import user

    user.logout()
    messages.success(f"logged out: you are {user.current().handle!r} now")
