"""Commands for instances: the twins of `ln.setup`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from lamindb.cli.completion import instance_names
from lamindb.cli.output import out, out_json, table
from lamindb.cli.params import command, json_option
from lamindb.core import messages


@command("init", "lamin init --storage ./mydata", "lamin init --storage s3://bucket/study --db postgresql://host/study")
@click.option("--storage", required=True, help="A folder, or an address such as s3://bucket/prefix.")
@click.option("--name", help="What to call it; the last part of the storage by default.")
@click.option("--db", help="postgresql://user:password@host/name; without it, records are kept in a SQLite file.")
@click.option(
    "--view",
    type=click.Choice(["auto", "copy", "none"]),
    default="auto",
    show_default=True,
    help="How files appear under their keys in the folder.",
)
def init(storage: str, name: str | None, db: str | None, view: str) -> None:
    """Make an instance and connect this folder to it; run again, it connects.

    The storage holds the files, and, unless --db names a server, the records about them.
    """
    from lamindb.setup import lifecycle

    instance = lifecycle.init(storage=storage, name=name, db=db, view=view)
    messages.info(f"connected the instance {instance.name!r}")


@command("info", "lamin info", "lamin info --json")
@json_option
def info(as_json: bool) -> None:
    """Show the connected instance and its user.

    JSON keys: name, id, storage, database, project, view, is_read_only, user.
    """
    from lamindb.setup import lifecycle

    found = lifecycle.info()
    if as_json:
        out_json(asdict(found))
    else:
        out(str(found))


def _connect(identifier: str | None, storage: str | None) -> None:
    from lamindb.setup import lifecycle

    instance = lifecycle.connect(identifier, storage=storage)
    messages.success(f"connected the instance {instance.name!r} in {instance.root_url}")


@command("connect", "lamin connect ./mydata", "lamin connect mydata")
@click.argument("identifier", required=False, metavar="[PATH|NAME]", shell_complete=instance_names)
def connect(identifier: str | None) -> None:
    """Make an existing instance the one of this folder.

    PATH is its storage folder, or a project folder that contains one; NAME is one that `lamin list` shows. Without
    either, the instance that belongs to this folder is looked for.
    """
    _connect(identifier, None)


@command("load", "lamin load mydata")
@click.argument("identifier", metavar="PATH|NAME", required=False, shell_complete=instance_names)
@click.option("--storage", help="Where the folder was moved to.")
def load(identifier: str | None, storage: str | None) -> None:
    """Make an existing instance the one of this folder; older name of `lamin connect`."""
    _connect(identifier, storage)


def _disconnect() -> None:
    from lamindb.setup import lifecycle

    name = lifecycle.disconnect()
    if name is None:
        messages.info("no instance is connected here")
    else:
        messages.success(f"disconnected the instance {name!r}")


@command("disconnect", "lamin disconnect")
def disconnect() -> None:
    """Disconnect this folder from its instance. Nothing is deleted."""
    _disconnect()


@command("close", "lamin close")
def close() -> None:
    """Disconnect this folder from its instance; older name of `lamin disconnect`."""
    _disconnect()


@command("list", "lamin list", "lamin list --json")
@json_option
def list_instances(as_json: bool) -> None:
    """List the instances that are registered on this machine for you.

    JSON keys: name, id, storage, project, exists.
    """
    from lamindb.setup import lifecycle

    found = lifecycle.listed()
    if as_json:
        out_json(found)
        return
    if not found:
        messages.info("no instance is registered: make one by `lamin init --storage ./mydata`")
        return
    rows = [(one["name"], one["storage"], one["project"], "" if one["exists"] else "gone") for one in found]
    for line in table(("name", "storage", "project", "state"), rows):
        out(line)


@command("delete", "lamin delete mydata", "lamin delete ./mydata")
@click.argument("identifier", metavar="NAME|PATH", shell_complete=instance_names)
@click.option("--drop-tables", is_flag=True, help="On PostgreSQL, drop the tables too, after a dump.")
def delete(identifier: str, drop_tables: bool) -> None:
    """Delete an instance's records and registration, never a stored file.

    A backup is kept, and `lamin restore NAME` brings everything back. A name that is not known is no error.
    """
    from lamindb.setup import backup_restore

    backup_restore.delete(identifier, drop_tables=drop_tables)


@command("restore", "lamin restore mydata")
@click.argument("name")
def restore(name: str) -> None:
    """Bring back a deleted instance from its newest backup, where it was, and connect it.

    NAME is its name or id, the folder of its storage, or the folder of a backup.
    """
    from lamindb.setup import backup_restore

    backup_restore.restore(name)


@command("backup", "lamin backup", "lamin backup records.sqlite3")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@json_option
def backup(path: Path | None, as_json: bool) -> None:
    """Copy the records in one consistent step, while others may write, and print where they are.

    PATH is a new file; without it, the copy lies among your data, where `lamin restore` finds it.

    JSON keys: path.
    """
    from lamindb.setup import backup_restore

    made = backup_restore.backup(path)
    if as_json:
        out_json({"path": str(made)})
    else:
        out(str(made))


@command("login", "lamin login ada", "lamin login ada --name 'Ada Lovelace' --email ada@example.com")
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


@command("logout", "lamin logout")
def logout() -> None:
    """Forget who you said you are; the operating system's user counts again."""
    from lamindb.instance import user

    user.logout()
    messages.success(f"logged out: you are {user.current().handle!r} now")
